# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of Detector."""

import functools
import itertools
import json
import math
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras
from scipy import stats as scipy_stats
from sklearn import covariance, pipeline, preprocessing

import tfp_ood
from tfp_ood import stats

tfd = tfp.distributions

_SMALL = [4, 4, 1]
_SHAPE = [8, 8, 3]


def _gaussian(loc=128.0, scale=20.0, shape=_SMALL):
  return tfd.Sample(tfd.Normal(np.float32(loc), np.float32(scale)), shape)


def _draws(count, seed, **kwargs):
  return _gaussian(**kwargs).sample(count, seed=[seed, 2026]).numpy()


def _detector(count=99, score=stats.Typicality, seed=1):
  return stats.Detector(_gaussian(), score()).fit(_draws(count, seed))


# ------------------------------------------------------------- calibration


def test_p_values_are_those_of_conformal_prediction():
  held_out, fresh = _draws(50, 1), _draws(20, 2, scale=25.0)
  gaussian = _gaussian()
  detector = stats.Detector(gaussian, stats.NegativeLogLikelihood())
  assert detector.calibration_scores is None
  assert detector.fit(held_out) is detector
  scores = -gaussian.log_prob(held_out).numpy()
  np.testing.assert_allclose(
    detector.calibration_scores, np.sort(scores), rtol=1e-6
  )
  assert detector.calibration_scores.dtype == np.float64
  score = detector.score(fresh)
  np.testing.assert_allclose(score, -gaussian.log_prob(fresh), rtol=1e-6)
  at_least = detector.calibration_scores >= score.numpy()[:, np.newaxis]
  p_values = detector.p_value(fresh)
  assert p_values.dtype == tf.float64
  np.testing.assert_array_equal(p_values, (1 + at_least.sum(axis=1)) / 51)


@pytest.mark.parametrize(
  'score', [stats.NegativeLogLikelihood, stats.Typicality, stats.ScoreNorm]
)
def test_p_values_of_fresh_images_are_uniform(score):
  detector = _detector(4000, score)
  p_values = detector.p_value(_draws(1000, 2))
  assert scipy_stats.kstest(p_values, 'uniform').pvalue > 1e-3
  other = detector.p_value(_draws(1000, 2, scale=25.0))
  assert scipy_stats.kstest(other, 'uniform').pvalue < 1e-6


@pytest.mark.parametrize('rate', [0.01, 0.05, 0.2])
def test_false_alarms_are_as_rare_as_promised(rate):
  count = 2000
  detector = _detector(count, stats.NegativeLogLikelihood)
  alarms = np.mean(detector.predict(_draws(count, 2), rate))
  # Of calibration and of the fresh images: four deviations.
  assert abs(alarms - rate) < 4 * math.sqrt(2 * rate * (1 - rate) / count)
  # Wider images are detected: the check above can fail.
  detected = np.mean(detector.predict(_draws(count, 2, scale=25.0), rate))
  assert detected > rate + 0.1


@pytest.mark.parametrize('count', [1, 19, 99])
def test_predict_is_score_above_threshold(count):
  detector = _detector(count, stats.NegativeLogLikelihood)
  # The held-out images too, which tie with the threshold.
  images = np.concatenate([_draws(count, 1), _draws(30, 2, scale=30.0)])
  scores = detector.score(images).numpy().astype(np.float64)
  p_values = detector.p_value(images).numpy()
  exact = np.arange(1, count + 1) / (count + 1)
  for rate in [0.005, 0.01, 0.05, 0.1, 0.3, 0.7, *exact]:
    flagged = detector.predict(images, rate).numpy()
    threshold = detector.threshold(rate)
    np.testing.assert_array_equal(flagged, scores > float(threshold))
    np.testing.assert_array_equal(flagged, p_values <= rate)
    in_tensor = detector.predict(images, tf.constant(rate, tf.float64))
    np.testing.assert_array_equal(flagged, in_tensor)
  np.testing.assert_array_equal(
    detector.predict(images), detector.predict(images, 0.05)
  )


def test_a_rate_is_not_rounded_to_single_precision():
  # In float32, 0.01 is less than the smallest p-value of 99 images, 1 / 100.
  detector = _detector(99, stats.NegativeLogLikelihood)
  far = np.zeros([1, *_SMALL])
  assert detector.predict(far, false_alarm_rate=0.01)
  in_graph = tf.function(lambda x: detector.predict(x, false_alarm_rate=0.01))
  assert in_graph(far)
  assert not detector.predict(far, false_alarm_rate=0.00999)


