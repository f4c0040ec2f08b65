# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of DeLong's confidence interval and paired test."""

import math

import numpy as np
import pytest
from scipy import stats as scipy_stats

from tfp_ood import stats


def _kernel(in_scores, out_scores):
  """How each out compares with each in: 1, 1/2 or 0, all m x n pairs."""
  difference = np.subtract.outer(out_scores, in_scores)
  return (difference > 0) + 0.5 * (difference == 0)


def _brute_force_standard_error(in_scores, out_scores):
  """DeLong, DeLong and Clarke-Pearson's formulas."""
  kernel = _kernel(in_scores, out_scores)
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


# ------------------------------------------------------------- paired test


def _paired_scores(random, num_in, num_out, first_shift=1.0, second_shift=0.5):
  """Two correlated scores of the same examples."""
  in_scores = random.normal(size=(2, num_in)) + random.normal(size=num_in)
  out_scores = random.normal(size=(2, num_out)) + random.normal(size=num_out)
  return (
    in_scores[0],
    out_scores[0] + first_shift,
    in_scores[1],
    out_scores[1] + second_shift,
  )


def _brute_force_covariance(first_in, first_out, second_in, second_out):
  """The 2 x 2 covariance of the two AUROCs: DeLong's S10 / m + S01 / n."""
  kernels = [_kernel(first_in, first_out), _kernel(second_in, second_out)]
  return np.cov([kernel.mean(axis=1) for kernel in kernels]) / len(
    first_out
  ) + np.cov([kernel.mean(axis=0) for kernel in kernels]) / len(first_in)


@pytest.mark.parametrize('decimals', [0, 8])
@pytest.mark.parametrize('seed', range(8))
def test_paired_agrees_with_brute_force(seed, decimals):
  random = np.random.default_rng(seed)
  scores = _paired_scores(random, *random.integers(5, 50, size=2))
  scores = [values.round(decimals) for values in scores]
  test = stats.delong_test(*scores, confidence_level=0.9)
  covariance = _brute_force_covariance(*scores)
  assert covariance[0, 1] > 0  # Or the test would not need it.
  standard_error = math.sqrt(
    covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
  )
  difference = stats.auroc(*scores[:2]) - stats.auroc(*scores[2:])
  assert test.first_auroc == pytest.approx(stats.auroc(*scores[:2]), abs=1e-14)
  assert test.second_auroc == pytest.approx(stats.auroc(*scores[2:]), abs=1e-14)
  assert test.difference == pytest.approx(difference, abs=1e-14)
  assert test.standard_error == pytest.approx(standard_error, abs=1e-14)
  half_width = 1.6448536269514722 * standard_error
  assert test.lower == pytest.approx(max(-1.0, difference - half_width))
  assert test.upper == pytest.approx(min(1.0, difference + half_width))
  assert test.p_value == pytest.approx(
    math.erfc(abs(difference) / standard_error / math.sqrt(2.0)), abs=1e-12
  )


def test_paired_golden_value_with_ties():
  # First: in 1 2 3, out 2 4, of AUROC 3/4 as above: wins of the outs 1.5, 3, of
  # the ins 2, 1.5, 1. Second: in 2 1 3, out 3 3: wins 2.5, 2.5 and 2, 2, 1.
  # Differences as fractions: -1/3, 1/6 and 0, -1/4, 0; variances 1/8, 1/48.
  test = stats.delong_test([1, 2, 3], [2, 4], [2, 1, 3], [3, 3])
  assert test.first_auroc == 0.75
  assert test.second_auroc == pytest.approx(5 / 6)
  assert test.difference == pytest.approx(-1 / 12)
  assert test.standard_error == pytest.approx(math.sqrt(1 / 16 + 1 / 144))
  assert all(type(value) is float for value in test)


