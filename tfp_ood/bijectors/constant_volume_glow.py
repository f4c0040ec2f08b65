# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Glow whose volume does not depend on the image."""

import tensorflow as tf

from tfp_ood.bijectors.glow import Glow

__all__ = ['ConstantVolumeGlow']


class ConstantVolumeGlow(Glow):
  """Glow with additive couplings: one log-determinant for all images.

  The flow of the second-order analysis of [1], which isolates the density term:
  whatever the image, it is moved but never locally stretched, except by the
  constants of the normalizations and 1x1 convolutions.

  #### Examples

  >>> import tensorflow as tf
  >>> import tfp_ood
  >>> flow = tfp_ood.bijectors.ConstantVolumeGlow(
  ...     [8, 8, 3], num_levels=2, num_steps=2, hidden_channels=4, seed=1)
  >>> flow.is_constant_jacobian
  True

  #### References

  [1]: Eric Nalisnick, Akihiro Matsukawa, Yee Whye Teh, Dilan Gorur, Balaji
       Lakshminarayanan. Do Deep Generative Models Know What They Don't Know? In
       _International Conference on Learning Representations_, 2019.
       https://arxiv.org/abs/1810.09136
  """

  def __init__(
    self,
    image_shape,
    num_levels=3,
    num_steps=32,
    hidden_channels=512,
    seed=None,
    recompute=True,
    compute_dtype=None,
    dtype=tf.float32,
    validate_args=False,
    name='constant_volume_glow',
  ):
    """Instantiates the `ConstantVolumeGlow` bijector.

    Args:
      image_shape: `[height, width, channels]`, Python `int`s; height and width
        must be divisible by `2**num_levels`.
      num_levels: Python `int`, the number of scales.
      num_steps: Python `int`, the number of steps of each level.
      hidden_channels: Python `int`, the width of the coupling networks.
      seed: Python `int` or stateless PRNG seed of the weights.
      recompute: Python `bool`, whether the gradient recovers activations
        instead of storing them; see `Scan`.
      compute_dtype: the dtype of the coupling networks' convolutions.
      dtype: the dtype of the weights, latents and images.
      validate_args: Python `bool`, whether to check values in graphs.
      name: Python `str` given to the operations.

    Raises:
      ValueError: if the image cannot be halved `num_levels` times.
    """
    super().__init__(
      image_shape,
      num_levels=num_levels,
      num_steps=num_steps,
      hidden_channels=hidden_channels,
      coupling='additive',
      seed=seed,
      recompute=recompute,
      compute_dtype=compute_dtype,
      dtype=dtype,
      validate_args=validate_args,
      name=name,
    )
