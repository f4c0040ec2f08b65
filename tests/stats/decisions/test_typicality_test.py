# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of TypicalityTest."""

import math

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats as scipy_stats

from tfp_ood import stats


def _gaussian_log_prob(x):
  """Of a standard Gaussian; the event is the last axis."""
  return -0.5 * np.sum(x**2 + math.log(2 * math.pi), axis=-1)


def _gaussian_test(batch_size, num_dims=100, num_held_out=20_000, **kwargs):
  random = np.random.default_rng(0)
  return stats.TypicalityTest(
    _gaussian_log_prob(random.normal(size=(5000, num_dims))),
    _gaussian_log_prob(random.normal(size=(num_held_out, num_dims))),
    batch_size=batch_size,
    **kwargs,
  )


# Entropy 2. Of two held-out examples, statistics of single ones are 1 and 3.
_TRAINING, _HELD_OUT = [-1.0, -3.0], [-3.0, 1.0]


def test_golden_values():
  test = stats.TypicalityTest(
    _TRAINING, _HELD_OUT, batch_size=1, significance=0.25, num_resamples=99
  )
  assert test.entropy == 2.0
  statistics = test.get_state()['bootstrap_statistics']
  assert set(statistics) == {1.0, 3.0}
  num_large = np.count_nonzero(statistics == 3.0)
  assert 30 < num_large < 70
  assert test.threshold == 3.0
  result = test([[-2.0], [-1.0], [0.0], [-5.0], [-5.5]])
  np.testing.assert_array_equal(result.statistic, [0, 1, 2, 3, 3.5])
  np.testing.assert_array_equal(
    result.p_value, np.array([100, 100, 1 + num_large, 1 + num_large, 1]) / 100
  )
  np.testing.assert_array_equal(result.reject, [False] * 4 + [True])
  assert float(result.threshold) == test.threshold


def test_statistic_is_the_distance_of_the_mean_from_the_entropy():
  test = stats.TypicalityTest(_TRAINING, _HELD_OUT, batch_size=2)
  result = test([[-2.0, -4.0], [0.0, 0.0], [-10.0, 6.0]])
  np.testing.assert_array_equal(result.statistic, [1.0, 2.0, 0.0])


def test_bootstrap_has_the_distribution_of_a_mean():
  # Of ten draws from two values: a binomial distribution.
  test = stats.TypicalityTest(
    _TRAINING, np.tile(_HELD_OUT, 5), batch_size=10, num_resamples=20_000
  )
  # The mean of -log_prob is 3 - 4 k / 10, k of the ten the second value.
  k = np.arange(11)
  probability = scipy_stats.binom.pmf(k, 10, 0.5)
  statistic = np.abs(3 - 0.4 * k - 2)
  for value in [0.1, 0.7, 1.1, 1.5]:
    expected = probability[statistic >= value].sum()
    # A log_prob of -(2 + value) throughout has the statistic `value`.
    p_value = float(test(np.full(10, -2.0 - value)).p_value)
    assert p_value == pytest.approx(expected, abs=0.015)


def test_entropy_of_a_gaussian():
  test = _gaussian_test(1)
  # Its standard error is sqrt(100 / 2 / 5000) = 0.1.
  assert test.entropy == pytest.approx(
    50 * math.log(2 * math.pi * math.e), abs=0.4
  )
  # -log_prob has the variance 50: 1.96 standard deviations are 13.9.
  assert test.threshold == pytest.approx(1.96 * math.sqrt(50), rel=0.03)


def test_the_most_probable_point_is_not_typical():
  random = np.random.default_rng(1)
  test = _gaussian_test(1)
  mode = _gaussian_log_prob(np.zeros([1, 100]))
  samples = _gaussian_log_prob(random.normal(size=(1000, 1, 100)))
  assert mode > samples.max()
  result = test(mode)
  assert result.reject and float(result.p_value) == 1 / 10_001
  # On the shell of radius sqrt(100) a point is typical, wherever it lies.
  shell = np.zeros([1, 100])
  shell[0, 7] = 10.0
  result = test(_gaussian_log_prob(shell))
  assert not result.reject and float(result.p_value) > 0.8
  # The far side is rejected as well.
  assert test(_gaussian_log_prob(1.5 * shell)).reject


@pytest.mark.parametrize('batch_size', [1, 2, 25])
def test_false_alarms_are_as_rare_as_promised(batch_size):
  random = np.random.default_rng(2)
  # In ten dimensions, one example's -log_prob is still skewed.
  test = _gaussian_test(batch_size, 10, num_held_out=50_000)
  num_batches = 2000
  fresh = _gaussian_log_prob(random.normal(size=(num_batches, batch_size, 10)))
  result = test(fresh)
  alarms = np.count_nonzero(result.reject)
  assert scipy_stats.binomtest(alarms, num_batches, 0.05).pvalue > 1e-3
  assert scipy_stats.kstest(result.p_value, 'uniform').pvalue > 1e-3
  # Slightly wider images: the test has power, and the check above can fail.
  other = test(
    _gaussian_log_prob(1.1 * random.normal(size=(2000, 25, 10))[:, :batch_size])
  )
  assert scipy_stats.kstest(other.p_value, 'uniform').pvalue < 1e-6
  assert np.mean(other.reject) > 0.07


