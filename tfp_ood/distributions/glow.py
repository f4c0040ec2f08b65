# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Glow models of raw pixels, ready to train."""

from tfp_ood.bijectors.glow import Glow
from tfp_ood.distributions.image_flow import ImageFlow
from tfp_ood.pretrained.factories import with_weights

__all__ = ['constant_volume_glow', 'glow']


@with_weights
def glow(image_shape, name='glow', **kwargs):
  """Returns an `ImageFlow` over a `tfp_ood.bijectors.Glow`.

  Args:
    image_shape: `[height, width, channels]`, Python `int`s.
    name: Python `str`, the name of the distribution.
    weights: the name of bundled weights, such as `'cifar10'`, for a trained model, or
      the path of a file of `tfp_ood.pretrained.write_weights`. What decides the
      variables, the shape of images included, is then to be left out.
    **kwargs: passed to `tfp_ood.bijectors.Glow`.

  Returns:
    `ImageFlow` over raw pixels. Without `weights`, it is to be initialized with
    training images.

  #### Examples

  >>> import tfp_ood
  >>> tfp_ood.distributions.glow([32, 32, 3], num_steps=2).event_shape
  TensorShape([32, 32, 3])
  >>> trained = tfp_ood.distributions.glow(weights='cifar10')
  >>> trained.is_initialized
  True
  """
  return ImageFlow(Glow(image_shape, **kwargs), image_shape, name=name)


@with_weights
def constant_volume_glow(image_shape, name='constant_volume_glow', **kwargs):
  """Returns an `ImageFlow` over a `tfp_ood.bijectors.Glow` of constant volume.

  Its couplings are additive: one log-determinant for all images.

  Args:
    image_shape: `[height, width, channels]`, Python `int`s.
    name: Python `str`, the name of the distribution.
    weights: one of `tfp_ood.pretrained.available('constant_volume_glow')`, for a
      trained model, or the path of a file of `tfp_ood.pretrained.write_weights`.
      What decides the variables, the shape of images included, is then to be left
      out.
    **kwargs: passed to `tfp_ood.bijectors.Glow`.

  Returns:
    `ImageFlow` over raw pixels. Without `weights`, it is to be initialized with
    training images.

  #### Examples

  >>> import tfp_ood
  >>> flow = tfp_ood.distributions.constant_volume_glow([32, 32, 3], num_steps=2)
  >>> flow.bijector.is_constant_jacobian
  True
  """
  bijector = Glow(
    image_shape, coupling='additive', name='constant_volume_glow', **kwargs
  )
  return ImageFlow(bijector, image_shape, name=name)
