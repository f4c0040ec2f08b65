# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Variables of weights that a class names by a `dict`."""

import tensorflow as tf

__all__ = ['make_variables']


def make_variables(initial_weights, constants=(), prefix=''):
  """Returns a `tf.Variable` for each weight, under the same key.

  Args:
    initial_weights: `dict` of `Tensor`s or arrays.
    constants: collection of keys of those that are not trained.
    prefix: Python `str` before each key in the name of its variable.
  """
  return {
    key: tf.Variable(
      value, trainable=key not in constants, name=f'{prefix}{key}'
    )
    for key, value in initial_weights.items()
  }
