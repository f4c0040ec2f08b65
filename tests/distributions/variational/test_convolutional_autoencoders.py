# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of every decoder, posterior and prior in convolutional autoencoders."""

import functools

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import tfp_ood

tfd = tfp.distributions

_SHAPE = [16, 16, 3]
_LATENT = 3
_VARIANTS = {
  'gaussian': dict(likelihood='gaussian'),
  'learned_gaussian': dict(likelihood='learned_gaussian'),
  'categorical': dict(likelihood='categorical', num_values=32),
  'discretized_logistic': dict(likelihood='discretized_logistic'),
  'full': dict(posterior='full'),
  'inverse_autoregressive': dict(posterior='inverse_autoregressive'),
  'conditional_coupling': dict(posterior='conditional_coupling'),
  'mixture': dict(prior='mixture'),
  'vamp': dict(prior='vamp'),
  'flow': dict(prior='flow', posterior='inverse_autoregressive'),
  'importance_weighted': dict(num_importance_samples=4, samples_per_pass=2),
  'plain': dict(batch_normalization=False),
  'autoencoder': None,
}

every_model = pytest.mark.parametrize('name', list(_VARIANTS))
every_vae = pytest.mark.parametrize(
  'name', [name for name in _VARIANTS if name != 'autoencoder']
)


def _images(number, num_values=256, seed=0):
  generator = np.random.default_rng(seed)
  coarse = generator.uniform(0, num_values, size=[number, 2, 2, 3])
  fine = coarse.repeat(8, axis=1).repeat(8, axis=2)
  fine += generator.normal(0, num_values / 20, size=fine.shape)
  return np.clip(np.floor(fine), 0, num_values - 1).astype(np.uint8)


def _make(name):
  if name == 'autoencoder':
    return tfp_ood.distributions.autoencoder(
      _SHAPE, _LATENT, hidden_channels=2, seed=1
    )
  return tfp_ood.distributions.variational_autoencoder(
    _SHAPE, _LATENT, hidden_channels=2, seed=1, **_VARIANTS[name]
  )


@functools.cache
def _model(name):
  """A model whose weights and gathered statistics are not at their start."""
  model = _make(name)
  generator = np.random.default_rng(7)
  for variable in model.variables:
    if not variable.trainable and 'moving' not in variable.name:
      continue  # A rotation's permutation and signs are no weights.
    value = variable + generator.normal(0, 0.05, variable.shape)
    # The masks of an autoregressive network are constraints.
    constraint = variable.constraint or tf.identity
    variable.assign(constraint(value))
  return model


@every_model
def test_log_prob_is_a_function_of_the_image(name):
  model = _model(name)
  images = _images(7, model.num_values)
  together = model.log_prob(images).numpy()
  assert together.shape == (7,)
  assert np.isfinite(together).all()
  np.testing.assert_array_equal(model.log_prob(images), together)
  apart = np.concatenate([model.log_prob(image[None]) for image in images])
  np.testing.assert_allclose(apart, together, rtol=1e-5)
  traced = tf.function(
    model.log_prob, input_signature=[tf.TensorSpec([None, *_SHAPE], tf.uint8)]
  )
  for count in (0, 1, 7):
    np.testing.assert_allclose(
      traced(images[:count]), together[:count], rtol=1e-5
    )
  assert traced.experimental_get_tracing_count() == 1


@every_model
def test_a_gradient_reaches_every_variable(name):
  model = _model(name)
  images = _images(6, model.num_values)
  with tf.GradientTape() as tape:
    terms = model.elbo_terms(images, seed=[1, 2], training=True)
    total = tf.reduce_sum(sum(terms))
  assert {id(v) for v in tape.watched_variables()} == {
    id(v) for v in model.trainable_variables
  }
  for variable, gradient in zip(
    model.trainable_variables,
    tape.gradient(total, model.trainable_variables),
    strict=True,
  ):
    assert gradient is not None, variable.name
    assert np.isfinite(gradient).all(), variable.name
    # Before a normalization, a bias has no effect.
    is_free = 'bias' in variable.name and not name == 'plain'
    assert is_free or np.any(gradient != 0), variable.name


