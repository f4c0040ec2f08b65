# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""A layer that makes a conditional flow of the outputs of a decoder network."""

import functools

import tensorflow as tf
import tensorflow_probability as tfp

from tfp_ood.bijectors.squeeze import Squeeze
from tfp_ood.distributions.variational.conditional_couplings import (
  ConditionalCouplings,
)
from tfp_ood.networks.coupling_network import CouplingNetwork

__all__ = ['FlowDecoderLayer']

tfb = tfp.bijectors
tfd = tfp.distributions

# In pixel values.
_MIN_SCALE = 0.5


class FlowDecoderLayer(tfp.layers.DistributionLambda):
  """A distribution over continuous pixels by a flow, conditional on features.

      y = loc + scale * f(e),   e ~ standard normal

  where `loc` and `scale`, of each pixel, and the embedding that the couplings of
  `f` see beside are outputs of a decoder network. Each level of `f` halves the
  sides of the image and runs `num_steps` of `ConditionalCouplings`. At the start
  `f` is a rotation, and `y` normal.

  `y` is in pixel values, dequantized: from `0` to `num_values`. Outputs of zero
  put `loc` at the middle of the range.

  #### Example

  >>> import tensorflow as tf
  >>> layer = FlowDecoderLayer([8, 8, 3], num_steps=2, hidden_channels=4)
  >>> outputs = tf.zeros([5, 8, 8, 3 * layer.outputs_per_channel])
  >>> layer(outputs).event_shape
  TensorShape([8, 8, 3])
  """

  def __init__(
    self,
    image_shape,
    num_levels=2,
    num_steps=4,
    hidden_channels=64,
    embedding_per_channel=2,
    num_values=256,
    seed=0,
    **kwargs,
  ):
    """Instantiates the layer.

    Args:
      image_shape: `[height, width, channels]`, Python `int`s; height and width
        must be divisible by `2**num_levels`.
      num_levels: Python `int`.
      num_steps: Python `int`, the steps of each level.
      hidden_channels: Python `int`, the width of the coupling networks.
      embedding_per_channel: Python `int`, how many numbers of embedding there are
        for each channel of a pixel.
      num_values: Python `int`; pixels are `0 .. num_values - 1`.
      seed: Python `int`, or a sequence of them, of all weights.
      **kwargs: passed to the Keras layer.

    Raises:
      ValueError: if the image cannot be halved `num_levels` times.
    """
    height, width, channels = image_shape
    if num_levels < 1 or height % 2**num_levels or width % 2**num_levels:
      raise ValueError(
        'FlowDecoderLayer: height and width must be divisible by '
        f'2**num_levels = {2**num_levels}, and `num_levels` be at least one, '
        f'got `image_shape` {list(image_shape)}.'
      )
    super().__init__(
      self._distribution,
      convert_to_tensor_fn=lambda d: d.bijector.bijectors[0].shift,
      **kwargs,
    )
    self._latent_shape = [
      height >> num_levels,
      width >> num_levels,
      channels << 2 * num_levels,
    ]
    self._sizes = [channels, channels, embedding_per_channel * channels]
    self._half = num_values / 2
    dtype = tf.as_dtype(kwargs.get('dtype') or tf.float32)
    seeds = seed if isinstance(seed, list | tuple) else [seed]
    self._levels = [
      ConditionalCouplings(
        functools.partial(CouplingNetwork, hidden_channels=hidden_channels),
        channels << 2 * level,
        self._sizes[2] << 2 * level,
        num_steps,
        seed=[*seeds, level],
        dtype=dtype,
      )
      for level in range(1, num_levels + 1)
    ]
    # Keras finds variables in attributes, but not all modules.
    self._level_variables = [v for part in self._levels for v in part.variables]

  @property
  def outputs_per_channel(self):
    """Python `int`, how many numbers the layer takes for each channel."""
    return sum(self._sizes) // self._sizes[0]

  def _distribution(self, outputs):
    loc, raw_scale, embedding = tf.split(outputs, self._sizes, axis=-1)
    scale = _MIN_SCALE + self._half * tf.nn.softplus(raw_scale - 1)
    parts = [tfb.Shift(self._half * (1 + loc)), tfb.Scale(scale)]
    for level in self._levels:
      embedding = Squeeze().inverse(embedding)
      parts += [Squeeze(), *level.bijectors(embedding)]
    shape = tf.concat([tf.shape(outputs)[:1], self._latent_shape], axis=0)
    zeros = tf.ensure_shape(
      tf.zeros(shape, outputs.dtype), [outputs.shape[0], *self._latent_shape]
    )
    base = tfd.Independent(tfd.Normal(zeros, tf.ones([], outputs.dtype)), 3)
    return tfd.TransformedDistribution(base, tfb.Chain(parts))
