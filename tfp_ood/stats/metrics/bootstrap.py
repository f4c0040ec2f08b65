# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Bootstrap confidence intervals for any metric of two sets of scores."""

import operator
import typing

import numpy as np

from tfp_ood.stats import _fractions
from tfp_ood.stats.metrics import _scores

__all__ = [
  'BootstrapConfidenceInterval',
  'bootstrap_confidence_interval',
]


class BootstrapConfidenceInterval(typing.NamedTuple):
  """A metric and how far it can be trusted.

  Attributes:
    estimate: `float`, the metric of the given scores.
    lower: `float`, the lower end of the interval.
    upper: `float`, the upper end of the interval.
    standard_error: `float`, the standard deviation over the resamples.
  """

  estimate: float
  lower: float
  upper: float
  standard_error: float


def bootstrap_confidence_interval(
  metric,
  in_distribution_scores,
  out_of_distribution_scores,
  num_resamples=1000,
  confidence_level=0.95,
  seed=0,
):
  """Stratified percentile bootstrap of any metric.

  Each resample draws as many scores as there are from each set, with
  replacement and within the set. The interval lies between the quantiles
  `(1 - confidence_level) / 2` and `(1 + confidence_level) / 2` of the metric
  over the resamples. Like DeLong's, it covers the chance in drawing the two
  sets of examples; the model is taken as fixed.

  A resample holds no score that was not observed. Where all resamples have one
  value, as when the sets are fully separated, the interval has no width and
  says nothing: for the AUROC, `auroc_confidence_interval` has a bound there.
  Intervals of metrics that rest on a few examples in the tail, such as a false
  positive rate at 95 % true positive rate of 50 examples, are rough.

  With the same seed and sizes, all metrics see the same resamples.

  Args:
    metric: Callable `metric(in_distribution_scores,
      out_of_distribution_scores)` that takes two float64 arrays and returns one
      finite number, such as `average_precision_out`.
    in_distribution_scores: Rank-1 array-like of at least two scores, larger =
      more out-of-distribution. Infinite scores are passed on to `metric`.
    out_of_distribution_scores: Rank-1 array-like of at least two scores, on
      the same scale.
    num_resamples: `int`, at least 2.
    confidence_level: `float` strictly between 0 and 1.
    seed: `int`, for `numpy.random.default_rng`. The same seed gives the same
      interval.

  Returns:
    `BootstrapConfidenceInterval`.

  Raises:
    TypeError: If `num_resamples` or `seed` is not an integer.
    ValueError: If either set of scores is not of rank 1, has fewer than two
      scores or holds NaN, if `num_resamples` is less than 2,
      `confidence_level` is not between 0 and 1, or `metric` returns anything
      but one finite number.

  #### Example

  >>> from tfp_ood import stats
  >>> interval = bootstrap_confidence_interval(
  ...     stats.average_precision_out, [0.1, 0.2, 0.3, 0.8], [0.25, 0.5, 0.9])
  >>> round(interval.estimate, 4)
  0.7556
  >>> interval.lower < interval.estimate < interval.upper
  True

  #### References

  [1]: Bradley Efron and Robert Tibshirani. _An Introduction to the Bootstrap_.
       Chapman and Hall, 1993. Chapter 13.
  """
  _fractions.check_fraction(confidence_level, 'confidence_level', 0.95)
  num_resamples = _checked_integer(num_resamples, 'num_resamples')
  if num_resamples < 2:
    raise ValueError(
      '`num_resamples` must be at least 2, and 1000 for quantiles to be '
      f'trusted; got {num_resamples}.'
    )
  seed = _checked_integer(seed, 'seed')
  in_scores = _resamplable_scores(
    in_distribution_scores, 'in_distribution_scores'
  )
  out_scores = _resamplable_scores(
    out_of_distribution_scores, 'out_of_distribution_scores'
  )

  estimate = _metric_value(metric, in_scores, out_scores)
  random = np.random.default_rng(seed)
  resampled = np.empty(num_resamples)
  for i in range(num_resamples):
    resampled[i] = _metric_value(
      metric,
      random.choice(in_scores, in_scores.size),
      random.choice(out_scores, out_scores.size),
    )
  lower, upper = np.quantile(
    resampled, [0.5 - confidence_level / 2.0, 0.5 + confidence_level / 2.0]
  )
  return BootstrapConfidenceInterval(
    estimate=estimate,
    lower=float(lower),
    upper=float(upper),
    standard_error=float(np.std(resampled, ddof=1)),
  )


def _checked_integer(value, name):
  try:
    return operator.index(value)
  except TypeError as error:
    raise TypeError(f'`{name}` must be an integer; got {value!r}.') from error


def _resamplable_scores(scores, name):
  scores = _scores._checked_scores(scores, name)
  if scores.size < 2:
    # All resamples of one score are alike: its chance would go uncounted.
    raise ValueError(
      f'`{name}` holds one score; a confidence interval needs at least two.'
    )
  return scores


def _metric_value(metric, in_scores, out_scores):
  value = np.asarray(metric(in_scores, out_scores), dtype=np.float64)
  if value.ndim != 0 or not np.isfinite(value):
    raise ValueError(
      '`metric` must return one finite number for the scores and for every '
      f'resample of them; got {value}.'
    )
  return float(value)
