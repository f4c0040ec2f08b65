# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Activation normalization and 1x1 convolution as one affine map of each pixel."""

import tensorflow as tf

from tfp_ood.bijectors import _shapes
from tfp_ood.bijectors.activation_normalization import ActivationNormalization
from tfp_ood.bijectors.bijector import Bijector
from tfp_ood.bijectors.invertible_conv_1x1 import InvertibleConv1x1

__all__ = ['PixelwiseAffine']


class PixelwiseAffine(Bijector):
  """`Chain([ActivationNormalization, InvertibleConv1x1])`, fused in `inverse`.

      inverse(y) = (y - shift) exp(-log_scale) M = (y - shift) matrix

  Densities use `inverse`, which then stores no array of scaled images. `forward` runs
  the two parts.
  """

  def __init__(self, num_channels, weights, name='pixelwise_affine'):
    """Instantiates the bijector.

    Args:
      num_channels: Python `int`, the number of channels of the images.
      weights: `dict` as `prepare` returns it, or a slice of it.
      name: Python `str` given to the operations.
    """
    parameters = dict(locals())
    with tf.name_scope(name) as name:
      self._num_channels = num_channels
      self._weights = weights
      super().__init__(
        forward_min_event_ndims=3,
        is_constant_jacobian=True,
        dtype=weights['matrix'].dtype,
        parameters=parameters,
        name=name,
      )

  @staticmethod
  def prepare(normalization, convolution):
    """Computes what depends on no image, for one step or a stack.

    Args:
      normalization: `dict` of the weights of an `ActivationNormalization`.
      convolution: `dict` of the weights of an `InvertibleConv1x1` whose
        parameterization is `'lu'`.

    Returns:
      `dict` of tensors: `matrix` and `log_abs_determinant`, and the weights of both
      parts.
    """
    normalization = tf.nest.map_structure(tf.convert_to_tensor, normalization)
    convolution = InvertibleConv1x1.prepare(convolution)
    # `forward` needs no matrix: it solves with the triangles.
    matrix = convolution['matrix']
    convolution = {k: v for k, v in convolution.items() if k != 'matrix'}
    log_scale = normalization['log_scale']
    return {
      'matrix': tf.exp(-log_scale)[..., None] * matrix,
      'log_abs_determinant': convolution['log_abs_determinant']
      - tf.reduce_sum(log_scale, axis=-1),
      'normalization': normalization,
      'convolution': convolution,
    }

  def _forward_and_log_det(self, x):
    convolution = InvertibleConv1x1(
      self._num_channels, weights=self._weights['convolution']
    )
    normalization = ActivationNormalization(
      self._num_channels, weights=self._weights['normalization']
    )
    y = normalization.forward(convolution.forward(x))
    return y, -self._log_det(x)

  def _inverse_and_log_det(self, y):
    _shapes.check_image(y, self, self._num_channels)
    centered = y - self._weights['normalization']['shift']
    x = _shapes.multiply_channels(centered, self._weights['matrix'])
    return x, self._log_det(y)

  def _log_det(self, images):
    return _shapes.num_pixels(images) * self._weights['log_abs_determinant']
