# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of conformal p-values and thresholds."""

import fractions
import math

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats as scipy_stats

from tfp_ood import stats


def _brute_force_p_values(calibration_scores, scores):
  at_least = np.asarray(calibration_scores) >= np.asarray(scores)[..., None]
  return (1 + at_least.sum(axis=-1)) / (len(calibration_scores) + 1)


def test_golden_p_values_with_ties():
  # 1 2 2 5: at least 0, 1, 2, 3, 5, 6 are 4, 4, 3, 1, 1, 0 of them.
  p_values = stats.conformal_p_values(
    [5.0, 2.0, 1.0, 2.0], [0.0, 1.0, 2.0, 3.0, 5.0, 6.0]
  )
  assert p_values.dtype == tf.float64
  np.testing.assert_array_equal(
    p_values, np.array([5, 5, 4, 2, 2, 1]) / np.float64(5)
  )


@pytest.mark.parametrize('rate, k', [(0.05, 19), (0.5, 10), (0.1, 18)])
def test_golden_thresholds(rate, k):
  # 20 (1 - rate) is a whole number, that floating point may miss.
  scores = np.random.default_rng(0).permutation(np.arange(1.0, 20.0))
  assert float(stats.conformal_threshold(scores, rate)) == k


@pytest.mark.parametrize('decimals', [0, 8])
@pytest.mark.parametrize('shape', [(), (0,), (1,), (50,), (2, 0, 3), (4, 1, 5)])
def test_p_values_agree_with_brute_force(shape, decimals):
  random = np.random.default_rng(1)
  calibration_scores = random.normal(0.0, 2.0, 60).round(decimals)
  scores = random.normal(0.0, 3.0, shape).round(decimals)
  p_values = stats.conformal_p_values(calibration_scores, scores)
  assert p_values.shape == shape
  np.testing.assert_array_equal(
    p_values, _brute_force_p_values(calibration_scores, scores)
  )


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
@pytest.mark.parametrize('with_infinity', [False, True])
def test_threshold_and_p_value_decide_alike(with_infinity, dtype):
  random = np.random.default_rng(2)
  num_flagged = 0
  for num_calibration in [1, 2, 19, 40]:
    calibration_scores = random.normal(0.0, 3.0, num_calibration).round()
    if with_infinity:
      calibration_scores[::4] = math.inf
      calibration_scores[1::7] = -math.inf
    calibration_scores = calibration_scores.astype(dtype)
    # Every score there is, between, below and beyond.
    scores = np.r_[np.arange(-12.0, 12.0, 0.5), -math.inf, math.inf]
    scores = scores.astype(dtype)
    p_values = stats.conformal_p_values(calibration_scores, scores).numpy()
    # All the rates where a decision changes, and their neighbours.
    exact = np.arange(1, num_calibration + 1) / (num_calibration + 1)
    for rate in np.r_[
      0.01, 0.05, 0.1, exact, np.nextafter(exact, 0), np.nextafter(exact, 1)
    ]:
      threshold = stats.conformal_threshold(calibration_scores, rate)
      assert threshold.dtype == dtype
      flagged = scores > threshold.numpy()
      np.testing.assert_array_equal(flagged, p_values <= rate)
      num_flagged += flagged.sum()
  assert num_flagged > 500


@pytest.mark.parametrize('num_calibration', [1, 18, 19, 20, 98, 99, 333, 999])
def test_rank_of_the_threshold_is_that_of_exact_arithmetic(num_calibration):
  calibration_scores = tf.range(1, num_calibration + 1, dtype=tf.float32)
  for percent in [1, 3, 5, 7, 10, 29, 57, 95]:
    rate = fractions.Fraction(percent, 100)
    k = math.ceil((num_calibration + 1) * (1 - rate))
    threshold = stats.conformal_threshold(calibration_scores, percent / 100)
    assert float(threshold) == (k if k <= num_calibration else math.inf)


