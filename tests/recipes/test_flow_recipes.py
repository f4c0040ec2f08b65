# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the recipes of flows: one run with every score there is."""

import functools
import pathlib
import shutil

import numpy as np
import pytest
from recipes.small_runs import (
  IN,
  OUT,
  TRAIN,
  check_files,
  check_saved_model,
  pairs_in_order,
  small_run,
)

import tfp_ood
from tfp_ood import distributions, evaluation, recipes, reporting

pytestmark = pytest.mark.slow

_ASKED = list(recipes.RECIPES['glow'].evaluation_settings['scores'].choices)
_SCORES = [*_ASKED, 'default']
_NAMES = [IN, TRAIN, OUT, 'constant', 'uniform_noise', 'upside down']
_SETTINGS = {
  'num_levels': 1,
  'num_steps': 1,
  'hidden_channels': 4,
  'epochs': 1,
  'mutation_rate': 0.2,
  'ensemble_size': 2,
  'scores': _ASKED,
  'second_order': True,
  'bundled': 'cifar10',
}


def _with_less_analysis(patch):
  second_order = evaluation.second_order
  patch.setattr(
    evaluation,
    'second_order',
    functools.partial(second_order, num_probes=2, num_expanded=8),
  )


@pytest.fixture(scope='module', name='run')
def _run(tmp_path_factory):
  """The folder of a run and its evaluation."""
  folder = pathlib.Path(tmp_path_factory.mktemp('run'))
  with pytest.MonkeyPatch.context() as patch:
    _with_less_analysis(patch)
    found = small_run(folder, 'cv_glow', _SETTINGS).run()
  return folder, found


def test_the_files_of_a_run(run):
  folder, found = run
  assert found.datasets == _NAMES
  assert list(found.scores) == _SCORES
  check_files(
    folder,
    found,
    'default',
    {
      f'{score}_{figure}'
      for score in _SCORES
      for figure in ('histogram', 'roc')
    }
    | {
      'bundled_cifar10',
      'graying',
      'p_values',
      'samples',
      'training_auroc',
      'sample_digits_test_log_prob_most_likely',
      'sample_photographs_test_log_prob_least_likely',
    },
    atol=0.01,
  )


def test_scores_are_those_of_the_parts(run):
  _, found = run
  for name in _NAMES:
    values = found.statistics[name]
    log_prob = values['density'] + values['volume']
    np.testing.assert_allclose(values['log_prob'], log_prob, rtol=1e-5)
    np.testing.assert_allclose(
      found.scores['negative_log_likelihood'][name], -log_prob, rtol=1e-5
    )
  for by_dataset in found.aurocs().values():
    # Its own training data look like the test data.
    assert 0.1 < by_dataset[TRAIN].auroc < 0.9


def test_each_model_has_its_folder_and_settings(run):
  folder, _ = run
  configuration = reporting.read_results(folder / 'configuration.json')
  assert configuration['epochs'] == 1
  assert configuration['train_minutes'] == 0
  for name, settings in {
    '': {},
    'background': {
      'mutation_rate': 0.2,
      'weight_decay': 0.0,
      'background_dataset': '',
    },
    'ensemble_1': {'seed': 1},
    'ensemble_2': {'seed': 2},
  }.items():
    assert (folder / name / 'weights.index').exists()
    assert (
      reporting.read_results(folder / name / 'configuration.json')
      == configuration | settings
    )
    training = reporting.read_results(folder / name / 'training.json')
    assert training['steps'] == 4


def test_the_bundled_glow_scores_the_same_data(run):
  folder, found = run
  results = found.results()['sections'][
    'The same by a Glow that was trained on cifar10'
  ]
  assert list(results) == ['negative_log_likelihood', 'default']
  store = folder / 'bundled_cifar10' / 'statistics'
  assert store.is_dir()
  flow = distributions.glow(weights='cifar10')
  data = small_run(folder, 'cv_glow', None).datasets
  inside, outside = (
    np.concatenate([-flow.log_prob(images) for images, _ in data[name]])
    for name in (IN, OUT)
  )
  assert results['negative_log_likelihood'][OUT] == pytest.approx(
    pairs_in_order(inside, outside), abs=0.01
  )


