# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The multi-scale split of a flow."""

import numpy as np
import tensorflow as tf

from tfp_ood._pixels import check_image_shape
from tfp_ood.bijectors import _shapes
from tfp_ood.bijectors._vector_to_image import VectorToImage
from tfp_ood.bijectors.fused import forward_and_log_det, inverse_and_log_det
from tfp_ood.bijectors.initialization import inverse_and_initial_values
from tfp_ood.bijectors.linear_part import inverse_linear_part

__all__ = ['FactorOut']


class FactorOut(VectorToImage):
  """Factor half of the channels out; the rest go on to the deeper levels.

  `inverse` splits an image of `c` channels: the last `c - c // 2` go on through
  `bijector` (the deeper levels), the first `c // 2` leave. What leaves is
  normalized by `prior`, a coupling that predicts its mean (and scale) from what
  stays. This is Glow's learned conditional prior, made part of the map so that
  the base of the whole flow remains a standard normal. The latent is the vector
  `[deeper latent, what left]`.

  #### Examples

  A flow of one level, with the rest of the channels reshaped to a vector:

  >>> import tensorflow as tf
  >>> import tensorflow_probability as tfp
  >>> import tfp_ood
  >>> rest = tfp.bijectors.Reshape(event_shape_in=[32], event_shape_out=[4, 4, 2])
  >>> prior = tfp_ood.bijectors.AffineCoupling(tfp_ood.networks.ZeroConvolution(2, 4))
  >>> flow = tfp_ood.bijectors.FactorOut(rest, image_shape=[4, 4, 4], prior=prior)
  >>> flow.inverse(tf.ones([5, 4, 4, 4])).shape
  TensorShape([5, 64])
  """

  def __init__(
    self,
    bijector,
    image_shape,
    prior,
    validate_args=False,
    name='factor_out',
  ):
    """Instantiates the `FactorOut` bijector.

    Args:
      bijector: `tfp.bijectors.Bijector` from a latent vector to images of shape
        `[height, width, channels - channels // 2]`.
      image_shape: `[height, width, channels]`, Python `int`s.
      prior: `AffineCoupling`, `AdditiveCoupling` or another bijector of images
        that leaves their last `channels - channels // 2` channels unchanged.
      validate_args: Python `bool`, whether to check values in graphs.
      name: Python `str` given to the operations.

    Raises:
      ValueError: if `image_shape` is not that of an image with at least 2
        channels, or the latent of `bijector` is not a vector.
    """
    parameters = dict(locals())
    image_shape = check_image_shape(image_shape, 'FactorOut', min_channels=2)
    with tf.name_scope(name) as name:
      self._bijector = bijector
      self._prior = prior
      height, width, channels = image_shape
      self._leaving_shape = [height, width, channels // 2]
      rest_shape = tf.TensorShape([height, width, channels - channels // 2])
      rest_latent_shape = bijector.inverse_event_shape(rest_shape)
      if rest_latent_shape.rank != 1:
        raise ValueError(
          f'FactorOut: `bijector` must map a latent vector to images of shape '
          f'{rest_shape}; its latent has shape {rest_latent_shape}.'
        )
      self._rest_size = rest_latent_shape[0]
      super().__init__(
        image_shape,
        is_constant_jacobian=(
          bijector.is_constant_jacobian and prior.is_constant_jacobian
        ),
        dtype=bijector.dtype,
        validate_args=validate_args,
        parameters=parameters,
        name=name,
      )

  @property
  def bijector(self):
    """The bijector of the channels that stay."""
    return self._bijector

  @property
  def prior(self):
    """The coupling that normalizes the channels that leave."""
    return self._prior

  @property
  def latent_sizes(self):
    """`[latent size of what stays, latent size of what leaves]`."""
    return [self._rest_size, self.latent_size - self._rest_size]

  def _forward_and_log_det(self, x):
    self._check_latent(x)
    rest, leaving = tf.split(x, self.latent_sizes, axis=-1)
    rest, rest_log_det = forward_and_log_det(self.bijector, rest, 1)
    leaving = tf.reshape(
      leaving, tf.concat([tf.shape(x)[:-1], self._leaving_shape], axis=0)
    )
    y, log_det = forward_and_log_det(
      self.prior, tf.concat([leaving, rest], axis=-1), 3
    )
    return y, rest_log_det + log_det

  def _inverse_and_log_det(self, y):
    self._check_image(y)
    y, log_det = inverse_and_log_det(self.prior, y, 3)
    leaving, rest = _shapes.split_channels(y)
    rest, rest_log_det = inverse_and_log_det(self.bijector, rest, 3)
    return self._latent(rest, leaving), rest_log_det + log_det

  def _inverse_and_initial_values(self, images):
    self._check_image(images)
    images, values = inverse_and_initial_values(self.prior, images)
    leaving, rest = _shapes.split_channels(images)
    rest, rest_values = inverse_and_initial_values(self.bijector, rest)
    return self._latent(rest, leaving), values + rest_values

  def _inverse_linear_part(self, images):
    images = inverse_linear_part(self.prior, images)
    leaving, rest = np.split(images, [images.shape[-1] // 2], axis=-1)
    rest = inverse_linear_part(self.bijector, rest)
    return np.concatenate([rest, leaving.reshape([len(rest), -1])], axis=-1)

  def _latent(self, rest, leaving):
    """Joins the latent of what stays and the image of what leaves."""
    shape = tf.concat([tf.shape(rest)[:-1], [self.latent_sizes[1]]], axis=0)
    return tf.concat([rest, tf.reshape(leaving, shape)], axis=-1)
