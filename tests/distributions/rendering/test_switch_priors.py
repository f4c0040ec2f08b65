# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the two priors of switches, against sums over all of them."""

import functools
import itertools
import math

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras
from conformance import classifier_registry as registry
from scipy import special, stats
from tiers import few

from tfp_ood import distributions, networks
from tfp_ood.distributions.rendering import _switch_blocks, _switch_bounds

Structured = distributions.StructuredSwitchPrior
Layerwise = distributions.LayerwiseSwitchPrior

_VARIANCE = 0.7
_MODELS = {
  'one layer': lambda: registry.dense_classifier([6], seed=1),
  'two layers': lambda: registry.dense_classifier([5, 3], seed=2),
  'three layers': lambda: registry.dense_classifier([3, 2, 3], seed=3),
  'leaky': lambda: registry.dense_classifier([4, 4], slope=0.1, seed=4),
  'Keras 3': lambda: registry.dense_classifier([4, 3], library='keras'),
  'pooled': lambda: registry.pooled_classifier((3,), seed=5),
  'pooled, three layers': lambda: registry.pooled_classifier((3, 2), seed=6),
}
_NUM_CONFIGURATIONS = {
  'one layer': 2**6,
  'two layers': 2**8,
  'three layers': 2**8,
  'leaky': 2**8,
  'Keras 3': 2**7,
  'pooled': 8**2 * 2**3,
  'pooled, three layers': 8**2 * 2**5,
}

_SLOW = {'leaky', 'Keras 3', 'three layers', 'pooled, three layers'}


def _slow(names):
  """Parameters, of which those are marked that take long and add little."""
  return [
    pytest.param(name, marks=pytest.mark.slow) if name in _SLOW else name
    for name in names
  ]


every_network = pytest.mark.parametrize('name', list(_MODELS))
both_priors = pytest.mark.parametrize('prior', [Structured, Layerwise])


@functools.cache
def _network(name):
  return networks.PiecewiseLinearNetwork(_MODELS[name]())


@functools.cache
def _all(name):
  return registry.all_switches(_network(name))


def _add_labels(switches):
  """An axis for a batch of three labels."""
  return tf.nest.map_structure(lambda t: t[:, tf.newaxis], switches)


def _repeat_labels(switches):
  return tf.nest.map_structure(
    lambda t: tf.repeat(t[:, tf.newaxis], 3, axis=1), switches
  )


@functools.cache
def _etas(name):
  """`eta` of all configurations, `[num_configurations, 3]`, by hand."""
  network, switches = _network(name), _all(name)
  count = _NUM_CONFIGURATIONS[name]
  biases, _ = network.biases()
  columns = []
  for label in range(3):
    rendered = network.render(tf.fill([count], label), switches)
    columns.append(
      sum(
        np.sum(np.reshape(bias * gradient, [count, -1]), axis=1)
        for bias, gradient in zip(biases, rendered.pre_activations, strict=True)
      )
    )
  return np.stack(columns, axis=1)


@functools.cache
def _compensated_etas(name):
  """`eta + |h(0)|^2 / 2` of all configurations, by hand."""
  columns = []
  for label in range(3):
    labels = tf.fill([_NUM_CONFIGURATIONS[name]], label)
    h = _network(name).render(labels, _all(name)).image.numpy()
    columns.append((h.reshape([len(h), -1]) ** 2).sum(axis=1) / 2)
  return _etas(name) + np.stack(columns, axis=1)


def _numbers(name, switches):
  """The number of each configuration in the order of `_all`."""
  network = _network(name)
  numbers = 0
  for layer, switch in zip(network.layers, switches, strict=True):
    states = layer.states(switch).numpy()
    states = states.reshape([-1, layer.feature_shape.num_elements()])
    for unit in range(states.shape[1]):
      numbers = numbers * layer.num_states + states[:, unit]
  return numbers


def _assert_drawn_from(numbers, probabilities):
  """Pearson's test; rare outcomes are taken together."""
  expected = probabilities * len(numbers)
  counts = np.bincount(numbers, minlength=len(expected))
  rare = expected < 10
  expected = [*expected[~rare], expected[rare].sum()]
  counts = [*counts[~rare], counts[rare].sum()]
  if expected[-1] < 10:
    expected[-2:] = [sum(expected[-2:])]
    counts[-2:] = [sum(counts[-2:])]
  assert len(counts) > 3
  assert stats.chisquare(counts, expected).pvalue > 1e-3


