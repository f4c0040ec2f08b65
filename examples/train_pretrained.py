# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Trains the models whose weights are bundled, and measures them.

  python examples/train_pretrained.py --data_dir=PATH --name=glow_cifar10
  python examples/train_pretrained.py --help  # Lists all names.

Writes NAME.npz, for `tfp_ood.pretrained.load_model`, and a report of what the model
is worth, to --output_dir/NAME. The same command again resumes what was interrupted.
"""

import dataclasses
import os

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')

from absl import flags

_SHAPES = {'cifar10': [32, 32, 3], 'fashion_mnist': [28, 28, 1]}
_OTHERS = {
  'cifar10': ('svhn_cropped', 'fashion_mnist', 'mnist'),
  'fashion_mnist': ('mnist', 'svhn_cropped', 'cifar10'),
}
_NUM_VALIDATION = 1_000


@dataclasses.dataclass(frozen=True)
class Plan:
  """How one model is made and trained.

  Attributes:
    kind: `str`, the function that makes it; see `tfp_ood.pretrained.FACTORIES`.
    dataset: `str`, what it is trained on.
    arguments: `dict`, those of the function.
    minutes: of training.
    learning_rate: Adam's, the largest.
    batch_size: examples of a step.
    mirror: whether every other training image is mirrored.
  """

  kind: str
  dataset: str
  arguments: dict
  minutes: float
  learning_rate: float = 1e-3
  batch_size: int = 64
  mirror: bool = True


def _flow(kind, dataset, minutes):
  num_levels = 3 if dataset == 'cifar10' else 2
  arguments = {
    'image_shape': _SHAPES[dataset],
    'num_levels': num_levels,
    'num_steps': 8,
    'hidden_channels': 128,
  }
  return Plan(kind, dataset, arguments, minutes)


def _autoencoder(dataset, minutes):
  arguments = {
    'image_shape': _SHAPES[dataset],
    'latent_size': 100,
    'hidden_channels': 32,
  }
  return Plan(
    'variational_autoencoder', dataset, arguments, minutes, batch_size=128
  )


def _classifier(dataset, minutes):
  arguments = {'input_shape': _SHAPES[dataset], 'width': 0.5}
  return Plan(
    'small_resnet',
    dataset,
    arguments,
    minutes,
    learning_rate=3e-3,
    batch_size=128,
  )


_PLANS = {
  f'{plan.kind}_{plan.dataset}': plan
  for plan in (
    _flow('glow', 'cifar10', 80.0),
    _flow('glow', 'fashion_mnist', 15.0),
    _flow('constant_volume_glow', 'cifar10', 15.0),
    _flow('constant_volume_glow', 'fashion_mnist', 8.0),
    _autoencoder('cifar10', 5.0),
    _autoencoder('fashion_mnist', 3.0),
    _classifier('cifar10', 10.0),
    _classifier('fashion_mnist', 4.0),
  )
}

_NAME = flags.DEFINE_enum('name', None, sorted(_PLANS), 'The model.')
_MINUTES = flags.DEFINE_float('minutes', None, 'In the place of its minutes.')
_DATA_DIR = flags.DEFINE_string(
  'data_dir', None, 'Folder of prepared TFDS data sets. Default: that of TFDS.'
)
_OUTPUT_DIR = flags.DEFINE_string('output_dir', 'outputs/pretrained', 'Folder.')
_NUM_EVALUATED = flags.DEFINE_integer(
  'num_evaluated', 10_000, 'At most so many images of each data set are scored.'
)
flags.mark_flag_as_required('name')
