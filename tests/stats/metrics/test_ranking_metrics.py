# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the ranking metrics."""

import math

import numpy as np
import pytest
import tensorflow as tf
from sklearn import metrics

from tfp_ood import stats

FLOAT_METRICS = [
  stats.auroc,
  stats.average_precision_in,
  stats.average_precision_out,
  stats.detection_error,
  stats.false_positive_rate_at_95_tpr_in,
  stats.false_positive_rate_at_95_tpr_out,
]
METRICS = [*FLOAT_METRICS, stats.roc_curve]


def _random_scores(seed, with_ties):
  random = np.random.default_rng(seed)
  in_scores = random.normal(0.0, 1.0, size=random.integers(2, 60))
  out_scores = random.normal(0.7, 1.5, size=random.integers(2, 60))
  if with_ties:
    in_scores, out_scores = np.round(in_scores), np.round(out_scores)
  return in_scores, out_scores


def _labels_and_scores(in_scores, out_scores):
  labels = np.r_[np.zeros(len(in_scores)), np.ones(len(out_scores))]
  return labels, np.r_[in_scores, out_scores]


def _brute_force_auroc(in_scores, out_scores):
  difference = np.subtract.outer(out_scores, in_scores)
  return np.mean((difference > 0) + 0.5 * (difference == 0))


def _brute_force_false_positive_rate_out(in_scores, out_scores):
  return min(
    np.mean(in_scores >= threshold)
    for threshold in np.r_[in_scores, out_scores]
    if 100 * np.count_nonzero(out_scores >= threshold) >= 95 * len(out_scores)
  )


def _brute_force_false_positive_rate_in(in_scores, out_scores):
  return min(
    np.mean(out_scores <= threshold)
    for threshold in np.r_[in_scores, out_scores]
    if 100 * np.count_nonzero(in_scores <= threshold) >= 95 * len(in_scores)
  )


def _brute_force_detection_error(in_scores, out_scores):
  return min(
    (np.mean(in_scores >= threshold) + np.mean(out_scores < threshold)) / 2
    for threshold in np.r_[in_scores, out_scores, np.inf]
  )


# in 1 2 3 4, out 2 4 4 9: of 16 pairs the outs win 1 + 3 + 3 + 4 and tie
# 1 + 1 + 1. Thresholds 9, 4, 3, 2, 1 flag 1, 3, 3, 4, 4 outs and 0, 1, 2, 3, 4
# ins. Accepting up to 1, 2, 3, 4, 9 takes 1, 2, 3, 4, 4 ins and 0, 1, 1, 3, 4
# outs. The two errors of flagging from 4 on are both 1 of 4.
TIED_IN, TIED_OUT = [1, 2, 3, 4], [2, 4, 4, 9]


@pytest.mark.parametrize(
  'metric, expected',
  [
    (stats.auroc, (11 + 3 / 2) / 16),
    (stats.average_precision_in, (1 + 2 / 3 + 3 / 4 + 4 / 7) / 4),
    (stats.average_precision_out, 1 / 4 * 1 + 2 / 4 * 3 / 4 + 1 / 4 * 4 / 7),
    (stats.detection_error, 1 / 4),
    (stats.false_positive_rate_at_95_tpr_in, 3 / 4),
    (stats.false_positive_rate_at_95_tpr_out, 3 / 4),
  ],
)
def test_golden_values_with_ties(metric, expected):
  value = metric(TIED_IN, TIED_OUT)
  assert type(value) is float
  assert value == pytest.approx(expected, rel=1e-12)