# --------------------------------------------------------------- the densities


@every_network
def test_eta_is_the_sum_over_layers(name):
  etas = _etas(name)
  prior = Structured(_network(name), [0, 1, 2], _VARIANCE)
  switches = _repeat_labels(_all(name))
  np.testing.assert_allclose(prior.eta(switches), etas, atol=1e-12)
  np.testing.assert_allclose(
    prior.unnormalized_log_prob(switches), etas / _VARIANCE, atol=1e-12
  )


def test_eta_of_dense_layers_in_numpy():
  model = _MODELS['two layers']()
  _, b_1, w_2, b_2, templates, _ = model.get_weights()
  expected = []
  for on in itertools.product([0.0, 1.0], repeat=8):
    s_1, s_2 = np.array(on[:5]), np.array(on[5:])
    h_2 = templates
    h_1 = w_2 @ (s_2[:, None] * h_2)
    expected.append((b_1 * s_1) @ h_1 + (b_2 * s_2) @ h_2)
  np.testing.assert_allclose(_etas('two layers'), expected, atol=1e-12)


@every_network
def test_enumerated_normalizer(name):
  prior = Structured(_network(name), [0, 1, 2, 1], _VARIANCE)
  assert math.exp(prior.log_num_configurations) == pytest.approx(
    _NUM_CONFIGURATIONS[name]
  )
  expected = special.logsumexp(_etas(name) / _VARIANCE, axis=0)
  actual = prior.log_normalizer()
  assert isinstance(actual, distributions.LogNormalizer)
  np.testing.assert_allclose(actual.estimate, expected[[0, 1, 2, 1]])
  np.testing.assert_array_equal(actual.lower, actual.estimate)
  np.testing.assert_array_equal(actual.upper, actual.estimate)
  np.testing.assert_array_equal(actual.standard_error, np.zeros(4))
  # With it, probabilities add up to one.
  normalized = Structured(
    _network(name), [0, 1, 2], _VARIANCE, log_normalizer=expected
  )
  log_prob = normalized.log_prob(_repeat_labels(_all(name)))
  assert log_prob.shape == [_NUM_CONFIGURATIONS[name], 3]
  np.testing.assert_allclose(special.logsumexp(log_prob, axis=0), 0, atol=1e-10)
  # Its bounds: the largest term, and that for every configuration.
  largest = _etas(name).max(axis=0) / _VARIANCE
  assert (expected >= largest).all()
  assert (expected <= largest + prior.log_num_configurations).all()


@every_network
def test_the_bottom_layer_sums_out(name):
  """The normalizer from the states of the upper layers alone."""
  network = _network(name)
  switches = _all(name)
  bottom = network.layers[0]
  number_bottom = bottom.num_states ** bottom.feature_shape.num_elements()
  step = _NUM_CONFIGURATIONS[name] // number_bottom
  upper = tf.nest.map_structure(lambda t: t[:step], switches)
  biases, _ = network.biases()
  bias = biases[0]
  expected = []
  for label in range(3):
    rendered = network.render(tf.fill([step], label), upper)
    eta = np.zeros(step)
    for b, gradient in zip(
      biases[1:], rendered.pre_activations[1:], strict=True
    ):
      eta += np.sum(np.reshape(b * gradient, [step, -1]), axis=1)
    h = rendered.features[0].numpy()
    if bottom.has_pool:
      # Windows of 2 x 2, over a 4 x 2 image: off at four positions, or on.
      windows = bias.numpy().reshape([2, 4])
      values = h.reshape([step, 2, 1]) * windows
      units = np.logaddexp(
        math.log(4), special.logsumexp(values / _VARIANCE, axis=-1)
      )
    else:
      values = h * bias.numpy() / _VARIANCE
      units = np.logaddexp(values, values * bottom.slope)
    expected.append(special.logsumexp(eta / _VARIANCE + units.sum(axis=1)))
  prior = Structured(network, [0, 1, 2], _VARIANCE)
  np.testing.assert_allclose(prior.log_normalizer().estimate, expected)