def test_graying_starts_with_the_images(run):
  _, found = run
  graying = found.results()['sections'][
    'Graying: one weird trick to raise the likelihood'
  ]
  np.testing.assert_allclose(graying['factor'], np.linspace(0, 1, 11))
  assert graying['bits_per_dim'][0]['mean'] == pytest.approx(
    found.bits_per_dim()[IN]['mean'], rel=1e-4
  )


def test_the_second_order_analysis(run):
  folder, found = run
  results = found.results()['sections']['The second-order analysis']
  grayed = f'{IN}, grayed by 0.5'
  assert list(results) == [grayed, *_NAMES[2:]]
  for name, parts in results.items():
    if name != grayed:
      assert parts['measured']['difference'] == pytest.approx(
        found.means()[name]['log_prob']['mean']
        - found.means()[TRAIN]['log_prob']['mean'],
        rel=1e-4,
      )
    for covariances in ('diagonal', 'full'):
      terms = parts[covariances]
      assert terms['total'] == pytest.approx(
        terms['gradient'] + terms['mean'] + terms['covariance'], rel=1e-4
      )
    # One step mixes the channels alone: Hutchinson's probes are exact.
    assert parts['closed_form'] == pytest.approx(
      parts['diagonal']['covariance'], rel=1e-2, abs=0.1
    )
  images = small_run(folder, 'cv_glow', None).datasets[IN]
  images = np.concatenate([x for x, _ in images]).astype(np.float64)
  variance = results[grayed]['mean_variance']
  assert 0 < variance < images.var(axis=0, ddof=1).mean()


def test_the_ensemble_is_taken_apart(run):
  _, found = run
  for name, parts in found.results()['sections']['The ensemble'].items():
    # WAIC is the mean less the variance, the score its negative.
    assert parts['variance']['mean'] - parts['mean']['mean'] == pytest.approx(
      found.scores['waic'][name].mean(), rel=1e-4
    )


def test_the_exported_model_scores_alike(run):
  check_saved_model(*run, 'cv_glow')


@pytest.mark.exhaustive
def test_more_scores_train_only_their_models(run, tmp_path, capsys):
  finished, first = run
  folder = tmp_path / 'run'
  shutil.copytree(finished, folder)
  # As if it had been run without the score of this model.
  shutil.rmtree(folder / 'background')
  settings = _SETTINGS | {
    'scores': ['typicality', 'likelihood_ratio'],
    'second_order': None,
    'bundled': '',
  }
  capsys.readouterr()
  second = small_run(folder, 'cv_glow', settings).run()
  output = capsys.readouterr().out
  assert output.count('trained already') == 1
  assert output.count('epoch 1:') == 1
  # The second-order analysis of this preset has to be asked for.
  assert 'Training' in (titles := [part.title for part in second.sections])
  assert 'The second-order analysis' not in titles
  assert list(second.scores) == [
    'negative_log_likelihood',
    'typicality',
    'likelihood_ratio',
    'default',
  ]
  for score, by_dataset in second.scores.items():
    for name, values in by_dataset.items():
      np.testing.assert_allclose(
        first.scores[score][name], values, rtol=1e-4, atol=1e-3
      )
  # The background model is of these settings, and the model may stay.
  with pytest.raises(
    tfp_ood.training.OtherSettingsError,
    match='background.*mutation_rate: 0.2 there, 0.3 now',
  ):
    small_run(folder, 'cv_glow', settings | {'mutation_rate': 0.3}).run()


def test_the_data_of_the_background_are_looked_for_first(tmp_path, capsys):
  settings = _SETTINGS | {'background_dataset': 'no_such_data_set'}
  with pytest.raises((ValueError, FileNotFoundError), match='no_such_data_set'):
    small_run(tmp_path, 'glow', settings, data_dir=tmp_path).run()
  assert not (tmp_path / 'weights.index').exists()
