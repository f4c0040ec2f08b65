# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Figures of overlaid histograms."""

import collections

import numpy as np

from tfp_ood.reporting import _style

__all__ = [
  'histogram_panels',
  'histograms',
]

# The axis reaches this many widths of the reference beyond it on each side.
_REACH = 1.5
# The highest peak shown, in peaks of the reference.
_HIGHEST_PEAK = 4.0
# A spread below this fraction of the value is rounding, not a distribution.
_ROUNDING = 1e-6
# A data set in fewer bins than this is drawn as a line.
_NARROWEST_IN_BINS = 1.5
_NOTE_HEIGHT = 0.22  # In inches, of 72 points.

# What is drawn: densities and lines by name, the bins, and what is told in words.
_Histograms = collections.namedtuple(
  '_Histograms', ['names', 'edges', 'lines', 'densities', 'peak', 'notes']
)


def histograms(
  values_by_name, xlabel, title=None, num_bins=60, log_scale=False
):
  """Draws normalized histograms of several data sets over one axis.

  The first data set is the in-distribution one, drawn filled. All share the
  same bins, and each has area 1. The axis fits the first data set that has any
  spread and whatever lies near it, so that one data set far away cannot
  squeeze the others into a line:

  - What lies beyond the axis (infinite values too) is told in a note above it,
    with an arrow.
  - A data set that is constant, up to rounding, or narrower than a bin or two
    is a vertical line.
  - A peak more than four times as high as the first one's is cut off, and told
    in a note.

  Args:
    values_by_name: `dict` from `str` to rank-1 array-likes of numbers, the
      in-distribution data set first. Infinite values are allowed.
    xlabel: `str`, what the values are, with their unit.
    title: `str` or `None`.
    num_bins: `int`, bins across the axis.
    log_scale: `bool`, whether the density (not the values) is logarithmic.

  Returns:
    `matplotlib.figure.Figure`.

  Raises:
    ValueError: If there is no data set, one is not of rank 1, is empty or holds
      NaN, none of the values is finite, or `num_bins` is not positive.

  #### Example

  >>> figure = histograms(
  ...     {'CIFAR-10': [3.1, 3.4, 3.5, 4.2], 'black': [0.01, 0.01]},
  ...     'bits per dimension')
  >>> figure.axes[0].get_xlabel()
  'bits per dimension'
  >>> figure.axes[0].texts[0].get_text()
  '◀ black: all beyond the axis, at 0.01'
  """
  counted = _count(values_by_name, num_bins)
  num_notes = len(counted.notes)
  figure = _style.new_figure(height=4.4 + _NOTE_HEIGHT * num_notes)
  axes = figure.subplots()
  _draw(axes, counted, xlabel, log_scale)
  if title is not None:
    axes.set_title(title, pad=6 + _NOTE_HEIGHT * 72 * num_notes)
  _style.add_legend(figure, axes)
  return figure


def histogram_panels(values_by_xlabel, num_bins=40):
  """Draws `histograms` of the same data sets by several scores, side by side.

  Args:
    values_by_xlabel: `dict` from the label of each panel's axis to a `dict` of the
      values of each data set, as `histograms` takes them; the names are the same in
      all panels.
    num_bins: `int`, bins across each axis.

  Returns:
    `matplotlib.figure.Figure`.

  Raises:
    ValueError: If there is no panel, the panels have other data sets, or for a panel
      as in `histograms`.

  #### Example

  >>> figure = histogram_panels({
  ...     'likelihood': {'photographs': [3.0, 4.0], 'digits': [1.0, 2.0]},
  ...     'default score': {'photographs': [1.0, 2.0], 'digits': [8.0, 9.0]}})
  >>> [axes.get_xlabel() for axes in figure.axes]
  ['likelihood', 'default score']
  """
  if len({tuple(values) for values in values_by_xlabel.values()}) != 1:
    raise ValueError(
      '`values_by_xlabel` must have at least one panel, and the same data sets, in '
      'the same order, in each.'
    )
  counted = {
    xlabel: _count(values, num_bins)
    for xlabel, values in values_by_xlabel.items()
  }
  num_notes = max(len(histograms.notes) for histograms in counted.values())
  figure = _style.new_figure(
    width=4.4 * len(counted), height=3.6 + _NOTE_HEIGHT * num_notes
  )
  panels = figure.subplots(1, len(counted), squeeze=False)[0]
  for axes, (xlabel, histograms) in zip(panels, counted.items(), strict=True):
    _draw(axes, histograms, xlabel, log_scale=False)
  _style.add_legend(figure, panels[0])
  return figure