def test_an_image_whose_score_is_nan_is_flagged_in_a_graph():
  detector = _detector(99, stats.NegativeLogLikelihood)
  images = _draws(3, 1)
  images[1] = np.nan
  in_graph = tf.function(lambda x: (detector.p_value(x), detector.predict(x)))
  p_value, flagged = in_graph(tf.constant(images))
  np.testing.assert_array_equal(np.isnan(p_value), [False, True, False])
  assert flagged[1]
  with pytest.raises(ValueError, match='NaN'):
    detector.predict(images)


@pytest.mark.parametrize('rate', [0.0, 1.0, 5, -0.1, math.nan])
def test_a_rate_must_be_a_probability(rate):
  detector = _detector(9)
  for function in (
    lambda: detector.predict(_draws(2, 1), rate),
    lambda: detector.threshold(rate),
  ):
    with pytest.raises(ValueError, match='must lie strictly between 0 and 1'):
      function()


# ------------------------------------------------------- what it learns from


def _dataset(images, batch_size=7, labelled=False):
  dataset = tf.data.Dataset.from_tensor_slices(images).batch(batch_size)
  if labelled:
    dataset = dataset.map(lambda batch: (batch, tf.zeros(tf.shape(batch)[0])))
  return dataset


def test_fits_on_arrays_tensors_and_data_sets():
  images = _draws(40, 1)
  expected = _detector(40).calibration_scores
  given = [
    tf.constant(images),
    _dataset(images),
    _dataset(images, labelled=True),
    _dataset(images, 40),
    images.tolist(),
    (images, np.zeros(40)),
  ]
  for dataset in given:
    detector = stats.Detector(_gaussian(), stats.Typicality()).fit(dataset)
    np.testing.assert_allclose(
      detector.calibration_scores, expected, rtol=1e-5, atol=1e-4
    )


def test_a_score_that_learns_splits_the_held_out_images():
  images = _draws(41, 1)
  log_prob = _gaussian().log_prob(images).numpy().astype(np.float64)
  score = stats.Typicality()
  detector = stats.Detector(_gaussian(), score).fit(images)
  assert score.entropy is None  # The detector has a copy.
  expected = np.sort(np.abs(log_prob[1::2] - log_prob[::2].mean()))
  assert detector.calibration_scores.shape == (20,)
  np.testing.assert_allclose(detector.calibration_scores, expected, atol=1e-4)


def test_training_images_are_learned_from_alone():
  images, training = _draws(41, 1), _draws(30, 3, scale=18.0)
  log_prob = _gaussian().log_prob(training).numpy().astype(np.float64)
  for given in (training, _dataset(training, labelled=True)):
    score = stats.Typicality()
    detector = stats.Detector(_gaussian(), score).fit(images, training=given)
    assert detector.calibration_scores.shape == (41,)
    own = _gaussian().log_prob(images).numpy().astype(np.float64)
    np.testing.assert_allclose(
      detector.calibration_scores,
      np.sort(np.abs(log_prob.mean() - own)),
      atol=1e-4,
    )


def test_fitting_twice_is_fitting_once():
  images = _draws(41, 1)
  detector = stats.Detector(_gaussian(), stats.Typicality()).fit(images)
  once = detector.calibration_scores
  np.testing.assert_array_equal(detector.fit(images).calibration_scores, once)


def test_detectors_share_no_score():
  score = stats.Typicality()
  images, others = _draws(41, 1), _draws(41, 2, scale=5.0)
  first = stats.Detector(_gaussian(), score).fit(images)
  before = first.score(images).numpy()
  second = stats.Detector(_gaussian(scale=5.0), score).fit(others)
  alone = stats.Detector(_gaussian(scale=5.0), stats.Typicality()).fit(others)
  np.testing.assert_array_equal(second.score(others), alone.score(others))
  second.fit(others, training=images)
  # In another precision, and so in another trace.
  np.testing.assert_allclose(
    first.score(images.astype(np.float64)), before, atol=1e-4
  )


def test_a_score_that_has_learned_keeps_it():
  score = stats.Typicality(entropy=70.0)
  detector = stats.Detector(_gaussian(), score).fit(_draws(41, 1))
  assert score.entropy == 70.0
  assert detector.calibration_scores.shape == (41,)


def test_fit_again_forgets_what_was():
  score = stats.Typicality()
  detector = stats.Detector(_gaussian(), score)
  images = _draws(6, 4)
  in_graphs = []
  for seed, scale in ((1, 20.0), (2, 10.0)):
    held_out, training = _draws(2 * 25, seed, scale=scale).reshape(
      [2, 25, *_SMALL]
    )
    detector.fit(held_out, training=training)
    in_graphs.append(detector.score(images).numpy())
    fresh = stats.Detector(_gaussian(), stats.Typicality())
    fresh.fit(held_out, training=training)
    np.testing.assert_array_equal(detector.score(images), fresh.score(images))
    np.testing.assert_array_equal(
      detector.calibration_scores, fresh.calibration_scores
    )
  assert np.all(in_graphs[0] != in_graphs[1])


