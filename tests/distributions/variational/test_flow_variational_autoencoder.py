# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of variational autoencoders whose decoder is a flow."""

import functools
import math

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy import special

import tfp_ood
from tfp_ood import _content_noise
from tfp_ood.distributions.variational import _posterior

tfb = tfp.bijectors
tfd = tfp.distributions

_SHAPE = [8, 8, 1]
_SIZE = 64
_LATENT = 3


def _images(number, num_values=256):
  generator = np.random.default_rng(0)
  coarse = generator.uniform(0, num_values, size=[number, 2, 2, 1])
  fine = coarse.repeat(4, axis=1).repeat(4, axis=2)
  fine += generator.normal(0, num_values / 20, size=fine.shape)
  return np.clip(np.floor(fine), 0, num_values - 1).astype(np.uint8)


def _make(**kwargs):
  options = dict(
    num_steps=1, coupling_hidden_channels=4, hidden_channels=2, seed=1
  )
  return tfp_ood.distributions.flow_variational_autoencoder(
    _SHAPE, _LATENT, **{**options, **kwargs}
  )


def _move(model):
  generator = np.random.default_rng(7)
  for variable in model.trainable_variables:
    variable.assign_add(generator.normal(0, 0.1, variable.shape))


@functools.cache
def _model():
  """A model whose weights are not at their start."""
  model = _make()
  _move(model)
  return model


# ------------------------------------------------------------- exact values


def test_the_bound_is_exact_where_the_decoder_is_invertible():
  # As in Su and Wu: the decoder adds noise to an invertible map of the latent,
  # and the posterior takes it away and inverts the map.
  glow = tfp_ood.bijectors.Glow(
    [4, 4, 3],
    num_levels=1,
    num_steps=2,
    hidden_channels=4,
    seed=1,
    dtype=tf.float64,
  )
  generator = np.random.default_rng(0)
  tfp_ood.bijectors.initialize(
    glow, generator.uniform(-0.5, 0.5, [64, 4, 4, 3])
  )
  for variable in glow.trainable_variables:
    variable.assign_add(generator.normal(0, 0.1, variable.shape))
  to_pixels = tfb.Chain(
    [tfb.Scale(np.float64(256)), tfb.Shift(np.float64(0.5))]
  )
  decode = tfb.Chain([to_pixels, glow])

  def make(deviation, **kwargs):
    def encoder(scaled):
      flat = tf.reshape((scaled + 1) * 127.5, [-1, 48])
      return tfd.TransformedDistribution(
        tfd.MultivariateNormalDiag(flat, deviation * tf.ones_like(flat)),
        tfb.Chain([tfb.Invert(decode), tfb.Reshape([4, 4, 3])]),
      )

    def decoder(latents):
      pixels = decode.forward(latents)
      return tfd.Independent(tfd.Normal(pixels, np.float64(deviation)), 3)

    return tfp_ood.distributions.FlowVariationalAutoencoder(
      tfp_ood.networks.FunctionNetwork(encoder, [glow]),
      tfp_ood.networks.FunctionNetwork(decoder, [glow]),
      [4, 4, 3],
      noise_seed=[3, 4],
      log_prob_dtype=tf.float64,
      **kwargs,
    )

  images = generator.integers(60, 200, [5, 4, 4, 3]).astype(np.uint8)
  # The flow of the same dequantized pixels, in the units of `ImageFlow`.
  flow = tfp_ood.distributions.ImageFlow(glow, [4, 4, 3], noise_seed=[3, 4])
  flow_of_pixels = tfd.TransformedDistribution(flow.base, decode)
  keys = _content_noise.content_keys(tf.constant(images), [3, 4])
  noise = _content_noise.content_uniform(keys, [4, 4, 3], tf.float64)
  np.testing.assert_allclose(
    flow.log_prob(images), flow_of_pixels.log_prob(images + noise), rtol=1e-9
  )
  model = make(1e-6)
  pixels = model._observed(model.check(images), None)
  np.testing.assert_allclose(
    model.log_prob(images), flow_of_pixels.log_prob(pixels), rtol=1e-6
  )
  # By noise that is felt, it is the flow's of the noisy image, in each sample.
  for number in (1, 4):
    model = make(4.0, num_importance_samples=number)
    pixels = model._observed(model.check(images), None)
    noise = model._noise(number, pixels, None)
    noise = tf.reshape(noise, [number, 5, 4, 4, 3])
    exact = flow_of_pixels.log_prob(pixels + 4.0 * noise)
    np.testing.assert_allclose(
      model.log_prob(images),
      tf.reduce_logsumexp(exact, axis=0) - math.log(number),
      rtol=1e-9,
    )


