# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of Statistics."""

import collections
import functools
import math

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tfp_ood import distributions, stats

tfd = tfp.distributions

_SHAPE = [8, 8, 3]
_SIZE = 192
_Terms = collections.namedtuple('_Terms', ['density', 'volume'])
_ElboTerms = collections.namedtuple(
  '_ElboTerms', ['reconstruction', 'log_prior', 'posterior_entropy']
)


class _Model:
  """A Gaussian about a grey level that counts how often it runs."""

  event_shape = tf.TensorShape(_SHAPE)

  def __init__(self, level=100.0):
    self.level = level
    self.calls = []

  def log_prob(self, images):
    self.calls.append('log_prob')
    return self._of(images)

  def _of(self, images):
    residuals = tf.cast(images, tf.float32) - self.level
    return -tf.reduce_sum(residuals**2, axis=[1, 2, 3]) / 1000


class _Flow(_Model):
  """One with two terms, as a flow has."""

  def log_prob_terms(self, images):
    self.calls.append('log_prob_terms')
    log_prob = self._of(images)
    return _Terms(log_prob + 7.0, tf.fill(tf.shape(log_prob), -7.0))


class _Autoencoder(_Model):
  """One with an encoder."""

  def optimized_log_prob(self, images):
    self.calls.append('optimized_log_prob')
    return self._of(images) + 3.0


class _Encoder(_Model):
  """One with known posteriors, whose codes are of two axes."""

  def elbo_terms(self, images):
    self.calls.append('elbo_terms')
    reconstruction = self._of(images)
    return _ElboTerms(
      reconstruction, reconstruction / 10 - 20.0, reconstruction / 10 + 5.0
    )

  def codes(self, images):
    self.calls.append('codes')
    x = tf.reduce_mean(tf.cast(images, tf.float32), axis=[1, 2])
    return tf.stack([x, 2 * x], axis=1)


class _Classifier:
  """A linear classifier with what a neural rendering model gives of images."""

  image_shape = tf.TensorShape(_SHAPE)
  statistics_names = (
    'log_prob',
    'logits',
    'latent_eta',
    'latent_mode_normalized',
    'latent_rpn',
    'latent_layerwise',
    'layer_etas',
    'layer_reconstructions',
  )

  def __init__(self, scale=1.0):
    self.scale = scale
    self.calls = []

  @property
  def event_shape(self):
    raise AssertionError('this would sample all latent variables')

  def log_prob(self, label, switches, image):
    raise AssertionError('this is not of images')

  def statistics(self, images, names):
    self.calls.append(tuple(names))
    x = tf.reduce_mean(tf.cast(images, tf.float32), axis=[1, 2, 3]) * self.scale
    values = {
      'logits': tf.stack([x, -x, 2 * x, 1 + x], axis=-1),
      'log_prob': -3 * x,
      'layer_etas': tf.stack([x, 5 * x], axis=-1),
      'layer_reconstructions': tf.stack([-x, -x, -6 * x], axis=-1),
    }
    return {
      name: values.get(name, x - len(name.removeprefix('latent_')))
      for name in names
    }


def _images(count=5, seed=0, dtype=np.uint8):
  random = np.random.default_rng(seed)
  return random.integers(0, 256, [count, *_SHAPE]).astype(dtype)


def _direct_log_prob(images, level=100.0):
  residuals = images.astype(np.float64) - level
  return -np.sum(residuals**2, axis=(1, 2, 3)) / 1000


_OF_DISTRIBUTION = ('log_prob', 'bits_per_dim', 'score_norm')


@pytest.mark.parametrize(
  'names',
  [
    ['log_prob'],
    ['score_norm'],
    ['bits_per_dim', 'png_bits_per_dim'],
    ['density', 'volume'],
    ['log_prob', 'log_prob'],
    [*_OF_DISTRIBUTION, 'density', 'volume', 'png_bits_per_dim'],
  ],
)
def test_the_distribution_runs_once(names):
  flow = _Flow()
  assert list(stats.Statistics(flow)(_images(), names)) == list(
    dict.fromkeys(names)
  )
  assert flow.calls == ['log_prob_terms']
  if not {'density', 'volume'} & set(names):
    model = _Model()
    stats.Statistics(model)(_images(), names)
    assert model.calls == ['log_prob']


