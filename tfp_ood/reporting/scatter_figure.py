# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Figure of points in a plane."""

import numpy as np

from tfp_ood.reporting import _style

__all__ = [
  'scatter',
]

_FEW = 100
_SMALL, _LARGE = 8, 40  # Areas of points.


def scatter(points_by_name, xlabel=None, ylabel=None):
  """Draws the points of several data sets in one plane.

  Args:
    points_by_name: `dict` from `str` to arrays `[n, 2]` of finite numbers, the
      in-distribution data set first.
    xlabel: `str`, what the first coordinate is, with its unit; `None` for a plane
      without units.
    ylabel: `str`, likewise of the second.

  Returns:
    `matplotlib.figure.Figure`.

  Raises:
    ValueError: If there is no data set, or one is not of shape `[n, 2]` or finite.

  #### Example

  >>> figure = scatter({'CIFAR-10': [[0., 1.], [2., 3.]]})
  >>> figure.legends[0].get_texts()[0].get_text()
  'CIFAR-10'
  """
  if not points_by_name:
    raise ValueError(
      '`points_by_name` is empty; it needs one data set or more.'
    )
  has_units = xlabel is not None or ylabel is not None
  figure = _style.new_figure(height=4.8 if has_units else 6.4)
  axes = figure.subplots()
  if has_units:
    _style.style_axes(axes, xlabel, ylabel)
  else:
    axes.set(xticks=[], yticks=[])
  for i, (name, points) in enumerate(points_by_name.items()):
    points = np.asarray(points, np.float64)
    if (
      points.ndim != 2 or points.shape[1] != 2 or not np.isfinite(points).all()
    ):
      raise ValueError(
        f'`points_by_name[{name!r}]` must be finite points [n, 2]; got shape '
        f'{points.shape}.'
      )
    color = _style.line_style(i)['color']
    size = _LARGE if len(points) <= _FEW else _SMALL
    axes.scatter(*points.T, s=size, alpha=0.6, color=color, label=name)
  _style.add_legend(figure, axes)
  return figure
