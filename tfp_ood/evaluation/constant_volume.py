# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The second-order analysis of constant-volume flows, in closed form."""

import typing

import numpy as np
import tensorflow_probability as tfp

from tfp_ood.bijectors.glow import Glow
from tfp_ood.bijectors.linear_part import inverse_linear_part
from tfp_ood.distributions.image_flow import ImageFlow

__all__ = [
  'ConstantVolumeSecondOrderDifference',
  'constant_volume_second_order_difference',
]


class ConstantVolumeSecondOrderDifference(typing.NamedTuple):
  """The difference that the variances of two data sets make, in nats.

  Attributes:
    difference: `float`, `out_of_distribution - in_distribution`.
    in_distribution: `float`, `1/2 Tr(H S)` of the in-distribution set.
    out_of_distribution: `float`, likewise.
    by_channel: `float64` array `[channels]`, the share of each channel of the
      image in `difference`.
    weights: `float64` array `[block, block, channels]`, minus the diagonal of
      `H`, the same for every block of pixels; never negative.
    linear_map: `float64` array `[block * block * channels, block, block,
      channels]`, from the raw pixels of one block to its latents, the deepest
      level first.
  """

  difference: float
  in_distribution: float
  out_of_distribution: float
  by_channel: np.ndarray
  weights: np.ndarray
  linear_map: np.ndarray


def constant_volume_second_order_difference(
  flow, in_distribution_variance, out_of_distribution_variance
):
  """Predicts a difference of mean log-probabilities from a flow's weights.

  Without its couplings, a constant-volume Glow of `L` levels is an affine map
  of the pixels, the same for every block of `2^L` by `2^L` of them: squeezes,
  1x1 convolutions, the scales of activation normalization and the scale of the
  pixels. With `A` its matrix on one block and a normal base of scale `s`, the
  Hessian of the log-probability is `H = -A' A / s^2` at every image, and for
  two data sets of one mean whose pixels have variances `v` and no correlations

  ```none
  weights_j = sum_i A_ij^2 / s^2
  difference = 1/2 Tr(H (S_out - S_in))
             = -1/2 sum_j weights_j (v_out,j - v_in,j)
  ```

  over all blocks. As `weights` is positive, the data set of smaller variance is
  more probable, no matter which one the flow was trained on. That is the argument
  of [1]. Its own formula has `(prod_k sum_j u_{k,c,j})^2` in place of `weights`,
  with `u_k` the k-th 1x1 convolution. It follows channel `c` through all steps,
  which squeezes do not allow, and squares a sum where the trace sums squares: for
  a rotation `weights` is 1, but that formula gives anything from 0 to the number
  of channels. It is therefore not used.

  The couplings, and the shifts of what is factored out, are assumed not to depend
  on the image. `tfp_ood.stats.second_order_difference` differentiates the whole
  flow instead; the two agree while the coupling networks return zero.

  Args:
    flow: `ImageFlow` over a `Glow` of constant volume, with a normal base of
      one mean and scale for all dimensions, as by default.
    in_distribution_variance: Array of the variances of raw pixels, `[height,
      width, channels]`, or `[channels]` for the same at every pixel.
    out_of_distribution_variance: Likewise.

  Returns:
    `ConstantVolumeSecondOrderDifference`.

  Raises:
    ValueError: If `flow` is another distribution or not initialized, or if the
      variances have another shape, are negative or not finite.
    NotImplementedError: If `flow` holds couplings of your own that do not
      implement `_inverse_linear_part`.

  #### Examples

  >>> import tensorflow as tf
  >>> import tfp_ood
  >>> flow = tfp_ood.distributions.constant_volume_glow(
  ...     [8, 8, 3], num_levels=2, num_steps=2, hidden_channels=4, seed=1)
  >>> images = tf.random.stateless_uniform(
  ...     [16, 8, 8, 3], seed=[1, 2], maxval=256, dtype=tf.int32)
  >>> _ = flow.initialize(tf.cast(images, tf.uint8))
  >>> result = tfp_ood.evaluation.constant_volume_second_order_difference(
  ...     flow, [5000.0, 5000.0, 5000.0], [500.0, 500.0, 500.0])
  >>> result.difference > 0.0, result.weights.shape
  (True, (4, 4, 3))

  #### References

  [1]: Eric Nalisnick, Akihiro Matsukawa, Yee Whye Teh, Dilan Gorur, Balaji
       Lakshminarayanan. Do Deep Generative Models Know What They Don't Know? In
       _International Conference on Learning Representations_, 2019.
       https://arxiv.org/abs/1810.09136
  """
  base_scale = _checked_base_scale(flow)
  image_shape = tuple(flow.event_shape)
  in_variance = _checked_variance(
    in_distribution_variance, image_shape, 'in_distribution_variance'
  )
  out_variance = _checked_variance(
    out_of_distribution_variance, image_shape, 'out_of_distribution_variance'
  )

  linear_map = _linear_map(flow)
  weights = np.sum((linear_map / base_scale) ** 2, axis=0)
  repetitions = [
    length // block
    for length, block in zip(image_shape, weights.shape, strict=True)
  ]
  half_hessian = -0.5 * np.tile(weights, repetitions)
  return ConstantVolumeSecondOrderDifference(
    difference=float(np.vdot(half_hessian, out_variance - in_variance)),
    in_distribution=float(np.vdot(half_hessian, in_variance)),
    out_of_distribution=float(np.vdot(half_hessian, out_variance)),
    by_channel=np.sum(half_hessian * (out_variance - in_variance), axis=(0, 1)),
    weights=weights,
    linear_map=linear_map,
  )


