# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of DeLong's confidence interval."""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from tfp_ood import stats


def _brute_force_standard_error(in_scores, out_scores):
  """DeLong, DeLong and Clarke-Pearson's formulas, all m x n pairs."""
  difference = np.subtract.outer(out_scores, in_scores)
  kernel = (difference > 0) + 0.5 * (difference == 0)
  return math.sqrt(
    kernel.mean(axis=1).var(ddof=1) / len(out_scores)
    + kernel.mean(axis=0).var(ddof=1) / len(in_scores)
  )


@pytest.mark.parametrize('decimals', [0, 8])
@pytest.mark.parametrize('seed', range(8))
def test_agrees_with_brute_force(seed, decimals):
  random = np.random.default_rng(seed)
  in_scores = random.normal(0.0, 1.0, random.integers(5, 50)).round(decimals)
  out_scores = random.normal(0.5, 2.0, random.integers(5, 50)).round(decimals)
  interval = stats.auroc_confidence_interval(in_scores, out_scores, 0.9)
  standard_error = _brute_force_standard_error(in_scores, out_scores)
  auroc = stats.auroc(in_scores, out_scores)
  assert interval.auroc == pytest.approx(auroc, abs=1e-14)
  assert interval.standard_error == pytest.approx(standard_error, abs=1e-14)
  # 1.6449 is the 95th percentile of the normal distribution.
  half_width = 1.6448536269514722 * standard_error
  assert interval.lower == pytest.approx(max(0.0, auroc - half_width))
  assert interval.upper == pytest.approx(min(1.0, auroc + half_width))


def test_golden_value_with_ties():
  # in 1 2 3, out 2 4: the outs beat 1.5 and 3 of three, the ins are beaten by
  # 2, 1.5 and 1 of two. Variances of (1/2, 1) and (1, 3/4, 1/2) are 1/8, 1/16.
  interval = stats.auroc_confidence_interval([1, 2, 3], [2, 4])
  assert interval.auroc == 0.75
  assert interval.standard_error == pytest.approx(
    math.sqrt(1 / 8 / 2 + 1 / 16 / 3)
  )
  assert interval.upper == 1.0  # 0.75 + 1.96 * 0.289 is cut.
  assert interval.lower == pytest.approx(0.184207, abs=5e-7)
  assert all(type(value) is float for value in interval)


def test_agrees_with_bootstrap():
  random = np.random.default_rng(0)
  in_scores = random.normal(0.0, 1.0, 300)
  out_scores = random.normal(1.0, 1.0, 200)
  interval = stats.auroc_confidence_interval(in_scores, out_scores)
  kernel = np.subtract.outer(out_scores, in_scores) > 0
  resampled = []
  for _ in range(1000):
    # Counts of a bootstrap sample weight the rows and columns of the kernel.
    rows = random.multinomial(200, np.full(200, 1 / 200))
    columns = random.multinomial(300, np.full(300, 1 / 300))
    resampled.append(rows @ kernel @ columns / (200 * 300))
  # 1000 draws know a standard deviation to 2.2 %; the seed is fixed.
  assert interval.standard_error == pytest.approx(np.std(resampled), rel=0.08)
  lower, upper = np.quantile(resampled, [0.025, 0.975])
  assert interval.lower == pytest.approx(lower, abs=0.008)
  assert interval.upper == pytest.approx(upper, abs=0.008)


def test_covers_the_truth_as_often_as_it_says():
  random = np.random.default_rng(1)
  truth = scipy_stats.norm.cdf(1.0 / math.sqrt(2.0))
  covered = 0
  for _ in range(500):
    interval = stats.auroc_confidence_interval(
      random.normal(0.0, 1.0, 80), random.normal(1.0, 1.0, 80), 0.9
    )
    covered += interval.lower <= truth <= interval.upper
  # Binomial(500, 0.9) has standard deviation 6.7; the seed is fixed.
  assert 420 <= covered <= 477


@pytest.mark.parametrize('num_in, num_out', [(4, 7), (100, 30), (1000, 1000)])
def test_full_separation_has_the_clopper_pearson_bound(num_in, num_out):
  low, high = np.arange(num_in), 10000 + np.arange(num_out)
  num_pairs = min(num_in, num_out)
  bound = scipy_stats.binomtest(num_pairs, num_pairs).proportion_ci(
    confidence_level=0.95, method='exact'
  )
  interval = stats.auroc_confidence_interval(low, high)
  assert interval.auroc == interval.upper == 1.0
  assert interval.lower == pytest.approx(bound.low)
  assert interval.standard_error == 0.0

  reverse = stats.auroc_confidence_interval(high, low)
  assert reverse.auroc == reverse.lower == 0.0
  assert reverse.upper == pytest.approx(1.0 - bound.low)


def test_constant_scores_have_an_interval_around_one_half():
  interval = stats.auroc_confidence_interval([7.0] * 50, [7.0] * 80)
  assert interval.auroc == 0.5
  assert interval.lower == pytest.approx(0.025 ** (1 / 50) / 2)
  assert interval.upper == pytest.approx(1 - 0.025 ** (1 / 50) / 2)


def test_bound_narrows_with_more_examples_and_less_confidence():
  def lower(num, confidence_level):
    return stats.auroc_confidence_interval(
      np.zeros(num), np.ones(num), confidence_level
    ).lower

  assert lower(10, 0.95) < lower(100, 0.95) < lower(1000, 0.95) < 1.0
  assert lower(10, 0.99) < lower(10, 0.95) < lower(10, 0.5)


def test_infinite_scores_rank_beyond_all_finite_ones():
  with_infinity = stats.auroc_confidence_interval(
    [-math.inf, 0.0, 3.0], [1.0, math.inf, math.inf]
  )
  assert with_infinity == stats.auroc_confidence_interval(
    [-9.0, 0.0, 3.0], [1.0, 9.0, 9.0]
  )


@pytest.mark.parametrize('confidence_level', [0.0, 1.0, 95, -0.1, math.nan])
def test_confidence_level_must_be_a_probability(confidence_level):
  with pytest.raises(
    ValueError, match='`confidence_level` must lie strictly between 0 and 1'
  ):
    stats.auroc_confidence_interval([0, 1], [0, 1], confidence_level)


def test_one_score_has_no_variance():
  with pytest.raises(ValueError, match='`in_distribution_scores` holds one'):
    stats.auroc_confidence_interval([1.0], [1.0, 2.0])
  with pytest.raises(
    ValueError, match='`out_of_distribution_scores` holds one'
  ):
    stats.auroc_confidence_interval([1.0, 2.0], [1.0])


def test_refuses_nan():
  with pytest.raises(ValueError, match='`in_distribution_scores` holds 1 NaN'):
    stats.auroc_confidence_interval([1.0, math.nan], [1.0, 2.0])
