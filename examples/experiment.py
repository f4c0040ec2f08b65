# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The command line of the experiments: flags, and running a recipe."""

import os
import sys

# Quiet TensorFlow's start-up, unless the user asked for more.
os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')

import setting_flags
from absl import app, flags, logging

import tfp_ood

__all__ = ['main']

_RECIPES = tfp_ood.recipes.RECIPES

_MODEL = flags.DEFINE_enum('model', 'glow', _RECIPES, 'The model.')
_PRESET = flags.DEFINE_enum(
  'preset',
  None,
  tfp_ood.recipes.PRESETS,
  'Size of the model and length of its training. Default: tiny for '
  '--data=sample, else small.',
)
_DATA = flags.DEFINE_enum(
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
_OUT_OF_DISTRIBUTION = flags.DEFINE_list(
  'out_of_distribution',
  None,
  'TFDS names of the data sets to compare with, by their test splits. Images of '
  'another size are cropped or padded with black, gray ones become color ones. '
  'Default: by --data.',
)
_TRAIN_SPLIT = flags.DEFINE_string(
  'train_split', 'train', 'Split to train on, such as "train[:80%]".'
)
_TEST_SPLIT = flags.DEFINE_string(
  'test_split', 'test', 'Split to test on, and to calibrate on.'
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
_SHARD_FILES = flags.DEFINE_bool(
  'shard_files',
  False,
  'Let each worker of --strategy=multi_worker train on record files of its own, '
  'rather than read all and keep its share of each batch.',
)
_NUM_PARTS = flags.DEFINE_integer(
  'num_parts',
  1,
  'With the number of cores, each computes a part of every batch, which is faster '
  'than a part of every operation. Noise in training is then other noise.',
  lower_bound=1,
)
_TENSORBOARD = flags.DEFINE_bool(
  'tensorboard',
  False,
  'Also write TensorBoard logs; needs `pip install tensorboard`.',
)
_OUTPUT_DIR = flags.DEFINE_string(
  'output_dir', None, 'Default: outputs/MODEL_PRESET_IN-DISTRIBUTION.'
)


_SETTINGS = setting_flags.define(
  {
    model: recipe.model_settings | recipe.evaluation_settings
    for model, recipe in _RECIPES.items()
  }
)
# What --help lists.
flags.adopt_module_key_flags(setting_flags)


def main(argv, data):
  """Runs the experiment that the flags describe.

  Args:
    argv: the command line without flags, from `absl.app.run`.
    data: `dict` from the values of --data to the name of the in-distribution data
      set and the list of the others.
  """
  if len(argv) > 1:
    raise app.UsageError(f'Unknown arguments: {argv[1:]}.')
  # TensorFlow reports every file that it writes.
  logging.set_verbosity(logging.WARNING)
  if _NUM_PARTS.value > 1:
    tfp_ood.training.divide_batches(_NUM_PARTS.value)
  model, data_kind = _MODEL.value, _DATA.value
  in_distribution, others = data[data_kind]
  in_distribution = _IN_DISTRIBUTION.value or in_distribution
  preset = _PRESET.value or ('tiny' if data_kind == 'sample' else 'small')
  folder = _OUTPUT_DIR.value or os.path.join(
    'outputs', f'{model}_{preset}_{in_distribution}'
  )
  report = os.path.join(folder, 'report.html')
  try:
    run = tfp_ood.recipes.Run(
      _RECIPES[model],
      folder,
      in_distribution,
      _OUT_OF_DISTRIBUTION.value or others,
      preset=preset,
      settings={name: flags.FLAGS[name].value for name in _SETTINGS},
      num_evaluated=_NUM_EVALUATED.value,
      strategy=_STRATEGY.value,
      train_split=_TRAIN_SPLIT.value,
      test_split=_TEST_SPLIT.value,
      data_dir=_DATA_DIR.value,
      tensorboard=_TENSORBOARD.value,
      name=model,
      shard_files=_SHARD_FILES.value,
    )
    if run.is_complete():
      print(f'The run is complete: {report}')
      return
    evaluation = run.run(
      {
        'command': ' '.join(['python', *sys.argv]),
        'versions': setting_flags.versions(),
      }
    )
  except tfp_ood.training.OtherSettingsError as error:
    raise app.UsageError(f'{error} (The folder is --output_dir.)') from error
  except tfp_ood.recipes.SettingError as error:
    raise app.UsageError(f'--model={model}: {error}') from error
  if evaluation is not None:
    print(evaluation.summary())
    print(f'Report: {report}')
