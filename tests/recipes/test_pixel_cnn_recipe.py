# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the recipe of PixelCNN++, on a small one."""

import pathlib

import numpy as np
import pytest
from recipes.small_runs import (
  IN,
  OUT,
  TRAIN,
  check_files,
  check_saved_model,
  small_run,
)

from tfp_ood import reporting

pytestmark = pytest.mark.exhaustive

_NAMES = [IN, TRAIN, OUT, 'constant', 'uniform_noise']
_SETTINGS = {
  'num_filters': 4,
  'num_resolutions': 2,
  'epochs': 1,
  'mutation_rate': 0.2,
  'num_samples': 3,
}
_SCORES = [
  'negative_log_likelihood',
  'typicality',
  'likelihood_ratio',
  'input_complexity',
  'default',
]


@pytest.fixture(scope='module', name='run')
def _run(tmp_path_factory):
  """The folder of a run and its evaluation."""
  folder = pathlib.Path(tmp_path_factory.mktemp('run'))
  return folder, small_run(
    folder, 'pixel_cnn', _SETTINGS, train_split='train[:128]'
  ).run()


def test_the_files_of_a_run(run):
  folder, found = run
  assert found.datasets == _NAMES
  assert list(found.scores) == _SCORES
  check_files(
    folder,
    found,
    'default',
    {
      'likelihood_ratio_roc',
      'samples',
      'training_auroc',
      'sample_digits_test_maps_most_likely',
      'sample_photographs_test_maps_least_likely',
    },
    atol=0.01,
  )


def test_the_ratio_is_that_of_two_models(run):
  folder, found = run
  for name in _NAMES:
    values = found.statistics[name]
    np.testing.assert_allclose(
      found.scores['likelihood_ratio'][name],
      values['background_log_prob'] - values['log_prob'],
      rtol=1e-4,
      atol=1e-2,
    )
  configuration = reporting.read_results(folder / 'configuration.json')
  background = reporting.read_results(
    folder / 'background' / 'configuration.json'
  )
  assert 'mutation_rate' not in configuration
  assert background['mutation_rate'] == 0.2
  for place in (folder, folder / 'background'):
    assert reporting.read_results(place / 'training.json')['steps'] == 2


def test_the_exported_model_scores_alike(run):
  check_saved_model(*run, 'pixel_cnn')
