# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Distributions over raw pixels from the outputs of a decoder network."""

import tensorflow as tf
import tensorflow_probability as tfp

from tfp_ood.distributions.categorical import Categorical
from tfp_ood.distributions.discretized_logistic import DiscretizedLogistic

__all__ = ['PIXEL_LIKELIHOODS', 'pixel_likelihood']

tfd = tfp.distributions

PIXEL_LIKELIHOODS = (
  'gaussian',
  'learned_gaussian',
  'categorical',
  'discretized_logistic',
)

# A density of pixel values stays below one, and a pixel's bits above zero.
_MIN_DEVIATION = 0.5
_MIN_LOGISTIC_SCALE = 0.05


def pixel_likelihood(kind, scale=25.5, num_values=256):
  """Returns a distribution over raw pixels, of given parameters.

  | kind | distribution of a channel of a pixel | outputs |
  |---|---|---|
  | `gaussian` | normal, of fixed deviation `scale` | location |
  | `learned_gaussian` | normal | location, deviation |
  | `categorical` | `Categorical` | a logit of each value |
  | `discretized_logistic` | `DiscretizedLogistic` | location, scale |

  Outputs near zero put the location at the middle of the range. A learned
  deviation is at least half a pixel value, so that densities stay below one.

  Args:
    kind: one of `PIXEL_LIKELIHOODS`.
    scale: Python `float`, in pixel values; of `gaussian` alone.
    num_values: Python `int`; pixels are `0 .. num_values - 1`.

  Returns:
    outputs_per_channel: Python `int`, how many numbers a channel needs.
    make_distribution: function from them, `[batch, height, width, channels *
      outputs_per_channel]`, to a `tfd.Independent` of raw pixels.

  Raises:
    ValueError: if `kind` is unknown or `scale` is not positive.

  #### Example

  >>> import tensorflow as tf
  >>> number, make_distribution = pixel_likelihood('discretized_logistic')
  >>> make_distribution(tf.zeros([5, 8, 8, 3 * number])).event_shape
  TensorShape([8, 8, 3])
  """
  if kind not in PIXEL_LIKELIHOODS:
    raise ValueError(
      f'The likelihood must be one of {", ".join(PIXEL_LIKELIHOODS)}, got {kind!r}.'
    )
  if not scale > 0:
    raise ValueError(f'`scale` must be positive, got {scale}.')
  half = (num_values - 1) / 2

  def spread(raw, minimum):
    return minimum + half * tf.nn.softplus(raw - 1)

  def of_pixel(outputs):
    if kind == 'categorical':
      return Categorical(logits=outputs)
    loc = half * (1 + outputs[..., 0])
    if kind == 'gaussian':
      return tfd.Normal(loc, tf.constant(scale, loc.dtype))
    if kind == 'learned_gaussian':
      return tfd.Normal(loc, spread(outputs[..., 1], _MIN_DEVIATION))
    return DiscretizedLogistic(
      loc, spread(outputs[..., 1], _MIN_LOGISTIC_SCALE), num_values
    )

  number = {
    'gaussian': 1,
    'learned_gaussian': 2,
    'categorical': num_values,
    'discretized_logistic': 2,
  }[kind]

  def make_distribution(outputs):
    channels = outputs.shape[-1] // number
    shape = tf.concat([tf.shape(outputs)[:-1], [channels, number]], axis=0)
    split = tf.ensure_shape(
      tf.reshape(outputs, shape), [*outputs.shape[:-1], channels, number]
    )
    return tfd.Independent(of_pixel(split), reinterpreted_batch_ndims=3)

  return number, make_distribution