def _linear_map(flow):
  """Returns the matrix of one block, by sending its unit vectors through."""
  block = 2 ** len(flow.bijector.level_shapes)
  channels = flow.event_shape[-1]
  size = block * block * channels
  basis = np.eye(size).reshape([size, block, block, channels])
  latents = inverse_linear_part(flow.bijector, basis / flow.num_values)
  return latents.T.reshape([size, block, block, channels])


def _checked_base_scale(flow):
  """Returns the base's scale if `flow` is one that has a closed form."""
  bijector = flow.bijector if isinstance(flow, ImageFlow) else flow
  if (
    not isinstance(flow, ImageFlow)
    or not isinstance(bijector, Glow)
    or not bijector.is_constant_jacobian
  ):
    raise ValueError(
      'constant_volume_second_order_difference: `flow` must be an `ImageFlow` '
      'over a `Glow` of constant volume (additive couplings), got '
      f'{type(flow).__name__} '
      f'({type(bijector).__name__}); for other models, see '
      '`tfp_ood.stats.second_order_difference`.'
    )
  if not flow.is_initialized:
    raise ValueError(
      'constant_volume_second_order_difference: `flow` is not initialized: '
      'call `flow.initialize(images)` or restore a checkpoint first.'
    )
  normal = getattr(flow.base, 'distribution', None)
  if (
    not isinstance(flow.base, tfp.distributions.Sample)
    or not isinstance(normal, tfp.distributions.Normal)
    or normal.batch_shape != []
  ):
    raise ValueError(
      'constant_volume_second_order_difference: the base of `flow` must be a '
      'normal distribution of one mean and scale for all dimensions, a '
      '`tfp.distributions.Sample` of a scalar `Normal`, got '
      f'{flow.base}; see `tfp_ood.stats.second_order_difference`.'
    )
  return float(normal.scale)


def _checked_variance(variance, image_shape, name):
  variance = np.asarray(variance, np.float64)
  if variance.shape not in (image_shape, image_shape[-1:]):
    raise ValueError(
      'constant_volume_second_order_difference: '
      f'`{name}` must have shape {image_shape} or {image_shape[-1:]}, got '
      f'{variance.shape}.'
    )
  if not np.isfinite(variance).all() or variance.min() < 0.0:
    raise ValueError(
      f'constant_volume_second_order_difference: `{name}` must be finite and '
      f'not negative; its values run from {variance.min()} to '
      f'{variance.max()}.'
    )
  return np.broadcast_to(variance, image_shape)