@pytest.mark.parametrize('batch_size', [5, 20, 80])
def test_power_grows_with_the_batch_as_the_normal_distribution_has_it(
  batch_size,
):
  random = np.random.default_rng(3)
  test = _gaussian_test(batch_size, 20)
  wider = 1.1 * random.normal(size=(1000, batch_size, 20))
  power = np.mean(test(_gaussian_log_prob(wider)).reject)
  # The mean of |x|^2 / 2 moves by 20 / 2 * 0.21; its variance is 20 / 2 / M,
  # for the wider ones times 1.1^4.
  spread = math.sqrt(10 / batch_size)
  excess = (2.1 - 1.96 * spread) / (1.21 * spread)
  assert power == pytest.approx(scipy_stats.norm.cdf(excess), abs=0.05)


def test_overfitting_widens_the_threshold_on_both_sides():
  random = np.random.default_rng(4)
  training, held_out, fresh = random.normal(size=(3, 20_000))
  gap = 3.0  # Held-out and fresh log-probabilities are lower by this.
  test = stats.TypicalityTest(training, held_out - gap, batch_size=10)
  batches = fresh.reshape([-1, 10])
  assert np.mean(test(batches - gap).reject) == pytest.approx(0.05, abs=0.02)
  # Data as probable as the training set, or more so by less than the gap,
  # passes.
  assert not np.any(test(batches).reject)
  assert np.mean(test(batches + 2.0).reject) < 0.05


def test_reject_is_p_value_at_most_significance():
  # Few resamples of whole numbers: ties everywhere.
  random = np.random.default_rng(5)
  log_prob = random.integers(-9, 0, 50).astype(np.float64)
  batches = random.integers(-15, 6, size=(500, 2)).astype(np.float64)
  for significance in [0.01, 0.05, 0.1, 1 / 3, 0.5]:
    for num_resamples in [99, 100, 118, 119, 120]:
      test = stats.TypicalityTest(
        log_prob, log_prob, 2, significance, num_resamples
      )
      result = test(batches)
      reject = result.reject.numpy()
      np.testing.assert_array_equal(reject, result.p_value <= significance)
      np.testing.assert_array_equal(reject, result.statistic > result.threshold)
      assert 0 < reject.mean() < 1


def test_infinite_log_prob_is_not_typical():
  test = stats.TypicalityTest(_TRAINING, _HELD_OUT, batch_size=2)
  infinity = math.inf
  result = test([[0.0, -infinity], [infinity, 0.0], [infinity, -infinity]])
  np.testing.assert_array_equal(result.statistic, [infinity] * 3)
  np.testing.assert_array_equal(result.p_value, [1 / 10_001] * 3)
  assert np.all(result.reject)


def test_constant_log_prob_is_typical_of_itself():
  # The mean of 7 or of 1000 equal numbers may round; the statistic may not.
  constant = np.full(1000, -7123.4567)
  test = stats.TypicalityTest(constant, constant, batch_size=7)
  result = test(constant[:7])
  assert float(result.p_value) == 1.0 and not result.reject
  assert test(constant[:7] + 1e-6).reject


@pytest.mark.parametrize('dtype', [tf.float16, tf.bfloat16, tf.float32])
def test_computes_in_double_precision(dtype):
  # The sum of a thousand log-probabilities is beyond float16.
  random = np.random.default_rng(6)
  log_prob = tf.cast(random.normal(-5000.0, 100.0, [3, 2000]), dtype)
  double = tf.cast(log_prob, tf.float64)
  test = stats.TypicalityTest(*log_prob[:2], batch_size=1000, num_resamples=99)
  expected = stats.TypicalityTest(
    *double[:2], batch_size=1000, num_resamples=99
  )
  assert test.entropy == expected.entropy
  assert test.threshold == expected.threshold
  batches = tf.reshape(log_prob[2], [2, 1000])
  result = test(batches)
  assert result.statistic.dtype == result.p_value.dtype == tf.float64
  np.testing.assert_allclose(
    result.statistic,
    np.abs(-np.mean(double[2].numpy().reshape(2, 1000), 1) - test.entropy),
    rtol=1e-9,
  )


def test_in_a_graph_of_unknown_sizes():
  test = stats.TypicalityTest(_TRAINING, np.tile(_HELD_OUT, 2), batch_size=3)
  in_graph = tf.function(
    test, input_signature=[tf.TensorSpec([None, None], tf.float32)]
  )
  for size in (0, 1, 4):
    log_prob = np.random.default_rng(7).normal(size=[size, 3])
    log_prob = log_prob.astype(np.float32)
    for actual, expected in zip(
      in_graph(log_prob), test(log_prob), strict=True
    ):
      assert actual.shape == expected.shape
      np.testing.assert_array_equal(actual, expected)
  with pytest.raises(tf.errors.InvalidArgumentError, match='The last axis of'):
    in_graph(tf.zeros([2, 4]))


