# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""What the coupling bijectors share."""

import abc

import tensorflow as tf

from tfp_ood.bijectors import _shapes
from tfp_ood.bijectors.bijector import Bijector
from tfp_ood.networks.tracking import trackable_parts

__all__ = ['Coupling']


class Coupling(Bijector):
  """Transforms the first half of the channels given the rest.

  With `c` channels, the first `c // 2` are transformed; the others pass through
  unchanged and are what the network sees. A subclass says what the network's
  output means.
  """

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
    """The callable that sees the channels that pass through."""
    return self._network

  @property
  @abc.abstractmethod
  def outputs_per_channel(self):
    """Python `int`, network outputs for each transformed channel."""

  @abc.abstractmethod
  def _transform(self, x, outputs):
    """Maps the latent half to the image half; returns it and its log-det."""

  @abc.abstractmethod
  def _undo_transform(self, y, outputs):
    """Maps the image half to the latent half; returns it and its log-det."""

  def _forward_and_log_det(self, x):
    return self._apply(self._transform, x)

  def _inverse_and_log_det(self, y):
    return self._apply(self._undo_transform, y)

  def _recompute_for_gradient(self, output, undo, redo, tape):
    # The network sees the half that passes through, which is the same before
    # and after: it runs once here where undoing and redoing would run it twice.
    transform, undo_transform = self._transform, self._undo_transform
    if redo == self.inverse_and_log_det:
      transform, undo_transform = undo_transform, transform
    output, passed = self._split(output)
    tape.watch(passed)
    outputs = self._network_outputs(passed, output.shape[-1])
    with tape.stop_recording():
      transformed, _ = undo_transform(output, outputs)
    tape.watch(transformed)
    output, log_det = transform(transformed, outputs)
    return (transformed, passed), tf.concat([output, passed], -1), log_det

  def _apply(self, transform, images):
    transformed, passed = self._split(images)
    outputs = self._network_outputs(passed, transformed.shape[-1])
    result, log_det = transform(transformed, outputs)
    return tf.concat([result, passed], axis=-1), log_det

  def _split(self, images):
    _shapes.check_image(images, self)
    channels = images.shape[-1]
    if channels is None or channels < 2:
      raise ValueError(
        f'{type(self).__name__}: the images must have at least 2 channels, a '
        f'number known in advance, got shape {images.shape}.'
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
