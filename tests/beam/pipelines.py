# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Detectors and pipelines that the tests of `tfp_ood.beam` share."""

import collections
import functools
import glob
import tempfile

import apache_beam as beam
import numpy as np
from apache_beam.options.pipeline_options import PipelineOptions
from pyarrow import parquet
from stats.decisions import detectors

import tfp_ood.beam
from tfp_ood import stats

__all__ = ['Found', 'check_scores', 'detector', 'exported', 'run', 'scored_by']

# `scores`: from the names of records to pairs of a score and a p-value; `reasons`:
# from the names of damaged ones; `counts`: Beam's metrics.
Found = collections.namedtuple('Found', ['scores', 'reasons', 'counts'])


@functools.cache
def detector():
  """A calibrated detector of images of `detectors.SHAPE`; not to be changed."""
  gaussian = detectors.background(120.0)
  score = stats.NegativeLogLikelihood()
  return stats.Detector(gaussian, score).fit(detectors.images(30, 2))


@functools.cache
def exported():
  """The path of that detector, exported."""
  folder = tempfile.TemporaryDirectory()
  detector().export_saved_model(folder.name)
  _FOLDERS.append(folder)  # They are there until the end.
  return folder.name


_FOLDERS = []


def run(build, options=()):
  """Runs what a function makes of a pipeline, and returns Beam's metrics."""
  options = PipelineOptions(['--runner=FnApiRunner', *options])
  with beam.Pipeline(options=options) as pipeline:
    build(pipeline)
  counters = pipeline.result.metrics().query()['counters']
  return {counter.key.metric.name: counter.result for counter in counters}


def scored_by(path, records, folder, options=()):
  """Returns what a pipeline `Found` of records, a transform that reads them."""
  counts = run(
    lambda pipeline: (
      pipeline
      | records
      | tfp_ood.beam.Score(path, batch_size=8)
      | tfp_ood.beam.Write(folder / 'found')
    ),
    options,
  )
  return Found(
    {
      row['record']: (row['score'], row['p_value'])
      for row in _rows(folder / 'found-scores-*')
    },
    {row['record']: row['reason'] for row in _rows(folder / 'found-damaged-*')},
    counts,
  )


def check_scores(found, detector, examples):
  """Checks scores against those of a detector, of a `dict` of examples by name."""
  assert found.scores.keys() == examples.keys()
  batch = np.stack(list(examples.values()))
  scores, p_values = np.transpose([found.scores[name] for name in examples])
  np.testing.assert_allclose(scores, detector.score(batch), rtol=1e-6)
  np.testing.assert_array_equal(p_values, detector.p_value(batch))
  assert found.counts['scores'] == len(examples)
  assert found.counts.get('damaged', 0) == len(found.reasons)


def _rows(pattern):
  return [
    row
    for path in glob.glob(str(pattern))
    for row in parquet.read_table(path).to_pylist()
  ]
