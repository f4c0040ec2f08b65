# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Batch normalization as an affine map that can be rendered."""

import tensorflow as tf

from tfp_ood.networks._affine_map import AffineMap

__all__ = [
  'NormalizationMap',
  'batch_moments',
  'broadcast_parameters',
  'check_no_virtual_batches',
]


class NormalizationMap(AffineMap):
  """What a layer of batch normalization does, in evaluation and in training.

  Keras computes the outputs and moves the averages. To a rendering, the adjoint
  of the network, the statistics of the batch are constants, as those of
  evaluation are. They are part of the coefficients, a scale and an offset,
  through which the gradient of a loss does go.
  """

  has_coefficients = True

  def __init__(self, layer, absolute=None, is_trained=True):
    """Instantiates the map.

    Args:
      layer: built `BatchNormalization` of `tf_keras` or Keras 3.
      absolute: see `AffineMap`.
      is_trained: Python `bool`. If not, the layer does in training what it does
        in evaluation.

    Raises:
      ValueError: if the layer has a `virtual_batch_size`.
    """
    check_no_virtual_batches(layer)
    super().__init__(
      layer.name,
      lambda inputs: layer(inputs[0], training=False),
      absolute,
      lambda inputs: layer(inputs[0], training=is_trained),
    )
    self._layer = layer
    self._is_trained = is_trained

  def __call__(self, inputs, training=False, coefficients=None):
    """Normalizes; see `AffineMap`."""
    if coefficients is not None:
      return _multiply_add(inputs[0], *coefficients)
    return super().__call__(inputs, training)

  def _coefficients(self, x, training):
    """Returns scale and offset, so that the output is `scale * x + offset`.

    In evaluation the offset is not needed, and `None`.
    """
    layer = self._layer
    gamma, beta = broadcast_parameters(layer, x, layer.gamma, layer.beta)
    # Keras runs a frozen layer in inference mode.
    if training and self._is_trained and layer.trainable:
      self._check_can_be_rendered()
      mean, variance = batch_moments(layer, x)
    else:
      mean, variance = broadcast_parameters(
        layer, x, layer.moving_mean, layer.moving_variance
      )
    scale = tf.math.rsqrt(variance + layer.epsilon)
    scale = scale if gamma is None else scale * gamma
    if not training:
      return scale, None
    offset = -mean * scale
    return scale, offset if beta is None else offset + beta

  def call_and_transpose(self, inputs, training=False, coefficients=None):
    """Normalizes, and returns the transpose too; see `AffineMap`."""
    given = coefficients
    if coefficients is None:
      coefficients = self._coefficients(inputs[0], training)
    output = self(inputs, training, given)
    scale, _ = coefficients

    def transpose(h):
      return [tf.cast(_multiply_add(h, scale, None), inputs[0].dtype)]

    return output, transpose, coefficients

  def _check_can_be_rendered(self):
    layer = self._layer
    strategy = tf.distribute.get_strategy()
    options = {
      '`renorm`': getattr(layer, 'renorm', False),
      'an `adjustment`': getattr(layer, 'adjustment', None) is not None,
      '`synchronized` statistics': getattr(layer, 'synchronized', False)
      and strategy.num_replicas_in_sync > 1,
    }
    for option, is_used in options.items():
      if is_used:
        raise ValueError(
          f'The layer {layer.name} (BatchNormalization) has {option}: a network '
          'with it cannot be rendered in training.'
        )


def check_no_virtual_batches(layer):
  """Raises if batch normalization splits its batches into virtual ones."""
  if getattr(layer, 'virtual_batch_size', None):
    raise ValueError(
      f'The layer {layer.name} (BatchNormalization) has a `virtual_batch_size`, '
      'which is not supported.'
    )


def batch_moments(layer, x):
  """Returns the statistics of a batch by which a layer normalizes it.

  Args:
    layer: `BatchNormalization` of `tf_keras` or Keras 3, of any `axis`.
    x: `Tensor` of shape `[batch, ...]`.

  Returns:
    mean: `Tensor` that broadcasts with `x`, at least float32.
    variance: the same.
  """
  # Half precision would overflow in the variance of many pixels.
  x = tf.cast(x, _wide(x.dtype))
  others = [i for i in range(x.shape.rank) if i not in _axes(layer, x)]
  return tf.nn.moments(x, others, keepdims=True)


def broadcast_parameters(layer, x, *parameters):
  """Returns the parameters of a layer in shapes that broadcast with its input.

  Args:
    layer: `BatchNormalization` of `tf_keras` or Keras 3, of any `axis`.
    x: `Tensor` of shape `[batch, ...]`.
    *parameters: variables of the layer, or `None`.

  Returns:
    List of `Tensor`s, or `None` where a parameter is.
  """
  axes = _axes(layer, x)
  shape = [x.shape[i] if i in axes else 1 for i in range(x.shape.rank)]
  tensors = [None if p is None else tf.convert_to_tensor(p) for p in parameters]
  if axes == {x.shape.rank - 1}:
    return tensors  # The last axis broadcasts as it is.
  return [None if t is None else tf.reshape(t, shape) for t in tensors]


def _axes(layer, x):
  axis = [layer.axis] if isinstance(layer.axis, int) else layer.axis
  return {index % x.shape.rank for index in axis}


def _multiply_add(x, scale, offset):
  """Computes in the dtype of the coefficients, and returns that of `x`."""
  result = tf.cast(x, scale.dtype) * scale
  return tf.cast(result if offset is None else result + offset, x.dtype)


def _wide(dtype):
  return tf.float32 if dtype.size < 4 else dtype
