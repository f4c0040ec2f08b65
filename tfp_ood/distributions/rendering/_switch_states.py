# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Switches of all layers, in batches: their shapes, and how to make them."""

import numpy as np
import tensorflow as tf

from tfp_ood.distributions.categorical import Categorical
from tfp_ood.distributions.rendering import _checks

__all__ = [
  'batch_size',
  'draw_states',
  'flatten_batch',
  'numbered_switches',
  'unflatten_batch',
  'uniform_switches',
]


def batch_size(switches):
  """Returns the number of examples in a batch of switches, a scalar."""
  return tf.shape(tf.nest.flatten(switches)[0])[0]


def flatten_batch(name, network, labels, switches):
  """Checks switches, and gives them and the labels one batch dimension.

  Args:
    name: Python `str`, what error messages start with.
    network: `PiecewiseLinearNetwork`.
    labels: integer `Tensor` of shape `[batch...]`.
    switches: list of the layers' switches, `[sample..., batch..., ...]`.

  Returns:
    switches: list of the layers' switches, `[size, ...]`.
    labels: integer `Tensor` of shape `[size]`.
    shape: the shape `[sample..., batch...]`, a `Tensor`.

  Raises:
    ValueError: if the switches are not those of the network.
  """
  switches = _checks.check_switches(name, network, switches)
  first = tf.nest.flatten(switches)[0]
  event_rank = network.layers[0].feature_shape.rank
  shape = tf.shape(first)[: tf.rank(first) - event_rank]
  labels = tf.reshape(tf.broadcast_to(labels, shape), [-1])
  return unflatten_batch(network, switches, [-1]), labels, shape


def unflatten_batch(network, switches, shape):
  """Gives switches other batch dimensions.

  Args:
    network: `PiecewiseLinearNetwork`.
    switches: list of the layers' switches, `[batch..., ...]`.
    shape: the batch shape.

  Returns:
    List of the layers' switches, `[*shape, ...]`.
  """
  return [
    tf.nest.map_structure(
      lambda t, layer=layer: tf.reshape(
        t, tf.concat([shape, layer.feature_shape], axis=0)
      ),
      switch,
    )
    for layer, switch in zip(network.layers, switches, strict=True)
  ]


def draw_states(layer, logits, seed):
  """Draws the states of a layer's units independently.

  Args:
    layer: `SwitchLayer`.
    logits: `Tensor` of shape `[batch, *feature_shape, num_states]`.
    seed: stateless seed.

  Returns:
    The switches of the layer, `[batch, ...]`.
  """
  return layer.switches_of_states(Categorical(logits).sample(seed=seed))


def uniform_switches(network, count, seed):
  """Draws switches, of which all states are equally likely.

  Args:
    network: `PiecewiseLinearNetwork`.
    count: scalar.
    seed: stateless seed.

  Returns:
    List of the layers' switches, `[count, ...]`.
  """
  seeds = tf.random.experimental.stateless_split(seed, network.num_layers)
  return [
    layer.switches_of_states(
      tf.random.stateless_uniform(
        [count, *layer.feature_shape],
        seeds[index],
        0,
        layer.num_states,
        tf.int32,
      )
    )
    for index, layer in enumerate(network.layers)
  ]


def numbered_switches(network, numbers):
  """Returns the configurations of given numbers.

  Args:
    network: `PiecewiseLinearNetwork`.
    numbers: integer array of shape `[count]`, from 0 to the number of all
      configurations.

  Returns:
    List of the layers' switches, `[count, ...]`.
  """
  switches = []
  for layer in network.layers:
    states = np.zeros(
      [len(numbers), layer.feature_shape.num_elements()], np.int32
    )
    for unit in range(states.shape[1]):
      numbers, states[:, unit] = np.divmod(numbers, layer.num_states)
    states = tf.reshape(states, [-1, *layer.feature_shape])
    switches.append(layer.switches_of_states(states))
  return switches
