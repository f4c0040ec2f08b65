# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of `InvertibleConv1x1`."""

import numpy as np
import pytest
import scipy.stats
import tensorflow as tf

from tfp_ood import bijectors

InvertibleConv1x1 = bijectors.InvertibleConv1x1


def _rotations(num_channels, count, seed=0):
  weights = InvertibleConv1x1.initial_weights(
    num_channels,
    seed=seed,
    parameterization='dense',
    num_steps=count,
    dtype=tf.float64,
  )
  return weights['matrix']


@pytest.mark.parametrize('num_channels', [1, 2, 5, 12])
def test_starts_at_rotations(num_channels):
  rotations = _rotations(num_channels, 64)
  identity = np.broadcast_to(np.eye(num_channels), rotations.shape)
  np.testing.assert_allclose(
    rotations @ rotations.transpose(0, 2, 1), identity, atol=1e-12
  )
  np.testing.assert_allclose(np.linalg.det(rotations), 1.0, atol=1e-12)


def test_rotations_are_haar_distributed():
  """A column of a Haar rotation is uniform on the sphere.

  Then the square of an entry has a Beta(1/2, (n - 1) / 2) distribution, and its
  sign is fair. All entries are tested (n**2 tests at 1e-6 / 16 each): the false
  failure rate, were the seed not fixed, is 1e-6.
  """
  n, count = 4, 4000
  rotations = _rotations(n, count)
  beta = scipy.stats.beta(0.5, (n - 1) / 2)
  for i in range(n):
    for j in range(n):
      entries = rotations[:, i, j]
      assert scipy.stats.kstest(entries**2, beta.cdf).pvalue > 3e-8
      positive = int(np.sum(entries > 0))
      assert scipy.stats.binomtest(positive, count).pvalue > 3e-8


def test_traces_of_rotations_have_the_moments_of_haar():
  """For rotations of n >= 3, E[trace] = 0 and E[trace**2] = 1 exactly."""
  n, count = 4, 4000
  traces = np.trace(_rotations(n, count), axis1=1, axis2=2)
  # Six standard errors; the trace is between -4 and 4 with variance 1.
  assert abs(np.mean(traces)) < 6.0 / np.sqrt(count)
  standard_error = np.std(traces**2) / np.sqrt(count)
  assert abs(np.mean(traces**2) - 1.0) < 6.0 * standard_error
  # Without fixing the signs of QR, E[trace] is about -2.


@pytest.mark.parametrize('num_channels', [1, 2, 5, 12])
def test_lu_rebuilds_the_rotation(num_channels):
  dense = InvertibleConv1x1(
    num_channels, seed=3, parameterization='dense', dtype=tf.float64
  )
  lu = InvertibleConv1x1(num_channels, seed=3, dtype=tf.float64)
  np.testing.assert_allclose(
    lu.inverse_matrix(), dense.inverse_matrix(), atol=1e-12
  )
  np.testing.assert_allclose(
    lu.forward_matrix(), tf.transpose(dense.inverse_matrix()), atol=1e-12
  )


def _perturbed_lu(num_channels=5):
  lu = InvertibleConv1x1(num_channels, seed=3, dtype=tf.float64)
  for index, variable in enumerate(lu.trainable_variables):
    variable.assign_add(
      0.3
      * tf.random.stateless_normal(variable.shape, [index, 1], dtype=tf.float64)
    )
  return lu


@pytest.mark.parametrize('direction', ['forward', 'inverse'])
def test_lu_and_dense_agree_away_from_the_start(direction):
  lu = _perturbed_lu()
  dense = InvertibleConv1x1(
    5, parameterization='dense', weights={'matrix': lu.inverse_matrix()}
  )
  images = tf.random.stateless_normal([2, 3, 4, 5], [1, 2], dtype=tf.float64)
  method = f'{direction}_and_log_det'
  for got, want in zip(
    getattr(lu, method)(images), getattr(dense, method)(images), strict=True
  ):
    np.testing.assert_allclose(got, want, rtol=1e-9, atol=1e-9)


def test_inverse_multiplies_each_pixel():
  lu = _perturbed_lu()
  images = np.random.default_rng(0).normal(size=[2, 3, 4, 5])
  matrix = lu.inverse_matrix().numpy()
  np.testing.assert_allclose(
    lu.inverse(images), np.einsum('nhwc,cd->nhwd', images, matrix), rtol=1e-10
  )


