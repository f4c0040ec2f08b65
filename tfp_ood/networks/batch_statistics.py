# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Networks whose batch normalization uses the statistics of the batch."""

import tensorflow as tf
import tf_keras

from tfp_ood._parts import num_parts
from tfp_ood.networks import _keras_nodes
from tfp_ood.networks._batch_normalization import (
  batch_moments,
  broadcast_parameters,
  check_no_virtual_batches,
)

__all__ = ['with_batch_statistics']

_NORMALIZATIONS = (
  tf_keras.layers.BatchNormalization,
  tf_keras.layers.experimental.SyncBatchNormalization,
)


def with_batch_statistics(network):
  """Adapts the batch normalization of a network to the batch at hand.

  The returned network shares all weights with the given one. In evaluation each
  of its layers of batch normalization, whatever the `axis`, normalizes by the mean
  and the variance of the batch, and leaves the statistics that training gathered
  as they are: the outputs for an example depend on the others in its batch. With
  `training=True` it does what the given network does.

  Args:
    network: built `tf_keras` model, Sequential or functional. Models that are
      layers of it are adapted too.

  Returns:
    `tf_keras.Model` that is called as the network is. Its variables are the same
    objects in the same order.

  Raises:
    ValueError: if the network is neither Sequential nor functional, is not built,
      or has no batch normalization; or if one of its batch normalizations cannot
      be adapted, because another kind of layer contains it or because it has a
      `virtual_batch_size`.

  #### Example

  >>> import tensorflow as tf
  >>> import tf_keras
  >>> network = tf_keras.Sequential([
  ...   tf_keras.layers.Input([1]),
  ...   tf_keras.layers.BatchNormalization(epsilon=0.0)])
  >>> batch = tf.constant([[1.], [3.]])
  >>> network(batch).numpy().tolist()
  [[1.0], [3.0]]
  >>> with_batch_statistics(network)(batch).numpy().tolist()
  [[-1.0], [1.0]]
  """
  layers = _normalizations(network)
  if not layers:
    raise ValueError(
      f'The network {network.name} has no batch normalization to adapt to the '
      'batch.'
    )
  for layer in layers:
    check_no_virtual_batches(layer)
  adapted = {id(layer) for layer in layers}
  for module in network.submodules:
    if isinstance(module, _NORMALIZATIONS) and id(module) not in adapted:
      raise ValueError(
        f'The network {network.name} has a batch normalization, {module.name}, '
        'inside a layer that is neither a Sequential nor a functional model: it '
        'cannot be adapted to the batch.'
      )
  return _WithBatchStatistics(network)


class _WithBatchStatistics(tf_keras.Model):
  """The network that `with_batch_statistics` returns."""

  def __init__(self, network):
    # As in functional models, each layer casts its own inputs.
    super().__init__(
      name=f'{network.name}_with_batch_statistics', autocast=False
    )
    self._network = network
    self.built = True

  def call(self, inputs, training=None):
    """Computes the outputs of the network."""
    if training:
      return self._network(inputs, training=True)
    if num_parts() > 1:
      raise ValueError(
        f'The network {self.name} normalizes by the batch, of which each core has a '
        'part only. Use it without `divide_batches`.'
      )
    return _evaluate(self._network, inputs)


def _normalizations(model):
  """Lists the layers of batch normalization that the graph of a model calls."""
  _keras_nodes.graph_of(model)  # Raises if there is none.
  result = []
  for node in _keras_nodes.nodes_of(model):
    if isinstance(node.layer, _NORMALIZATIONS):
      result.append(node.layer)
    elif _keras_nodes.has_graph(node.layer):
      result += _normalizations(node.layer)
  return result


def _evaluate(model, inputs):
  """Computes the outputs of a model, normalizing by the batch."""
  names, _ = _keras_nodes.graph_of(model)
  values = {
    name: tf.cast(value, symbol.dtype)
    for name, symbol, value in zip(
      names, model.inputs, tf.nest.flatten(inputs), strict=True
    )
  }
  for node in _keras_nodes.nodes_of(model):
    arguments = [values[name] for name in node.inputs]
    if isinstance(node.layer, _NORMALIZATIONS):
      outputs = _normalize(node.layer, arguments[0])
    elif _keras_nodes.has_graph(node.layer):
      outputs = _evaluate(node.layer, arguments)
    else:
      outputs = node.call(arguments)
    # Layers of `tfp.layers` record more outputs than the one they return.
    values |= zip(node.outputs, tf.nest.flatten(outputs), strict=False)
  return tf.nest.map_structure(lambda output: values[id(output)], model.output)


def _normalize(layer, x):
  x = tf.cast(x, layer.compute_dtype)
  mean, variance = batch_moments(layer, x)
  gamma, beta = broadcast_parameters(layer, x, layer.gamma, layer.beta)
  # In the precision of the moments.
  normalized = tf.nn.batch_normalization(
    tf.cast(x, mean.dtype), mean, variance, beta, gamma, layer.epsilon
  )
  return tf.cast(normalized, x.dtype)
