# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of what is said of a lost worker; integration/ has one that is killed."""

import pytest
import tensorflow as tf

import tfp_ood
from tfp_ood.training.lost_workers import tell_of_lost_workers


@pytest.fixture(scope='module', name='several')
def _several():
  # Without TF_CONFIG it is the strategy of a cluster of one.
  return tfp_ood.training.make_strategy('multi_worker')


@pytest.mark.parametrize(
  'kind',
  [
    tf.errors.AbortedError,
    tf.errors.DeadlineExceededError,
    tf.errors.UnavailableError,
  ],
)
def test_it_says_what_to_do_and_why(several, kind):
  cause = kind(None, None, 'Connection reset by peer')
  with (
    pytest.raises(
      tfp_ood.training.LostWorkerError,
      match='same command again on every worker.* backup in outputs',
    ) as raised,
    tell_of_lost_workers(several, 'outputs'),
  ):
    raise cause
  assert raised.value.__cause__ is cause


def test_without_a_folder_there_is_no_backup(several):
  with (
    pytest.raises(tfp_ood.training.LostWorkerError, match='starts over'),
    tell_of_lost_workers(several, None),
  ):
    raise tf.errors.UnavailableError(None, None, 'gone')


def test_errors_of_other_kinds_stay_as_they_are(several):
  with (
    pytest.raises(tf.errors.InvalidArgumentError, match='wrong'),
    tell_of_lost_workers(several, 'outputs'),
  ):
    raise tf.errors.InvalidArgumentError(None, None, 'wrong')


def test_one_machine_has_no_workers_to_lose():
  strategy = tfp_ood.training.make_strategy('default')
  with (
    pytest.raises(tf.errors.UnavailableError, match='gone'),
    tell_of_lost_workers(strategy, 'outputs'),
  ):
    raise tf.errors.UnavailableError(None, None, 'gone')
