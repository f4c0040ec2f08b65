# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of Statistics."""

import functools
import math

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from stats import counting_models
from stats.counting_models import (
  Autoencoder,
  Bare,
  Classifier,
  Flow,
  Gaussian,
  direct_log_prob,
  random_images,
)

from tfp_ood import distributions, stats

tfd = tfp.distributions

_SHAPE = counting_models.SHAPE
_SIZE = 192


# ----------------------------------------------------- what runs, and how often


_OF_ANY_MODEL = ('log_prob', 'bits_per_dim', 'score_norm')


@pytest.mark.parametrize(
  'names',
  [
    ['log_prob'],
    ['score_norm'],
    ['bits_per_dim', 'png_bits_per_dim'],
    ['density', 'volume'],
    ['log_prob', 'log_prob'],
    [*_OF_ANY_MODEL, 'density', 'volume', 'png_bits_per_dim'],
  ],
)
def test_the_distribution_runs_once(names):
  flow = Flow()
  values = stats.Statistics(flow)(random_images(), names)
  assert list(values) == list(dict.fromkeys(names))
  (call,) = flow.calls
  # It is asked for what is needed, and for nothing else.
  own = {name for name in names if name in ('density', 'volume')}
  if not set(_OF_ANY_MODEL).isdisjoint(names):
    own.add('log_prob')
  assert set(call) == own and len(call) == len(own)
  if not {'density', 'volume'} & set(names):
    model = Gaussian()
    stats.Statistics(model)(random_images(), names)
    assert model.calls == ['log_prob']


def test_models_run_only_for_what_is_asked():
  model, background, member = Autoencoder(), Gaussian(1.0), Gaussian(2.0)
  statistics = stats.Statistics(model, background, [member, member])
  statistics(random_images(), ['png_bits_per_dim', 'compressed_bits_per_dim'])
  assert not model.calls + background.calls + member.calls
  statistics(random_images(), ['optimized_log_prob'])
  assert model.calls == [('optimized_log_prob',)]
  model.calls.clear()
  statistics(random_images(), statistics.names)
  assert model.calls == ['log_prob', model.statistics_names]
  assert background.calls == member.calls == ['log_prob']


def test_a_model_in_several_roles_runs_once():
  model, other = Flow(), Flow(50.0)
  statistics = stats.Statistics(
    model, other, [model, other], {'again': (other, 'log_prob')}
  )
  values = statistics(random_images(), statistics.names)
  assert len(model.calls) == len(other.calls) == 1
  np.testing.assert_array_equal(values['again'], values['background_log_prob'])
  np.testing.assert_array_equal(
    values['ensemble_log_probs'],
    tf.stack([values['log_prob'], values['again']], axis=-1),
  )


