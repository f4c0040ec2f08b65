# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Rows of Parquet files as records."""

import apache_beam as beam
import pyarrow
from pyarrow import parquet

from tfp_ood.beam._matched_files import READ_ERRORS, MatchedFiles
from tfp_ood.beam.record import Record

__all__ = ['ReadParquet']

_ROWS_AT_ONCE = 64


class ReadParquet(beam.PTransform):
  """Reads rows of Parquet files.

  A record is called by its file and its number there, from 0:
  `'images.parquet:17'`. Rows are read by groups: what is left of a damaged one, or a
  damaged file, counts as one damaged record.

  #### Example

  >>> import apache_beam as beam
  >>> import os, tempfile
  >>> import pyarrow
  >>> from pyarrow import parquet
  >>> with tempfile.TemporaryDirectory() as folder:
  ...   path = os.path.join(folder, 'reads.parquet')
  ...   parquet.write_table(pyarrow.table({'bases': [[1, 2]]}), path)
  ...   with beam.Pipeline('FnApiRunner') as pipeline:
  ...     records = pipeline | ReadParquet(path, column='bases')
  ...     _ = records | beam.Map(lambda record: print(record.value))
  [1, 2]
  """

  def __init__(self, patterns, column='image'):
    """Instantiates the transform.

    Args:
      patterns: `str`, or a list of such: `'data/*.parquet'`, on any file system
        that Beam knows.
      column: `str`, the column with the examples: encoded images or lists of
        numbers. `'image.bytes'` is a field of a column, as data sets of Hugging
        Face have it.
    """
    super().__init__()
    self._patterns = patterns
    self._column = column

  def expand(self, pipeline):
    """Returns a `beam.PCollection` of `Record`s."""
    return (
      pipeline
      | MatchedFiles(self._patterns)
      | 'Groups' >> beam.FlatMap(_groups)
      | beam.Reshuffle()
      | 'Rows' >> beam.FlatMap(_rows, self._column)
    )


def _groups(file):
  """Yields, for each group of rows, the file, its number and that of its row 0."""
  try:
    with file.open() as opened:
      metadata = parquet.ParquetFile(opened).metadata
  except (*READ_ERRORS, pyarrow.ArrowException):
    yield file, 0, 0  # Reading it finds out why.
    return
  first = 0
  for group in range(metadata.num_row_groups):
    yield file, group, first
    first += metadata.row_group(group).num_rows


def _rows(group_of_file, column):
  """Yields a `Record` for each row of a group."""
  file, group, number = group_of_file
  path = file.metadata.path
  try:
    with file.open() as opened:
      batches = parquet.ParquetFile(opened).iter_batches(
        _ROWS_AT_ONCE, row_groups=[group], columns=[column]
      )
      for batch in batches:
        for value in _values(batch, column):
          error = 'it has no value' if value is None else None
          yield Record(f'{path}:{number}', value, error)
          number += 1
  except (*READ_ERRORS, ValueError, pyarrow.ArrowException) as error:
    yield Record(
      f'{path}:{number}', error=f'{error}, and so are all after it in its group'
    )


def _values(batch, column):
  """Returns the values of a column, or of a field of one, as a list."""
  table = pyarrow.Table.from_batches([batch]).flatten()
  if column not in table.column_names:
    raise ValueError(f'there is no column {column!r} of values')
  return table.column(column).to_pylist()
