# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""How a training went."""

import numpy as np

from tfp_ood import reporting
from tfp_ood.evaluation._text import capitalized, title

__all__ = ['training_curves']

_VALIDATION = 'val_'
_WATCHED = 'auroc_'
_OTHERS = ' of '  # As in 'bits_per_dim of svhn_cropped test'.


def training_curves(records, heading='Training'):
  """Shows what was measured after each epoch.

  Args:
    records: `dict` by run of what `tfp_ood.training.train_or_restore` returns.
    heading: `str`, the title of the section.

  Returns:
    `tfp_ood.reporting.Section`.

  #### Example

  >>> record = {
  ...     'steps': 20, 'examples': 640, 'seconds': 32.,
  ...     'epochs': [{'epoch': 1, 'seconds': 16., 'loss': 3., 'val_loss': 3.5},
  ...                {'epoch': 2, 'seconds': 16., 'loss': 2., 'val_loss': 3.}]}
  >>> section = training_curves({'glow': record})
  >>> (_, text), (_, figure) = section.tree()['parts']
  >>> text['text']
  'Glow: 20 steps, 640 examples, 0.5 minutes (20 examples/s).'
  >>> figure['name'], list(figure['arguments']['series_by_name'])
  ('training_loss', ['loss', 'val loss'])
  """
  section = reporting.Section(heading)
  for run, record in records.items():
    seconds = max(record['seconds'], 1e-9)
    section.add_text(
      f'{capitalized(title(run))}: {record["steps"]} steps, {record["examples"]} '
      f'examples, {seconds / 60:.1f} minutes '
      f'({record["examples"] / seconds:.0f} examples/s).'
    )
  runs = {run: record['epochs'] for run, record in records.items()}
  runs = {run: epochs for run, epochs in runs.items() if epochs}
  if not runs:
    section.add_text('No whole epoch was trained.')
    return section
  first = next(iter(runs.values()))[0]
  measured = [
    key
    for key in first
    if not key.startswith((_VALIDATION, _WATCHED))
    and _OTHERS not in key
    and key not in ('epoch', 'seconds')
  ]
  for key in measured:
    others = [name for name in first if name.startswith(key + _OTHERS)]
    keys = [key, _VALIDATION + key, *others]
    _add_curve(section, heading, title(key), runs, keys)
  watched = [key for key in first if key.startswith(_WATCHED)]
  if watched:
    _add_curve(section, heading, 'AUROC', runs, watched)
    section.add_text(
      'AUROCs in training are of the first examples of the data sets. They are '
      'watched, and nothing is chosen by them.'
    )
  return section


def _add_curve(section, heading, ylabel, runs, keys):
  """Draws a few columns of the record of each run, as far as they are finite."""
  series = {
    # What was not finite is None in the record.
    ', '.join([*([title(run)] if len(runs) > 1 else []), title(key)]): np.array(
      [row[key] for row in epochs], np.float64
    )
    for run, epochs in runs.items()
    for key in keys
    if key in epochs[0]
  }
  series = {name: v for name, v in series.items() if np.isfinite(v).all()}
  # Runs that were interrupted may be shorter.
  length = min(map(len, series.values()), default=0)
  if length:
    section.add_figure(
      f'{heading}_{ylabel}'.lower(),
      reporting.curve,
      f'{capitalized(ylabel)} by epoch.',
      x=np.arange(1, length + 1),
      series_by_name={name: v[:length] for name, v in series.items()},
      xlabel='epoch',
      ylabel=ylabel,
    )
