# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests that calibration by Beam is that of `Detector.fit`."""

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf
from beam import pipelines
from stats.decisions import detectors

import tfp_ood.beam
from tfp_ood import stats


def _calibrate(path, examples, output, options=()):
  records = [
    tfp_ood.beam.Record(str(number), x) for number, x in enumerate(examples)
  ]
  records.append(tfp_ood.beam.Record('damaged', b'text'))
  pipelines.run(
    lambda pipeline: (
      pipeline
      | beam.Create(records)
      | tfp_ood.beam.Score(path)
      | tfp_ood.beam.Calibrate(path, output)
    ),
    options,
  )
  return tf.saved_model.load(str(output))


def _check_alike(loaded, detector, images):
  """Checks that an export is that of a detector, in all that it answers."""
  np.testing.assert_allclose(
    loaded.calibration_scores, detector.calibration_scores, rtol=1e-6
  )
  for x in (images, images.astype(np.float32)):
    np.testing.assert_array_equal(loaded.p_value(x), detector.p_value(x))
    np.testing.assert_array_equal(
      loaded.predict(x, 0.2), detector.predict(x, 0.2)
    )
  found = loaded.signatures['serving_default'](images=tf.constant(images))
  np.testing.assert_array_equal(found['p_value'], detector.p_value(images))


def test_as_fit_calibrates(tmp_path):
  images = detectors.images(40, 3)
  detector = stats.Detector(detectors.background(120.0), stats.Typicality())
  # What `Typicality` learns from the training images stays.
  training = detectors.images(20, 4)
  detector.fit(detectors.images(30, 2), training)
  detector.export_saved_model(tmp_path / 'old', warm_up=images[:1])
  loaded = _calibrate(tmp_path / 'old', images, tmp_path / 'new')
  _check_alike(loaded, detector.fit(images, training), detectors.images(30, 5))
  warm_up = 'assets.extra/tf_serving_warmup_requests'
  assert (tmp_path / 'new' / warm_up).read_bytes() == (
    tmp_path / 'old' / warm_up
  ).read_bytes()


def test_an_export_calibrated_anew_can_be_calibrated_anew(tmp_path):
  images = detectors.images(50, 3)
  loaded = _calibrate(pipelines.exported(), images[:20], tmp_path / 'once')
  assert len(loaded.calibration_scores.numpy()) == 20
  loaded = _calibrate(tmp_path / 'once', images, tmp_path / 'twice')
  detector = stats.Detector(
    detectors.background(120.0), stats.NegativeLogLikelihood()
  )
  _check_alike(loaded, detector.fit(images), detectors.images(30, 5))


def test_no_scores_and_nan_do_not_calibrate(tmp_path):
  for rows, message in (
    ([], 'no example is left'),
    ([{'score': np.nan}, {'score': 1.0}], '1 of 2 scores'),
  ):
    with pytest.raises(Exception, match=message):
      pipelines.run(
        lambda pipeline, rows=rows: (
          {'scores': pipeline | beam.Create(rows)}
          | tfp_ood.beam.Calibrate(pipelines.exported(), tmp_path / 'new')
        )
      )
    assert not (tmp_path / 'new').exists()


def test_a_model_is_not_replaced():
  with pytest.raises(ValueError, match='give another folder'):
    tfp_ood.beam.Calibrate(pipelines.exported(), pipelines.exported())


@pytest.mark.exhaustive
def test_in_two_processes(tmp_path):
  images = detectors.images(300, 3)
  loaded = _calibrate(
    pipelines.exported(),
    images,
    tmp_path / 'new',
    ['--direct_running_mode=multi_processing', '--direct_num_workers=2'],
  )
  detector = stats.Detector(
    detectors.background(120.0), stats.NegativeLogLikelihood()
  )
  _check_alike(loaded, detector.fit(images), detectors.images(30, 5))
