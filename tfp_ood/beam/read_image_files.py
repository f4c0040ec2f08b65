# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Image files as records."""

import apache_beam as beam

from tfp_ood.beam._matched_files import READ_ERRORS, MatchedFiles
from tfp_ood.beam.record import Record

__all__ = ['ReadImageFiles']


class ReadImageFiles(beam.PTransform):
  """Reads image files, each a record with the name of its file.

  #### Example

  >>> import apache_beam as beam
  >>> import os, tempfile
  >>> from PIL import Image
  >>> with tempfile.TemporaryDirectory() as folder:
  ...   Image.new('L', (32, 32)).save(os.path.join(folder, 'a.png'))
  ...   with beam.Pipeline('FnApiRunner') as pipeline:
  ...     records = pipeline | ReadImageFiles(os.path.join(folder, '*.png'))
  ...     _ = records | beam.Map(lambda r: print(os.path.basename(r.name)))
  a.png
  """

  def __init__(self, patterns):
    """Instantiates the transform.

    Args:
      patterns: `str`, or a list of such: `'photos/**.png'`, on any file system that
        Beam knows. All files that they match are read, whatever their names.
    """
    super().__init__()
    self._patterns = patterns

  def expand(self, pipeline):
    """Returns a `beam.PCollection` of `Record`s."""
    return pipeline | MatchedFiles(self._patterns) | beam.Map(_record)


def _record(file):
  name = file.metadata.path
  try:
    return Record(name, file.read())
  except READ_ERRORS as error:
    return Record(name, error=str(error))
