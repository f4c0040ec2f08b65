# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The scores of many files, in a table that grows by whole lines."""

import contextlib
import csv
import io
import os
import pathlib

import numpy as np

from tfp_ood import reporting
from tfp_ood.cli._errors import CommandError

__all__ = ['ScoreTable']

_STATE = 'scores.json'
_TABLE = 'scores.csv'
_PARTIAL = 'scores.csv.partial'
_COLUMNS = ('path', 'score', 'p_value', 'flagged', 'error')


class ScoreTable:
  """A table of files and their scores, in a folder, begun or complete.

  While it grows, scores.csv.partial has what is known of the first files, line by
  line; scores.csv takes its place once it is complete. scores.json says what it is
  a table of.

  Attributes:
    path: `pathlib.Path` of the complete table.
    names: list of `str`, the files.
    scores: array of the scores known, NaN for files that cannot be read.
    errors: list of `str` of the same files, empty for those that can be read.
  """

  def __init__(self, folder, names, of):
    """Begins a table, or reads what there is of it.

    Args:
      folder: `str` or `os.PathLike`.
      names: list of `str`.
      of: `dict` of `str` that tells it from tables of other files and detectors.

    Raises:
      CommandError: if the folder has a table of something else, or a damaged one.
    """
    self._folder = pathlib.Path(folder)
    self.path = self._folder / _TABLE
    self.names = names
    self._keep(of)
    rows = list(self._rows_there())
    self.scores = np.array([score for score, _ in rows], np.float64)
    self.errors = [error for _, error in rows]

  def __len__(self):
    return len(self.errors)

  @contextlib.contextmanager
  def appending(self):
    """Gives a function that appends scores and errors of the next files.

    The function takes a list of pairs of a score and `None`, or of `None` and an
    error. When it returns, they are on disk.
    """
    path = self._folder / _PARTIAL
    # Without a line that was cut short.
    reporting.atomic_write(path, _text(self._known_rows()))
    scores, errors = list(self.scores), self.errors
    with open(path, 'ab') as file:

      def append(pairs):
        start = len(errors)
        scores.extend(np.nan if s is None else float(s) for s, _ in pairs)
        errors.extend(error or '' for _, error in pairs)
        rows = _plain_rows(
          self.names[start : len(errors)], scores[start:], errors[start:]
        )
        file.write(_text(rows).encode('utf-8'))
        file.flush()
        os.fsync(file.fileno())

      try:
        yield append
      finally:
        self.scores = np.array(scores, np.float64)

  def complete(self, p_values, flagged):
    """Writes the table, once all files are in it.

    Args:
      p_values: array; those of files that cannot be read are not looked at.
      flagged: `bool` array.
    """
    rows = [_COLUMNS]
    for name, score, p_value, flag, error in zip(
      self.names, self.scores, p_values, flagged, self.errors, strict=True
    ):
      numbers = (_cell(score), _cell(p_value), str(bool(flag)))
      rows.append((name, *(('', '', '') if error else numbers), error))
    reporting.atomic_write(self.path, _text(rows))
    (self._folder / _PARTIAL).unlink(missing_ok=True)

  def _keep(self, of):
    path = self._folder / _STATE
    if not path.exists():
      reporting.write_results(path, of)
      return
    try:
      earlier = reporting.read_results(path)
    except ValueError as error:
      raise CommandError(str(error)) from error
    for what, value in of.items():
      if earlier.get(what) != value:
        raise CommandError(
          f'{str(self._folder)!r} has scores of another {what} '
          f'({earlier.get(what)}; now {value}). Give another --output, or delete '
          'it to score all images anew.'
        )

  def _known_rows(self):
    return _plain_rows(self.names[: len(self)], self.scores, self.errors)

  def _rows_there(self):
    """Yields the score and the error of each file that is in the table."""
    try:
      for expected, (name, score, error) in zip(
        self.names, self._cells_there(), strict=False
      ):
        if name != expected:
          raise ValueError(f'{name!r} is in the place of {expected!r}')
        yield float(score) if score else np.nan, error
    except ValueError as error:
      raise CommandError(
        f'The table in {str(self._folder)!r} is damaged ({error}). Delete it to '
        'score all images anew.'
      ) from error

  def _cells_there(self):
    partial = self._folder / _PARTIAL
    if self.path.exists():
      text = self.path.read_text('utf-8')
      _, *rows = csv.reader(io.StringIO(text, newline=''))
      return [(name, score, error) for name, score, *_, error in rows]
    if partial.exists():
      content = partial.read_bytes()
      # What a crash cut short has no end of line.
      text = content[: content.rfind(b'\n') + 1].decode('utf-8')
      return list(csv.reader(io.StringIO(text, newline='')))
    return []


def _plain_rows(names, scores, errors):
  """Rows of what is known before all is known: path, score and error."""
  return [
    (name, '' if error else _cell(score), error)
    for name, score, error in zip(names, scores, errors, strict=True)
  ]


def _cell(value):
  # NaN is what no number was found for.
  return '' if np.isnan(value) else repr(float(value))


def _text(rows):
  text = io.StringIO()
  csv.writer(text, lineterminator='\n').writerows(rows)
  return text.getvalue()
