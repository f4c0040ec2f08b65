# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a result is worth when training is repeated."""

import math
import typing

import numpy as np
from scipy import stats

from tfp_ood.stats import _fractions

__all__ = [
  'MeanOverSeeds',
  'mean_over_seeds',
]


class MeanOverSeeds(typing.NamedTuple):
  """The mean of a result over training runs and how far it can be trusted.

  Attributes:
    mean: `float`.
    lower: `float`, the lower end of the mean's confidence interval.
    upper: `float`, the upper end of the mean's confidence interval.
    standard_deviation: `float`, of one run (divided by `num_seeds - 1`), not of
      the mean.
    num_seeds: `int`, the number of runs.
  """

  mean: float
  lower: float
  upper: float
  standard_deviation: float
  num_seeds: int


def mean_over_seeds(values, confidence_level=0.95):
  """Mean and Student-t interval of a result over training runs.

  ```none
  [lower, upper] = mean -+ t_quantile(num_seeds - 1) * standard_deviation
                           / sqrt(num_seeds)
  ```

  The interval covers the chance in training (initialization, order of the data,
  noise), for results that are about normally distributed over seeds. The chance
  in drawing the test examples is another matter, since all runs share them:
  see `auroc_confidence_interval` and `bootstrap_confidence_interval`. The
  interval is not cut to the range of the metric.

  Args:
    values: Rank-1 array-like of at least two finite numbers, one for each
      training run; the runs differ in nothing but their seeds.
    confidence_level: `float` strictly between 0 and 1.

  Returns:
    `MeanOverSeeds`.

  Raises:
    ValueError: If `values` is not of rank 1, holds fewer than two numbers or
      one that is not finite, or `confidence_level` is not between 0 and 1.

  #### Example

  >>> result = mean_over_seeds([0.91, 0.93, 0.95])
  >>> [round(value, 4) for value in result]
  [0.93, 0.8803, 0.9797, 0.02, 3]

  #### References

  [1]: Student. The probable error of a mean. _Biometrika_, 6(1):1-25, 1908.
  """
  _fractions.check_fraction(confidence_level, 'confidence_level', 0.95)
  values = _checked_values(values)
  mean = float(np.mean(values))
  standard_deviation = float(np.std(values, ddof=1))
  quantile = stats.t.ppf(0.5 + confidence_level / 2.0, values.size - 1)
  half_width = float(quantile * standard_deviation / math.sqrt(values.size))
  return MeanOverSeeds(
    mean=mean,
    lower=mean - half_width,
    upper=mean + half_width,
    standard_deviation=standard_deviation,
    num_seeds=values.size,
  )


def _checked_values(values):
  values = np.asarray(values, dtype=np.float64)
  if values.ndim != 1:
    raise ValueError(
      f'`values` must have rank 1, one number per training run; got shape '
      f'{values.shape}.'
    )
  if values.size < 2:
    raise ValueError(
      f'`values` holds {values.size} of the at least two training runs that an '
      'interval needs. Train with another seed, or report the one value '
      'without an interval.'
    )
  num_not_finite = np.count_nonzero(~np.isfinite(values))
  if num_not_finite:
    raise ValueError(
      f'`values` holds {num_not_finite} NaN or infinite among {values.size} '
      'numbers. Find out why these runs failed: leaving them out flatters the '
      'mean.'
    )
  return values
