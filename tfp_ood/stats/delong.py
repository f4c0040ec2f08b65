# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""DeLong's confidence interval for the AUROC."""

import math
import typing

import numpy as np
from scipy import stats

from tfp_ood.stats import _scores

__all__ = [
  'AurocConfidenceInterval',
  'auroc_confidence_interval',
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
  if not 0.0 < confidence_level < 1.0:
    raise ValueError(
      '`confidence_level` must lie strictly between 0 and 1, such as 0.95; '
      f'got {confidence_level!r}.'
    )
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


def _check_has_variance(ranks, name):
  if ranks.size < 2:
    raise ValueError(
      f'`{name}` holds one score; a confidence interval needs at least two.'
    )


def _placements(in_ranks, out_ranks):
  """Fraction of the other set that each score beats (for in: is beaten by)."""
  # A midrank counts the scores below, plus half of those tied. Its excess over
  # the midrank within the score's own set counts the other set alone.
  midranks = stats.rankdata(np.concatenate([in_ranks, out_ranks]))
  in_midranks, out_midranks = np.split(midranks, [in_ranks.size])
  out_placements = (out_midranks - stats.rankdata(out_ranks)) / in_ranks.size
  in_placements = 1.0 - (
    (in_midranks - stats.rankdata(in_ranks)) / out_ranks.size
  )
  return in_placements, out_placements


def _unanimous_interval(auroc, num_pairs, confidence_level):
  """Clopper-Pearson bound where all independent pairs have one outcome."""
  q = ((1.0 - confidence_level) / 2.0) ** (1.0 / num_pairs)
  return AurocConfidenceInterval(
    auroc=auroc,
    lower=q * auroc,
    upper=1.0 - q * (1.0 - auroc),
    standard_error=0.0,
  )
