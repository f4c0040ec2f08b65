# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the stratified percentile bootstrap."""

import math

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats as scipy_stats

from tfp_ood import stats


def _difference_of_means(in_scores, out_scores):
  return out_scores.mean() - in_scores.mean()


def _fast_auroc(in_scores, out_scores):
  """Of scores without ties between the sets."""
  return np.searchsorted(np.sort(in_scores), out_scores).mean() / in_scores.size


def _scores(seed, num_in=40, num_out=60):
  random = np.random.default_rng(seed)
  return random.normal(size=num_in), random.normal(1.0, 2.0, size=num_out)


def test_agrees_with_scipy():
  scores = _scores(0)
  interval = stats.bootstrap_confidence_interval(
    _difference_of_means, *scores, num_resamples=8000, confidence_level=0.9
  )
  expected = scipy_stats.bootstrap(
    scores,
    lambda in_scores, out_scores, axis: (
      out_scores.mean(axis) - in_scores.mean(axis)
    ),
    n_resamples=8000,
    confidence_level=0.9,
    method='percentile',
    vectorized=True,
    random_state=np.random.default_rng(1),
  )
  # 8000 resamples know these quantiles to 0.02 standard errors.
  tolerance = 0.08 * expected.standard_error
  assert interval.estimate == _difference_of_means(*scores)
  assert interval.lower == pytest.approx(
    expected.confidence_interval.low, abs=tolerance
  )
  assert interval.upper == pytest.approx(
    expected.confidence_interval.high, abs=tolerance
  )
  assert interval.standard_error == pytest.approx(
    expected.standard_error, rel=0.03
  )


def test_standard_error_of_means_is_known():
  # Of the bootstrap's own distribution, exactly: the population variance of
  # each set over its size.
  in_scores, out_scores = _scores(1, 30, 50)
  interval = stats.bootstrap_confidence_interval(
    _difference_of_means, in_scores, out_scores, num_resamples=8000
  )
  assert interval.standard_error == pytest.approx(
    math.sqrt(in_scores.var() / 30 + out_scores.var() / 50), rel=0.03
  )


def test_agrees_with_delong():
  scores = _scores(2, 300, 200)
  interval = stats.bootstrap_confidence_interval(_fast_auroc, *scores)
  delong = stats.auroc_confidence_interval(*scores)
  assert interval.estimate == pytest.approx(delong.auroc, abs=1e-14)
  assert interval.standard_error == pytest.approx(
    delong.standard_error, rel=0.08
  )
  assert interval.lower == pytest.approx(delong.lower, abs=0.008)
  assert interval.upper == pytest.approx(delong.upper, abs=0.008)


def test_covers_the_truth_as_often_as_it_says():
  random = np.random.default_rng(3)
  truth = scipy_stats.norm.cdf(1.0 / math.sqrt(2.0))
  covered = 0
  for seed in range(200):
    interval = stats.bootstrap_confidence_interval(
      _fast_auroc,
      random.normal(0.0, 1.0, 60),
      random.normal(1.0, 1.0, 60),
      num_resamples=200,
      confidence_level=0.9,
      seed=seed,
    )
    covered += interval.lower <= truth <= interval.upper
  # Binomial(200, 0.9) has standard deviation 4.2, and the percentile bootstrap
  # of small sets covers a little too seldom.
  assert 164 <= covered <= 193


@pytest.mark.parametrize(
  'metric',
  [
    stats.auroc,
    stats.average_precision_in,
    stats.average_precision_out,
    stats.detection_error,
    stats.false_positive_rate_at_95_tpr_in,
    stats.false_positive_rate_at_95_tpr_out,
  ],
)
def test_takes_every_ranking_metric(metric):
  scores = _scores(4)
  interval = stats.bootstrap_confidence_interval(
    metric, *scores, num_resamples=40
  )
  assert interval.estimate == metric(*scores)
  assert 0.0 <= interval.lower < interval.upper <= 1.0
  assert interval.standard_error > 0.0
  assert all(type(value) is float for value in interval)


def test_resamples_each_set_within_itself():
  in_scores, out_scores = [1.0, 2.0, 3.0], [10.0, 20.0, 30.0, 40.0, 50.0]
  seen = []

  def metric(*resample):
    seen.append(resample)
    return 0.0

  stats.bootstrap_confidence_interval(
    metric, in_scores, out_scores, num_resamples=300
  )
  assert len(seen) == 301
  np.testing.assert_array_equal(seen[0][0], in_scores)
  np.testing.assert_array_equal(seen[0][1], out_scores)
  for resampled, scores in [
    (np.array([resample[0] for resample in seen[1:]]), in_scores),
    (np.array([resample[1] for resample in seen[1:]]), out_scores),
  ]:
    assert resampled.shape == (300, len(scores))
    # With replacement, and every score as often as any other.
    assert min(len(set(resample)) for resample in resampled) < len(scores)
    drawn, counts = np.unique(resampled, return_counts=True)
    np.testing.assert_array_equal(drawn, scores)
    np.testing.assert_allclose(counts, 300, atol=75)