def test_variables_are_read_at_each_call():
  loc = tf.Variable(128.0)
  gaussian = tfd.Sample(tfd.Normal(loc, 20.0), _SMALL)
  detector = stats.Detector(gaussian, stats.NegativeLogLikelihood())
  detector.fit(_draws(9, 1))
  images = _draws(3, 2)
  before = detector.score(images)
  loc.assign(100.0)
  np.testing.assert_allclose(
    detector.score(images), -gaussian.log_prob(images), rtol=1e-6
  )
  assert np.all(before != detector.score(images))


# ------------------------------------------------------------- several scores


class _WithEncoder(tfd.Sample):
  def optimized_log_prob(self, images):
    return self.log_prob(images) + tf.reduce_mean(images, axis=[1, 2, 3])


def _scores():
  return {
    'likelihood': stats.NegativeLogLikelihood(),
    'typicality': stats.Typicality(),
    'ratio': stats.LikelihoodRatio(),
    'regret': stats.LikelihoodRegret(),
    'waic': stats.Waic(),
    'complexity': stats.InputComplexity(),
    'complexity of several': stats.InputComplexity('compressed_bits_per_dim'),
    'norm': stats.ScoreNorm(),
    'states': stats.DensityOfStates(('log_prob', 'score_norm')),
    'svm': stats.DensityOfStates(
      ('bits_per_dim', 'png_bits_per_dim'), method='one_class_svm'
    ),
  }


@pytest.mark.parametrize('name', list(_scores()))
def test_every_score_with_integers_of_any_type_and_any_number(name):
  model = _WithEncoder(tfd.Normal(128.0, 20.0), _SMALL)
  detector = stats.Detector(
    model,
    _scores()[name],
    background=_gaussian(scale=60.0),
    ensemble=[_gaussian(120.0), _gaussian(132.0), model],
  )
  held_out = np.round(_draws(60, 1)).clip(0, 255).astype(np.uint8)
  images = np.round(_draws(9, 2)).clip(0, 255).astype(np.uint8)
  detector.fit(held_out)
  p_values = detector.p_value(images).numpy()
  assert np.unique(p_values).size > 2
  for dtype in (np.float16, np.float32, np.float64, np.int32):
    np.testing.assert_array_equal(
      detector.p_value(images.astype(dtype)), p_values
    )
  for size in (0, 1, 9):
    assert detector.score(images[:size]).shape == [size]
    np.testing.assert_array_equal(
      detector.p_value(images[:size]), p_values[:size]
    )
    assert detector.predict(images[:size]).shape == [size]
  mapped = list(_dataset(images).map(detector.p_value))
  assert [len(part) for part in mapped] == [7, 2]
  np.testing.assert_array_equal(np.concatenate(mapped), p_values)
  in_graph = tf.function(
    detector.predict,
    input_signature=[
      tf.TensorSpec([None, *_SMALL], tf.uint8),
      tf.TensorSpec([], tf.float64),
    ],
  )
  np.testing.assert_array_equal(in_graph(images, 0.5), p_values <= 0.5)


# -------------------------------------------------------------------- errors


def test_what_is_not_calibrated_gives_no_p_values(tmp_path):
  detector = stats.Detector(_gaussian(), stats.NegativeLogLikelihood())
  images = _draws(2, 1)
  for function in (
    lambda: detector.p_value(images),
    lambda: detector.predict(images),
    lambda: tf.function(detector.predict)(images),
    detector.threshold,
    lambda: detector.save(tmp_path / 'detector.npz'),
    lambda: detector.export_saved_model(tmp_path / 'detector'),
  ):
    with pytest.raises(ValueError, match='call `fit` with held-out'):
      function()
  assert not list(tmp_path.iterdir())
  assert detector.score(images).shape == [2]


def test_a_model_that_the_score_needs_must_be_given():
  for score, message in (
    (stats.LikelihoodRatio(), 'needs the argument `background`'),
    (stats.Waic(), 'needs at least two models in the argument'),
    (stats.LikelihoodRegret(), 'with an encoder'),
    (stats.DensityOfStates(), 'a method `log_prob_terms`'),
    (stats.InputComplexity('gzip'), "unknown statistic 'gzip'"),
  ):
    with pytest.raises(ValueError, match=message):
      stats.Detector(_gaussian(), score)


