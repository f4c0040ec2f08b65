# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""What Keras asks of the training of a distribution."""

import keras
import tensorflow as tf
import tf_keras

from tfp_ood._third_party import inner_layers, leaves_of_module
from tfp_ood.networks.tracking import keras_layers

__all__ = [
  'check_constraints',
  'check_no_activity_regularizers',
  'check_no_batch_normalization',
  'check_optimizer',
  'check_weights_format',
  'regularization_loss',
  'trainable_variables',
]

_LAYERS = tf_keras.layers.Layer, keras.Layer
_BATCH_NORMALIZATIONS = (
  tf_keras.layers.BatchNormalization,
  tf_keras.layers.experimental.SyncBatchNormalization,
  keras.layers.BatchNormalization,
)
_LAYERS_ALONE = '.h5', '.hdf5', '.keras'


def check_optimizer(optimizer, owner):
  """Raises `TypeError` if an optimizer is one of Keras 3.

  Args:
    optimizer: what a user gave to `compile`.
    owner: Python `str`, what the message starts with.
  """
  if isinstance(optimizer, keras.optimizers.Optimizer):
    name = type(optimizer).__name__
    raise TypeError(
      f'{owner}: the optimizer {name} is of Keras 3; take one of '
      'tf_keras.optimizers, or tfp_ood.training.adam.'
    )


def check_constraints(module, owner):
  """Raises `ValueError` if a Keras 3 layer constrains a weight.

  The optimizers of tf_keras apply constraints of tf_keras alone.

  Args:
    module: `tf.Module`, such as a distribution.
    owner: Python `str`, what the message starts with.
  """
  for layer in leaves_of_module(module, keras.Layer):
    for weight in layer.trainable_weights:
      if weight.constraint is not None:
        raise ValueError(
          f'{owner}: the weight {weight.path} of a Keras 3 layer has a constraint, '
          'which would not be applied. Take a layer of tf_keras.'
        )


def check_no_batch_normalization(module, owner):
  """Raises `ValueError` if a layer normalizes by a batch that is divided.

  Args:
    module: `tf.Module`, such as a distribution.
    owner: Python `str`, what the message starts with.
  """
  for layer in _all_layers(module):
    if isinstance(layer, _BATCH_NORMALIZATIONS):
      raise ValueError(
        f'{owner}: the layer {layer.name} normalizes by the batch, of which each '
        'core has a part only. Train this model without `divide_batches`.'
      )


def check_no_activity_regularizers(module, owner):
  """Raises `ValueError` if a Keras layer of a module regularizes its activity.

  Args:
    module: `tf.Module`, such as a distribution.
    owner: Python `str`, what the message starts with.
  """
  for layer in _all_layers(module):
    if getattr(layer, 'activity_regularizer', None) is not None:
      raise ValueError(
        f'{owner}: the layer {layer.name} has an activity regularizer, which '
        'cannot be applied here. Regularize its weights instead.'
      )


def _all_layers(module):
  """Lists the Keras layers of a module, and those inside of them."""
  return [
    layer
    for outermost in keras_layers(module)
    for layer in (outermost, *inner_layers(outermost))
  ]


def check_weights_format(path, save_format, owner):
  """Raises `ValueError` if a file of weights would hold those of layers alone.

  Args:
    path: `str` or `os.PathLike`, as `tf_keras.Model.save_weights` takes it.
    save_format: `str` or `None`, likewise.
    owner: Python `str`, what the message starts with.
  """
  is_hdf5 = f'.{save_format}' in _LAYERS_ALONE
  if is_hdf5 or str(path).endswith(_LAYERS_ALONE):
    raise ValueError(
      f'{owner}: an HDF5 file would leave out the variables of the distribution, '
      f'which is not a Keras layer. Take a path without an extension, got {path}.'
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
  layers = leaves_of_module(module, _LAYERS)
  if isinstance(module, _LAYERS):
    layers.append(module)
  frozen = {id(v) for layer in layers for v in _non_trainable_variables(layer)}
  return [v for v in module.trainable_variables if id(v) not in frozen]


def regularization_loss(module, dtype):
  """Returns the sum of the losses that layers add, such as regularizers.

  Args:
    module: `tf.Module`, such as a distribution.
    dtype: floating dtype.

  Returns:
    Scalar `Tensor` of that dtype.
  """
  losses = [loss for layer in keras_layers(module) for loss in layer.losses]
  return tf.add_n([tf.zeros([], dtype), *(tf.cast(x, dtype) for x in losses)])


def _non_trainable_variables(layer):
  if isinstance(layer, keras.Layer):
    return [weight.value for weight in layer.non_trainable_variables]
  return layer.non_trainable_variables
