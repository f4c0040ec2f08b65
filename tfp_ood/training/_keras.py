# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""What Keras asks of the training of a distribution."""

import keras
import tensorflow as tf
import tf_keras

__all__ = ['check_optimizer', 'regularization_loss', 'trainable_variables']


def check_optimizer(optimizer, owner):
  """Raises `TypeError` if an optimizer is one of Keras 3.

  Args:
    optimizer: what a user gave to `compile`.
    owner: Python `str`, what the message starts with.
  """
  if isinstance(optimizer, keras.optimizers.Optimizer):
    raise TypeError(
      f'{owner}: {type(optimizer).__name__} is an optimizer of Keras 3; take that '
      'of tf_keras.optimizers, or tfp_ood.training.adam.'
    )


def trainable_variables(module):
  """Returns the variables that Keras would train.

  A layer with `trainable = False` is frozen, and so are the layers inside it;
  their variables do not say so themselves.

  Args:
    module: `tf.Module`, such as a distribution.

  Returns:
    List of `tf.Variable`s.
  """
  frozen = {
    id(variable)
    for layer in _layers_in(module)
    for variable in _non_trainable_variables(layer)
  }
  return [v for v in module.trainable_variables if id(v) not in frozen]


def regularization_loss(module):
  """Returns the sum of the losses that layers add, such as regularizers.

  Args:
    module: `tf.Module`, such as a distribution.

  Returns:
    Scalar float32 `Tensor`.
  """
  layers = _layers_in(module)
  # A layer's losses are those of its parts too.
  parts = {
    id(part)
    for layer in layers
    if isinstance(layer, tf.Module)
    for part in layer.submodules
  }
  losses = [
    loss for layer in layers if id(layer) not in parts for loss in layer.losses
  ]
  return tf.add_n([tf.zeros([]), *(tf.cast(x, tf.float32) for x in losses)])


def _layers_in(module):
  """Lists the layers of Keras 2 and 3 that a module holds."""
  kinds = tf_keras.layers.Layer, keras.Layer
  return list(module._flatten(predicate=lambda x: isinstance(x, kinds)))


def _non_trainable_variables(layer):
  if isinstance(layer, keras.Layer):
    return [weight.value for weight in layer.non_trainable_variables]
  return layer.non_trainable_variables