def test_the_bound_is_exact_where_the_latent_says_nothing():
  model = _make(posterior='diagonal')
  _move(model)
  # In the last layers the biases alone speak.
  for network in (model.encoder.layers[0], model.decoder.layers[0]):
    kernel = network.layers[-1].kernel
    kernel.assign(tf.zeros_like(kernel))
  bias = np.zeros(2 * _LATENT)
  bias[_LATENT:] = math.log(math.expm1(1 - 1e-4))
  model.encoder.layers[0].layers[-1].bias.assign(bias)
  images = _images(3)
  pixels = model._observed(model.check(images), None)
  flow = model.decode(tf.zeros([1, _LATENT])).bijector
  with tf.GradientTape() as tape:
    tape.watch(pixels)
    latents = tf.reshape(flow.inverse(pixels), [3, _SIZE])
  jacobian = tf.reshape(tape.batch_jacobian(latents, pixels), [3, _SIZE, _SIZE])
  _, volume = np.linalg.slogdet(np.float64(jacobian))
  density = -0.5 * (np.square(latents) + math.log(2 * math.pi)).sum(axis=1)
  np.testing.assert_allclose(
    model.log_prob(images), density + volume, rtol=1e-4
  )


def test_the_decoder_starts_normal():
  model = _make()
  latents = tf.random.stateless_normal([4, _LATENT], [1, 2])
  likelihood = model.decode(latents)
  loc, raw_scale, _ = tf.split(model.decoder.layers[0](latents), [1, 1, 2], -1)
  scale = 0.5 + 128 * np.log1p(np.exp(raw_scale - 1))
  normal = tfd.Independent(tfd.Normal(128 * (1 + loc), scale), 3)
  pixels = tf.cast(_images(4), tf.float32)
  np.testing.assert_allclose(
    likelihood.log_prob(pixels), normal.log_prob(pixels), rtol=1e-4
  )


# ------------------------------------------------------------ as a distribution


@pytest.mark.exhaustive
def test_log_prob_is_a_function_of_the_image():
  model = _model()
  images = _images(7)
  together = model.log_prob(images).numpy()
  assert together.shape == (7,) and np.isfinite(together).all()
  traced = tf.function(
    model.log_prob,
    input_signature=[tf.TensorSpec([None, *_SHAPE], tf.uint8)],
    autograph=False,
  )
  for count in (0, 1, 7):
    np.testing.assert_allclose(
      traced(images[:count]), together[:count], rtol=1e-4
    )
  assert traced.experimental_get_tracing_count() == 1
  np.testing.assert_allclose(sum(model.elbo_terms(images)), together, rtol=1e-4)
  # Fresh noise is another one for each image.
  same = np.repeat(images[:1], 3, axis=0)
  fresh = sum(model.elbo_terms(same, seed=[1, 2])).numpy()
  assert len(set(fresh)) == 3
  np.testing.assert_array_equal(sum(model.elbo_terms(same, seed=[1, 2])), fresh)


def test_pixels_are_dequantized_within_their_values():
  model = _model()
  images = _images(5)
  for seed in (None, [1, 2]):
    noise = model._observed(model.check(images), seed) - images
    assert noise.shape == images.shape
    assert 0 <= np.min(noise) < 0.1 and 0.9 < np.max(noise) <= 1
    assert not np.allclose(noise[0], noise[1], atol=0.1)


def test_the_noise_of_an_image_is_its_own_and_not_that_of_its_latent():
  model = _model()
  images = _images(5)

  def observed(images):
    return model._observed(model.check(images), None)

  expected = observed(images)
  for function in (observed, tf.function(observed, jit_compile=True)):
    np.testing.assert_array_equal(function(images), expected)
    np.testing.assert_array_equal(function(images[::-1]), expected[::-1])
    np.testing.assert_array_equal(function(images[3:4]), expected[3:4])
  np.testing.assert_array_equal(observed(np.float32(images)), expected)
  # The latent's are quantiles of other numbers.
  noise = np.reshape(expected - images, [5, -1])[:, :_LATENT]
  latent = model._noise(1, model.check(images), None)[0]
  assert (np.abs(noise - special.ndtr(latent)) > 1e-4).all()


