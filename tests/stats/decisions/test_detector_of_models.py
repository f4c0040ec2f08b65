# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of Detector with models of every family."""

import io
import math

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras
from scipy import stats as scipy_stats
from sklearn import covariance, preprocessing
from stats import counting_models
from stats.decisions import detectors
from tiers import few

import tfp_ood
from tfp_ood import stats

tfd = tfp.distributions


# --------------------------------------------------------------- with a flow


def _blank(score=None, initialized=False):
  """A detector as that of `of_flows`, knowing nothing."""
  return stats.Detector(
    detectors.flow(10, initialized),
    score or detectors.flow_score(),
    background=detectors.background(128.0),
  )


@pytest.mark.parametrize('initialized', [False, True])
def test_save_and_load_give_the_same_p_values(initialized, tmp_path):
  path = tmp_path / 'folder' / 'detector'
  detector = detectors.of_flows()
  detector.save(path)
  assert [p.name for p in path.parent.iterdir()] == ['detector']
  restored = _blank(initialized=initialized)
  if initialized:
    # It has a state of its own, and graphs, which are to be forgotten.
    restored.fit(detectors.images(20, 5))
    restored.p_value(detectors.images(5, 3))
  assert restored.load(path) is restored
  for size in (0, 1, 25):
    images = detectors.images(25, 3)[:size]
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
    detectors.flow(0), stats.DensityOfStates(('density', 'volume'))
  ),
  'larger model': lambda: stats.Detector(
    tfp_ood.distributions.glow(
      detectors.SHAPE, num_levels=1, num_steps=2, hidden_channels=4, seed=0
    ),
    detectors.flow_score(),
    background=detectors.background(128.0),
  ),
}


@pytest.mark.parametrize('what', list(_OTHERS))
def test_load_into_another_detector_is_refused(what, tmp_path):
  path = tmp_path / 'detector'
  detectors.of_flows().save(path)
  other = _OTHERS[what]()
  if what == 'method':
    other.fit(detectors.images(20, 5))
  before = _state(other)
  with pytest.raises(ValueError, match='another score or other models'):
    other.load(path)
  for now, then in zip(_state(other), before, strict=True):
    np.testing.assert_array_equal(now, then)


def test_load_into_the_other_compressor_is_refused(tmp_path):
  path = tmp_path / 'detector'
  model, images = detectors.background(128.0), detectors.images(9)
  stats.Detector(model, stats.InputComplexity()).fit(images).save(path)
  other = stats.Detector(
    model, stats.InputComplexity('compressed_bits_per_dim')
  )
  with pytest.raises(ValueError, match='of a detector with another score'):
    other.load(path)