def _count(values_by_name, num_bins):
  """Sorts the values of data sets into bins that all share."""
  if num_bins < 1:
    raise ValueError(f'`num_bins` must be positive, got {num_bins}.')
  if not values_by_name:
    raise ValueError(
      '`values_by_name` is empty; it needs one data set or more.'
    )
  values_by_name = {
    name: _checked_values(name, values)
    for name, values in values_by_name.items()
  }
  left, right = _axis_range(list(values_by_name.values()))
  edges = np.linspace(left, right, num_bins + 1)
  shown = {
    name: values[(values >= left) & (values <= right)]
    for name, values in values_by_name.items()
  }
  lines, densities = _lines_and_densities(values_by_name, shown, edges)
  peak = _highest_density_shown(densities)
  notes = _beyond_notes(values_by_name, left, right)
  notes += _cut_notes(densities, peak)
  return _Histograms(list(values_by_name), edges, lines, densities, peak, notes)


def _draw(axes, counted, xlabel, log_scale):
  """Draws what `_count` counted."""
  _, edges, lines, densities, peak, notes = counted
  _style.style_axes(axes, xlabel, 'density' if densities else '')
  axes.set_xlim(edges[0], edges[-1])
  _scale_density(axes, densities, peak, log_scale)
  for i, name in enumerate(counted.names):
    if name in densities:
      _draw_histogram(axes, name, densities[name], edges, i)
    elif name in lines:
      _draw_line(axes, name, lines, edges[1] - edges[0], i)
  _draw_notes(axes, notes)


def _checked_values(name, values):
  values = np.asarray(values, dtype=np.float64)
  if values.ndim != 1 or values.size == 0:
    raise ValueError(
      f'`values_by_name[{name!r}]` has shape {values.shape}; it must have rank '
      '1 and at least one value.'
    )
  num_nan = np.count_nonzero(np.isnan(values))
  if num_nan:
    raise ValueError(
      f'`values_by_name[{name!r}]` holds {num_nan} NaN among {values.size} '
      'values. Leave them out and say so in the caption.'
    )
  return values


def _axis_range(data_sets):
  """Left and right end of the axis."""
  finite = [values[np.isfinite(values)] for values in data_sets]
  finite = [values for values in finite if values.size]
  if not finite:
    raise ValueError(
      '`values_by_name` holds no finite value; there is nothing to draw.'
    )
  spread = [values for values in finite if not _is_constant(values)]
  if spread:
    # Quantiles, or one outlier would stretch the axis.
    low, high = np.quantile(spread[0], [0.01, 0.99])
    if low == high:
      low, high = np.min(spread[0]), np.max(spread[0])
    reach = _REACH * (high - low)
    near = [
      values[(values >= low - reach) & (values <= high + reach)]
      for values in finite
    ]
    finite = [values for values in near if values.size]
  left = min(np.min(values) for values in finite)
  right = max(np.max(values) for values in finite)
  margin = 0.03 * (right - left)
  if right - left <= _ROUNDING * max(abs(left), abs(right)):
    margin = max(0.05 * max(abs(left), abs(right)), 0.5)
  return left - margin, right + margin


def _is_constant(values):
  return np.ptp(values) <= _ROUNDING * np.max(np.abs(values))


