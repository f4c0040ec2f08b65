# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""What recipes of models with a likelihood share: their training and their scores."""

import functools

from tfp_ood import datasets, evaluation, stats, training
from tfp_ood.recipes._background_choices import (
  background_choices,
  background_folder,
)
from tfp_ood.recipes.recipe import Setting, SettingError

__all__ = [
  'EVALUATION_SETTINGS',
  'SCORES',
  'names_of_scores',
  'train',
  'train_with_others',
  'training_settings',
]

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
  'mutation_rate': Setting(
    0.1,
    'Share mutated in background training images.',
    minimum=0.0,
    maximum=1.0,
  ),
  'mutation_rates': Setting(
    [],
    'Several rates in the place of mutation_rate: one background model is trained for '
    'each pair of a rate and a weight decay, and the best by validation_dataset is '
    'taken.',
    minimum=0.0,
    maximum=1.0,
    entries=float,
  ),
  'weight_decay': Setting(
    0.0,
    'Weight decay of the background model.',
    minimum=0.0,
  ),
  'weight_decays': Setting(
    [],
    'Several weight decays in the place of weight_decay; see mutation_rates.',
    minimum=0.0,
    entries=float,
  ),
  'validation_dataset': Setting(
    'sample_digits',
    'Images out of distribution to choose the background model by; not one of those '
    'that are reported.',
  ),
  'background_dataset': Setting('', 'Other data for the background model.'),
  'background_minutes': Setting(0.0, 'Its minutes, if not those of the model.'),
  'ensemble_size': Setting(4, 'Number of models for waic.', minimum=2),
  'ensemble_minutes': Setting(0.0, 'Their minutes, if not those of the model.'),
}
_MAX_SKIPPED_STEPS = 10
_NUM_VALIDATION = 1_000
_WARMUP_STEPS = 100


def training_settings(batch_size=64, learning_rate=1e-3):
  """Returns the settings of training, by name, with these defaults.

  Args:
    batch_size: Python `int`, or a tuple of those of the presets.
    learning_rate: Python `float`, or a tuple of those of the presets.
  """
  return {
    'batch_size': Setting(batch_size, 'Examples of a training step.'),
    'learning_rate': Setting(
      learning_rate,
      "Adam's rate, after a warm-up; minutes end with a rate of zero.",
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
    sections: list of `tfp_ood.reporting.Section`s of how others were chosen, and of
      how all were trained.
  """
  asked, config, names = run.evaluation, run.model, names_of_scores(run)
  needs_background = 'likelihood_ratio' in names
  choices = _checked_choices(run) if needs_background else {}
  model, record = train(run, make, '', config)
  others, sections, records = {}, [], {'model': record}
  minutes = config['train_minutes']
  if needs_background:
    background, choice = _background(run, make, model, choices, records)
    others['background'] = background
    sections += choice
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
  return model, others, [*sections, evaluation.training_curves(records)]


def _checked_choices(run):
  """Returns what to choose from, or raises for what would fail after training."""
  asked = run.evaluation
  if asked['background_dataset']:
    run.load('train', asked['background_dataset'])
  choices = background_choices(
    asked['mutation_rates'] or [asked['mutation_rate']],
    asked['weight_decays'] or [asked['weight_decay']],
  )
  if len(choices) > 1:
    name = asked['validation_dataset']
    if name in (run.model['in_distribution'], *asked['out_of_distribution']):
      raise SettingError(
        f'validation_dataset: {name} is reported; a background model that was chosen '
        'by it would make its AUROC too good. Name another data set.'
      )
    run.load('train', name)
  return choices


def _background(run, make, model, choices, records):
  """Trains background models, and returns the best and how it was chosen."""
  asked = run.evaluation
  backgrounds = {}
  for name, (rate, decay) in choices.items():
    changes = {
      'mutation_rate': rate,
      'weight_decay': decay,
      'background_dataset': asked['background_dataset'],
      'train_minutes': (
        asked['background_minutes'] or run.model['train_minutes']
      ),
    }
    folder = (
      background_folder(rate, decay) if len(choices) > 1 else 'background'
    )
    backgrounds[name], records[folder] = train(
      run, make, folder, run.model | changes
    )
  if len(choices) == 1:
    (background,) = backgrounds.values()
    return background, []
  name = asked['validation_dataset']
  chosen, section = evaluation.choose_background(
    model,
    backgrounds,
    # All models have seen these alike, and no result is of them.
    run.load('train', limit=_NUM_VALIDATION),
    {f'{name} train': run.load('train', name, limit=_NUM_VALIDATION)},
  )
  return backgrounds[chosen], [section]


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
