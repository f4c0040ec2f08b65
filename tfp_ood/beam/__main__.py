# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""`python -m tfp_ood.beam` scores files by an exported detector."""

import argparse

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

from tfp_ood.beam import (
  Calibrate,
  ReadImageFiles,
  ReadParquet,
  ReadTFRecords,
  Score,
  Write,
)

__all__ = ['main']

_DESCRIPTION = """\
Scores image files, TFRecord or Parquet files by an exported detector. All other
options are those of Beam and its runners, such as --runner."""


def main(argv=None):
  """Runs a pipeline from reading to writing, and prints how many were damaged.

  Args:
    argv: list of `str`. Default: the arguments of the process.
  """
  arguments, options = _parser().parse_known_args(argv)
  with beam.Pipeline(options=PipelineOptions(options)) as pipeline:
    outputs = pipeline | _reader(arguments) | Score(arguments.detector)
    outputs | Write(arguments.output, arguments.format)
    if arguments.calibrate:
      outputs | Calibrate(arguments.detector, arguments.calibrate)
  counters = pipeline.result.metrics().query()['counters']
  numbers = {c.key.metric.name: c.result for c in counters}
  print(
    f'{numbers.get("scores", 0):,} scored, {numbers.get("damaged", 0):,} damaged'
  )


def _reader(arguments):
  if arguments.images:
    return ReadImageFiles(arguments.images)
  if arguments.tfrecords:
    return ReadTFRecords(arguments.tfrecords, arguments.field)
  return ReadParquet(arguments.parquet, arguments.field)


def _parser():
  parser = argparse.ArgumentParser(
    'python -m tfp_ood.beam', description=_DESCRIPTION, allow_abbrev=False
  )
  source = parser.add_mutually_exclusive_group(required=True)
  source.add_argument(
    '--images', metavar='PATTERN', help="image files, such as 'photos/**.png'"
  )
  source.add_argument(
    '--tfrecords', metavar='PATTERN', help='files of tf.train.Examples'
  )
  source.add_argument('--parquet', metavar='PATTERN', help='Parquet files')
  parser.add_argument(
    '--field',
    default='image',
    help='the feature or column with the examples (default: %(default)s)',
  )
  parser.add_argument(
    '--detector',
    required=True,
    metavar='DIR',
    help='what `Detector.export_saved_model` or `tfp-ood calibrate` wrote',
  )
  parser.add_argument(
    '--output',
    required=True,
    metavar='PREFIX',
    help='what the files of scores and of damaged records begin with',
  )
  parser.add_argument('--format', choices=('parquet', 'csv'), default='parquet')
  parser.add_argument(
    '--calibrate',
    metavar='DIR',
    help='also write the detector to this folder, calibrated by these scores',
  )
  return parser


if __name__ == '__main__':
  main()
