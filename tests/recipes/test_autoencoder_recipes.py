# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the recipes of autoencoders, each by a small run."""

import functools
import importlib

import numpy as np
import pytest
import tensorflow as tf
from recipes.small_runs import IN, OUT, TRAIN, check_files, small_run
from tiers import few

from tfp_ood import distributions, recipes, reporting, stats
from tfp_ood.recipes import autoencoders

pytestmark = pytest.mark.slow

_NAMES = [IN, TRAIN, OUT, 'constant', 'uniform_noise']
_SETTINGS = {
  'epochs': 1,
  'latent_size': 3,
  'vae_width': 4,
}
_OF_PRIOR = {
  'num_regret': 10,
  'regret_steps': 2,
  'num_importance_samples': ['5', '3'],
}
_SCORES = [
  'elbo',
  'importance_weighted',
  'importance_weighted_3',
  'reconstruction',
  'log_prior',
  'posterior_entropy',
  'kl',
  'likelihood_regret',
  'typicality',
  'input_complexity',
  'elbo_adapted_encoder',
  'elbo_adapted_decoder',
  'elbo_adapted_both',
  'latent_one_class_svm',
  'latent_mahalanobis',
  'default',
]
# Of models that have a prior.
_VARIATIONAL_SCORES = _SCORES[1:8]
_MODELS = ('vae', 'autoencoder')
# What differs from `vae` is how they are trained, or the decoder.
_OTHERS = ('beta_vae', 'f_vae', 'soft_intro_vae')


@pytest.fixture(scope='module', name='features_dir')
def _features_dir(tmp_path_factory):
  """A classifier that the runs share."""
  return str(tmp_path_factory.mktemp('features'))


@pytest.fixture(autouse=True)
def _less_analysis(monkeypatch):
  for module, name, value in (
    ('latent_space', '_NUM_EMBEDDED', 10),
    ('feature_distances', '_NUM_IMAGES', 128),
  ):
    # The package has functions of these names.
    module = importlib.import_module(f'tfp_ood.evaluation.{module}')
    monkeypatch.setattr(module, name, value)


def test_all_autoencoders_are_tested():
  ours = [getattr(autoencoders, name) for name in autoencoders.__all__]
  names = {name for name, recipe in recipes.RECIPES.items() if recipe in ours}
  assert {*_MODELS, *_OTHERS} == names


def _check_components(found):
  for name in _NAMES:
    values = found.statistics[name]
    elbo, reconstruction, log_prior, entropy, kl = (
      values[f'elbo{component}']
      for component in (
        '',
        '_reconstruction',
        '_log_prior',
        '_posterior_entropy',
        '_kl',
      )
    )
    np.testing.assert_allclose(
      reconstruction + log_prior + entropy, elbo, rtol=1e-5
    )
    np.testing.assert_allclose(log_prior + entropy, -kl, rtol=1e-3, atol=1e-3)
    assert np.all(kl >= 0)
    for score, expected in {
      'elbo': -elbo,
      'reconstruction': -reconstruction,
      'log_prior': -log_prior,
      'posterior_entropy': -entropy,
      'kl': kl,
    }.items():
      np.testing.assert_allclose(
        found.scores[score][name], expected, rtol=1e-4, atol=1e-4
      )
    # A posterior fitted to the image is never worse.
    regret = found.scores['likelihood_regret'][name]
    assert regret.shape == (10,)
    assert np.all(regret >= -0.1)


def _check_sections(found, is_variational):
  sections = found.results()['sections']
  separation = sections['In- and out-of-distribution in latent space']
  assert list(separation) == [
    'latent',
    'latent_adapted',
    'random projections of the pixels',
  ]
  distances = sections['How good are samples?']['distances']
  samples = ['samples', 'samples_adapted'] if is_variational else []
  assert list(distances) == [
    IN,
    *_NAMES[2:],
    f'{IN}, reconstructed',
    *samples,
  ]
  assert all(distance > 0 for distance in distances.values())


@pytest.mark.parametrize('model', few(_MODELS, 1))
def test_autoencoders(tmp_path, features_dir, model):
  is_variational = model != 'autoencoder'
  settings = _SETTINGS | {'features_dir': features_dir}
  if is_variational:
    settings |= _OF_PRIOR
  make = functools.partial(
    small_run,
    tmp_path,
    model,
    settings,
    train_split='train[:128]',
    num_evaluated=80,
  )
  found = make().run()
  assert found.datasets == _NAMES
  scores = [
    score
    for score in _SCORES
    if is_variational or score not in _VARIATIONAL_SCORES
  ]
  assert list(found.scores) == scores
  if is_variational:
    _check_components(found)
  _check_sections(found, is_variational)
  check_files(
    tmp_path,
    found,
    'default',
    {
      'elbo_histogram',
      'latent_mahalanobis_roc',
      'reconstructions_sample_photographs_test',
      'reconstructions_sample_digits_test',
      'traversal_sample_digits_test',
      'distance',
      'embedding',
      'training_auroc',
      *(['samples', 'samples_adapted'] if is_variational else []),
    },
    atol=0.1,
  )
  assert ('samples' in {p.stem for p in (tmp_path / 'figures').iterdir()}) == (
    is_variational
  )
  training = reporting.read_results(tmp_path / 'training.json')
  assert training['steps'] == 2
  loaded = tf.saved_model.load(str(tmp_path / 'saved_model'))
  (images, *_) = make().datasets[OUT]
  log_prob = found.statistics[OUT]['log_prob'][: len(images[0])]
  # Exported as it was trained; the scores take more samples.
  rtol = 3e-2 if is_variational else 1e-4
  np.testing.assert_allclose(loaded.log_prob(images[0]), log_prob, rtol=rtol)
  assert make().is_complete()


@pytest.mark.exhaustive
@pytest.mark.parametrize('model', _OTHERS)
def test_other_vaes(tmp_path, monkeypatch, model):
  trained = []

  def analyzed(run, distribution, has_prior):
    assert has_prior
    trained.append(distribution)
    return run.evaluate(distribution, [stats.NegativeLogLikelihood('elbo')])

  monkeypatch.setattr(autoencoders, '_analyzed', analyzed)
  monkeypatch.setattr(autoencoders, '_DEFAULT', 'negative_log_likelihood')
  found = small_run(tmp_path, model, _SETTINGS, train_split='train[:128]').run()
  (distribution,) = trained
  training = reporting.read_results(tmp_path / 'training.json')
  assert training['steps'] == 2
  (epoch,) = training['epochs']
  if model == 'beta_vae':
    weighted = 4 * epoch['kl'] - epoch['reconstruction']
    dims = 32 * 32 * 3
    assert epoch['loss'] * dims * np.log(2) == pytest.approx(weighted, rel=1e-4)
  assert ('kl_fake' in epoch) == (model == 'soft_intro_vae')
  assert (model == 'f_vae') == isinstance(
    distribution, distributions.FlowVariationalAutoencoder
  )
  loaded = tf.saved_model.load(str(tmp_path / 'saved_model'))
  (images, *_) = small_run(tmp_path, model, None).datasets[OUT]
  np.testing.assert_allclose(
    loaded.log_prob(images[0]), distribution.log_prob(images[0]), rtol=3e-2
  )
  assert list(found.scores) == ['negative_log_likelihood']
