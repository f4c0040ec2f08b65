# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""What each kind of Keras layer computes, in affine maps and switches."""

import collections
import functools

import keras
import tensorflow as tf
import tf_keras

from tfp_ood.networks._affine_map import AffineMap
from tfp_ood.networks._batch_normalization import NormalizationMap
from tfp_ood.networks._keras_nodes import kind_of
from tfp_ood.networks.switch_layer import MaxPool, Rectifier

__all__ = ['Softmax', 'operations_of']

# Neither affine nor a switch.
Softmax = collections.namedtuple('Softmax', ['name'])

_CONVOLUTIONS = {
  'Conv2D',
  'Conv2DTranspose',
  'DepthwiseConv2D',
  'SeparableConv2D',
}
# Layers that Keras computes and that are affine.
_AFFINE = {
  'Add',
  'Average',
  'AveragePooling2D',
  'Concatenate',
  'Cropping2D',
  'Flatten',
  'GlobalAveragePooling2D',
  'Identity',
  'Normalization',
  'Permute',
  'Rescaling',
  'Reshape',
  'Subtract',
  'TemplateGain',
  'UpSampling2D',
  'ZeroPadding2D',
}
# Layers that draw random numbers in training; given these, they are affine.
_RANDOM = {'Dropout', 'GaussianDropout', 'GaussianNoise', 'SpatialDropout2D'}
# Operations that are not layers, of Keras 3 and of TensorFlow.
_SUMS = {'ops.Add', 'tf.__operators__.add', 'tf.math.add'}
_DIFFERENCES = {'Subtract', 'ops.Subtract', 'tf.math.subtract'}
_PRODUCTS = {'ops.Multiply', 'tf.math.multiply'}
_QUOTIENTS = {'ops.TrueDivide', 'tf.math.truediv'}
_RECTIFIERS = {'ops.Relu', 'ops.ReLU', 'tf.nn.relu'}
_CLIPPED_RECTIFIERS = {'ops.Relu6', 'tf.nn.relu6'}


def operations_of(node):
  """Splits the call of a layer into what is affine in it and what is not.

  Args:
    node: `_keras_nodes.Node`.

  Returns:
    List of `AffineMap`, `Rectifier`, `MaxPool` and `Softmax`, each of which takes
    what the one before it returns.

  Raises:
    ValueError: if the layer is not known to be piecewise linear, by its name.
  """
  layer, kind = node.layer, node.kind
  if kind == 'BatchNormalization' or kind in _RANDOM:
    return [_with_training(node)]
  if kind in _AFFINE or _is_affine_operator(node):
    return [AffineMap(layer.name, node.call, _absolute(node))]
  return _of_one_input(layer, kind, layer.name)


def _of_one_input(layer, kind, name):
  """Splits a layer of one input, which may be the activation of another."""
  if kind == 'Activation':
    return _of_activation(layer.activation, name)
  if kind == 'Softmax':
    return [Softmax(name)]
  if kind in ('ReLU', 'LeakyReLU') or kind in _RECTIFIERS:
    return _rectifiers(
      name,
      # Keras 2 has a name of its own for the slope of a leaky rectifier.
      getattr(layer, 'negative_slope', getattr(layer, 'alpha', None)),
      getattr(layer, 'threshold', None),
      getattr(layer, 'max_value', None),
    )
  if kind in _CLIPPED_RECTIFIERS:
    return _rectifiers(name, max_value=6.0)
  if kind == 'MaxPooling2D':
    _check_channels_last(layer)
    return [MaxPool(layer.pool_size, layer.strides, layer.padding, name)]
  if kind == 'GlobalMaxPooling2D':
    _check_channels_last(layer)
    pool = MaxPool(None, None, 'valid', name)
    squeeze = AffineMap(name, _squeeze, absolute=_squeeze)
    return [pool] if layer.keepdims else [pool, squeeze]
  if kind == 'Dense':
    product = _with_kernel(layer, layer.kernel, _product, layer.bias)
    return [product, *_of_activation(layer.activation, name)]
  if kind in _CONVOLUTIONS:
    return [
      *_convolutions(layer, kind),
      *_of_activation(layer.activation, name),
    ]
  raise ValueError(
    f'The layer {name} ({kind}) is not known to be piecewise linear. There may be '
    'convolutions, dense layers, batch normalization, rectifiers, max, average '
    'and global pools, dropout, sums and concatenations.'
  )


def _of_activation(activation, name):
  if isinstance(activation, keras.Operation | tf_keras.layers.Layer):
    return _of_one_input(activation, kind_of(activation), name)
  kind = getattr(activation, '__name__', type(activation).__name__)
  if activation is None or kind == 'linear':
    return []
  if kind == 'softmax':
    return [Softmax(name)]
  if kind == 'relu':
    return _rectifiers(name)
  if kind == 'relu6':
    return _rectifiers(name, max_value=6.0)
  if kind == 'leaky_relu':
    # The slope depends on the version of Keras.
    return _rectifiers(name, -float(activation(tf.constant([-1.0]))[0]))
  raise ValueError(
    f'The activation {kind} of the layer {name} is not piecewise linear. There '
    'may be relu, relu6 and leaky_relu.'
  )


def _rectifiers(name, slope=None, threshold=None, max_value=None):
  """Makes a rectifier; two with an affine map between them if it is clipped."""
  slope, threshold = float(slope or 0.0), float(threshold or 0.0)
  if slope < 0:
    raise ValueError(
      f'The layer {name} has a negative slope, {slope}: it is not monotone.'
    )
  if slope and threshold:
    raise ValueError(
      f'The layer {name} has both a slope and a `threshold`: that is not linear '
      'where it is off.'
    )
  rectifier = Rectifier(slope, name, threshold)
  if max_value is None:
    return [rectifier]
  # min(g, m) = m - relu(m - g).
  turn = AffineMap(
    name,
    lambda inputs: float(max_value) - inputs[0],
    absolute=lambda inputs: inputs[0],
  )
  return [rectifier, turn, Rectifier(0.0, name), turn]