@pytest.mark.parametrize('name', ['two layers', 'leaky', 'pooled'])
def test_the_mode_of_nonnegative_networks_is_that_of_the_zero_image(name):
  model = registry.nonnegative(_MODELS[name]())
  network = networks.PiecewiseLinearNetwork(model)
  zero = tf.zeros([1, *network.input_shape], tf.float64)
  logits = network.propagate(zero).logits - network.biases()[1]
  for variance in (1.0, 0.1, 0.01):
    prior = Structured(network, [0, 1, 2], variance)
    etas = prior.eta(_repeat_labels(registry.all_switches(network)))
    np.testing.assert_allclose(np.max(etas, axis=0), logits[0], atol=1e-12)
    log_normalizer = prior.log_normalizer().estimate
    excess = (log_normalizer - logits[0] / variance).numpy()
    assert (excess >= -1e-9).all()
    assert (excess <= prior.log_num_configurations).all()


@pytest.mark.parametrize('name', _slow(_MODELS))
@pytest.mark.parametrize('method', ['importance', 'ais'])
def test_estimated_normalizers_are_within_their_errors(name, method):
  prior = Structured(_network(name), [0, 1, 2], _VARIANCE)
  exact = prior.log_normalizer().estimate
  estimate = prior.log_normalizer(
    method, num_samples=400, num_temperatures=20, seed=3
  )
  error = estimate.standard_error.numpy()
  assert estimate.estimate.shape == [3] and error.shape == (3,)
  assert (error < 0.2).all()
  # Of one layer, importance weights are all equal.
  distance = np.abs(estimate.estimate - exact)
  assert (distance <= 4 * error + 1e-9).all()
  if name == 'one layer' and method == 'importance':
    assert (distance < 1e-9).all()
  assert (estimate.lower <= exact).numpy().all()
  assert (estimate.upper >= exact).numpy().all()
  if name == 'two layers':
    again = prior.log_normalizer(
      method, num_samples=400, num_temperatures=20, seed=3
    )
    np.testing.assert_array_equal(again.estimate, estimate.estimate)


@every_network
def test_layerwise_probabilities(name):
  prior = Layerwise(_network(name), [0, 1, 2], _VARIANCE)
  switches = _repeat_labels(_all(name))
  log_prob, log_weight = prior.log_prob(switches), prior.log_weight(switches)
  np.testing.assert_allclose(special.logsumexp(log_prob, axis=0), 0, atol=1e-10)
  etas = _etas(name) / _VARIANCE
  np.testing.assert_allclose(log_prob + log_weight, etas, atol=1e-10)
  # The expected weight is the normalizer; with one layer every weight is.
  normalizer = special.logsumexp(etas, axis=0)
  np.testing.assert_allclose(
    special.logsumexp(log_prob + log_weight, axis=0), normalizer
  )
  distance = np.abs(np.exp(log_prob) - np.exp(etas - normalizer)).sum(axis=0)
  if name == 'one layer':
    np.testing.assert_allclose(distance, 0, atol=1e-10)
  else:
    assert (distance > 1e-3).any()


def test_layerwise_log_prob_of_dense_layers_in_numpy():
  model = _MODELS['two layers']()
  _, b_1, w_2, b_2, templates, _ = model.get_weights()
  expected = []
  for on in itertools.product([0.0, 1.0], repeat=8):
    s_1, s_2 = np.array(on[:5])[:, None], np.array(on[5:])[:, None]
    h_2 = templates
    h_1 = w_2 @ (s_2 * h_2)
    log_prob = 0.0
    for s, b, h in ((s_1, b_1, h_1), (s_2, b_2, h_2)):
      log_odds = b[:, None] * h / _VARIANCE
      log_prob += np.sum(s * log_odds - np.logaddexp(0, log_odds), axis=0)
    expected.append(log_prob)
  prior = Layerwise(_network('two layers'), [0, 1, 2], _VARIANCE)
  np.testing.assert_allclose(
    prior.log_prob(_repeat_labels(_all('two layers'))), expected, atol=1e-12
  )


# ------------------------------------------------------------------ the bounds


