# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of Detector."""

import itertools
import math

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy import stats as scipy_stats
from stats import counting_models
from tiers import few

from tfp_ood import stats

tfd = tfp.distributions

_SMALL = [4, 4, 1]


def _gaussian(loc=128.0, scale=20.0, shape=_SMALL):
  return tfd.Sample(tfd.Normal(np.float32(loc), np.float32(scale)), shape)


def _draws(count, seed, **kwargs):
  return _gaussian(**kwargs).sample(count, seed=[seed, 2026]).numpy()


def _detector(count=99, score=stats.Typicality, seed=1):
  return stats.Detector(_gaussian(), score()).fit(_draws(count, seed))


class _Roots:
  """A model whose log-probability is NaN where a pixel is negative."""

  event_shape = tf.TensorShape(_SMALL)
  dtype = tf.float32

  def log_prob(self, images):
    return -tf.reduce_sum(tf.sqrt(images), axis=[1, 2, 3])


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
  detector = stats.Detector(_Roots(), stats.NegativeLogLikelihood())
  detector.fit(_draws(99, 1))
  images = _draws(3, 1)
  images[1] = -1.0
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


# ------------------------------------------------------------ from statistics


@pytest.mark.parametrize('score', [stats.Typicality, stats.ScoreNorm])
@pytest.mark.parametrize('with_training', [False, True])
def test_statistics_take_the_place_of_examples(score, with_training):
  held_out, images = _draws(41, 1), _draws(9, 2)
  training = _draws(30, 3, scale=18.0) if with_training else None
  detector = stats.Detector(_gaussian(), score()).fit(held_out, training)

  def statistics_of(x):
    names = detector._score.statistics
    return None if x is None else stats.Statistics(_gaussian())(x, names)

  other = stats.Detector(_gaussian(), score())
  assert (
    other.fit_statistics(statistics_of(held_out), statistics_of(training))
    is other
  )
  np.testing.assert_allclose(
    other.calibration_scores, detector.calibration_scores, atol=1e-4
  )
  values = {k: v.numpy() for k, v in statistics_of(images).items()}
  scores = detector.score_statistics(values)
  assert isinstance(scores, np.ndarray)
  np.testing.assert_allclose(scores, detector.score(images), atol=1e-4)
  p_values = detector.p_value_of_statistics(values)
  assert isinstance(p_values, np.ndarray) and p_values.dtype == np.float64
  np.testing.assert_array_equal(p_values, detector.p_value(images))


def test_any_number_of_statistics_is_scored():
  detector = _detector(99, stats.NegativeLogLikelihood)
  for count in (0, 1, 999, 1000, 1001, 2500):
    log_prob = np.linspace(-90.0, -60.0, count)
    scores = detector.score_statistics({'log_prob': log_prob})
    np.testing.assert_array_equal(scores, -log_prob)
    assert detector.p_value_of_statistics({'log_prob': log_prob}).size == count


def test_statistics_that_are_missing_empty_or_nan_are_refused():
  detector = _detector(20)
  before = detector.calibration_scores
  for statistics, error, message in (
    ({'density': [1.0]}, KeyError, 'log_prob'),
    ({'log_prob': []}, ValueError, 'of 0 given, 0 are not finite'),
    ({'log_prob': [1.0, 2.0, math.nan]}, ValueError, 'of 2 given, 1 are not'),
    ({'log_prob': [1.0, math.nan, 2.0]}, ValueError, '1 of 1 scores of the h'),
  ):
    with pytest.raises(error, match=message):
      detector.fit_statistics(statistics)
    np.testing.assert_array_equal(detector.calibration_scores, before)
  with pytest.raises(ValueError, match='holds 1 NaN among 2'):
    detector.p_value_of_statistics({'log_prob': [1.0, math.nan]})
  with pytest.raises(ValueError, match='call `fit` with held-out'):
    stats.Detector(_gaussian(), stats.Typicality(1.0)).p_value_of_statistics(
      {'log_prob': [1.0]}
    )


# -------------------------------------------------------------------- traces


def test_a_model_is_traced_once_for_each_dtype():
  model = counting_models.Gaussian()
  detector = stats.Detector(model, stats.Typicality())
  images = counting_models.random_images(30)
  for count, dtype in enumerate([np.uint8, np.float32, np.float64], start=1):
    x = images.astype(dtype)
    detector.fit(x).fit(_dataset(x, 4), training=_dataset(x, 9))
    for size in (1, 2, 30, 5, 0, 29, 1):
      detector.score(x[:size])
      detector.p_value(x[:size])
      detector.predict(x[:size], 0.1)
    list(_dataset(x).map(detector.p_value))
    tf.function(detector.predict, reduce_retracing=True)(x)
    detector.fit(x).predict(x)
    assert model.calls == ['log_prob'] * count


def test_a_model_that_has_a_dtype_is_traced_once():
  class Counted(tfd.Sample):
    num_calls = 0

    def _log_prob(self, *args, **kwargs):
      Counted.num_calls += 1
      return super()._log_prob(*args, **kwargs)

  model = Counted(tfd.Normal(128.0, 20.0), _SMALL)
  detector = stats.Detector(model, stats.NegativeLogLikelihood())
  images = np.round(_draws(20, 1))
  detector.fit(images)
  for dtype in (np.uint8, np.int32, np.float16, np.float32, np.float64):
    for size in (3, 1, 20):
      detector.p_value(images[:size].astype(dtype))
  assert Counted.num_calls == 1


# ------------------------------------------------------------- several scores


