# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The experiment with flows: what the flags ask for, and running it.

Beside what all runs have, the folder of a run holds

  weights, training.json                       the model
  background/, ensemble_1/, ...                other models, where scores need them
  saved_model/                                 for programs with only TensorFlow

A run that is complete takes up what new --scores need beside what it has.
"""

import os

import experiment_data
import experiment_flags
import experiment_folder
import flow_evaluation
import flow_training
from absl import app, flags
from flow_report import print_summary, write_report

import tfp_ood

__all__ = [
  'configuration',
  'evaluation',
  'print_summary',
  'run',
  'write_report',
]

_PRESETS = {
  'tiny': dict(
    num_levels=3, num_steps=4, hidden_channels=32, batch_size=64, minutes=1.0
  ),
  'small': dict(
    num_levels=3, num_steps=8, hidden_channels=128, batch_size=64, minutes=30.0
  ),
  'paper': dict(
    num_levels=3, num_steps=32, hidden_channels=512, batch_size=64, minutes=0.0
  ),
}
_PAPER_EPOCHS = 250
_DEFAULT_SCORES = [
  'negative_log_likelihood',
  'typicality',
  'input_complexity',
  'score_norm',
  'density_of_states_kde',
]

_TRAIN_MINUTES = flags.DEFINE_float(
  'train_minutes',
  None,
  'Minutes of training, interruptions not counted. Default: 1 for tiny, 30 for '
  f'small; paper trains for {_PAPER_EPOCHS} epochs.',
  lower_bound=1e-3,
)
_SCORES = flags.DEFINE_list(
  'scores',
  _DEFAULT_SCORES,
  'Scores to compare, of: '
  + ', '.join(flow_evaluation.SCORES)
  + '. likelihood_ratio trains a background model, waic an ensemble.',
)
_MUTATION_RATE = flags.DEFINE_float(
  'mutation_rate',
  0.1,
  "Share of the values mutated in the background model's training images.",
  lower_bound=0.0,
  upper_bound=1.0,
)
_BACKGROUND_DATASET = flags.DEFINE_string(
  'background_dataset',
  None,
  'TFDS name of the data set that the background model trains on, such as one '
  'of images in general. Default: that of --in_distribution.',
)
_BACKGROUND_MINUTES = flags.DEFINE_float(
  'background_minutes',
  None,
  'Minutes of training of the background model. Default: as the model.',
  lower_bound=1e-3,
)
_ENSEMBLE_SIZE = flags.DEFINE_integer(
  'ensemble_size', 4, 'Number of models for waic.', lower_bound=2
)
_ENSEMBLE_MINUTES = flags.DEFINE_float(
  'ensemble_minutes',
  None,
  'Minutes of training of each of them. Default: as the model.',
  lower_bound=1e-3,
)
_PRECISION = flags.DEFINE_enum(
  'precision',
  'float32',
  ['float32', 'bfloat16'],
  'Precision of the convolutions; everything else is float32. bfloat16 is '
  'faster where the processor has it.',
)


def configuration(model, data):
  """Returns everything that decides what the model will be, from the flags.

  Args:
    model: the value of --model.
    data: names of data sets: see `experiment.main`.

  Returns:
    `dict` of settings.
  """
  preset = experiment_flags.preset()
  config = dict(_PRESETS[preset])
  minutes = config.pop('minutes')
  epochs = experiment_flags.EPOCHS.value
  if _TRAIN_MINUTES.value is not None:
    if epochs is not None:
      raise app.UsageError('Give --train_minutes or --epochs, not both.')
    minutes = _TRAIN_MINUTES.value
  elif epochs is None and not minutes:
    epochs = _PAPER_EPOCHS
  name = experiment_flags.IN_DISTRIBUTION.value or data[0]
  # Each level halves the sides: 28 x 28 is good for two.
  side = _image_shape(f'{name}/{experiment_flags.TRAIN_SPLIT.value}')[0]
  while side % 2 ** config['num_levels']:
    config['num_levels'] -= 1
  return config | {
    'in_distribution': name,
    'train_split': experiment_flags.TRAIN_SPLIT.value,
    'test_split': experiment_flags.TEST_SPLIT.value,
    'watched': (experiment_flags.OUT_OF_DISTRIBUTION.value or data[1])[:1],
    'model': model,
    'preset': preset,
    'train_minutes': None if epochs else minutes,
    'epochs': epochs,
    'learning_rate': experiment_flags.LEARNING_RATE.value,
    'precision': _PRECISION.value,
    # Storing the activations is faster where they fit into memory.
    'recompute': preset == 'paper',
    'strategy': experiment_flags.STRATEGY.value,
    'seed': experiment_flags.SEED.value,
    'mutation_rate': 0.0,
    'weight_decay': 0.0,
  }


def evaluation(data, config):
  """Returns everything else that decides the results, from the flags.

  Args:
    data: names of data sets: see `experiment.main`.
    config: `dict`, as `configuration` returns it.

  Returns:
    `dict` of settings.
  """
  unknown = set(_SCORES.value) - set(flow_evaluation.SCORES)
  if unknown:
    raise app.UsageError(
      f'Unknown --scores: {", ".join(sorted(unknown))}. There are '
      f'{", ".join(flow_evaluation.SCORES)}.'
    )
  settings = {
    # The likelihood stands beside every remedy.
    'scores': list(dict.fromkeys([_DEFAULT_SCORES[0], *_SCORES.value])),
    'out_of_distribution': (
      experiment_flags.OUT_OF_DISTRIBUTION.value or data[1]
    ),
    'num_evaluated': experiment_flags.NUM_EVALUATED.value,
  }
  minutes = config['train_minutes']
  if 'likelihood_ratio' in settings['scores']:
    settings['background'] = {
      'mutation_rate': _MUTATION_RATE.value,
      'weight_decay': experiment_flags.WEIGHT_DECAY.value or 0.0,
      **_background_data(),
      'train_minutes': minutes and (_BACKGROUND_MINUTES.value or minutes),
    }
  if 'waic' in settings['scores']:
    settings['ensemble'] = {
      'size': _ENSEMBLE_SIZE.value,
      'train_minutes': minutes and (_ENSEMBLE_MINUTES.value or minutes),
    }
  return settings


def run(config, evaluation, output_dir, strategy):
  """Trains what is not trained yet, and scores what is not scored yet.

  Args:
    config: `dict`, as `configuration` returns it.
    evaluation: `dict`, as `evaluation` returns it.
    output_dir: folder of the run.
    strategy: `tf.distribute.Strategy`.

  Returns:
    The results and the arrays of the run; of a worker that writes no files,
    empty ones.
  """
  data_dir = experiment_flags.DATA_DIR.value
  # Before hours of training: are all the data sets there?
  datasets = flow_evaluation.datasets(evaluation, config, data_dir)
  models, trainings = _train_all(config, evaluation, output_dir, strategy)
  if not experiment_folder.is_chief(strategy):
    return {}, {}
  tfp_ood.training.export_saved_model(
    models[''], os.path.join(output_dir, 'saved_model')
  )
  found, arrays = flow_evaluation.evaluate(
    models, datasets, evaluation, config, output_dir
  )
  return {
    'training': trainings.pop(''),
    'training_of_others': trainings,
    **found,
  }, arrays


def _image_shape(name):
  return experiment_data.image_shape(name, experiment_flags.DATA_DIR.value)


def _background_data():
  if _BACKGROUND_DATASET.value is None:
    return {}
  return {
    'in_distribution': _BACKGROUND_DATASET.value,
    'train_split': 'train',
    'test_split': 'test',
  }


def _train_all(config, evaluation, output_dir, strategy):
  """Trains all models that the scores need.

  Returns:
    `dict`s of flows and of their trainings, by folder; the model's is ''.
  """
  configs = {'': config}
  if 'background' in evaluation:
    configs['background'] = config | evaluation['background']
  if 'ensemble' in evaluation:
    for member in range(1, evaluation['ensemble']['size'] + 1):
      configs[f'ensemble_{member}'] = config | {
        'seed': config['seed'] + member,
        'train_minutes': evaluation['ensemble']['train_minutes'],
      }
  # Before hours of training: are all the images there?
  for model_config in configs.values():
    _image_shape(experiment_data.train_name(model_config))
    _image_shape(experiment_data.test_name(model_config))
  image_shape = _image_shape(experiment_data.train_name(config))
  flows, trainings = {}, {}
  for folder, model_config in configs.items():
    if folder:
      print(f'{folder}:')
    flows[folder], trainings[folder] = flow_training.train(
      model_config,
      os.path.join(output_dir, folder),
      image_shape,
      strategy,
      experiment_flags.DATA_DIR.value,
      tensorboard=experiment_flags.TENSORBOARD.value,
    )
  return flows, trainings
