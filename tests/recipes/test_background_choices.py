# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of recipes that choose a background model."""

import itertools

import numpy as np
import pytest

from tfp_ood import recipes, reporting
from tfp_ood.recipes._background_choices import background_choices

_SETTINGS = {
  'num_filters': 4,
  'num_resolutions': 1,
  'epochs': 1,
  'mutation_rates': ['0.1', '0.5'],
  'weight_decays': ['0', '10'],
  'num_samples': 0,
  'scores': ['likelihood_ratio'],
}


def _run(folder, others, **settings):
  return recipes.Run(
    recipes.pixel_cnn,
    str(folder),
    'sample_photographs',
    others,
    preset='tiny',
    settings=_SETTINGS | settings,
    num_evaluated=20,
    train_split='train[:64]',
    name='pixel_cnn',
  )


@pytest.mark.exhaustive
def test_the_background_model_is_the_one_that_was_chosen(tmp_path):
  found = _run(tmp_path, []).run()
  choice = found.results()['sections']['Which background model?']
  aurocs = {
    name: by_dataset['sample_digits train']['auroc']
    for name, by_dataset in choice['auroc'].items()
  }
  pairs = list(itertools.product(('0.1', '0.5'), ('0', '10')))
  assert list(aurocs) == [
    f'mutation rate {rate}, weight decay {decay}' for rate, decay in pairs
  ]
  assert choice['chosen'] == max(aurocs, key=aurocs.get)
  for rate, decay in pairs:
    folder = tmp_path / f'background_{rate}_{decay}'
    settings = reporting.read_results(folder / 'configuration.json')
    assert settings['mutation_rate'] == float(rate)
    assert settings['weight_decay'] == float(decay)
  values = found.statistics['sample_photographs test']
  np.testing.assert_allclose(
    found.scores['likelihood_ratio']['sample_photographs test'],
    values['background_log_prob'] - values['log_prob'],
    rtol=1e-4,
    atol=1e-2,
  )


def test_all_pairs_of_rates_and_decays():
  assert background_choices([0.0, 0.25], [0.1]) == {
    'mutation rate 0, weight decay 0.1': (0.0, 0.1),
    'mutation rate 0.25, weight decay 0.1': (0.25, 0.1),
  }


@pytest.mark.parametrize('name', ['mutation_rates', 'weight_decays'])
def test_data_that_are_reported_choose_nothing(name, tmp_path):
  with pytest.raises(recipes.SettingError, match='sample_digits is reported'):
    _run(tmp_path, ['sample_digits'], **{name: []}).run()
