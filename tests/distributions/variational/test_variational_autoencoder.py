# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the variational autoencoder against what is known exactly.

A linear decoder with normal noise makes factor analysis of it, whose likelihood
and posterior have closed forms.
"""

import functools
import math

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras
from scipy import stats

import tfp_ood

tfb = tfp.bijectors
tfd = tfp.distributions

_SHAPE = [2, 3, 1]
_SIZE = 6
_LATENT = 2
_NOISE = 12.0  # In pixel values.


def _images(number, seed=0, shape=_SHAPE):
  generator = np.random.default_rng(seed)
  return generator.integers(60, 200, [number, *shape]).astype(np.uint8)


class _Linear(tf.Module):
  """Factor analysis: `x = weights z + offset + noise`, and its posterior."""

  def __init__(self, spread=1.0, bias=0.0, full=False, seed=0):
    """The posterior is exact, but for a spread and a bias of its own."""
    super().__init__()
    generator = np.random.default_rng(seed)
    self.weights = tf.Variable(generator.normal(0, 25, [_SIZE, _LATENT]))
    self.offset = tf.Variable(generator.uniform(100, 150, [_SIZE]))
    weights, offset = self.weights.numpy(), self.offset.numpy()
    precision = np.eye(_LATENT) + weights.T @ weights / _NOISE**2
    covariance = np.linalg.inv(precision)
    gain = covariance @ weights.T / _NOISE**2
    # Of pixels scaled to [-1, 1].
    self.gain = tf.Variable(127.5 * gain)
    self.latent_offset = tf.Variable(gain @ (127.5 - offset) + bias)
    if full:
      self.scale = tf.Variable(spread * np.linalg.cholesky(covariance))
    else:
      self.scale = tf.Variable(spread * np.sqrt(1 / np.diag(precision)))
    self.full = full

  def encode(self, scaled):
    flat = tf.reshape(scaled, [-1, _SIZE])
    loc = tf.linalg.matvec(self.gain, flat) + self.latent_offset
    if self.full:
      return tfd.MultivariateNormalTriL(loc, self.scale)
    return tfd.MultivariateNormalDiag(loc, self.scale)

  def decode(self, latents):
    loc = tf.linalg.matvec(self.weights, latents) + self.offset
    loc = tf.reshape(loc, [-1, *_SHAPE])
    return tfd.Independent(tfd.Normal(loc, tf.constant(_NOISE, loc.dtype)), 3)

  def exact(self):
    """The marginal distribution of flat images."""
    covariance = self.weights.numpy() @ self.weights.numpy().T
    covariance += _NOISE**2 * np.eye(_SIZE)
    return tfd.MultivariateNormalTriL(
      self.offset.numpy(), np.linalg.cholesky(covariance)
    )

  def exact_log_prob(self, images):
    return self.exact().log_prob(np.float64(images).reshape([-1, _SIZE]))


def _networks(linear):
  return [
    tfp_ood.networks.FunctionNetwork(function, [linear])
    for function in (linear.encode, linear.decode)
  ]


def _factor_analysis(linear, **kwargs):
  return tfp_ood.distributions.VariationalAutoencoder(
    *_networks(linear), _SHAPE, log_prob_dtype=tf.float64, **kwargs
  )


def _seeded(count):
  return [tf.constant([seed, 17]) for seed in range(count)]


def _close_in_the_mean(draws, expected, sure=5):
  """Whether means lie within so many of their deviations, and say something."""
  draws = np.asarray(draws, np.float64)
  error = draws.std(axis=0) / math.sqrt(len(draws))
  np.testing.assert_array_less(
    np.abs(draws.mean(axis=0) - expected), sure * error
  )


# -------------------------------------------------------- factor analysis


def test_the_bound_is_exact_at_the_exact_posterior():
  linear = _Linear(full=True)
  images = _images(7)
  exact = linear.exact_log_prob(images)
  # Every importance weight is p(x) itself: no noise remains.
  vae = _factor_analysis(linear, num_importance_samples=50)
  np.testing.assert_allclose(vae.log_prob(images), exact, rtol=1e-10)
  for seed in (3, [1, 2]):
    np.testing.assert_allclose(
      vae.log_prob(images, seed=seed), exact, rtol=1e-10
    )


@pytest.mark.slow
def test_the_bound_rises_to_the_exact_value():
  linear = _Linear(spread=2.0, bias=0.3)
  images = _images(7)
  exact = linear.exact_log_prob(images).numpy()
  vae = _factor_analysis(linear, samples_per_pass=500)
  log_prob = tf.function(vae.log_prob)

  def gaps(number, count):
    draws = [
      log_prob(images, seed=seed, num_importance_samples=number)
      for seed in _seeded(count)
    ]
    means = np.mean(exact - np.stack(draws), axis=1)
    return means.mean(), means.std() / math.sqrt(count)

  results = [gaps(1, 200), gaps(5, 200), gaps(50, 1500), gaps(5000, 40)]
  # Each below the one before, by more than five deviations: a false alarm in
  # 10^6, and the seeds are fixed.
  for (gap, error), (next_gap, next_error) in zip(
    results[:-1], results[1:], strict=True
  ):
    assert gap - next_gap > 5 * math.hypot(error, next_error)
  assert abs(results[-1][0]) < 5 * results[-1][1]
  assert results[-1][1] < 0.003


@pytest.mark.parametrize('full', [False, True])
def test_the_noise_of_images_converges_to_the_exact_value(full):
  linear = _Linear(spread=2.0, bias=0.3, full=full)
  images = _images(256)
  exact = linear.exact_log_prob(images).numpy()
  vae = _factor_analysis(linear, samples_per_pass=1000)
  gaps = [
    exact - vae.log_prob(images, num_importance_samples=number).numpy()
    for number in (1, 10, 100, 1000)
  ]
  means = [gap.mean() for gap in gaps]
  errors = [gap.std() / math.sqrt(256) for gap in gaps]
  for i in range(3):
    assert means[i] - means[i + 1] > 5 * math.hypot(
      errors[i], errors[i + 1]
    ) or (means[i + 1] < 5 * errors[i + 1])
    assert errors[i + 1] < errors[i]
  assert abs(means[-1]) < 5 * errors[-1] < 0.03


def _exact_elbo(linear, images):
  """The ELBO as a function of the weights, all expectations in closed form."""
  flat = tf.reshape(tf.cast(images, tf.float64), [-1, _SIZE])
  posterior = linear.encode(tf.cast(images, tf.float64) / 127.5 - 1)
  loc, scale = posterior.mean(), posterior.stddev()
  mean = tf.linalg.matvec(linear.weights, loc) + linear.offset
  squares = (flat - mean) ** 2 + tf.linalg.matvec(linear.weights**2, scale**2)
  reconstruction = -tf.reduce_sum(squares, axis=-1) / (2 * _NOISE**2)
  reconstruction -= _SIZE * math.log(_NOISE * math.sqrt(2 * math.pi))
  kl = (loc**2 + scale**2 - 1) / 2 - tf.math.log(scale)
  entropy = tf.reduce_sum(
    tf.math.log(scale) + math.log(2 * math.pi * math.e) / 2, axis=-1
  )
  return reconstruction, tf.reduce_sum(kl, axis=-1), entropy


def test_components_are_those_of_the_closed_form():
  linear = _Linear(spread=1.5, bias=0.5)
  vae = _factor_analysis(linear)
  images = _images(4)
  reconstruction, kl, entropy = _exact_elbo(linear, images)
  terms = vae.elbo_terms(images)
  np.testing.assert_allclose(terms.posterior_entropy, entropy, rtol=1e-12)
  np.testing.assert_allclose(terms.log_prior, -(kl + entropy), rtol=1e-12)
  _close_in_the_mean(
    [vae.elbo_terms(images, seed).reconstruction for seed in _seeded(100)],
    reconstruction,
  )
  # Below the likelihood by the divergence from the exact posterior.
  gap = linear.exact_log_prob(images) - (reconstruction - kl)
  precision = np.eye(_LATENT)
  precision += linear.weights.numpy().T @ linear.weights.numpy() / _NOISE**2
  exact = _Linear(full=True)
  posterior = linear.encode(np.float64(images) / 127.5 - 1)
  true = exact.encode(np.float64(images) / 127.5 - 1)
  divergence = tfd.kl_divergence(posterior, true)
  np.testing.assert_allclose(gap, divergence, rtol=1e-8)
  assert (gap.numpy() > 0.1).all()


def test_the_divergence_counts_once():
  linear = _Linear(spread=1.5, bias=0.5)
  vae = _factor_analysis(linear)
  images = _images(4)
  _, kl, _ = _exact_elbo(linear, images)
  terms = vae.elbo_terms(images)
  np.testing.assert_array_equal(sum(terms), vae.log_prob(images))
  np.testing.assert_allclose(
    vae.log_prob(images), terms.reconstruction - kl, rtol=1e-12
  )


@pytest.mark.exhaustive
@pytest.mark.parametrize('full', [False, True])
def test_the_closed_form_divergence_equals_monte_carlo(full):
  linear = _Linear(spread=1.5, bias=0.5, full=full)
  images = _images(3)
  # The same prior as a mixture of one, for which TFP has no formula.
  prior = tfd.MixtureSameFamily(
    tfd.Categorical(probs=np.ones([1])),
    tfd.MultivariateNormalDiag(np.zeros([1, _LATENT])),
  )
  sampled = _factor_analysis(linear, prior=prior)
  closed = _factor_analysis(linear).elbo_terms(images)
  elbo_terms = tf.function(
    functools.partial(sampled.elbo_terms, images, num_samples=100)
  )
  draws = [elbo_terms(seed=seed).log_prior for seed in _seeded(100)]
  _close_in_the_mean(draws, closed.log_prior)


@pytest.mark.parametrize(
  'prior',
  [
    tfd.MultivariateNormalDiag(np.zeros(_LATENT)),
    tfd.MultivariateNormalDiag(scale_diag=np.ones(_LATENT)),
    tfd.Sample(tfd.Normal(np.float64(0), 1), _LATENT),
    tfd.MultivariateNormalTriL(np.zeros(_LATENT), np.eye(_LATENT)),
  ],
  ids=lambda prior: prior.name,
)
@pytest.mark.parametrize('full', [False, True])
def test_the_prior_may_be_any_normal_distribution(prior, full):
  linear = _Linear(spread=1.5, full=full)
  images = _images(3)
  expected = _factor_analysis(linear).elbo_terms(images)
  terms = _factor_analysis(linear, prior=prior).elbo_terms(images)
  for term, other in zip(terms, expected, strict=True):
    np.testing.assert_allclose(term, other, rtol=1e-12)


def test_gradients_are_those_of_the_closed_form():
  linear = _Linear(spread=1.5, bias=0.5)
  vae = _factor_analysis(linear)
  images = tf.constant(_images(3))
  variables = vae.trainable_variables
  assert {id(v) for v in variables} == {
    id(v) for v in linear.trainable_variables
  }
  with tf.GradientTape() as tape:
    reconstruction, kl, _ = _exact_elbo(linear, images)
    exact = reconstruction - kl
  expected = tape.gradient(exact, variables)

  @tf.function
  def gradients(seed):
    with tf.GradientTape() as tape:
      elbo = sum(vae.elbo_terms(images, seed, num_samples=10))
    return tape.gradient(elbo, variables)

  draws = [gradients(seed) for seed in _seeded(200)]
  for gradient, *drawn in zip(expected, *draws, strict=True):
    _close_in_the_mean(np.stack(drawn), gradient)


@pytest.mark.parametrize('number', [1, 6])
def test_gradients_are_those_of_differences(number):
  linear = _Linear(spread=1.5, bias=0.5)
  vae = _factor_analysis(
    linear, num_importance_samples=number, samples_per_pass=2
  )
  images = _images(3)
  log_prob = tf.function(lambda: tf.reduce_sum(vae.log_prob(images)))
  with tf.GradientTape() as tape:
    value = log_prob()
  for variable, gradient in zip(
    vae.trainable_variables,
    tape.gradient(value, vae.trainable_variables),
    strict=True,
  ):
    direction = np.random.default_rng(1).normal(size=variable.shape)
    slopes = []
    for step in (1e-5, -1e-5):
      variable.assign_add(step * direction)
      slopes.append(log_prob())
      variable.assign_sub(step * direction)
    slope = (slopes[0] - slopes[1]) / 2e-5
    np.testing.assert_allclose(
      np.sum(gradient * direction), slope, rtol=1e-5, err_msg=variable.name
    )


def test_samples_of_several_passes_are_those_of_one():
  linear = _Linear(spread=1.5)
  images = _images(3)
  values = [
    _factor_analysis(
      linear, num_importance_samples=12, samples_per_pass=in_pass
    ).log_prob(images)
    for in_pass in (1, 5, 12, 100)
  ]
  for value in values[1:]:
    np.testing.assert_allclose(value, values[0], rtol=1e-12)


def test_samples_are_of_the_marginal_distribution():
  linear = _Linear()
  samples = _factor_analysis(linear).sample(4000, seed=[1, 2]).numpy()
  assert samples.dtype == np.uint8
  flat = samples.reshape([-1, _SIZE]).astype(np.float64)
  exact = linear.exact()
  inside = 3 * exact.stddev().numpy() < 127 - np.abs(
    exact.mean().numpy() - 127.5
  )
  # Where nothing is cut off at 0 and 255.
  assert np.sum(inside) >= 3
  error = exact.stddev().numpy() / math.sqrt(len(flat))
  difference = np.abs(flat.mean(axis=0) - exact.mean().numpy())
  assert difference.shape == (_SIZE,)
  assert np.all((difference < 5 * error)[inside])
  np.testing.assert_allclose(
    flat.std(axis=0)[inside], exact.stddev().numpy()[inside], rtol=0.06
  )


# ------------------------------------------------------- optimized posterior


def test_the_optimized_posterior_makes_up_for_a_bad_encoder():
  linear = _Linear(spread=0.5, bias=1.5)
  vae = _factor_analysis(
    linear, num_importance_samples=20_000, samples_per_pass=20_000
  )
  images = _images(5)
  exact = linear.exact_log_prob(images)
  before = exact - vae.log_prob(images)
  after = exact - tf.function(vae.optimized_log_prob)(images)
  assert (before.numpy() > 0.5).all()
  assert (np.abs(after.numpy()) < 0.1).all()


@pytest.mark.parametrize(
  'full', [False, pytest.param(True, marks=pytest.mark.slow)]
)
def test_optimized_is_never_below_log_prob(full):
  linear = _Linear(spread=0.5, bias=1.0, full=full)
  images = _images(20)
  rounding = 1e-10
  for number in (1, 5):
    vae = _factor_analysis(linear, num_importance_samples=number)
    regret = tfp_ood.stats.likelihood_regret(
      vae.log_prob(images), tf.function(vae.optimized_log_prob)(images, 10)
    )
    assert (regret.numpy() >= -rounding).all()
    assert (regret.numpy() > 0.001).any()
    none = vae.optimized_log_prob(images, num_steps=0)
    np.testing.assert_allclose(none, vae.log_prob(images), rtol=1e-12)


@pytest.mark.exhaustive
@pytest.mark.parametrize(
  'full', [False, pytest.param(True, marks=pytest.mark.slow)]
)
def test_a_batch_is_optimized_as_image_by_image(full):
  vae = _factor_analysis(
    _Linear(spread=0.5, bias=1.0, full=full), num_importance_samples=5
  )
  images = _images(6)
  optimized = tf.function(
    lambda images: vae.optimized_log_prob(images, num_steps=30),
    input_signature=[tf.TensorSpec([None, *_SHAPE], tf.uint8)],
  )
  together = optimized(images)
  apart = tf.concat([optimized(images[i : i + 1]) for i in range(6)], axis=0)
  np.testing.assert_allclose(together, apart, rtol=1e-10)
  np.testing.assert_allclose(
    vae.optimized_log_prob(images.reshape([2, 3, *_SHAPE]), num_steps=30),
    np.reshape(together, [2, 3]),
    rtol=1e-10,
  )
  assert (together - vae.log_prob(images)).numpy().min() > 0.1


def test_optimizing_leaves_variables_and_their_gradients_alone():
  linear = _Linear(spread=0.5)
  vae = _factor_analysis(linear)
  before = [v.numpy() for v in vae.variables]
  vae.optimized_log_prob(_images(2), num_steps=3)
  for variable, old in zip(vae.variables, before, strict=True):
    np.testing.assert_array_equal(variable, old)


@pytest.mark.parametrize('rate', [1e3, 1e200])
def test_optimized_is_never_nan_where_log_prob_is_not(rate):
  vae = _factor_analysis(_Linear(spread=0.7))
  images = _images(4)
  log_prob = vae.log_prob(images).numpy()
  # Such steps leave the range of numbers, at the latest in the second one.
  optimized = vae.optimized_log_prob(images, num_steps=3, learning_rate=rate)
  assert np.isfinite(optimized).all()
  assert (optimized.numpy() >= log_prob).all()


def test_statistics_are_the_parts_of_the_bound_and_the_latent():
  vae = _tiny(num_posterior_steps=2)
  images = _images(5)
  assert set(vae.statistics_names) == {
    'elbo',
    'elbo_reconstruction',
    'elbo_log_prior',
    'elbo_posterior_entropy',
    'elbo_kl',
    'optimized_log_prob',
    'latent',
  }
  values = vae.statistics(images, vae.statistics_names)
  assert set(values) == set(vae.statistics_names)
  terms = vae.elbo_terms(images)
  for name, term in terms._asdict().items():
    np.testing.assert_array_equal(values[f'elbo_{name}'], term)
  posterior = vae.encode(images)
  kl = tfd.kl_divergence(posterior, tfd.MultivariateNormalDiag(np.zeros(2)))
  np.testing.assert_allclose(values['elbo_kl'], kl, rtol=1e-12)
  np.testing.assert_allclose(
    values['elbo'], terms.reconstruction - kl, rtol=1e-12
  )
  np.testing.assert_allclose(values['latent'], posterior.mean(), rtol=1e-12)
  np.testing.assert_array_equal(
    vae.statistics(images, ['elbo_kl'])['elbo_kl'], values['elbo_kl']
  )


def test_latents_and_kl_are_those_of_the_posterior():
  linear = _Linear(spread=1.3)
  images = _images(3)
  posterior = _factor_analysis(linear).encode(images)
  standard = tfd.MultivariateNormalDiag(np.zeros(_LATENT))
  mixture = tfd.MixtureSameFamily(
    tfd.Categorical(probs=np.ones([1])),
    tfd.MultivariateNormalDiag(np.zeros([1, _LATENT])),
  )
  latents, kl = _factor_analysis(linear).latents_and_kl(posterior, [1, 2])
  assert latents.shape == [3, _LATENT]
  np.testing.assert_allclose(
    kl, tfd.kl_divergence(posterior, standard), rtol=1e-12
  )
  # Without a formula, the same latent estimates it.
  same, kl = _factor_analysis(linear, prior=mixture).latents_and_kl(
    posterior, [1, 2]
  )
  np.testing.assert_array_equal(same, latents)
  expected = posterior.log_prob(latents) - standard.log_prob(latents)
  np.testing.assert_allclose(kl, expected, rtol=1e-10)


def test_training_minimizes_minus_the_bound():
  vae = _tiny()
  images = _images(4)
  np.testing.assert_array_equal(
    vae.training_loss(images, seed=[1, 2]),
    -sum(vae.elbo_terms(images, seed=[1, 2])),
  )
  one, other = (vae.training_loss(images, seed=seed) for seed in (1, 2))
  assert (one.numpy() != other.numpy()).all()


def test_statistics_and_likelihood_regret():
  vae = _factor_analysis(_Linear(spread=0.7), num_posterior_steps=4)
  images = _images(4)
  score = tfp_ood.stats.LikelihoodRegret()
  values = tfp_ood.stats.Statistics(vae)(images, score.statistics)
  # A graph may add in another order.
  np.testing.assert_allclose(
    values['log_prob'], vae.log_prob(images), rtol=1e-12
  )
  np.testing.assert_allclose(
    values['optimized_log_prob'],
    vae.optimized_log_prob(images, num_steps=4),
    rtol=1e-12,
  )
  other = vae.optimized_log_prob(images, num_steps=5)
  assert (other.numpy() != values['optimized_log_prob'].numpy()).any()
  assert (score(values).numpy() >= 0).all()


# ------------------------------------------------------- discrete decoders


def _categorical(num_values, shape, scale, spread=1.0):
  """A decoder of fixed random logits, linear in two latents."""
  size = int(np.prod(shape))
  weights = np.random.default_rng(3).normal(0, scale, [2, size * num_values])

  def decode(latents):
    logits = tf.reshape(latents @ weights, [-1, *shape, num_values])
    return tfd.Independent(tfd.Categorical(logits=logits), 3)

  def encode(scaled):
    zeros = tf.zeros([tf.shape(scaled)[0], 2], tf.float64)
    zeros = tf.ensure_shape(zeros, [scaled.shape[0], 2])
    return tfd.Independent(tfd.Normal(zeros, zeros + spread), 1)

  return [
    tfp_ood.networks.FunctionNetwork(function, [])
    for function in (encode, decode)
  ]


@pytest.mark.parametrize('num_values, bits', [(256, 8.0), (32, 5.0), (2, 1.0)])
@pytest.mark.parametrize('number', [1, 5])
def test_a_uniform_decoder_scores_its_bits(num_values, bits, number):
  networks = _categorical(num_values, _SHAPE, scale=0.0)
  vae = tfp_ood.distributions.VariationalAutoencoder(
    *networks,
    _SHAPE,
    num_values=num_values,
    num_importance_samples=number,
    log_prob_dtype=tf.float64,
  )
  images = (_images(5).astype(np.int32) % num_values).astype(np.uint8)
  images[0], images[1] = 0, num_values - 1
  scored = tfp_ood.stats.bits_per_dim(vae.log_prob(images), _SIZE)
  np.testing.assert_allclose(scored, np.full(5, bits), rtol=1e-12)


def test_a_uniform_decoder_scores_eight_bits_and_the_divergence():
  networks = _categorical(256, _SHAPE, scale=0.0, spread=0.3)
  vae = tfp_ood.distributions.VariationalAutoencoder(
    *networks, _SHAPE, log_prob_dtype=tf.float64
  )
  kl = 2 * ((0.3**2 - 1) / 2 - math.log(0.3))
  scored = tfp_ood.stats.bits_per_dim(vae.log_prob(_images(3)), _SIZE)
  np.testing.assert_allclose(scored, 8 + kl / (_SIZE * math.log(2)), rtol=1e-12)


def test_probabilities_of_all_images_add_up():
  shape = [2, 2, 1]
  grid = np.meshgrid(*[np.arange(3)] * 4, indexing='ij')
  images = np.stack(grid, axis=-1).reshape([-1, *shape]).astype(np.uint8)
  networks = _categorical(3, shape, scale=1.5)
  vae = tfp_ood.distributions.VariationalAutoencoder(
    *networks,
    shape,
    num_values=3,
    samples_per_pass=5000,
    log_prob_dtype=tf.float64,
  )
  totals = {}
  for number in (1, 5, 50, 5000):
    log_prob = functools.partial(
      vae.log_prob, images, num_importance_samples=number
    )
    bound = np.mean([log_prob(seed=seed) for seed in _seeded(4)], axis=0)
    totals[number] = np.exp(bound).sum()
  assert totals[1] < totals[5] < totals[50] < totals[5000] < 1.01
  assert totals[1] < 0.7
  assert totals[5000] > 0.99


# ------------------------------------------------------------- a distribution


def _tiny(**kwargs):
  return _factor_analysis(_Linear(spread=1.3), **kwargs)


def test_is_a_distribution_of_images():
  vae = _tiny(name='factor_analysis')
  assert vae.dtype == tf.uint8
  assert vae.event_shape == _SHAPE
  assert vae.batch_shape == []
  assert vae.event_shape_tensor().numpy().tolist() == _SHAPE
  assert 'factor_analysis' in repr(vae)
  assert vae.sample(seed=[1, 2]).shape == _SHAPE
  assert vae.sample([2, 3], seed=[1, 2]).shape == [2, 3, *_SHAPE]
  assert vae.sample(tf.constant(0), seed=[1, 2]).shape == [0, *_SHAPE]
  np.testing.assert_array_equal(vae.sample(5, seed=4), vae.sample(5, seed=4))
  images = _images(3)
  np.testing.assert_allclose(
    vae.prob(images), np.exp(vae.log_prob(images)), rtol=1e-12
  )
  assert vae.prior.event_shape == [_LATENT]
  assert vae.encode(images).batch_shape == [3]
  assert vae.decode(vae.encode(images).mean()).batch_shape == [3]


def test_a_copy_shares_its_weights():
  vae = _tiny()
  copy = vae.copy(num_importance_samples=7)
  assert (vae.num_importance_samples, copy.num_importance_samples) == (1, 7)
  assert {id(v) for v in copy.variables} == {id(v) for v in vae.variables}
  images = _images(2)
  np.testing.assert_array_equal(
    copy.log_prob(images), vae.log_prob(images, num_importance_samples=7)
  )


def test_dtypes_of_images_agree():
  vae = _tiny()
  images = _images(4)
  expected = vae.log_prob(images)
  assert expected.dtype == tf.float64
  for dtype in (np.float32, np.float64, np.float16, np.int32, np.int64):
    np.testing.assert_array_equal(vae.log_prob(images.astype(dtype)), expected)
  np.testing.assert_array_equal(vae.log_prob(images.tolist()), expected)


@pytest.mark.parametrize('number', [1, 5])
def test_log_prob_does_not_depend_on_the_batch(number):
  vae = _tiny(num_importance_samples=number)
  images = _images(12)
  together = vae.log_prob(images)
  for size in (1, 5):
    parts = [vae.log_prob(images[i : i + size]) for i in range(0, 12, size)]
    np.testing.assert_allclose(np.concatenate(parts), together, rtol=1e-12)
  np.testing.assert_allclose(
    vae.log_prob(images[::-1])[::-1], together, rtol=1e-12
  )
  same = vae.log_prob(np.repeat(images[:1], 9, axis=0))
  np.testing.assert_allclose(same, np.repeat(together[:1], 9), rtol=1e-12)


def test_batches_of_any_shape():
  vae = _tiny(num_importance_samples=3)
  images = _images(6)
  expected = vae.log_prob(images).numpy()
  np.testing.assert_allclose(
    vae.log_prob(images.reshape([2, 3, *_SHAPE])), expected.reshape([2, 3])
  )
  np.testing.assert_allclose(vae.log_prob(images[0]), expected[0])
  assert vae.log_prob(images[0]).shape == []
  assert vae.log_prob(images[:0]).shape == [0]
  assert vae.elbo_terms(images[:0]).reconstruction.shape == [0]
  assert vae.optimized_log_prob(images[:0], num_steps=1).shape == [0]
  assert vae.pixel_log_probs(images[0]).shape == _SHAPE
  assert vae.reconstruct(images[:0]).shape == [0, *_SHAPE]


def test_unknown_batch_size_is_traced_once():
  vae = _tiny(num_importance_samples=4, samples_per_pass=2)
  images = _images(7)
  methods = {
    'log_prob': vae.log_prob,
    'elbo_terms': vae.elbo_terms,
    'optimized_log_prob': functools.partial(
      vae.optimized_log_prob, num_steps=3
    ),
    'pixel_log_probs': vae.pixel_log_probs,
    'reconstruct': vae.reconstruct,
  }
  for name, method in methods.items():
    function = tf.function(
      method, input_signature=[tf.TensorSpec([None, *_SHAPE], tf.uint8)]
    )
    for count in (0, 1, 7):
      tf.nest.map_structure(
        lambda got, want: np.testing.assert_allclose(got, want, rtol=1e-10),
        function(images[:count]),
        method(images[:count]),
      )
    assert function.experimental_get_tracing_count() == 1, name
  dataset = tf.data.Dataset.from_tensor_slices(images).batch(3)
  scores = np.concatenate(list(dataset.map(vae.log_prob)))
  np.testing.assert_allclose(scores, vae.log_prob(images), rtol=1e-10)


def test_the_fixed_noise_is_that_of_its_seed():
  images = _images(2)
  first, again, other = (
    _tiny(noise_seed=seed).log_prob(images) for seed in (3, 3, 4)
  )
  np.testing.assert_array_equal(first, again)
  assert (first.numpy() != other.numpy()).all()


def test_a_seed_draws_noise_for_every_image():
  vae = _tiny()
  same = np.repeat(_images(1), 16, axis=0)
  log_prob = vae.log_prob(same, seed=[1, 2]).numpy()
  assert len(set(log_prob)) == 16
  np.testing.assert_array_equal(vae.log_prob(same, seed=[1, 2]), log_prob)
  assert (vae.log_prob(same, seed=3).numpy() != log_prob).all()
  # Its own noise is one.
  assert len(set(np.round(vae.log_prob(same).numpy(), 9))) == 1


@pytest.mark.parametrize('number', [1, 5])
def test_the_noise_of_an_image_is_its_own(number):
  vae = _tiny()

  def noise_of(images):
    return vae._noise(number, vae.check(images), None)

  images = _images(40)
  noise = noise_of(images)
  assert noise.shape == [number, 40, _LATENT]
  spec = tf.TensorSpec([None, *_SHAPE], tf.uint8)
  for function in (
    noise_of,
    tf.function(noise_of, input_signature=[spec]),
    tf.function(noise_of, jit_compile=True),
  ):
    np.testing.assert_array_equal(function(images), noise)
    np.testing.assert_array_equal(function(images[::-1]), noise[:, ::-1])
    np.testing.assert_array_equal(function(images[7:8]), noise[:, 7:8])
  np.testing.assert_array_equal(noise_of(np.float32(images)), noise)
  # That of other images, samples, components and steps is independent of it.
  steps = [
    vae._noise(number, vae.check(images), None, purpose=2 + step)
    for step in range(3)
  ]
  every = np.ravel([noise, *steps])
  # Of numbers of 23 bits, a few are the same by chance.
  assert np.unique(every).size >= every.size - 2
  assert stats.kstest(every, 'norm').pvalue > 1e-3


@pytest.mark.exhaustive
@pytest.mark.parametrize('number', [1, 5])
def test_the_mean_moves_with_the_seed_as_its_standard_error_says(number):
  linear = _Linear(spread=1.5)
  count, num_seeds = 256, 32
  images = _images(count)
  draws = np.stack(
    [
      _factor_analysis(
        linear, num_importance_samples=number, noise_seed=seed
      ).log_prob(images)
      for seed in range(num_seeds)
    ]
  )
  # Of independent noise, the mean has the variance of an image over their number.
  expected = draws.var(axis=0, ddof=1).mean() / count
  ratio = draws.mean(axis=1).var(ddof=1) / expected
  low, high = stats.chi2.ppf([1e-5, 1 - 1e-5], num_seeds - 1) / (num_seeds - 1)
  assert low < ratio < high


# ---------------------------------------------------------------- pixels between


_SQUARE = [4, 4, 1]


def _differentiable(kind):
  """A model in float64, whose encoder is linear and whose decoder is given."""
  generator = np.random.default_rng(3)
  gain = generator.normal(0, 0.3, [16, _LATENT])
  weights = generator.normal(0, 0.3, [_LATENT, 64])

  def encode(scaled):
    loc = tf.reshape(scaled, [-1, 16]) @ gain
    return tfd.MultivariateNormalDiag(loc, np.full(_LATENT, 0.5))

  layer = tfp_ood.distributions.FlowDecoderLayer(
    _SQUARE, num_levels=1, num_steps=1, hidden_channels=2, dtype=tf.float64
  )
  layer(np.zeros([1, 4, 4, 4]))
  for variable in layer.trainable_variables:
    variable.assign_add(generator.normal(0, 0.2, variable.shape))

  def decode(latents):
    outputs = latents @ weights
    if kind == 'flow':
      return layer(tf.reshape(outputs, [-1, 4, 4, 4])).tensor_distribution
    number, make = tfp_ood.distributions.pixel_likelihood(kind)
    if kind == 'categorical':
      return make(tf.tile(tf.reshape(outputs, [-1, 4, 4, 4]), [1, 1, 1, 64]))
    return make(tf.reshape(outputs[:, : 16 * number], [-1, 4, 4, number]))

  model = (
    tfp_ood.distributions.FlowVariationalAutoencoder
    if kind == 'flow'
    else tfp_ood.distributions.VariationalAutoencoder
  )
  network = tfp_ood.networks.FunctionNetwork
  return model(
    network(encode, []),
    network(decode, [layer]),
    _SQUARE,
    num_importance_samples=3,
    log_prob_dtype=tf.float64,
  )


@pytest.mark.parametrize(
  'kind', ['gaussian', 'learned_gaussian', 'discretized_logistic', 'flow']
)
def test_gradients_by_pixels_are_those_of_differences(kind):
  model = _differentiable(kind)
  assert model.is_differentiable
  images = _images(2, shape=_SQUARE)
  floats = tf.cast(images, tf.float64)
  np.testing.assert_array_equal(
    model.continuous_log_prob(floats), model.log_prob(images)
  )
  between = floats + 0.5
  with tf.GradientTape() as tape:
    tape.watch(between)
    log_prob = model.continuous_log_prob(between)
  gradient = tape.gradient(log_prob, between).numpy().reshape([2, 16])
  step, directions = 1e-4, np.eye(16).reshape([16, 1, *_SQUARE])
  ahead, behind = (
    model.continuous_log_prob(between + sign * step * directions)
    for sign in (1, -1)
  )
  slopes = np.transpose(ahead - behind) / (2 * step)
  np.testing.assert_allclose(gradient, slopes, rtol=1e-6, atol=1e-8)

  statistics = tfp_ood.stats.Statistics(model)
  assert 'score_norm' in statistics.names
  norm = statistics(floats, ['score_norm'])['score_norm']
  # Upward alone: below a whole value the noise is another.
  first, second = (
    model.continuous_log_prob(floats + length * step * directions)
    for length in (1, 2)
  )
  slopes = (4 * first - second - 3 * model.log_prob(images)) / (2 * step)
  np.testing.assert_allclose(norm, np.linalg.norm(slopes, axis=0), rtol=1e-6)


def test_whole_numbers_alone_have_no_gradient():
  models = [
    _differentiable('categorical'),
    tfp_ood.distributions.autoencoder(
      [8, 8, 1], 2, likelihood='categorical', hidden_channels=2, num_values=8
    ),
  ]
  for model in models:
    assert not model.is_differentiable
    images = tf.zeros([2, *model.event_shape])
    with pytest.raises(ValueError, match='likelihood is of whole numbers'):
      model.continuous_log_prob(images)
    statistics = tfp_ood.stats.Statistics(model)
    assert 'score_norm' not in statistics.names
    with pytest.raises(ValueError, match='is not differentiable'):
      statistics(images, ['score_norm'])


# ------------------------------------------------------------------------ pixels


def test_terms_of_pixels_add_up_to_the_reconstruction():
  for number in (1, 4):
    vae = _tiny(num_importance_samples=number)
    images = _images(3)
    of_pixels = vae.pixel_log_probs(images)
    assert of_pixels.shape == images.shape
    np.testing.assert_allclose(
      tf.reduce_sum(of_pixels, axis=[1, 2, 3]),
      vae.elbo_terms(images).reconstruction,
      rtol=1e-12,
    )


def test_reconstructions_are_means_of_decoded_means():
  linear = _Linear(spread=1.3)
  images = _images(3)
  flat = linear.encode(np.float64(images) / 127.5 - 1).mean()
  expected = linear.decode(flat).mean()
  got = _factor_analysis(linear).reconstruct(images)
  np.testing.assert_allclose(got, expected, rtol=1e-12)


def test_errors_of_images():
  vae = _tiny()
  with pytest.raises(ValueError, match=r'shape \[batch..., 2, 3, 1\], got'):
    vae.log_prob(_images(2, shape=[3, 2, 1]))
  log_prob = tf.function(vae.log_prob)
  for value in (-1, 256, 0.5, np.nan):
    images = _images(2).astype(np.float32)
    images[1, 0, 0, 0] = value
    for method in (
      vae.log_prob,
      vae.elbo_terms,
      vae.optimized_log_prob,
      vae.encode,
      vae.reconstruct,
    ):
      with pytest.raises(ValueError, match='whole numbers from 0 to 255'):
        method(images)
    with pytest.raises(tf.errors.InvalidArgumentError, match='whole numbers'):
      log_prob(tf.constant(images))
  with pytest.raises(ValueError, match='to encode must be'):
    vae.encode(_images(1)[0])


def test_errors_of_arguments():
  linear = _Linear()
  make = functools.partial(
    tfp_ood.distributions.VariationalAutoencoder, log_prob_dtype=tf.float64
  )
  network = tfp_ood.networks.FunctionNetwork
  encode, decode = _networks(linear)
  with pytest.raises(ValueError, match='encoder must return a distribution'):
    make(network(tf.identity, []), decode, _SHAPE)
  with pytest.raises(ValueError, match='decoder must return a distribution'):
    make(encode, network(tf.identity, []), _SHAPE)
  with pytest.raises(ValueError, match=r'events of shape \(\); tfd.Independ'):
    scalars = network(lambda z: tfd.Normal(z[:, 0], np.float64(1)), [])
    make(encode, scalars, _SHAPE)
  with pytest.raises(ValueError, match=r'batch shape \[1\]'):
    pixels = network(lambda x: tfd.Normal(x, np.float64(1)), [])
    make(pixels, decode, _SHAPE)
  with pytest.raises(ValueError, match='neither normal nor a transformed'):
    laplace = network(
      lambda x: tfd.Independent(tfd.Laplace(encode(x).loc, np.float64(1)), 1),
      [encode],
    )
    make(laplace, decode, _SHAPE)
  with pytest.raises(TypeError, match='FunctionNetwork'):
    make(linear.encode, decode, _SHAPE)
  with pytest.raises(ValueError, match=r'`prior` must be .* shape \(3,\)'):
    prior = tfd.MultivariateNormalDiag(np.zeros(3))
    make(encode, decode, _SHAPE, prior=prior)
  with pytest.raises(ValueError, match='`prior` is of float32'):
    prior = tfd.MultivariateNormalDiag(np.zeros(2, np.float32))
    make(encode, decode, _SHAPE, prior=prior)
  for argument in (
    'num_importance_samples',
    'samples_per_pass',
    'num_posterior_steps',
  ):
    for number in (0, 2.5):
      with pytest.raises(ValueError, match=f'{argument} must be a Python int'):
        make(encode, decode, _SHAPE, **{argument: number})
  with pytest.raises(ValueError, match='number of samples must be a Python'):
    _tiny().log_prob(_images(1), num_importance_samples=0)
  with pytest.raises(ValueError, match=r'`image_shape` must be \[height'):
    make(encode, decode, [6])
  with pytest.raises(ValueError, match='`num_values` must be a whole number'):
    make(encode, decode, _SHAPE, num_values=1)


def test_variables_that_a_layer_hides_are_an_error():
  shift = tf.Variable(tf.zeros([2]), name='hidden_shift')
  encoder = tf_keras.Sequential(
    [
      tf_keras.layers.Input(_SHAPE),
      tf_keras.layers.Flatten(),
      tf_keras.layers.Dense(2),
      tfp.layers.DistributionLambda(
        lambda x: tfd.MultivariateNormalDiag(x + shift)
      ),
    ]
  )
  decoder = tf_keras.Sequential(
    [
      tf_keras.layers.Input([2]),
      tf_keras.layers.Dense(_SIZE),
      tf_keras.layers.Reshape(_SHAPE),
      tfp.layers.DistributionLambda(
        lambda x: tfd.Independent(tfd.Normal(x, 10.0), 3)
      ),
    ]
  )
  with pytest.raises(ValueError, match='variables hidden_shift:0 are used'):
    tfp_ood.distributions.VariationalAutoencoder(encoder, decoder, _SHAPE)