def test_nan_in_a_graph_stays_nan_and_is_rejected():
  test = stats.TypicalityTest(_TRAINING, _HELD_OUT, batch_size=2)
  in_graph = tf.function(test, input_signature=[tf.TensorSpec([None, 2])])
  result = in_graph([[math.nan, -math.inf], [-9.0, -9.0]])
  np.testing.assert_array_equal(result.statistic, [math.nan, 7.0])
  np.testing.assert_array_equal(result.p_value, [math.nan, 1 / 10_001])
  np.testing.assert_array_equal(result.reject, [True, True])


def test_state_restores_the_test(tmp_path):
  test = _gaussian_test(4, 10, num_held_out=500, significance=0.1)
  path = tmp_path / 'typicality_test.npz'
  np.savez(path, **test.get_state())
  with np.load(path) as state:
    restored = stats.TypicalityTest.from_state(state)
  for name in ['entropy', 'threshold', 'batch_size', 'significance']:
    assert getattr(restored, name) == getattr(test, name)
  log_prob = np.random.default_rng(8).normal(-14.0, 2.0, [50, 4])
  for actual, expected in zip(restored(log_prob), test(log_prob), strict=True):
    np.testing.assert_array_equal(actual, expected)


def test_in_a_saved_model(tmp_path):
  test = stats.TypicalityTest(_TRAINING, _HELD_OUT, batch_size=2)
  module = tf.Module()
  module.test = tf.function(test, input_signature=[tf.TensorSpec([None, 2])])
  tf.saved_model.save(module, str(tmp_path))
  log_prob = tf.constant([[-9.0, -9.0], [-2.0, -2.5]])
  result = tf.saved_model.load(str(tmp_path)).test(log_prob)
  np.testing.assert_array_equal(result.p_value, test(log_prob).p_value)
  np.testing.assert_array_equal(result.reject, [True, False])


def test_same_seed_same_test(monkeypatch):
  first, again, other = (
    _gaussian_test(3, 10, num_held_out=500, seed=seed) for seed in (1, 1, 2)
  )
  assert first.threshold == again.threshold != other.threshold
  # Large batches are resampled in rounds, not one like the other.
  monkeypatch.setattr(
    'tfp_ood.stats.decisions.typicality_test._MAX_DRAWS', 3 * 4000 + 1
  )
  rounds = _gaussian_test(3, 10, num_held_out=500, seed=1)
  statistics = rounds.get_state()['bootstrap_statistics']
  assert statistics.shape == (10_000,)
  assert rounds.threshold == pytest.approx(first.threshold, rel=0.05)
  assert np.unique(statistics).size > 9990


@pytest.mark.parametrize(
  'log_prob, message',
  [
    ([0.0, math.nan], 'holds 1 NaN among 2 values'),
    ([-math.inf, 0.0], 'holds 1 infinite values among 2'),
    ([[0.0, 0.0]], r'must have rank 1.*got shape \(1, 2\)'),
    (0.0, r'must have rank 1.*got shape \(\)'),
    ([], 'must hold at least'),
  ],
)
def test_refuses_unusable_log_prob(log_prob, message):
  with pytest.raises(ValueError, match='`training_log_prob` ' + message):
    stats.TypicalityTest(log_prob, _HELD_OUT, 2)
  with pytest.raises(ValueError, match='`held_out_log_prob` ' + message):
    stats.TypicalityTest(_TRAINING, log_prob, 2)


def test_refuses_other_arguments_out_of_range():
  with pytest.raises(
    ValueError, match='`held_out_log_prob` must hold at least'
  ):
    stats.TypicalityTest(_TRAINING, _HELD_OUT, 3)
  with pytest.raises(TypeError, match='`training_log_prob` must be floating'):
    stats.TypicalityTest(np.array([1, 2]), _HELD_OUT, 2)
  with pytest.raises(TypeError, match='`batch_size` must be an integer'):
    stats.TypicalityTest(_TRAINING, _HELD_OUT, 2.0)
  with pytest.raises(ValueError, match='`batch_size` must be positive, got 0'):
    stats.TypicalityTest(_TRAINING, _HELD_OUT, 0)
  for significance in [0.0, 1.0, math.nan]:
    with pytest.raises(ValueError, match='`significance` must lie strictly'):
      stats.TypicalityTest(_TRAINING, _HELD_OUT, 2, significance)
  stats.TypicalityTest(_TRAINING, _HELD_OUT, 2, 0.05, num_resamples=19)
  with pytest.raises(ValueError, match='at least 1 / significance - 1 = 19'):
    stats.TypicalityTest(_TRAINING, _HELD_OUT, 2, 0.05, num_resamples=18)


def test_refuses_batches_of_another_size_and_nan():
  test = stats.TypicalityTest(_TRAINING, _HELD_OUT, batch_size=2)
  for log_prob in [0.0, [0.0], [[0.0, 0.0, 0.0]]]:
    with pytest.raises(ValueError, match=r'must have shape \[\.\.\., 2\]'):
      test(log_prob)
  with pytest.raises(ValueError, match='`log_prob` holds 1 NaN among 2'):
    test([0.0, math.nan])
  with pytest.raises(TypeError, match='`log_prob` must be floating point'):
    test(np.array([1, 2]))
