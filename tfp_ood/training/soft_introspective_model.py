# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""A variational autoencoder, trained introspectively, as a Keras model."""

import math

import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras

from tfp_ood.distributions.variational.variational_autoencoder import (
  ElboTerms,
  VariationalAutoencoder,
)
from tfp_ood.networks.batch_statistics import with_batch_statistics
from tfp_ood.networks.tracking import trackable_parts
from tfp_ood.stats.metrics.bits_per_dim import bits_per_dim
from tfp_ood.training import _gradients, _keras
from tfp_ood.training.variational_model import VariationalModel

__all__ = ['SoftIntrospectiveModel']

_ALPHA = 2.0
_NUM_SEEDS = 6


class SoftIntrospectiveModel(VariationalModel):
  """A `tf_keras.Model` that trains a variational autoencoder as Soft-IntroVAE.

  The encoder learns to tell real images `x` from two kinds of fakes, and the
  decoder to make fakes that it takes for real: `x_r`, the mean of the decoder at
  the code `z` of an image, and `x_f`, its mean at a code from the prior. With

      r(y) = log p(y | z),   z ~ q(z | y)
      d(y) = log p(mode of p(. | z) | z) - log p(y | z)
      KL(y) = KL(q(z | y) || p(z))

  in nats, `s = 1 / D`, `D = height * width * channels`, and `alpha = 2`, each
  step first moves the encoder down the gradient of

      s (-beta_reconstruction r(x) + beta_kl KL(x))
          + 1 / (2 alpha) (exp_elbo(x_r) + exp_elbo(x_f))
      exp_elbo(y) = exp(-alpha s (beta_reconstruction d(y) + beta_negative KL(y)))

  with the decoder and the fakes constant, and then the decoder down that of

      s (-beta_reconstruction r(x) + beta_kl / 2 (KL(x_r) + KL(x_f))
          - gamma beta_reconstruction / 2 (r(x_r) + r(x_f)))

  with the encoder and all latents constant; of the fakes, only their divergences
  depend on the decoder, and their reconstructions by it, not as targets.

  The scale `s` in the exponent is that of the authors. `d` is the reconstruction
  error less what even the best image costs, so that the exponent does not depend
  on the units of a density; neither it nor the divergence is ever negative, and
  the exponential stays between zero and one. Of a Gaussian decoder of fixed
  deviation, `d` is half the squared error over the squared deviation. The
  authors' is the squared error of pixels in `[0, 1]`: that is a `likelihood_scale`
  of `255 / sqrt(2)`, or `beta_reconstruction = .02` at a `likelihood_scale` of 25.5.

  For the first `num_vae_steps` steps nothing is fake and both networks descend
  the loss of `VariationalModel`.

  Real images and either kind of fakes pass the networks as batches of their own,
  each normalized by its own statistics. Those for evaluation are gathered once a
  step: the encoder's from real images, the decoder's from their latents and, in
  turn, from latents of the prior. Where samples look off, a copy of the distribution
  with `decoder=tfp_ood.networks.with_batch_statistics(decoder)` decodes them as in
  training.

  Metrics are those of `VariationalModel`, of real images, where `loss` is
  `(-beta_reconstruction r + beta_kl KL) / (D log 2)`; and, in training,
  `encoder_loss` and `decoder_loss` as above, in nats per dimension, `kl_fake`
  and `kl_reconstructed` of `x_f` and `x_r`, in nats, `exp_elbo_fake` and
  `exp_elbo_reconstructed`, the latter four zero while nothing is fake. Samples
  come to look like images only while `kl_fake` stays above `kl`.

  #### Examples

  >>> import numpy as np
  >>> import tfp_ood
  >>> images = np.random.default_rng(0).integers(0, 256, [32, 8, 8, 3])
  >>> vae = tfp_ood.distributions.variational_autoencoder(
  ...     [8, 8, 3], latent_size=4, hidden_channels=4, seed=1)
  >>> model = tfp_ood.training.SoftIntrospectiveModel(
  ...     vae, beta_reconstruction=0.02, num_vae_steps=1)
  >>> model.compile(tfp_ood.training.adam(2e-4), tfp_ood.training.adam(2e-4))
  >>> history = model.fit(images.astype(np.uint8), verbose=0).history
  >>> [name for name in sorted(history) if 'fake' in name]
  ['exp_elbo_fake', 'kl_fake']

  #### References

  [1]: Tal Daniel, Aviv Tamar. Soft-IntroVAE: Analyzing and Improving the
       Introspective Variational Autoencoder. In _Computer Vision and Pattern
       Recognition_, 2021. https://arxiv.org/abs/2012.13253
  """

  measure_names = (
    *VariationalModel.measure_names,
    'encoder_loss',
    'decoder_loss',
    'kl_fake',
    'kl_reconstructed',
    'exp_elbo_fake',
    'exp_elbo_reconstructed',
  )

  def __init__(
    self,
    distribution,
    beta_reconstruction=1.0,
    beta_kl=1.0,
    beta_negative=256.0,
    gamma=1e-8,
    num_vae_steps=0,
    warmup_steps=0,
    seed=0,
    max_skipped_steps=0,
    name=None,
  ):
    """Instantiates the model.

    Args:
      distribution: `VariationalAutoencoder` whose prior is not trained, whose
        networks both are and share no variable, and whose decoder returns
        distributions that know their mean and mode.
      beta_reconstruction: Python `float`, the weight of reconstructions.
      beta_kl: Python `float`, the weight of the divergences in the losses.
      beta_negative: Python `float`, that of the fakes' in the exponent; the
        authors take 256 for images of up to 32x32 pixels.
      gamma: Python `float`, the relative weight of the fakes' reconstructions.
      num_vae_steps: Python `int`, for how many steps at the start to train a
        plain variational autoencoder.
      warmup_steps: Python `int`, over how many steps `beta_kl` rises to its
        value; see `VariationalModel`.
      seed: Python `int`, or a pair of them, from which the noise of each step and
        replica is derived.
      max_skipped_steps: Python `int`; see `DistributionModel`. A step in which
        either gradient is not finite is skipped, but the encoder keeps what it
        learned before the decoder's failed.
      name: Python `str`, the name of the model.

    Raises:
      ValueError: if the distribution does not fit or a number is out of range.
    """
    super().__init__(
      distribution,
      beta=beta_kl,
      warmup_steps=warmup_steps,
      seed=seed,
      max_skipped_steps=max_skipped_steps,
      name=name,
    )
    for number, description in (
      (beta_reconstruction, 'beta_reconstruction'),
      (beta_negative, 'beta_negative'),
      (gamma, 'gamma'),
      (num_vae_steps, 'num_vae_steps'),
    ):
      if not number >= 0:
        raise ValueError(
          f'SoftIntrospectiveModel: `{description}` must not be negative, got '
          f'{number}.'
        )
    _check_distribution(distribution)
    # Losses of layers must come from the first pass: others are conditional.
    _keras.check_no_activity_regularizers(
      distribution, 'SoftIntrospectiveModel'
    )
    self._beta_reconstruction = beta_reconstruction
    self._beta_negative = beta_negative
    self._gamma = gamma
    self._num_vae_steps = num_vae_steps
    self._encoder_parts = _parts(distribution.encoder)
    self._decoder_parts = _parts(distribution.decoder)
    # The same weights, normalized by each batch's statistics without moving those
    # that are gathered.
    adapted = {
      role: with_batch_statistics(getattr(distribution, role))
      for role in ('encoder', 'decoder')
      if _normalizes_batches(getattr(distribution, role))
    }
    self._adapted = set(adapted)
    self._observer = distribution.copy(**adapted)

  def compile(self, encoder_optimizer, decoder_optimizer, **kwargs):
    """Prepares training, as `tf_keras.Model.compile` does.

    Args:
      encoder_optimizer: `tf_keras` optimizer, whose `iterations` count the steps;
        `model.optimizer.encoder` is this one.
      decoder_optimizer: another one; `model.optimizer.decoder` is this one.
      **kwargs: passed to `tf_keras.Model.compile`.

    Raises:
      TypeError: if one is an optimizer of Keras 3.
      ValueError: if both are the same object.
    """
    for optimizer in (encoder_optimizer, decoder_optimizer):
      _keras.check_optimizer(optimizer, 'SoftIntrospectiveModel.compile')
    with self.distribute_strategy.scope():
      # Names and configurations stand for optimizers, as Keras has it.
      encoder_optimizer = tf_keras.optimizers.get(encoder_optimizer)
      decoder_optimizer = tf_keras.optimizers.get(decoder_optimizer)
      if encoder_optimizer is decoder_optimizer:
        raise ValueError(
          'SoftIntrospectiveModel.compile: the encoder and the decoder need an '
          'optimizer each, got the same one twice.'
        )
      both = _EncoderAndDecoderOptimizer(
        encoder_optimizer,
        _keras.trainable_variables(self._encoder_parts),
        decoder_optimizer,
        _keras.trainable_variables(self._decoder_parts),
      )
    super().compile(optimizer=both, **kwargs)

  def train_step(self, data):
    """A step of the encoder, and then one of the decoder."""
    images, _, weights = tf_keras.utils.unpack_x_y_sample_weight(data)
    seeds = tfp.random.split_seed(self.fresh_seed(), n=_NUM_SEEDS)
    kl_weight = self._kl_weight()
    has_fakes = self.optimizer.iterations >= self._num_vae_steps
    latents, measures, gradients, variables = self._gradients(
      lambda images: self._encoder_loss(images, seeds, kl_weight, has_fakes),
      [images],
      weights,
      self._encoder_parts,
    )
    norm = _gradients.norm_over_replicas(gradients)
    gradients = _gradients.zero_if(self._is_skipped(norm), gradients)
    self.optimizer.encoder.apply_gradients(
      zip(gradients, variables, strict=True)
    )
    _, more_measures, gradients, variables = self._gradients(
      lambda *batch: self._decoder_loss(*batch, seeds, kl_weight, has_fakes),
      [images, *latents],
      weights,
      self._decoder_parts,
    )
    weight = None
    if self._max_skipped_steps:
      # A step is skipped as a whole, and counts once.
      (*gradients, _), weight = self._skip_unless_finite([*gradients, norm])
    self.optimizer.decoder.apply_gradients(
      zip(gradients, variables, strict=True)
    )
    return self._record({**measures, **more_measures}, weight)

  def _gradients(self, function, batches, weights, parts):
    """Differentiates the mean of a loss by the variables of one network.

    Args:
      function: from the batches to latents, loss and measures of each example.
      batches: list of `Tensor`s of a replica's share of a batch, perhaps empty.
      weights: those of the examples, or `None`.
      parts: `tf.Module` that holds the network.

    Returns:
      The latents, the measures, the gradients, and the variables.
    """
    variables = _keras.trainable_variables(parts)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
      tape.watch(variables)
      latents, losses, measures = self._of_any_number(function, *batches)
      loss = self._objective(losses, weights, parts)
    return latents, measures, tape.gradient(loss, variables), variables

  def _encoder_loss(self, images, seeds, kl_weight, has_fakes):
    latents, kl = self.distribution.latents_and_kl(
      self._encode(images, True), seeds[0]
    )
    prior_latents = self.distribution.prior.sample(
      tf.shape(images)[0], seed=seeds[1]
    )
    likelihood = self._decode(latents, gathers=True)
    terms = ElboTerms(_log_prob(likelihood, images), -kl, tf.zeros_like(kl))
    loss, measures = self.weighted_terms(terms, kl_weight)

    def of_fakes():
      fakes = self._decode(prior_latents, gathers=True).mean()
      return (
        self._exp_elbo(likelihood.mean(), seeds[2]),
        self._exp_elbo(fakes, seeds[3]),
      )

    reconstructed, fake = tf.cond(
      has_fakes, of_fakes, lambda: (tf.zeros_like(loss),) * 2
    )
    loss = loss * math.log(2) + (reconstructed + fake) / (2 * _ALPHA)
    measures.update(
      encoder_loss=loss,
      exp_elbo_reconstructed=reconstructed,
      exp_elbo_fake=fake,
    )
    return (latents, prior_latents), loss, measures

  def _decoder_loss(
    self, images, latents, prior_latents, seeds, kl_weight, has_fakes
  ):
    likelihood = self._decode(latents)
    reconstruction = _log_prob(likelihood, images)

    def of_fakes():
      return (
        *self._kl_and_reconstruction(likelihood.mean(), seeds[4]),
        *self._kl_and_reconstruction(
          self._decode(prior_latents).mean(), seeds[5]
        ),
      )

    kl_reconstructed, again, kl_fake, fake_again = tf.cond(
      has_fakes, of_fakes, lambda: (tf.zeros_like(reconstruction),) * 4
    )
    reconstruction += self._gamma / 2 * (again + fake_again)
    kl = (kl_reconstructed + kl_fake) / 2
    weight = tf.cast(kl_weight, kl.dtype)
    loss = weight * kl - self._beta_reconstruction * reconstruction
    loss /= self._event_size
    measures = {
      'decoder_loss': loss,
      'kl_reconstructed': kl_reconstructed,
      'kl_fake': kl_fake,
    }
    return (), loss, measures

  def _exp_elbo(self, fakes, seed):
    """How much the encoder takes fakes for real, from 0 to 1, `[batch]`."""
    fakes = tf.stop_gradient(fakes)
    latents, kl = self.distribution.latents_and_kl(self._encode(fakes), seed)
    likelihood = self._decode(latents)
    best = tf.stop_gradient(_log_prob(likelihood, likelihood.mode()))
    error = best - _log_prob(likelihood, fakes)
    exponent = self._beta_reconstruction * error + self._beta_negative * kl
    exponent *= -_ALPHA / self._event_size
    # An estimated divergence may be negative.
    return tf.exp(tf.minimum(exponent, 0))

  def _kl_and_reconstruction(self, fakes, seed):
    """The encoder's verdict on fakes, and how they come out of a second pass."""
    latents, kl = self.distribution.latents_and_kl(self._encode(fakes), seed)
    likelihood = self._decode(tf.stop_gradient(latents))
    return kl, _log_prob(likelihood, tf.stop_gradient(fakes))

  def _encode(self, images, gathers=False):
    if gathers or 'encoder' not in self._adapted:
      return self.distribution.encode_continuous(images, training=True)
    return self._observer.encode_continuous(images)

  def _decode(self, latents, gathers=False):
    if gathers or 'decoder' not in self._adapted:
      return self.distribution.decode(latents, training=True)
    return self._observer.decode(latents)

  def weighted_terms(self, terms, weight):
    """Puts the terms of the bound together; see `VariationalModel`."""
    _, measures = super().weighted_terms(terms, weight)
    kl, reconstruction = measures['kl'], measures['reconstruction']
    weight = tf.cast(weight, kl.dtype)
    loss = bits_per_dim(
      self._beta_reconstruction * reconstruction - weight * kl,
      self._event_size,
    )
    return loss, {**measures, 'loss': loss}


