# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The variational autoencoder as a distribution over raw pixels."""

import collections
import math

import tensorflow as tf
import tensorflow_probability as tfp

from tfp_ood import _content_noise
from tfp_ood._batches import with_one_more_if_empty
from tfp_ood._seeds import stateless_seed
from tfp_ood.distributions.variational._posterior import (
  closed_form_entropy,
  closed_form_kl,
  moved,
  sample_and_log_prob,
)
from tfp_ood.distributions.variational.encoder_decoder import EncoderDecoder

__all__ = ['ElboTerms', 'VariationalAutoencoder']

tfd = tfp.distributions

ElboTerms = collections.namedtuple(
  'ElboTerms', ['reconstruction', 'log_prior', 'posterior_entropy']
)
# Adam's.
_BETA_1, _BETA_2, _EPSILON = 0.9, 0.999, 1e-8
# What the noise of an image is for: another number, other noise.
_OF_LATENTS, _OF_STEPS = 0, 2
_ELBO_STATISTICS = (
  'elbo',
  'elbo_reconstruction',
  'elbo_log_prior',
  'elbo_posterior_entropy',
  'elbo_kl',
)


class VariationalAutoencoder(EncoderDecoder):
  """A distribution over images of whole pixel values, by a latent variable.

  With a prior `p(z)`, a decoder `p(x | z)` over raw pixels `x` and an encoder
  `q(z | x)`, `log_prob` is a lower bound on `log p(x)`, of `K` samples

      log_prob(x) = log 1/K sum_k p(x | z_k) p(z_k) / q(z_k | x),   z_k ~ q(z | x)

  the importance-weighted bound [2]. For `K = 1` it is the evidence lower bound
  (ELBO) [1] with the divergence from the prior in closed form where TFP has one:

      log_prob(x) = log p(x | z_1) - KL(q(z | x) || p(z))

  `log_prob(x)` is a function: its noise is determined by the image and
  `noise_seed`, so that an image scores the same whatever else is in the batch. It
  is one draw of a bound that holds on average: by itself it may lie above
  `log p(x)`. The noise of different images is independent, so that the mean over a
  data set is as close to that of the bound as its standard error says. For
  training, `elbo_terms(x, seed=...)` draws the noise afresh.

  Units are nats. By a decoder over whole numbers, `log_prob` bounds the
  log-probability of the discrete image. By a continuous one, such as a normal
  distribution, it bounds the log-density of the image at its whole values, per
  pixel value: of pixels in `0 .. 255`, not of scaled ones. That approximates the
  discrete one where the decoder's deviation is a pixel value or more, as the
  density then hardly changes within a value; below that it is a density only
  and may be positive.

  Beyond `log_prob`, the statistics of the model (`statistics_names`) are

  | name | what it is |
  |---|---|
  | `elbo` | the evidence lower bound, of one sample, nats |
  | `elbo_reconstruction` | expected log-probability of the image given `z` |
  | `elbo_log_prior` | expected log-density of `z` under the prior |
  | `elbo_posterior_entropy` | entropy of `q(z given x)` |
  | `elbo_kl` | divergence from the prior: minus the sum of the last two |
  | `optimized_log_prob` | `log_prob` by each image's own best posterior |
  | `latent` | `latents(x)` as a vector, `[batch, latent_size]` |

  #### Examples

  >>> import tensorflow as tf
  >>> import tfp_ood
  >>> vae = tfp_ood.distributions.variational_autoencoder(
  ...     [28, 28, 1], latent_size=4, likelihood='categorical', hidden_channels=4, seed=1)
  >>> images = tf.random.stateless_uniform(
  ...     [16, 28, 28, 1], seed=[1, 2], maxval=256, dtype=tf.int32)
  >>> images = tf.cast(images, tf.uint8)
  >>> vae.log_prob(images).shape
  TensorShape([16])
  >>> reconstruction, log_prior, posterior_entropy = vae.elbo_terms(images)
  >>> elbo = reconstruction + log_prior + posterior_entropy
  >>> bool(tf.reduce_all(elbo == vae.log_prob(images)))
  True
  >>> vae.encode(images).event_shape
  TensorShape([4])
  >>> vae.sample(4, seed=[1, 2]).dtype
  tf.uint8

  #### References

  [1]: Diederik P Kingma, Max Welling. Auto-Encoding Variational Bayes. In
       _International Conference on Learning Representations_, 2014.
       https://arxiv.org/abs/1312.6114
  [2]: Yuri Burda, Roger Grosse, Ruslan Salakhutdinov. Importance Weighted
       Autoencoders. In _International Conference on Learning Representations_,
       2016. https://arxiv.org/abs/1509.00519
  [3]: Zhisheng Xiao, Qing Yan, Yali Amit. Likelihood Regret: An
       Out-of-Distribution Detection Score For Variational Auto-encoder. _Neural
       Information Processing Systems_, 2020. https://arxiv.org/abs/2003.02977
  """

  def __init__(
    self,
    encoder,
    decoder,
    image_shape,
    prior=None,
    num_importance_samples=1,
    samples_per_pass=10,
    num_posterior_steps=100,
    num_values=256,
    noise_seed=0,
    log_prob_dtype=tf.float32,
    validate_args=False,
    allow_nan_stats=True,
    name='variational_autoencoder',
  ):
    """Instantiates the `VariationalAutoencoder` distribution.

    Args:
      encoder: network, such as a `tf_keras` model that ends in a layer of
        `tfp.layers`, from images scaled to `[-1, 1]`, `[batch, height, width,
        channels]`, to a distribution of latents of batch shape `[batch]`: normal
        (`tfp.layers.IndependentNormal`, `tfp.layers.MultivariateNormalTriL`) or
        a `tfd.TransformedDistribution` of a normal one.
      decoder: network like it, from latents, `[batch, ...latent]`, to a
        distribution over raw pixels, of batch shape `[batch]` and event shape
        `image_shape`.
      image_shape: `[height, width, channels]`, Python `int`s.
      prior: `tfd.Distribution` over latents with a scalar batch. Default: a
        standard normal.
      num_importance_samples: Python `int`, `K`.
      samples_per_pass: Python `int`: at most so many samples of a batch are
        decoded at once, to limit memory. A `K` it does not divide is decoded in
        passes of its largest divisor below that. Results are the same.
      num_posterior_steps: Python `int`, how often `optimized_log_prob` moves the
        posterior of an image.
      num_values: Python `int`, at most 256: pixels are `0 .. num_values - 1`.
      noise_seed: Python `int`, or a pair of them: another one gives every image
        other noise.
      log_prob_dtype: floating dtype of scaled images, noise and log-probabilities;
        networks and prior must be of the same.
      validate_args: Python `bool`, as in TFP; pixels are checked in any case.
      allow_nan_stats: Python `bool`, as in TFP.
      name: Python `str` given to the operations.

    Raises:
      ValueError: if the networks do not return distributions of matching shapes,
        the prior does not fit to them, or a number is out of range.
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
      self._prior = (
        _standard_normal(self._latent_shape, self._log_prob_dtype)
        if prior is None
        else prior
      )
      self._check_prior()
      self._num_importance_samples = self._at_least_one(
        num_importance_samples, 'num_importance_samples'
      )
      self._samples_per_pass = self._at_least_one(
        samples_per_pass, 'samples_per_pass'
      )
      self._num_posterior_steps = self._at_least_one(
        num_posterior_steps, 'num_posterior_steps'
      )
      self._noise_seed = stateless_seed(noise_seed).numpy()
      self._check_variables()

  @property
  def prior(self):
    """The distribution of the latent."""
    return self._prior

  @property
  def num_importance_samples(self):
    """Python `int`, how many samples the bound takes."""
    return self._num_importance_samples

  @property
  def statistics_names(self):
    """Names of what `statistics` can compute, a tuple of `str`."""
    return (*_ELBO_STATISTICS, 'optimized_log_prob', *super().statistics_names)

  def statistics(self, images, names):
    """Computes the evidence lower bound, its parts, and what else is named.

    Args:
      images: `Tensor` of raw pixels, `[batch, height, width, channels]`.
      names: iterable of names out of `statistics_names`.

    Returns:
      `dict` from each name to a `Tensor`.
    """
    values = super().statistics(images, names)
    if 'optimized_log_prob' in names:
      values['optimized_log_prob'] = self.optimized_log_prob(images)
    if not set(names).isdisjoint(_ELBO_STATISTICS):
      terms = self.elbo_terms(images)
      kl = -(terms.log_prior + terms.posterior_entropy)
      values |= {
        'elbo': terms.reconstruction - kl,
        'elbo_reconstruction': terms.reconstruction,
        'elbo_log_prior': terms.log_prior,
        'elbo_posterior_entropy': terms.posterior_entropy,
        'elbo_kl': kl,
      }
    return {name: values[name] for name in names}

  def elbo_terms(
    self,
    images,
    seed=None,
    num_samples=1,
    training=False,
    name='elbo_terms',
  ):
    """Splits the evidence lower bound into its components.

        ELBO = E[log p(x | z)] + E[log p(z)] - E[log q(z | x)],   z ~ q(z | x)

    The first expectation is a mean over samples; the second and third, whose sum
    is `-KL(q || p)`, are exact where TFP knows the divergence and the entropy in
    closed form, and means over the same samples elsewhere.

    Args:
      images: `Tensor` of raw pixels, `[batch..., height, width, channels]`.
      seed: PRNG seed of fresh noise. Default: the noise of each image.
      num_samples: Python `int`, how many samples.
      training: Python `bool`, whether networks are in training mode.
      name: Python `str` given to the operations.

    Returns:
      `ElboTerms`, three `Tensor`s of shape `[batch...]` in nats that add up to
      the evidence lower bound:
      reconstruction: the expected log-probability of the image.
      log_prior: the expected log-density of the latent under the prior.
      posterior_entropy: the entropy of `q(z | x)`.
    """
    num_samples = self._at_least_one(num_samples, 'num_samples')
    with self._name_and_control_scope(name):

      def terms(images):
        images = self._observed(images, seed)
        posterior = self.encode_continuous(images, training)
        noise = self._noise(num_samples, images, seed)
        return self._elbo_terms(posterior, images, noise, training)

      return self._of_batch(terms, self.check(images))

  def pixel_log_probs(self, images, name='pixel_log_probs'):
    """Splits the reconstruction term into those of pixels.

    Args:
      images: `Tensor` of raw pixels, `[batch..., height, width, channels]`.
      name: Python `str` given to the operations.

    Returns:
      `Tensor` of the shape of `images`, in nats; it adds up to
      `elbo_terms(images).reconstruction`.

    Raises:
      ValueError: if the decoder's pixels are not independent.
    """
    with self._name_and_control_scope(name):

      def of_pixels(images):
        images = self._observed(images, None)
        noise = self._noise(1, images, None)
        latents, _ = sample_and_log_prob(self.encode_continuous(images), noise)
        return self._pixel_log_probs(images, latents)

      return self._of_batch(of_pixels, self.check(images))

  def optimized_log_prob(
    self,
    images,
    num_steps=None,
    learning_rate=0.05,
    num_importance_samples=None,
    name='optimized_log_prob',
  ):
    """The bound of `log_prob` by each image's own best posterior.

    From the encoder's posterior, its location and the logarithm of its scale are
    optimized for each image by itself: Adam ascends the ELBO, with one sample a
    step. Of a full covariance the scales of the rows are optimized, of a flow
    location and scale of its base. The whole batch is optimized at once, which
    comes to the same as one image after the other: the images' terms are
    separate, and Adam works elementwise.

    The bound is then that of `log_prob`, by the same noise. Where the steps have
    made it worse, or not a number, the encoder's posterior remains the best one
    known: the result is never below `log_prob`. `tfp_ood.stats.LikelihoodRegret`
    is the difference.

    The authors of [3] optimize the encoder's weights for each image instead. A
    batch of images would need as many copies of the encoder; the free posterior
    has the same optimum if the encoder can reach it.

    Args:
      images: `Tensor` of raw pixels, `[batch..., height, width, channels]`.
      num_steps: Python `int`, the number of steps; default: that of the
        distribution.
      learning_rate: Python `float`, Adam's.
      num_importance_samples: Python `int`; default: that of the distribution.
      name: Python `str` given to the operations.

    Returns:
      `Tensor` of shape `[batch...]`, in nats.
    """
    num_samples = self._number_of_samples(num_importance_samples)
    num_steps = self._num_posterior_steps if num_steps is None else num_steps
    with self._name_and_control_scope(name):

      def optimized(images):
        images = self._observed(images, None)
        posterior = self.encode_continuous(images)
        noise = self._noise(num_samples, images, None)
        best = self._optimized(posterior, images, num_steps, learning_rate)
        first = self._bound(posterior, images, noise)
        second = self._bound(best, images, noise)
        return tf.where(second > first, second, first)

      return self._of_batch(optimized, self.check(images))

  def _log_prob(self, images, seed=None, num_importance_samples=None):
    num_samples = self._number_of_samples(num_importance_samples)

    def bound(images):
      images = self._observed(images, seed)
      noise = self._noise(num_samples, images, seed)
      return self._bound(self.encode_continuous(images), images, noise)

    return self._of_batch(bound, images)

  def _sample_n(self, n, seed=None):
    latent_seed, pixel_seed = tfp.random.split_seed(stateless_seed(seed), n=2)

    def decoded(latents):
      return self._quantized(self.decode(latents).sample(seed=pixel_seed))

    latents = self.prior.sample(n, seed=latent_seed)
    return with_one_more_if_empty(decoded, latents)

  def _representative(self, posterior):
    # Of a normal posterior the mean, of a flow the image of the base's mean.
    noise = tf.zeros([1, 1, *self._latent_shape], self._log_prob_dtype)
    latents, _ = sample_and_log_prob(posterior, noise)
    return latents[0]

  def _bound(self, posterior, images, noise):
    """The importance-weighted bound; by one sample the ELBO."""
    if noise.shape[0] == 1:
      return sum(self._elbo_terms(posterior, images, noise, training=False))
    reconstruction, log_prior, log_posterior = self._sample_terms(
      posterior, images, noise, training=False
    )
    log_weights = reconstruction + log_prior - log_posterior
    log_number = tf.constant(math.log(noise.shape[0]), log_weights.dtype)
    return tf.reduce_logsumexp(log_weights, axis=0) - log_number

  def _elbo_terms(self, posterior, images, noise, training):
    reconstruction, log_prior, log_posterior = (
      tf.reduce_mean(term, axis=0)
      for term in self._sample_terms(posterior, images, noise, training)
    )
    entropy = closed_form_entropy(posterior)
    entropy = -log_posterior if entropy is None else entropy
    kl = closed_form_kl(posterior, self.prior)
    log_prior = log_prior if kl is None else -(kl + entropy)
    return ElboTerms(reconstruction, log_prior, entropy)

  def _sample_terms(self, posterior, images, noise, training):
    """Three log-probabilities of each sample, `[samples, batch]`."""

    def terms(noise):
      latents, log_posterior = sample_and_log_prob(posterior, noise)
      reconstruction = self._reconstruction_log_probs(images, latents, training)
      log_prior = self.prior.log_prob(latents)
      return reconstruction, log_prior, log_posterior

    num_samples = noise.shape[0]
    in_pass = _largest_divisor(num_samples, self._samples_per_pass)
    if in_pass == num_samples:
      return terms(noise)
    shape = tf.concat([[-1, in_pass], tf.shape(noise)[1:]], axis=0)
    passes = tf.reshape(noise, shape)
    passes = tf.ensure_shape(passes, [None, in_pass, *noise.shape[1:]])
    results = tf.map_fn(
      terms,
      passes,
      parallel_iterations=1,
      fn_output_signature=(self._log_prob_dtype,) * 3,
    )
    count = tf.shape(images)[0]
    return tuple(tf.reshape(term, [num_samples, count]) for term in results)

  def latents_and_kl(self, posterior, seed):
    """Draws a latent from each posterior, beside its divergence from the prior.

    Args:
      posterior: `tfd.Distribution` of batch shape `[batch]`, such as
        `encode(images)`.
      seed: PRNG seed.

    Returns:
      latents: `Tensor` of shape `[batch, ...latent]`.
      kl: `Tensor` of shape `[batch]`, `KL(posterior || prior)` in nats: exact
        where TFP has a formula, else estimated by the one latent.
    """
    shape = tf.concat(
      [[1], posterior.batch_shape_tensor(), self._latent_shape], axis=0
    )
    noise = self._fresh_noise(shape, seed)
    latents, log_posterior = sample_and_log_prob(posterior, noise)
    kl = closed_form_kl(posterior, self.prior)
    if kl is None:
      kl = (log_posterior - self.prior.log_prob(latents))[0]
    return latents[0], kl

  def _noise(self, num_samples, images, seed, purpose=_OF_LATENTS):
    """Standard normal noise for each image, `[samples, batch, ...latent]`."""
    if seed is not None:
      shape = [num_samples, tf.shape(images)[0], *self._latent_shape]
      return self._fresh_noise(shape, seed)
    keys = _content_noise.content_keys(images, self._noise_seed)
    by_image = _content_noise.content_normal(
      keys, [num_samples, *self._latent_shape], self._log_prob_dtype, purpose
    )
    return tf.transpose(by_image, [1, 0, *range(2, by_image.shape.rank)])

  def _fresh_noise(self, shape, seed):
    # Philox gives the same noise on every kind of device.
    return tf.random.stateless_normal(
      shape, stateless_seed(seed), dtype=self._log_prob_dtype, alg='philox'
    )

  def _optimized(self, posterior, images, num_steps, learning_rate):
    """Fits the posterior of each image to it."""
    # Shift and logarithm of scale, both in one tensor.
    shape = tf.concat([[2, tf.shape(images)[0]], self._latent_shape], axis=0)
    zeros = tf.zeros(shape, self._log_prob_dtype)
    rate = tf.constant(learning_rate, self._log_prob_dtype)

    def gradient(offsets, step):
      noise = self._noise(1, images, None, purpose=_OF_STEPS + step)
      with tf.GradientTape(watch_accessed_variables=False) as tape:
        tape.watch(offsets)
        candidate = moved(posterior, *tf.unstack(offsets))
        elbo = sum(self._elbo_terms(candidate, images, noise, training=False))
      return tape.gradient(elbo, offsets)

    def advance(step, offsets, mean, square):
      ascent = gradient(offsets, step)
      step += 1
      mean = _BETA_1 * mean + (1 - _BETA_1) * ascent
      square = _BETA_2 * square + (1 - _BETA_2) * ascent**2
      power = tf.cast(step, rate.dtype)
      corrected_rate = rate * tf.sqrt(1 - _BETA_2**power) / (1 - _BETA_1**power)
      offsets += corrected_rate * mean / (tf.sqrt(square) + _EPSILON)
      return step, offsets, mean, square

    _, offsets, _, _ = tf.while_loop(
      lambda step, *_: step < num_steps,
      advance,
      [tf.constant(0), zeros, zeros, zeros],
    )
    return moved(posterior, *tf.unstack(tf.stop_gradient(offsets)))

  def _number_of_samples(self, number):
    if number is None:
      return self.num_importance_samples
    return self._at_least_one(number, 'the number of samples')

  def _at_least_one(self, number, description):
    if not isinstance(number, int) or number < 1:
      raise ValueError(
        f'{self.name}: {description} must be a Python int of at least 1, got '
        f'{number!r}.'
      )
    return number

  def _check_prior(self):
    prior = self._prior
    if prior.event_shape != self._latent_shape or prior.batch_shape != []:
      raise ValueError(
        f'{self.name}: the encoder returns distributions over events of shape '
        f'{self._latent_shape}; `prior` must be over the same and have a scalar '
        f'batch, got events of shape {prior.event_shape} and batch shape '
        f'{prior.batch_shape}.'
      )
    if prior.dtype != self._log_prob_dtype:
      raise ValueError(
        f'{self.name}: `prior` is of {prior.dtype.name}, `log_prob_dtype` is '
        f'{self._log_prob_dtype.name}.'
      )

  def _check_variables(self):
    """Evaluates the bound once, to see that all that it uses is tracked."""
    images = tf.zeros([1, *self._image_shape], self._log_prob_dtype)
    with tf.GradientTape() as tape:
      self._log_prob(images)
    # The tape sees a mirrored variable's copies.
    tracked = {
      id(copy)
      for variable in self.trainable_variables
      for copy in (variable, *getattr(variable, 'values', ()))
    }
    lost = [v.name for v in tape.watched_variables() if id(v) not in tracked]
    if lost:
      raise ValueError(
        f'{self.name}: the variables {", ".join(lost)} are used but cannot be '
        'found, as the lambda of a layer hides them. Make them, or the networks '
        'that hold them, attributes of a layer or of a tf.Module.'
      )


def _largest_divisor(number, limit):
  return next(d for d in range(min(number, limit), 0, -1) if number % d == 0)


def _standard_normal(shape, dtype):
  zeros, ones = tf.zeros(shape, dtype), tf.ones(shape, dtype)
  return tfd.Independent(tfd.Normal(zeros, ones), len(shape))