@every_vae
def test_terms_add_up_to_the_bound(name):
  model = _model(name)
  images = _images(5, model.num_values)
  elbo = sum(model.elbo_terms(images, num_samples=1))
  np.testing.assert_allclose(
    elbo, model.log_prob(images, num_importance_samples=1), rtol=1e-6
  )
  of_pixels = model.pixel_log_probs(images)
  np.testing.assert_allclose(
    tf.reduce_sum(of_pixels, axis=[1, 2, 3]),
    model.elbo_terms(images).reconstruction,
    rtol=1e-5,
  )


@pytest.mark.parametrize('name', ['categorical', 'full', 'flow'])
def test_the_optimized_bound_is_no_lower(name):
  model = _model(name)
  images = _images(4, model.num_values)
  optimized = tf.function(functools.partial(model.optimized_log_prob))
  gain = optimized(images, num_steps=20) - model.log_prob(images)
  assert (gain.numpy() > -0.01).all()
  assert (gain.numpy() > 0.01).any()


@every_vae
def test_samples_and_reconstructions_are_images(name):
  model = _model(name)
  samples = model.sample(3, seed=[1, 2])
  assert samples.dtype == tf.uint8
  assert samples.shape == [3, *_SHAPE]
  assert int(tf.reduce_max(samples)) < model.num_values
  np.testing.assert_array_equal(model.sample(3, seed=[1, 2]), samples)
  assert (model.sample(3, seed=[1, 3]).numpy() != samples.numpy()).any()
  images = _images(3, model.num_values)
  assert np.isfinite(model.reconstruct(images)).all()
  assert np.isfinite(model.prior.log_prob(model.prior.sample(2, seed=3))).all()


@pytest.mark.parametrize('name', ['gaussian', 'mixture', 'vamp', 'flow'])
def test_checkpoint_round_trip(name, tmp_path):
  saved, restored = _model(name), _make(name)
  images = _images(3, saved.num_values)
  assert not np.allclose(saved.log_prob(images), restored.log_prob(images))
  path = tf.train.Checkpoint(model=saved).write(str(tmp_path / 'weights'))
  status = tf.train.Checkpoint(model=restored).read(path)
  status.assert_consumed()
  status.assert_existing_objects_matched()
  np.testing.assert_array_equal(
    saved.log_prob(images), restored.log_prob(images)
  )


@pytest.mark.parametrize(
  'name', ['categorical', 'flow', 'vamp', 'importance_weighted', 'autoencoder']
)
def test_saved_model(name, tmp_path):
  model = _model(name)
  images = _images(7, model.num_values)
  tfp_ood.training.export_saved_model(model, tmp_path / 'exported')
  loaded = tf.saved_model.load(str(tmp_path / 'exported'))
  for count in (1, 7):
    for dtype in (np.uint8, np.float32):
      np.testing.assert_allclose(
        loaded.log_prob(images[:count].astype(dtype)),
        model.log_prob(images[:count]),
        rtol=1e-5,
      )


@pytest.mark.parametrize('name', ['discretized_logistic', 'autoencoder'])
@pytest.mark.parametrize(
  'adapted', [('encoder',), ('decoder',), ('encoder', 'decoder')]
)
def test_adapted_statistics_are_those_of_the_batch(name, adapted):
  model = _model(name)
  before = [v.numpy() for v in model.variables]
  copy = model.copy(batch_statistics=adapted)
  assert copy.batch_statistics == set(adapted)
  images = _images(6)
  scores = copy.log_prob(images)
  assert not np.allclose(scores, model.log_prob(images), rtol=1e-4)
  # They depend on the rest of the batch, in any order.
  np.testing.assert_allclose(
    copy.log_prob(images[::-1])[::-1], scores, rtol=1e-4
  )
  assert not np.allclose(copy.log_prob(images[:3]), scores[:3], rtol=1e-5)
  np.testing.assert_allclose(
    tf.function(copy.log_prob)(images), scores, rtol=1e-5
  )
  for variable, old in zip(model.variables, before, strict=True):
    np.testing.assert_array_equal(variable, old)
  if adapted == ('encoder', 'decoder') and name == 'autoencoder':
    # What training mode computes; it moves the gathered statistics.
    terms = _make(name).elbo_terms(images, training=True)
    fresh = _make(name).copy(batch_statistics=adapted)
    np.testing.assert_allclose(
      fresh.log_prob(images), terms.reconstruction, rtol=1e-3
    )