@pytest.mark.parametrize('score', list(_scores()))
def test_no_images_calibrate_nothing(score):
  model = _WithEncoder(tfd.Normal(128.0, 20.0), _SMALL)
  detector = stats.Detector(
    model, _scores()[score], background=model, ensemble=[model, model]
  )
  nothing = np.zeros([0, *_SMALL], np.float32)
  for given in (nothing, _dataset(nothing), _dataset(_draws(7, 1)).take(0)):
    with pytest.raises(ValueError, match='`dataset` holds no images'):
      detector.fit(given)
    with pytest.raises(ValueError, match='`training` holds no images'):
      detector.fit(_draws(7, 1), training=given)


def test_one_image_cannot_teach_and_calibrate():
  detector = stats.Detector(_gaussian(), stats.Typicality())
  with pytest.raises(ValueError, match='no image is left to calibrate on'):
    detector.fit(_draws(1, 1))
  assert detector.fit(_draws(2, 1)).calibration_scores.shape == (1,)
  detector = stats.Detector(_gaussian(), stats.NegativeLogLikelihood())
  assert detector.fit(_draws(1, 1)).calibration_scores.shape == (1,)


def test_nan_is_refused():
  detector = _detector(20, stats.NegativeLogLikelihood)
  images = _draws(5, 2)
  images[1, 2, 2, 0] = math.nan
  before = detector.calibration_scores
  with pytest.raises(ValueError, match='1 of 5 scores of the held-out images'):
    detector.fit(images)
  np.testing.assert_array_equal(detector.calibration_scores, before)
  for function in (detector.p_value, detector.predict):
    with pytest.raises(ValueError, match='`scores` holds 1 NaN among 5'):
      function(images)
  # In a graph, where nothing can be raised, it is NaN and flagged.
  p_values = tf.function(detector.p_value)(images)
  np.testing.assert_array_equal(np.isnan(p_values), [0, 1, 0, 0, 0])
  assert tf.function(detector.predict)(images, 0.5)[1]


def test_a_failed_fit_leaves_the_detector_as_it_was():
  detector = _detector(20)
  images = _draws(6, 2)
  before = detector.p_value(images).numpy()
  entropy = detector._score.entropy
  broken = _draws(5, 3)
  broken[0] = math.nan
  for held_out, training in (
    (broken, _draws(9, 4, scale=10.0)),
    (_draws(9, 4), broken),
    (_draws(9, 4), _draws(0, 4)),
  ):
    with pytest.raises(ValueError, match=r'NaN|not finite|no images'):
      detector.fit(held_out, training=training)
    assert detector._score.entropy == entropy
    np.testing.assert_array_equal(detector.p_value(images), before)
  unfitted = stats.Detector(_gaussian(), stats.Typicality())
  with pytest.raises(ValueError, match='no image is left'):
    unfitted.fit(_draws(1, 1))
  assert not unfitted._score.is_fitted


@pytest.mark.parametrize(
  'shape', [_SMALL, [2, 4, 4, 3], [2, 8, 4, 1], [2, 4, 1, 1], [2, 3, *_SMALL]]
)
def test_other_shapes_are_refused_at_any_time(shape):
  images = np.full(shape, 128.0, np.float32)
  detector = stats.Detector(_gaussian(), stats.NegativeLogLikelihood())
  with pytest.raises(ValueError, match='`images` must be a batch'):
    detector.score(images)
  with pytest.raises(ValueError, match='`images` must be a batch'):
    detector.fit(images)
  detector.fit(_draws(9, 1))
  # After several shapes that differ, TensorFlow traces for any.
  for size, kind in itertools.product((1, 2, 3), ('score', 'p_value')):
    getattr(detector, kind)(_draws(size, 1))
    with pytest.raises(ValueError, match='`images` must be a batch'):
      getattr(detector, kind)(images)
  with pytest.raises(ValueError, match='`images` must be a batch'):
    detector.fit(images)


# --------------------------------------------------------------- with a flow


def _images(count, seed=0):
  random = np.random.default_rng(seed)
  coarse = random.integers(0, 226, [count, 2, 2, 3])
  fine = coarse.repeat(4, axis=1).repeat(4, axis=2)
  return (fine + random.integers(0, 30, fine.shape)).astype(np.uint8)


def _flow(seed, initialized=True):
  flow = tfp_ood.distributions.glow(
    _SHAPE, num_levels=1, num_steps=1, hidden_channels=4, seed=seed
  )
  if initialized:
    flow.initialize(_images(32, seed))
    random = np.random.default_rng(seed)
    for variable in flow.trainable_variables:
      variable.assign_add(random.normal(0, 0.05, variable.shape))
  return flow


