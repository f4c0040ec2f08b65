# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Figure of series over a common axis."""

import numpy as np
from matplotlib import ticker

from tfp_ood.reporting import _style

__all__ = [
  'curve',
]

_MOST_POINTS_WITH_MARKERS = 30


def curve(
  x, series_by_name, xlabel, ylabel, title=None, intervals_by_name=None
):
  """Draws one line for each series, such as a loss over training steps.

  Args:
    x: Array-like `[n]` of finite numbers.
    series_by_name: `dict` from `str` to array-like `[n]` of finite numbers.
    xlabel: `str`, what `x` is, with its unit.
    ylabel: `str`, what the series are, with their unit.
    title: `str` or `None`.
    intervals_by_name: `dict` from names in `series_by_name` to pairs
      `(lower, upper)` of array-likes `[n]`, shaded around the line; or `None`.

  Returns:
    `matplotlib.figure.Figure`.

  Raises:
    ValueError: If there is no series, a shape is not `[n]`, a number is not
      finite, or an interval has no series.

  #### Example

  >>> figure = curve([0, 1, 2], {'train': [8.0, 5.0, 4.5]},
  ...                'step', 'bits per dimension')
  >>> figure.axes[0].get_ylabel()
  'bits per dimension'
  """
  x = _checked_series('x', x, np.shape(x))
  intervals_by_name = intervals_by_name or {}
  if not series_by_name:
    raise ValueError('`series_by_name` is empty; it needs at least one series.')
  unknown = sorted(set(intervals_by_name) - set(series_by_name))
  if unknown:
    raise ValueError(
      f'`intervals_by_name` has {unknown}, not among the series '
      f'{list(series_by_name)}.'
    )
  figure = _style.new_figure()
  axes = figure.subplots()
  _style.style_axes(axes, xlabel, ylabel)
  if np.all(x == np.round(x)):  # Epochs have no halves.
    axes.xaxis.set_major_locator(ticker.MaxNLocator(integer=True))
  if title is not None:
    axes.set_title(title)
  marker = 'o' if x.size <= _MOST_POINTS_WITH_MARKERS else None
  for i, (name, series) in enumerate(series_by_name.items()):
    series = _checked_series(f'series_by_name[{name!r}]', series, x.shape)
    style = _style.line_style(i)
    axes.plot(x, series, label=name, marker=marker, markersize=4, **style)
    if name in intervals_by_name:
      lower, upper = (
        _checked_series(f'intervals_by_name[{name!r}]', bound, x.shape)
        for bound in intervals_by_name[name]
      )
      axes.fill_between(
        x, lower, upper, color=style['color'], alpha=0.2, linewidth=0
      )
  if len(series_by_name) > 1:
    _style.add_legend(figure, axes)
  return figure


def _checked_series(name, series, shape):
  series = np.asarray(series, dtype=np.float64)
  if series.shape != shape or series.ndim != 1 or series.size == 0:
    raise ValueError(
      f'`{name}` has shape {series.shape}; it must have rank 1, at least one '
      'number, and as many as `x`.'
    )
  num_bad = np.count_nonzero(~np.isfinite(series))
  if num_bad:
    raise ValueError(
      f'`{name}` holds {num_bad} NaN or infinite values among {series.size}; a '
      'line cannot show them. Leave them out and say so in the caption.'
    )
  return series
