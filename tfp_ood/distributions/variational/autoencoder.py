# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The autoencoder, the degenerate relative of the variational one."""

import tensorflow as tf

from tfp_ood.distributions.variational.encoder_decoder import EncoderDecoder
from tfp_ood.distributions.variational.variational_autoencoder import ElboTerms

__all__ = ['Autoencoder']


class Autoencoder(EncoderDecoder):
  """An encoder and a decoder without a prior: a baseline, and no density.

      log_prob(x) = log p(x | z),   z = encoder(x)

  This is the log-probability of an image given its own latent. As every image
  brings its own, the probabilities of all images do not add up to one: it is a
  score of reconstruction, on the interface of `VariationalAutoencoder`, not a
  bound on the log-probability of `x`, and there is nothing to sample from.

  #### Examples

  >>> import tensorflow as tf
  >>> import tfp_ood
  >>> model = tfp_ood.distributions.autoencoder(
  ...     [28, 28, 1], latent_size=4, hidden_channels=4, seed=1)
  >>> images = tf.zeros([5, 28, 28, 1], tf.uint8)
  >>> model.log_prob(images).shape
  TensorShape([5])
  """

  def __init__(
    self,
    encoder,
    decoder,
    image_shape,
    num_values=256,
    log_prob_dtype=tf.float32,
    validate_args=False,
    allow_nan_stats=True,
    name='autoencoder',
  ):
    """Instantiates the `Autoencoder`.

    Args:
      encoder: network, such as a `tf_keras` model, from images scaled to `[-1, 1]`,
        `[batch, height, width, channels]`, to a distribution of latents, of which
        the mean is taken; `tfp.layers.DistributionLambda` makes one of
        `tfd.VectorDeterministic`.
      decoder: network from latents, `[batch, ...latent]`, to a distribution over raw
        pixels, of batch shape `[batch]` and event shape `image_shape`.
      image_shape: `[height, width, channels]`, Python `int`s.
      num_values: Python `int`, at most 256: pixels are `0 .. num_values - 1`.
      log_prob_dtype: floating dtype of scaled images and log-probabilities.
      validate_args: Python `bool`, as in TFP; pixels are checked in any case.
      allow_nan_stats: Python `bool`, as in TFP.
      name: Python `str` given to the operations.

    Raises:
      ValueError: if the networks do not return distributions of matching shapes.
    """
    parameters = dict(locals())
    with tf.name_scope(name) as name:
      super().__init__(
        encoder,
        decoder,
        image_shape,
        num_values=num_values,
        log_prob_dtype=log_prob_dtype,
        parameters=parameters,
        validate_args=validate_args,
        allow_nan_stats=allow_nan_stats,
        name=name,
      )

  def elbo_terms(self, images, seed=None, training=False, name='elbo_terms'):
    """Returns the reconstruction, beside a prior and an entropy of zero.

    Args:
      images: `Tensor` of raw pixels, `[batch..., height, width, channels]`.
      seed: not used: nothing is drawn.
      training: Python `bool`, whether networks are in training mode.
      name: Python `str` given to the operations.

    Returns:
      `ElboTerms`, each `[batch...]` in nats, the last two zero.
    """
    del seed
    with self._name_and_control_scope(name):
      images = self.check(images)
      reconstruction = self._reconstruction(images, training)
      zeros = tf.zeros_like(reconstruction)
      return ElboTerms(reconstruction, zeros, zeros)

  def pixel_log_probs(self, images, name='pixel_log_probs'):
    """Splits the log-probability of the reconstruction into those of pixels.

    Args:
      images: `Tensor` of raw pixels, `[batch..., height, width, channels]`.
      name: Python `str` given to the operations.

    Returns:
      `Tensor` of the shape of `images`, in nats; it adds up to `log_prob`.
    """
    with self._name_and_control_scope(name):
      return self._of_batch(
        lambda images: self._pixel_log_probs(images, self._latents(images)),
        self.check(images),
      )

  def _log_prob(self, images, seed=None):
    del seed
    return self._reconstruction(images, training=False)

  def _reconstruction(self, images, training):
    return self._of_batch(
      lambda images: self._reconstruction_log_probs(
        images, self._latents(images, training), training
      )[0],
      images,
    )

  def _latents(self, images, training=False):
    latents = self._representative(self.encode_continuous(images, training))
    return latents[tf.newaxis]

  def _sample_n(self, n, seed=None):
    raise NotImplementedError(
      f'{self.name}: an autoencoder has no prior to sample latents from; a '
      'VariationalAutoencoder has.'
    )
