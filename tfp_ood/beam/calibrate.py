# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Calibration of an exported detector by scores that Beam computed."""

import os
import tempfile

import apache_beam as beam
import numpy as np
import tensorflow as tf

from tfp_ood._saved_models import examples_spec
from tfp_ood._warm_up import WARM_UP_FILE
from tfp_ood.stats.decisions.detector import sorted_calibration_scores

__all__ = ['Calibrate']

_MODEL_FILE = tf.saved_model.SAVED_MODEL_FILENAME_PB


class Calibrate(beam.PTransform):
  """Writes an exported detector anew, calibrated by the scores of held-out examples.

  What it writes is as if `Detector.fit` had been called with these examples before
  `export_saved_model`, if the score learns nothing. What a score has learned
  (`Typicality` the entropy, say) stays as it was exported: that it learns from
  some of the examples, as `fit` may let it, takes the `Detector`.

  One worker gathers the scores, eight bytes each, and sorts them. Damaged records are
  left out.

  #### Example

  >>> import apache_beam as beam
  >>> import numpy as np
  >>> import os, tempfile
  >>> import tensorflow as tf
  >>> import tensorflow_probability as tfp
  >>> import tfp_ood
  >>> normal = tfp.distributions.Sample(
  ...     tfp.distributions.Normal(128., 20.), [8, 8, 3])
  >>> detector = tfp_ood.stats.Detector(
  ...     normal, tfp_ood.stats.NegativeLogLikelihood())
  >>> first, more = np.round(normal.sample([2, 39], seed=1))
  >>> detector = detector.fit(first)
  >>> records = [tfp_ood.beam.Record(str(i), x) for i, x in enumerate(more)]
  >>> with tempfile.TemporaryDirectory() as folder:
  ...   old, new = os.path.join(folder, 'old'), os.path.join(folder, 'new')
  ...   detector.export_saved_model(old)
  ...   with beam.Pipeline('FnApiRunner') as pipeline:
  ...     outputs = pipeline | beam.Create(records) | tfp_ood.beam.Score(old)
  ...     _ = outputs | Calibrate(old, new)
  ...   by_beam = tf.saved_model.load(new).calibration_scores.numpy()
  >>> np.array_equal(by_beam, detector.fit(more).calibration_scores)
  True
  """

  def __init__(self, detector, output):
    """Instantiates the transform.

    Args:
      detector: `str` or `os.PathLike`, the detector that `Score` scored by.
      output: `str` or `os.PathLike`, the folder to write: local or `gs://`, where
        TensorFlow can write on a worker; there must be no SavedModel yet.

    Raises:
      ValueError: if there is no such detector, or there is a model in `output`.
    """
    super().__init__()
    self._detector, self._output = str(detector), str(output)
    examples_spec(self._detector)
    if tf.io.gfile.exists(os.path.join(self._output, _MODEL_FILE)):
      raise ValueError(
        f'There is a SavedModel in {self._output!r} already; give another folder.'
      )

  def expand(self, outputs):
    """Writes the detector.

    Args:
      outputs: `dict` of `beam.PCollection`s, as `Score` returns it.

    Returns:
      `beam.PCollection` of one `str`, the path of the new export.
    """
    return (
      outputs['scores']
      | beam.Map(lambda row: row['score'])
      | beam.combiners.ToList()
      | beam.Map(_write_calibrated, self._detector, self._output)
    )


def _write_calibrated(scores, detector, output):
  model = tf.saved_model.load(detector)
  model.calibration_scores.assign(sorted_calibration_scores(np.array(scores)))
  with tempfile.TemporaryDirectory() as folder:
    tf.saved_model.save(model, folder, model.signatures)
    _copy(folder, output, _other_files(folder))
    warm_up = os.path.join(detector, WARM_UP_FILE)
    if tf.io.gfile.exists(warm_up):
      _copy(detector, output, [WARM_UP_FILE])
    # Last: without it, there is no model.
    _copy(folder, output, [_MODEL_FILE])
  return output


def _other_files(folder):
  """Returns the paths of all files of a model but one, relative to its folder."""
  return [
    os.path.relpath(os.path.join(parent, file), folder)
    for parent, _, files in os.walk(folder)
    for file in files
    if file != _MODEL_FILE
  ]


def _copy(folder, output, files):
  for file in files:
    target = os.path.join(output, file)
    tf.io.gfile.makedirs(os.path.dirname(target))
    tf.io.gfile.copy(os.path.join(folder, file), target, overwrite=True)
