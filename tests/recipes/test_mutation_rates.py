# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of recipes that choose the mutation rate of a background model."""

import numpy as np
import pytest

from tfp_ood import recipes, reporting

_SETTINGS = {
  'num_filters': 4,
  'num_resolutions': 1,
  'epochs': 1,
  'mutation_rates': ['0.1', '0.5'],
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
  by_rate = {
    rate: by_dataset['sample_digits train']['auroc']
    for rate, by_dataset in choice['auroc'].items()
  }
  assert list(by_rate) == ['mutation rate 0.1', 'mutation rate 0.5']
  assert choice['chosen'] == max(by_rate, key=by_rate.get)
  for rate in ('0.1', '0.5'):
    folder = tmp_path / f'background_{rate}'
    settings = reporting.read_results(folder / 'configuration.json')
    assert settings['mutation_rate'] == float(rate)
  values = found.statistics['sample_photographs test']
  np.testing.assert_allclose(
    found.scores['likelihood_ratio']['sample_photographs test'],
    values['background_log_prob'] - values['log_prob'],
    rtol=1e-4,
    atol=1e-2,
  )


def test_data_that_are_reported_choose_nothing(tmp_path):
  with pytest.raises(recipes.SettingError, match='sample_digits is reported'):
    _run(tmp_path, ['sample_digits']).run()
