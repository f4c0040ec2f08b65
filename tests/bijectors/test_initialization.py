# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of `initialize` on flows that users compose."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tfp_ood import bijectors, networks

tfb = tfp.bijectors


def _images(seed=0):
  return np.random.default_rng(seed).normal(4.0, 3.0, [16, 4, 6, 1])


def _normalization(channels):
  return bijectors.ActivationNormalization(channels, dtype=tf.float64)


def _coupling():
  network = networks.CouplingNetwork(2, 4, 4, seed=1, dtype=tf.float64)
  for variable in network.trainable_variables:
    variable.assign_add(0.1 * tf.ones_like(variable))
  return bijectors.AffineCoupling(network)


def _additive(function):
  return bijectors.AdditiveCoupling(networks.FunctionNetwork(function, []))


def _assert_standardized(values):
  np.testing.assert_allclose(np.mean(values, axis=(0, 1, 2)), 0.0, atol=1e-10)
  np.testing.assert_allclose(np.std(values, axis=(0, 1, 2)), 1.0, atol=1e-10)


def test_chain_with_bijectors_of_tfp():
  first, second = _normalization(4), _normalization(4)
  flow = tfb.Chain(
    [
      tfb.Shift(np.float64(1.0)),
      bijectors.Squeeze(),
      first,
      _coupling(),
      tfb.Chain([tfb.Scale(np.float64(7.0)), second]),
      bijectors.InvertibleConv1x1(4, seed=2, dtype=tf.float64),
    ]
  )
  assert not bijectors.is_initialized(flow)
  latents = bijectors.initialize(flow, _images())
  assert bijectors.is_initialized(flow)
  np.testing.assert_allclose(latents, flow.inverse(_images()), atol=1e-12)
  squeezed = bijectors.Squeeze().inverse(_images() - 1.0)
  _assert_standardized(first.inverse(squeezed))
  # The second sees what the first, initialized, and the coupling made.
  between = flow.bijectors[3].inverse(first.inverse(squeezed)) / 7.0
  _assert_standardized(second.inverse(between))


def test_inverted_parts_are_not_overlooked():
  flow = tfb.Chain([bijectors.Squeeze(), tfb.Invert(_normalization(4))])
  with pytest.raises(ValueError, match='not initialized'):
    bijectors.initialize(flow, _images())


def test_factor_out():
  inner, outer = _normalization(2), _normalization(4)
  prior = _additive(lambda x: 3.0 * x)
  rest = tfb.Chain(
    [inner, tfb.Reshape(event_shape_in=[12], event_shape_out=[2, 3, 2])]
  )
  flow = tfb.Chain(
    [
      bijectors.Squeeze(),
      outer,
      bijectors.FactorOut(rest, [2, 3, 4], prior),
    ]
  )
  latents = bijectors.initialize(flow, _images())
  np.testing.assert_allclose(latents, flow.inverse(_images()), atol=1e-12)
  _assert_standardized(tf.reshape(latents[:, :12], [16, 2, 3, 2]))


def _scan(weights, change=lambda weights: weights):
  return bijectors.Scan(
    lambda weights: tfb.Chain(
      [
        tfb.Shift(np.float64(0.5)),
        bijectors.ActivationNormalization(4, weights=change(weights)),
        _additive(tf.square),
      ]
    ),
    weights,
  )


def _stack(as_variable=tf.Variable):
  weights = bijectors.ActivationNormalization.initial_weights(
    4, num_steps=3, dtype=tf.float64
  )
  return {key: as_variable(value) for key, value in weights.items()}