def _with_kernel(layer, kernel, multiply, bias=None):
  """Makes an affine map of a kernel, how to multiply by it, and a bias."""

  def cast(values):
    return tf.cast(values, layer.compute_dtype)

  def apply(inputs):
    outputs = multiply(cast(inputs[0]), cast(kernel))
    return outputs if bias is None else outputs + cast(bias)

  return AffineMap(
    layer.name,
    apply,
    absolute=lambda inputs: multiply(cast(inputs[0]), tf.abs(cast(kernel))),
  )


def _convolutions(layer, kind):
  """Returns a convolution as one affine map, or two if it is separable."""
  _check_channels_last(layer)
  if kind == 'Conv2D':
    return [_with_kernel(layer, layer.kernel, _convolution(layer), layer.bias)]
  if kind == 'Conv2DTranspose':
    multiply = _transposed_convolution(layer)
    return [_with_kernel(layer, layer.kernel, multiply, layer.bias)]
  # Keras 2 has a name of its own for the kernel of a depthwise convolution.
  kernel = getattr(layer, 'depthwise_kernel', None)
  kernel = layer.kernel if kernel is None else kernel
  multiply = functools.partial(
    tf.nn.depthwise_conv2d,
    strides=[1, *layer.strides, 1],
    padding=layer.padding.upper(),
    dilations=list(layer.dilation_rate),
  )
  if kind == 'DepthwiseConv2D':
    return [_with_kernel(layer, kernel, multiply, layer.bias)]
  pointwise = functools.partial(tf.nn.conv2d, strides=1, padding='VALID')
  return [
    _with_kernel(layer, kernel, multiply),
    _with_kernel(layer, layer.pointwise_kernel, pointwise, layer.bias),
  ]


def _convolution(layer):
  """Returns the function that convolves inputs with a kernel, as a layer does."""
  # Unlike `tf.nn.conv2d`, dilated on a CPU it has a gradient.
  multiply = functools.partial(
    tf.nn.convolution,
    strides=list(layer.strides),
    padding=layer.padding.upper(),
    dilations=list(layer.dilation_rate),
    data_format='NHWC',  # For second derivatives.
  )
  if layer.groups == 1:
    return multiply

  def by_group(inputs, kernel):
    # TensorFlow has no gradient of grouped convolutions on a CPU.
    return tf.concat(
      [
        multiply(x, k)
        for x, k in zip(
          tf.split(inputs, layer.groups, axis=-1),
          tf.split(kernel, layer.groups, axis=-1),
          strict=True,
        )
      ],
      axis=-1,
    )

  return by_group


def _transposed_convolution(layer):
  """Returns the function that is the transpose of a convolution."""
  if any(rate != 1 for rate in layer.dilation_rate):
    raise ValueError(
      f'The layer {layer.name} is a transposed convolution that is dilated, '
      'which is not supported.'
    )

  def multiply(inputs, kernel):
    _, *shape = layer.compute_output_shape((1, *inputs.shape[1:]))
    return tf.nn.conv2d_transpose(
      inputs,
      kernel,
      tf.concat([tf.shape(inputs)[:1], shape], axis=0),
      list(layer.strides),
      layer.padding.upper(),
    )

  return multiply


def _check_channels_last(layer):
  if layer.data_format != 'channels_last':
    raise ValueError(
      f'The layer {layer.name} has `data_format` {layer.data_format}; it must be '
      'channels_last.'
    )


def _squeeze(inputs):
  return tf.squeeze(inputs[0], axis=[1, 2])


def _product(inputs, kernel):
  if inputs.shape.rank == 2:
    return tf.matmul(inputs, kernel)
  return tf.tensordot(inputs, kernel, axes=1)


def _with_training(node):
  """Makes an affine map of a layer that behaves differently in training."""
  layer = node.layer
  if node.training:
    raise ValueError(
      f'The layer {layer.name} ({node.kind}) is called with `training=True`: '
      'even in evaluation, its output for an image depends on random numbers or on '
      'other images.'
    )
  is_trained = node.training is None

  def evaluate(inputs):
    return layer(inputs[0], training=False)

  absolute = _difference_from_zero(evaluate)
  if node.kind == 'BatchNormalization':
    return NormalizationMap(layer, absolute, is_trained)

  def train(inputs):
    return layer(inputs[0], training=is_trained)

  return AffineMap(layer.name, evaluate, absolute, train)


def _is_affine_operator(node):
  if node.kind in _PRODUCTS:
    return len(node.inputs) == 1  # The other factor is a constant.
  if node.kind in _QUOTIENTS:
    return node.positions == [0]
  return node.kind in _SUMS | _DIFFERENCES


def _absolute(node):
  """Returns the linear part of a layer, by absolute values of coefficients."""
  if node.kind in _DIFFERENCES and len(node.inputs) > 1:
    return lambda inputs: inputs[0] + inputs[1]
  # Cubic interpolation has negative coefficients, and they overlap.
  if node.kind == 'UpSampling2D' and node.layer.interpolation not in (
    'nearest',
    'bilinear',
  ):
    return None
  # All others have nonnegative coefficients, or one for each output.
  return _difference_from_zero(node.call)


def _difference_from_zero(function):
  def absolute(inputs):
    zeros = [tf.zeros_like(values) for values in inputs]
    return tf.abs(function(inputs) - function(zeros))

  return absolute