def test_damaged_files_are_refused(tmp_path):
  path = tmp_path / 'detector'
  detector = detectors.of_flows()
  detector.save(path)
  whole = path.read_bytes()
  restored = _blank(initialized=True)
  before = _state(restored)
  for content in (whole[: len(whole) // 2], whole[:-10], b'', b'text'):
    path.write_bytes(content)
    with pytest.raises(ValueError, match='not a whole file of arrays'):
      restored.load(path)
  with np.load(io.BytesIO(whole)) as arrays:
    fewer = {k: v for k, v in arrays.items() if k != 'learned/weights'}
  np.savez(path.with_suffix('.npz'), **fewer)
  with pytest.raises(ValueError, match='another score or other models'):
    restored.load(path.with_suffix('.npz'))
  np.savez(path.with_suffix('.npz'), other=np.zeros(3))
  with pytest.raises(ValueError, match='no detector, 0 variables'):
    restored.load(path.with_suffix('.npz'))
  with pytest.raises(FileNotFoundError):
    restored.load(tmp_path / 'absent')
  for now, then in zip(_state(restored), before, strict=True):
    np.testing.assert_array_equal(now, then)


# -------------------------------------------------------------- a classifier


def _gaussian_states(known, fresh):
  """Minus the log-density of a normal of columns brought nearest to one."""
  scaler = preprocessing.StandardScaler().fit(known.astype(np.float64))
  known, fresh = (
    scaler.transform(x.astype(np.float64)) for x in (known, fresh)
  )
  power = preprocessing.PowerTransformer(standardize=False).fit(known)
  # Beyond the examples that are known, a straight line.
  within = np.clip(fresh, known.min(axis=0), known.max(axis=0))
  step = 1e-6
  slope = (power.transform(within + step) - power.transform(within - step)) / (
    2 * step
  )
  moved = power.transform(within) + slope * (fresh - within)
  normal = covariance.LedoitWolf().fit(power.transform(known))
  return -scipy_stats.multivariate_normal(
    normal.location_, normal.covariance_
  ).logpdf(moved)


@pytest.mark.parametrize('name', list(detectors.RENDERING_SCORES))
def test_a_classifier_detects(name):
  detector = detectors.of_classifier(name)
  nrm = detectors.shared_rendering_model()
  images = detectors.images(20, 4)
  assert detector.event_shape == detectors.SHAPE
  assert detector.calibration_scores.shape == (40,)
  terms, logits = nrm.image_log_prob_terms(images), nrm.infer(images).logits
  # Columns are etas of two layers, and the image's and two layers' errors.
  layers = np.concatenate(nrm.layer_terms(images), axis=1)
  if name == 'layers':
    known = np.concatenate(nrm.layer_terms(detectors.images(60, 3)), axis=1)
    expected = _gaussian_states(known, layers)
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
  detector = detectors.of_classifier(name)
  detector.save(tmp_path / 'detector')
  restored = stats.Detector(
    detectors.rendering_model(7), detectors.RENDERING_SCORES[name]()
  )
  restored.load(tmp_path / 'detector')
  for size in (0, 1, 20):
    images = detectors.images(20, 4)[:size]
    np.testing.assert_array_equal(
      restored.p_value(images), detector.p_value(images)
    )


def test_detectors_of_other_scores_of_a_classifier_are_told_apart(tmp_path):
  for name, others in {
    'latent': [stats.RenderingLatent('eta'), stats.NegativeLogLikelihood()],
    'reconstruction': [stats.RenderingReconstruction(1)],
    'softmax': [stats.MaxSoftmax(), stats.Energy(2.0)],
    'layers': [
      stats.DensityOfStates(detectors.LAYERS),
      stats.DensityOfStates(detectors.LAYERS[::-1], 'gaussian'),
      stats.DensityOfStates(('layer_etas[0]', detectors.LAYERS[1]), 'gaussian'),
    ],
  }.items():
    detectors.of_classifier(name).save(tmp_path / 'detector')
    for other in others:
      detector = stats.Detector(detectors.shared_rendering_model(), other)
      with pytest.raises(ValueError, match='of a detector with another score'):
        detector.load(tmp_path / 'detector')


def test_an_ensemble_of_classifiers():
  members = [detectors.rendering_model(seed) for seed in (1, 2)]
  images = detectors.images(6, 4)
  detector = stats.Detector(
    detectors.shared_rendering_model(), stats.Waic(), ensemble=members
  )
  log_probs = [sum(member.image_log_prob_terms(images)) for member in members]
  np.testing.assert_allclose(
    detector.score(images), stats.waic(tf.stack(log_probs, -1)).score, rtol=1e-4
  )


def test_a_layer_that_says_nothing_is_named():
  # Without a bias, a layer has no share in eta.
  nrm = detectors.rendering_model()
  first_bias = next(v for v in nrm.variables if v.shape == [4])
  first_bias.assign(tf.zeros([4]))
  detector = stats.Detector(nrm, detectors.RENDERING_SCORES['layers']())
  with pytest.raises(ValueError, match=r'layer_etas\[0\] is the same'):
    detector.fit(detectors.images(40, 2))
  p_values = []
  for score in (
    stats.DensityOfStates(('layer_etas[1]', detectors.LAYERS[1]), 'gaussian'),
    stats.DensityOfStates(detectors.LAYERS, 'gaussian', drop_constant=True),
  ):
    detector = stats.Detector(nrm, score).fit(detectors.images(40, 2))
    p_values.append(detector.p_value(detectors.images(20)))
  assert np.unique(p_values[0]).size > 2
  np.testing.assert_array_equal(*p_values)


# ------------------------------------------------------------ an autoencoder


@pytest.mark.parametrize('name', few(detectors.AUTOENCODER_SCORES, 4))
def test_an_autoencoder_detects(name):
  detector, images = detectors.of_autoencoder(name), detectors.images(9, 4)
  model = detectors.shared_autoencoder()
  log_prob, terms = model.log_prob(images), model.elbo_terms(images)
  kind, _, which = name.partition(' ')
  if kind == 'latent':
    score = detectors.AUTOENCODER_SCORES[name]()
    score.fit({'latent': model.encode(detectors.images(60, 3)).mean()})
    expected = score({'latent': model.encode(images).mean()})
  elif which == 'kl':
    expected = model.encode(images).kl_divergence(model.prior)
  elif kind == 'component':
    expected = -getattr(terms, which)
  else:
    entropy = -np.mean(model.log_prob(detectors.images(60, 3)))
    expected = {
      'likelihood': lambda: -log_prob,
      'typicality': lambda: np.abs(log_prob + entropy),
      'complexity': lambda: (
        stats.bits_per_dim(log_prob, math.prod(detectors.SHAPE))
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


@pytest.mark.parametrize('method', detectors.LATENT_METHODS)
def test_a_detector_of_latents_is_saved(method, tmp_path):
  name = f'latent {method}'
  detector, images = detectors.of_autoencoder(name), detectors.images(9, 4)
  detector.save(tmp_path / 'detector')
  restored = stats.Detector(
    detectors.autoencoder(7), detectors.AUTOENCODER_SCORES[name]()
  )
  restored.load(tmp_path / 'detector')
  np.testing.assert_array_equal(
    restored.p_value(images), detector.p_value(images)
  )
  for other in set(detectors.LATENT_METHODS) - {method}:
    score = detectors.AUTOENCODER_SCORES[f'latent {other}']()
    blank = stats.Detector(detectors.shared_autoencoder(), score)
    with pytest.raises(ValueError, match='of a detector with another score'):
      blank.load(tmp_path / 'detector')


# ---------------------------------------------------------------- sequences


def test_sequences_of_whole_numbers_are_tested(tmp_path):
  detector, model = detectors.of_sequences(), detectors.sequence_model()
  x = detectors.sequences(20, 2)
  assert detector.event_shape == [12]
  log_probs = np.stack(
    [model.log_prob(known).numpy() for known in np.split(_of_sequences(), 2)]
  )
  entropy = -np.mean(log_probs[0], dtype=np.float64)
  calibration = np.sort(np.abs(log_probs[1] + entropy))
  np.testing.assert_allclose(
    detector.calibration_scores, calibration, rtol=1e-4, atol=1e-5
  )
  expected = np.abs(model.log_prob(x) + entropy)
  np.testing.assert_allclose(detector.score(x), expected, rtol=1e-4, atol=1e-5)
  p_values = detector.p_value(x).numpy()
  assert np.unique(p_values).size > 5
  for dtype in (np.uint8, np.int64, np.float32, np.float64):
    np.testing.assert_array_equal(detector.p_value(x.astype(dtype)), p_values)
  for size in (0, 1, 7):
    assert detector.predict(x[:size]).shape == [size]
  mapped = tf.data.Dataset.from_tensor_slices(x).batch(7).map(detector.p_value)
  np.testing.assert_array_equal(np.concatenate(list(mapped)), p_values)
  for wrong in (x[0], x[:, :-1], x[:, np.newaxis]):
    with pytest.raises(ValueError, match=r'must be a batch, \(None, 12\); got'):
      detector.p_value(wrong)
  detector.save(tmp_path / 'detector')
  other = stats.Detector(detectors.sequence_model(1), stats.Typicality())
  other.fit(detectors.sequences(20, 5))
  assert np.any(other.score(x) != detector.score(x))
  other.load(tmp_path / 'detector')
  np.testing.assert_array_equal(other.p_value(x), p_values)


def _of_sequences():
  """What `of_sequences` learns from, and what calibrates it, one after other."""
  known = detectors.sequences(60, 1)
  return np.concatenate([known[::2], known[1::2]])


def test_an_exported_detector_of_sequences_takes_them(tmp_path):
  detector, x = detectors.of_sequences(), detectors.sequences(20, 2)
  detector.export_saved_model(tmp_path / 'detector')
  loaded = tf.saved_model.load(str(tmp_path / 'detector'))
  for size in (0, 1, 20):
    np.testing.assert_allclose(
      loaded.score(x[:size]), detector.score(x[:size]), rtol=1e-6
    )
    np.testing.assert_array_equal(
      loaded.p_value(x[:size]), detector.p_value(x[:size])
    )
  served = loaded.signatures['predict'](
    examples=tf.constant(x), false_alarm_rate=tf.constant(0.3, tf.float64)
  )
  np.testing.assert_array_equal(
    served['is_out_of_distribution'], detector.predict(x, 0.3)
  )


_CLASSIFIER_SCORES = {
  'odin': lambda: stats.MaxSoftmax(9.0, 'classifier_perturbed_logits'),
  'mahalanobis': stats.MahalanobisDistance,
  'softmax': lambda: stats.MaxSoftmax(statistic='classifier_logits'),
  'entropy': lambda: stats.PredictiveEntropy(statistic='classifier_logits'),
  'relative': lambda: stats.MahalanobisDistance(relative=True),
  'default': lambda: None,
}


def _beside_a_classifier(name, seed):
  """A detector of sequences with a classifier of three kinds of them."""
  network = tfp_ood.networks.read_classifier(
    12, 3, num_filters=4, num_units=5, window=6, seed=seed
  )
  classifier = tfp_ood.networks.SequenceClassifier(
    network, 4, perturbation=0.1, temperature=9.0
  )
  return stats.Detector(
    detectors.sequence_model(seed),
    _CLASSIFIER_SCORES[name](),
    classifier=classifier,
  )


@pytest.mark.parametrize('name', few(_CLASSIFIER_SCORES, 2))
def test_sequences_beside_a_classifier(name, tmp_path):
  detector = _beside_a_classifier(name, 0)
  detector.fit(detectors.sequences(80, 1), training=detectors.sequences(99, 2))
  x = detectors.sequences(20, 3)
  p_values = detector.p_value(x).numpy()
  assert np.unique(p_values).size > 5
  for size in (0, 1, 7):
    np.testing.assert_allclose(
      detector.score(x[:size]), detector.score(x)[:size], rtol=1e-4, atol=1e-5
    )
  mapped = tf.data.Dataset.from_tensor_slices(x).batch(7).map(detector.p_value)
  np.testing.assert_allclose(np.concatenate(list(mapped)), p_values, atol=0.02)
  with pytest.raises(ValueError, match='whole numbers from 0 to 3'):
    detector.score(x + 1)
  detector.save(tmp_path / 'detector.npz')
  other = _beside_a_classifier(name, 5).load(tmp_path / 'detector.npz')
  np.testing.assert_array_equal(other.p_value(x), p_values)
  detector.export_saved_model(tmp_path / 'exported')
  loaded = tf.saved_model.load(str(tmp_path / 'exported'))
  for size in (0, 1, 20):
    np.testing.assert_allclose(
      loaded.score(x[:size]), detector.score(x[:size]), rtol=1e-4, atol=1e-5
    )


def test_an_ensemble_of_classifiers_of_sequences_is_exported(tmp_path):
  members = [
    tfp_ood.networks.SequenceClassifier(
      tfp_ood.networks.read_classifier(
        12, 3, num_filters=4, num_units=5, window=6, seed=seed
      ),
      4,
    )
    for seed in range(2)
  ]
  detector = stats.Detector(
    detectors.sequence_model(),
    stats.PredictiveEntropy(statistic='classifier_logits'),
    classifier=tfp_ood.networks.ClassifierEnsemble(members),
  ).fit(detectors.sequences(60, 1))
  x = detectors.sequences(20, 3)
  detector.export_saved_model(tmp_path / 'exported')
  loaded = tf.saved_model.load(str(tmp_path / 'exported'))
  np.testing.assert_allclose(loaded.score(x), detector.score(x), rtol=1e-4)
  p = np.mean(
    [tf.nn.softmax(m.statistics(x, ['logits'])['logits']) for m in members],
    axis=0,
  )
  np.testing.assert_allclose(
    detector.score(x), scipy_stats.entropy(p, axis=1), rtol=1e-4
  )


# -------------------------------------------- a model that knows nothing of this


@pytest.mark.exhaustive
def test_a_pixel_cnn_of_tfp_is_tested(tmp_path):
  detector, images = detectors.of_pixel_cnn(), detectors.images(9, 4)[..., :1]
  model = detectors.pixel_cnn()
  statistics = stats.Statistics(model)
  values = statistics(images, ['log_prob', 'score_norm', 'bits_per_dim'])
  log_prob = model.log_prob(images.astype(np.float32)).numpy()
  np.testing.assert_allclose(values['log_prob'], log_prob, rtol=1e-5)
  np.testing.assert_allclose(
    values['bits_per_dim'], -log_prob / 64 / math.log(2), rtol=1e-5
  )
  assert np.min(values['score_norm']) > 0
  scores = detector.score_statistics(values)
  np.testing.assert_allclose(detector.score(images), scores, rtol=1e-4)
  p_values = detector.p_value(images).numpy()
  assert np.unique(p_values).size > 2
  for dtype in (np.float32, np.int32):
    np.testing.assert_array_equal(
      detector.p_value(images.astype(dtype)), p_values
    )
  detector.save(tmp_path / 'detector')
  other = stats.Detector(detectors.pixel_cnn(1), stats.Typicality())
  other.load(tmp_path / 'detector')
  np.testing.assert_array_equal(other.p_value(images), p_values)


@pytest.mark.exhaustive
def test_an_exported_detector_of_a_pixel_cnn_takes_images(tmp_path):
  detector, images = detectors.of_pixel_cnn(), detectors.images(9, 4)[..., :1]
  detector.export_saved_model(tmp_path / 'detector')
  loaded = tf.saved_model.load(str(tmp_path / 'detector'))
  for dtype in (np.uint8, np.float32):
    for size in (1, 9):
      batch = images[:size].astype(dtype)
      np.testing.assert_array_equal(
        loaded.p_value(batch), detector.p_value(batch)
      )
  served = loaded.signatures['score'](images=tf.constant(images))
  np.testing.assert_allclose(served['score'], detector.score(images), rtol=1e-4)


# ---------------------------------------------------- a model without event_shape


class _Named(counting_models.Bare):
  """A model without an event shape that lists its weights."""

  def __init__(self, weight=1.0):
    self.weight = tf.Variable(weight)
    self.variables = [self.weight]

  def log_prob(self, images):
    return self.weight * super().log_prob(images)


def test_a_model_without_an_event_shape_is_tested(tmp_path):
  detector = stats.Detector(_Named(2.0), stats.NegativeLogLikelihood())
  detector.fit(detectors.images(20))
  assert detector.event_shape.rank is None
  images = detectors.images(9, 4)
  np.testing.assert_allclose(
    detector.score(images), 2.0 * images.sum(axis=(1, 2, 3), dtype=np.float64)
  )
  p_values = detector.p_value(images).numpy()
  in_graph = tf.function(detector.p_value)
  np.testing.assert_array_equal(in_graph(images), p_values)
  detector.save(tmp_path / 'detector')
  other = stats.Detector(_Named(7.0), stats.NegativeLogLikelihood())
  other.load(tmp_path / 'detector')
  np.testing.assert_array_equal(other.p_value(images), p_values)
  # A SavedModel says what it takes, and nobody knows.
  with pytest.raises(
    ValueError, match='a model must have an `event_shape`; _Named has none'
  ):
    detector.export_saved_model(tmp_path / 'exported')
  assert [file.name for file in tmp_path.iterdir()] == ['detector']


def test_a_model_that_hides_its_weights_is_not_saved(tmp_path):
  detector = stats.Detector(
    counting_models.Gaussian(), stats.NegativeLogLikelihood()
  ).fit(detectors.images(20))
  for save in (detector.save, detector.export_saved_model):
    with pytest.raises(ValueError, match='as `variables`; Gaussian does not'):
      save(tmp_path / 'detector')
  assert not list(tmp_path.iterdir())


# ------------------------------------------------------- statistics of one's own


class _Contrast(tf.Module):
  """A function of images that has weights."""

  def __init__(self, weight):
    self.weight = tf.Variable(weight)

  def __call__(self, images):
    x = tf.cast(images, tf.float32)
    return self.weight * tf.math.reduce_std(x, axis=[1, 2, 3])


def _of_own_statistics(weight=1.0, level=100.0):
  """A detector of a user's function, another model's statistic, and a plain one."""
  return stats.Detector(
    detectors.background(128.0),
    stats.DensityOfStates(('contrast', 'their_log_prob', 'brightness')),
    statistics={
      'contrast': _Contrast(weight),
      'their_log_prob': (detectors.background(level), 'log_prob'),
      'brightness': lambda x: tf.reduce_mean(tf.cast(x, tf.float32), [1, 2, 3]),
    },
  )


@pytest.mark.slow
def test_statistics_of_ones_own_are_tested_saved_and_exported(tmp_path):
  detector, images = _of_own_statistics(), detectors.images(9, 4)
  detector.fit(detectors.images(40, 2))
  expected = detector.score_statistics(
    {
      'contrast': images.std(axis=(1, 2, 3)),
      'their_log_prob': detectors.background(100.0).log_prob(images).numpy(),
      'brightness': images.mean(axis=(1, 2, 3)),
    }
  )
  np.testing.assert_allclose(detector.score(images), expected, rtol=1e-3)
  p_values = detector.p_value(images).numpy()
  assert np.unique(p_values).size > 2
  # The weights of the function and of the other model are part of it.
  detector.save(tmp_path / 'detector')
  other = _of_own_statistics(weight=3.0, level=90.0)
  other.load(tmp_path / 'detector')
  np.testing.assert_array_equal(other.p_value(images), p_values)
  detector.export_saved_model(tmp_path / 'exported')
  loaded = tf.saved_model.load(str(tmp_path / 'exported'))
  np.testing.assert_array_equal(loaded.p_value(images), p_values)


def _two_views(seed):
  """A detector of a model of images and of the features of a network."""
  layers = tf_keras.layers
  initializer = tf_keras.initializers.GlorotUniform(seed)
  network = tf_keras.Sequential(
    [
      layers.Rescaling(1 / 127.5, -1),
      layers.Conv2D(4, 3, activation='relu', kernel_initializer=initializer),
      layers.GlobalAveragePooling2D(),
    ]
  )
  network.build([None, *detectors.images(1, 0).shape[1:]])
  score = stats.Combination(
    [
      stats.DensityOfStates(('log_prob', 'png_bits_per_dim')),
      stats.FeatureNeighbors(num_neighbors=3),
      stats.Typicality(),
    ]
  )
  return stats.Detector(
    detectors.background(128.0), score, statistics={'features': network}
  )


@pytest.mark.slow
def test_two_views_of_an_image_are_combined_saved_and_exported(tmp_path):
  detector, images = _two_views(seed=1), detectors.images(9, 4)
  detector.fit(detectors.images(60, 2))
  p_values = detector.p_value(images).numpy()
  assert np.unique(p_values).size > 2
  # A plain image is strange to all of them.
  flat = np.zeros_like(images[:1])
  assert detector.score(flat) > np.max(detector.calibration_scores)
  detector.save(tmp_path / 'detector')
  other = _two_views(seed=2).load(tmp_path / 'detector')
  np.testing.assert_array_equal(other.p_value(images), p_values)
  detector.export_saved_model(tmp_path / 'exported')
  loaded = tf.saved_model.load(str(tmp_path / 'exported'))
  np.testing.assert_allclose(
    loaded.score(images), detector.score(images), rtol=1e-6
  )


def test_a_name_that_is_taken_or_unknown_is_refused():
  model = detectors.background(128.0)
  with pytest.raises(ValueError, match="a statistic 'log_prob' already"):
    stats.Detector(
      model, stats.Typicality(), statistics={'log_prob': _Contrast(1.0)}
    )
  with pytest.raises(ValueError, match="no statistic 'mine'. There are log_p"):
    stats.Detector(
      model, stats.StatisticScore('mine'), statistics={'other': _Contrast(1.0)}
    )


# ---------------------------------------------------------------------- explained


def _pixel_cnn(seed):
  return tfp_ood.distributions.pixel_cnn(
    [8, 8, 3], num_filters=4, num_blocks=1, num_levels=1, seed=seed
  )


def test_an_autoregressive_model_is_explained_by_its_map():
  model, background = _pixel_cnn(0), _pixel_cnn(1)
  images = detectors.images(3, 5)
  detector = stats.Detector(model, stats.NegativeLogLikelihood())
  found = detector.explain(images)
  assert found.kind == 'log_prob'
  np.testing.assert_allclose(
    found.map, -model.log_prob_map(images), rtol=1e-4, atol=1e-4
  )
  detector = stats.Detector(model, stats.LikelihoodRatio(), background)
  found = detector.explain(images)
  assert found.kind == 'likelihood_ratio'
  assert found.map.shape == [3, 8, 8]
  np.testing.assert_allclose(
    tf.reduce_sum(found.map, [1, 2]), detector.score(images), rtol=1e-4
  )


def test_another_model_is_explained_by_its_gradient():
  flow = detectors.flow(0)
  images = detectors.images(3, 5)
  found = stats.Detector(flow).explain(images)
  assert found.kind == 'gradient'
  assert found.map.shape == [3, 8, 8]
  np.testing.assert_allclose(
    tf.sqrt(tf.reduce_sum(found.map**2, [1, 2])),
    stats.Detector(flow, stats.ScoreNorm()).score(images),
    rtol=1e-4,
  )


def test_a_model_without_a_map_is_not_explained():
  model = tfp_ood.distributions.variational_autoencoder(
    [8, 8, 3], latent_size=2, hidden_channels=2, likelihood='categorical'
  )
  detector = stats.Detector(model, stats.NegativeLogLikelihood())
  with pytest.raises(ValueError, match='no map of its likelihood'):
    detector.explain(detectors.images(3, 5))