def test_paired_agrees_with_bootstrap_of_the_difference():
  random = np.random.default_rng(0)
  scores = _paired_scores(random, 300, 200)
  test = stats.delong_test(*scores)
  kernel = _kernel(*scores[:2]) - _kernel(*scores[2:])
  resampled = []
  for _ in range(1000):
    rows = random.multinomial(200, np.full(200, 1 / 200))
    columns = random.multinomial(300, np.full(300, 1 / 300))
    resampled.append(rows @ kernel @ columns / (200 * 300))
  assert test.standard_error == pytest.approx(np.std(resampled), rel=0.08)
  lower, upper = np.quantile(resampled, [0.025, 0.975])
  assert test.lower == pytest.approx(lower, abs=0.008)
  assert test.upper == pytest.approx(upper, abs=0.008)


def test_paired_rejects_a_true_hypothesis_as_often_as_it_says():
  random = np.random.default_rng(2)
  p_values = np.array(
    [
      stats.delong_test(*_paired_scores(random, 60, 80, 0.7, 0.7)).p_value
      for _ in range(600)
    ]
  )
  # Binomial(600, 0.1) has standard deviation 7.3; the seed is fixed.
  assert 42 <= np.count_nonzero(p_values < 0.1) <= 82
  assert 0.45 < p_values.mean() < 0.55


def test_paired_is_sharper_than_two_separate_intervals():
  scores = _paired_scores(np.random.default_rng(3), 400, 400, 1.0, 0.7)
  test = stats.delong_test(*scores)
  first = stats.auroc_confidence_interval(*scores[:2])
  second = stats.auroc_confidence_interval(*scores[2:])
  assert test.standard_error < 0.9 * math.hypot(
    first.standard_error, second.standard_error
  )


def test_paired_exchange_of_the_two_scores():
  scores = _paired_scores(np.random.default_rng(4), 30, 40)
  test = stats.delong_test(*scores)
  exchanged = stats.delong_test(*scores[2:], *scores[:2])
  assert test.difference > 0.0
  assert exchanged.difference == -test.difference
  assert exchanged.lower == -test.upper
  assert exchanged.upper == -test.lower
  assert exchanged.p_value == test.p_value
  assert exchanged.standard_error == test.standard_error
  assert exchanged.first_auroc == test.second_auroc


def test_paired_depends_on_the_pairing():
  first_in, first_out, second_in, second_out = _paired_scores(
    np.random.default_rng(5), 30, 40
  )
  test = stats.delong_test(first_in, first_out, second_in, second_out)
  both = stats.delong_test(
    first_in[::-1], first_out, second_in[::-1], second_out
  )
  one = stats.delong_test(first_in, first_out, second_in[::-1], second_out)
  np.testing.assert_allclose(both, test, rtol=1e-12)
  assert one.difference == test.difference
  assert abs(one.standard_error - test.standard_error) > 1e-3


def test_paired_scores_of_the_same_order_do_not_differ():
  random = np.random.default_rng(6)
  in_scores, out_scores = random.normal(size=50), random.normal(size=80)
  test = stats.delong_test(
    in_scores, out_scores, np.exp(in_scores), np.exp(out_scores)
  )
  assert test.difference == test.standard_error == 0.0
  assert test.p_value == 1.0
  # Fewer than 1 - q of 50 independent pairs may still differ, either way.
  assert test.upper == -test.lower == pytest.approx(1 - 0.025 ** (1 / 50))


@pytest.mark.parametrize('num_in, num_out', [(3, 8), (40, 12)])
def test_paired_separated_against_reversed_is_a_sign_test(num_in, num_out):
  num_pairs = min(num_in, num_out)
  sign_test = scipy_stats.binomtest(num_pairs, num_pairs, 0.5)
  bound = sign_test.proportion_ci(confidence_level=0.95, method='exact').low
  low, high = np.zeros(num_in), np.ones(num_out)
  test = stats.delong_test(low, high, -low, -high)
  assert (test.first_auroc, test.second_auroc) == (1.0, 0.0)
  assert test.difference == test.upper == 1.0
  assert test.standard_error == 0.0
  assert test.p_value == pytest.approx(sign_test.pvalue)
  assert test.lower == pytest.approx(2 * bound - 1)
  # Interval and test are of one mind about 0.
  assert (test.lower > 0) == (test.p_value < 0.05)