@pytest.mark.parametrize('name', _slow(_MODELS))
def test_the_mode_method_bounds_the_normalizer(name):
  """Below by a term, above by a bound of the terms."""
  for compensated, etas in (
    (False, _etas(name)),
    (True, _compensated_etas(name)),
  ):
    prior = Structured(
      _network(name), [[2, 0, 1]], _VARIANCE, compensated=compensated
    )
    order = [2, 0, 1]
    exact = special.logsumexp(etas / _VARIANCE, axis=0)[order]
    mode = prior.log_normalizer('mode')
    assert mode.estimate.shape == [1, 3]
    np.testing.assert_array_equal(mode.estimate, mode.lower)
    assert np.isnan(mode.standard_error).all()
    # It is one of the terms, and no less than that of the zero image.
    for position, label in enumerate(order):
      terms = etas[:, label] / _VARIANCE
      distance = np.abs(terms - mode.lower[0, position]).min()
      assert distance < 1e-9
    assert (mode.lower[0] <= exact + 1e-9).numpy().all()
    largest = etas.max(axis=0)[order] / _VARIANCE
    upper = mode.upper[0].numpy()
    assert (upper >= exact - 1e-9).all()
    assert (upper >= largest + prior.log_num_configurations - 1e-9).all()
    zero = _network(name).zero_images()
    of_zero = _network(name).switches(
      _network(name).propagate(zero).pre_activations
    )
    start = prior.unnormalized_log_prob(
      tf.nest.map_structure(
        lambda t: tf.repeat(t[:, tf.newaxis], 3, axis=1), of_zero
      )
    )
    assert (mode.lower >= start - 1e-9).numpy().all()


@pytest.mark.parametrize('name', ['two layers', 'leaky', 'pooled'])
def test_bounds_of_nonnegative_networks_are_the_largest_eta(name):
  model = registry.nonnegative(_MODELS[name]())
  network = networks.PiecewiseLinearNetwork(model)
  prior = Structured(network, [0, 1, 2], 0.1)
  largest = np.max(
    prior.eta(_repeat_labels(registry.all_switches(network))), axis=0
  )
  mode = prior.log_normalizer('mode')
  np.testing.assert_allclose(mode.lower, largest / 0.1, atol=1e-10)
  np.testing.assert_allclose(
    mode.upper, largest / 0.1 + prior.log_num_configurations, atol=1e-10
  )


def test_bounds_are_tighter_than_those_of_absolute_weights():
  """`sum_l <|b(l)|, H(l)>` with `H(l - 1) = |W_l| H(l)`, `H(L) = |mu|`."""
  for seed in range(8):
    model = registry.dense_classifier([5, 3], seed=seed)
    network = networks.PiecewiseLinearNetwork(model)
    w_1, b_1, w_2, b_2, templates, _ = map(np.abs, model.get_weights())
    h_1 = w_2 @ templates
    absolute = b_1 @ h_1 + b_2 @ templates
    bounds = _switch_bounds.eta_upper_bounds(network).numpy()
    etas = Structured(network, [0, 1, 2]).eta(
      _repeat_labels(registry.all_switches(network))
    )
    assert (bounds <= absolute + 1e-12).all()
    assert (bounds >= np.max(etas, axis=0) - 1e-12).all()
    np.testing.assert_allclose(
      _switch_bounds.rendering_bounds(network), (w_1 @ h_1).T
    )


@pytest.mark.parametrize('library', few(['tf_keras', 'keras'], 1))
@pytest.mark.parametrize('name', few(registry.CLASSIFIERS, 12))
def test_bounds_hold_for_every_kind_of_layer(name, library):
  model = registry.shared_classifier(name, library)
  network = networks.PiecewiseLinearNetwork(model)
  etas = _switch_bounds.eta_upper_bounds(network)
  renderings = _switch_bounds.rendering_bounds(network)
  assert np.isfinite(etas).all()
  # Sixty random configurations of each class.
  labels = tf.repeat(tf.range(3), 60)
  switches = registry.random_switches(network, 180)
  rendered = network.render(labels, switches)
  scores = rendered.class_score
  assert (scores <= tf.gather(etas, labels) + 1e-9).numpy().all()
  bounds = tf.gather(renderings, labels)
  assert (abs(rendered.image) <= bounds + 1e-9).numpy().all()
  first = [0, 60, 120]
  ascent = _switch_blocks.ascend(
    network,
    network.zero_images(3),
    tf.gather(labels, first),
    tf.nest.map_structure(lambda t: tf.gather(t, first), switches),
    num_sweeps=2,
  )
  assert (ascent.objective <= etas + 1e-9).numpy().all()
  assert (ascent.objective >= tf.gather(scores, first) - 1e-9).numpy().all()


