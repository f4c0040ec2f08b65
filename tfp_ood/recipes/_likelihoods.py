# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""What recipes of models with a likelihood share: their training and their scores."""

import functools

from tfp_ood import datasets, stats, training
from tfp_ood.recipes.recipe import Setting

__all__ = [
  'EVALUATION_SETTINGS',
  'SCORES',
  'TRAINING_SETTINGS',
  'names_of_scores',
  'train',
  'train_with_others',
]

TRAINING_SETTINGS = {
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
SCORES = {
  'negative_log_likelihood': stats.NegativeLogLikelihood,
  'typicality': stats.Typicality,
  'likelihood_ratio': stats.LikelihoodRatio,
  'waic': stats.Waic,
  'input_complexity': stats.InputComplexity,
  'input_complexity_best': functools.partial(
    stats.InputComplexity, 'compressed_bits_per_dim'
  ),
  'score_norm': stats.ScoreNorm,
}
EVALUATION_SETTINGS = {
  'mutation_rate': Setting(0.1, 'Share mutated in background training images.'),
  'weight_decay': Setting(0.0, 'Weight decay of the background model.'),
  'background_dataset': Setting('', 'Other data for the background model.'),
  'background_minutes': Setting(0.0, 'Its minutes, if not those of the model.'),
  'ensemble_size': Setting(4, 'Number of models for waic.', minimum=2),
  'ensemble_minutes': Setting(0.0, 'Their minutes, if not those of the model.'),
}
_MAX_SKIPPED_STEPS = 10
_WARMUP_STEPS = 100


def names_of_scores(run):
  """Returns the names of the scores asked for, the likelihood first."""
  names = ['negative_log_likelihood', *run.evaluation['scores']]
  return list(dict.fromkeys(names))


def train_with_others(run, make):
  """Trains a model, and the background model and ensemble that scores ask for.

  Args:
    run: `Run`.
    make: function from the values of the settings to the model.

  Returns:
    model: the model.
    others: `dict` of the others, as `tfp_ood.evaluation.evaluate` takes them.
    records: `dict` from names of models to records of their training.
  """
  asked, config, names = run.evaluation, run.model, names_of_scores(run)
  if 'likelihood_ratio' in names and asked['background_dataset']:
    # An unknown name is told before anything is trained.
    run.load('train', asked['background_dataset'])
  model, record = train(run, make, '', config)
  others, records = {}, {'model': record}
  minutes = config['train_minutes']
  if 'likelihood_ratio' in names:
    changes = {
      key: asked[key]
      for key in ('mutation_rate', 'weight_decay', 'background_dataset')
    }
    changes['train_minutes'] = asked['background_minutes'] or minutes
    others['background'], records['background'] = train(
      run, make, 'background', config | changes
    )
  if 'waic' in names:
    others['ensemble'] = []
    for number in range(1, asked['ensemble_size'] + 1):
      changes = {
        'seed': config['seed'] + number,
        'train_minutes': asked['ensemble_minutes'] or minutes,
      }
      name = f'ensemble_{number}'
      member, records[name] = train(run, make, name, config | changes)
      others['ensemble'].append(member)
  return model, others, records


def train(run, make, folder, config):
  """Trains one model, by minutes or by epochs.

  Args:
    run: `Run`.
    make: function from the values of the settings to the model.
    folder: `str`, within that of the run.
    config: `dict`, values of the settings.

  Returns:
    model: the model.
    record: the record of its training.
  """
  by_clock = not config['epochs']
  with run.strategy.scope():
    distribution = make(config)
    model = training.DistributionModel(
      distribution, seed=config['seed'], max_skipped_steps=_MAX_SKIPPED_STEPS
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
  return distribution, record


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
