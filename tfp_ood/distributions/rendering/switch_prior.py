# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""What the priors of switches share."""

import tensorflow as tf
import tensorflow_probability as tfp

from tfp_ood.distributions.rendering import _checks

__all__ = ['SwitchPrior']


class SwitchPrior(tfp.distributions.Distribution):
  """A distribution of the switches of a network, given a class.

  An event is a list with the switches of each layer, a `dict` as `SwitchLayer`
  describes it.
  """

  def __init__(
    self,
    network,
    labels,
    variance,
    validate_args,
    allow_nan_stats,
    parameters,
    name,
  ):
    """Instantiates the prior; see the subclasses."""
    with tf.name_scope(name) as name:
      self._network = network
      self._labels = tf.convert_to_tensor(labels, dtype_hint=tf.int32)
      self._variance = tf.convert_to_tensor(variance, network.dtype)
      static = tf.get_static_value(self._variance)
      if static is not None and not static > 0:
        raise ValueError(f'{name}: `variance` must be positive, got {static}.')
      super().__init__(
        dtype=[layer.switch_dtypes for layer in network.layers],
        reparameterization_type=tfp.distributions.NOT_REPARAMETERIZED,
        validate_args=validate_args,
        allow_nan_stats=allow_nan_stats,
        parameters=parameters,
        name=name,
      )

  @property
  def network(self):
    """The `PiecewiseLinearNetwork`."""
    return self._network

  @property
  def labels(self):
    """The classes, `[batch...]`."""
    return self._labels

  @property
  def variance(self):
    """Scalar, `sigma^2`."""
    return self._variance

  def eta(self, switches):
    """The exponent of the structured prior, before it is divided by `variance`.

        eta(y, z) = sum_l <b(l), s(l) * h(y, z; l)>

    with the biases at the positions of the pools. It is what the network with
    frozen switches makes of the zero image.

    Args:
      switches: list of the layers' switches, `[sample..., batch..., ...]`.

    Returns:
      `Tensor` of shape `[sample..., batch...]`.
    """
    with self._name_and_control_scope('eta'):
      flat, labels, shape = self._flatten_batch(switches)
      etas = tf.gather(self._class_etas(flat), labels, batch_dims=1)
      return tf.reshape(etas, shape)

  def _class_etas(self, switches):
    """Returns `eta` for every class, `[batch, num_classes]`."""
    count = tf.shape(tf.nest.flatten(switches)[0])[0]
    zeros = self.network.zero_images(count)
    _, class_bias = self.network.biases()
    return self.network.propagate(zeros, switches).logits - class_bias

  def _draw(self, layer, logits, seed):
    """Draws the states of a layer's units, and returns its switches."""
    flat = tf.reshape(logits, [-1, layer.num_states])
    states = tf.random.stateless_categorical(flat, 1, seed, dtype=tf.int32)
    return layer.switches_of_states(
      tf.reshape(states, [-1, *layer.feature_shape])
    )

  def _flatten_batch(self, switches):
    """Checks switches, and gives them and the labels one batch dimension."""
    switches = _checks.check_switches(self.name, self.network, switches)
    first = tf.nest.flatten(switches)[0]
    event_rank = self.network.layers[0].feature_shape.rank
    shape = tf.shape(first)[: tf.rank(first) - event_rank]
    labels = tf.reshape(tf.broadcast_to(self.labels, shape), [-1])
    flat = [
      tf.nest.map_structure(
        lambda t, layer=layer: tf.reshape(t, [-1, *layer.feature_shape]), switch
      )
      for layer, switch in zip(self.network.layers, switches, strict=True)
    ]
    return flat, labels, shape

  def _unflatten_batch(self, switches, n):
    batch_shape = tf.concat([[n], tf.shape(self.labels)], axis=0)
    return [
      tf.nest.map_structure(
        lambda t, layer=layer: tf.reshape(
          t, tf.concat([batch_shape, layer.feature_shape], axis=0)
        ),
        switch,
      )
      for layer, switch in zip(self.network.layers, switches, strict=True)
    ]

  def _tile_labels(self, n):
    flat = tf.reshape(self.labels, [1, -1])
    return tf.reshape(tf.tile(flat, [n, 1]), [-1])

  def _parameter_control_dependencies(self, is_init):
    if is_init:
      _checks.check_labels(self.name, self.labels, self.network.num_classes)
      return []
    if not self.validate_args:
      return []
    return _checks.assert_labels(
      self.name, self.labels, self.network.num_classes
    )

  def _event_shape(self):
    return [
      dict.fromkeys(layer.switch_dtypes, layer.feature_shape)
      for layer in self.network.layers
    ]

  def _event_shape_tensor(self):
    return tf.nest.map_structure(
      lambda shape: tf.constant(shape.as_list()), self._event_shape()
    )

  def _batch_shape(self):
    return self.labels.shape

  def _batch_shape_tensor(self):
    return tf.shape(self.labels)

  @classmethod
  def _parameter_properties(cls, dtype, num_classes=None):
    return {}

  def _default_event_space_bijector(self):
    return None  # Discrete.