class _WithEncoder(tfd.Sample):
  statistics_names = ('optimized_log_prob',)

  def statistics(self, images, names):
    best = self.log_prob(images) + tf.reduce_mean(images, axis=[1, 2, 3])
    return dict.fromkeys(names, best)


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
    'latent statistic': stats.StatisticScore('optimized_log_prob', sign=-1),
    'states': stats.DensityOfStates(('log_prob', 'score_norm')),
    'svm': stats.DensityOfStates(
      ('bits_per_dim', 'png_bits_per_dim'), method='one_class_svm'
    ),
  }


@pytest.mark.parametrize('name', few(_scores(), 4))
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
    autograph=False,
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


def test_a_statistic_that_the_score_needs_must_be_there():
  for score, message in (
    (stats.LikelihoodRatio(), 'which needs the argument `background`'),
    (stats.Waic(), 'which needs at least two models in the argument'),
    (stats.LikelihoodRegret(), "no statistic 'optimized_log_prob'. There are"),
    (stats.DensityOfStates(), "no statistic 'density'. There are log_prob"),
    (stats.InputComplexity('gzip'), "no statistic 'gzip'"),
    (stats.ElboComponent('elbo'), "no statistic 'elbo_elbo'"),
    (stats.RenderingLatent('softmax'), "no statistic 'latent_softmax'"),
  ):
    with pytest.raises(ValueError, match=message):
      stats.Detector(_gaussian(), score)


@pytest.mark.parametrize('score', few(_scores(), 3))
def test_no_images_calibrate_nothing(score):
  model = _WithEncoder(tfd.Normal(128.0, 20.0), _SMALL)
  detector = stats.Detector(
    model, _scores()[score], background=model, ensemble=[model, model]
  )
  some = np.round(_draws(7, 1))
  nothing = np.zeros([0, *_SMALL], np.float32)
  for given in (nothing, _dataset(nothing), _dataset(some).take(0)):
    with pytest.raises(ValueError, match='`dataset` holds no examples'):
      detector.fit(given)
    with pytest.raises(ValueError, match='`training` holds no examples'):
      detector.fit(some, training=given)


def test_one_image_cannot_teach_and_calibrate():
  detector = stats.Detector(_gaussian(), stats.Typicality())
  with pytest.raises(ValueError, match='no example is left to calibrate on'):
    detector.fit(_draws(1, 1))
  assert detector.fit(_draws(2, 1)).calibration_scores.shape == (1,)
  detector = stats.Detector(_gaussian(), stats.NegativeLogLikelihood())
  assert detector.fit(_draws(1, 1)).calibration_scores.shape == (1,)


def test_nan_is_refused():
  detector = stats.Detector(_Roots(), stats.NegativeLogLikelihood())
  detector.fit(_draws(20, 1))
  images = _draws(5, 2)
  images[1, 2, 2, 0] = -1.0
  before = detector.calibration_scores
  with pytest.raises(
    ValueError, match='1 of 5 scores of the held-out examples are NaN'
  ):
    detector.fit(images)
  np.testing.assert_array_equal(detector.calibration_scores, before)
  for function in (detector.p_value, detector.predict):
    with pytest.raises(ValueError, match='`scores` holds 1 NaN among 5'):
      function(images)
  # In a graph, where nothing can be raised, it is NaN and flagged.
  p_values = tf.function(detector.p_value)(images)
  np.testing.assert_array_equal(np.isnan(p_values), [0, 1, 0, 0, 0])
  assert tf.function(detector.predict)(images, 0.5)[1]


@pytest.mark.parametrize(
  'model, invalid', [(_gaussian, math.nan), (_Roots, -1.0)]
)
def test_a_failed_fit_leaves_the_detector_as_it_was(model, invalid):
  detector = stats.Detector(model(), stats.Typicality()).fit(_draws(20, 1))
  images = _draws(6, 2)
  before = detector.p_value(images).numpy()
  entropy = detector._score.entropy
  broken = _draws(5, 3)
  broken[0] = invalid
  for held_out, training in (
    (broken, _draws(9, 4, scale=10.0)),
    (_draws(9, 4), broken),
    (_draws(9, 4), _draws(0, 4)),
  ):
    with pytest.raises(ValueError, match=r'NaN|finite|no examples'):
      detector.fit(held_out, training=training)
    assert detector._score.entropy == entropy
    np.testing.assert_array_equal(detector.p_value(images), before)
  unfitted = stats.Detector(model(), stats.Typicality())
  with pytest.raises(ValueError, match='no example is left'):
    unfitted.fit(_draws(1, 1))
  assert not unfitted._score.is_fitted


@pytest.mark.parametrize(
  'shape', [_SMALL, [2, 4, 4, 3], [2, 8, 4, 1], [2, 4, 1, 1], [2, 3, *_SMALL]]
)
def test_other_shapes_are_refused_at_any_time(shape):
  images = np.full(shape, 128.0, np.float32)
  detector = stats.Detector(_gaussian(), stats.NegativeLogLikelihood())
  with pytest.raises(ValueError, match='the examples must be a batch'):
    detector.score(images)
  with pytest.raises(ValueError, match='the examples must be a batch'):
    detector.fit(images)
  detector.fit(_draws(9, 1))
  # After several shapes that differ, TensorFlow traces for any.
  for size, kind in itertools.product((1, 2, 3), ('score', 'p_value')):
    getattr(detector, kind)(_draws(size, 1))
    with pytest.raises(ValueError, match='the examples must be a batch'):
      getattr(detector, kind)(images)
  with pytest.raises(ValueError, match='the examples must be a batch'):
    detector.fit(images)