class _EncoderAndDecoderOptimizer(tf_keras.optimizers.Optimizer):
  """Two optimizers, of the variables of two networks, as one."""

  def __init__(self, encoder, encoder_variables, decoder, decoder_variables):
    super().__init__(name='encoder_and_decoder')
    self.encoder, self.decoder = encoder, decoder
    self._pairs = [(encoder, encoder_variables), (decoder, decoder_variables)]

  @property
  def iterations(self):
    """The steps so far."""
    return self.encoder.iterations

  def finalize_variable_values(self, trainable_variables):
    """Puts averages of weights in place, where an optimizer keeps them."""
    del trainable_variables  # Each optimizer has its own.
    for optimizer, variables in self._pairs:
      # Keras's legacy optimizers keep none.
      if isinstance(optimizer, tf_keras.optimizers.Optimizer):
        optimizer.finalize_variable_values(variables)


def _log_prob(likelihood, images):
  """Log-probabilities of images that may be a decoder's means, `[batch]`."""
  if not likelihood.dtype.is_floating:
    images = tf.round(tf.cast(images, tf.float32))
  return likelihood.log_prob(tf.cast(images, likelihood.dtype))


def _normalizes_batches(network):
  return any(
    isinstance(module, tf_keras.layers.BatchNormalization) and module.trainable
    for module in getattr(network, 'submodules', ())
  )


