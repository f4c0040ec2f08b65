# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The base class of bijectors from a latent vector to an image."""

import tensorflow as tf

from tfp_ood.bijectors import _shapes
from tfp_ood.bijectors.bijector import Bijector

__all__ = ['VectorToImage']


class VectorToImage(Bijector):
  """A bijector from a latent vector to images of one shape."""

  def __init__(self, image_shape, **kwargs):
    self._image_shape = tf.TensorShape(image_shape)
    super().__init__(
      forward_min_event_ndims=1, inverse_min_event_ndims=3, **kwargs
    )

  @property
  def image_shape(self):
    """`[height, width, channels]`."""
    return self._image_shape.as_list()

  @property
  def latent_size(self):
    """Python `int`, height times width times channels."""
    return self._image_shape.num_elements()

  def _check_latent(self, x):
    if x.shape.rank == 0 or x.shape[-1] != self.latent_size:
      raise ValueError(
        f'{type(self).__name__}: the latent must have {self.latent_size} '
        f'dimensions, got shape {x.shape}.'
      )

  def _check_image(self, y):
    _shapes.check_image(y, self, self._image_shape[-1])
    if not y.shape[-3:].is_compatible_with(self._image_shape):
      raise ValueError(
        f'{type(self).__name__}: images must have shape [batch..., '
        f'{", ".join(map(str, self._image_shape))}], got {y.shape}.'
      )

  def _forward_event_shape(self, input_shape):
    return input_shape[:-1] + self._image_shape

  def _inverse_event_shape(self, output_shape):
    return output_shape[:-3] + [self.latent_size]

  def _forward_event_shape_tensor(self, input_shape):
    return tf.concat([input_shape[:-1], self.image_shape], axis=0)

  def _inverse_event_shape_tensor(self, output_shape):
    return tf.concat([output_shape[:-3], [self.latent_size]], axis=0)