def test_the_two_directions_differ():
  # In rising order: in, out, in, in, out. Flagging both outs flags 2 of 3 ins;
  # accepting all ins accepts 1 of 2 outs.
  in_scores, out_scores = [0, 2, 3], [1, 9]
  assert stats.false_positive_rate_at_95_tpr_out(in_scores, out_scores) == (
    pytest.approx(2 / 3)
  )
  assert stats.false_positive_rate_at_95_tpr_in(in_scores, out_scores) == 1 / 2
  assert stats.average_precision_out(in_scores, out_scores) == (
    pytest.approx((1 + 2 / 4) / 2)
  )
  assert stats.average_precision_in(in_scores, out_scores) == (
    pytest.approx((1 + 2 / 3 + 3 / 4) / 3)
  )


def test_golden_roc_curve():
  curve = stats.roc_curve(TIED_IN, TIED_OUT)
  np.testing.assert_array_equal(
    curve.false_positive_rate, [0, 0, 0.25, 0.5, 0.75, 1]
  )
  np.testing.assert_array_equal(
    curve.true_positive_rate, [0, 0.25, 0.75, 0.75, 1, 1]
  )


@pytest.mark.parametrize('with_ties', [False, True])
@pytest.mark.parametrize('seed', range(10))
def test_agrees_with_brute_force_and_scikit_learn(seed, with_ties):
  scores = _random_scores(seed, with_ties)
  assert stats.auroc(*scores) == pytest.approx(
    _brute_force_auroc(*scores), abs=1e-12
  )
  labels, all_scores = _labels_and_scores(*scores)
  assert stats.average_precision_out(*scores) == pytest.approx(
    metrics.average_precision_score(labels, all_scores), abs=1e-12
  )
  assert stats.average_precision_in(*scores) == pytest.approx(
    metrics.average_precision_score(1 - labels, -all_scores), abs=1e-12
  )
  assert stats.false_positive_rate_at_95_tpr_out(*scores) == pytest.approx(
    _brute_force_false_positive_rate_out(*scores), abs=1e-12
  )
  assert stats.false_positive_rate_at_95_tpr_in(*scores) == pytest.approx(
    _brute_force_false_positive_rate_in(*scores), abs=1e-12
  )
  assert stats.detection_error(*scores) == pytest.approx(
    _brute_force_detection_error(*scores), abs=1e-12
  )


@pytest.mark.parametrize('with_ties', [False, True])
@pytest.mark.parametrize('seed', range(5))
def test_exchanging_sets_and_signs_exchanges_the_positive_class(
  seed, with_ties
):
  in_scores, out_scores = _random_scores(seed, with_ties)
  exchanged = -out_scores, -in_scores
  for metric_in, metric_out in [
    (stats.average_precision_in, stats.average_precision_out),
    (
      stats.false_positive_rate_at_95_tpr_in,
      stats.false_positive_rate_at_95_tpr_out,
    ),
    (stats.auroc, stats.auroc),
    (stats.detection_error, stats.detection_error),
  ]:
    value = metric_in(in_scores, out_scores)
    assert metric_out(*exchanged) == pytest.approx(value, abs=1e-12)
    value = metric_out(in_scores, out_scores)
    assert metric_in(*exchanged) == pytest.approx(value, abs=1e-12)


def test_detection_error_ignores_the_sizes_of_the_sets():
  in_scores, out_scores = _random_scores(5, with_ties=False)
  assert stats.detection_error(
    in_scores, np.repeat(out_scores, 100)
  ) == pytest.approx(stats.detection_error(in_scores, out_scores), abs=1e-12)


@pytest.mark.parametrize('num_out', [20, 40, 100, 1000])
def test_exactly_95_percent_caught_is_enough(num_out):
  # 5 % of the out-of-distribution examples score below everything.
  num_missed = num_out // 20
  out_scores = np.r_[np.full(num_missed, -1.0), np.full(num_out, 2.0)]
  out_scores = out_scores[:num_out]
  in_scores = [0.0, 1.0, 3.0]
  assert stats.false_positive_rate_at_95_tpr_out(in_scores, out_scores) == (
    pytest.approx(1 / 3)
  )
  assert stats.false_positive_rate_at_95_tpr_in(
    -out_scores, np.negative(in_scores)
  ) == pytest.approx(1 / 3)


