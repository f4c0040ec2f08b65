# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""What models of an encoder and a decoder share."""

import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras

from tfp_ood._batches import with_one_more_if_empty
from tfp_ood.distributions.raw_pixel_distribution import RawPixelDistribution
from tfp_ood.distributions.variational._posterior import is_independent, plain
from tfp_ood.networks.adaptive_batch_normalization import (
  AdaptiveBatchNormalization,
  statistics_of_the_batch,
)
from tfp_ood.networks.tracking import trackable_parts

__all__ = ['EncoderDecoder']

tfd = tfp.distributions

_NETWORKS = ('encoder', 'decoder')


class EncoderDecoder(RawPixelDistribution):
  """A distribution over raw pixels with an encoder and a decoder.

  The encoder sees pixels scaled to `[-1, 1]`; the decoder returns a distribution
  over raw pixels, `0 .. num_values - 1`. See `VariationalAutoencoder`.
  """

  def __init__(
    self, encoder, decoder, image_shape, batch_statistics=(), **kwargs
  ):
    """Instantiates the model.

    Args:
      encoder: callable; see `VariationalAutoencoder`.
      decoder: callable; see `VariationalAutoencoder`.
      image_shape: `[height, width, channels]`, Python `int`s.
      batch_statistics: collection of `'encoder'` and `'decoder'`.
      **kwargs: passed to `RawPixelDistribution`.

    Raises:
      ValueError: if the networks do not fit, or have no batch normalization to
        take statistics of the batch.
    """
    self._networks = {'encoder': encoder, 'decoder': decoder}
    self._batch_statistics = frozenset(batch_statistics)
    super().__init__(image_shape, **kwargs)
    self._network_parts = [
      trackable_parts(network) for network in self._networks.values()
    ]
    self._check_batch_statistics()
    self._code_shape = self._check_networks()

  @property
  def encoder(self):
    """The network from scaled images to distributions of codes."""
    return self._networks['encoder']

  @property
  def decoder(self):
    """The network from codes to distributions of images."""
    return self._networks['decoder']

  @property
  def batch_statistics(self):
    """`frozenset` of the networks adapted to the batch in evaluation."""
    return self._batch_statistics

  def encode(self, images, training=False):
    """Returns the distribution of the code of each image.

    Args:
      images: `Tensor` of raw pixels, `[batch, height, width, channels]`.
      training: Python `bool`, whether networks are in training mode.

    Returns:
      `tfd.Distribution` of batch shape `[batch]`.
    """
    images = self._as_pixels(images)
    if images.shape.rank != 4:
      raise ValueError(
        f'{self.name}: `images` to encode must be [batch, height, width, '
        f'channels], got shape {images.shape}.'
      )
    return self.encode_continuous(self._observed(images, None), training)

  def encode_continuous(self, images, training=False):
    """As `encode`, of images whose pixels are any numbers.

    They may be what a decoder made, to which gradients get through them, or
    dequantized pixels; nothing is checked.

    Args:
      images: floating `Tensor`, `[batch, height, width, channels]`, in the units
        of raw pixels.
      training: Python `bool`, whether networks are in training mode.

    Returns:
      `tfd.Distribution` of batch shape `[batch]`.
    """
    return self._call('encoder', self._scaled(images), training)

  def decode(self, codes, training=False):
    """Returns the distribution of the image of each code.

    Args:
      codes: `Tensor` of shape `[batch, ...code]`.
      training: Python `bool`, whether networks are in training mode.

    Returns:
      `tfd.Distribution` of raw pixels, of batch shape `[batch]`.
    """
    return self._call('decoder', codes, training)

  def codes(self, images):
    """Returns one code for each image.

    Args:
      images: `Tensor` of raw pixels, `[batch, height, width, channels]`.

    Returns:
      `Tensor` of shape `[batch, ...code]`: the means of the codes'
      distributions, or of a flow, which knows no mean, the image of its base's.
    """
    return with_one_more_if_empty(
      lambda images: self._representative(self.encode(images)),
      self._as_pixels(images),
    )

  def decode_images(self, codes):
    """Decodes one image from each code, without the noise of the decoder.

    Args:
      codes: `Tensor` of shape `[batch, ...code]`.

    Returns:
      Floating `Tensor` of raw pixels, not rounded, `[batch, height, width,
      channels]`: the means of the decoder's distributions, or of a flow, which
      knows no mean, the image of its base's.
    """
    return with_one_more_if_empty(
      lambda codes: tf.cast(
        self._center(self.decode(codes)), self._compute_dtype
      ),
      tf.convert_to_tensor(codes, self._compute_dtype),
    )

  def reconstruct(self, images):
    """Decodes the codes of images.

    Args:
      images: `Tensor` of raw pixels, `[batch, height, width, channels]`.

    Returns:
      What `decode_images` makes of their `codes`.
    """
    return self.decode_images(self.codes(images))

  def _representative(self, posterior):
    """One code for each image."""
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
    return tf.cast(images, self._compute_dtype) / half - 1.0

  def _call(self, role, value, training):
    network = self._networks[role]
    adapts = role in self._batch_statistics and not training
    with statistics_of_the_batch(adapts):
      if isinstance(network, tf_keras.layers.Layer):
        return plain(network(value, training=training))
      return plain(network(value))

  def _reconstruction_log_probs(self, images, codes, training):
    """Log-probabilities of images by the decoder, `[samples, batch]`.

    Args:
      images: `[batch, ...image_shape]`.
      codes: `[samples, batch, ...code]`.
      training: Python `bool`.
    """
    likelihood, tiled = self._likelihood(images, codes, training)
    log_prob = tf.cast(likelihood.log_prob(tiled), self._compute_dtype)
    return tf.reshape(log_prob, tf.shape(codes)[:2])

  def _pixel_log_probs(self, images, codes):
    """The same for each pixel, averaged over samples, of the images' shape."""
    likelihood, tiled = self._likelihood(images, codes, training=False)
    of_pixels = getattr(likelihood, 'distribution', None)
    if not is_independent(likelihood) or of_pixels.event_shape.rank != 0:
      raise ValueError(
        f'{self.name}: the decoder returns {likelihood}, whose log-probability '
        'is no sum over pixels; log-probabilities of pixels need a '
        'tfd.Independent of scalar distributions.'
      )
    log_probs = tf.cast(of_pixels.log_prob(tiled), self._compute_dtype)
    shape = tf.concat([tf.shape(codes)[:1], tf.shape(images)], axis=0)
    return tf.reduce_mean(tf.reshape(log_probs, shape), axis=0)

  def _likelihood(self, images, codes, training):
    """Decodes all samples as one batch; returns images of that batch too."""
    num_samples = tf.shape(codes)[0]
    flat = tf.reshape(codes, tf.concat([[-1], tf.shape(codes)[2:]], axis=0))
    flat = tf.ensure_shape(flat, [None, *codes.shape[2:]])
    likelihood = self.decode(flat, training)
    tiled = tf.tile(images, [num_samples, 1, 1, 1])
    return likelihood, tf.cast(tiled, likelihood.dtype)

  def _of_batch(self, function, images):
    """Calls a function of `[batch, ...]` on images of any batch shape."""
    flat = tf.reshape(images, [-1, *self._image_shape])
    if images.shape.rank == 4:
      flat = images
    results = (
      with_one_more_if_empty(function, flat)
      if flat.shape[0] in (0, None)
      else function(flat)
    )
    if images.shape.rank == 4:
      return results
    batch_shape = tf.shape(images)[:-3]
    return tf.nest.map_structure(
      lambda result: tf.ensure_shape(
        tf.reshape(
          result, tf.concat([batch_shape, tf.shape(result)[1:]], axis=0)
        ),
        images.shape[:-3].concatenate(result.shape[1:]),
      ),
      results,
    )

  def _quantized(self, pixels):
    """Rounds to whole pixel values; those out of range go to its ends."""
    if pixels.dtype.is_floating:
      pixels = tf.round(pixels)
    return tf.cast(tf.clip_by_value(pixels, 0, self.num_values - 1), tf.uint8)

  def _check_batch_statistics(self):
    unknown = self._batch_statistics - set(_NETWORKS)
    if unknown:
      raise ValueError(
        f'{self.name}: `batch_statistics` may hold {", ".join(_NETWORKS)}, got '
        f'{sorted(unknown)}.'
      )
    for role in sorted(self._batch_statistics):
      modules = getattr(self._networks[role], 'submodules', ())
      if not any(isinstance(m, AdaptiveBatchNormalization) for m in modules):
        raise ValueError(
          f'{self.name}: the {role} has no '
          'tfp_ood.networks.AdaptiveBatchNormalization to take the statistics '
          'of the batch.'
        )

  def _check_networks(self):
    """Runs both networks once and returns the shape of codes."""
    images = tf.zeros([1, *self._image_shape], self._compute_dtype)
    posterior = self._call('encoder', images, training=False)
    self._check_distribution('encoder', posterior)
    code_shape = posterior.event_shape
    codes = tf.zeros([1, *code_shape], self._compute_dtype)
    likelihood = self._call('decoder', codes, training=False)
    self._check_distribution('decoder', likelihood)
    if likelihood.event_shape != self._image_shape:
      raise ValueError(
        f'{self.name}: the decoder must return distributions over images of '
        f'shape {self._image_shape}, got events of shape '
        f'{likelihood.event_shape}; tfd.Independent makes pixels one event.'
      )
    return code_shape

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