def test_models_run_only_for_what_is_asked():
  model, background, member = _Autoencoder(), _Model(1.0), _Model(2.0)
  statistics = stats.Statistics(model, background, [member, member])
  statistics(_images(), ['png_bits_per_dim', 'compressed_bits_per_dim'])
  assert not model.calls + background.calls + member.calls
  statistics(_images(), ['optimized_log_prob'])
  assert model.calls == ['optimized_log_prob']
  model.calls.clear()
  statistics(_images(), statistics.names)
  assert sorted(model.calls) == ['log_prob', 'optimized_log_prob']
  assert background.calls == ['log_prob']
  assert member.calls == ['log_prob'] * 2


def test_values_are_those_of_direct_computation():
  flow, background = _Flow(), _Model(50.0)
  ensemble = [_Model(90.0), _Model(110.0), _Model(128.0)]
  statistics = stats.Statistics(flow, background, ensemble)
  images = _images()
  log_prob = _direct_log_prob(images)
  gradient = 2 * (images.astype(np.float64) - 100) / 1000
  expected = {
    'log_prob': log_prob,
    'bits_per_dim': -log_prob / _SIZE / math.log(2),
    'density': log_prob + 7,
    'volume': np.full(5, -7.0),
    'score_norm': np.sqrt(np.sum(gradient**2, axis=(1, 2, 3))),
    'background_log_prob': _direct_log_prob(images, 50.0),
    'ensemble_log_probs': np.stack(
      [_direct_log_prob(images, member.level) for member in ensemble], axis=-1
    ),
    'png_bits_per_dim': stats.png_bits_per_dim(images),
    'compressed_bits_per_dim': stats.compressed_bits_per_dim(images),
  }
  assert set(statistics.names) == set(expected)
  for names in (statistics.names, statistics.names[::-1]):
    values = statistics(images, names)
    assert tuple(values) == tuple(names)
    for name, value in values.items():
      np.testing.assert_allclose(value, expected[name], rtol=1e-5)
  for name in statistics.names:
    alone = statistics(images, [name])
    assert list(alone) == [name]
    np.testing.assert_allclose(alone[name], expected[name], rtol=1e-5)


def test_optimized_log_prob_is_the_models():
  images = _images()
  values = stats.Statistics(_Autoencoder())(
    images, ['optimized_log_prob', 'log_prob']
  )
  np.testing.assert_allclose(
    values['optimized_log_prob'], values['log_prob'] + 3.0, rtol=1e-6
  )


_DISTRIBUTIONS = {
  'sample': lambda: tfd.Sample(tfd.Normal(128.0, 50.0), _SHAPE),
  'float64': lambda: tfd.Sample(
    tfd.Normal(np.float64(128.0), np.float64(50.0)), _SHAPE
  ),
  'independent': lambda: tfd.Independent(
    tfd.Logistic(128.0 + tf.zeros(_SHAPE), 20.0), 3
  ),
  'mixture': lambda: tfd.MixtureSameFamily(
    tfd.Categorical(probs=[0.3, 0.7]),
    tfd.Sample(tfd.Normal([100.0, 150.0], 50.0), _SHAPE),
  ),
}


@pytest.mark.parametrize('key', list(_DISTRIBUTIONS))
@pytest.mark.parametrize('dtype', [np.uint8, np.float16, np.float32, np.int32])
def test_any_distribution_over_images(key, dtype):
  distribution = _DISTRIBUTIONS[key]()
  statistics = stats.Statistics(
    distribution,
    background=_DISTRIBUTIONS['float64'](),
    ensemble=[distribution, distribution],
  )
  images = _images(dtype=dtype)
  values = statistics(images, statistics.names)
  assert set(_OF_DISTRIBUTION) < set(values)
  as_floats = images.astype(distribution.dtype.as_numpy_dtype)
  np.testing.assert_allclose(
    values['log_prob'], distribution.log_prob(as_floats), rtol=1e-6
  )
  np.testing.assert_array_equal(
    values['ensemble_log_probs'][:, 0], values['log_prob']
  )
  assert values['log_prob'].dtype == distribution.dtype
  for name, value in values.items():
    assert value.shape == ([5, 2] if name == 'ensemble_log_probs' else [5])


@pytest.mark.parametrize('size', [0, 1, 7])
def test_any_number_of_images_in_one_trace(size):
  statistics = stats.Statistics(_Flow(), _Model(1.0), [_Model(2.0)] * 3)
  in_graph = tf.function(
    lambda images: statistics(images, statistics.names),
    input_signature=[tf.TensorSpec([None, *_SHAPE], tf.uint8)],
  )
  images = _images(size)
  eager = statistics(images, statistics.names)
  for name, value in in_graph(images).items():
    assert value.shape[0] == size
    np.testing.assert_allclose(value, eager[name], rtol=1e-5)


