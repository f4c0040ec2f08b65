# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The calls of layers that make up a Keras model.

Keras has no public access to them. All its private names are in this file.
"""

import collections
import inspect

import keras
import tensorflow as tf

__all__ = ['Node', 'graph_of', 'has_graph', 'kind_of', 'nodes_of']

# A call of a layer.
# `kind`: the class of the layer; `ops.` or `tf.` and a name for operations that
#   are not layers, such as `x + y`.
# `inputs`, `outputs`: hashable names of values; `positions` are those of the
#   inputs among all arguments of the call.
# `call`: repeats the call on a list of other inputs, one for each name.
# `training`: the argument of the call, which overrides that of the model; `None`
#   if there is none.
Node = collections.namedtuple(
  'Node',
  ['layer', 'kind', 'inputs', 'positions', 'outputs', 'call', 'training'],
)


def has_graph(model):
  """Whether a model, or a layer, is a graph of layers, and built."""
  return hasattr(_functional(model), '_nodes_by_depth')


def graph_of(model):
  """Returns the names of a model's inputs and of its outputs, two lists.

  Args:
    model: `tf_keras` or Keras 3 model.

  Returns:
    inputs: list of names.
    outputs: list of names.

  Raises:
    ValueError: if the model is neither Sequential nor functional, or not built.
  """
  if not has_graph(model):
    raise ValueError(
      f'The Keras model {model.name} has no graph to read: it must be Sequential '
      'or functional, and built. A subclassed model does not say what its layers '
      'are.'
    )
  model = _functional(model)
  return [id(x) for x in model.inputs], [id(x) for x in model.outputs]


def nodes_of(model):
  """Lists the calls of a model's layers, in an order in which they can be made.

  Args:
    model: `tf_keras` or Keras 3 model for which `has_graph` holds.

  Returns:
    List of `Node`, without those of its input layers.
  """
  by_depth = _functional(model)._nodes_by_depth
  return [
    _node(node)
    for depth in sorted(by_depth, reverse=True)
    for node in by_depth[depth]
    if not node.is_input
  ]


def kind_of(layer):
  """Returns the kind of a layer; see `Node`.

  A class from elsewhere goes by its full name: it may compute anything.
  """
  kind = type(layer)
  if hasattr(layer, 'symbol'):
    return f'tf.{layer.symbol}'  # How `tf_keras` wraps functions of TensorFlow.
  library = kind.__module__.split('.')[0]
  if library not in ('keras', 'tf_keras', 'tfp_ood'):
    return f'{kind.__module__}.{kind.__name__}'
  is_operator = library == 'keras' and not isinstance(layer, keras.Layer)
  return f'ops.{kind.__name__}' if is_operator else kind.__name__


def _functional(model):
  # A Sequential of Keras 3 wraps a functional model.
  return getattr(model, '_functional', None) or model


def _node(node):
  layer = getattr(node, 'operation', None) or node.layer
  arguments = _arguments(node)
  leaves = tf.nest.flatten(arguments)
  positions = [
    index
    for index, leaf in enumerate(leaves)
    if hasattr(leaf, '_keras_history')
  ]

  def call(inputs):
    filled = list(leaves)
    for index, value in zip(positions, inputs, strict=True):
      filled[index] = value
    args, kwargs = tf.nest.pack_sequence_as(arguments, filled)
    return layer(*args, **kwargs)

  return Node(
    layer,
    kind_of(layer),
    [id(leaves[index]) for index in positions],
    positions,
    [id(output) for output in tf.nest.flatten(node.outputs)],
    call,
    _training(layer, *arguments),
  )


def _arguments(node):
  """Returns what a layer was called with: positional and keyword arguments."""
  if hasattr(node, 'arguments'):  # Keras 3.
    return tuple(node.arguments.args), dict(node.arguments.kwargs)
  return tuple(node.call_args), dict(node.call_kwargs)


def _training(layer, args, kwargs):
  """Returns the `training` of a call that overrides that of the model."""
  if isinstance(layer, keras.Operation) or hasattr(layer, 'symbol'):
    return None  # In Keras 3 the argument of the model overrides all others.
  names = inspect.signature(layer.call).parameters
  return (dict(zip(names, args, strict=False)) | kwargs).get('training')