def test_an_autoencoder_scores_reconstructions_alone():
  model = _model('autoencoder')
  images = _images(5)
  log_prob = model.log_prob(images)
  likelihood = model.decode(model.encode(images).mean())
  np.testing.assert_allclose(
    log_prob, likelihood.log_prob(tf.cast(images, tf.float32)), rtol=1e-5
  )
  np.testing.assert_allclose(
    model.reconstruct(images), likelihood.mean(), rtol=1e-5
  )
  terms = model.elbo_terms(images)
  np.testing.assert_array_equal(terms.reconstruction, log_prob)
  assert not np.any(terms.log_prior) and not np.any(terms.posterior_entropy)
  np.testing.assert_allclose(
    tf.reduce_sum(model.pixel_log_probs(images), axis=[1, 2, 3]),
    log_prob,
    rtol=1e-5,
  )
  with pytest.raises(NotImplementedError, match='no prior to sample latents'):
    model.sample(2)


def test_the_same_seed_builds_the_same_model():
  images = _images(3)
  for name in ('gaussian', 'flow', 'vamp'):
    scores = []
    for global_seed in (1, 2):
      tf.random.set_seed(global_seed)
      scores.append(_make(name).log_prob(images))
    np.testing.assert_array_equal(*scores)


def test_errors():
  make = functools.partial(
    tfp_ood.distributions.variational_autoencoder,
    _SHAPE,
    _LATENT,
    hidden_channels=2,
  )
  for argument in ('decoder', 'posterior', 'prior'):
    with pytest.raises(
      ValueError, match=f"The {argument} must be one of .* got 'other'"
    ):
      make(**{argument: 'other'})
  plain = _model('plain')
  with pytest.raises(ValueError, match='no .*AdaptiveBatchNormalization'):
    plain.copy(batch_statistics=['decoder'])


# ------------------------------------------------------------------ posteriors


@pytest.mark.parametrize(
  'name', ['gaussian', 'full', 'inverse_autoregressive', 'conditional_coupling']
)
def test_noise_of_posteriors_is_shared_by_images(name):
  from tfp_ood.distributions import posterior as posteriors

  model = _model(name)
  images = _images(4)
  posterior = model.encode(images)
  noise = tf.random.stateless_normal([6, 1, _LATENT], [3, 4])
  samples, log_prob = posteriors.sample_and_log_prob(posterior, noise)
  assert samples.shape == [6, 4, _LATENT]
  np.testing.assert_allclose(
    log_prob, posterior.log_prob(tf.identity(samples)), rtol=1e-4, atol=1e-4
  )
  alone, _ = posteriors.sample_and_log_prob(model.encode(images[2:3]), noise)
  np.testing.assert_allclose(samples[:, 2], alone[:, 0], rtol=1e-4, atol=1e-5)
  zeros = tf.zeros([4, _LATENT])
  same, _ = posteriors.sample_and_log_prob(
    posteriors.moved(posterior, zeros, zeros), noise
  )
  np.testing.assert_allclose(same, samples, rtol=1e-5, atol=1e-6)


def test_the_vamp_prior_is_the_mean_of_posteriors():
  encoder = _model('gaussian').encoder
  prior = tfp_ood.distributions.VampPrior(
    encoder, _SHAPE, num_pseudo_inputs=20, seed=1
  )
  latents = tf.random.stateless_normal([5, _LATENT], [1, 2])
  posteriors = encoder(prior.pseudo_inputs, training=False)
  posteriors = posteriors.tensor_distribution
  expected = np.mean([posteriors[i].prob(latents) for i in range(20)], axis=0)
  np.testing.assert_allclose(prior.prob(latents), expected, rtol=1e-4)
  samples = prior.sample(5000, seed=[1, 2]).numpy()
  means = tf.reduce_mean(posteriors.mean(), axis=0)
  error = samples.std(axis=0) / np.sqrt(5000)
  assert (np.abs(samples.mean(axis=0) - means) < 5 * error).all()