def test_log_det_is_the_sum_of_the_log_diagonal_over_pixels():
  lu = _perturbed_lu()
  images = tf.zeros([2, 3, 4, 5], tf.float64)
  _, log_det = lu.inverse_and_log_det(images)
  expected = 3 * 4 * np.sum(lu.weights['log_diagonal'])
  assert abs(expected) > 1.0
  np.testing.assert_allclose(log_det, [expected] * 2, rtol=1e-12)
  np.testing.assert_allclose(
    np.linalg.slogdet(lu.inverse_matrix()).logabsdet * 12, expected
  )


def test_inverse_solves_no_system():
  lu = _perturbed_lu()
  images = tf.TensorSpec([None, 3, 4, 5], tf.float64)

  def types(method):
    graph = tf.function(method).get_concrete_function(images).graph
    return {op.type for op in graph.get_operations()}

  solves = {'MatrixTriangularSolve', 'MatrixInverse', 'LogMatrixDeterminant'}
  assert not types(lu.inverse_and_log_det) & solves
  assert types(lu.forward_and_log_det) & solves


def test_only_the_triangles_matter():
  lu = _perturbed_lu()
  before = lu.inverse_matrix().numpy()
  lower, upper = lu.weights['lower'], lu.weights['upper']
  lower.assign_add(tf.linalg.band_part(tf.ones([5, 5], tf.float64), 0, -1))
  upper.assign_add(tf.linalg.band_part(tf.ones([5, 5], tf.float64), -1, 0))
  np.testing.assert_allclose(lu.inverse_matrix(), before, rtol=1e-14)


def test_log_det_of_a_huge_diagonal_does_not_overflow():
  weights = InvertibleConv1x1.initial_weights(3, seed=1)
  weights['log_diagonal'] = weights['log_diagonal'] * 0 + 200.0
  bijector = InvertibleConv1x1(3, weights=weights)
  log_det = bijector.inverse_log_det_jacobian(tf.zeros([1, 1, 3]))
  assert float(log_det) == 600.0


def test_seeds():
  def matrix(seed):
    return InvertibleConv1x1(4, seed=seed).inverse_matrix().numpy()

  np.testing.assert_array_equal(matrix(1), matrix(1))
  assert not np.allclose(matrix(1), matrix(2))
  stacked = _rotations(4, 2, seed=1)
  assert not np.allclose(stacked[0], stacked[1])
  # The same draw in every precision.
  double = InvertibleConv1x1(4, seed=1, dtype=tf.float64).inverse_matrix()
  np.testing.assert_allclose(matrix(1), double, atol=1e-6)


def test_stacked_weights():
  weights = InvertibleConv1x1.initial_weights(4, seed=1, num_steps=3)
  assert {key: value.shape for key, value in weights.items()} == {
    'lower': (3, 4, 4),
    'upper': (3, 4, 4),
    'log_diagonal': (3, 4),
    'sign': (3, 4),
    'permutation': (3, 4),
  }
  assert weights['permutation'].dtype == np.int32
  assert weights['lower'].dtype == np.float32


def test_sign_and_permutation_are_not_trained():
  bijector = InvertibleConv1x1(4, seed=1)
  names = {v.name.split('/')[-1].split(':')[0] for v in bijector.variables}
  trained = {
    v.name.split('/')[-1].split(':')[0] for v in bijector.trainable_variables
  }
  assert names - trained == {'sign', 'permutation'}
  assert trained == {'lower', 'upper', 'log_diagonal'}


def test_unknown_parameterization():
  with pytest.raises(ValueError, match="must be 'lu' or 'dense', got 'qr'"):
    InvertibleConv1x1(3, parameterization='qr')


def test_wrong_number_of_channels():
  with pytest.raises(ValueError, match='must have 3 channels, got 4'):
    InvertibleConv1x1(3).inverse(tf.zeros([2, 2, 4]))


@pytest.mark.parametrize('parameterization', ['lu', 'dense'])
def test_prepared_weights_are_of_the_same_bijector(parameterization):
  stack = InvertibleConv1x1.initial_weights(
    4, 1, parameterization, num_steps=3, dtype=tf.float64
  )
  prepared = InvertibleConv1x1.prepare(stack)
  images = tf.random.stateless_normal([2, 3, 4], [1, 2], dtype=tf.float64)

  def run(weights):
    bijector = InvertibleConv1x1(
      4,
      parameterization=parameterization,
      weights={key: value[2] for key, value in weights.items()},
    )
    return (
      *bijector.forward_and_log_det(images),
      *bijector.inverse_and_log_det(images),
    )

  for one, other in zip(run(prepared), run(stack), strict=True):
    np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)
