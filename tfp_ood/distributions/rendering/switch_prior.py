# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""What the priors of switches share."""

import tensorflow as tf
import tensorflow_probability as tfp

from tfp_ood.distributions._no_parameters import NoParameters
from tfp_ood.distributions.rendering import _checks, _switch_states

__all__ = ['SwitchPrior']


class SwitchPrior(tfp.distributions.Distribution, NoParameters):
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

    with the biases at the positions of the pools. It is the logit of the zero
    image, less the class bias, in the network with frozen switches.

    Args:
      switches: list of the layers' switches, `[sample..., batch..., ...]`.

    Returns:
      `Tensor` of shape `[sample..., batch...]`.
    """
    with self._name_and_control_scope('eta'):
      flat, labels, shape = self._flattened(switches)
      etas = tf.gather(self._class_etas(flat), labels, batch_dims=1)
      return tf.reshape(etas, shape)

  def _class_etas(self, switches):
    """Returns `eta` for every class, `[batch, num_classes]`."""
    zeros = self.network.zero_images(_switch_states.batch_size(switches))
    _, class_bias = self.network.biases()
    return self.network.propagate(zeros, switches).logits - class_bias

  def _flattened(self, switches):
    return _switch_states.flatten_batch(
      self.name, self.network, self.labels, switches
    )

  def _unflattened(self, switches, n):
    shape = tf.concat([[n], tf.shape(self.labels)], axis=0)
    return _switch_states.unflatten_batch(self.network, switches, shape)

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

  def _default_event_space_bijector(self):
    return None  # Discrete.
