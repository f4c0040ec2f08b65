# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The experiment behind the example scripts: train flows, score data sets.

Each script names its data sets and calls `main`. The folder of a run holds

  configuration.json, weights, training.json   the model
  background/, ensemble_1/, ...                other models, where scores need them
  statistics/                                  of each data set, image by image
  scores.npz, results.json, report.html        what came out
  saved_model/, detector/                      for programs with only TensorFlow

A run that was interrupted goes on when its command is given again, and one that
is complete takes up what new --scores need beside what it has.
"""

import importlib.metadata
import os
import platform
import sys
import time

# Quiet TensorFlow's start-up, unless the user asked for more.
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')

import flow_evaluation
import flow_report
import flow_training
from absl import app, flags, logging

import tfp_ood

__all__ = ['main']

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

_DATA_FLAG = flags.DEFINE_enum(
  'data',
  'tfds',
  ['tfds', 'sample'],
  'tfds: data sets of --data_dir; sample: photographs and handwritten digits, '
  'bundled, no download.',
)
_DATA_DIR = flags.DEFINE_string(
  'data_dir',
  None,
  'Folder of prepared TFDS data sets. Default: that of TFDS, '
  '~/tensorflow_datasets.',
)
_IN_DISTRIBUTION = flags.DEFINE_string(
  'in_distribution',
  None,
  'TFDS name of the data set to train on. Default: by --data.',
)
_TRAIN_SPLIT = flags.DEFINE_string(
  'train_split', 'train', 'Its split to train on, such as "train[:80%]".'
)
_TEST_SPLIT = flags.DEFINE_string(
  'test_split', 'test', 'Its split to test on, and to calibrate on.'
)
_OUT_OF_DISTRIBUTION = flags.DEFINE_list(
  'out_of_distribution',
  None,
  'TFDS names of the data sets to compare with, by their test splits. Images '
  'of another size are cropped or padded with black, grey ones become colour '
  'ones. Default: by --data.',
)
_MODEL = flags.DEFINE_enum(
  'model',
  'glow',
  sorted(flow_training.MODELS),
  'The flow: Glow, or constant-volume Glow.',
)
_PRESET = flags.DEFINE_enum(
  'preset',
  None,
  sorted(_PRESETS),
  'Size of the model: tiny (3 levels x 4 steps, 32 hidden channels), small '
  '(3 x 8, 128) or paper (3 x 32, 512); images of 28 x 28 have 2 levels. '
  'Default: tiny for --data=sample, else small.',
)
_TRAIN_MINUTES = flags.DEFINE_float(
  'train_minutes',
  None,
  'Minutes of training, interruptions not counted. Default: 1 for tiny, 30 for '
  f'small; paper trains for {_PAPER_EPOCHS} epochs.',
  lower_bound=1e-3,
)
_EPOCHS = flags.DEFINE_integer(
  'epochs',
  None,
  'Epochs of training, instead of --train_minutes; of every model.',
  lower_bound=1,
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
_WEIGHT_DECAY = flags.DEFINE_float(
  'weight_decay', 0.0, 'Weight decay of the background model.', lower_bound=0.0
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
_LEARNING_RATE = flags.DEFINE_float('learning_rate', 1e-3, "Adam's rate.")
_PRECISION = flags.DEFINE_enum(
  'precision',
  'float32',
  ['float32', 'bfloat16'],
  'Precision of the convolutions; everything else is float32. bfloat16 is '
  'faster where the processor has it.',
)
_NUM_EVALUATED = flags.DEFINE_integer(
  'num_evaluated',
  10_000,
  'At most so many images of each data set are scored.',
  lower_bound=4,
)
_STRATEGY = flags.DEFINE_enum(
  'strategy',
  'default',
  tfp_ood.training.STRATEGIES,
  'Devices to train on: one, all of this machine, or those of TF_CONFIG.',
)
_TENSORBOARD = flags.DEFINE_bool(
  'tensorboard',
  False,
  'Also write TensorBoard logs; needs `pip install tensorboard`.',
)
_OUTPUT_DIR = flags.DEFINE_string(
  'output_dir', None, 'Default: outputs/MODEL_PRESET_IN-DISTRIBUTION.'
)
_SEED = flags.DEFINE_integer(
  'seed', 0, 'Seed of weights, data order and noise.'
)


def main(argv, data):
  """Runs the experiment that the flags describe.

  Args:
    argv: the command line without flags, from `absl.app.run`.
    data: `dict` from the values of --data to the in-distribution data set and
      the list of the others.
  """
  if len(argv) > 1:
    raise app.UsageError(f'Unknown arguments: {argv[1:]}.')
  # TensorFlow reports every file that it writes.
  logging.set_verbosity(logging.WARNING)
  start = time.monotonic()
  config = _model_configuration(data)
  evaluation = _evaluation_configuration(data, config)
  output_dir = _OUTPUT_DIR.value or os.path.join(
    'outputs',
    f'{config["model"]}_{config["preset"]}_{config["in_distribution"]}',
  )
  results_path = os.path.join(output_dir, 'results.json')
  report_path = os.path.join(output_dir, 'report.html')
  if _is_complete(results_path, output_dir, config, evaluation):
    print(f'The run is complete: {report_path}')
    return

  # Before anything else runs: several workers must find one another first.
  strategy = tfp_ood.training.make_strategy(config['strategy'])
  # Before hours of training: are all the data sets there?
  datasets = flow_evaluation.datasets(evaluation, config, _DATA_DIR.value)
  models, trainings = _train_all(config, evaluation, output_dir, strategy)
  if not flow_training.is_chief(strategy):
    return
  flow = models['']
  tfp_ood.training.export_saved_model(
    flow, os.path.join(output_dir, 'saved_model')
  )
  results = {
    'command': ' '.join(['python', *sys.argv]),
    'configuration': config,
    'evaluation': evaluation,
    'versions': _versions(),
    'training': trainings.pop(''),
    'training_of_others': trainings,
  }
  found, arrays = flow_evaluation.evaluate(
    models, datasets, evaluation, config, output_dir
  )
  results |= found
  results['seconds'] = time.monotonic() - start
  tfp_ood.reporting.write_arrays(os.path.join(output_dir, 'scores.npz'), arrays)
  flow_report.write_report(output_dir, results, arrays)
  # Last: this file says that the run is complete.
  tfp_ood.reporting.write_results(results_path, results)
  flow_report.print_summary(results)
  print(f'Report: {report_path}')


def _model_configuration(data):
  """Returns everything that decides what the model will be, from the flags."""
  preset = _PRESET.value or (
    'tiny' if _DATA_FLAG.value == 'sample' else 'small'
  )
  config = dict(_PRESETS[preset])
  minutes = config.pop('minutes')
  epochs = _EPOCHS.value
  if _TRAIN_MINUTES.value is not None:
    if epochs is not None:
      raise app.UsageError('Give --train_minutes or --epochs, not both.')
    minutes = _TRAIN_MINUTES.value
  elif epochs is None and not minutes:
    epochs = _PAPER_EPOCHS
  in_distribution, others = data[_DATA_FLAG.value]
  name = _IN_DISTRIBUTION.value or in_distribution
  # Each level halves the sides: 28 x 28 is good for two.
  side = _image_shape(f'{name}/{_TRAIN_SPLIT.value}')[0]
  while side % 2 ** config['num_levels']:
    config['num_levels'] -= 1
  return config | {
    'in_distribution': name,
    'train_split': _TRAIN_SPLIT.value,
    'test_split': _TEST_SPLIT.value,
    'watched': (_OUT_OF_DISTRIBUTION.value or others)[:1],
    'model': _MODEL.value,
    'preset': preset,
    'train_minutes': None if epochs else minutes,
    'epochs': epochs,
    'learning_rate': _LEARNING_RATE.value,
    'precision': _PRECISION.value,
    # Storing the activations is faster where they fit into memory.
    'recompute': preset == 'paper',
    'strategy': _STRATEGY.value,
    'seed': _SEED.value,
    'mutation_rate': 0.0,
    'weight_decay': 0.0,
  }


def _image_shape(name):
  dataset = tfp_ood.datasets.load(name, data_dir=_DATA_DIR.value)
  return dataset.element_spec[0].shape[1:]


def _evaluation_configuration(data, config):
  """Returns everything else that decides the results."""
  unknown = set(_SCORES.value) - set(flow_evaluation.SCORES)
  if unknown:
    raise app.UsageError(
      f'Unknown --scores: {", ".join(sorted(unknown))}. There are '
      f'{", ".join(flow_evaluation.SCORES)}.'
    )
  evaluation = {
    # The likelihood stands beside every remedy.
    'scores': list(dict.fromkeys([_DEFAULT_SCORES[0], *_SCORES.value])),
    'out_of_distribution': (
      _OUT_OF_DISTRIBUTION.value or data[_DATA_FLAG.value][1]
    ),
    'num_evaluated': _NUM_EVALUATED.value,
  }
  minutes = config['train_minutes']
  if 'likelihood_ratio' in evaluation['scores']:
    evaluation['background'] = {
      'mutation_rate': _MUTATION_RATE.value,
      'weight_decay': _WEIGHT_DECAY.value,
      **_background_data(config),
      'train_minutes': minutes and (_BACKGROUND_MINUTES.value or minutes),
    }
  if 'waic' in evaluation['scores']:
    evaluation['ensemble'] = {
      'size': _ENSEMBLE_SIZE.value,
      'train_minutes': minutes and (_ENSEMBLE_MINUTES.value or minutes),
    }
  return evaluation


def _background_data(config):
  if _BACKGROUND_DATASET.value is None:
    return {}
  return {
    'in_distribution': _BACKGROUND_DATASET.value,
    'train_split': 'train',
    'test_split': 'test',
  }


def _is_complete(results_path, output_dir, config, evaluation):
  """Whether a run of the same flags has ended; refuses one of other flags."""
  if not os.path.exists(results_path):
    return False
  try:
    flow_training.check_configuration(
      os.path.join(output_dir, 'configuration.json'), config
    )
  except flow_training.OtherSettingsError as error:
    raise app.UsageError(str(error)) from error
  results = tfp_ood.reporting.read_results(results_path)
  return results['evaluation'] == evaluation


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
    _image_shape(flow_training.train_name(model_config))
    _image_shape(flow_training.test_name(model_config))
  image_shape = _image_shape(flow_training.train_name(config))
  flows, trainings = {}, {}
  for folder, model_config in configs.items():
    if folder:
      print(f'{folder}:')
    try:
      flows[folder], trainings[folder] = flow_training.train(
        model_config,
        os.path.join(output_dir, folder),
        image_shape,
        strategy,
        _DATA_DIR.value,
        tensorboard=_TENSORBOARD.value,
      )
    except flow_training.OtherSettingsError as error:
      raise app.UsageError(str(error)) from error
  return flows, trainings


def _versions():
  packages = ('tensorflow', 'tensorflow-probability', 'tf-keras', 'numpy')
  return {
    'tfp_ood': tfp_ood.__version__,
    'python': platform.python_version(),
    **{package: importlib.metadata.version(package) for package in packages},
  }
