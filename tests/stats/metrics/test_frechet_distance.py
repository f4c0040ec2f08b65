# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of frechet_distance."""

import numpy as np
import pytest
from scipy import linalg

from tfp_ood import stats


def _with_moments(mean, covariance, count=50, seed=0):
  """Features whose sample mean and covariance are exactly the given ones."""
  values = np.random.default_rng(seed).normal(size=[count, len(mean)])
  values -= values.mean(axis=0)
  root, _ = np.linalg.qr(values)
  values = root * np.sqrt(count - 1)
  return mean + values @ np.linalg.cholesky(covariance).T


def _covariance(size, seed):
  mixing = np.random.default_rng(seed).normal(size=[size, size])
  return mixing @ mixing.T + 0.1 * np.eye(size)


@pytest.mark.parametrize(
  'mean_a, deviation_a, mean_b, deviation_b',
  [(0.0, 1.0, 3.0, 1.0), (2.0, 0.5, 2.0, 4.0), (-1.0, 3.0, 5.0, 0.1)],
)
def test_of_normals_in_one_dimension(mean_a, deviation_a, mean_b, deviation_b):
  distance = stats.frechet_distance(
    _with_moments([mean_a], [[deviation_a**2]], 20),
    _with_moments([mean_b], [[deviation_b**2]], 30, seed=1),
  )
  expected = (mean_a - mean_b) ** 2 + (deviation_a - deviation_b) ** 2
  assert isinstance(distance, float)
  assert distance == pytest.approx(expected, rel=1e-12)


def test_of_shifted_features_is_the_squared_shift():
  features = np.random.default_rng(0).normal(size=[40, 5])
  shift = np.array([1.0, -2.0, 0.0, 3.0, 0.5])
  distance = stats.frechet_distance(features, features + shift)
  assert distance == pytest.approx(np.sum(shift**2), rel=1e-12)


def test_of_equal_features_is_zero_and_never_below():
  for seed in range(20):
    features = np.random.default_rng(seed).normal(size=[40, 5])
    assert 0 <= stats.frechet_distance(features, features[::-1]) < 1e-12


def test_of_commuting_covariances():
  rotation, _ = np.linalg.qr(np.random.default_rng(0).normal(size=[4, 4]))
  values_a, values_b = np.array([[1.0, 2.0, 3.0, 9.0], [4.0, 0.1, 3.0, 5.0]])
  mean_a, mean_b = np.zeros(4), np.arange(4.0)
  distance = stats.frechet_distance(
    _with_moments(mean_a, rotation * values_a @ rotation.T),
    _with_moments(mean_b, rotation * values_b @ rotation.T, 70, seed=1),
  )
  roots = np.sqrt(values_a) - np.sqrt(values_b)
  assert distance == pytest.approx(14.0 + np.sum(roots**2), rel=1e-10)


def test_of_any_covariances_is_by_the_root_of_their_product():
  first, second = _covariance(6, 1), _covariance(6, 2)
  mean = np.linspace(-1, 1, 6)
  a = _with_moments(mean, first)
  b = _with_moments(2 * mean, second, 90, seed=1)
  root = linalg.sqrtm(first @ second).real
  expected = np.sum(mean**2) + np.trace(first + second - 2 * root)
  assert stats.frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)
  assert stats.frechet_distance(b, a) == pytest.approx(expected, rel=1e-9)
  # Neither changes under a rotation of all features.
  rotation, _ = np.linalg.qr(np.random.default_rng(3).normal(size=[6, 6]))
  rotated = stats.frechet_distance(a @ rotation, b @ rotation)
  assert rotated == pytest.approx(expected, rel=1e-9)


def test_features_that_are_always_zero_do_no_harm():
  # As of a rectifier that no image activates: the covariances are singular.
  a = np.random.default_rng(0).normal(size=[40, 4])
  b = np.random.default_rng(1).normal(1.0, 2.0, size=[50, 4])
  expected = stats.frechet_distance(a, b)
  with_zeros = stats.frechet_distance(
    np.pad(a, [[0, 0], [0, 3]]), np.pad(b, [[0, 0], [0, 3]])
  )
  assert with_zeros == pytest.approx(expected, rel=1e-12)


def test_is_computed_in_double_precision():
  single = np.random.default_rng(0).normal(1e3, 1, [60, 3]).astype(np.float32)
  other = single + np.float32(0.25)
  expected = stats.frechet_distance(
    single.astype(np.float64), other.astype(np.float64)
  )
  assert stats.frechet_distance(single, other) == expected
  assert expected == pytest.approx(3 * 0.25**2, rel=1e-3)


def test_refuses():
  features = np.random.default_rng(0).normal(size=[40, 5])
  with pytest.raises(ValueError, match=r'`features_a` must have the shape \['):
    stats.frechet_distance(features[0], features)
  with pytest.raises(
    ValueError, match='`features_b` needs at least 2 ex.*got 1'
  ):
    stats.frechet_distance(features, features[:1])
  with pytest.raises(
    ValueError, match='`features_a` has 5 examples of 5 features.*least 6'
  ):
    stats.frechet_distance(features[:5], features)
  assert stats.frechet_distance(features[:6], features) > 0
  with pytest.raises(ValueError, match='vectors of the same size.*5 and 4'):
    stats.frechet_distance(features, features[:, :4])
  for value in (np.nan, np.inf):
    broken = features.copy()
    broken[3, 1] = value
    with pytest.raises(
      ValueError, match='`features_b` must be finite; 1 of 40'
    ):
      stats.frechet_distance(features, broken)
