# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Values that are no raw pixels are refused at every door, and never scored."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from stats.decisions import detectors

from tfp_ood import stats

_IMAGES = detectors.images(4, 7)


def _with(value):
  images = _IMAGES.astype(np.float32)
  images[2, 3, 4, 1] = value
  return images


_REFUSED = {
  'scaled to one': _IMAGES / np.float32(255),
  'scaled about zero': _IMAGES / np.float32(127.5) - 1,
  'dequantized': _IMAGES + np.random.default_rng(0).random(_IMAGES.shape, 'f'),
  'one fraction': _with(0.5),
  'one below': _with(-1.0),
  'one above': _with(256.0),
  'one NaN': _with(np.nan),
  'one infinite': _with(np.inf),
  'minus infinite': _with(-np.inf),
}
_MESSAGE = 'whole numbers from 0 to 255|must be finite'


@functools.cache
def _of_compression():
  """A model of TFP's own takes any number; its score needs images."""
  model = detectors.background(120.0)
  return stats.Detector(model, stats.InputComplexity()).fit(
    detectors.images(20, 2)
  )


_DETECTORS = {
  'flow': detectors.of_flows,
  'autoencoder': lambda: detectors.of_autoencoder('component kl'),
  'classifier': lambda: detectors.of_classifier('latent'),
  'compression': _of_compression,
}
every_model = pytest.mark.parametrize('name', list(_DETECTORS))


def _statistics(name):
  """A function of images that asks the models and nothing around them."""
  detector = _DETECTORS[name]()
  names = detector._score.statistics
  return lambda images: detector._statistics(images, names)


def _check_eagerly(function):
  """Raises unless a function takes whole values in range, and no others."""
  function(_IMAGES)
  function(_IMAGES.astype(np.float64))
  for images in _REFUSED.values():
    for dtype in (np.float32, np.float64):
      with pytest.raises(ValueError, match=_MESSAGE):
        function(images.astype(dtype))
  for value in (-1, 256):
    with pytest.raises(ValueError, match=_MESSAGE):
      function(_with(value).astype(np.int32))


def _check_in_graph(function):
  """The same of a function that runs in a graph, on `float32`."""
  function(_IMAGES.astype(np.float32))
  for images in _REFUSED.values():
    with pytest.raises(tf.errors.InvalidArgumentError, match=_MESSAGE):
      function(tf.constant(images))


def _check_in_pipeline(function):
  """The same of a function that is mapped over a data set of `float32`."""
  batches = np.stack([_IMAGES.astype(np.float32), *_REFUSED.values()])
  iterator = iter(tf.data.Dataset.from_tensor_slices(batches).map(function))
  next(iterator)
  for _ in _REFUSED:
    with pytest.raises(tf.errors.InvalidArgumentError, match=_MESSAGE):
      next(iterator)
  with pytest.raises(StopIteration):
    next(iterator)


@every_model
def test_statistics_refuse_what_is_no_image(name):
  _check_eagerly(_statistics(name))


@every_model
def test_statistics_refuse_what_is_no_image_in_graphs(name):
  spec = tf.TensorSpec([None, *detectors.SHAPE], tf.float32)
  function = tf.function(_statistics(name), [spec], autograph=False)
  _check_in_graph(function)
  _check_in_pipeline(function)


@every_model
def test_a_detector_refuses_what_is_no_image(name):
  detector = _DETECTORS[name]()
  before = detector.calibration_scores
  for function in (detector.score, detector.p_value, detector.predict):
    _check_eagerly(function)
  for images in _REFUSED.values():
    for arguments in ((images,), (_IMAGES, images)):
      with pytest.raises(ValueError, match=_MESSAGE):
        detector.fit(*arguments)
  np.testing.assert_array_equal(detector.calibration_scores, before)


@pytest.mark.slow
@every_model
def test_a_detector_refuses_what_is_no_image_in_a_function(name):
  detector = _DETECTORS[name]()
  spec = tf.TensorSpec([None, *detectors.SHAPE], tf.float32)
  for function in (detector.score, detector.p_value, detector.predict):
    _check_in_graph(tf.function(function, [spec], autograph=False))


@every_model
def test_a_detector_refuses_what_is_no_image_in_a_pipeline(name):
  _check_in_pipeline(_DETECTORS[name]().p_value)


@pytest.mark.slow
@every_model
def test_an_export_refuses_what_is_no_image(name, tmp_path):
  _DETECTORS[name]().export_saved_model(tmp_path / 'detector')
  loaded = tf.saved_model.load(str(tmp_path / 'detector'))
  for function in (
    loaded.score,
    loaded.p_value,
    lambda images: loaded.predict(images, tf.constant(0.1, tf.float64)),
  ):
    _check_in_graph(function)
  _check_in_pipeline(loaded.p_value)


def test_every_model_that_a_score_needs_is_asked_before_a_graph_runs():
  flow = detectors.of_flows()._statistics.distribution
  plain = detectors.background(120.0)
  for detector in (
    stats.Detector(plain, stats.LikelihoodRatio(), background=flow),
    stats.Detector(plain, stats.Waic(), ensemble=[plain, flow]),
    stats.Detector(
      plain,
      stats.StatisticScore('theirs'),
      statistics={'theirs': (flow, 'volume')},
    ),
  ):
    with pytest.raises(ValueError, match='whole numbers from 0 to 255'):
      detector.score(_REFUSED['scaled to one'])
  # One that the score does not need is not asked.
  detector = stats.Detector(
    plain, stats.NegativeLogLikelihood(), background=flow
  )
  assert detector.score(_REFUSED['scaled to one']).shape == [4]