def _background(level):
  return tfd.Sample(tfd.Normal(tf.Variable(level), 60.0), _SHAPE)


def _flow_score():
  return stats.DensityOfStates(('density', 'volume', 'background_log_prob'))


def _blank(score=None, initialized=False):
  """A detector as that of `_of_flows`, knowing nothing."""
  return stats.Detector(
    _flow(10, initialized),
    score or _flow_score(),
    background=_background(128.0),
  )


@functools.cache
def _of_flows():
  """A calibrated detector with a flow and a background."""
  return stats.Detector(
    _flow(0), _flow_score(), background=_background(110.0)
  ).fit(_images(60, 2))


@pytest.mark.parametrize('initialized', [False, True])
def test_save_and_load_give_the_same_p_values(initialized, tmp_path):
  path = tmp_path / 'folder' / 'detector'
  detector = _of_flows()
  detector.save(path)
  assert [p.name for p in path.parent.iterdir()] == ['detector']
  restored = _blank(initialized=initialized)
  if initialized:
    # It has a state of its own, and graphs, which are to be forgotten.
    restored.fit(_images(20, 5))
    restored.p_value(_images(5, 3))
  assert restored.load(path) is restored
  for size in (0, 1, 25):
    images = _images(25, 3)[:size]
    np.testing.assert_array_equal(
      restored.score(images), detector.score(images)
    )
    np.testing.assert_array_equal(
      restored.p_value(images), detector.p_value(images)
    )
  np.testing.assert_array_equal(
    restored.calibration_scores, detector.calibration_scores
  )
  assert float(restored.threshold()) == float(detector.threshold())


def _state(detector):
  return [
    detector.calibration_scores,
    *detector._score.get_state().values(),
    *(variable.numpy() for variable in detector._variables()),
  ]


_OTHERS = {
  'score': lambda: _blank(stats.LikelihoodRatio(), True),
  'statistics': lambda: _blank(
    stats.DensityOfStates(('density', 'volume', 'score_norm')), True
  ),
  'method': lambda: _blank(
    stats.DensityOfStates(
      ('density', 'volume', 'background_log_prob'), method='one_class_svm'
    ),
    True,
  ),
  'fewer models': lambda: stats.Detector(
    _flow(0), stats.DensityOfStates(('density', 'volume'))
  ),
  'larger model': lambda: stats.Detector(
    tfp_ood.distributions.glow(
      _SHAPE, num_levels=1, num_steps=2, hidden_channels=4, seed=0
    ),
    _flow_score(),
    background=_background(128.0),
  ),
}


@pytest.mark.parametrize('what', list(_OTHERS))
def test_load_into_another_detector_is_refused(what, tmp_path):
  path = tmp_path / 'detector'
  _of_flows().save(path)
  other = _OTHERS[what]()
  if what == 'method':
    other.fit(_images(20, 5))
  before = _state(other)
  with pytest.raises(ValueError, match='another score or other models'):
    other.load(path)
  for now, then in zip(_state(other), before, strict=True):
    np.testing.assert_array_equal(now, then)


def test_load_into_the_other_compressor_is_refused(tmp_path):
  path = tmp_path / 'detector'
  _detector(9, stats.InputComplexity).save(path)
  other = stats.Detector(
    _gaussian(), stats.InputComplexity('compressed_bits_per_dim')
  )
  with pytest.raises(ValueError, match='of a detector with another score'):
    other.load(path)


