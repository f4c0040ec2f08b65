# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""DeLong's confidence interval for an AUROC, and test of two of them."""

import math
import typing

import numpy as np
from scipy import stats

from tfp_ood.stats import _fractions
from tfp_ood.stats.metrics import _scores

__all__ = [
  'AurocConfidenceInterval',
  'DelongTest',
  'auroc_confidence_interval',
  'delong_test',
]


class AurocConfidenceInterval(typing.NamedTuple):
  """An AUROC and how far it can be trusted.

  Attributes:
    auroc: `float` in [0, 1], the estimate.
    lower: `float` in [0, 1], the lower end of the interval.
    upper: `float` in [0, 1], the upper end of the interval.
    standard_error: `float`, DeLong's; 0 where all pairs agree (see
      `auroc_confidence_interval`), and then no measure of certainty.
  """

  auroc: float
  lower: float
  upper: float
  standard_error: float


class DelongTest(typing.NamedTuple):
  """The difference of two AUROCs on the same examples, and its test.

  Attributes:
    difference: `float` in [-1, 1], `first_auroc - second_auroc`.
    lower: `float` in [-1, 1], the lower end of the difference's interval.
    upper: `float` in [-1, 1], the upper end of the difference's interval.
    standard_error: `float`, DeLong's, of the difference; 0 where all examples
      agree (see `delong_test`), and then no measure of certainty.
    p_value: `float` in [0, 1], two-sided, of the hypothesis that the AUROCs are
      equal.
    first_auroc: `float` in [0, 1].
    second_auroc: `float` in [0, 1].
  """

  difference: float
  lower: float
  upper: float
  standard_error: float
  p_value: float
  first_auroc: float
  second_auroc: float


def auroc_confidence_interval(
  in_distribution_scores, out_of_distribution_scores, confidence_level=0.95
):
  """AUROC with DeLong's confidence interval.

  The interval covers the chance in drawing the two sets of examples; the model
  is taken as fixed. With `m` out-of-distribution and `n` in-distribution
  scores,

  ```none
  standard_error^2 = var(placements_out) / m + var(placements_in) / n
  [lower, upper] = auroc -+ normal_quantile * standard_error, cut to [0, 1]
  ```

  where the placement of a score is the fraction of the other set that it beats
  (ties count half), found from midranks in O((m + n) log(m + n)).

  DeLong's variance is zero where every pair of scores compares alike: all
  separated (AUROC 0 or 1) or all tied (0.5). An interval of no width would be
  absurd, so there the exact binomial bound of Clopper and Pearson stands in.
  The sets hold `k = min(m, n)` independent pairs, all of one outcome, whose
  probability is therefore at least `q = ((1 - confidence_level) / 2)^(1 / k)`:

  ```none
  [lower, upper] = [q * auroc, 1 - q * (1 - auroc)]
  ```

  This is conservative: about `[1 - 3.7 / k, 1]` for an AUROC of 1 at 95 %.

  Args:
    in_distribution_scores: Rank-1 array-like of at least two scores, larger =
      more out-of-distribution. Infinite scores are allowed.
    out_of_distribution_scores: Rank-1 array-like of at least two scores, on
      the same scale.
    confidence_level: `float` strictly between 0 and 1.

  Returns:
    `AurocConfidenceInterval`.

  Raises:
    ValueError: If either set of scores is not of rank 1, has fewer than two
      scores or holds NaN, or `confidence_level` is not between 0 and 1.

  #### Example

  >>> interval = auroc_confidence_interval(
  ...     [0.1, 0.2, 0.3, 0.4], [0.25, 0.3, 0.9, 1.5])
  >>> [round(value, 4) for value in interval]
  [0.7812, 0.4241, 1.0, 0.1822]
  >>> separated = auroc_confidence_interval([1., 2., 3.], [4., 5., 6.])
  >>> round(separated.lower, 4), separated.upper
  (0.2924, 1.0)

  #### References

  [1]: Elizabeth DeLong, David DeLong, and Daniel Clarke-Pearson. Comparing the
       areas under two or more correlated receiver operating characteristic
       curves. _Biometrics_, 44(3):837-845, 1988.
  [2]: Xu Sun and Weichao Xu. Fast implementation of DeLong's algorithm for
       comparing the areas under correlated receiver operating characteristic
       curves. _IEEE Signal Processing Letters_, 21(11):1389-1393, 2014.
  [3]: Charles Clopper and Egon Pearson. The use of confidence or fiducial
       limits illustrated in the case of the binomial. _Biometrika_,
       26(4):404-413, 1934.
  """
  _fractions.check_fraction(confidence_level, 'confidence_level', 0.95)
  in_ranks, out_ranks = _scores.ranked_scores(
    in_distribution_scores, out_of_distribution_scores
  )
  _check_has_variance(in_ranks, 'in_distribution_scores')
  _check_has_variance(out_ranks, 'out_of_distribution_scores')

  in_placements, out_placements = _placements(in_ranks, out_ranks)
  auroc = float(np.mean(out_placements))
  if np.ptp(in_placements) == 0 and np.ptp(out_placements) == 0:
    # Taken from one placement: a mean of equal numbers may round.
    return _unanimous_interval(
      float(out_placements[0]),
      min(in_ranks.size, out_ranks.size),
      confidence_level,
    )
  standard_error = math.sqrt(
    np.var(out_placements, ddof=1) / out_ranks.size
    + np.var(in_placements, ddof=1) / in_ranks.size
  )
  half_width = stats.norm.ppf(0.5 + confidence_level / 2.0) * standard_error
  return AurocConfidenceInterval(
    auroc=auroc,
    lower=float(max(0.0, auroc - half_width)),
    upper=float(min(1.0, auroc + half_width)),
    standard_error=standard_error,
  )


