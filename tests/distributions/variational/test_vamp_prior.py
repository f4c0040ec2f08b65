# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the mixture of an encoder's posteriors."""

import functools

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras
from conformance.distribution_registry import dense_encoder, move
from scipy import special
from tiers import few

from tfp_ood import distributions

tfd = tfp.distributions

_SHAPE = [4, 4, 1]
_LATENT = 3
_NUMBER = 3


def _layer(kind):
  _, layer = distributions.posterior_layer(kind, _LATENT, seed=1)
  if kind == 'conditional_coupling':
    layer = distributions.ConditionalCouplingNormal(
      _LATENT, context_size=2, num_steps=2, hidden_units=[4]
    )
  return layer


@functools.cache
def _prior(kind):
  num_inputs, _ = distributions.posterior_layer(kind, _LATENT)
  layer = _layer(kind)
  encoder = dense_encoder(layer, getattr(layer, 'num_inputs', num_inputs))
  prior = distributions.VampPrior(encoder, _SHAPE, _NUMBER, seed=1)
  return move(prior, scale=0.3)


def _posteriors_one_by_one(prior):
  """The posterior of each pseudo-input by itself."""
  for index in range(_NUMBER):
    one = prior.pseudo_inputs[index : index + 1]
    yield prior._encoder(one, training=False).tensor_distribution


every_posterior = pytest.mark.parametrize(
  'kind',
  ['diagonal', 'full', 'inverse_autoregressive', 'conditional_coupling'],
)


_LATENTS = np.random.default_rng(0).normal(size=[6, _LATENT]).astype(np.float32)


@functools.cache
def _expected(kind):
  """The density of each latent, by one posterior and one latent at a time."""
  log_probs = [
    [posterior.log_prob(latent[np.newaxis])[0] for latent in _LATENTS]
    for posterior in _posteriors_one_by_one(_prior(kind))
  ]
  return special.logsumexp(log_probs, axis=0) - np.log(_NUMBER)


@every_posterior
@pytest.mark.parametrize('count', few([1, 4, 2, _NUMBER, 2 * _NUMBER]))
def test_is_the_mean_of_posteriors_for_any_number_of_latents(kind, count):
  actual = _prior(kind).log_prob(_LATENTS[:count])
  assert actual.shape == [count]
  np.testing.assert_allclose(
    actual, _expected(kind)[:count], rtol=1e-4, atol=1e-4
  )


@every_posterior
def test_latents_may_have_any_batch(kind):
  prior = _prior(kind)
  latents = tf.random.stateless_normal([2, 3, _LATENT], [1, 2])
  together = prior.log_prob(latents)
  assert together.shape == [2, 3]
  for index in range(2):
    np.testing.assert_allclose(
      prior.log_prob(latents[index]), together[index], rtol=1e-4
    )
  alone = prior.log_prob(latents[1, 2])
  assert alone.shape == []
  np.testing.assert_allclose(alone, together[1, 2], rtol=1e-4)
  assert prior.log_prob(latents[:0]).shape == [0, 3]


@every_posterior
def test_samples_are_of_the_mixture(kind):
  prior = _prior(kind)
  count = 4000
  samples = prior.sample(count, seed=[1, 2]).numpy()
  assert samples.shape == (count, _LATENT)
  of_each = np.concatenate(
    [
      posterior.sample(500, seed=[3, index])[:, 0]
      for index, posterior in enumerate(_posteriors_one_by_one(prior))
    ]
  )
  for moment in (1, 2):
    one, other = samples**moment, of_each**moment
    error = np.hypot(
      one.std(axis=0) / np.sqrt(len(one)),
      other.std(axis=0) / np.sqrt(len(other)),
    )
    difference = np.abs(one.mean(axis=0) - other.mean(axis=0))
    assert (difference < 5 * error).all()


def test_pseudo_inputs_are_scaled_images():
  prior = _prior('diagonal')
  pseudo_inputs = prior.pseudo_inputs.numpy()
  assert pseudo_inputs.shape == (_NUMBER, *_SHAPE)
  assert np.abs(pseudo_inputs).max() <= 1
  other = distributions.VampPrior(prior._encoder, _SHAPE, _NUMBER, seed=2)
  same = distributions.VampPrior(prior._encoder, _SHAPE, _NUMBER, seed=2)
  np.testing.assert_array_equal(other.pseudo_inputs, same.pseudo_inputs)
  assert (other.pseudo_inputs.numpy() != pseudo_inputs).all()


def test_batch_normalization_is_in_evaluation_mode():
  layers = tf_keras.layers
  encoder = tf_keras.Sequential(
    [
      layers.Input(_SHAPE),
      layers.BatchNormalization(),
      layers.Flatten(),
      layers.Dense(2 * _LATENT),
      tfp.layers.IndependentNormal(_LATENT),
    ]
  )
  prior = distributions.VampPrior(encoder, _SHAPE, _NUMBER, seed=1)
  before = [variable.numpy() for variable in encoder.variables]
  prior.log_prob(tf.zeros([2, _LATENT]))
  for variable, value in zip(encoder.variables, before, strict=True):
    np.testing.assert_array_equal(variable, value)


# --------------------------------------------------------------------- copies


def test_copies_keep_and_share_trained_pseudo_inputs():
  prior = distributions.VampPrior(
    _prior('diagonal')._encoder, _SHAPE, _NUMBER, seed=1
  )
  latents = tf.random.stateless_normal([4, _LATENT], [1, 2])
  raw = prior._raw_pseudo_inputs
  raw.assign_add(tf.ones_like(raw))
  expected = prior.log_prob(latents)
  copies = [prior.copy(), prior.copy(name='copy'), prior.copy().copy()]
  for copy in copies:
    np.testing.assert_array_equal(copy.log_prob(latents), expected)
    assert {id(v) for v in copy.variables} == {id(v) for v in prior.variables}
  # What trains one trains the others.
  raw.assign_sub(tf.ones_like(raw))
  assert (prior.log_prob(latents).numpy() != expected.numpy()).all()
  for copy in copies:
    np.testing.assert_array_equal(
      copy.log_prob(latents), prior.log_prob(latents)
    )


def test_a_copy_of_another_size_starts_anew():
  prior = _prior('diagonal')
  copy = prior.copy(num_pseudo_inputs=4, raw_pseudo_inputs=None)
  assert copy.pseudo_inputs.shape == [4, *_SHAPE]


def test_pseudo_inputs_that_contradict_their_number_are_refused():
  with pytest.raises(
    ValueError, match=r'num_pseudo_inputs.*\[4, 4, 4, 1\], got'
  ):
    _prior('diagonal').copy(num_pseudo_inputs=4)


def test_a_copy_of_the_autoencoder_keeps_the_prior():
  vae = distributions.variational_autoencoder(
    [8, 8, 1], 2, prior='vamp', hidden_channels=2
  )
  raw = vae.prior._raw_pseudo_inputs
  raw.assign_add(tf.ones_like(raw))
  image = np.full([1, 8, 8, 1], 100, np.uint8)
  np.testing.assert_array_equal(
    vae.copy(name='copy').log_prob(image), vae.log_prob(image)
  )