def test_order_of_arguments_and_direction():
  typical, odd = [0.0, 1.0, 2.0], [10.0, 11.0]
  assert stats.auroc(typical, odd) == 1.0
  assert stats.average_precision_in(typical, odd) == 1.0
  assert stats.average_precision_out(typical, odd) == 1.0
  assert stats.detection_error(typical, odd) == 0.0
  assert stats.false_positive_rate_at_95_tpr_in(typical, odd) == 0.0
  assert stats.false_positive_rate_at_95_tpr_out(typical, odd) == 0.0
  assert stats.auroc(odd, typical) == 0.0
  assert stats.detection_error(odd, typical) == 0.5
  assert stats.false_positive_rate_at_95_tpr_in(odd, typical) == 1.0
  assert stats.false_positive_rate_at_95_tpr_out(odd, typical) == 1.0
  # Every threshold that catches one catches both ins first: 1/3, 2/4, 3/5.
  assert stats.average_precision_out(odd, typical) == pytest.approx(
    (1 / 3 + 2 / 4 + 3 / 5) / 3
  )
  # And one that accepts an in accepts the three outs first: 1/4, 2/5.
  assert stats.average_precision_in(odd, typical) == pytest.approx(
    (1 / 4 + 2 / 5) / 2
  )


def test_constant_scores_are_chance():
  scores = [3.0] * 4, [3.0] * 6
  assert stats.auroc(*scores) == 0.5
  assert stats.average_precision_in(*scores) == pytest.approx(0.4)
  assert stats.average_precision_out(*scores) == pytest.approx(0.6)
  assert stats.detection_error(*scores) == 0.5
  assert stats.false_positive_rate_at_95_tpr_in(*scores) == 1.0
  assert stats.false_positive_rate_at_95_tpr_out(*scores) == 1.0


@pytest.mark.parametrize('metric', FLOAT_METRICS)
def test_only_the_order_matters(metric):
  in_scores, out_scores = _random_scores(3, with_ties=True)
  value = metric(in_scores, out_scores)
  # Raw log-likelihoods lie far outside [0, 1]: no fixed thresholds here.
  assert metric(1e4 * in_scores - 1e6, 1e4 * out_scores - 1e6) == value
  permutation = np.random.default_rng(0).permutation(len(in_scores))
  assert metric(in_scores[permutation], out_scores[::-1]) == value


@pytest.mark.parametrize('metric', FLOAT_METRICS)
def test_infinite_scores_rank_beyond_all_finite_ones(metric):
  with_infinity = metric([-math.inf, 0.0, 3.0], [1.0, math.inf, math.inf])
  assert with_infinity == metric([-9.0, 0.0, 3.0], [1.0, 9.0, 9.0])


@pytest.mark.parametrize('metric', FLOAT_METRICS)
def test_takes_tensors_and_integers(metric):
  expected = metric(TIED_IN, TIED_OUT)
  for dtype in (tf.float32, tf.bfloat16, tf.int32):
    in_scores, out_scores = tf.cast(TIED_IN, dtype), tf.cast(TIED_OUT, dtype)
    assert metric(in_scores, out_scores) == expected


@pytest.mark.parametrize('metric', METRICS)
@pytest.mark.parametrize(
  'scores, message',
  [
    ([0.0, math.nan, math.nan], 'holds 2 NaN among 3 scores'),
    ([], 'is empty'),
    ([[0.0], [1.0]], r'must have rank 1.*got shape \(2, 1\)'),
    (0.5, r'must have rank 1.*got shape \(\)'),
  ],
)
def test_refuses_unrankable_scores_on_either_side(metric, scores, message):
  with pytest.raises(ValueError, match='`in_distribution_scores` ' + message):
    metric(scores, [1.0, 2.0])
  with pytest.raises(
    ValueError, match='`out_of_distribution_scores` ' + message
  ):
    metric([1.0, 2.0], scores)