def test_same_seed_same_interval():
  scores = _scores(5)

  def interval(seed):
    return stats.bootstrap_confidence_interval(
      _difference_of_means, *scores, num_resamples=50, seed=seed
    )

  np.random.seed(0)
  first = interval(7)
  np.random.seed(1)
  assert interval(7) == first
  assert interval(np.int64(7)) == first
  assert interval(8).lower != first.lower
  assert interval(8).estimate == first.estimate


def test_more_confidence_is_wider():
  scores = _scores(6)

  def width(confidence_level):
    interval = stats.bootstrap_confidence_interval(
      _difference_of_means, *scores, confidence_level=confidence_level
    )
    return interval.upper - interval.lower

  assert width(0.5) < width(0.9) < width(0.99)


def test_full_separation_has_no_width():
  # As documented: no resample holds a score that was not observed.
  interval = stats.bootstrap_confidence_interval(
    stats.auroc, [1, 2, 3], [4, 5, 6], num_resamples=20
  )
  assert interval == (1.0, 1.0, 1.0, 0.0)


def test_infinite_scores_reach_the_metric():
  interval = stats.bootstrap_confidence_interval(
    stats.auroc,
    [-math.inf, 0.0, 3.0],
    [1.0, 2.0, math.inf],
    num_resamples=50,
  )
  assert interval == stats.bootstrap_confidence_interval(
    stats.auroc, [-9.0, 0.0, 3.0], [1.0, 2.0, 9.0], num_resamples=50
  )


def test_takes_tensors():
  interval = stats.bootstrap_confidence_interval(
    _difference_of_means,
    tf.constant([1.0, 2.0, 3.0]),
    tf.constant([2, 4]),
    num_resamples=20,
  )
  assert interval == stats.bootstrap_confidence_interval(
    _difference_of_means, [1, 2, 3], [2, 4], num_resamples=20
  )


@pytest.mark.parametrize(
  'scores, message',
  [
    ([0.0, math.nan, math.nan], 'holds 2 NaN among 3 scores'),
    ([], 'is empty'),
    ([1.0], 'holds one score'),
    ([[0.0], [1.0]], r'must have rank 1.*got shape \(2, 1\)'),
  ],
)
def test_refuses_bad_scores_on_either_side(scores, message):
  with pytest.raises(ValueError, match='`in_distribution_scores` ' + message):
    stats.bootstrap_confidence_interval(_fast_auroc, scores, [1.0, 2.0])
  with pytest.raises(
    ValueError, match='`out_of_distribution_scores` ' + message
  ):
    stats.bootstrap_confidence_interval(_fast_auroc, [1.0, 2.0], scores)


@pytest.mark.parametrize(
  'metric',
  [
    stats.roc_curve,
    stats.auroc_confidence_interval,
    lambda in_scores, out_scores: math.nan,
    lambda in_scores, out_scores: math.inf,
    lambda in_scores, out_scores: None,
    # Finite for the scores themselves, not for all resamples.
    lambda in_scores, out_scores: 0.0 if np.ptp(in_scores) > 0 else math.nan,
  ],
)
def test_metric_must_return_one_finite_number(metric):
  with pytest.raises(
    ValueError, match='`metric` must return one finite number'
  ):
    stats.bootstrap_confidence_interval(metric, [1.0, 2.0], [1.0, 2.0])


@pytest.mark.parametrize('confidence_level', [0.0, 1.0, 95, math.nan])
def test_confidence_level_must_be_a_probability(confidence_level):
  with pytest.raises(ValueError, match='`confidence_level` must lie strictly'):
    stats.bootstrap_confidence_interval(
      _fast_auroc, [0, 1], [0, 1], confidence_level=confidence_level
    )


def test_num_resamples_and_seed_must_be_integers():
  with pytest.raises(ValueError, match='`num_resamples` must be at least 2'):
    stats.bootstrap_confidence_interval(
      _fast_auroc, [0, 1], [0, 1], num_resamples=1
    )
  with pytest.raises(TypeError, match='`num_resamples` must be an integer'):
    stats.bootstrap_confidence_interval(
      _fast_auroc, [0, 1], [0, 1], num_resamples=1e3
    )
  # `None` would draw another seed on every call.
  with pytest.raises(TypeError, match='`seed` must be an integer; got None'):
    stats.bootstrap_confidence_interval(_fast_auroc, [0, 1], [0, 1], seed=None)