def test_in_a_pipeline_with_a_ragged_last_batch():
  statistics = stats.Statistics(_Flow())
  images = _images(9)
  dataset = tf.data.Dataset.from_tensor_slices(images).batch(7)
  parts = list(dataset.map(lambda x: statistics(x, statistics.names)))
  assert [len(part['log_prob']) for part in parts] == [7, 2]
  for name, value in statistics(images, statistics.names).items():
    np.testing.assert_allclose(
      np.concatenate([part[name] for part in parts]), value, rtol=1e-5
    )


_OF_ELBO = (
  'elbo',
  'elbo_reconstruction',
  'elbo_log_prior',
  'elbo_posterior_entropy',
  'elbo_kl',
)
_MISSING = {
  'density': 'a method `log_prob_terms`',
  'volume': 'a method `log_prob_terms`',
  'optimized_log_prob': 'with an encoder',
  **dict.fromkeys(_OF_ELBO, 'a method `elbo_terms`, such as a Variational'),
  'latent': 'a method `codes`, such as a VariationalAutoencoder',
  'background_log_prob': 'the argument `background`',
  'ensemble_log_probs': 'at least two models in the argument `ensemble`',
}


@pytest.mark.parametrize('name', list(_MISSING))
def test_a_missing_model_is_named(name):
  statistics = stats.Statistics(_Model())
  assert set(statistics.names).isdisjoint(_MISSING)
  message = f"'{name}' needs .*{_MISSING[name]}"
  with pytest.raises(ValueError, match=message):
    statistics(_images(), ['log_prob', name])
  with pytest.raises(ValueError, match=message):
    statistics.check([name])
  assert not statistics.distribution.calls


def test_an_unknown_statistic_is_named():
  statistics = stats.Statistics(_Model())
  with pytest.raises(ValueError, match="statistic 'entropy'; there are log_p"):
    statistics(_images(), ['entropy'])
  assert statistics(_images(), []) == {}


@pytest.mark.parametrize(
  'shape', [[], [5], _SHAPE, [2, 8, 8, 1], [2, 16, 8, 3], [2, 3, *_SHAPE]]
)
def test_other_shapes_are_refused(shape):
  for model in (_Model(), _DISTRIBUTIONS['sample']()):
    with pytest.raises(
      ValueError, match=r'must be a batch, \(None, 8, 8, 3\); got shape'
    ):
      stats.Statistics(model)(np.zeros(shape, np.uint8), ['log_prob'])


def test_a_shape_that_a_graph_does_not_know_is_checked_when_it_runs():
  statistics = stats.Statistics(_DISTRIBUTIONS['sample']())
  in_graph = tf.function(
    lambda images: statistics(images, ['log_prob']),
    input_signature=[tf.TensorSpec([None, None, None, None], tf.uint8)],
  )
  assert in_graph(_images())['log_prob'].shape == [5]
  # One channel would be broadcast to three.
  with pytest.raises(tf.errors.InvalidArgumentError):
    in_graph(_images()[..., :1])
  with pytest.raises(ValueError, match='must be a batch'):
    tf.function(
      lambda images: statistics(images, ['log_prob']),
      input_signature=[tf.TensorSpec(None, tf.uint8)],
    ).get_concrete_function()


def test_a_model_without_an_event_shape():
  class Bare:
    def log_prob(self, images):
      return -tf.reduce_sum(tf.cast(images, tf.float32), axis=[1, 2, 3])

  statistics = stats.Statistics(Bare())
  images = _images()
  np.testing.assert_allclose(
    statistics(images, ['log_prob'])['log_prob'],
    -images.sum(axis=(1, 2, 3), dtype=np.float32),
  )
  with pytest.raises(ValueError, match=r'a batch, \[batch, height, width, ch'):
    statistics(np.zeros([5], np.uint8), ['log_prob'])


def test_models_are_listed_once_and_in_order():
  first, second, third = _Model(), _Model(), _Model()
  statistics = stats.Statistics(first, second, [third, first, third])
  assert statistics.models == [first, second, third]
  assert stats.Statistics(first).models == [first]


def test_nan_is_passed_on():
  values = stats.Statistics(_Flow(level=math.nan))(
    _images(), ['log_prob', 'bits_per_dim', 'score_norm', 'density']
  )
  for value in values.values():
    assert np.isnan(value).all()


def test_a_model_without_an_event_shape_works_in_a_graph():
  class _Model:
    def log_prob(self, images):
      return -tf.reduce_sum(tf.cast(images, tf.float32), axis=[1, 2, 3])

  statistics = stats.Statistics(_Model())
  function = tf.function(lambda images: statistics(images, ['log_prob']))
  images = tf.ones([3, 2, 2, 1], tf.uint8)
  np.testing.assert_array_equal(function(images)['log_prob'], [-4.0] * 3)