def test_layers_of_unknown_coefficients_have_no_bounds():
  k = tf_keras.layers
  model = tf_keras.Sequential(
    [
      k.Input([3, 3, 1]),
      k.UpSampling2D(interpolation='bicubic'),
      k.ReLU(),
      k.Flatten(),
      k.Dense(2),
    ]
  )
  network = networks.PiecewiseLinearNetwork(registry.perturb_weights(model))
  mode = Structured(network, [0, 1]).log_normalizer('mode')
  assert np.isfinite(mode.lower).all()
  assert (mode.upper == np.inf).numpy().all()
  assert np.isinf(_switch_bounds.rendering_bounds(network)).all()


# ----------------------------------------------------------- the compensated one


@every_network
def test_compensated_density(name):
  expected = _compensated_etas(name) / _VARIANCE
  prior = Structured(_network(name), [0, 1, 2], _VARIANCE, compensated=True)
  switches = _repeat_labels(_all(name))
  np.testing.assert_allclose(
    prior.unnormalized_log_prob(switches), expected, atol=1e-10
  )
  np.testing.assert_allclose(prior.eta(switches), _etas(name), atol=1e-12)
  log_normalizer = prior.log_normalizer()
  np.testing.assert_allclose(
    log_normalizer.estimate, special.logsumexp(expected, axis=0)
  )
  normalized = prior.copy(log_normalizer=log_normalizer.estimate)
  np.testing.assert_allclose(
    special.logsumexp(normalized.log_prob(switches), axis=0), 0, atol=1e-10
  )


@pytest.mark.parametrize(
  'name',
  [
    'two layers',
    *_slow(['leaky']),
    pytest.param('pooled', marks=pytest.mark.slow),
  ],
)
@pytest.mark.parametrize('method', ['importance', 'ais'])
def test_compensated_normalizers_are_within_their_errors(name, method):
  # Of a large variance: weights of importance sampling are alike. 400 draws may miss
  # the few large ones there are.
  prior = Structured(_network(name), [0, 1, 2], 5.0, compensated=True)
  exact = prior.log_normalizer().estimate
  estimate = prior.log_normalizer(
    method, num_samples=4000, num_temperatures=20, seed=3
  )
  error = estimate.standard_error.numpy()
  assert (error < 0.3).all()
  assert (np.abs(estimate.estimate - exact) <= 4 * error).all()
  assert (estimate.lower <= exact).numpy().all()
  assert (estimate.upper >= exact).numpy().all()
  # The correction is no small thing.
  plain = Structured(_network(name), [0, 1, 2], 5.0).log_normalizer().estimate
  assert (np.abs(plain - exact) > 4 * error).any()


# ---------------------------------------------------------------------- Gibbs


@every_network
@pytest.mark.parametrize('given', ['zero image', 'random image'])
def test_conditionals_are_the_enumerated_ones(name, given):
  """Of the prior with a zero image, else of the compensated posterior."""
  network, switches = _network(name), _all(name)
  count = _NUM_CONFIGURATIONS[name]
  image = network.zero_images()
  if given == 'random image':
    image = registry.inputs(network, 1)
  images = tf.repeat(image, count, axis=0)
  etas = np.stack(
    [
      network.render(tf.fill([count], label), switches, images).class_score
      for label in range(3)
    ],
    axis=1,
  )
  generator = np.random.default_rng(0)
  for label in range(3):
    start = generator.integers(count)
    one = tf.nest.map_structure(lambda t: t[start : start + 1], switches)  # noqa: B023
    for index, layer in enumerate(network.layers):
      # All configurations that agree with it in the other layers.
      same = np.ones(count, bool)
      for other, (candidate, given) in enumerate(
        zip(switches, one, strict=True)
      ):
        if other != index:
          for key, switch in candidate.items():
            equal = np.equal(switch, given[key]).reshape([count, -1])
            same &= equal.all(axis=1)
      enumerated = special.log_softmax(etas[same, label] / _VARIANCE)
      scores = _switch_blocks.block_scores(
        network, image, tf.constant([label]), one, index
      )
      log_probs = tf.nn.log_softmax(scores / _VARIANCE)[0].numpy()
      states = layer.states(switches[index]).numpy()[same]
      assert len(states) == layer.num_states ** np.prod(states.shape[1:])
      units = np.take_along_axis(
        np.repeat(log_probs[None], len(states), axis=0),
        states[..., None],
        axis=-1,
      )
      product = units.reshape([len(states), -1]).sum(axis=1)
      np.testing.assert_allclose(
        np.exp(product), np.exp(enumerated), rtol=0, atol=1e-12
      )