def delong_test(
  first_in_distribution_scores,
  first_out_of_distribution_scores,
  second_in_distribution_scores,
  second_out_of_distribution_scores,
  confidence_level=0.95,
):
  """DeLong's paired test of whether two scores have the same AUROC.

  Both scores are of the same examples, in the same order, and so the two AUROCs
  are correlated. Their covariance is counted by taking each example's
  difference of placements (see `auroc_confidence_interval`). With `m`
  out-of-distribution and `n` in-distribution examples,

  ```none
  difference = first_auroc - second_auroc
  standard_error^2 = var(first_placements_out - second_placements_out) / m
                     + var(first_placements_in - second_placements_in) / n
  [lower, upper] = difference -+ normal_quantile * standard_error,
                   cut to [-1, 1]
  p_value = 2 * normal_cdf(-|difference| / standard_error)
  ```

  The variance is zero where the two scores rank alike (difference 0), or where
  they differ by as much on every example, as when the first separates the sets
  and the second has them the wrong way round. Neither is certainty. The sets
  hold `k = min(m, n)` independent pairs; where the two scores differ by
  `difference` on every pair, that outcome's probability is at least
  `q = ((1 - confidence_level) / 2)^(1 / k)`, and if the AUROCs are equal, it is
  at most `1 / (1 + |difference|)` (a sign test, for a difference of 1):

  ```none
  [lower, upper] = q * difference -+ (1 - q), cut to [-1, 1]
  p_value = min(1, 2 * (1 + |difference|)^-k)
  ```

  A difference of 0 has a p-value of 1. In what remains, a variance of zero
  though the pairs differ (tiny sets, such as scores that alternate between
  them), Hoeffding's inequality bounds both:

  ```none
  [lower, upper] = difference -+ sqrt(2 * log(2 / (1 - confidence_level)) / k),
                   cut to [-1, 1]
  p_value = min(1, 2 * exp(-k * difference^2 / 2))
  ```

  Args:
    first_in_distribution_scores: Rank-1 array-like of at least two scores,
      larger = more out-of-distribution. Infinite scores are allowed.
    first_out_of_distribution_scores: Rank-1 array-like of at least two scores,
      on the same scale.
    second_in_distribution_scores: Rank-1 array-like, the other score of the
      examples of `first_in_distribution_scores`. Its scale may be another.
    second_out_of_distribution_scores: Rank-1 array-like, the other score of the
      examples of `first_out_of_distribution_scores`.
    confidence_level: `float` strictly between 0 and 1.

  Returns:
    `DelongTest`.

  Raises:
    ValueError: If any of the scores are not of rank 1, are fewer than two or
      hold NaN, if the first and second scores are not equally many, or
      `confidence_level` is not between 0 and 1.

  #### Example

  >>> test = delong_test([0.1, 0.2, 0.3, 0.4], [0.25, 0.3, 0.9, 1.5],
  ...                    [3., 1., 7., 2.], [5., 2., 9., 1.])
  >>> [round(value, 4) for value in test]
  [0.2188, -0.3268, 0.7643, 0.2783, 0.4319, 0.7812, 0.5625]
  >>> ones, twos = [1.] * 9, [2.] * 9
  >>> delong_test(ones, twos, twos, ones).p_value  # AUROCs 1 and 0: 2 / 2^9.
  0.00390625

  #### References

  [1]: Elizabeth DeLong, David DeLong, and Daniel Clarke-Pearson. Comparing the
       areas under two or more correlated receiver operating characteristic
       curves. _Biometrics_, 44(3):837-845, 1988.
  [2]: Wassily Hoeffding. Probability inequalities for sums of bounded random
       variables. _Journal of the American Statistical Association_,
       58(301):13-30, 1963. Section 5.
  """
  _fractions.check_fraction(confidence_level, 'confidence_level', 0.95)
  first_in, second_in = _paired_scores(
    first_in_distribution_scores,
    second_in_distribution_scores,
    'in_distribution_scores',
  )
  first_out, second_out = _paired_scores(
    first_out_of_distribution_scores,
    second_out_of_distribution_scores,
    'out_of_distribution_scores',
  )
  num_in, num_out = first_in.size, first_out.size
  first_in_wins, first_out_wins = _wins(
    *_scores.ranked_scores(first_in, first_out)
  )
  second_in_wins, second_out_wins = _wins(
    *_scores.ranked_scores(second_in, second_out)
  )
  # Wins are whole or half numbers, so that differences of them are exact and
  # a variance of zero is seen to be one.
  in_differences = first_in_wins - second_in_wins
  out_differences = first_out_wins - second_out_wins
  difference = float(np.sum(out_differences) / (num_in * num_out))

  standard_error = 0.0
  num_pairs = min(num_in, num_out)
  tail = (1.0 - confidence_level) / 2.0
  if np.ptp(in_differences) > 0 or np.ptp(out_differences) > 0:
    standard_error = math.sqrt(
      np.var(out_differences / num_in, ddof=1) / num_out
      + np.var(in_differences / num_out, ddof=1) / num_in
    )
    center, half_width = difference, -stats.norm.ppf(tail) * standard_error
    p_value = 2.0 * stats.norm.sf(abs(difference) / standard_error)
  elif difference == 0.0 or (
    np.ptp(first_out_wins) == np.ptp(first_in_wins) == 0
    and np.ptp(second_out_wins) == np.ptp(second_in_wins) == 0
  ):
    # The two scores differ by the same on every pair. (The wins of all examples
    # determine how each pair compares, so equal wins mean that none differs.)
    q = tail ** (1.0 / num_pairs)
    center, half_width = q * difference, 1.0 - q
    p_value = min(1.0, 2.0 * (1.0 + abs(difference)) ** -num_pairs)
  else:
    center = difference
    half_width = math.sqrt(-2.0 * math.log(tail) / num_pairs)
    p_value = min(1.0, 2.0 * math.exp(-num_pairs * difference**2 / 2.0))
  return DelongTest(
    difference=difference,
    lower=float(max(-1.0, center - half_width)),
    upper=float(min(1.0, center + half_width)),
    standard_error=standard_error,
    p_value=float(p_value),
    first_auroc=float(np.sum(first_out_wins) / (num_in * num_out)),
    second_auroc=float(np.sum(second_out_wins) / (num_in * num_out)),
  )


