# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Scoring of large collections by an exported detector, with Apache Beam."""

try:
  import apache_beam as _apache_beam  # noqa: F401
except ImportError as error:
  raise ImportError(
    "`tfp_ood.beam` needs Apache Beam: pip install 'tfp_ood[beam]'."
  ) from error

from tfp_ood.beam.calibrate import Calibrate
from tfp_ood.beam.read_image_files import ReadImageFiles
from tfp_ood.beam.read_parquet import ReadParquet
from tfp_ood.beam.read_tfrecords import ReadTFRecords
from tfp_ood.beam.record import Record
from tfp_ood.beam.score import Score
from tfp_ood.beam.write import Write

__all__ = [
  'Calibrate',
  'ReadImageFiles',
  'ReadParquet',
  'ReadTFRecords',
  'Record',
  'Score',
  'Write',
]