def _lines_and_densities(values_by_name, shown, edges):
  """Parts the data sets on the axis into narrow ones and all others."""
  bin_width = edges[1] - edges[0]
  lines, densities = {}, {}
  for name, values in shown.items():
    if not values.size:
      continue
    if np.ptp(values) < _NARROWEST_IN_BINS * bin_width:
      lines[name] = values
    else:
      # By the size of the whole set: the area beyond the axis is missing.
      counts, _ = np.histogram(values, edges)
      densities[name] = counts / (values_by_name[name].size * bin_width)
  return lines, densities


def _highest_density_shown(densities):
  if not densities:  # Only lines, which reach from bottom to top.
    return 1.0
  peaks = [np.max(density) for density in densities.values()]
  return min(max(peaks), _HIGHEST_PEAK * peaks[0])


def _beyond_notes(values_by_name, left, right):
  """Pairs (side, text) about the values to the left or right of the axis."""
  notes = []
  for name, values in values_by_name.items():
    for side, beyond in [
      ('left', values[values < left]),
      ('right', values[values > right]),
    ]:
      if beyond.size:
        # Two digits, but never 1e+02.
        percent = f'{float(f"{100 * beyond.size / values.size:.2g}"):g} %'
        share = 'all' if beyond.size == values.size else percent
        text = f'{name}: {share} beyond the axis, {_extent(beyond)}'
        notes.append((side, f'◀ {text}' if side == 'left' else f'{text} ▶'))
  return notes


def _cut_notes(densities, peak):
  return [
    ('center', f'▲ {name}: peak cut off, density up to {np.max(density):.3g}')
    for name, density in densities.items()
    if np.max(density) > peak
  ]


def _extent(values):
  low, high = f'{np.min(values):.4g}', f'{np.max(values):.4g}'
  return f'at {low}' if low == high else f'from {low} to {high}'


def _scale_density(axes, densities, peak, log_scale):
  if not densities:
    axes.set(ylim=(0.0, 1.0), yticks=[])
    axes.spines['left'].set_visible(False)
  elif log_scale:
    lowest = min(np.min(density[density > 0]) for density in densities.values())
    axes.set(yscale='log', ylim=(0.5 * lowest, 1.5 * peak))
  else:
    axes.set_ylim(0.0, 1.05 * peak)


def _draw_histogram(axes, name, density, edges, index):
  style = _style.line_style(index)
  in_distribution = index == 0
  # From the first to the last value, not along the whole axis at zero.
  first, last = np.flatnonzero(density)[[0, -1]]
  density, edges = density[first : last + 1], edges[first : last + 2]
  axes.stairs(
    density,
    edges,
    fill=True,
    color=style['color'],
    alpha=0.3 if in_distribution else 0.07,
    linewidth=0,
  )
  axes.stairs(
    density,
    edges,
    label=name,
    linewidth=2.2 if in_distribution else 1.6,
    **style,
  )


def _draw_line(axes, name, lines, bin_width, index):
  where = np.median(lines[name])
  # Lines that would cover each other take turns, dash by dash. All have one
  # width, which dashes scale with.
  together = [
    other
    for other, values in lines.items()
    if abs(np.median(values) - where) < bin_width
  ]
  turn, num_turns = together.index(name), len(together)
  dash = 4.0
  pattern = (-turn * dash, (dash, (num_turns - 1) * dash))
  style = {'color': _style.line_style(index)['color'], 'linewidth': 2.4}
  axes.axvline(
    where,
    ymax=0.97,
    linestyle='-' if num_turns == 1 else pattern,
    dash_capstyle='butt',
    **style,
  )
  # The legend shows a whole line, whatever the dashes.
  axes.plot([], [], label=f'{name}: {_extent(lines[name])}', **style)


def _draw_notes(axes, notes):
  """One above the other over the axes, in the order given."""
  for i, (side, text) in enumerate(reversed(notes)):
    axes.annotate(
      text,
      ({'left': 0.0, 'center': 0.5, 'right': 1.0}[side], 1.0),
      (0.0, 4 + _NOTE_HEIGHT * 72 * i),
      xycoords='axes fraction',
      textcoords='offset points',
      ha=side,
      fontsize=9,
      color=_style.INK,
    )
