# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Scores of records by an exported detector."""

import apache_beam as beam
from apache_beam.ml.inference import base

from tfp_ood._saved_models import examples_spec
from tfp_ood.beam._decode import example_of
from tfp_ood.beam._exported_detector import ExportedDetector

__all__ = ['Score']

_DAMAGED = 'damaged'
_BATCH_SIZE = 64


class Score(beam.PTransform):
  """Scores records by an exported detector, and sets damaged ones apart.

  Scores and p-values are those of the `Detector`. The model runs in Beam's
  `RunInference`. A record is damaged if it could not be read, is no whole image or
  not of the detector's shape, or if the models do not take it. How many were scored
  and how many are damaged is counted too, in Beam's metrics `scores` and `damaged`
  of the namespace `tfp_ood`.

  #### Example

  >>> import apache_beam as beam
  >>> import numpy as np
  >>> import os, tempfile
  >>> import tensorflow_probability as tfp
  >>> import tfp_ood
  >>> normal = tfp.distributions.Sample(
  ...     tfp.distributions.Normal(128., 20.), [8, 8, 3])
  >>> detector = tfp_ood.stats.Detector(
  ...     normal, tfp_ood.stats.NegativeLogLikelihood())
  >>> detector = detector.fit(np.round(normal.sample(19, seed=1)))
  >>> records = [
  ...     tfp_ood.beam.Record('a white one', np.full([8, 8, 3], 255)),
  ...     tfp_ood.beam.Record('no image', b'but text')]
  >>> with tempfile.TemporaryDirectory() as folder:
  ...   detector.export_saved_model(folder)
  ...   with beam.Pipeline('FnApiRunner') as pipeline:
  ...     outputs = pipeline | beam.Create(records) | Score(folder)
  ...     _ = outputs['damaged'] | beam.Map(print)
  {'record': 'no image', 'reason': 'it is no image of a known format'}
  """

  def __init__(self, detector, batch_size=_BATCH_SIZE):
    """Instantiates the transform.

    Args:
      detector: `str` or `os.PathLike`, the path given to
        `Detector.export_saved_model`, where all workers can read it.
      batch_size: Python `int`, how many examples are scored at once.
    """
    super().__init__()
    self._detector = str(detector)
    self._batch_size = batch_size

  def expand(self, records):
    """Returns a `dict` of two `beam.PCollection`s of `dict`s.

    Args:
      records: `beam.PCollection` of `Record`s.

    Returns:
      `'scores'`, with `record` (the name), `score` (larger = more
      out-of-distribution) and `p_value` (NaN if the score is), and `'damaged'`, with
      `record` and `reason`.

    Raises:
      ValueError: if there is no such detector.
    """
    spec = examples_spec(self._detector)
    decoded = records | beam.ParDo(_Decode(spec)).with_outputs(
      _DAMAGED, main='examples'
    )
    handler = ExportedDetector(self._detector, self._batch_size)
    scored = (
      decoded.examples
      | base.RunInference(base.KeyedModelHandler(handler))
      | beam.ParDo(_Split()).with_outputs(_DAMAGED, main='scores')
    )
    damaged = (decoded.damaged, scored.damaged) | beam.Flatten()
    return {
      name: rows | f'Count {name}' >> beam.ParDo(_Count(name))
      for name, rows in (('scores', scored.scores), (_DAMAGED, damaged))
    }


class _Decode(beam.DoFn):
  """Makes records examples, with their names."""

  def __init__(self, spec):
    self._spec = spec

  def process(self, record):
    error = record.error
    if error is None:
      try:
        yield record.name, example_of(record.value, self._spec)
      except ValueError as refused:
        error = str(refused)
    if error is not None:
      yield _damaged(record.name, error)


class _Split(beam.DoFn):
  """Makes what the detector says of an example a row of one of both outputs."""

  def process(self, named):
    name, inference = named
    if inference.error is None:
      yield {
        'record': name,
        'score': inference.score,
        'p_value': inference.p_value,
      }
    else:
      yield _damaged(name, inference.error)


class _Count(beam.DoFn):
  """Counts what passes."""

  def __init__(self, name):
    self._counter = beam.metrics.Metrics.counter('tfp_ood', name)

  def process(self, row):
    self._counter.inc()
    yield row


def _damaged(name, reason):
  row = {'record': name, 'reason': ' '.join(reason.split())}
  return beam.pvalue.TaggedOutput(_DAMAGED, row)
