# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The files that patterns stand for."""

import zlib

import apache_beam as beam
from apache_beam.io import fileio

__all__ = ['READ_ERRORS', 'MatchedFiles']

# What reading a file may raise; what ends in .gz or .bz2 is decompressed.
READ_ERRORS = (OSError, EOFError, zlib.error)


class MatchedFiles(beam.PTransform):
  """The files that patterns stand for, spread over the workers."""

  def __init__(self, patterns):
    """Instantiates the transform.

    Args:
      patterns: `str`, or a list of such: paths, in which `*`, `?` and `[...]` stand
        for parts of a name, and `**` for folders too. A pattern without a file
        fails the pipeline.
    """
    super().__init__()
    self._patterns = [patterns] if isinstance(patterns, str) else list(patterns)

  def expand(self, pipeline):
    """Returns a `beam.PCollection` of `fileio.ReadableFile`s."""
    return (
      pipeline
      | beam.Create(self._patterns)
      | fileio.MatchAll(fileio.EmptyMatchTreatment.DISALLOW)
      | beam.Reshuffle()
      | fileio.ReadMatches()
    )
