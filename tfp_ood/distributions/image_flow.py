# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""A normalizing flow as a distribution over raw pixels."""

import collections
import math

import tensorflow as tf
import tensorflow_probability as tfp

from tfp_ood import _content_noise
from tfp_ood._batches import with_one_more_if_empty
from tfp_ood._seeds import stateless_seed
from tfp_ood.bijectors.fused import forward_and_log_det, inverse_and_log_det
from tfp_ood.bijectors.initialization import initialize, is_initialized
from tfp_ood.distributions.raw_pixel_distribution import RawPixelDistribution

__all__ = ['ImageFlow', 'LogProbTerms']

LogProbTerms = collections.namedtuple('LogProbTerms', ['density', 'volume'])


class ImageFlow(RawPixelDistribution):
  """A distribution over images of whole pixel values, by a flow.

  Pixels `x` in `0 .. num_values - 1` are dequantized with uniform noise `u` in
  `[0, 1)` and scaled to `[-.5, .5]`, where the flow `f` maps them to a latent:

      y = (x + u) / num_values - .5
      density = log base(f^{-1}(y))
      volume = log|det df^{-1}/dy| - D log num_values
      log_prob(x) = density + volume

  with `D = height * width * channels`. Averaged over `u` this is a lower bound
  on the log-probability of the discrete image. `log_prob(x)` is a function: its
  noise is determined by the image and `noise_seed`, whatever else is in the batch,
  and independent between images, so that the mean over a data set is as close to
  that of the bound as its standard error says. For training,
  `log_prob(x, seed=...)` draws the noise afresh.

  Beyond `log_prob`, the statistics of the model (`statistics_names`) are

  | name | what it is |
  |---|---|
  | `density` | log-density of the latent under `base`, nats |
  | `volume` | log-determinant of the map from raw pixels to latent, nats |

  #### Examples

  >>> import tensorflow as tf
  >>> import tfp_ood
  >>> glow = tfp_ood.bijectors.Glow(
  ...     [8, 8, 3], num_levels=2, num_steps=2, hidden_channels=4, seed=1)
  >>> flow = tfp_ood.distributions.ImageFlow(glow, [8, 8, 3])
  >>> images = tf.random.stateless_uniform(
  ...     [16, 8, 8, 3], seed=[1, 2], maxval=256, dtype=tf.int32)
  >>> images = tf.cast(images, tf.uint8)
  >>> _ = flow.initialize(images)
  >>> flow.log_prob(images).shape
  TensorShape([16])
  >>> density, volume = flow.log_prob_terms(images)
  >>> bool(tf.reduce_all(density + volume == flow.log_prob(images)))
  True
  >>> flow.sample(4, seed=[1, 2]).dtype
  tf.uint8

  #### References

  [1]: Lucas Theis, Aaron van den Oord, Matthias Bethge. A note on the evaluation
       of generative models. In _International Conference on Learning
       Representations_, 2016. https://arxiv.org/abs/1511.01844
  [2]: Eric Nalisnick, Akihiro Matsukawa, Yee Whye Teh, Dilan Gorur, Balaji
       Lakshminarayanan. Do Deep Generative Models Know What They Don't Know? In
       _International Conference on Learning Representations_, 2019.
       https://arxiv.org/abs/1810.09136
  """

  def __init__(
    self,
    bijector,
    image_shape,
    base=None,
    num_values=256,
    noise_seed=0,
    validate_args=False,
    allow_nan_stats=True,
    name='image_flow',
  ):
    """Instantiates the `ImageFlow` distribution.

    Args:
      bijector: `tfp.bijectors.Bijector` from a latent (of any rank) to images of
        shape `image_shape` with values about `[-.5, .5]`.
      image_shape: `[height, width, channels]`, Python `int`s.
      base: `tfp.distributions.Distribution` over the latent with a scalar batch.
        Default: a standard normal. `learned_normal` makes a trainable one.
      num_values: Python `int`, at most 256: pixels are `0 .. num_values - 1`.
      noise_seed: Python `int`, or a pair of them: another one gives every image
        other noise.
      validate_args: Python `bool`, as in TFP; pixels are checked in any case.
      allow_nan_stats: Python `bool`, as in TFP.
      name: Python `str` given to the operations.

    Raises:
      ValueError: if the latent of the bijector and the event of `base` differ in
        shape, `base` has a batch, or `num_values` is not in `2 .. 256`.
    """
    parameters = dict(locals())
    with tf.name_scope(name) as name:
      super().__init__(
        image_shape,
        num_values,
        bijector.dtype or tf.float32,
        parameters,
        validate_args,
        allow_nan_stats,
        name,
      )
      self._bijector = bijector
      latent_shape = bijector.inverse_event_shape(self._image_shape)
      self._base = base or _standard_normal(latent_shape, self._log_prob_dtype)
      if self._base.event_shape != latent_shape:
        raise ValueError(
          f'ImageFlow: the bijector maps images of shape {self._image_shape} to '
          f'latents of shape {latent_shape}, but `base` is over events of shape '
          f'{self._base.event_shape}.'
        )
      if self._base.batch_shape != []:
        raise ValueError(
          'ImageFlow: `base` must have a scalar batch, got batch shape '
          f'{self._base.batch_shape}; make the batch part of the event with '
          '`tfp.distributions.Independent`.'
        )
      self._noise_seed = stateless_seed(noise_seed).numpy()

  @property
  def bijector(self):
    """The flow, latent to image."""
    return self._bijector

  @property
  def base(self):
    """The distribution of the latent."""
    return self._base

  @property
  def is_initialized(self):
    """Python `bool`, whether the flow has seen data or been restored."""
    return is_initialized(self.bijector)

  def initialize(self, images):
    """Initializes the flow's activation normalization from training images.

    Args:
      images: `Tensor` of raw pixels, `[batch, height, width, channels]`; a few
        hundred training images.

    Returns:
      The latents of the images.
    """
    pixels = self.check(images)
    return initialize(self.bijector, self._dequantize(pixels, None))

  def log_prob_terms(self, images, seed=None, name='log_prob_terms'):
    """Splits `log_prob` into the density and the volume term.

    Args:
      images: `Tensor` of raw pixels, `[batch..., height, width, channels]`.
      seed: PRNG seed of fresh noise. Default: the noise of each image.
      name: Python `str` given to the operations.

    Returns:
      `LogProbTerms`, two `Tensor`s of shape `[batch...]` in nats:
      density: the log-density of the latent under `base`.
      volume: the log-determinant of the map from raw pixels to latent.
    """
    with self._name_and_control_scope(name):
      terms, _ = self._terms_and_latent(self.check(images), seed)
      return terms

  @property
  def statistics_names(self):
    """Names of what `statistics` can compute, a tuple of `str`."""
    return ('log_prob', 'density', 'volume')

  @property
  def default_statistics(self):
    """Names of the statistics that together tell images of the flow's kind."""
    return ('density', 'volume')

  def statistics(self, images, names):
    """Computes `log_prob` and its two terms, in one pass of the flow.

    Args:
      images: `Tensor` of raw pixels, `[batch, height, width, channels]`.
      names: iterable of names out of `statistics_names`.

    Returns:
      `dict` from each name to a `Tensor` of shape `[batch]`, in nats.
    """
    density, volume = self.log_prob_terms(images)
    values = {
      'log_prob': density + volume,
      'density': density,
      'volume': volume,
    }
    return {name: values[name] for name in names}

  def training_loss(self, images, seed=None):
    """Minus `log_prob` with fresh noise, `[batch]`, in nats.

    Args:
      images: `Tensor` of raw pixels, `[batch, height, width, channels]`.
      seed: PRNG seed of the noise.

    Returns:
      `Tensor` of shape `[batch]`.
    """
    return -self.log_prob(images, seed=seed)

  def latents(self, images, name='latents'):
    """Maps images to the latents of the flow's levels.

    Args:
      images: `Tensor` of raw pixels, `[batch..., height, width, channels]`.
      name: Python `str` given to the operations.

    Returns:
      List of `Tensor`s, deepest level first, as `bijector.split_latent` cuts
      them; a single one if the bijector has no levels.
    """
    with self._name_and_control_scope(name):
      _, latent = self._terms_and_latent(self.check(images), None)
      split = getattr(self.bijector, 'split_latent', lambda latent: [latent])
      return split(latent)

  def _log_prob(self, images, seed=None):
    (density, volume), _ = self._terms_and_latent(images, seed)
    return density + volume

  def _sample_n(self, n, seed=None):
    latents = self.base.sample(n, seed=stateless_seed(seed))
    return with_one_more_if_empty(self._images_of_latents, latents)

  def _images_of_latents(self, latents):
    images, _ = forward_and_log_det(
      self.bijector, latents, self.base.event_shape.rank
    )
    return self._quantize(images)

  def _terms_and_latent(self, pixels, seed):
    def of_batch(pixels):
      images = self._dequantize(pixels, seed)
      latent, log_det = inverse_and_log_det(self.bijector, images, 3)
      num_dimensions = self._image_shape.num_elements()
      scaling = tf.constant(
        num_dimensions * math.log(self.num_values), log_det.dtype
      )
      return LogProbTerms(self.base.log_prob(latent), log_det - scaling), latent

    return self._of_batch(of_batch, pixels)

  def _dequantize(self, pixels, seed):
    """Adds noise to pixels and scales them to `[-.5, .5]`."""
    dtype = self._log_prob_dtype
    if seed is None:
      keys = _content_noise.content_keys(pixels, self._noise_seed)
      noise = _content_noise.content_uniform(keys, self._image_shape, dtype)
    else:
      noise = tf.random.stateless_uniform(
        tf.shape(pixels), stateless_seed(seed), dtype=dtype
      )
    return (tf.cast(pixels, dtype) + noise) / self.num_values - 0.5

  def _quantize(self, images):
    """Undoes `_dequantize`; values outside of the range go to its ends."""
    pixels = tf.floor((images + 0.5) * self.num_values)
    return tf.cast(tf.clip_by_value(pixels, 0, self.num_values - 1), tf.uint8)


def _standard_normal(shape, dtype):
  return tfp.distributions.Sample(
    tfp.distributions.Normal(tf.zeros([], dtype), tf.ones([], dtype)), shape
  )
