# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Distributions of one pixel, channel after channel, from features."""

import math

import tensorflow as tf
import tensorflow_probability as tfp

from tfp_ood._seeds import stateless_seed
from tfp_ood.distributions.categorical import Categorical
from tfp_ood.distributions.discretized_logistic import DiscretizedLogistic

__all__ = ['PIXEL_HEADS', 'CategoricalHead', 'LogisticMixtureHead']

_MIN_LOG_SCALE = -7.0


class LogisticMixtureHead(tf.Module):
  """A mixture of discretized logistics for all channels of a pixel.

  With `z` the pixel scaled to `[-1, 1]`, a component draws channel `c` about

      loc[c] + sum_{j < c} tanh(coefficient[c, j]) z[j]

  so that channels depend on each other within a component as well as through it.
  Locations, scales, coefficients and the components' weights are affine in the
  features.

  #### Example

  >>> import tensorflow as tf
  >>> head = LogisticMixtureHead(num_features=4, num_channels=3, num_values=256)
  >>> features, pixels = tf.zeros([5, 8, 8, 4]), tf.zeros([5, 8, 8, 3])
  >>> head.log_prob(features, pixels).shape
  TensorShape([5, 8, 8])
  """

  is_differentiable = True

  def __init__(
    self,
    num_features,
    num_channels,
    num_values,
    num_components=5,
    seed=None,
    dtype=tf.float32,
    name='logistic_mixture_head',
  ):
    """Instantiates the head.

    Args:
      num_features: Python `int`.
      num_channels: Python `int`.
      num_values: Python `int`; pixels are `0 .. num_values - 1`.
      num_components: Python `int`, of the mixture.
      seed: Python `int` or stateless PRNG seed of the weights.
      dtype: floating dtype of the variables.
      name: Python `str`, the name of the module.
    """
    super().__init__(name=name)
    self._num_channels = num_channels
    self._num_values = num_values
    self._num_components = num_components
    self._splits = [
      1,
      num_channels,
      num_channels,
      num_channels * (num_channels - 1) // 2,
    ]
    self._kernel, self._bias = _affine(
      num_features, num_components * sum(self._splits), seed, dtype
    )

  def parameters(self, features):
    """Returns the parameters of the mixture.

    Args:
      features: `Tensor` of shape `[..., num_features]`.

    Returns:
      logits: `Tensor` of shape `[..., num_components]`, of the components.
      loc, scale: of shape `[..., num_components, num_channels]`, for pixels scaled
        to `[-1, 1]`, and without what earlier channels add.
      coefficients: of shape `[..., num_components, num_channels (num_channels - 1) /
        2]`, those of channel 1, then those of channel 2 and so on.
    """
    outputs = tf.tensordot(features, self._kernel, 1) + self._bias
    shape = tf.concat(
      [tf.shape(outputs)[:-1], [self._num_components, sum(self._splits)]], 0
    )
    outputs = tf.reshape(outputs, shape)
    logits, loc, scale, coefficients = tf.split(outputs, self._splits, axis=-1)
    scale = tf.nn.softplus(scale) + math.exp(_MIN_LOG_SCALE)
    return logits[..., 0], loc, scale, tf.tanh(coefficients)

  def log_prob(self, features, pixels):
    """Returns the log-probability of each pixel, all channels together.

    Args:
      features: `Tensor` of shape `[..., num_features]`.
      pixels: `Tensor` of shape `[..., num_channels]` and the same dtype.

    Returns:
      `Tensor` of shape `[...]`, in nats.
    """
    return self.mixture_log_prob(self.parameters(features), pixels)

  def mixture_log_prob(self, parameters, pixels):
    """`log_prob` from what `parameters` returns."""
    logits, loc, scale, coefficients = parameters
    pixels = pixels[..., tf.newaxis, :]
    scaled = self._scaled(pixels)
    by_channel = [
      self._channel(channel, loc, scale, coefficients, scaled).log_prob(
        pixels[..., channel]
      )
      for channel in range(self._num_channels)
    ]
    return tf.reduce_logsumexp(
      tf.nn.log_softmax(logits) + tf.add_n(by_channel), axis=-1
    )

  def sample(self, features, seed=None):
    """Draws pixels.

    Args:
      features: `Tensor` of shape `[..., num_features]`.
      seed: Python `int` or stateless PRNG seed.

    Returns:
      `Tensor` of shape `[..., num_channels]`, whole numbers in the dtype of the
      features.
    """
    seeds = tfp.random.split_seed(
      stateless_seed(seed), n=1 + self._num_channels
    )
    logits, *parameters = self.parameters(features)
    component = Categorical(logits).sample(seed=seeds[0])
    # One component from here on, on an axis of its own.
    loc, scale, coefficients = (
      tf.gather(p, component[..., tf.newaxis], batch_dims=component.shape.rank)
      for p in parameters
    )
    pixels = tf.zeros_like(loc)
    for channel in range(self._num_channels):
      drawn = self._channel(
        channel, loc, scale, coefficients, self._scaled(pixels)
      ).sample(seed=seeds[1 + channel])
      here = tf.one_hot(channel, self._num_channels, dtype=pixels.dtype)
      pixels += drawn[..., tf.newaxis] * here
    return pixels[..., 0, :]

  def _channel(self, channel, loc, scale, coefficients, scaled):
    """The distribution of a channel under each component, of whole values."""
    first = channel * (channel - 1) // 2
    added = tf.reduce_sum(
      coefficients[..., first : first + channel] * scaled[..., :channel],
      axis=-1,
    )
    half = (self._num_values - 1) / 2
    return DiscretizedLogistic(
      half * (1 + loc[..., channel] + added),
      half * scale[..., channel],
      self._num_values,
    )

  def _scaled(self, pixels):
    return 2 * pixels / (self._num_values - 1) - 1


