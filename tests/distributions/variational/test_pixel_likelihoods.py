# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the distributions of pixels that decoders return."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import tfp_ood

tfd = tfp.distributions

_KINDS = (
  'gaussian',
  'learned_gaussian',
  'categorical',
  'discretized_logistic',
)


def _outputs(kind, num_values=256, dtype=tf.float64, spread=2.0, batch=3):
  number, make = tfp_ood.distributions.pixel_likelihood(
    kind, num_values=num_values
  )
  shape = [batch, 2, 3, 2 * number]
  outputs = tf.random.stateless_normal(shape, [1, 2], 0.0, spread, dtype)
  return outputs, make


@pytest.mark.parametrize('num_values', [2, 32, 256])
@pytest.mark.parametrize('kind', ['categorical', 'discretized_logistic'])
def test_probabilities_of_values_add_up_to_one(kind, num_values):
  outputs, make = _outputs(kind, num_values)
  pixels = make(outputs).distribution
  values = tf.range(num_values)[:, None, None, None, None]
  probs = tf.exp(pixels.log_prob(tf.cast(values, pixels.dtype)))
  assert probs.shape == [num_values, 3, 2, 3, 2]
  np.testing.assert_allclose(tf.reduce_sum(probs, axis=0), 1, rtol=1e-12)
  mean = tf.reduce_sum(tf.cast(values, tf.float64) * probs, axis=0)
  np.testing.assert_allclose(pixels.mean(), mean, rtol=1e-10)


@pytest.mark.parametrize('loc', [-3000.0, -1.0, 0.2, 127.5, 255.4, 4000.0])
@pytest.mark.parametrize('scale', [0.05, 1.0, 40.0, 1000.0])
def test_discretized_logistic_is_stable_far_out(loc, scale):
  values = tf.range(256.0)
  narrow = tf.constant([loc, scale])
  with tf.GradientTape() as tape:
    tape.watch(narrow)
    log_prob = tfp_ood.distributions.DiscretizedLogistic(
      *tf.unstack(narrow)
    ).log_prob(values)
  wide = tfp_ood.distributions.DiscretizedLogistic(
    np.float64(loc), np.float64(scale)
  )
  np.testing.assert_allclose(
    log_prob, wide.log_prob(tf.cast(values, tf.float64)), rtol=1e-4, atol=1e-4
  )
  assert np.isfinite(tape.gradient(log_prob, narrow)).all()
  np.testing.assert_allclose(
    tf.reduce_logsumexp(wide.log_prob(tf.cast(values, tf.float64))),
    0,
    atol=1e-10,
  )


def test_discretized_logistic_is_that_of_tfp():
  loc, scale = np.float64([100.0, 3.0, 250.0]), np.float64([10.0, 2.0, 30.0])
  values = np.arange(256.0)[:, None]
  ours = tfp_ood.distributions.DiscretizedLogistic(loc, scale)
  theirs = tfd.QuantizedDistribution(
    tfd.Logistic(loc - 0.5, scale), low=np.float64(0), high=np.float64(255)
  )
  expected = theirs.log_prob(values).numpy()
  common = expected > -20  # Theirs cancels far out.
  assert common.sum() > 300
  np.testing.assert_allclose(
    ours.log_prob(values).numpy()[common], expected[common], rtol=1e-6
  )


def test_samples_of_the_discretized_logistic_have_its_probabilities():
  pixels = tfp_ood.distributions.DiscretizedLogistic(3.2, 1.5, num_values=8)
  number = 20_000
  samples = pixels.sample(number, seed=[1, 2]).numpy()
  assert set(samples) <= set(range(8))
  np.testing.assert_array_equal(pixels.sample(number, seed=[1, 2]), samples)
  frequency = np.bincount(samples.astype(int), minlength=8) / number
  probs = pixels.prob(np.arange(8.0, dtype=np.float32)).numpy()
  error = np.sqrt(probs * (1 - probs) / number)
  assert (np.abs(frequency - probs) < 5 * error).all()
  np.testing.assert_allclose(pixels.mode(), 3)


def test_batch_shapes_of_the_discretized_logistic():
  pixels = tfp_ood.distributions.DiscretizedLogistic(
    tf.zeros([3, 1]), tf.ones([4])
  )
  assert pixels.batch_shape == [3, 4]
  assert pixels.event_shape == []
  assert pixels.sample(5, seed=[1, 2]).shape == [5, 3, 4]
  assert pixels.mean().shape == pixels.mode().shape == [3, 4]
  assert tf.function(pixels.mean)().shape == [3, 4]


@pytest.mark.parametrize('kind', _KINDS)
def test_likelihoods_are_of_raw_pixels(kind):
  outputs, make = _outputs(kind, dtype=tf.float32, spread=0.5)
  likelihood = make(outputs)
  assert likelihood.event_shape == [2, 3, 2]
  assert likelihood.batch_shape == [3]
  mean = likelihood.mean().numpy()
  assert 50 < mean.mean() < 205
  pixels = tf.cast(tf.fill([3, 2, 3, 2], 7), likelihood.dtype)
  log_prob = likelihood.log_prob(pixels)
  of_pixels = likelihood.distribution.log_prob(pixels)
  np.testing.assert_allclose(
    tf.reduce_sum(of_pixels, axis=[1, 2, 3]), log_prob, rtol=1e-5
  )
  with tf.GradientTape() as tape:
    tape.watch(outputs)
    log_prob = make(outputs).log_prob(pixels)
  gradient = tape.gradient(log_prob, outputs).numpy()
  assert np.isfinite(gradient).all()
  assert (gradient != 0).all()


def test_a_constant_image_has_no_density_above_one():
  _, make = _outputs('learned_gaussian')
  # As sure as can be: the location at a pixel value, the raw scale far down.
  outputs = tf.constant([[1 / 255, -1000.0]] * 6, tf.float64)
  likelihood = make(tf.reshape(outputs, [1, 2, 3, 2]))
  pixels = tf.fill([1, 2, 3, 1], np.float64(128))
  log_prob = likelihood.distribution.log_prob(pixels)
  assert (log_prob.numpy() <= 0).all()
  assert (log_prob.numpy() > -0.3).all()


def test_errors():
  with pytest.raises(
    ValueError, match="must be one of gaussian.*got 'laplace'"
  ):
    tfp_ood.distributions.pixel_likelihood('laplace')
  with pytest.raises(ValueError, match='`scale` must be positive, got 0'):
    tfp_ood.distributions.pixel_likelihood('gaussian', scale=0)
