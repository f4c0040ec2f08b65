# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""PixelCNN++: "Likelihood Ratios for Out-of-Distribution Detection"."""

import functools
import os

import tensorflow as tf

from tfp_ood import distributions, evaluation, stats, training
from tfp_ood.recipes import _likelihoods
from tfp_ood.recipes.recipe import Builder, Recipe, Setting

__all__ = ['pixel_cnn']

_SETTINGS = {
  'num_filters': Setting((8, 32, 64), 'Features of a pixel.'),
  'num_blocks': Setting((1, 3, 5), 'Residual blocks at a resolution.'),
  'num_resolutions': Setting((1, 2, 3), 'Resolutions; each has half the side.'),
  'num_components': Setting(
    (2, 5, 10), 'Components of the mixture of a pixel.'
  ),
  'dropout': Setting((0.0, 0.0, 0.5), 'Share of features dropped in training.'),
  # As measured in five minutes of Fashion-MNIST; docs/results/pixel_cnn.md has how.
  **_likelihoods.training_settings((64, 16, 64), (1e-3, 3e-3, 1e-3)),
}
_DEFAULT = 'default'
_DEFAULT_SCORES = [
  'negative_log_likelihood',
  'typicality',
  'likelihood_ratio',
  'input_complexity',
]
_EVALUATION_SETTINGS = {
  'scores': Setting(
    _DEFAULT_SCORES,
    'Scores to compare with likelihood and default. likelihood_ratio trains a '
    'background model, waic an ensemble.',
    choices=tuple(_likelihoods.SCORES),
  ),
  **_likelihoods.EVALUATION_SETTINGS,
  'num_samples': Setting((16, 64, 64), 'Samples to show; 0 for none.'),
}


def _run(run):
  """Trains a PixelCNN and what its scores need, and analyzes them."""
  make = functools.partial(_make, run)
  model, others, sections = _likelihoods.train_with_others(run, make)
  if not run.is_chief:
    return None
  training.export_saved_model(model, os.path.join(run.folder, 'saved_model'))
  scores = {
    name: _likelihoods.SCORES[name]()
    for name in _likelihoods.names_of_scores(run)
  }
  scores[_DEFAULT] = stats.default_score(model)
  found = run.evaluate(model, scores, recommended=_DEFAULT, **others)
  if 'ensemble' in others:
    found.add(evaluation.ensemble_parts(found))
  background = others.get('background')
  found.add(evaluation.likelihood_maps(found, model, run.compared, background))
  number = run.evaluation['num_samples']
  if number:
    found.add(evaluation.samples(model, number, seed=run.model['seed']))
  found.add(evaluation.extreme_images(found, run.compared))
  for section in sections:
    found.add(section)
  return found, _DEFAULT


def _arguments(image_shape, settings):
  """Returns the arguments that decide what a model is made of."""
  # Each resolution has half the sides of the one before.
  num_levels = settings['num_resolutions']
  while any(side % 2 ** (num_levels - 1) for side in image_shape[:2]):
    num_levels -= 1
  return {
    'image_shape': list(image_shape),
    'num_filters': settings['num_filters'],
    'num_blocks': settings['num_blocks'],
    'num_levels': num_levels,
    'num_components': settings['num_components'],
  }


def _make(run, config):
  return distributions.pixel_cnn(
    **_arguments(run.image_shape, config),
    dropout_rate=config['dropout'],
    seed=config['seed'],
    compute_dtype=tf.as_dtype(config['precision']),
  )


pixel_cnn = Recipe(
  'PixelCNN++',
  _run,
  _SETTINGS,
  _EVALUATION_SETTINGS,
  builder=Builder('pixel_cnn', _arguments, training.DistributionModel),
)