def test_values_are_those_of_direct_computation():
  flow, background = Flow(), Gaussian(50.0)
  ensemble = [Gaussian(90.0), Gaussian(110.0), Gaussian(128.0)]
  statistics = stats.Statistics(flow, background, ensemble)
  images = random_images()
  log_prob = direct_log_prob(images)
  gradient = 2 * (images.astype(np.float64) - 100) / 1000
  expected = {
    'log_prob': log_prob,
    'bits_per_dim': -log_prob / _SIZE / math.log(2),
    'density': log_prob + 7,
    'volume': np.full(5, -7.0),
    'score_norm': np.sqrt(np.sum(gradient**2, axis=(1, 2, 3))),
    'background_log_prob': direct_log_prob(images, 50.0),
    'ensemble_log_probs': np.stack(
      [direct_log_prob(images, member.level) for member in ensemble], axis=-1
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
  images = random_images()
  values = stats.Statistics(Autoencoder())(
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
  images = random_images(dtype=dtype)
  values = statistics(images, statistics.names)
  assert set(_OF_ANY_MODEL) < set(values)
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


@functools.cache
def _in_graph():
  """All statistics of a flow, a background and an ensemble, in one trace."""
  statistics = stats.Statistics(Flow(), Gaussian(1.0), [Gaussian(2.0)] * 3)
  function = tf.function(
    lambda images: statistics(images, statistics.names),
    input_signature=[tf.TensorSpec([None, *_SHAPE], tf.uint8)],
  )
  return statistics, function


@pytest.mark.parametrize('size', [0, 1, 7])
def test_any_number_of_images_in_one_trace(size):
  statistics, in_graph = _in_graph()
  images = random_images(size)
  eager = statistics(images, statistics.names)
  for name, value in in_graph(images).items():
    assert value.shape[0] == size
    np.testing.assert_allclose(value, eager[name], rtol=1e-5)
  assert in_graph.experimental_get_tracing_count() == 1


def test_in_a_pipeline_with_a_ragged_last_batch():
  statistics = stats.Statistics(Flow())
  images = random_images(9)
  dataset = tf.data.Dataset.from_tensor_slices(images).batch(7)
  parts = list(dataset.map(lambda x: statistics(x, statistics.names)))
  assert [len(part['log_prob']) for part in parts] == [7, 2]
  for name, value in statistics(images, statistics.names).items():
    np.testing.assert_allclose(
      np.concatenate([part[name] for part in parts]), value, rtol=1e-5
    )


# ---------------------------------------------------------- what there is not


_OF_ELBO = (
  'elbo',
  'elbo_reconstruction',
  'elbo_log_prior',
  'elbo_posterior_entropy',
  'elbo_kl',
)
_MISSING = {
  **dict.fromkeys(
    ('density', 'volume', 'optimized_log_prob', *_OF_ELBO, 'latent'), ''
  ),
  'background_log_prob': ', which needs the argument `background`',
  'ensemble_log_probs': (
    ', which needs at least two models in the argument `ensemble`'
  ),
}


@pytest.mark.parametrize('name', list(_MISSING))
def test_a_missing_statistic_is_named_beside_those_that_there_are(name):
  statistics = stats.Statistics(Gaussian())
  assert set(statistics.names).isdisjoint(_MISSING)
  message = (
    f"there is no statistic '{name}'{_MISSING[name]}. There are log_prob, "
    'bits_per_dim, score_norm, png_bits_per_dim, compressed_bits_per_dim.'
  )
  for function in (
    lambda: statistics(random_images(), ['log_prob', name]),
    lambda: statistics.check_names([name]),
  ):
    with pytest.raises(ValueError) as error:
      function()
    assert message in str(error.value)
  assert not statistics.distribution.calls


def test_one_member_is_no_ensemble():
  statistics = stats.Statistics(Gaussian(), ensemble=[Gaussian()])
  with pytest.raises(ValueError, match='needs at least two models'):
    statistics.check_names(['ensemble_log_probs'])


def test_an_unknown_statistic_is_named():
  statistics = stats.Statistics(Gaussian())
  with pytest.raises(ValueError, match="statistic 'entropy'. There are log_p"):
    statistics(random_images(), ['entropy'])
  assert statistics(random_images(), []) == {}


def test_bits_per_dim_need_the_size_of_an_example():
  statistics = stats.Statistics(Bare())
  with pytest.raises(
    ValueError, match="'bits_per_dim', which needs a model that has an `event_"
  ):
    statistics(random_images(), ['bits_per_dim'])


@pytest.mark.parametrize('shape', [[5], [8, 8], [8, 8, 5], [2, 8, 8, 3]])
def test_only_images_are_compressed(shape):
  statistics = stats.Statistics(tfd.Sample(tfd.Normal(0.0, 1.0), shape))
  for name in ('png_bits_per_dim', 'compressed_bits_per_dim'):
    assert name not in statistics.names
    with pytest.raises(ValueError, match=f"'{name}', which is of images with"):
      statistics(np.zeros([1, *shape], np.float32), [name])


@pytest.mark.parametrize(
  'shape', [[], [5], _SHAPE, [2, 8, 8, 1], [2, 16, 8, 3], [2, 3, *_SHAPE]]
)
def test_other_shapes_are_refused(shape):
  for model in (Gaussian(), _DISTRIBUTIONS['sample']()):
    for names in (['log_prob'], []):
      with pytest.raises(
        ValueError, match=r'must be a batch, \(None, 8, 8, 3\); got shape'
      ):
        stats.Statistics(model)(np.zeros(shape, np.uint8), names)


def test_a_shape_that_a_graph_does_not_know_is_checked_when_it_runs():
  statistics = stats.Statistics(_DISTRIBUTIONS['sample']())
  in_graph = tf.function(
    lambda images: statistics(images, ['log_prob']),
    input_signature=[tf.TensorSpec([None, None, None, None], tf.uint8)],
  )
  assert in_graph(random_images())['log_prob'].shape == [5]
  # One channel would be broadcast to three.
  with pytest.raises(tf.errors.InvalidArgumentError):
    in_graph(random_images()[..., :1])
  with pytest.raises(ValueError, match='must be a batch'):
    tf.function(
      lambda images: statistics(images, ['log_prob']),
      input_signature=[tf.TensorSpec(None, tf.uint8)],
    ).get_concrete_function()


# --------------------------------------------------- models that say less, or NaN


def test_a_model_without_an_event_shape():
  statistics = stats.Statistics(Bare())
  images = random_images()
  assert statistics.event_shape.rank is None
  expected = -images.sum(axis=(1, 2, 3), dtype=np.float64)
  values = statistics(images, ['log_prob', 'score_norm', 'png_bits_per_dim'])
  np.testing.assert_allclose(values['log_prob'], expected)
  np.testing.assert_allclose(values['score_norm'], np.full(5, _SIZE**0.5))
  np.testing.assert_array_equal(
    values['png_bits_per_dim'], stats.png_bits_per_dim(images)
  )
  with pytest.raises(ValueError, match=r'a batch, \[batch, ...event\]; got'):
    statistics(np.zeros([5], np.uint8), ['log_prob'])
  # What the model says nothing of, it takes: TensorFlow refuses by itself.
  with pytest.raises(ValueError, match='must be finite. 192 of 960'):
    statistics(
      np.where(np.arange(5)[:, None, None, None] == 2, np.nan, images), []
    )


def test_a_model_without_an_event_shape_works_in_a_graph():
  statistics = stats.Statistics(Bare())
  function = tf.function(lambda images: statistics(images, ['log_prob']))
  images = tf.ones([3, 2, 2, 1], tf.uint8)
  np.testing.assert_array_equal(function(images)['log_prob'], [-4.0] * 3)


def test_events_may_be_numbers():
  x = np.array([-1.0, 0.0, 3.0], np.float32)
  statistics = stats.Statistics(tfd.Normal(0.0, 1.0))
  values = statistics(x, statistics.names)
  log_prob = -(x**2) / 2 - math.log(2 * math.pi) / 2
  np.testing.assert_allclose(values['log_prob'], log_prob, rtol=1e-6)
  np.testing.assert_allclose(values['score_norm'], np.abs(x))
  np.testing.assert_allclose(
    values['bits_per_dim'], -log_prob / math.log(2), rtol=1e-6
  )
  for wrong in (x[0], x[:, np.newaxis]):
    with pytest.raises(ValueError, match=r'must be a batch, \(None,\); got'):
      statistics(wrong, ['log_prob'])


def test_models_are_listed_once_and_in_order():
  first, second, third, fourth = (Gaussian() for _ in range(4))
  statistics = stats.Statistics(
    first,
    second,
    [third, first, third],
    {'theirs': (fourth, 'log_prob'), 'ours': (first, 'bits_per_dim')},
  )
  assert statistics.models == [first, second, third, fourth]
  assert stats.Statistics(first).models == [first]


def test_nan_is_passed_on():
  values = stats.Statistics(Flow(level=math.nan))(
    random_images(), ['log_prob', 'bits_per_dim', 'score_norm', 'density']
  )
  for value in values.values():
    assert np.isnan(value).all()


# ---------------------------------------------------------- of an autoencoder


def test_statistics_of_the_bound_and_the_latent():
  statistics, images = stats.Statistics(Autoencoder()), random_images()
  reconstruction = direct_log_prob(images)
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
  model = Autoencoder()
  statistics = stats.Statistics(model)
  assert list(statistics(random_images(), _OF_ELBO)) == list(_OF_ELBO)
  assert model.calls == [_OF_ELBO]
  model.calls.clear()
  statistics(random_images(), ['latent'])
  assert model.calls == [('latent',)]
  model.calls.clear()
  statistics(random_images(), ['log_prob', 'png_bits_per_dim'])
  assert model.calls == ['log_prob']


@functools.cache
def _latents_in_graph():
  statistics, names = stats.Statistics(Autoencoder()), (*_OF_ELBO, 'latent')
  function = tf.function(
    lambda images: statistics(images, names),
    input_signature=[tf.TensorSpec([None, *_SHAPE], tf.uint8)],
  )
  return lambda images: statistics(images, names), function


@pytest.mark.parametrize('size', [0, 1, 5])
def test_any_number_of_latents_in_one_trace(size):
  eagerly, in_graph = _latents_in_graph()
  # Densities of states need the number of columns.
  outputs = in_graph.get_concrete_function().structured_outputs
  assert outputs['latent'].shape.as_list() == [None, 6]
  eager = eagerly(random_images(size))
  for name, value in in_graph(random_images(size)).items():
    assert value.shape == ([size, 6] if name == 'latent' else [size])
    np.testing.assert_allclose(value, eager[name], rtol=1e-5)
  assert in_graph.experimental_get_tracing_count() == 1


@functools.cache
def _autoencoder(posterior='diagonal', likelihood='categorical'):
  return distributions.variational_autoencoder(
    [8, 8, 1],
    latent_size=3,
    likelihood=likelihood,
    posterior=posterior,
    hidden_channels=2,
    seed=1,
  )


def _gray_images(count=6):
  return random_images(count)[..., :1]


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
  images, statistics = _gray_images(), stats.Statistics(model)
  values = statistics(images, ['log_prob', 'latent'])
  terms = model.elbo_terms(images)
  np.testing.assert_allclose(
    values['log_prob'], terms.reconstruction, rtol=1e-6
  )
  for term in (terms.log_prior, terms.posterior_entropy):
    np.testing.assert_array_equal(term, np.zeros(6))
  np.testing.assert_allclose(
    values['latent'], model.encode(images).mean(), rtol=1e-6
  )
  # It owns no parts of a bound: there is one, and it is `log_prob`.
  for name in _OF_ELBO:
    with pytest.raises(ValueError, match=f"there is no statistic '{name}'"):
      statistics.check_names([name])


# ------------------------------------------------------------ of a classifier


_LATENTS = [
  f'latent_{mode}' for mode in ('eta', 'mode_normalized', 'rpn', 'layerwise')
]
_OF_CLASSIFIER = (
  'log_prob',
  'logits',
  *_LATENTS,
  'layer_etas',
  'layer_reconstructions',
)


def test_statistics_of_a_classifier_are_those_of_its_renderings():
  statistics = stats.Statistics(Classifier())
  images = random_images()
  x = images.mean(axis=(1, 2, 3))
  expected = {
    'logits': np.stack([x, -x, 2 * x, 1 + x], axis=-1),
    'log_prob': -3 * x,
    'bits_per_dim': 3 * x / _SIZE / math.log(2),
    'layer_etas': np.stack([x, 5 * x], axis=-1),
    'layer_reconstructions': np.stack([-x, -x, -6 * x], axis=-1),
    **{name: x - len(name.removeprefix('latent_')) for name in _LATENTS},
    'png_bits_per_dim': stats.png_bits_per_dim(images),
    'compressed_bits_per_dim': stats.compressed_bits_per_dim(images),
  }
  assert set(statistics.names) == set(expected)
  for name, value in statistics(images, statistics.names).items():
    np.testing.assert_allclose(value, expected[name], rtol=1e-5)
  assert statistics.event_shape == _SHAPE


def test_a_classifier_runs_once_for_the_latents_asked_for():
  classifier = Classifier()
  statistics = stats.Statistics(classifier)
  for names, own in (
    (statistics.names, classifier.statistics_names),
    (['latent_rpn', 'logits'], ('latent_rpn', 'logits')),
    (['layer_etas', 'log_prob'], ('layer_etas', 'log_prob')),
    (['bits_per_dim', 'logits'], ('log_prob', 'logits')),
  ):
    assert list(statistics(random_images(), names)) == list(names)
    assert [set(own)] == [set(call) for call in classifier.calls]
    classifier.calls.clear()
  statistics(random_images(), ['png_bits_per_dim'])
  assert not classifier.calls


def test_a_classifier_takes_part_by_its_log_probability():
  background, members = Classifier(2.0), [Classifier(3.0), Classifier(4.0)]
  statistics = stats.Statistics(Gaussian(), background, members)
  values = statistics(
    random_images(), ['log_prob', 'background_log_prob', 'ensemble_log_probs']
  )
  x = random_images().mean(axis=(1, 2, 3))
  np.testing.assert_allclose(values['background_log_prob'], -6 * x, rtol=1e-5)
  np.testing.assert_allclose(
    values['ensemble_log_probs'],
    np.stack([-9 * x, -12 * x], axis=-1),
    rtol=1e-5,
  )


@pytest.mark.parametrize('name', ['density', 'volume', 'score_norm'])
def test_a_classifier_is_no_flow(name):
  statistics = stats.Statistics(Classifier())
  assert name not in statistics.names
  message = f"there is no statistic '{name}'"
  if name == 'score_norm':
    message += ': the log-probability of this model is not differentiable'
  with pytest.raises(ValueError, match=message):
    statistics.check_names([name])


def test_the_log_prob_of_a_classifier_is_of_images_alone():
  # The method of that name, of all parts of the joint distribution, never runs.
  statistics = stats.Statistics(Classifier())
  for name in ('log_prob', 'bits_per_dim'):
    assert statistics(random_images(), [name])[name].shape == [5]
  assert stats.NegativeLogLikelihood().statistics == ('log_prob',)


@pytest.mark.parametrize(
  'name', [name for name in _OF_CLASSIFIER if name != 'log_prob']
)
def test_only_a_classifier_is_rendered(name):
  statistics = stats.Statistics(Flow())
  assert name not in statistics.names
  with pytest.raises(
    ValueError,
    match=f"there is no statistic '{name}'. There are log_prob, bits_per_dim",
  ):
    statistics.check_names([name])


@pytest.mark.parametrize('shape', [[], _SHAPE, [2, 8, 8, 1], [2, 16, 8, 3]])
def test_a_classifier_takes_images_of_its_shape(shape):
  with pytest.raises(ValueError, match=r'must be a batch, \(None, 8, 8, 3\)'):
    stats.Statistics(Classifier())(np.zeros(shape, np.uint8), ['logits'])


def test_models_for_tests_own_the_statistics_of_the_librarys():
  for kind, like in (
    (distributions.NeuralRenderingModel, Classifier),
    (distributions.VariationalAutoencoder, Autoencoder),
    (distributions.ImageFlow, Flow),
  ):
    # None needs an instance that was built.
    names = object.__new__(kind).statistics_names
    assert set(names) == set(like.statistics_names)
  assert set(_OF_CLASSIFIER) == set(Classifier.statistics_names)


# ------------------------------------------------------------ of a user's own


def _brightness(images):
  return tf.reduce_mean(tf.cast(images, tf.float32), axis=[1, 2, 3])


def _profile(images):
  return tf.reduce_mean(tf.cast(images, tf.float32), axis=[2, 3])


def test_a_model_adds_its_statistics_without_any_table():
  class Painter(Gaussian):
    statistics_names = ('strokes', 'colors')

    def statistics(self, images, names):
      self.calls.append(tuple(names))
      values = {'strokes': _brightness(images), 'colors': _profile(images)}
      return {name: values[name] for name in names}

  model, images = Painter(), random_images()
  statistics = stats.Statistics(model)
  assert {'strokes', 'colors'} < set(statistics.names)
  values = statistics(images, ['colors', 'score_norm', 'strokes'])
  assert list(values) == ['colors', 'score_norm', 'strokes']
  np.testing.assert_allclose(
    values['colors'], images.mean(axis=(2, 3)), rtol=1e-5
  )
  np.testing.assert_allclose(
    values['strokes'], images.mean(axis=(1, 2, 3)), rtol=1e-5
  )
  assert model.calls == ['log_prob', ('colors', 'strokes')]


def test_a_function_is_a_statistic():
  images, model = random_images(), Gaussian()
  calls = []

  def contrast(x):
    calls.append(x.dtype)
    return tf.math.reduce_std(tf.cast(x, tf.float32), axis=[1, 2, 3])

  statistics = stats.Statistics(
    model, statistics={'contrast': contrast, 'profile': _profile}
  )
  assert {'contrast', 'profile'} < set(statistics.names)
  values = statistics(images, ['contrast', 'profile', 'contrast'])
  np.testing.assert_allclose(
    values['contrast'], images.std(axis=(1, 2, 3)), rtol=1e-5
  )
  np.testing.assert_allclose(
    values['profile'], images.mean(axis=(2, 3)), rtol=1e-5
  )
  assert calls == [tf.uint8] and not model.calls
  # It gets what the model takes, and nothing where the model takes nothing.
  with pytest.raises(ValueError, match='must be finite'):
    statistics(np.full([1, *_SHAPE], np.nan), ['contrast'])
  assert len(calls) == 1


def test_a_function_may_return_what_is_not_a_tensor():
  statistics = stats.Statistics(
    Gaussian(), statistics={'index': lambda x: np.arange(len(x))}
  )
  value = statistics(random_images(), ['index'])['index']
  assert isinstance(value, tf.Tensor)
  np.testing.assert_array_equal(value, np.arange(5))


@pytest.mark.parametrize(
  'function, shape',
  [
    (lambda x: 1.0, r'\(\)'),
    (lambda x: tf.reduce_mean(tf.cast(x, tf.float32)), r'\(\)'),
    (lambda x: _brightness(x)[:3], r'\(3,\)'),
    (lambda x: tf.transpose(_profile(x)), r'\(8, 5\)'),
  ],
)
def test_a_function_that_loses_the_batch_is_named(function, shape):
  statistics = stats.Statistics(Gaussian(), statistics={'mine': function})
  with pytest.raises(
    ValueError, match=f"the function of 'mine' must return.*got shape {shape}"
  ):
    statistics(random_images(), ['log_prob', 'mine'])


def test_a_statistic_of_another_model_is_one_of_this():
  other, images = Flow(50.0), random_images()
  statistics = stats.Statistics(
    Gaussian(),
    background=other,
    statistics={
      'their_volume': (other, 'volume'),
      'their_density': (other, 'density'),
      'their_norm': (other, 'score_norm'),
    },
  )
  values = statistics(images, statistics.names)
  theirs = direct_log_prob(images, 50.0)
  np.testing.assert_allclose(values['log_prob'], direct_log_prob(images))
  np.testing.assert_allclose(values['background_log_prob'], theirs, rtol=1e-6)
  np.testing.assert_allclose(values['their_density'], theirs + 7, rtol=1e-6)
  np.testing.assert_array_equal(values['their_volume'], np.full(5, -7.0))
  gradient = 2 * (images.astype(np.float64) - 50) / 1000
  np.testing.assert_allclose(
    values['their_norm'],
    np.sqrt(np.sum(gradient**2, axis=(1, 2, 3))),
    rtol=1e-5,
  )
  assert len(other.calls) == 1


def test_one_statistic_may_have_several_names():
  model = Flow()
  statistics = stats.Statistics(model, statistics={'size': (model, 'volume')})
  values = statistics(random_images(), ['size', 'volume'])
  np.testing.assert_array_equal(values['size'], values['volume'])
  assert model.calls == [('volume',)]


@pytest.mark.parametrize(
  'name',
  [
    'log_prob',
    'bits_per_dim',
    'score_norm',
    'density',
    'background_log_prob',
    'ensemble_log_probs',
    'png_bits_per_dim',
  ],
)
def test_a_name_that_is_taken_is_refused(name):
  for source in (_brightness, (Gaussian(), 'log_prob')):
    with pytest.raises(
      ValueError, match=f"a statistic '{name}' already; give yours another"
    ):
      stats.Statistics(
        Flow(), Gaussian(), [Gaussian(), Gaussian()], {name: source}
      )


@pytest.mark.parametrize('name', ['background_log_prob', 'ensemble_log_probs'])
def test_a_name_that_is_free_may_be_taken(name):
  images = random_images()
  for source in (_profile, (Flow(), 'volume')):
    statistics = stats.Statistics(
      Gaussian(), ensemble=[Gaussian()], statistics={name: source}
    )
    value = statistics(images, [name])[name]
    expected = source(images) if callable(source) else np.full(5, -7.0)
    np.testing.assert_array_equal(value, expected)


@pytest.mark.parametrize(
  'source, message',
  [
    ('log_prob', "must be a function of examples, or a pair.*got 'log_prob'"),
    (None, 'must be a function of examples, or a pair.*got None'),
    ((Flow(), 'volume', 1), 'must be a function of examples, or a pair'),
    (
      (Flow(), 'latent'),
      "cannot be the statistic 'latent' of Flow, which has log_prob, bits_per",
    ),
    ((Classifier(), 'score_norm'), "cannot be the statistic 'score_norm' of C"),
  ],
)
def test_what_is_no_statistic_is_refused_at_once(source, message):
  with pytest.raises(ValueError, match=f"'mine' {message}"):
    stats.Statistics(Gaussian(), statistics={'mine': source})


def test_models_of_a_statistic():
  model, background, member, other = (Flow() for _ in range(4))
  statistics = stats.Statistics(
    model,
    background,
    [member, model],
    {'theirs': (other, 'volume'), 'mine': _brightness},
  )
  for name, models in {
    **dict.fromkeys((*_OF_ANY_MODEL, 'density', 'volume'), [model]),
    'background_log_prob': [background],
    'ensemble_log_probs': [member, model],
    'theirs': [other],
    'png_bits_per_dim': [],
    'compressed_bits_per_dim': [],
    'mine': None,
  }.items():
    assert statistics.models_of(name) == models
  # A user's function is one by whatever name.
  sequences = stats.Statistics(
    tfd.Sample(tfd.Normal(0.0, 1.0), [3]),
    statistics={'png_bits_per_dim': tf.zeros_like, 'ensemble_log_probs': len},
  )
  assert sequences.models_of('png_bits_per_dim') is None
  assert sequences.models_of('ensemble_log_probs') is None


def test_variables_are_those_of_models_and_of_functions_that_have_some():
  class Weighted(tf.Module):
    def __init__(self):
      self.weight = tf.Variable(2.0)

    def __call__(self, images):
      return self.weight * _brightness(images)

  loc = tf.Variable(128.0)
  model = tfd.Sample(tfd.Normal(loc, 50.0), _SHAPE)
  weighted = Weighted()
  statistics = stats.Statistics(
    model,
    ensemble=[model, Gaussian()],
    statistics={'mine': weighted, 'again': weighted, 'plain': _brightness},
  )
  assert [id(v) for v in statistics.variables] == [id(loc), id(weighted.weight)]


# ------------------------------------------------------- gradients by the image


def test_a_likelihood_of_whole_numbers_has_no_gradient():
  images = _gray_images()
  model = _autoencoder(likelihood='categorical')
  statistics = stats.Statistics(model)
  assert 'score_norm' not in statistics.names
  for refused in (
    lambda: statistics(images, ['score_norm']),
    lambda: stats.Detector(model, stats.ScoreNorm()),
    lambda: stats.Statistics(
      Gaussian(), statistics={'mine': (model, 'score_norm')}
    ),
  ):
    with pytest.raises(ValueError, match="'score_norm'"):
      refused()
  with pytest.raises(
    ValueError, match='likelihood is of whole numbers and has'
  ):
    model.continuous_log_prob(images.astype(np.float32) + 0.5)


def test_a_likelihood_of_any_numbers_has_a_gradient():
  images = _gray_images()
  model = _autoencoder(likelihood='gaussian')
  norm = stats.Statistics(model)(images, ['score_norm'])['score_norm']
  x = tf.cast(images, tf.float32)
  with tf.GradientTape() as tape:
    tape.watch(x)
    log_prob = model.continuous_log_prob(x)
  gradient = tape.gradient(log_prob, x).numpy().reshape([6, -1])
  np.testing.assert_allclose(norm, np.linalg.norm(gradient, axis=1), rtol=1e-5)
  assert np.min(norm) > 0.01
