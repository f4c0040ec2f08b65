# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The base class of couplings."""

import abc

import tensorflow as tf

from tfp_ood.bijectors import _shapes
from tfp_ood.bijectors._direction import Direction
from tfp_ood.bijectors.bijector import Bijector
from tfp_ood.networks.tracking import trackable_parts

__all__ = ['Coupling']


class Coupling(Bijector):
  """Transform the first half of the channels, given the rest.

  With `c` channels, the first `c // 2` are transformed; the others pass through
  unchanged and are what the network sees. A subclass implements `_transform` and
  `_undo_transform`, which say what the network's outputs mean, and sets the class
  attribute `outputs_per_channel`, the number of network outputs for each
  transformed channel.
  """

  outputs_per_channel: int

  def __init__(self, network, is_constant_jacobian, parameters, **kwargs):
    self._network = network
    # Stored where `tf.Module` looks for variables.
    self._network_parts = trackable_parts(network)
    super().__init__(
      forward_min_event_ndims=3,
      is_constant_jacobian=is_constant_jacobian,
      parameters=parameters,
      **kwargs,
    )

  @property
  def network(self):
    """The network, which sees the channels that pass through."""
    return self._network

  @abc.abstractmethod
  def _transform(self, x, outputs):
    """Maps the latent half to the image half; returns it and its log-det."""

  @abc.abstractmethod
  def _undo_transform(self, y, outputs):
    """Maps the image half to the latent half; returns it and its log-det."""

  def _forward_and_log_det(self, x):
    return self._apply(Direction.FORWARD, x)

  def _inverse_and_log_det(self, y):
    return self._apply(Direction.INVERSE, y)

  def _recompute_for_gradient(self, direction, output, tape):
    # The network sees the half that passes through, which is the same before
    # and after. It runs once here; undoing and redoing would run it twice.
    output, passed = self._split(output)
    tape.watch(passed)
    outputs = self._network_outputs(passed, output.shape[-1])
    with tape.stop_recording():
      transformed, _ = self._transform_in(direction.opposite, output, outputs)
    tape.watch(transformed)
    output, log_det = self._transform_in(direction, transformed, outputs)
    return (transformed, passed), tf.concat([output, passed], -1), log_det

  def _apply(self, direction, images):
    transformed, passed = self._split(images)
    outputs = self._network_outputs(passed, transformed.shape[-1])
    result, log_det = self._transform_in(direction, transformed, outputs)
    return tf.concat([result, passed], axis=-1), log_det

  def _transform_in(self, direction, half, outputs):
    if direction is Direction.FORWARD:
      return self._transform(half, outputs)
    return self._undo_transform(half, outputs)

  def _split(self, images):
    _shapes.check_image(images, self)
    channels = images.shape[-1]
    if channels is None or channels < 2:
      raise ValueError(
        f'{type(self).__name__}: the images must have at least 2 channels, and '
        f'their number must be static, got shape {images.shape}.'
      )
    return _shapes.split_channels(images)

  def _network_outputs(self, passed, num_transformed):
    """Runs the network and checks the shape of what it returns."""
    outputs = self._network(_shapes.flatten_batch(passed))
    expected = self.outputs_per_channel * num_transformed
    if outputs.shape.rank != 4 or outputs.shape[-1] != expected:
      raise ValueError(
        f'{type(self).__name__}: the network must return {expected} channels '
        f'({self.outputs_per_channel} for each transformed channel), got '
        f'shape {outputs.shape} for an input of shape {passed.shape}.'
      )
    outputs = tf.cast(outputs, passed.dtype)
    return _shapes.unflatten_batch(outputs, passed)
