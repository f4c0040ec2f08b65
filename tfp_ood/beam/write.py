# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Scores and damaged records as files."""

import csv
import io

import apache_beam as beam
import pyarrow

__all__ = ['Write']

_TEXT, _NUMBER = pyarrow.string(), pyarrow.float64()
_SCHEMAS = {
  'scores': pyarrow.schema(
    {'record': _TEXT, 'score': _NUMBER, 'p_value': _NUMBER}
  ),
  'damaged': pyarrow.schema({'record': _TEXT, 'reason': _TEXT}),
}
_FORMATS = ('csv', 'parquet')


class Write(beam.PTransform):
  """Writes what `Score` returns to files, CSV or Parquet.

  They are `PREFIX-scores-00000-of-00004.csv` and so on, as many as the runner likes,
  with the columns `record`, `score` and `p_value`, and likewise
  `PREFIX-damaged-...`, with `record` and `reason`. The order of rows is no order.

  #### Example

  >>> import apache_beam as beam
  >>> import glob, tempfile
  >>> with tempfile.TemporaryDirectory() as folder:
  ...   with beam.Pipeline('FnApiRunner') as pipeline:
  ...     scores = [{'record': 'a.png', 'score': 2.5, 'p_value': 0.1}]
  ...     _ = {
  ...         'scores': pipeline | 'Scores' >> beam.Create(scores),
  ...         'damaged': pipeline | 'Damaged' >> beam.Create([]),
  ...     } | Write(f'{folder}/new', 'csv')
  ...   print(open(*glob.glob(f'{folder}/new-scores-*')).read())
  record,score,p_value
  a.png,2.5,0.1
  """

  def __init__(self, prefix, file_format='parquet'):
    """Instantiates the transform.

    Args:
      prefix: `str`, what the paths of the files begin with, on any file system that
        Beam knows.
      file_format: `'parquet'` or `'csv'`.

    Raises:
      ValueError: if there is no such format.
    """
    super().__init__()
    if file_format not in _FORMATS:
      raise ValueError(
        f'`file_format` must be one of {_FORMATS}, got {file_format!r}.'
      )
    self._prefix = str(prefix)
    self._format = file_format

  def expand(self, outputs):
    """Writes the outputs.

    Args:
      outputs: `dict` of two `beam.PCollection`s, as `Score` returns it.

    Returns:
      `dict` of two `beam.PCollection`s of the paths of the files.
    """
    write = _write_csv if self._format == 'csv' else _write_parquet
    return {
      name: outputs[name]
      | name >> write(f'{self._prefix}-{name}', _SCHEMAS[name])
      for name in _SCHEMAS
    }


def _write_parquet(prefix, schema):
  return beam.io.WriteToParquet(prefix, schema, file_name_suffix='.parquet')


def _write_csv(prefix, schema):
  columns = schema.names
  return beam.Map(_csv_line, columns) | beam.io.WriteToText(
    prefix, '.csv', header=','.join(columns)
  )


def _csv_line(row, columns):
  line = io.StringIO()
  csv.writer(line, lineterminator='').writerow([row[c] for c in columns])
  return line.getvalue()
