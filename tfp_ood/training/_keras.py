# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""What Keras asks of the training of a distribution."""

import keras
import tensorflow as tf
import tf_keras

from tfp_ood._third_party import leaves_of_module
from tfp_ood.networks.tracking import keras_layers

__all__ = ['check_optimizer', 'regularization_loss', 'trainable_variables']

_LAYERS = tf_keras.layers.Layer, keras.Layer


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
    for layer in leaves_of_module(module, _LAYERS)
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
  losses = [loss for layer in keras_layers(module) for loss in layer.losses]
  return tf.add_n([tf.zeros([]), *(tf.cast(x, tf.float32) for x in losses)])


def _non_trainable_variables(layer):
  if isinstance(layer, keras.Layer):
    return [weight.value for weight in layer.non_trainable_variables]
  return layer.non_trainable_variables