def test_scan_equals_the_chain_of_its_steps():
  scan = _scan(_stack())
  normalizations = [_normalization(4) for _ in range(3)]
  parts = []
  for normalization in normalizations:
    parts += [tfb.Shift(np.float64(0.5)), normalization]
    parts += [_additive(tf.square)]
  images = bijectors.Squeeze().inverse(_images())
  latents = bijectors.initialize(scan, images)
  np.testing.assert_allclose(
    latents, bijectors.initialize(tfb.Chain(parts), images), rtol=1e-9
  )
  np.testing.assert_allclose(latents, scan.inverse(images), rtol=1e-9)
  for key, stacked in scan.stacked_parameters.items():
    for index, normalization in enumerate(normalizations):
      np.testing.assert_allclose(
        stacked[index], normalization.weights[key], rtol=1e-9
      )


def test_scan_leaves_other_variables_alone():
  weights = _stack() | {'unused': tf.Variable(tf.ones([3, 2], tf.float64))}
  scan = _scan(weights)
  bijectors.initialize(scan, bijectors.Squeeze().inverse(_images()))
  np.testing.assert_array_equal(weights['unused'], 1.0)


def test_scan_that_changes_its_weights_is_refused():
  scan = _scan(
    _stack(),
    change=lambda weights: {
      'shift': weights['shift'] + 1.0,
      'log_scale': weights['log_scale'],
    },
  )
  with pytest.raises(ValueError, match='must be a slice of `parameters`'):
    bijectors.initialize(scan, bijectors.Squeeze().inverse(_images()))


def test_scan_of_tensors_is_refused():
  scan = _scan(_stack(as_variable=tf.identity))
  with pytest.raises(ValueError, match='must be `tf.Variable`s'):
    bijectors.initialize(scan, bijectors.Squeeze().inverse(_images()))


def test_scan_of_chains_in_chains():
  scan = bijectors.Scan(
    lambda weights: tfb.Chain(
      [
        tfb.Chain([bijectors.ActivationNormalization(4, weights=weights)]),
        tfb.Invert(tfb.Scale(np.float64(2.0))),
      ]
    ),
    _stack(),
  )
  images = bijectors.Squeeze().inverse(_images())
  latents = bijectors.initialize(scan, images)
  _assert_standardized(latents / 2.0)
  np.testing.assert_allclose(latents, scan.inverse(images), rtol=1e-9)


def test_scan_of_scans():
  weights = {
    key: tf.Variable(tf.stack([value, value]))
    for key, value in _stack(as_variable=tf.identity).items()
  }
  scan = bijectors.Scan(_scan, weights)
  images = bijectors.Squeeze().inverse(_images())
  latents = bijectors.initialize(scan, images)
  np.testing.assert_allclose(latents, scan.inverse(images), rtol=1e-9)
  flat = {key: tf.reshape(value, [6, 4]) for key, value in weights.items()}
  assert not np.any(np.all(flat['shift'] == 0.0, axis=-1))
  np.testing.assert_allclose(_scan(flat).inverse(images), latents, rtol=1e-9)


class _Center(bijectors.Bijector):
  """A user's own bijector, whose mean starts from data."""

  def __init__(self, mean=None):
    self._is_initialized = None
    if mean is None:
      mean = tf.Variable(0.0, dtype=tf.float64)
      self._is_initialized = tf.Variable(False, trainable=False)
    self.mean = mean
    super().__init__(forward_min_event_ndims=3, name='center')

  @property
  def initialized(self):
    return self._is_initialized

  def _inverse_and_initial_values(self, images):
    mean = tf.reduce_mean(images)
    values = [(self.mean, mean)]
    if self.initialized is not None:
      values.append((self.initialized, True))
    return images - mean, values

  def _forward_and_log_det(self, x):
    return x + self.mean, tf.zeros([], x.dtype)

  def _inverse_and_log_det(self, y):
    return y - self.mean, tf.zeros([], y.dtype)


