# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Glow models of raw pixels, ready to train."""

from tfp_ood.bijectors.constant_volume_glow import ConstantVolumeGlow
from tfp_ood.bijectors.glow import Glow
from tfp_ood.distributions.image_flow import ImageFlow

__all__ = ['constant_volume_glow', 'glow']


def glow(image_shape, name='glow', **kwargs):
  """Returns an `ImageFlow` over a `tfp_ood.bijectors.Glow`.

  Args:
    image_shape: `[height, width, channels]`, Python `int`s.
    name: Python `str`, the name of the distribution.
    **kwargs: passed to `tfp_ood.bijectors.Glow`.

  Returns:
    `ImageFlow` over raw pixels, to be initialized with training images.

  #### Examples

  >>> import tfp_ood
  >>> tfp_ood.distributions.glow([32, 32, 3], num_steps=2).event_shape
  TensorShape([32, 32, 3])
  """
  return ImageFlow(Glow(image_shape, **kwargs), image_shape, name=name)


def constant_volume_glow(image_shape, name='constant_volume_glow', **kwargs):
  """Returns an `ImageFlow` over a `tfp_ood.bijectors.ConstantVolumeGlow`.

  Args:
    image_shape: `[height, width, channels]`, Python `int`s.
    name: Python `str`, the name of the distribution.
    **kwargs: passed to `tfp_ood.bijectors.ConstantVolumeGlow`.

  Returns:
    `ImageFlow` over raw pixels, to be initialized with training images.

  #### Examples

  >>> import tfp_ood
  >>> flow = tfp_ood.distributions.constant_volume_glow([32, 32, 3], num_steps=2)
  >>> flow.bijector.is_constant_jacobian
  True
  """
  return ImageFlow(
    ConstantVolumeGlow(image_shape, **kwargs), image_shape, name=name
  )
