# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""A genome, and where reads may start in it."""

import re

import numpy as np

from tfp_ood.datasets._fasta import read_records

__all__ = ['Genome', 'check_part']

_OTHER = 4  # What no letter of A, C, G, T stands for.
_VALUES = np.full(256, _OTHER, np.uint8)
_VALUES[list(b'ACGTacgt')] = [0, 1, 2, 3] * 2

_BOUND = r'(-?\d+|-?\d{1,2}%|100%)?'
_PART = re.compile(rf'(\[{_BOUND}:{_BOUND}\])?')


def check_part(part):
  """Raises a `ValueError` unless `part` is '' or such as '[80%:90%]'."""
  if not _PART.fullmatch(part):
    raise ValueError(
      "`part` must be '' or a slice of positions or whole percentages, such as "
      f"'[80%:90%]', got {part!r}."
    )


class Genome:
  """The bases of a part of a genome, and the reads in it.

  Each record's part is followed by other letters than A, C, G, T, up to a multiple
  of `length`: no read without other letters spans two records.
  """

  def __init__(self, file, part, length, refuse_others):
    """Reads a genome.

    Args:
      file: `pathlib.Path` of a FASTA file.
      part: Which part of each record, as in `reads`.
      length: Python int, the number of bases of a read.
      refuse_others: Python bool, whether other letters than A, C, G, T in the
        part are an error.

    Raises:
      ValueError: if the file cannot be read, if there is no part or it is shorter
        than a read, or every read has other letters.
    """
    self._length = length
    self._file = str(file)
    parts = [
      self._values(name, letters, _slice(part, len(letters)), refuse_others)
      for name, letters in read_records(file)
    ]
    longest = max(len(values) for values in parts)
    if longest == 0:
      raise ValueError(f'`part` {part!r} of {self._file!r} holds no bases.')
    if longest < length:
      raise ValueError(
        f'`length` must be at most {longest}, the number of bases in the longest '
        f'part of a record of {self._file!r}, got {length}.'
      )
    self.bases = np.concatenate([_padded(values, length) for values in parts])
    self._first, self._counts = _stretches(self.bases, length)
    self._check_any(self._counts)

  def consecutive_starts(self):
    """Returns where reads start that follow each other, `int64` `[number]`."""
    rows = self.bases.reshape(-1, self._length)
    starts = np.flatnonzero(np.all(rows != _OTHER, axis=1)) * self._length
    self._check_any(starts)
    return starts

  def drawn_starts(self, generator, size):
    """Draws where reads start, uniformly among those without other letters.

    Args:
      generator: `np.random.Generator`.
      size: Python int.

    Returns:
      `int64` array `[size]`.
    """
    ends = np.cumsum(self._counts)
    draws = generator.integers(ends[-1], size=size)
    stretch = np.searchsorted(ends, draws, side='right')
    return self._first[stretch] + draws - (ends - self._counts)[stretch]

  def _values(self, name, letters, chosen, refuse_others):
    values = _VALUES[letters[chosen]]
    others = np.flatnonzero(values == _OTHER) if refuse_others else ()
    if len(others):
      position = chosen.start + others[0]
      raise ValueError(
        f'{self._file!r} has the letter {chr(letters[position])!r} at position '
        f'{position} (from 0) of the record {name!r}, where A, C, G or T is '
        "expected. `ambiguous='drop'` leaves out the reads that hold it."
      )
    return values

  def _check_any(self, found):
    if not len(found):
      raise ValueError(
        f'Every read of {self._length} bases in this part of {self._file!r} has '
        'other letters than A, C, G, T. Shorter reads (`length`) may have none.'
      )


def _slice(part, size):
  """The slice of a record of `size` letters.

  Percentages are rounded down from either end: '[:90%]' stops where '[-10%:]'
  starts. Unlike those of TFDS, positions may lie beyond the end of a record, which
  may be short, and a record's part may be empty.
  """
  bounds = _PART.fullmatch(part).groups()[1:]
  return slice(
    *slice(*(_position(bound, size) for bound in bounds)).indices(size)[:2]
  )


def _position(bound, size):
  if bound is None:
    return None
  if not bound.endswith('%'):
    return int(bound)
  position = int(bound[:-1]) * size // 100
  return position + size if bound.startswith('-') else position


def _padded(values, length):
  missing = length - len(values) % length
  return np.pad(values, (0, missing), constant_values=_OTHER)


def _stretches(bases, length):
  """First starts and numbers of starts of the reads without other letters."""
  is_other = np.concatenate([[True], bases == _OTHER, [True]])
  first, stop = np.flatnonzero(np.diff(is_other)).reshape(-1, 2).T
  counts = stop - first - length + 1
  return first[counts > 0], counts[counts > 0]