# -------------------------------------------------------------------- samples

_FAST_SAMPLES = {
  ('pooled', 'layerwise'),
  ('pooled', 'structured'),
  ('two layers', 'compensated'),
}


@pytest.mark.parametrize(
  'name, kind',
  [
    pytest.param(
      name,
      kind,
      marks=[] if (name, kind) in _FAST_SAMPLES else pytest.mark.slow,
    )
    for name, kind in itertools.product(
      ['two layers', 'leaky', 'pooled'],
      ['layerwise', 'structured', 'compensated'],
    )
  ],
)
def test_samples_are_drawn_from_the_density(name, kind):
  network = _network(name)
  labels = [2, 0]
  if kind == 'layerwise':
    distribution = Layerwise(network, labels, _VARIANCE)
  else:
    # Compensated dense layers take to few configurations at small variances.
    compensated = kind == 'compensated'
    variance = 3.0 if compensated and name != 'pooled' else _VARIANCE
    prior = Structured(network, [0, 1, 2], variance, compensated=compensated)
    distribution = prior.copy(
      labels=labels, log_normalizer=prior.log_normalizer().estimate
    )
  sample = tf.function(lambda: distribution.sample(3000, seed=[5, 6]))
  samples = sample()
  log_probs = distribution.log_prob(
    tf.nest.map_structure(
      lambda t: tf.repeat(t[:, tf.newaxis], 2, axis=1), _all(name)
    )
  )
  for position in range(2):
    numbers = _numbers(
      name,
      tf.nest.map_structure(lambda t: t[:, position], samples),  # noqa: B023
    )
    _assert_drawn_from(numbers, np.exp(log_probs[:, position]))


@both_priors
def test_shapes_and_dtypes(prior):
  network = _network('pooled')
  kwargs = dict(num_sweeps=2) if prior is Structured else {}
  distribution = prior(network, [[0, 1, 2], [2, 1, 0]], _VARIANCE, **kwargs)
  assert distribution.batch_shape == [2, 3]
  assert distribution.batch_shape_tensor().numpy().tolist() == [2, 3]
  assert distribution.dtype == [
    {'position': tf.int32, 'is_on': tf.bool},
    {'is_on': tf.bool},
  ]
  shape = tf.TensorShape([2, 1, 1])
  assert distribution.event_shape == [
    {'position': shape, 'is_on': shape},
    {'is_on': tf.TensorShape([3])},
  ]
  assert distribution.event_shape_tensor()[1]['is_on'].numpy().tolist() == [3]
  for sample_shape in ([], [4], [4, 5]):
    samples = distribution.sample(sample_shape, seed=[1, 2])
    batch = [*sample_shape, 2, 3]
    assert samples[0]['position'].shape == [*batch, 2, 1, 1]
    assert samples[0]['is_on'].shape == [*batch, 2, 1, 1]
    assert samples[1]['is_on'].shape == [*batch, 3]
    assert samples[0]['position'].dtype == tf.int32
    assert samples[1]['is_on'].dtype == tf.bool
    assert distribution.eta(samples).shape == batch
  one = prior(network, 1, _VARIANCE, **kwargs)
  assert one.batch_shape == []
  samples = one.sample(seed=[1, 2])
  assert samples[1]['is_on'].shape == [3]
  assert one.eta(samples).shape == []
  assert distribution.network is network
  assert float(distribution.variance) == _VARIANCE
  np.testing.assert_array_equal(distribution.labels, [[0, 1, 2], [2, 1, 0]])


