# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Glow and constant-volume Glow: "Do Deep Generative Models Know ...?"."""

import functools
import os

import tensorflow as tf

from tfp_ood import (
  datasets,
  distributions,
  evaluation,
  pretrained,
  stats,
  training,
)
from tfp_ood.recipes.recipe import Builder, Recipe, Setting

__all__ = ['constant_volume_glow', 'glow']

_SETTINGS = {
  'num_levels': Setting(3, 'Scales of the flow; images of 28 x 28 have 2.'),
  'num_steps': Setting((4, 8, 32), 'Steps of each scale.'),
  'hidden_channels': Setting((32, 128, 512), 'Width of the coupling networks.'),
  'batch_size': Setting(64, 'Examples of a training step.'),
  'learning_rate': Setting(
    1e-3, "Adam's rate, after a warm-up; minutes end with a rate of zero."
  ),
  'mirror': Setting(False, 'Whether to mirror every other training image.'),
  'train_minutes': Setting(
    (1.0, 30.0, 0.0), 'Minutes of training.', minimum=0, instead_of='epochs'
  ),
  'epochs': Setting(
    (0, 0, 250),
    'Epochs of training, in the place of minutes.',
    minimum=0,
    instead_of='train_minutes',
  ),
  'precision': Setting(
    'float32', 'Of the convolutions.', choices=('float32', 'bfloat16')
  ),
  'seed': Setting(0, 'Seed of weights, data order and noise.'),
}
_SCORES = {
  'negative_log_likelihood': stats.NegativeLogLikelihood,
  'typicality': stats.Typicality,
  'likelihood_ratio': stats.LikelihoodRatio,
  'waic': stats.Waic,
  'input_complexity': stats.InputComplexity,
  'input_complexity_best': functools.partial(
    stats.InputComplexity, 'compressed_bits_per_dim'
  ),
  'score_norm': stats.ScoreNorm,
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
  'mutation_rate': Setting(0.1, 'Share mutated in background training images.'),
  'weight_decay': Setting(0.0, 'Weight decay of the background model.'),
  'background_dataset': Setting('', 'Other data for the background model.'),
  'background_minutes': Setting(0.0, 'Its minutes, if not those of the model.'),
  'ensemble_size': Setting(4, 'Number of models for waic.', minimum=2),
  'ensemble_minutes': Setting(0.0, 'Their minutes, if not those of the model.'),
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
_MAX_SKIPPED_STEPS = 10
_WARMUP_STEPS = 100
_NUM_BUNDLED = 500


def _run(run, make):
  """Trains a flow and what its scores need, and analyzes them."""
  asked, config = run.evaluation, run.model
  # The likelihood stands beside every remedy, and the best one is exported.
  names = dict.fromkeys([*_DEFAULT_SCORES[:1], *asked['scores']])
  if 'likelihood_ratio' in names and asked['background_dataset']:
    # An unknown name is told before anything is trained.
    run.load('train', asked['background_dataset'])
  flow, records = _trained(run, make, '', config)
  options, records = {}, {'model': records}
  minutes = config['train_minutes']
  if 'likelihood_ratio' in names:
    changes = {
      key: asked[key]
      for key in ('mutation_rate', 'weight_decay', 'background_dataset')
    }
    changes['train_minutes'] = asked['background_minutes'] or minutes
    options['background'], records['background'] = _trained(
      run, make, 'background', config | changes
    )
  if 'waic' in names:
    options['ensemble'] = []
    for number in range(1, asked['ensemble_size'] + 1):
      changes = {
        'seed': config['seed'] + number,
        'train_minutes': asked['ensemble_minutes'] or minutes,
      }
      name = f'ensemble_{number}'
      member, records[name] = _trained(run, make, name, config | changes)
      options['ensemble'].append(member)
  if not run.is_chief:
    return None
  training.export_saved_model(flow, os.path.join(run.folder, 'saved_model'))
  return _evaluated(run, make, flow, names, records, options), _DEFAULT


def _evaluated(run, make, flow, names, records, options):
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
    for name in names
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
    **options,
  )
  if 'ensemble' in options:
    found.add(evaluation.ensemble_parts(found))
  if run.evaluation['second_order']:
    # Second derivatives deserve full precision, however the flow was trained.
    precise = _make(run, make, run.model | {'precision': 'float32'})
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
  found.add(evaluation.graying(flow, run.datasets[run.test]))
  return found.add(evaluation.training_curves(records))


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
    # Storing the activations is faster where they fit into memory.
    recompute=run.preset == 'paper',
    compute_dtype=tf.as_dtype(config['precision']),
  )


def _trained(run, make, folder, config):
  by_clock = not config['epochs']
  with run.strategy.scope():
    flow = _make(run, make, config)
    model = training.DistributionModel(
      flow, seed=config['seed'], max_skipped_steps=_MAX_SKIPPED_STEPS
    )
    model.compile(
      training.adam(
        config['learning_rate'],
        warmup_steps=0 if by_clock else _WARMUP_STEPS,
        global_clipnorm=1.0,
        ema_momentum=0.99,
        weight_decay=config.get('weight_decay') or None,
      )
    )
  dataset = run.load(
    'train',
    config.get('background_dataset'),
    shuffle=True,
    random_transformation=_augmentation(config),
  )
  record = run.fit(
    model,
    folder,
    config,
    {'likelihood': stats.NegativeLogLikelihood()},
    dataset=dataset,
    **(
      {
        'minutes': config['train_minutes'],
        'learning_rate': config['learning_rate'],
        'warmup_steps': _WARMUP_STEPS,
      }
      if by_clock
      else {'epochs': config['epochs']}
    ),
  )
  return flow, record


def _augmentation(config):
  """Returns what is done to training images at random, or `None`."""
  rate = config.get('mutation_rate')
  if not (config['mirror'] or rate):
    return None

  def augment(images, seed):
    if config['mirror']:
      images = datasets.crop_and_flip(images, seed, margin=0)
    return datasets.mutate(images, rate, seed) if rate else images

  return augment


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
