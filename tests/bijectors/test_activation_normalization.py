# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of `ActivationNormalization`."""

import numpy as np
import pytest
import tensorflow as tf

from tfp_ood import bijectors


def _images(shape=(8, 4, 6, 3)):
  random = np.random.default_rng(0)
  return random.normal([1.0, -50.0, 0.0], [0.1, 7.0, 2.0], shape)


def test_hand_computed_numbers():
  weights = {
    'shift': tf.constant([1.0, -2.0]),
    'log_scale': tf.constant([np.log(2.0), np.log(0.5)], tf.float32),
  }
  bijector = bijectors.ActivationNormalization(2, weights=weights)
  latent = tf.constant([[[3.0, 4.0], [0.0, 0.0]]])
  image, log_det = bijector.forward_and_log_det(latent)
  np.testing.assert_allclose(image, [[[7.0, 0.0], [1.0, -2.0]]], atol=1e-6)
  # Two pixels, each with log 2 + log .5 = 0.
  assert float(log_det) == pytest.approx(0.0, abs=1e-6)
  weights['log_scale'] = tf.constant([np.log(2.0), 0.0], tf.float32)
  _, log_det = bijectors.ActivationNormalization(
    2, weights=weights
  ).inverse_and_log_det(image)
  assert float(log_det) == pytest.approx(-2.0 * np.log(2.0))


def test_initialize_standardizes_each_channel():
  bijector = bijectors.ActivationNormalization(3, dtype=tf.float64)
  images = _images()
  assert not bijectors.is_initialized(bijector)
  bijector.initialize(images)
  assert bijectors.is_initialized(bijector)
  latents = bijector.inverse(images).numpy()
  np.testing.assert_allclose(latents.mean(axis=(0, 1, 2)), 0.0, atol=1e-12)
  np.testing.assert_allclose(latents.std(axis=(0, 1, 2)), 1.0, atol=1e-12)
  np.testing.assert_allclose(
    bijector.weights['shift'], images.mean(axis=(0, 1, 2))
  )
  np.testing.assert_allclose(
    tf.exp(bijector.weights['log_scale']), images.std(axis=(0, 1, 2))
  )


def test_initialize_accepts_any_number_of_batch_dimensions():
  images = _images((2, 3, 4, 6, 3))
  bijector = bijectors.ActivationNormalization(3, dtype=tf.float64)
  bijector.initialize(images)
  np.testing.assert_allclose(
    bijector.weights['shift'], images.mean(axis=(0, 1, 2, 3))
  )


def test_float32_does_not_cancel_at_a_large_mean():
  images = np.random.default_rng(0).normal(1e4, 1.0, [64, 4, 4, 1])
  bijector = bijectors.ActivationNormalization(1)
  bijector.initialize(images.astype(np.float32))
  assert np.exp(bijector.weights['log_scale']) == pytest.approx(1.0, rel=0.1)


def test_constant_channel_is_floored():
  images = _images()
  images[..., 1] = 5.0
  bijector = bijectors.ActivationNormalization(3, dtype=tf.float64)
  bijector.initialize(images)
  np.testing.assert_allclose(tf.exp(bijector.weights['log_scale'])[1], 1e-3)
  latents, log_det = bijector.inverse_and_log_det(images)
  assert np.all(np.isfinite(latents)) and np.all(np.isfinite(log_det))


@pytest.mark.parametrize('method', ['forward', 'inverse'])
def test_refuses_to_run_before_initialize(method):
  images = tf.zeros([1, 2, 2, 3])
  bijector = bijectors.ActivationNormalization(3)
  with pytest.raises(ValueError, match='not initialized'):
    getattr(bijector, method)(images)
  with pytest.raises(ValueError, match='not initialized'):
    getattr(bijector, method + '_log_det_jacobian')(images)
  traced = tf.function(getattr(bijector, method))
  with pytest.raises(ValueError, match='not initialized'):
    traced(images)
  bijector.initialize(tf.random.stateless_normal([4, 2, 2, 3], [1, 2]))
  assert traced(images).shape == images.shape


def test_the_graph_holds_no_condition_and_no_assignment():
  bijector = bijectors.ActivationNormalization(3, dtype=tf.float64)
  bijector.initialize(_images())
  graph = (
    tf.function(bijector.inverse)
    .get_concrete_function(tf.TensorSpec([None, 4, 6, 3], tf.float64))
    .graph
  )
  types = {op.type for op in graph.get_operations()}
  assert not {t for t in types if 'If' in t or 'Assign' in t or 'Assert' in t}
  # Neither does it read the flag.
  assert sum(op.type == 'ReadVariableOp' for op in graph.get_operations()) == 2


@pytest.mark.parametrize('bad', [np.nan, np.inf])
def test_initialize_refuses_images_that_are_not_finite(bad):
  images = _images()
  images[0, 0, 0, 0] = bad
  bijector = bijectors.ActivationNormalization(3)
  with pytest.raises(ValueError, match='must be finite'):
    bijector.initialize(images)
  assert not bijectors.is_initialized(bijector)
  np.testing.assert_array_equal(bijector.weights['shift'], 0.0)


def test_initialize_refuses_an_empty_batch():
  with pytest.raises(ValueError, match='at least one'):
    bijectors.ActivationNormalization(3).initialize(tf.zeros([0, 4, 4, 3]))


@pytest.mark.parametrize('method', ['initialize', 'forward', 'inverse'])
def test_wrong_number_of_channels(method):
  bijector = bijectors.ActivationNormalization(3, dtype=tf.float64)
  bijector.initialize(_images())
  with pytest.raises(ValueError, match=r'must have 3 channels, got 4'):
    getattr(bijector, method)(tf.zeros([2, 4, 4, 4], tf.float64))
  with pytest.raises(ValueError, match=r'\[batch..., height, width'):
    getattr(bijector, method)(tf.zeros([4, 3], tf.float64))


def test_given_weights_belong_to_the_caller():
  weights = bijectors.ActivationNormalization.initial_weights(3)
  bijector = bijectors.ActivationNormalization(3, weights=weights)
  with pytest.raises(ValueError, match='weights were given'):
    bijector.initialize(_images())
  # They are taken to be right as they are.
  images = tf.random.stateless_normal([2, 4, 4, 3], [1, 2])
  np.testing.assert_array_equal(bijector.inverse(images), images)


def test_stacked_weights():
  weights = bijectors.ActivationNormalization.initial_weights(
    3, num_steps=5, dtype=tf.float64
  )
  assert {key: value.shape.as_list() for key, value in weights.items()} == {
    'shift': [5, 3],
    'log_scale': [5, 3],
  }
  assert weights['shift'].dtype == tf.float64


def test_data_dependent_weights_assign_nothing():
  bijector = bijectors.ActivationNormalization(3, dtype=tf.float64)
  weights = bijector.data_dependent_weights(_images())
  assert np.any(weights['shift'] != 0.0)
  np.testing.assert_array_equal(bijector.weights['shift'], 0.0)
  assert not bijectors.is_initialized(bijector)