def test_too_few_calibration_scores_flag_nothing():
  scores = tf.range(19, dtype=tf.float32)
  assert math.isinf(stats.conformal_threshold(scores[:18], 0.05))
  assert float(stats.conformal_threshold(scores, 0.05)) == 18.0


def test_infinite_scores():
  calibration_scores = [1.0, 2.0, 3.0]
  scores = [-math.inf, math.inf]
  p_values = stats.conformal_p_values(calibration_scores, scores)
  np.testing.assert_array_equal(p_values, [1.0, 0.25])
  p_values = stats.conformal_p_values(calibration_scores + scores, scores)
  np.testing.assert_array_equal(p_values, [1.0, 2 / 6])


@pytest.mark.parametrize('dtype', [tf.float16, tf.bfloat16, tf.float32])
def test_any_precision_is_compared_exactly(dtype):
  # Neighbours in half precision; one of them is a tie.
  calibration_scores = tf.constant([-5000.0, -4096.0, 1.0, 2.0], dtype)
  scores = tf.constant([-5000.0, 1.0, 60000.0], dtype)
  p_values = stats.conformal_p_values(calibration_scores, scores)
  np.testing.assert_array_equal(p_values, [1.0, 0.6, 0.2])
  mixed = stats.conformal_p_values(
    calibration_scores, tf.cast(scores, tf.float64)
  )
  np.testing.assert_array_equal(mixed, p_values)
  threshold = stats.conformal_threshold(calibration_scores, 0.5)
  assert threshold.dtype == dtype
  assert float(threshold) == 1.0


def test_in_a_graph_of_unknown_sizes():
  spec = tf.TensorSpec([None], tf.float32)

  @tf.function(input_signature=[spec, tf.TensorSpec([None, None])])
  def in_graph(calibration_scores, scores):
    return (
      stats.conformal_p_values(calibration_scores, scores),
      stats.conformal_threshold(calibration_scores, 0.1),
    )

  random = np.random.default_rng(3)
  for num_calibration, shape in [(1, (2, 3)), (40, (0, 3)), (40, (1, 1))]:
    calibration_scores = random.normal(size=num_calibration).astype(np.float32)
    scores = random.normal(size=shape).astype(np.float32)
    p_values, threshold = in_graph(calibration_scores, scores)
    np.testing.assert_array_equal(
      p_values, _brute_force_p_values(calibration_scores, scores)
    )
    assert float(threshold) == float(
      stats.conformal_threshold(calibration_scores, 0.1)
    )
  # None is as few as can be: no p-value below 1, nothing flagged.
  p_values, threshold = in_graph(np.zeros([0], np.float32), np.ones([1, 2]))
  np.testing.assert_array_equal(p_values, [[1.0, 1.0]])
  assert math.isinf(threshold)


@pytest.mark.parametrize('num_calibration', [19, 48, 98, 10_000])
def test_a_graph_does_not_round_otherwise(num_calibration):
  # TensorFlow optimises divisions by constants: the calibration set is one.
  calibration_scores = np.arange(float(num_calibration))
  in_graph = tf.function(
    lambda scores: stats.conformal_p_values(calibration_scores, scores),
    input_signature=[tf.TensorSpec([None], tf.float64)],
  )
  scores = np.arange(num_calibration + 1) - 0.5
  np.testing.assert_array_equal(
    in_graph(scores),
    np.arange(num_calibration + 1, 0, -1) / (num_calibration + 1),
  )


def test_nan_in_a_graph_stays_nan():
  @tf.function(input_signature=[tf.TensorSpec([None])] * 2)
  def in_graph(calibration_scores, scores):
    return (
      stats.conformal_p_values(calibration_scores, scores),
      stats.conformal_threshold(calibration_scores, 0.4),
    )

  p_values, threshold = in_graph([1.0, 2.0], [math.nan, 3.0])
  np.testing.assert_array_equal(p_values, [math.nan, 1 / 3])
  assert float(threshold) == 2.0
  p_values, threshold = in_graph([math.nan, 2.0], [1.0, 3.0])
  assert np.isnan(p_values).all()
  assert math.isnan(threshold)


