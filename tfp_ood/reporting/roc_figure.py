# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Figure of receiver operating characteristics."""

import numpy as np

from tfp_ood.reporting import _style

__all__ = [
  'roc_curves',
]


def roc_curves(curves_by_name, title=None):
  """Draws one receiver operating characteristic for each data set.

  Args:
    curves_by_name: `dict` from the `str` name of an out-of-distribution data
      set to a triple `(false_positive_rate, true_positive_rate, auroc)`: two
      array-likes `[n]` of numbers in [0, 1] and a `float`, such as
      `(*stats.roc_curve(...), stats.auroc(...))`.
    title: `str` or `None`.

  Returns:
    `matplotlib.figure.Figure`, with the AUROCs in the legend.

  Raises:
    ValueError: If there is no curve, or rates are not of one shape `[n]` or
      not in [0, 1].

  #### Example

  >>> figure = roc_curves({'SVHN': ([0., 0.5, 1.], [0., 0.75, 1.], 0.625)})
  >>> figure.legends[0].get_texts()[0].get_text()
  'SVHN (AUROC 0.625)'
  """
  if not curves_by_name:
    raise ValueError('`curves_by_name` is empty; it needs at least one curve.')
  # A square, and a row of the legend for each curve.
  figure = _style.new_figure(5.2, 5.2 + 0.2 * len(curves_by_name))
  axes = figure.subplots()
  _style.style_axes(
    axes,
    'false positive rate (in-distribution flagged)',
    'true positive rate (out-of-distribution flagged)',
  )
  axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01), aspect='equal')
  if title is not None:
    axes.set_title(title)
  for i, (name, (*rates, auroc)) in enumerate(curves_by_name.items()):
    axes.plot(
      *_checked_rates(name, *rates),
      label=f'{name} (AUROC {auroc:.3f})',
      linewidth=1.8,
      **_style.line_style(i),
    )
  axes.plot([0, 1], [0, 1], color='#888888', linewidth=0.8, label='chance')
  _style.add_legend(figure, axes, characters=62)
  return figure


def _checked_rates(name, false_positive_rate, true_positive_rate):
  rates = [np.asarray(false_positive_rate), np.asarray(true_positive_rate)]
  if rates[0].ndim != 1 or rates[0].shape != rates[1].shape:
    raise ValueError(
      f'`curves_by_name[{name!r}]` has rates of shapes {rates[0].shape} and '
      f'{rates[1].shape}; they must have one and the same length.'
    )
  if not all(np.all((rate >= 0) & (rate <= 1)) for rate in rates):
    raise ValueError(
      f'`curves_by_name[{name!r}]` has rates outside [0, 1]; give fractions, '
      'false positive rate first.'
    )
  return rates
