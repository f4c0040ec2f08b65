# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of every decoder, posterior and prior in convolutional autoencoders.

What holds for all models is in the conformance suite.
"""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from conformance.distribution_registry import IMAGE_SHAPE, MODELS, move
from conformance.distribution_registry import images as smooth_images
from tiers import few

import tfp_ood
from tfp_ood.distributions.variational import _posterior

tfd = tfp.distributions

_LATENT = 3
_VAES = [name for name in MODELS if name.startswith('vae')]

every_vae = pytest.mark.parametrize('name', _VAES)


def _model(name):
  return MODELS[name].make()


def _images(name, number):
  return MODELS[name].images(number)


@pytest.mark.slow
def test_each_likelihood_posterior_and_prior_is_in_a_model():
  made = set()
  for name in _VAES:
    model = _model(name)
    likelihood = model.decode(tf.zeros([1, _LATENT]))
    posterior = model.encode(_images(name, 1))
    for part in (likelihood.distribution, posterior, model.prior):
      made.add(type(part).__name__.lstrip('_'))
  assert made >= {
    # Of likelihoods.
    'Normal',
    'Categorical',
    'DiscretizedLogistic',
    # Of posteriors and priors.
    'Independent',
    'MultivariateNormalTriL',
    'TransformedDistribution',
    'MixtureSameFamily',
    'VampPrior',
  }


@every_vae
def test_terms_add_up_to_the_bound(name):
  model, images = _model(name), _images(name, 5)
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


@pytest.mark.parametrize('name', ['vae', 'vae_learned_gaussian_full_mixture'])
def test_the_optimized_bound_is_no_lower(name):
  _assert_optimized(name)


@pytest.mark.slow
@pytest.mark.parametrize(
  'name',
  ['vae_categorical_autoregressive_vamp', 'vae_logistic_coupling_flow'],
)
def test_the_optimized_bound_of_bent_posteriors_is_no_lower(name):
  _assert_optimized(name)


def _assert_optimized(name):
  model, images = _model(name), _images(name, 4)
  optimized = tf.function(model.optimized_log_prob)(images, num_steps=20)
  gain = optimized - model.log_prob(images)
  assert (gain.numpy() > -0.01).all()
  assert (gain.numpy() > 0.01).any()


@every_vae
def test_reconstructions_are_images_and_the_prior_can_be_sampled(name):
  model, images = _model(name), _images(name, 3)
  reconstructed = model.reconstruct(images).numpy()
  assert reconstructed.shape == (3, *IMAGE_SHAPE)
  assert np.isfinite(reconstructed).all()
  # From the latent that stands for each image, by the mean of the decoder.
  latents = model.latents(images)
  assert latents.shape == [3, _LATENT]
  np.testing.assert_allclose(
    reconstructed, model.decode(latents).mean(), rtol=1e-4, atol=1e-3
  )
  assert np.isfinite(model.prior.log_prob(model.prior.sample(2, seed=3))).all()


@pytest.mark.slow
@pytest.mark.parametrize('name', _VAES)
def test_checkpoint_round_trip(name, tmp_path):
  saved, restored = _model(name), MODELS[name].build()
  images = _images(name, 3)
  assert not np.allclose(saved.log_prob(images), restored.log_prob(images))
  path = tf.train.Checkpoint(model=saved).write(str(tmp_path / 'weights'))
  status = tf.train.Checkpoint(model=restored).read(path)
  status.assert_consumed()
  status.assert_existing_objects_matched()
  np.testing.assert_array_equal(
    saved.log_prob(images), restored.log_prob(images)
  )


# Large enough for a normalization in each network.
_LARGER = [16, 16, 1]
_FACTORIES = {
  'variational_autoencoder': dict(likelihood='discretized_logistic'),
  'autoencoder': {},
}


def _larger(factory):
  return getattr(tfp_ood.distributions, factory)(
    _LARGER, _LATENT, hidden_channels=2, seed=1, **_FACTORIES[factory]
  )


@pytest.mark.parametrize('factory', list(_FACTORIES))
@pytest.mark.parametrize(
  'adapted', few([('encoder', 'decoder'), ('encoder',), ('decoder',)], 1)
)
def test_adapted_statistics_are_those_of_the_batch(factory, adapted):
  model = move(_larger(factory))
  before = [v.numpy() for v in model.variables]

  def adapt(model):
    return model.copy(
      **{
        role: tfp_ood.networks.with_batch_statistics(getattr(model, role))
        for role in adapted
      }
    )

  copy = adapt(model)
  assert {id(v) for v in copy.variables} == {id(v) for v in model.variables}
  images = smooth_images(6, shape=_LARGER)
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
  if adapted == ('encoder', 'decoder') and factory == 'autoencoder':
    # What training mode computes; it moves the gathered statistics.
    terms = _larger(factory).elbo_terms(images, training=True)
    np.testing.assert_allclose(
      adapt(_larger(factory)).log_prob(images), terms.reconstruction, rtol=1e-3
    )


def test_an_autoencoder_scores_reconstructions_alone():
  model = _model('autoencoder')
  images = _images('autoencoder', 5)
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


def _make(**kwargs):
  return tfp_ood.distributions.variational_autoencoder(
    IMAGE_SHAPE, _LATENT, hidden_channels=2, seed=1, **kwargs
  )


@pytest.mark.parametrize('prior', ['standard_normal', 'flow', 'vamp'])
def test_the_same_seed_builds_the_same_model(prior):
  images = _images('vae', 3)
  scores = []
  for global_seed in (1, 2):
    tf.random.set_seed(global_seed)
    scores.append(_make(prior=prior).log_prob(images))
  np.testing.assert_array_equal(*scores)


def test_errors():
  for argument in ('likelihood', 'posterior', 'prior'):
    with pytest.raises(
      ValueError, match=f"The {argument} must be one of .* got 'other'"
    ):
      _make(**{argument: 'other'})
  plain = _model('vae_plain')
  for network in (plain.encoder, plain.decoder):
    with pytest.raises(ValueError, match='has no batch normalization to adapt'):
      tfp_ood.networks.with_batch_statistics(network)


# ------------------------------------------------------------------ posteriors


@every_vae
def test_noise_of_posteriors_is_shared_by_images(name):
  model, images = _model(name), _images(name, 4)
  posterior = model.encode(images)
  noise = tf.random.stateless_normal([6, 1, _LATENT], [3, 4])
  samples, log_prob = _posterior.sample_and_log_prob(posterior, noise)
  assert samples.shape == [6, 4, _LATENT]
  np.testing.assert_allclose(
    log_prob, posterior.log_prob(tf.identity(samples)), rtol=1e-4, atol=1e-3
  )
  alone, _ = _posterior.sample_and_log_prob(model.encode(images[2:3]), noise)
  np.testing.assert_allclose(samples[:, 2], alone[:, 0], rtol=1e-4, atol=1e-4)
  zeros = tf.zeros([4, _LATENT])
  same, _ = _posterior.sample_and_log_prob(
    _posterior.moved(posterior, zeros, zeros), noise
  )
  np.testing.assert_allclose(same, samples, rtol=1e-5, atol=1e-5)