def test_bijectors_of_users_take_part():
  first, second = _Center(), _Center()
  flow = tfb.Chain(
    [first, bijectors.Squeeze(), tfb.Shift(np.float64(1.5)), second]
  )
  assert not bijectors.is_initialized(flow)
  latents = bijectors.initialize(flow, _images())
  assert bijectors.is_initialized(flow)
  np.testing.assert_allclose(first.mean, np.mean(_images()))
  np.testing.assert_allclose(second.mean, -1.5)
  np.testing.assert_allclose(latents, flow.inverse(_images()), atol=1e-12)


def test_bijectors_of_users_take_part_in_a_scan():
  means = tf.Variable(tf.zeros([2], tf.float64))
  scan = bijectors.Scan(
    lambda mean: tfb.Chain([_Center(mean), tfb.Shift(np.float64(1.5))]), means
  )
  bijectors.initialize(scan, _images())
  np.testing.assert_allclose(means, [np.mean(_images()), -1.5])


def test_weights_given_as_variables_are_set():
  weights = {key: tf.Variable(value[0]) for key, value in _stack().items()}
  flow = tfb.Chain(
    [
      bijectors.Squeeze(),
      bijectors.ActivationNormalization(4, weights=weights),
    ]
  )
  _assert_standardized(bijectors.initialize(flow, _images()))
  assert np.all(weights['shift'] != 0.0)


@pytest.mark.parametrize('shape', [[4, 8, 1], [8, 6, 1], [4, 6, 2]])
def test_glow_refuses_images_of_another_shape(shape):
  glow = bijectors.Glow([4, 6, 1], num_levels=1, num_steps=1, hidden_channels=4)
  with pytest.raises(ValueError, match='Glow.*shape'):
    bijectors.initialize(glow, np.ones([3, *shape], np.float32))


def test_an_error_leaves_the_flow_as_it_was():
  first = _normalization(1)
  flow = tfb.Chain([first, tfb.Scale(np.float64(0.0)), _normalization(1)])
  with pytest.raises(ValueError, match='must be finite'):
    bijectors.initialize(flow, _images())
  np.testing.assert_array_equal(first.weights['shift'], 0.0)
  assert not bijectors.is_initialized(first)


def test_networks_may_have_an_attribute_of_that_name():
  network = networks.ZeroConvolution(2, 2, dtype=tf.float64)
  network.initialized = False  # Nothing of the flow.
  assert bijectors.is_initialized(bijectors.AdditiveCoupling(network))


def test_refuses_to_run_in_a_graph():
  flow = _normalization(1)
  with pytest.raises(ValueError, match='must run eagerly'):
    tf.function(lambda x: bijectors.initialize(flow, x))(_images())
  assert not bijectors.is_initialized(flow)


@pytest.mark.parametrize('bad', [np.nan, np.inf])
def test_refuses_images_that_are_not_finite(bad):
  images = _images()
  images[0, 0, 0, 0] = bad
  glow = bijectors.Glow([4, 6, 1], num_levels=1, num_steps=1, hidden_channels=4)
  with pytest.raises(ValueError, match='must be finite'):
    bijectors.initialize(glow, images.astype(np.float32))
  assert not bijectors.is_initialized(glow)


def test_flow_without_parts_that_see_data():
  assert bijectors.is_initialized(tfb.Scale(2.0))
  assert bijectors.is_initialized(bijectors.Squeeze())
  latents = bijectors.initialize(bijectors.Squeeze(), _images())
  assert latents.shape == [16, 2, 3, 4]


def test_one_part_that_has_not_seen_data_is_enough():
  first, second = _normalization(1), _normalization(1)
  flow = tfb.Chain([first, tfb.Scale(np.float64(2.0)), second])
  first.initialize(_images())
  assert not bijectors.is_initialized(flow)
  second.initialize(_images())
  assert bijectors.is_initialized(flow)


def test_numpy_images_take_the_dtype_of_the_flow():
  normalization = bijectors.ActivationNormalization(4)
  flow = tfb.Chain([bijectors.Squeeze(), normalization])
  latents = bijectors.initialize(flow, _images().astype(np.float64))
  assert latents.dtype == tf.float32
