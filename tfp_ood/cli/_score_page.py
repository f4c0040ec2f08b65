# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The page on the images of a folder."""

import pathlib

import numpy as np

from tfp_ood import datasets, reporting, stats
from tfp_ood.cli._errors import CommandError

__all__ = ['write_page']

_NUM_SHOWN = 18
_COLUMNS = 6
_CAPTION_LENGTH = 16
# Sides of the images shown, at least.
_SHOWN_SIDE = 96
_MAX_LISTED = 100


def write_page(path, table, p_values, flagged, files, detector, arguments):
  """Writes a page: the scores, the strangest and the most ordinary images.

  Args:
    path: the file to write.
    table: complete `ScoreTable`.
    p_values: array of the p-values, NaN where there are none.
    flagged: `bool` array.
    files: list of `pathlib.Path`s of the images.
    detector: `DetectorFolder`.
    arguments: `argparse.Namespace`, with `folder` and `false_alarm_rate`.

  Returns:
    `str`, the summary that the page begins with.

  Raises:
    CommandError: if a file that was scored cannot be read any more.
  """
  name = pathlib.Path(arguments.folder).name or arguments.folder
  report = reporting.Report(f'The images of {name}, and how strange they are')
  summary = _summary(table, flagged, detector, arguments)
  report.add_text(summary)
  is_scored = ~np.isnan(p_values)
  threshold = _threshold(detector, arguments.false_alarm_rate)
  report.add_heading('Scores')
  report.add_figure(
    reporting.histograms(
      {
        'images that the detector was calibrated on': (
          detector.calibration_scores
        ),
        'images of the folder': table.scores[is_scored],
      },
      'score: larger is stranger',
    ),
    f'The scores of both, each with area 1. {threshold}',
  )
  order = np.flatnonzero(is_scored)
  order = order[np.argsort(-table.scores[order], kind='stable')]
  height, width, _ = detector.image_shape
  for title, indices in (
    ('The strangest images', order[:_NUM_SHOWN]),
    ('The most ordinary images', order[::-1][:_NUM_SHOWN]),
  ):
    report.add_heading(title)
    report.add_figure(
      _grid(
        [files[i] for i in indices],
        [table.names[i] for i in indices],
        p_values[indices],
        (height, width),
      ),
      f'{title} first, with their p-values: how often an image of the usual kind '
      f'is at least as strange. The detector sees {height} x {width} pixels of '
      'each.',
    )
    report.add_table(
      ['file', 'score', 'p-value'],
      [
        [table.names[i], float(table.scores[i]), float(p_values[i])]
        for i in indices
      ],
    )
  _add_unreadable(report, table)
  report.add_heading('Command')
  report.add_command(arguments.command_line)
  report.write(path)
  return summary


def _summary(table, flagged, detector, arguments):
  num_unreadable = sum(map(bool, table.errors))
  count = len(table) - num_unreadable
  rate = arguments.false_alarm_rate
  num_flagged = np.count_nonzero(flagged)
  expected = rate * count
  digits = 0 if expected >= 2 else 1
  text = (
    f'{num_flagged:,} of {count:,} images ({num_flagged / count:.1%}) are flagged '
    f'as strange at a false-alarm rate of {rate:.3g}. Of as many images of the '
    'kind that the detector was calibrated on, about '
    f'{expected:,.{digits}f} would be at most. '
  )
  num_calibration = len(detector.calibration_scores)
  if (num_calibration + 1) * rate < 1:
    text += (
      f'Its {num_calibration} calibration scores are too few for such a rate, and '
      'nothing can be flagged. '
    )
  if num_unreadable:
    files = 'file' if num_unreadable == 1 else 'files'
    text += f'{num_unreadable:,} {files} cannot be read. '
  return text.strip()


def _threshold(detector, rate):
  threshold = float(
    stats.conformal_threshold(detector.calibration_scores, rate)
  )
  if np.isinf(threshold):
    return ''
  return f'Images with a score above {threshold:.4g} are flagged.'


def _grid(files, names, p_values, sides):
  """A figure of images with their names, in the proportions the model sees."""
  scale = -(-_SHOWN_SIDE // max(sides))
  shape = (*(scale * side for side in sides), 3)
  images = []
  for path, (image, error) in zip(
    files, datasets.read_images(files, shape), strict=True
  ):
    if error:
      raise CommandError(
        f'{path} was scored, but cannot be read any more ({error}). Give the same '
        'command again once it can.'
      )
    images.append(image)
  captions = [
    f'{_short(name)}\np = {p_value:.2g}'
    for name, p_value in zip(names, p_values, strict=True)
  ]
  return reporting.image_grid(np.stack(images), _COLUMNS, captions=captions)


def _short(name):
  """A name that fits under an image, its ends kept; not a formula."""
  name = name.rpartition('/')[2]
  half = _CAPTION_LENGTH // 2
  if len(name) > _CAPTION_LENGTH:
    name = f'{name[:half]}…{name[-half:]}'
  return name.replace('$', r'\$')


def _add_unreadable(report, table):
  rows = [
    [name, error]
    for name, error in zip(table.names, table.errors, strict=True)
    if error
  ]
  if not rows:
    return
  report.add_heading('Files that cannot be read')
  if len(rows) > _MAX_LISTED:
    report.add_text(
      f'The first {_MAX_LISTED} of {len(rows):,}; {table.path.name} has them all.'
    )
  report.add_table(['file', 'why'], rows[:_MAX_LISTED])
