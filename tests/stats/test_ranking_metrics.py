# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the ranking metrics."""

import math

import numpy as np
import pytest
import tensorflow as tf
from sklearn import metrics

from tfp_ood import stats

METRICS = [
  stats.auroc,
  stats.average_precision,
  stats.false_positive_rate_at_95_tpr,
  stats.roc_curve,
]
FLOAT_METRICS = METRICS[:3]


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


def _brute_force_false_positive_rate(in_scores, out_scores):
  return min(
    np.mean(in_scores >= threshold)
    for threshold in np.r_[in_scores, out_scores]
    if 100 * np.count_nonzero(out_scores >= threshold) >= 95 * len(out_scores)
  )


# in 1 2 3 4, out 2 4 4 9: of 16 pairs the outs win 1 + 3 + 3 + 4 and tie
# 1 + 1 + 1. Thresholds 9, 4, 3, 2, 1 flag 1, 3, 3, 4, 4 outs and 0, 1, 2, 3, 4
# ins.
TIED_IN, TIED_OUT = [1, 2, 3, 4], [2, 4, 4, 9]


@pytest.mark.parametrize(
  'metric, expected',
  [
    (stats.auroc, (11 + 3 / 2) / 16),
    (stats.average_precision, 1 / 4 * 1 + 2 / 4 * 3 / 4 + 1 / 4 * 4 / 7),
    (stats.false_positive_rate_at_95_tpr, 3 / 4),
  ],
)
def test_golden_values_with_ties(metric, expected):
  value = metric(TIED_IN, TIED_OUT)
  assert type(value) is float
  assert value == pytest.approx(expected, rel=1e-12)


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
  assert stats.average_precision(*scores) == pytest.approx(
    metrics.average_precision_score(*_labels_and_scores(*scores)), abs=1e-12
  )
  assert stats.false_positive_rate_at_95_tpr(*scores) == pytest.approx(
    _brute_force_false_positive_rate(*scores), abs=1e-12
  )


@pytest.mark.parametrize('num_out', [20, 40, 100, 1000])
def test_exactly_95_percent_caught_is_enough(num_out):
  # 5 % of the out-of-distribution examples score below everything.
  num_missed = num_out // 20
  out_scores = np.r_[np.full(num_missed, -1.0), np.full(num_out, 2.0)]
  out_scores = out_scores[:num_out]
  in_scores = [0.0, 1.0, 3.0]
  assert stats.false_positive_rate_at_95_tpr(in_scores, out_scores) == (
    pytest.approx(1 / 3)
  )


def test_order_of_arguments_and_direction():
  typical, odd = [0.0, 1.0, 2.0], [10.0, 11.0]
  assert stats.auroc(typical, odd) == 1.0
  assert stats.average_precision(typical, odd) == 1.0
  assert stats.false_positive_rate_at_95_tpr(typical, odd) == 0.0
  assert stats.auroc(odd, typical) == 0.0
  assert stats.false_positive_rate_at_95_tpr(odd, typical) == 1.0
  # Every threshold that catches one catches both ins first: 1/3, 2/4, 3/5.
  assert stats.average_precision(odd, typical) == pytest.approx(
    (1 / 3 + 2 / 4 + 3 / 5) / 3
  )


def test_constant_scores_are_chance():
  assert stats.auroc([3.0] * 4, [3.0] * 6) == 0.5
  assert stats.average_precision([3.0] * 4, [3.0] * 6) == pytest.approx(0.6)
  assert stats.false_positive_rate_at_95_tpr([3.0] * 4, [3.0] * 6) == 1.0


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