@both_priors
def test_batches_of_labels_are_apart(prior):
  """Sample dimensions come first, and each label has its own switches."""
  network = _network('two layers')
  kwargs = dict(log_normalizer=[1.0, 2.0, 3.0]) if prior is Structured else {}
  many = prior(network, [[0, 1, 2], [2, 1, 0]], _VARIANCE, **kwargs)
  samples = many.sample(4, seed=3)
  log_prob = many.log_prob(samples)
  assert log_prob.shape == [4, 2, 3]
  for row, column in itertools.product(range(2), range(3)):
    one = prior(network, int(many.labels[row, column]), _VARIANCE, **kwargs)
    switches = tf.nest.map_structure(
      lambda t: t[:, row, column],  # noqa: B023
      samples,
    )
    np.testing.assert_allclose(
      one.log_prob(switches), log_prob[:, row, column], atol=1e-12
    )


@both_priors
def test_a_seed_says_it_all(prior):
  distribution = prior(_network('two layers'), [0, 1, 2], _VARIANCE)
  first, again, other = (distribution.sample(50, seed=s) for s in (3, 3, 4))
  for one, same in zip(first, again, strict=True):
    np.testing.assert_array_equal(one['is_on'], same['is_on'])
  assert (first[0]['is_on'].numpy() != other[0]['is_on'].numpy()).any()


@pytest.mark.slow
@pytest.mark.parametrize('compensated', [False, True])
def test_graphs_do_not_grow_with_the_length_of_a_chain(compensated):
  def number_of_operations(num_sweeps, num_temperatures):
    prior = Structured(
      _network('one layer'),
      [0, 1],
      num_sweeps=num_sweeps,
      compensated=compensated,
    )

    @tf.function
    def run():
      return prior.sample(3, seed=1), prior.log_normalizer(
        'ais', num_samples=3, num_temperatures=num_temperatures, seed=1
      )

    return len(run.get_concrete_function().graph.get_operations())

  assert number_of_operations(1, 2) == number_of_operations(30, 40)


@both_priors
def test_in_graphs_of_unknown_batch_size(prior):
  network = _network('pooled')
  kwargs = {}
  if prior is Structured:
    kwargs = dict(log_normalizer=[1.0, 2.0, 3.0], num_sweeps=2)

  @tf.function(input_signature=[tf.TensorSpec([None], tf.int32)])
  def run(labels):
    distribution = prior(network, labels, _VARIANCE, **kwargs)
    samples = distribution.sample(2, seed=[1, 2])
    return samples, distribution.log_prob(samples)

  for labels in ([0], [1, 2, 0, 1]):
    samples, log_prob = run(labels)
    assert log_prob.shape == [2, len(labels)]
    distribution = prior(network, labels, _VARIANCE, **kwargs)
    expected = distribution.log_prob(samples)
    np.testing.assert_allclose(log_prob, expected, atol=1e-12)
    # A seed means the same in graphs and outside.
    tf.nest.map_structure(
      np.testing.assert_array_equal,
      samples,
      distribution.sample(2, seed=[1, 2]),
    )
  assert run.experimental_get_tracing_count() == 1


def test_gradients_reach_the_weights():
  network = _network('two layers')
  switches = registry.random_switches(network, 3)
  prior = Layerwise(network, [0, 1, 2], _VARIANCE)
  with tf.GradientTape() as tape:
    loss = tf.reduce_sum(prior.log_prob(switches))
  gradients = tape.gradient(loss, network.trainable_variables)
  assert sum(g is not None and np.abs(g).max() > 0 for g in gradients) >= 4
  assert prior.trainable_variables


# --------------------------------------------------------------------- errors


def test_log_prob_without_a_normalizer_says_what_to_do():
  network = _network('two layers')
  prior = Structured(network, [0], _VARIANCE)
  switches = prior.sample(seed=[1, 2])
  for function in (prior.log_prob, prior.prob):
    with pytest.raises(
      NotImplementedError, match=r'Give `log_normalizer`.*unnormalized_log_prob'
    ):
      function(switches)


def test_too_many_configurations_are_refused():
  model = registry.dense_classifier([21])
  network = networks.PiecewiseLinearNetwork(model)
  prior = Structured(network, [0])
  with pytest.raises(
    ValueError, match=r"exp\(14.6\).*at most 1048576.*'importance'"
  ):
    prior.log_normalizer()
  assert np.isfinite(
    prior.log_normalizer('importance', num_samples=5, seed=1).estimate
  ).all()


def test_unknown_methods_are_refused():
  prior = Structured(_network('two layers'), [0])
  with pytest.raises(
    ValueError, match="one of enumerate, importance, ais, mode; got 'exact'"
  ):
    prior.log_normalizer('exact')