# -------------------------------------------------------- of an autoencoder


def test_statistics_of_the_bound_and_the_latent():
  statistics, images = stats.Statistics(_Encoder()), _images()
  reconstruction = _direct_log_prob(images)
  means = images.mean(axis=(1, 2))
  expected = {
    'log_prob': reconstruction,
    'elbo': 1.2 * reconstruction - 15,
    'elbo_reconstruction': reconstruction,
    'elbo_log_prior': reconstruction / 10 - 20,
    'elbo_posterior_entropy': reconstruction / 10 + 5,
    'elbo_kl': -reconstruction / 5 + 15,
    'latent': np.concatenate([means, 2 * means], axis=1),
  }
  assert set(expected) < set(statistics.names)
  values = statistics(images, list(expected))
  for name, value in values.items():
    np.testing.assert_allclose(value, expected[name], rtol=1e-5)
  for name, value in expected.items():
    np.testing.assert_allclose(
      statistics(images, [name])[name], value, rtol=1e-5
    )


def test_the_bound_takes_one_pass():
  model = _Encoder()
  statistics = stats.Statistics(model)
  assert list(statistics(_images(), _OF_ELBO)) == list(_OF_ELBO)
  assert model.calls == ['elbo_terms']
  model.calls.clear()
  statistics(_images(), ['latent'])
  assert model.calls == ['codes']
  model.calls.clear()
  statistics(_images(), ['log_prob', 'png_bits_per_dim'])
  assert model.calls == ['log_prob']


@pytest.mark.parametrize('size', [0, 1, 5])
def test_any_number_of_latents_in_one_trace(size):
  statistics = stats.Statistics(_Encoder())
  names = (*_OF_ELBO, 'latent')
  in_graph = tf.function(
    lambda images: statistics(images, names),
    input_signature=[tf.TensorSpec([None, *_SHAPE], tf.uint8)],
  )
  # Densities of states need the number of columns.
  outputs = in_graph.get_concrete_function().structured_outputs
  assert outputs['latent'].shape.as_list() == [None, 6]
  eager = statistics(_images(size), names)
  for name, value in in_graph(_images(size)).items():
    assert value.shape == ([size, 6] if name == 'latent' else [size])
    np.testing.assert_allclose(value, eager[name], rtol=1e-5)


@functools.cache
def _autoencoder(posterior='diagonal'):
  return distributions.variational_autoencoder(
    [8, 8, 1],
    latent_size=3,
    likelihood='categorical',
    posterior=posterior,
    hidden_channels=2,
    seed=1,
  )


def _gray_images(count=6):
  return _images(count)[..., :1]


def test_statistics_of_a_variational_autoencoder():
  model, images = _autoencoder(), _gray_images()
  names = ('log_prob', *_OF_ELBO, 'latent')
  values = stats.Statistics(model)(images, names)
  terms = model.elbo_terms(images)
  np.testing.assert_allclose(values['elbo'], sum(terms), rtol=1e-6)
  # By one sample, the model's bound is the ELBO.
  np.testing.assert_allclose(values['elbo'], values['log_prob'], rtol=1e-6)
  posterior = model.encode(images)
  np.testing.assert_allclose(
    values['elbo_kl'], posterior.kl_divergence(model.prior), rtol=1e-4
  )
  np.testing.assert_allclose(values['latent'], posterior.mean(), rtol=1e-6)
  several = model.copy(num_importance_samples=5)
  values = stats.Statistics(several)(images, ['log_prob', 'elbo'])
  np.testing.assert_allclose(
    values['log_prob'], several.log_prob(images), rtol=1e-6
  )
  elbo = sum(several.elbo_terms(images))
  np.testing.assert_allclose(values['elbo'], elbo, rtol=1e-6)
  assert np.all(values['log_prob'] != values['elbo'])


def test_the_latent_of_a_flow_is_that_of_the_mean_of_its_base():
  model, images = _autoencoder('inverse_autoregressive'), _gray_images()
  posterior = model.encode(images)
  with pytest.raises(NotImplementedError):
    posterior.mean()
  latent = stats.Statistics(model)(images, ['latent'])['latent']
  base = posterior.distribution.mean()
  np.testing.assert_allclose(
    latent, posterior.bijector.forward(base), rtol=1e-5, atol=1e-6
  )