def test_in_a_data_pipeline():
  calibration_scores = np.arange(9.0, dtype=np.float32)
  scores = np.arange(10.0, dtype=np.float32) - 0.5
  dataset = tf.data.Dataset.from_tensor_slices(scores).batch(4)
  dataset = dataset.map(
    lambda scores: stats.conformal_p_values(calibration_scores, scores)
  )
  p_values = np.concatenate(list(dataset.as_numpy_iterator()))
  np.testing.assert_array_equal(p_values, np.arange(10, 0, -1) / 10)


def test_p_values_are_uniform_and_alarms_as_rare_as_promised():
  # The guarantee averages over calibration sets: a fresh one for each example.
  random = np.random.default_rng(4)
  num_runs, num_calibration = 2000, 39
  calibration = random.gamma(2.0, size=(num_runs, num_calibration))
  score = random.gamma(2.0, size=num_runs)
  in_graph = tf.function(
    lambda *pairs: tf.map_fn(
      lambda pair: stats.conformal_p_values(pair[0], pair[1]),
      pairs,
      fn_output_signature=tf.float64,
    )
  )
  p_values = in_graph(calibration, score)
  # Each of 40 values is equally likely: chi-square of 39 degrees of freedom.
  counts = np.bincount(np.rint(p_values * 40).astype(int), minlength=41)[1:]
  assert counts.sum() == num_runs
  assert scipy_stats.chisquare(counts).pvalue > 1e-3
  for rate in [0.025, 0.1, 0.5]:
    alarms = np.count_nonzero(p_values <= rate)
    assert scipy_stats.binomtest(alarms, num_runs, rate).pvalue > 1e-3


def test_one_large_calibration_set_gives_uniform_p_values():
  random = np.random.default_rng(5)
  p_values = stats.conformal_p_values(
    random.normal(size=200_000), random.normal(size=2000)
  )
  assert scipy_stats.kstest(p_values, 'uniform').pvalue > 1e-3
  shifted = stats.conformal_p_values(
    random.normal(size=200_000), random.normal(0.2, 1.0, size=2000)
  )
  assert scipy_stats.kstest(shifted, 'uniform').pvalue < 1e-6


@pytest.mark.parametrize(
  'scores, message',
  [
    ([], 'is empty'),
    ([[0.0], [1.0]], r'must have rank 1.*got shape \(2, 1\)'),
    (0.5, r'must have rank 1.*got shape \(\)'),
    ([0.0, math.nan, math.nan], 'holds 2 NaN among 3 values'),
  ],
)
def test_refuses_unusable_calibration_scores(scores, message):
  with pytest.raises(ValueError, match='`calibration_scores` ' + message):
    stats.conformal_p_values(scores, [1.0])
  with pytest.raises(ValueError, match='`calibration_scores` ' + message):
    stats.conformal_threshold(scores, 0.05)


def test_refuses_nan_and_integers():
  with pytest.raises(ValueError, match='`scores` holds 1 NaN among 2 values'):
    stats.conformal_p_values([1.0], tf.constant([1.0, math.nan], tf.bfloat16))
  with pytest.raises(TypeError, match='`scores` must be floating.*got int32'):
    stats.conformal_p_values([1.0], np.array([1], np.int32))
  with pytest.raises(TypeError, match='`calibration_scores` must be floating'):
    stats.conformal_threshold(np.array([1]), 0.05)


def test_numbers_of_python_are_not_rounded_to_single_precision():
  calibration = np.array([0.1, 0.2, 0.3])
  np.testing.assert_array_equal(
    stats.conformal_p_values(calibration, [0.1, 0.3]), [1.0, 0.5]
  )


@pytest.mark.parametrize('rate', [0.0, 1.0, 5, -0.1, math.nan])
def test_false_alarm_rate_must_be_a_probability(rate):
  with pytest.raises(
    ValueError, match='`false_alarm_rate` must lie strictly between 0 and 1'
  ):
    stats.conformal_threshold([1.0], rate)