@both_priors
@pytest.mark.parametrize('variance', [0.0, -1.0, math.nan])
def test_variances_that_are_not_positive_are_refused(prior, variance):
  with pytest.raises(ValueError, match='`variance` must be positive, got'):
    prior(_network('two layers'), [0], variance)


@both_priors
def test_labels_that_are_not_classes_are_refused(prior):
  network = _network('two layers')
  for labels, got in (([0, 3], 3), ([-1, 2], -1)):
    with pytest.raises(ValueError, match=rf'`labels` .* 3; got \[{got}\]'):
      prior(network, labels)
  with pytest.raises(ValueError, match='must be integers; they are float32'):
    prior(network, [0.0, 1.0])


@both_priors
def test_labels_not_known_before_are_asserted(prior):
  network = _network('two layers')
  switches = registry.random_switches(network, 1)

  @tf.function(input_signature=[tf.TensorSpec([1], tf.int32)])
  def run(labels):
    distribution = prior(network, labels, validate_args=True)
    return distribution.eta(switches), distribution.sample(2)

  run([2])
  for label in (-1, 3):
    with pytest.raises(
      tf.errors.InvalidArgumentError, match='less than the number of classes, 3'
    ):
      run([label])


@both_priors
def test_switches_of_another_structure_are_refused(prior):
  network = _network('pooled')
  distribution = prior(network, [0, 1])
  first, second = registry.random_switches(network, 2)
  on, position = first['is_on'], first['position']
  cases = [
    ([first], r'entry for each of the 2 layers; got 1 entries'),
    (on, r'entry for each of the 2 layers; got <class'),
    ([on, second], r'`switches\[0\]` must be a dict of is_on, position; got'),
    ([{'is_on': on}, second], r"dict of is_on, position; got \['is_on'\]"),
    (
      [first, {'is_on': second['is_on'][:, :2]}],
      r"`switches\[1\]`\['is_on'\] must end in .*\(3,\); .* shape \(2, 2\)",
    ),
    (
      [{'is_on': tf.cast(on, tf.int32), 'position': position}, second],
      r"\['is_on'\] must be of dtype bool; it is int32",
    ),
  ]
  functions = [distribution.eta]
  if prior is Structured:
    functions.append(distribution.unnormalized_log_prob)
  else:
    functions.append(distribution.log_weight)
  for switches, message in cases:
    for function in functions:
      with pytest.raises(ValueError, match=message):
        function(switches)


def test_priors_of_networks_that_normalize_their_renderings():
  """The structured prior is that of the exact renderings."""
  network = networks.PiecewiseLinearNetwork(
    _MODELS['two layers'](), normalize_renderings=True
  )
  for index, normalization in enumerate(network.rendering_normalizations):
    registry.perturb_weights(normalization, seed=index)
  with pytest.raises(ValueError, match='normalize_renderings=False'):
    Structured(network, [0], compensated=True)
  prior = Structured(network, [0, 1, 2], _VARIANCE)
  switches = _repeat_labels(_all('two layers'))
  np.testing.assert_allclose(
    prior.eta(switches), _etas('two layers'), atol=1e-10
  )
  exact = prior.log_normalizer().estimate
  for method in ('importance', 'ais'):
    estimate = prior.log_normalizer(method, 400, 20, seed=1)
    distance = np.abs(estimate.estimate - exact)
    assert (distance <= 4 * estimate.standard_error).numpy().all()
  # The layerwise prior takes renderings as they are.
  layerwise = Layerwise(network, [0, 1, 2], _VARIANCE)
  log_prob = layerwise.log_prob(switches)
  np.testing.assert_allclose(special.logsumexp(log_prob, axis=0), 0, atol=1e-10)
  plain = Layerwise(_network('two layers'), [0, 1, 2], _VARIANCE)
  assert np.abs(log_prob - plain.log_prob(switches)).max() > 0.01


def test_priors_are_distributions():
  for prior in (Structured, Layerwise):
    distribution = prior(_network('two layers'), [0, 1])
    assert isinstance(distribution, tfp.distributions.Distribution)
    assert not distribution.experimental_default_event_space_bijector()
    copy = distribution.copy(variance=0.5)
    assert float(copy.variance) == 0.5