def test_a_gradient_reaches_every_variable():
  model = _model()
  with tf.GradientTape() as tape:
    terms = model.elbo_terms(_images(6), seed=[1, 2], training=True)
    total = tf.reduce_sum(sum(terms))
  for variable, gradient in zip(
    model.trainable_variables,
    tape.gradient(total, model.trainable_variables),
    strict=True,
  ):
    assert gradient is not None, variable.name
    assert np.isfinite(gradient).all(), variable.name
    # Before a normalization, a bias has no effect.
    assert 'dense' in variable.name or np.any(gradient != 0), variable.name


def test_samples_and_reconstructions_are_images():
  model = _model()
  samples = model.sample(3, seed=[1, 2])
  assert samples.dtype == tf.uint8
  assert samples.shape == [3, *_SHAPE]
  np.testing.assert_array_equal(model.sample(3, seed=[1, 2]), samples)
  assert (model.sample(3, seed=[1, 3]).numpy() != samples.numpy()).any()
  assert model.sample(0, seed=[1, 2]).shape == [0, *_SHAPE]
  # At the start the decoder is normal, and its mean is known.
  model = _make()
  images = _images(3)
  posterior = model.encode(images)
  zeros = tf.zeros([1, 1, _LATENT])
  latents, _ = _posterior.sample_and_log_prob(posterior, zeros)
  loc = model.decoder.layers[0](latents[0])[..., :1]
  np.testing.assert_allclose(
    model.reconstruct(images), 128 * (1 + loc) - 0.5, rtol=1e-4
  )


@pytest.mark.exhaustive
def test_the_optimized_bound_is_no_lower():
  model = _model()
  images = _images(4)
  optimized = tf.function(model.optimized_log_prob)(images, num_steps=20)
  gain = optimized - model.log_prob(images)
  assert (gain.numpy() > -0.01).all()
  assert (gain.numpy() > 0.01).any()


@pytest.mark.exhaustive
def test_training_lowers_the_loss():
  model = tfp_ood.training.VariationalModel(_make())
  model.compile(tfp_ood.training.adam(1e-2))
  dataset = tf.data.Dataset.from_tensor_slices(_images(64)).batch(16)
  losses = model.fit(dataset, epochs=6, verbose=0).history['loss']
  assert losses[-1] < losses[0] - 0.1


@pytest.mark.exhaustive
def test_checkpoint_and_saved_model(tmp_path):
  model, restored = _model(), _make()
  images = _images(7)
  path = tmp_path / 'weights'
  tfp_ood.training.save_weights(model, path)
  assert not np.allclose(restored.log_prob(images), model.log_prob(images))
  tfp_ood.training.load_weights(restored, path)
  np.testing.assert_array_equal(
    restored.log_prob(images), model.log_prob(images)
  )
  tfp_ood.training.export_saved_model(model, tmp_path / 'exported')
  loaded = tf.saved_model.load(str(tmp_path / 'exported'))
  for count in (1, 7):
    np.testing.assert_allclose(
      loaded.log_prob(images[:count]), model.log_prob(images[:count]), rtol=1e-4
    )


def test_errors():
  with pytest.raises(ValueError, match='divisible by 2\\*\\*num_levels = 16'):
    _make(num_levels=4)
  with pytest.raises(ValueError, match='got `latent_size` 1'):
    tfp_ood.distributions.posterior_layer('conditional_coupling', 1)
  with pytest.raises(ValueError, match='no sum over pixels'):
    _model().pixel_log_probs(_images(2))
  with pytest.raises(ValueError, match='mean or mode is not known'):
    tfp_ood.training.SoftIntrospectiveModel(_model())


# -------------------------------------------------------------- the posterior


def test_the_posterior_is_another_flow_for_each_image():
  model = _model()
  images = _images(4)
  posterior = model.encode(images)
  noise = tf.random.stateless_normal([6, 1, _LATENT], [3, 4])
  samples, log_prob = _posterior.sample_and_log_prob(posterior, noise)
  assert samples.shape == [6, 4, _LATENT]
  np.testing.assert_allclose(
    log_prob, posterior.log_prob(tf.identity(samples)), rtol=1e-3, atol=1e-3
  )
  alone, _ = _posterior.sample_and_log_prob(model.encode(images[2:3]), noise)
  np.testing.assert_allclose(samples[:, 2], alone[:, 0], rtol=1e-3, atol=1e-4)
  # The same base, another context.
  latents = tf.random.stateless_normal([4, _LATENT], [5, 6])
  bent = posterior.bijector.forward(tf.repeat(latents[:1], 4, axis=0))
  assert np.abs(bent - bent[:1]).max(axis=1)[1:].min() > 1e-4