def test_paired_separated_against_constant():
  low, high = np.arange(20.0), 100 + np.arange(30.0)
  test = stats.delong_test(low, high, np.zeros(20), np.zeros(30))
  q = 0.025 ** (1 / 20)
  assert test.difference == 0.5
  assert test.standard_error == 0.0
  assert test.lower == pytest.approx(q * 0.5 - (1 - q))
  assert test.upper == pytest.approx(q * 0.5 + (1 - q))
  assert test.p_value == pytest.approx(2 * 1.5**-20)


def test_paired_zero_variance_though_pairs_differ():
  # First in order in, out, in, out; second out, in, out, in. Every example wins
  # one more of two in the first, yet two of the four pairs do not differ.
  scores = [0, 2], [3, 1], [1, 3], [2, 0]
  np.testing.assert_array_equal(
    _kernel(*scores[:2]) - _kernel(*scores[2:]), [[0, 1], [1, 0]]
  )
  test = stats.delong_test(*scores)
  assert test.difference == 0.5
  assert test.standard_error == 0.0
  assert test.p_value == 1.0  # 2 exp(-2 / 8) is cut.
  assert (test.lower, test.upper) == (-1.0, 1.0)  # 0.5 -+ 1.92 is cut.


@pytest.mark.parametrize('size', [3, 7, 11, 49])
def test_paired_zero_variance_is_seen_through_rounding(size):
  # Scores alternate: all wins differ by one, as fractions that round each in
  # its own way.
  even, odd = 2 * np.arange(size), 2 * np.arange(size) + 1
  test = stats.delong_test(even, odd, odd, even)
  assert test.difference == 1 / size
  assert test.standard_error == 0.0
  assert test.p_value == min(1.0, 2 * math.exp(-1 / size / 2))
  half_width = math.sqrt(2 * math.log(40) / size)
  assert test.lower == pytest.approx(max(-1.0, 1 / size - half_width))
  assert test.upper == pytest.approx(min(1.0, 1 / size + half_width))


def test_paired_infinite_scores_rank_beyond_all_finite_ones():
  with_infinity = stats.delong_test(
    [-math.inf, 0.0, 3.0], [1.0, math.inf, math.inf], [1, 2, 3], [1, 2, 4]
  )
  assert with_infinity == stats.delong_test(
    [-9.0, 0.0, 3.0], [1.0, 9.0, 9.0], [1, 2, 3], [1, 2, 4]
  )


def test_paired_sizes_must_agree():
  with pytest.raises(
    ValueError,
    match='`first_in_distribution_scores` and `second_in_distribution_scores` '
    'must be scores of the same examples.*got 3 and 2 scores',
  ):
    stats.delong_test([1, 2, 3], [1, 2], [1, 2], [1, 2])
  with pytest.raises(
    ValueError,
    match='`first_out_of_distribution_scores` and '
    '`second_out_of_distribution_scores` must be .*got 2 and 4 scores',
  ):
    stats.delong_test([1, 2, 3], [1, 2], [1, 2, 3], [1, 2, 3, 4])


_NAMES_OF_PAIRED = [
  'first_in_distribution_scores',
  'first_out_of_distribution_scores',
  'second_in_distribution_scores',
  'second_out_of_distribution_scores',
]


@pytest.mark.parametrize('name', _NAMES_OF_PAIRED)
@pytest.mark.parametrize(
  'scores, message',
  [
    ([0.0, math.nan], 'holds 1 NaN among 2 scores'),
    ([], 'is empty'),
    ([[0.0, 1.0]], r'must have rank 1.*got shape \(1, 2\)'),
  ],
)
def test_paired_refuses_unrankable_scores(name, scores, message):
  arguments = dict.fromkeys(_NAMES_OF_PAIRED, [1.0, 2.0])
  with pytest.raises(ValueError, match=f'`{name}` {message}'):
    stats.delong_test(**{**arguments, name: scores})


def test_paired_one_score_has_no_variance():
  with pytest.raises(
    ValueError, match='`first_in_distribution_scores` holds one score'
  ):
    stats.delong_test([1.0], [1.0, 2.0], [1.0], [1.0, 2.0])


def test_paired_confidence_level_must_be_a_probability():
  with pytest.raises(ValueError, match='`confidence_level` must lie strictly'):
    stats.delong_test([0, 1], [0, 1], [0, 1], [0, 1], 95)