def test_damaged_files_are_refused(tmp_path):
  path = tmp_path / 'detector'
  detector = _of_flows()
  detector.save(path)
  whole = path.read_bytes()
  restored = _blank(initialized=True)
  before = _state(restored)
  for content in (whole[: len(whole) // 2], whole[:-10], b'', b'text'):
    path.write_bytes(content)
    with pytest.raises(ValueError, match='not a whole file of arrays'):
      restored.load(path)
  np.savez(path.with_suffix('.npz'), other=np.zeros(3))
  with pytest.raises(ValueError, match='no detector, 0 variables'):
    restored.load(path.with_suffix('.npz'))
  with pytest.raises(FileNotFoundError):
    restored.load(tmp_path / 'absent')
  for now, then in zip(_state(restored), before, strict=True):
    np.testing.assert_array_equal(now, then)


# -------------------------------------------------------------- a classifier


def _rendering_model(seed=0, variance=0.5):
  k = tf_keras.layers
  classifier = tf_keras.Sequential(
    [
      k.Input(_SHAPE),
      k.Conv2D(4, 3, strides=2, padding='same', activation='relu'),
      k.Conv2D(5, 3, activation='relu'),
      k.Flatten(),
      k.Dense(3),
    ]
  )
  random = np.random.default_rng(seed)
  classifier.set_weights(
    [random.normal(0, 0.3, weight.shape) for weight in classifier.weights]
  )
  return tfp_ood.distributions.NeuralRenderingModel.from_keras(
    classifier, variance=variance
  )


_LAYERS = ('nrm_layer_etas', 'nrm_layer_reconstructions')
_RENDERING_SCORES = {
  'latent': stats.RenderingLatent,
  'log_prob': stats.RenderingLogProb,
  'reconstruction': lambda: stats.RenderingReconstruction(2),
  'softmax': lambda: stats.MaxSoftmax(2.0),
  'energy': lambda: stats.Energy(2.0),
  'layers': lambda: stats.DensityOfStates(_LAYERS, 'gaussian'),
}


@functools.cache
def _of_classifier(name):
  """A calibrated detector of a classifier's score."""
  detector = stats.Detector(_rendering_model(), _RENDERING_SCORES[name]())
  return detector.fit(_images(40, 2), training=_images(60, 3))


@pytest.mark.parametrize('name', list(_RENDERING_SCORES))
def test_a_classifier_detects(name):
  detector, nrm = _of_classifier(name), _rendering_model()
  images = _images(20, 4)
  assert detector.image_shape == _SHAPE
  assert detector.calibration_scores.shape == (40,)
  terms, logits = nrm.image_log_prob_terms(images), nrm.infer(images).logits
  # Columns are etas of two layers, and the image's and two layers' errors.
  layers = np.concatenate(nrm.layer_terms(images), axis=1)
  if name == 'layers':
    known = np.concatenate(nrm.layer_terms(_images(60, 3)), axis=1)
    known = known.astype(np.float64)
    to_normal = pipeline.make_pipeline(
      preprocessing.StandardScaler(),
      preprocessing.PowerTransformer(standardize=False),
    )
    normal = covariance.LedoitWolf().fit(to_normal.fit_transform(known))
    expected = -scipy_stats.multivariate_normal(
      normal.location_, normal.covariance_
    ).logpdf(to_normal.transform(layers.astype(np.float64)))
  else:
    expected = {
      'latent': -terms.latent,
      'log_prob': -sum(terms),
      'reconstruction': -layers[:, 4],
      'softmax': -np.max(tf.nn.softmax(logits / 2), axis=1),
      'energy': -2 * tf.reduce_logsumexp(logits / 2, axis=1),
    }[name]
  np.testing.assert_allclose(
    detector.score(images), expected, rtol=1e-4, atol=1e-4
  )
  p_values = detector.p_value(images).numpy()
  assert ((p_values > 0) & (p_values <= 1)).all()
  assert np.unique(p_values).size > 5
  np.testing.assert_array_equal(detector.predict(images, 0.3), p_values <= 0.3)


@pytest.mark.parametrize('name', ['latent', 'layers'])
def test_a_detector_of_a_classifier_is_saved(name, tmp_path):
  detector = _of_classifier(name)
  detector.save(tmp_path / 'detector')
  restored = stats.Detector(_rendering_model(7), _RENDERING_SCORES[name]())
  restored.load(tmp_path / 'detector')
  for size in (0, 1, 20):
    images = _images(20, 4)[:size]
    np.testing.assert_array_equal(
      restored.p_value(images), detector.p_value(images)
    )


def test_detectors_of_other_scores_of_a_classifier_are_told_apart(tmp_path):
  for name, others in {
    'latent': [stats.RenderingLatent('eta'), stats.RenderingLogProb()],
    'reconstruction': [stats.RenderingReconstruction(1)],
    'softmax': [stats.MaxSoftmax(), stats.Energy(2.0)],
    'layers': [
      stats.DensityOfStates(_LAYERS),
      stats.DensityOfStates(_LAYERS[::-1], 'gaussian'),
      stats.DensityOfStates(('nrm_layer_etas[0]', _LAYERS[1]), 'gaussian'),
    ],
  }.items():
    _of_classifier(name).save(tmp_path / 'detector')
    for other in others:
      detector = stats.Detector(_rendering_model(), other)
      with pytest.raises(ValueError, match='of a detector with another score'):
        detector.load(tmp_path / 'detector')


def test_an_ensemble_of_classifiers():
  members = [_rendering_model(seed) for seed in (1, 2)]
  images = _images(6, 4)
  detector = stats.Detector(_rendering_model(), stats.Waic(), ensemble=members)
  log_probs = [sum(member.image_log_prob_terms(images)) for member in members]
  np.testing.assert_allclose(
    detector.score(images), stats.waic(tf.stack(log_probs, -1)).score, rtol=1e-4
  )


def test_a_layer_that_says_nothing_is_named():
  # Without a bias, a layer has no share in eta.
  nrm = _rendering_model()
  first_bias = next(v for v in nrm.variables if v.shape == [4])
  first_bias.assign(tf.zeros([4]))
  detector = stats.Detector(nrm, _RENDERING_SCORES['layers']())
  with pytest.raises(ValueError, match=r'nrm_layer_etas\[0\] is the same'):
    detector.fit(_images(40, 2))
  score = stats.DensityOfStates(('nrm_layer_etas[1]', _LAYERS[1]), 'gaussian')
  assert stats.Detector(nrm, score).fit(_images(40, 2)).p_value(_images(2))[0]


# ------------------------------------------------------------ an autoencoder


def _autoencoder(seed=0):
  return tfp_ood.distributions.variational_autoencoder(
    _SHAPE, latent_size=3, hidden_channels=2, seed=seed
  )


_LATENT_METHODS = ('kde', 'one_class_svm', 'gaussian', 'mahalanobis')
_AUTOENCODER_SCORES = {
  'likelihood': stats.NegativeLogLikelihood,
  'typicality': stats.Typicality,
  'complexity': stats.InputComplexity,
  'regret': stats.LikelihoodRegret,
  **{
    f'component {name}': functools.partial(stats.ElboComponent, name)
    for name in ('reconstruction', 'log_prior', 'posterior_entropy', 'kl')
  },
  **{
    f'latent {method}': functools.partial(
      stats.DensityOfStates, ('latent',), method
    )
    for method in _LATENT_METHODS
  },
}


@functools.cache
def _of_autoencoder(name):
  """A calibrated detector of an autoencoder's score."""
  detector = stats.Detector(_autoencoder(), _AUTOENCODER_SCORES[name]())
  return detector.fit(_images(40, 2), training=_images(60, 3))


@pytest.mark.parametrize('name', list(_AUTOENCODER_SCORES))
def test_an_autoencoder_detects(name):
  detector, model, images = _of_autoencoder(name), _autoencoder(), _images(9, 4)
  log_prob, terms = model.log_prob(images), model.elbo_terms(images)
  kind, _, which = name.partition(' ')
  if kind == 'latent':
    score = _AUTOENCODER_SCORES[name]()
    score.fit({'latent': model.encode(_images(60, 3)).mean()})
    expected = score({'latent': model.encode(images).mean()})
  elif which == 'kl':
    expected = model.encode(images).kl_divergence(model.prior)
  elif kind == 'component':
    expected = -getattr(terms, which)
  else:
    entropy = -np.mean(model.log_prob(_images(60, 3)))
    expected = {
      'likelihood': lambda: -log_prob,
      'typicality': lambda: np.abs(log_prob + entropy),
      'complexity': lambda: (
        stats.bits_per_dim(log_prob, math.prod(_SHAPE))
        - stats.png_bits_per_dim(images)
      ),
      'regret': lambda: model.optimized_log_prob(images) - log_prob,
    }[kind]()
  np.testing.assert_allclose(
    detector.score(images), expected, rtol=1e-4, atol=1e-3
  )
  p_values = detector.p_value(images).numpy()
  assert ((p_values > 0) & (p_values <= 1)).all()
  assert np.unique(p_values).size > 2
  assert detector.score(images[:0]).shape == [0]


@pytest.mark.parametrize('method', _LATENT_METHODS)
def test_a_detector_of_latents_is_saved(method, tmp_path):
  name = f'latent {method}'
  detector, images = _of_autoencoder(name), _images(9, 4)
  detector.save(tmp_path / 'detector')
  restored = stats.Detector(_autoencoder(7), _AUTOENCODER_SCORES[name]())
  restored.load(tmp_path / 'detector')
  np.testing.assert_array_equal(
    restored.p_value(images), detector.p_value(images)
  )
  for other in set(_LATENT_METHODS) - {method}:
    blank = stats.Detector(
      _autoencoder(7), _AUTOENCODER_SCORES[f'latent {other}']()
    )
    with pytest.raises(ValueError, match='of a detector with another score'):
      blank.load(tmp_path / 'detector')


# --------------------------------------------------------------------- export


_SCRIPT = """
import sys

_ABSENT = ('tfp_ood', 'tensorflow_probability', 'tf_keras', 'sklearn', 'PIL')


class _Absent:
  def find_spec(self, name, path=None, target=None):
    if name.split('.')[0] in _ABSENT:
      raise ModuleNotFoundError(f'{name} is blocked in this test')


sys.meta_path.insert(0, _Absent())

import json

import numpy as np
import tensorflow as tf

for name in _ABSENT:
  try:
    __import__(name)
  except ModuleNotFoundError:
    continue
  raise AssertionError(f'{name} could be imported')

folder = sys.argv[1]
images = np.load(f'{folder}/images.npy')
results = {}
for name in json.loads(sys.argv[2]):
  model = tf.saved_model.load(f'{folder}/{name}')
  assert sorted(model.signatures) == ['p_value', 'predict', 'score']
  serve = model.signatures
  for size in (0, 1, 7):
    batch = images[:size]
    for dtype in (np.uint8, np.float32):
      key = f'{name}/{size}/{np.dtype(dtype).name}'
      results[f'{key}/score'] = model.score(batch.astype(dtype))
      results[f'{key}/p_value'] = model.p_value(batch.astype(dtype))
      results[f'{key}/predict'] = model.predict(batch.astype(dtype), 0.25)
    key = f'{name}/{size}/served'
    batch = tf.constant(batch)
    rate = tf.constant(0.25, tf.float64)
    (results[f'{key}/score'],) = [serve['score'](images=batch)['score']]
    (results[f'{key}/p_value'],) = serve['p_value'](images=batch).values()
    served = serve['predict'](images=batch, false_alarm_rate=rate)
    (results[f'{key}/predict'],) = served.values()
  assert serve['p_value'].structured_outputs.keys() == {'p_value'}
  assert served.keys() == {'is_out_of_distribution'}
  mapped = tf.data.Dataset.from_tensor_slices(images).batch(4)
  mapped = list(mapped.map(model.p_value))
  assert [len(part) for part in mapped] == [4, 3]
  results[f'{name}/7/mapped/p_value'] = tf.concat(mapped, axis=0)
np.savez(f'{folder}/results.npz', **results)
"""


def _of_gaussian(score):
  gaussian = tfd.Sample(tfd.Normal(tf.Variable(120.0), 60.0), _SHAPE)
  return stats.Detector(gaussian, score).fit(_images(30, 2))


def test_exports_run_where_there_is_only_tensorflow(tmp_path):
  detectors = {
    'states': _of_flows(),
    'complexity': _of_gaussian(stats.InputComplexity()),
    'norm': _of_gaussian(stats.ScoreNorm()),
    'latent': _of_classifier('latent'),
    'layers': _of_classifier('layers'),
    'component': _of_autoencoder('component kl'),
    'svm': _of_autoencoder('latent one_class_svm'),
    'mahalanobis': _of_autoencoder('latent mahalanobis'),
  }
  images = _images(7, 6)
  images[5] = 255
  np.save(tmp_path / 'images.npy', images)
  for name, detector in detectors.items():
    detector.export_saved_model(tmp_path / name)
  result = subprocess.run(
    [
      sys.executable,
      '-c',
      _SCRIPT,
      str(tmp_path),
      json.dumps(list(detectors)),
    ],
    capture_output=True,
    text=True,
    env={**os.environ, 'CUDA_VISIBLE_DEVICES': '-1'},
    timeout=300,
  )
  assert result.returncode == 0, result.stderr[-3000:]
  with np.load(tmp_path / 'results.npz') as results:
    assert len(results) == len(detectors) * (3 * 3 * 3 + 1)
    for key, value in results.items():
      name, size, _, method = key.split('/')
      detector, batch = detectors[name], images[: int(size)]
      if method == 'score':
        np.testing.assert_allclose(value, detector.score(batch), rtol=1e-5)
      elif method == 'p_value':
        np.testing.assert_array_equal(value, detector.p_value(batch), key)
      else:
        np.testing.assert_array_equal(value, detector.predict(batch, 0.25), key)
    assert np.unique(results['states/7/uint8/p_value']).size > 2
    assert results['states/7/uint8/predict'][5]


def test_an_export_replaces_an_earlier_one(tmp_path):
  path = tmp_path / 'folder' / 'detector'
  images = _draws(5, 3)
  for seed in (1, 2):
    detector = _detector(30, stats.NegativeLogLikelihood, seed)
    detector.export_saved_model(str(path))
    np.testing.assert_array_equal(
      tf.saved_model.load(str(path)).p_value(images), detector.p_value(images)
    )
  assert [entry.name for entry in path.parent.iterdir()] == ['detector']


def test_a_saved_model_cannot_hold_pillow(tmp_path):
  detector = _detector(
    9, functools.partial(stats.InputComplexity, 'compressed_bits_per_dim')
  )
  with pytest.raises(ValueError, match=r"Use InputComplexity\('png_bits_per_d"):
    detector.export_saved_model(tmp_path / 'detector')
  assert not list(tmp_path.iterdir())