class CategoricalHead(tf.Module):
  """A probability of its own for each value of a channel.

  The logits of channel `c` are affine in the features, to which each earlier channel
  adds a vector of its value, rectified.

  #### Example

  >>> import tensorflow as tf
  >>> head = CategoricalHead(num_features=4, num_channels=1, num_values=2)
  >>> head.log_prob(tf.zeros([5, 4]), tf.zeros([5, 1])).shape
  TensorShape([5])
  """

  is_differentiable = False

  def __init__(
    self,
    num_features,
    num_channels,
    num_values,
    seed=None,
    dtype=tf.float32,
    name='categorical_head',
  ):
    """Instantiates the head.

    Args:
      num_features: Python `int`.
      num_channels: Python `int`.
      num_values: Python `int`; pixels are `0 .. num_values - 1`.
      seed: Python `int` or stateless PRNG seed of the weights.
      dtype: floating dtype of the variables.
      name: Python `str`, the name of the module.
    """
    super().__init__(name=name)
    self._num_channels = num_channels
    self._num_values = num_values
    seeds = tfp.random.split_seed(stateless_seed(seed), n=2 * num_channels)
    self._affine = [
      _affine(num_features, num_values, seeds[channel], dtype)
      for channel in range(num_channels)
    ]
    # Of each channel but the last, by value.
    self._added = [
      _affine(num_values, num_features, seeds[num_channels + channel], dtype)[0]
      for channel in range(num_channels - 1)
    ]

  def log_prob(self, features, pixels):
    """Returns the log-probability of each pixel, all channels together.

    Args:
      features: `Tensor` of shape `[..., num_features]`.
      pixels: `Tensor` of shape `[..., num_channels]`.

    Returns:
      `Tensor` of shape `[...]`, in nats.
    """
    pixels = tf.cast(pixels, tf.int32)
    total = 0.0
    for channel in range(self._num_channels):
      values = pixels[..., channel]
      total += self._channel(channel, features).log_prob(values)
      features = self._with_channel(channel, features, values)
    return total

  def sample(self, features, seed=None):
    """Draws pixels.

    Args:
      features: `Tensor` of shape `[..., num_features]`.
      seed: Python `int` or stateless PRNG seed.

    Returns:
      `Tensor` of shape `[..., num_channels]`, whole numbers in the dtype of the
      features.
    """
    seeds = tfp.random.split_seed(stateless_seed(seed), n=self._num_channels)
    dtype, channels = features.dtype, []
    for channel in range(self._num_channels):
      values = self._channel(channel, features).sample(seed=seeds[channel])
      channels.append(tf.cast(values, dtype))
      features = self._with_channel(channel, features, values)
    return tf.stack(channels, axis=-1)

  def _channel(self, channel, features):
    kernel, bias = self._affine[channel]
    return Categorical(
      logits=tf.tensordot(tf.nn.elu(features), kernel, 1) + bias
    )

  def _with_channel(self, channel, features, values):
    if channel == self._num_channels - 1:
      return features
    return features + tf.gather(self._added[channel], values)


def _affine(num_inputs, num_outputs, seed, dtype):
  """Variables of an affine map that starts small."""
  kernel = tf.random.stateless_normal(
    [num_inputs, num_outputs], stateless_seed(seed), alg='philox'
  )
  return (
    tf.Variable(
      tf.cast(kernel * 0.1 / math.sqrt(num_inputs), dtype), name='kernel'
    ),
    tf.Variable(tf.zeros([num_outputs], dtype), name='bias'),
  )


PIXEL_HEADS = {
  'logistic_mixture': LogisticMixtureHead,
  'categorical': CategoricalHead,
}
