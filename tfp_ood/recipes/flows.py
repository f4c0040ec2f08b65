# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Glow and constant-volume Glow: "Do Deep Generative Models Know ...?"."""

import functools
import os

import tensorflow as tf

from tfp_ood import (
  distributions,
  evaluation,
  pretrained,
  stats,
  training,
)
from tfp_ood.recipes import _likelihoods
from tfp_ood.recipes.recipe import Builder, Recipe, Setting

__all__ = ['constant_volume_glow', 'glow']

_SETTINGS = {
  'num_levels': Setting(3, 'Scales of the flow; images of 28 x 28 have 2.'),
  'num_steps': Setting((4, 8, 32), 'Steps of each scale.'),
  'hidden_channels': Setting((32, 128, 512), 'Width of the coupling networks.'),
  # As measured in ten minutes of CIFAR-10; docs/results/README.md has how.
  **_likelihoods.training_settings((64, 32, 64), (1e-3, 5e-3, 1e-3)),
}
_SCORES = _likelihoods.SCORES | {
  'density_of_states_kde': functools.partial(
    stats.DensityOfStates, method='kde'
  ),
  'density_of_states_svm': functools.partial(
    stats.DensityOfStates, method='one_class_svm'
  ),
}
_DEFAULT = 'default'
_DEFAULT_SCORES = [
  'negative_log_likelihood',
  'typicality',
  'input_complexity',
  'score_norm',
  'density_of_states_kde',
]
_EVALUATION_SETTINGS = {
  'scores': Setting(
    _DEFAULT_SCORES,
    'Scores to compare with likelihood and default. likelihood_ratio trains a '
    'background model, waic an ensemble.',
    choices=tuple(_SCORES),
  ),
  **_likelihoods.EVALUATION_SETTINGS,
  'bundled': Setting(
    ('cifar10', '', ''),
    'Also score the data by the Glow that comes with the library with these '
    'weights, if images have its shape.',
    choices=('', *pretrained.available('glow')),
  ),
  'second_order': Setting(
    (False, True, True),
    'Predict from second moments how likelihoods differ. Takes minutes.',
  ),
}
_NUM_BUNDLED = 500


def _run(run, make):
  """Trains a flow and what its scores need, and analyzes them."""
  make_flow = functools.partial(_make, run, make)
  flow, others, sections = _likelihoods.train_with_others(run, make_flow)
  if not run.is_chief:
    return None
  training.export_saved_model(flow, os.path.join(run.folder, 'saved_model'))
  found = _evaluated(run, make_flow, flow, others)
  for section in sections:
    found.add(section)
  return found, _DEFAULT


def _evaluated(run, make_flow, flow, others):
  is_constant_volume = flow.bijector.is_constant_jacobian
  # The volume of a constant-volume flow says nothing of an image.
  states = [
    'density',
    *([] if is_constant_volume else ['volume']),
    'score_norm',
  ]
  scores = {
    name: _SCORES[name](statistics=states)
    if name.startswith('density_of_states')
    else _SCORES[name]()
    for name in _likelihoods.names_of_scores(run)
  }
  scores[_DEFAULT] = stats.default_score(flow)
  upside_down = run.load(
    'test',
    transformation=tf.image.flip_up_down,
    limit=run.evaluation['num_evaluated'],
  )
  run.datasets['upside down'] = upside_down
  found = run.evaluate(
    flow,
    scores,
    keep=('log_prob', 'density', 'volume'),
    recommended=_DEFAULT,
    **others,
  )
  if 'ensemble' in others:
    found.add(evaluation.ensemble_parts(found))
  if run.evaluation['second_order']:
    # Second derivatives deserve full precision, however the flow was trained.
    precise = make_flow(run.model | {'precision': 'float32'})
    training.load_weights(precise, os.path.join(run.folder, 'weights'))
    found.add(
      evaluation.second_order(
        precise, found, run.datasets, closed_form=is_constant_volume
      )
    )
  if run.evaluation['bundled']:
    _add_bundled(run, found)
  found.add(evaluation.samples(flow, seed=run.model['seed']))
  found.add(evaluation.extreme_images(found, run.compared))
  return found.add(evaluation.graying(flow, run.datasets[run.test]))


def _add_bundled(run, found):
  """Adds what a model makes of the data that was trained on other images."""
  weights = run.evaluation['bundled']
  flow = distributions.glow(weights=weights)
  if flow.event_shape != run.image_shape:
    return
  scores = {
    'negative_log_likelihood': stats.NegativeLogLikelihood(),
    _DEFAULT: stats.default_score(flow),
  }
  other = run.evaluate(
    flow,
    scores,
    f'bundled_{weights}',
    limit=_NUM_BUNDLED,
    recommended=_DEFAULT,
  )
  heading = f'The same by a Glow that was trained on {weights}'
  found.add(evaluation.other_model(other, heading, f'bundled_{weights}'))


def _arguments(image_shape, settings):
  """Returns the arguments that decide what a flow is made of."""
  # Each level halves the sides: 28 x 28 is good for two.
  sides, num_levels = image_shape[:2], settings['num_levels']
  while any(side % 2**num_levels for side in sides):
    num_levels -= 1
  if not num_levels:
    raise ValueError(
      f'A flow of images of {sides[0]} x {sides[1]} cannot be made: the sides must '
      'be even, and better divisible by 8.'
    )
  return {
    'image_shape': list(image_shape),
    'num_levels': num_levels,
    'num_steps': settings['num_steps'],
    'hidden_channels': settings['hidden_channels'],
  }


def _make(run, make, config):
  return make(
    **_arguments(run.image_shape, config),
    seed=config['seed'],
    compute_dtype=tf.as_dtype(config['precision']),
  )


def _recipe(title, make):
  return Recipe(
    title,
    functools.partial(_run, make=make),
    _SETTINGS,
    _EVALUATION_SETTINGS,
    builder=Builder(make.__name__, _arguments, training.DistributionModel),
  )


glow = _recipe('Glow', distributions.glow)
constant_volume_glow = _recipe(
  'Constant-volume Glow', distributions.constant_volume_glow
)
