# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Keeping the weights of a trained distribution."""

import tensorflow as tf

from tfp_ood.training._checkpoints import check_checkpoint

__all__ = ['load_weights', 'save_weights']


def save_weights(distribution, path):
  """Writes all variables of a distribution to a checkpoint.

  Args:
    distribution: `tfp.distributions.Distribution`.
    path: prefix of the files to write.
  """
  _checkpoint(distribution).write(path)


def load_weights(distribution, path):
  """Restores what `save_weights` wrote, into a distribution built alike.

  Args:
    distribution: `tfp.distributions.Distribution`.
    path: prefix of the files, as given to `save_weights`.

  Raises:
    ValueError: if the files are absent or damaged, or belong to a distribution
      with other variables.
  """
  try:
    check_checkpoint(path)
    _checkpoint(distribution).read(path).assert_consumed()
  except (tf.errors.OpError, AssertionError, ValueError) as error:
    raise ValueError(
      f'The weights at {path} cannot be read into {distribution.name}: they '
      'are absent, damaged or of another model. Train again, in another '
      f'folder. ({error})'
    ) from error


def _checkpoint(distribution):
  # By position: two distributions built by the same code list alike.
  return tf.train.Checkpoint(variables=list(distribution.variables))
