# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""`tfp-ood score`: how strange the images of a folder are."""

import hashlib
import itertools
import os
import pathlib

import numpy as np

from tfp_ood import datasets, stats
from tfp_ood.cli._detector_folder import DetectorFolder
from tfp_ood.cli._errors import CommandError, user_errors, warn
from tfp_ood.cli._progress import progress_bar
from tfp_ood.cli._score_page import write_page
from tfp_ood.cli._score_table import ScoreTable

__all__ = ['run']

_BATCH_SIZE = 64
_MAX_NAMED = 5


def run(arguments):
  """Scores the images of a folder, and writes a table and a page.

  Args:
    arguments: `argparse.Namespace`; see `_arguments`.

  Raises:
    CommandError: if there are no images, or the folder of the output has scores of
      others.
  """
  with user_errors():
    files = datasets.image_files(arguments.folder)
    listing = '\n'.join(f'{path} {path.lstat().st_size}' for path in files)
  detector = DetectorFolder(arguments.detector)
  digest = hashlib.sha256(os.fsencode(listing)).hexdigest()[:16]
  table = ScoreTable(
    arguments.output,
    [_name(path, arguments.folder) for path in files],
    {
      'folder': arguments.folder,
      'list of files': digest,
      'detector': detector.digest,
    },
  )
  _score_rest(table, files, detector)
  is_read = np.array([not error for error in table.errors])
  p_values = np.full([len(table)], np.nan)
  is_scored = is_read & ~np.isnan(table.scores)
  p_values[is_scored] = stats.conformal_p_values(
    detector.calibration_scores, table.scores[is_scored]
  )
  # As a detector does, where the score is no number.
  flagged = is_read & ~(p_values > arguments.false_alarm_rate)
  table.complete(p_values, flagged)
  _tell_of_unreadable(table)
  if not is_scored.any():
    raise CommandError(f'No image could be scored; {table.path} says why.')
  page = pathlib.Path(arguments.output) / 'report.html'
  summary = write_page(
    page, table, p_values, flagged, files, detector, arguments
  )
  print(f'{summary}\n{table.path}\n{page}')


def _score_rest(table, files, detector):
  """Scores the images that the table does not have yet."""
  done = len(table)
  if done == len(files):
    return
  images = datasets.read_images(files[done:], detector.image_shape)
  with (
    progress_bar('scoring', len(files), done) as bar,
    table.appending() as append,
  ):
    while batch := list(itertools.islice(images, _BATCH_SIZE)):
      read = [image for image, error in batch if error is None]
      scores = iter(detector.score(np.stack(read)) if read else ())
      append(
        [
          (next(scores), None) if error is None else (None, _line(error))
          for _, error in batch
        ]
      )
      bar.update(len(batch))


def _tell_of_unreadable(table):
  names = [
    name for name, error in zip(table.names, table.errors, strict=True) if error
  ]
  if names:
    more = f' and {len(names) - _MAX_NAMED} more' * (len(names) > _MAX_NAMED)
    warn(
      f'{len(names)} of {len(table)} files cannot be read: '
      f'{", ".join(names[:_MAX_NAMED])}{more}. {table.path} says why.'
    )


def _name(path, folder):
  """Returns the path within the folder, as a line of text of any kind of system."""
  name = path.relative_to(folder).as_posix()
  name = os.fsencode(name).decode('utf-8', 'backslashreplace')
  return ''.join(c if c.isprintable() else ascii(c)[1:-1] for c in name)


def _line(text):
  return ' '.join(text.split())