def test_an_autoencoder_has_a_bound_of_reconstruction_alone():
  model = distributions.autoencoder(
    [8, 8, 1], latent_size=3, hidden_channels=2, seed=1
  )
  images = _gray_images()
  values = stats.Statistics(model)(images, [*_OF_ELBO, 'latent'])
  np.testing.assert_array_equal(values['elbo'], model.log_prob(images))
  np.testing.assert_array_equal(values['elbo_kl'], np.zeros(6))
  np.testing.assert_allclose(
    values['latent'], model.encode(images).mean(), rtol=1e-6
  )


# ------------------------------------------------------------ of a classifier


_LATENTS = [
  f'nrm_latent_{mode}'
  for mode in ('eta', 'mode_normalised', 'rpn', 'layerwise')
]
_OF_CLASSIFIER = (
  'logits',
  'nrm_log_prob',
  *_LATENTS,
  'nrm_layer_etas',
  'nrm_layer_reconstructions',
)


def test_statistics_of_a_classifier_are_those_of_its_renderings():
  statistics = stats.Statistics(_Classifier())
  images = _images()
  x = images.mean(axis=(1, 2, 3))
  expected = {
    'logits': np.stack([x, -x, 2 * x, 1 + x], axis=-1),
    'nrm_log_prob': -3 * x,
    'nrm_layer_etas': np.stack([x, 5 * x], axis=-1),
    'nrm_layer_reconstructions': np.stack([-x, -x, -6 * x], axis=-1),
    **{name: x - len(name.removeprefix('nrm_latent_')) for name in _LATENTS},
    'png_bits_per_dim': stats.png_bits_per_dim(images),
    'compressed_bits_per_dim': stats.compressed_bits_per_dim(images),
  }
  assert set(statistics.names) == set(expected)
  for name, value in statistics(images, statistics.names).items():
    np.testing.assert_allclose(value, expected[name], rtol=1e-5)
  assert statistics.image_shape == _SHAPE


def test_a_classifier_runs_once_for_the_latents_asked_for():
  classifier = _Classifier()
  statistics = stats.Statistics(classifier)
  for names, own in (
    (statistics.names, classifier.statistics_names),
    (['nrm_latent_rpn', 'logits'], ('latent_rpn', 'logits')),
    (['nrm_layer_etas', 'nrm_log_prob'], ('layer_etas', 'log_prob')),
  ):
    assert list(statistics(_images(), names)) == list(names)
    assert [set(own)] == [set(call) for call in classifier.calls]
    classifier.calls.clear()
  statistics(_images(), ['png_bits_per_dim'])
  assert not classifier.calls


def test_a_classifier_takes_part_by_its_log_probability():
  background, members = _Classifier(2.0), [_Classifier(3.0), _Classifier(4.0)]
  statistics = stats.Statistics(_Model(), background, members)
  values = statistics(
    _images(), ['log_prob', 'background_log_prob', 'ensemble_log_probs']
  )
  x = _images().mean(axis=(1, 2, 3))
  np.testing.assert_allclose(values['background_log_prob'], -6 * x, rtol=1e-5)
  np.testing.assert_allclose(
    values['ensemble_log_probs'],
    np.stack([-9 * x, -12 * x], axis=-1),
    rtol=1e-5,
  )


@pytest.mark.parametrize(
  'name', ['log_prob', 'bits_per_dim', 'density', 'volume', 'score_norm']
)
def test_a_classifier_has_no_log_prob_of_images(name):
  statistics = stats.Statistics(_Classifier())
  assert name not in statistics.names
  with pytest.raises(
    ValueError, match=f"'{name}' needs .*of label, switches.*use 'nrm_log_prob'"
  ):
    statistics.check([name])


@pytest.mark.parametrize('name', _OF_CLASSIFIER)
def test_only_a_classifier_is_rendered(name):
  statistics = stats.Statistics(_Flow())
  assert name not in statistics.names
  with pytest.raises(
    ValueError, match=f"'{name}' needs a classifier read backwards"
  ):
    statistics.check([name])


@pytest.mark.parametrize('shape', [[], _SHAPE, [2, 8, 8, 1], [2, 16, 8, 3]])
def test_a_classifier_takes_images_of_its_shape(shape):
  with pytest.raises(ValueError, match=r'must be a batch, \(None, 8, 8, 3\)'):
    stats.Statistics(_Classifier())(np.zeros(shape, np.uint8), ['logits'])


def test_every_statistic_of_a_classifier_is_there():
  names = [name.replace('normalised', 'normalized') for name in _OF_CLASSIFIER]
  own = [name.removeprefix('nrm_') for name in names]
  assert set(own) == set(_Classifier.statistics_names)
