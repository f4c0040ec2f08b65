# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the choice of a strategy; integration/ has those of training."""

import pytest
import tensorflow as tf

import tfp_ood


def test_default_is_one_device():
  strategy = tfp_ood.training.make_strategy('default')
  assert strategy.num_replicas_in_sync == 1
  assert strategy is tf.distribute.get_strategy()


def test_mirrored_takes_all_devices():
  strategy = tfp_ood.training.make_strategy('mirrored')
  assert isinstance(strategy, tf.distribute.MirroredStrategy)
  devices = tf.config.list_logical_devices('GPU') or (
    tf.config.list_logical_devices('CPU')
  )
  assert strategy.num_replicas_in_sync == len(devices)


def test_unknown_names_are_refused():
  with pytest.raises(
    ValueError, match="'tpu'.*default, mirrored, multi_worker"
  ):
    tfp_ood.training.make_strategy('tpu')


def test_names_are_listed():
  assert tfp_ood.training.STRATEGIES == ('default', 'mirrored', 'multi_worker')
