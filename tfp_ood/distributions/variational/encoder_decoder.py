# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""What models of an encoder and a decoder share."""

import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras

from tfp_ood._batches import with_one_more_if_empty
from tfp_ood.distributions.raw_pixel_distribution import RawPixelDistribution
from tfp_ood.distributions.variational._posterior import is_independent, plain
from tfp_ood.networks.tracking import trackable_parts

__all__ = ['EncoderDecoder']

tfd = tfp.distributions


class EncoderDecoder(RawPixelDistribution):
  """A distribution over raw pixels with an encoder and a decoder.

  The encoder sees pixels scaled to `[-1, 1]`; the decoder returns a distribution
  over raw pixels, `0 .. num_values - 1`. See `VariationalAutoencoder`.
  """

  def __init__(self, encoder, decoder, image_shape, **kwargs):
    """Instantiates the model.

    Args:
      encoder: network; see `VariationalAutoencoder`.
      decoder: network; see `VariationalAutoencoder`.
      image_shape: `[height, width, channels]`, Python `int`s.
      **kwargs: passed to `RawPixelDistribution`.

    Raises:
      ValueError: if the networks do not fit.
    """
    self._encoder = encoder
    self._decoder = decoder
    super().__init__(image_shape, **kwargs)
    self._network_parts = [trackable_parts(encoder), trackable_parts(decoder)]
    self._check_networks()

  @property
  def encoder(self):
    """The network from scaled images to distributions of latents."""
    return self._encoder

  @property
  def decoder(self):
    """The network from latents to distributions of images."""
    return self._decoder

  @property
  def is_differentiable(self):
    """Whether `log_prob` can be differentiated by the pixels.

    Not by a decoder over whole numbers, such as a categorical one: the gradient
    would be that through the encoder alone.
    """
    return self._likelihood_dtype.is_floating

  @property
  def statistics_names(self):
    """Names of what `statistics` can compute, a tuple of `str`."""
    return ('latent',)

  def statistics(self, images, names):
    """Computes the latents of images, as vectors.

    Args:
      images: `Tensor` of raw pixels, `[batch, height, width, channels]`.
      names: iterable of names out of `statistics_names`.

    Returns:
      `dict` with `latent`, `[batch, latent_size]`, if it is named.
    """
    if 'latent' not in names:
      return {}
    latents = self.latents(images)
    return {
      'latent': tf.reshape(latents, [-1, self._latent_shape.num_elements()])
    }

  def training_loss(self, images, seed=None):
    """Minus the evidence lower bound, networks in training mode.

    Args:
      images: `Tensor` of raw pixels, `[batch, height, width, channels]`.
      seed: PRNG seed of the noise.

    Returns:
      `Tensor` of shape `[batch]`, in nats.
    """
    return -sum(self.elbo_terms(images, seed=seed, training=True))

  def encode(self, images, training=False):
    """Returns the distribution of the latent of each image.

    Args:
      images: `Tensor` of raw pixels, `[batch, height, width, channels]`.
      training: Python `bool`, whether networks are in training mode.

    Returns:
      `tfd.Distribution` of batch shape `[batch]`.
    """
    images = self.check(images)
    if images.shape.rank != 4:
      raise ValueError(
        f'{self.name}: `images` to encode must be [batch, height, width, '
        f'channels], got shape {images.shape}.'
      )
    return self.encode_continuous(self._observed(images, None), training)

  def encode_continuous(self, images, training=False):
    """As `encode`, of images whose pixels are any numbers.

    Such as what a decoder made, so that gradients reach it, or dequantized
    pixels. Nothing is checked.

    Args:
      images: floating `Tensor`, `[batch, height, width, channels]`, in the units
        of raw pixels.
      training: Python `bool`, whether networks are in training mode.

    Returns:
      `tfd.Distribution` of batch shape `[batch]`.
    """
    return _call(self.encoder, self._scaled(images), training)

  def decode(self, latents, training=False):
    """Returns the distribution of the image of each latent.

    Args:
      latents: `Tensor` of shape `[batch, ...latent]`.
      training: Python `bool`, whether networks are in training mode.

    Returns:
      `tfd.Distribution` of raw pixels, of batch shape `[batch]`.
    """
    return _call(self.decoder, latents, training)

  def latents(self, images):
    """Returns one latent for each image.

    Args:
      images: `Tensor` of raw pixels, `[batch, height, width, channels]`.

    Returns:
      `Tensor` of shape `[batch, ...latent]`: the means of `encode(images)`; of a
      flow, which knows no mean, the image of its base's.
    """
    return with_one_more_if_empty(
      lambda images: self._representative(
        self.encode_continuous(self._observed(images, None))
      ),
      self.check(images),
    )

  def decode_images(self, latents):
    """Decodes one image from each latent, without the noise of the decoder.

    Args:
      latents: `Tensor` of shape `[batch, ...latent]`.

    Returns:
      Floating `Tensor` of raw pixels, not rounded, `[batch, height, width,
      channels]`: the means of `decode(latents)`; of a flow, which knows no mean,
      the image of its base's.
    """
    return with_one_more_if_empty(
      lambda latents: tf.cast(
        self._center(self.decode(latents)), self._log_prob_dtype
      ),
      tf.convert_to_tensor(latents, self._log_prob_dtype),
    )

  def reconstruct(self, images):
    """Enlatents images and delatents their latents.

    Args:
      images: `Tensor` of raw pixels, `[batch, height, width, channels]`.

    Returns:
      `decode_images(latents(images))`.
    """
    return self.decode_images(self.latents(images))

  def _representative(self, posterior):
    """One latent for each image."""
    return posterior.mean()

  def _center(self, likelihood):
    """One image of raw pixels, not rounded, for each distribution."""
    return likelihood.mean()

  def _observed(self, images, seed):
    """What a model of continuous values puts in the place of raw pixels."""
    del seed
    return images

  def _scaled(self, images):
    """Scales raw pixels to `[-1, 1]`."""
    half = (self.num_values - 1) / 2
    return tf.cast(images, self._log_prob_dtype) / half - 1.0

  def _reconstruction_log_probs(self, images, latents, training):
    """Log-probabilities of images by the decoder, `[samples, batch]`.

    Args:
      images: `[batch, ...image_shape]`.
      latents: `[samples, batch, ...latent]`.
      training: Python `bool`.
    """
    likelihood, tiled = self._likelihood(images, latents, training)
    log_prob = tf.cast(likelihood.log_prob(tiled), self._log_prob_dtype)
    return tf.reshape(log_prob, tf.shape(latents)[:2])

  def _pixel_log_probs(self, images, latents):
    """The same for each pixel, averaged over samples, of the images' shape."""
    likelihood, tiled = self._likelihood(images, latents, training=False)
    of_pixels = getattr(likelihood, 'distribution', None)
    if not is_independent(likelihood) or of_pixels.event_shape.rank != 0:
      raise ValueError(
        f'{self.name}: the decoder returns {likelihood}, whose log-probability '
        'is no sum over pixels; log-probabilities of pixels need a '
        'tfd.Independent of scalar distributions.'
      )
    log_probs = tf.cast(of_pixels.log_prob(tiled), self._log_prob_dtype)
    shape = tf.concat([tf.shape(latents)[:1], tf.shape(images)], axis=0)
    return tf.reduce_mean(tf.reshape(log_probs, shape), axis=0)

  def _likelihood(self, images, latents, training):
    """Delatents all samples as one batch; returns images of that batch too."""
    num_samples = tf.shape(latents)[0]
    flat = tf.reshape(latents, tf.concat([[-1], tf.shape(latents)[2:]], axis=0))
    flat = tf.ensure_shape(flat, [None, *latents.shape[2:]])
    likelihood = self.decode(flat, training)
    tiled = tf.tile(images, [num_samples, 1, 1, 1])
    return likelihood, tf.cast(tiled, likelihood.dtype)

  def _quantized(self, pixels):
    """Rounds to whole pixel values; those out of range go to its ends."""
    if pixels.dtype.is_floating:
      pixels = tf.round(pixels)
    return tf.cast(tf.clip_by_value(pixels, 0, self.num_values - 1), tf.uint8)

  def _check_networks(self):
    """Runs both networks once and keeps what their outputs are like."""
    images = tf.zeros([1, *self._image_shape], self._log_prob_dtype)
    posterior = _call(self.encoder, images, training=False)
    self._check_distribution('encoder', posterior)
    self._latent_shape = posterior.event_shape
    latents = tf.zeros([1, *self._latent_shape], self._log_prob_dtype)
    likelihood = _call(self.decoder, latents, training=False)
    self._check_distribution('decoder', likelihood)
    if likelihood.event_shape != self._image_shape:
      raise ValueError(
        f'{self.name}: the decoder must return distributions over images of '
        f'shape {self._image_shape}, got events of shape '
        f'{likelihood.event_shape}; tfd.Independent makes pixels one event.'
      )
    self._likelihood_dtype = likelihood.dtype

  def _check_distribution(self, role, result):
    if not isinstance(result, tfd.Distribution):
      raise ValueError(
        f'{self.name}: the {role} must return a distribution, got '
        f'{type(result).__name__}; end it in a layer of tfp.layers.'
      )
    if result.batch_shape != [1]:
      raise ValueError(
        f'{self.name}: of one input the {role} must return a distribution of '
        f'batch shape [1], got {result.batch_shape} with events of shape '
        f'{result.event_shape}.'
      )


def _call(network, value, training):
  """Runs a network and returns the distribution that it makes."""
  if isinstance(network, tf_keras.layers.Layer):
    return plain(network(value, training=training))
  return plain(network(value))
