# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The flags that all families of models share."""

from absl import flags

import tfp_ood

__all__ = [
  'DATA',
  'DATA_DIR',
  'EPOCHS',
  'IN_DISTRIBUTION',
  'LEARNING_RATE',
  'NUM_EVALUATED',
  'OUTPUT_DIR',
  'OUT_OF_DISTRIBUTION',
  'PRESET',
  'SEED',
  'STRATEGY',
  'TENSORBOARD',
  'TEST_SPLIT',
  'TRAIN_SPLIT',
  'WEIGHT_DECAY',
  'preset',
]

DATA = flags.DEFINE_enum(
  'data',
  'tfds',
  ['tfds', 'sample'],
  'tfds: data sets of --data_dir; sample: photographs and handwritten digits, '
  'bundled, no download.',
)
DATA_DIR = flags.DEFINE_string(
  'data_dir',
  None,
  'Folder of prepared TFDS data sets. Default: that of TFDS, '
  '~/tensorflow_datasets.',
)
IN_DISTRIBUTION = flags.DEFINE_string(
  'in_distribution',
  None,
  'TFDS name of the data set to train on. Default: by --data.',
)
TRAIN_SPLIT = flags.DEFINE_string(
  'train_split', 'train', 'Its split to train on, such as "train[:80%]".'
)
TEST_SPLIT = flags.DEFINE_string(
  'test_split', 'test', 'Its split to test on, and to calibrate on.'
)
OUT_OF_DISTRIBUTION = flags.DEFINE_list(
  'out_of_distribution',
  None,
  'TFDS names of the data sets to compare with, by their test splits. Images '
  'of another size are cropped or padded with black, grey ones become colour '
  'ones. Default: by --data.',
)
PRESET = flags.DEFINE_enum(
  'preset',
  None,
  ['paper', 'small', 'tiny'],
  'Size of the model and length of its training. Flows: tiny (3 levels x 4 '
  'steps, 32 hidden channels, 1 minute), small (3 x 8, 128, 30 minutes) or '
  'paper (3 x 32, 512, 250 epochs); images of 28 x 28 have 2 levels. nrm: tiny '
  '(a tenth of the channels, 2 + 2 epochs), small (a quarter, 8 + 5) or paper '
  '(all, 100 + 400). Autoencoders: tiny (8 channels, 16 latents, 10 epochs), '
  'small (32, 100, 10) or paper (64, 100, 200). Default: tiny for '
  '--data=sample, else small.',
)
EPOCHS = flags.DEFINE_integer(
  'epochs',
  None,
  'Epochs of training. Flows: instead of --train_minutes, and of every model. '
  'nrm: with all losses, after --classifier_epochs; default by --preset. '
  'Autoencoders: default by --preset.',
  lower_bound=1,
)
LEARNING_RATE = flags.DEFINE_float(
  'learning_rate',
  1e-3,
  "Adam's rate; for nrm, the largest of its cycle. Default for soft_intro_vae: "
  '.0002.',
)
WEIGHT_DECAY = flags.DEFINE_float(
  'weight_decay',
  None,
  'Weight decay: of the background model of a flow (default 0), or of the '
  'classifier of nrm (default .01).',
  lower_bound=0.0,
)
NUM_EVALUATED = flags.DEFINE_integer(
  'num_evaluated',
  10_000,
  'At most so many images of each data set are scored.',
  lower_bound=4,
)
STRATEGY = flags.DEFINE_enum(
  'strategy',
  'default',
  tfp_ood.training.STRATEGIES,
  'Devices to train on: one, all of this machine, or those of TF_CONFIG.',
)
TENSORBOARD = flags.DEFINE_bool(
  'tensorboard',
  False,
  'Also write TensorBoard logs; needs `pip install tensorboard`.',
)
OUTPUT_DIR = flags.DEFINE_string(
  'output_dir', None, 'Default: outputs/MODEL_PRESET_IN-DISTRIBUTION.'
)
SEED = flags.DEFINE_integer('seed', 0, 'Seed of weights, data order and noise.')


def preset():
  """Returns the name of the preset, by default that for --data."""
  return PRESET.value or ('tiny' if DATA.value == 'sample' else 'small')
