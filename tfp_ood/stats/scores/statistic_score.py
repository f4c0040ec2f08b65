# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""A statistic as a score."""

import operator

from tfp_ood.stats.scores import _tensors
from tfp_ood.stats.scores.score import Score

__all__ = ['StatisticScore']


class StatisticScore(Score):
  """One statistic, or minus it, as a score.

      score = sign * statistic

  A statistic of several numbers for each example, `[batch, columns]`, is read by
  one of its columns.

  #### Example

  >>> score = StatisticScore('total_variation', sign=-1)
  >>> score({'total_variation': [3.0, 5.0]}).numpy().tolist()
  [-3.0, -5.0]
  """

  def __init__(self, statistic, sign=1, column=None):
    """Instantiates the score.

    Args:
      statistic: `str`, its name.
      sign: 1 if large values are out-of-distribution, -1 if small ones are.
      column: Python `int`, counted from 0; `None` for a statistic of one number
        for each example.

    Raises:
      TypeError: if `column` is not an integer.
      ValueError: if `sign` is neither 1 nor -1, or `column` is negative.
    """
    if sign not in (1, -1):
      raise ValueError(
        f'{type(self).__name__}: `sign` must be 1 or -1, got {sign!r}.'
      )
    self.statistics = (statistic,)
    self._sign = int(sign)
    self._column = None if column is None else operator.index(column)
    if column is not None and column < 0:
      raise ValueError(
        f'{type(self).__name__}: columns count from 0, got {column}.'
      )

  @property
  def description(self):
    """What the score is, a `str`; a `Detector` loads its like alone."""
    column = '' if self._column is None else f', column {self._column}'
    return f'{super().description}, sign {self._sign}{column}'

  def __call__(self, statistics):
    (name,) = self.statistics
    values = _tensors.as_float(statistics[name], name)
    if self._column is None:
      if values.shape.rank not in (None, 1):
        raise ValueError(
          f'{type(self).__name__}: the statistic {name!r} must be one number per '
          f'example, [batch], got shape {values.shape}. A `StatisticScore` reads '
          'one of several by its argument `column`.'
        )
      return self._sign * values
    _tensors.check_is_matrix(values, name, 'columns')
    if (values.shape[1] or self._column + 1) <= self._column:
      raise ValueError(
        f'{type(self).__name__}: the statistic {name!r} has no column '
        f'{self._column}; it has {values.shape[1]}, counted from 0.'
      )
    return self._sign * values[:, self._column]