def _parts(network):
  """Returns a module that holds a network and all of its variables."""
  module = tf.Module()
  module.network = network
  module.parts = trackable_parts(network)
  return module


def _check_distribution(distribution):
  """Raises unless a distribution can be trained introspectively."""
  if not isinstance(distribution, VariationalAutoencoder):
    raise ValueError(
      'SoftIntrospectiveModel: `distribution` must be a '
      f'VariationalAutoencoder, got {type(distribution).__name__}.'
    )
  if distribution.prior.trainable_variables:
    raise ValueError(
      'SoftIntrospectiveModel: the prior must be fixed, such as the standard '
      f'normal one; {distribution.prior.name} has trainable variables.'
    )
  of_encoder = _keras.trainable_variables(_parts(distribution.encoder))
  of_decoder = _keras.trainable_variables(_parts(distribution.decoder))
  for role, variables in (('encoder', of_encoder), ('decoder', of_decoder)):
    if not variables:
      raise ValueError(
        f'SoftIntrospectiveModel: the {role} has nothing to train; '
        'VariationalModel trains what remains of an autoencoder.'
      )
  encoder_ids = {id(variable) for variable in of_encoder}
  shared = [v.name for v in of_decoder if id(v) in encoder_ids]
  if shared:
    raise ValueError(
      'SoftIntrospectiveModel: the encoder and the decoder are trained against '
      f'each other and must not share variables; they share {shared}.'
    )
  latents = distribution.prior.sample(1, seed=[0, 0])
  likelihood = distribution.decode(latents)
  try:
    likelihood.mean(), likelihood.mode()
  except NotImplementedError as error:
    raise ValueError(
      'SoftIntrospectiveModel: the decoder returns distributions whose mean or '
      f'mode is not known ({likelihood.name}); take a Gaussian decoder.'
    ) from error