def _paired_scores(first, second, name):
  first = _scores._checked_scores(first, f'first_{name}')
  second = _scores._checked_scores(second, f'second_{name}')
  if first.size != second.size:
    raise ValueError(
      f'`first_{name}` and `second_{name}` must be scores of the same '
      f'examples, in the same order; got {first.size} and {second.size} scores.'
    )
  _check_has_variance(first, f'first_{name}')
  return first, second


def _check_has_variance(scores, name):
  if scores.size < 2:
    raise ValueError(
      f'`{name}` holds one score; a confidence interval needs at least two.'
    )


def _placements(in_ranks, out_ranks):
  """Fraction of the other set that each score beats (for in: is beaten by)."""
  in_wins, out_wins = _wins(in_ranks, out_ranks)
  return in_wins / out_ranks.size, out_wins / in_ranks.size


def _wins(in_ranks, out_ranks):
  """Like placements, but counts; ties count half. Exact in floating point."""
  # A midrank counts the scores below, plus half of those tied. Its excess over
  # the midrank within the score's own set counts the other set alone.
  midranks = stats.rankdata(np.concatenate([in_ranks, out_ranks]))
  in_midranks, out_midranks = np.split(midranks, [in_ranks.size])
  out_wins = out_midranks - stats.rankdata(out_ranks)
  in_wins = out_ranks.size - (in_midranks - stats.rankdata(in_ranks))
  return in_wins, out_wins


def _unanimous_interval(auroc, num_pairs, confidence_level):
  """Clopper-Pearson bound where all independent pairs have one outcome."""
  q = ((1.0 - confidence_level) / 2.0) ** (1.0 / num_pairs)
  return AurocConfidenceInterval(
    auroc=auroc,
    lower=q * auroc,
    upper=1.0 - q * (1.0 - auroc),
    standard_error=0.0,
  )
