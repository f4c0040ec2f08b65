# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reading the graph of a Keras classifier, layer by layer.

Both Keras 2 (`tf_keras`) and Keras 3 models are read. Every layer becomes an
affine map, a rectifier or a max pool; one that is none of these is refused by
its name.
"""

import collections
import functools

import tensorflow as tf

from tfp_ood.networks._batch_normalization import batch_normalization

__all__ = ['Affine', 'MaxPool', 'Rectifier', 'Step', 'read_keras_graph']

# What a layer does to its inputs, a list of tensors; `train` where it does
# something else in training: it takes the inputs and a context manager, under
# which no rendering goes back through what is computed. `absolute` is the linear
# part with the absolute values of its coefficients; `None` where they are not
# known.
Affine = collections.namedtuple(
  'Affine', ['function', 'name', 'train', 'absolute'], defaults=(None, None)
)
Rectifier = collections.namedtuple('Rectifier', ['slope', 'name'])
MaxPool = collections.namedtuple(
  'MaxPool', ['size', 'strides', 'padding', 'name']
)
# A layer in the graph: `inputs` and `output` are hashable names of values.
Step = collections.namedtuple('Step', ['operation', 'inputs', 'output'])

# Layers that Keras computes and that are affine in evaluation.
_AFFINE = {
  'Add',
  'AveragePooling2D',
  'BatchNormalization',
  'Concatenate',
  'Cropping2D',
  'Dropout',
  'Flatten',
  'GaussianNoise',
  'GlobalAveragePooling2D',
  'Permute',
  'Rescaling',
  'Reshape',
  'SpatialDropout2D',
  'Subtract',
  'TemplateGain',
  'UpSampling2D',
  'ZeroPadding2D',
}
# Those of them that do something else in training.
_DIFFER_IN_TRAINING = {
  'BatchNormalization',
  'Dropout',
  'GaussianNoise',
  'SpatialDropout2D',
}


def read_keras_graph(model):
  """Lists what a Keras model computes, in an order in which it can be computed.

  A softmax at the very end is left out: the outputs are logits.

  Args:
    model: built `tf_keras` or Keras 3 model, Sequential or functional, with one
      input and one output.

  Returns:
    steps: list of `Step`.
    input_name: the name of the input's value.
    output_name: the name of the output's value.

  Raises:
    ValueError: if the model is not built, has several inputs or outputs, or a
      layer is not piecewise linear.
  """
  steps, input_name, output = _read(model)
  last = steps[-1] if steps else None
  if last and last.output == output and _is_softmax(last.operation):
    steps.pop()
    output = last.inputs[0]
  for step in steps:
    if _is_softmax(step.operation):
      raise ValueError(
        f'The layer {step.operation.name} applies a softmax inside the network: '
        'it is not piecewise linear.'
      )
  return steps, input_name, output


def _read(model):
  """Reads a model whole, a softmax at its end too."""
  # A Sequential of Keras 3 wraps a functional model.
  model = getattr(model, '_functional', None) or model
  if not hasattr(model, '_nodes_by_depth'):
    raise ValueError(
      f'The Keras model {model.name} has no graph to read: it must be Sequential '
      'or functional, and built. A subclassed model does not say what its layers '
      'are.'
    )
  if len(model.inputs) != 1 or len(model.outputs) != 1:
    raise ValueError(
      f'The Keras model {model.name} must have one input and one output, it has '
      f'{len(model.inputs)} and {len(model.outputs)}.'
    )
  steps = []
  for depth in sorted(model._nodes_by_depth, reverse=True):
    for node in model._nodes_by_depth[depth]:
      if not node.is_input:
        steps += _steps_of_node(node)
  return steps, id(model.inputs[0]), id(model.outputs[0])


_SOFTMAX = 'softmax'


def _is_softmax(operation):
  return isinstance(operation, Affine) and operation.function is _SOFTMAX


def _steps_of_node(node):
  layer = getattr(node, 'operation', None) or node.layer
  inputs = [id(tensor) for tensor in _as_list(node.input_tensors)]
  outputs = _as_list(
    node.output_tensors if hasattr(node, 'output_tensors') else node.outputs
  )
  output = id(outputs[0])
  if hasattr(layer, '_nodes_by_depth') or getattr(layer, '_functional', None):
    return _steps_of_nested(layer, inputs, output)
  operations = _operations(layer)
  steps = []
  for number, operation in enumerate(operations):
    is_last = number == len(operations) - 1
    name = output if is_last else (output, number)
    steps.append(Step(operation, inputs, name))
    inputs = [name]
  return steps


def _steps_of_nested(model, inputs, output):
  """Takes in a model that is a layer of another; names are made its own."""
  steps, inner_input, inner_output = _read(model)
  prefix = output

  def rename(name):
    if name == inner_input:
      return inputs[0]
    return output if name == inner_output else (prefix, name)

  return [
    Step(step.operation, [rename(n) for n in step.inputs], rename(step.output))
    for step in steps
  ]


def _operations(layer):
  """Splits a layer into what is affine in it and what is not."""
  kind = type(layer).__name__
  if kind == 'Activation':
    return _activation(layer.activation, layer.name)
  if kind == 'Softmax':
    return [Affine(_SOFTMAX, layer.name)]
  if kind in ('ReLU', 'LeakyReLU'):
    return [_rectifier(layer, kind)]
  if kind == 'MaxPooling2D':
    _check_channels_last(layer)
    return [MaxPool(layer.pool_size, layer.strides, layer.padding, layer.name)]
  if kind == 'GlobalMaxPooling2D':
    _check_channels_last(layer)
    pool = MaxPool(None, None, 'valid', layer.name)
    squeeze = Affine(_squeeze, layer.name, absolute=_squeeze)
    return [pool] if layer.keepdims else [pool, squeeze]
  if kind in ('Conv2D', 'DepthwiseConv2D'):
    affine = _with_kernel(_convolution(layer), layer)
    return [affine, *_activation(layer.activation, layer.name)]
  if kind == 'Dense':
    affine = _with_kernel(_product, layer)
    return [affine, *_activation(layer.activation, layer.name)]
  # Keras 3 has operations, `x + y`, of the names of layers.
  if kind in _AFFINE and hasattr(layer, 'trainable_weights'):
    return [_of_keras(layer)]
  raise ValueError(
    f'The layer {layer.name} ({kind}) is not known to be piecewise linear. '
    'There may be convolutions, dense layers, batch normalization, ReLU and '
    'leaky ReLU, max, average and global pools, dropout, sums and '
    'concatenations.'
  )


def _activation(activation, name):
  kind = getattr(activation, '__name__', type(activation).__name__)
  if activation is None or kind == 'linear':
    return []
  if kind == 'softmax':
    return [Affine(_SOFTMAX, name)]
  if kind == 'relu':
    return [Rectifier(0.0, name)]
  if kind == 'leaky_relu':
    # The slope is that of the Keras version at hand.
    return [Rectifier(-float(activation(tf.constant([-1.0]))[0]), name)]
  raise ValueError(
    f'The activation {kind} of the layer {name} is not piecewise linear. There '
    'may be relu and leaky_relu.'
  )


def _rectifier(layer, kind):
  config = layer.get_config()
  if kind == 'ReLU':
    if config.get('max_value') is not None or config.get('threshold'):
      raise ValueError(
        f'The layer {layer.name} (ReLU) has a `max_value` or a `threshold`, '
        'which switches of two states cannot say.'
      )
  slope = float(config.get('negative_slope', config.get('alpha', 0.0)) or 0.0)
  if slope < 0:
    raise ValueError(
      f'The layer {layer.name} ({kind}) has a negative slope, {slope}: it is not '
      'monotone.'
    )
  return Rectifier(slope, layer.name)


def _with_kernel(multiply, layer):
  """Makes an affine map of a kernel, how to multiply by it, and a bias."""

  def kernel():
    # Keras 2 has a name of its own for the kernel of a depthwise convolution.
    kernel = getattr(layer, 'depthwise_kernel', None)
    return tf.convert_to_tensor(layer.kernel if kernel is None else kernel)

  def apply(inputs):
    outputs = multiply(inputs[0], kernel())
    if layer.bias is None:
      return outputs
    return outputs + tf.convert_to_tensor(layer.bias)

  return Affine(
    apply,
    layer.name,
    absolute=lambda inputs: multiply(inputs[0], tf.abs(kernel())),
  )


def _convolution(layer):
  """Returns the function that convolves inputs with a kernel, as a layer does."""
  _check_channels_last(layer)
  options = dict(
    padding=layer.padding.upper(), dilations=list(layer.dilation_rate)
  )
  if type(layer).__name__ == 'Conv2D':
    if getattr(layer, 'groups', 1) != 1:
      raise ValueError(f'The layer {layer.name} is a grouped convolution.')
    options['strides'] = list(layer.strides)
    options['data_format'] = 'NHWC'  # For second derivatives.
    # Unlike `tf.nn.conv2d`, dilated on a CPU it has a gradient.
    return functools.partial(tf.nn.convolution, **options)
  options['strides'] = [1, *layer.strides, 1]
  return functools.partial(tf.nn.depthwise_conv2d, **options)


def _check_channels_last(layer):
  if layer.data_format != 'channels_last':
    raise ValueError(
      f'The layer {layer.name} has `data_format` {layer.data_format}; it must be '
      'channels_last.'
    )


def _squeeze(inputs):
  return tf.squeeze(inputs[0], axis=[1, 2])


def _product(inputs, kernel):
  return tf.tensordot(inputs, kernel, axes=1)


def _of_keras(layer):
  """Makes an affine map of a layer that Keras computes."""
  kind = type(layer).__name__

  def apply(inputs, **kwargs):
    return layer(inputs if len(inputs) > 1 else inputs[0], **kwargs)

  if kind not in _DIFFER_IN_TRAINING:
    return Affine(apply, layer.name, absolute=_absolute(apply, layer))

  def evaluate(inputs):
    return apply(inputs, training=False)

  def train(inputs, pause):
    return apply(inputs, training=True)

  if kind == 'BatchNormalization':
    train = batch_normalization(layer)
  return Affine(evaluate, layer.name, train, _absolute(evaluate, layer))


def _absolute(function, layer):
  """Returns the linear part of a layer, by absolute values of coefficients."""
  kind = type(layer).__name__
  if kind == 'Subtract':
    return tf.add_n
  # Cubic interpolation has negative coefficients, and they overlap.
  if kind == 'UpSampling2D' and layer.interpolation not in (
    'nearest',
    'bilinear',
  ):
    return None

  # All others have nonnegative coefficients, or one for each output.
  def absolute(inputs):
    zeros = [tf.zeros_like(values) for values in inputs]
    return tf.abs(function(inputs) - function(zeros))

  return absolute


def _as_list(value):
  return list(value) if isinstance(value, list | tuple) else [value]
