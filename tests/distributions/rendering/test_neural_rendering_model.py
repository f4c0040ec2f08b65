# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of `NeuralRenderingModel`, on networks small enough to sum over."""

import functools
import math
import re

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from conformance import classifier_registry as registry
from scipy import special, stats

from tfp_ood import distributions, networks
from tfp_ood.networks import _network_pass, piecewise_linear

Model = distributions.NeuralRenderingModel

_SHAPE = (2, 2, 1)
_VARIANCE = 0.7
_CLASS_PROBS = [0.2, 0.5, 0.3]
_MODES = ('eta', 'mode_normalized', 'rpn', 'layerwise')

both_libraries = pytest.mark.parametrize('library', list(registry.LIBRARIES))


def _softened(class_bias, variance):
  """The class prior of a classifier's biases."""
  return tf.nn.softmax(class_bias / variance)


@functools.cache
def _classifier(library='tf_keras', seed=2):
  return registry.dense_classifier(
    [4, 3], input_shape=_SHAPE, seed=seed, library=library
  )


def _nrm(variance=_VARIANCE, model=None, normalized=True, **kwargs):
  """A model as `_new_nrm` makes it; those of the default classifier are shared."""
  if model is None and not kwargs:
    return _shared_nrm(variance, normalized)
  return _new_nrm(variance, model or _classifier(), normalized, **kwargs)


@functools.cache
def _shared_nrm(variance, normalized):
  return _new_nrm(variance, _classifier(), normalized)


def _new_nrm(variance, model, normalized, **kwargs):
  """A model with its enumerated normalizer, and chains that do not move.

  TFP samples all of the model on each `log_prob` outside of graphs.
  """
  network = networks.PiecewiseLinearNetwork(model)
  if normalized:
    prior = distributions.StructuredSwitchPrior(
      network,
      [0, 1, 2],
      variance,
      compensated=kwargs.get('compensated', False),
    )
    kwargs['log_normalizer'] = prior.log_normalizer().estimate
  kwargs.setdefault('class_probs', _CLASS_PROBS)
  kwargs.setdefault('num_sweeps', 0)
  return Model(network, variance, **kwargs)


def _pixels(number, shape=_SHAPE, seed=0):
  generator = np.random.default_rng(seed)
  return generator.integers(0, 256, [number, *shape], np.uint8)


def _all_latents(network):
  """Every label with every configuration: `[number]` labels, and switches."""
  switches = registry.all_switches(network)
  count = len(tf.nest.flatten(switches)[0])
  labels = tf.repeat(tf.range(3), count)
  repeated = tf.nest.map_structure(
    lambda t: tf.tile(t, [3] + [1] * (t.shape.rank - 1)), switches
  )
  return labels, repeated


def _sum(values):
  return np.sum(np.reshape(values, [len(values), -1]), axis=1)


def _eta(nrm, labels, switches):
  rendered = nrm.render(labels, switches)
  biases, _ = nrm.network.biases()
  return sum(
    _sum(bias * gradient)
    for bias, gradient in zip(biases, rendered.pre_activations, strict=True)
  )


# --------------------------------------------------------- the joint distribution


def test_probabilities_of_labels_and_switches_add_up():
  nrm = _nrm()
  labels, switches = _all_latents(nrm.network)
  parts = nrm.log_prob_parts(
    dict(
      label=labels,
      switches=switches,
      image=tf.zeros([384, *_SHAPE], tf.float64),
    )
  )
  assert set(parts) == {'label', 'switches', 'image'}
  joint = parts['label'] + parts['switches']
  assert joint.shape == [384]
  np.testing.assert_allclose(special.logsumexp(joint), 0, atol=1e-12)
  by_label = special.logsumexp(np.reshape(joint, [3, -1]), axis=1)
  np.testing.assert_allclose(np.exp(by_label), _CLASS_PROBS, atol=1e-12)


@pytest.mark.parametrize('scale, shift', [(1.0, 0.0), (1 / 127.5, -1.0)])
def test_log_prob_is_the_sum_of_its_parts_by_hand(scale, shift):
  nrm = _nrm(pixel_scale=scale, pixel_shift=shift)
  sample = nrm.sample(20, seed=[3, 4])
  labels = sample['label']
  assert labels.shape == [20]
  assert sample['image'].shape == [20, *_SHAPE]
  x = scale * sample['image'] + shift
  prior = distributions.StructuredSwitchPrior(nrm.network, [0, 1, 2], _VARIANCE)
  log_normalizer = prior.log_normalizer().estimate.numpy()
  expected_label = np.log(np.take(_CLASS_PROBS, labels))
  expected_switches = (
    _eta(nrm, labels, sample['switches']) / _VARIANCE - log_normalizer[labels]
  )
  h = nrm.render(labels, sample['switches']).image
  # A density of pixels, not of the network's inputs.
  expected_image = (
    -_sum((x - h) ** 2) / (2 * _VARIANCE)
    - 2 * math.log(2 * math.pi * _VARIANCE)
    + 4 * math.log(scale)
  )
  parts = nrm.log_prob_parts(sample)
  np.testing.assert_allclose(parts['label'], expected_label, atol=1e-12)
  np.testing.assert_allclose(parts['switches'], expected_switches, atol=1e-12)
  np.testing.assert_allclose(parts['image'], expected_image, atol=1e-9)
  expected = expected_label + expected_switches + expected_image
  np.testing.assert_allclose(nrm.log_prob(sample), expected, atol=1e-9)
  np.testing.assert_allclose(nrm.log_prob(**sample), expected, atol=1e-9)


def test_one_sample():
  nrm = _nrm()
  sample = nrm.sample(seed=[1, 2])
  assert sample['label'].shape == []
  assert sample['image'].shape == _SHAPE
  assert [s['is_on'].shape.as_list() for s in sample['switches']] == [[4], [3]]
  assert nrm.log_prob(sample).shape == []


@pytest.mark.slow
@pytest.mark.parametrize(
  'kwargs',
  [
    {},
    {'normalization': 'joint'},
    {'normalization': 'joint', 'compensated': True, 'variance': 3.0},
  ],
)
def test_samples_are_drawn_from_the_model(kwargs):
  nrm = _nrm(num_sweeps=20, **kwargs)
  variance = kwargs.get('variance', _VARIANCE)
  sample = tf.function(lambda: nrm.sample(4000, seed=[7, 8]))()
  labels, switches = _all_latents(nrm.network)
  parts = nrm.log_prob_parts(
    dict(
      label=labels,
      switches=switches,
      image=tf.zeros([384, *_SHAPE], tf.float64),
    )
  )
  expected = 4000 * np.exp(parts['label'] + parts['switches'])
  numbers = sample['label'].numpy()
  for layer in sample['switches']:
    for unit in np.transpose(layer['is_on']):
      numbers = 2 * numbers + unit
  counts = np.bincount(numbers, minlength=384)
  rare = expected < 10
  assert (~rare).sum() > 20
  pvalue = stats.chisquare(
    [*counts[~rare], counts[rare].sum()],
    [*expected[~rare], expected[rare].sum()],
  ).pvalue
  assert pvalue > 1e-3
  # The images: noise around the rendering.
  h = nrm.render(sample['label'], sample['switches']).image
  noise = np.ravel(sample['image'] / 127.5 - 1 - h) / math.sqrt(variance)
  assert stats.kstest(noise, 'norm').pvalue > 1e-3


@pytest.mark.parametrize('compensated', [False, True])
def test_one_constant_for_classes_and_switches(compensated):
  nrm = _nrm(normalization='joint', compensated=compensated)
  labels, switches = _all_latents(nrm.network)
  parts = nrm.log_prob_parts(
    dict(
      label=labels,
      switches=switches,
      image=tf.zeros([384, *_SHAPE], tf.float64),
    )
  )
  joint = (parts['label'] + parts['switches']).numpy()
  exponent = _eta(nrm, labels, switches)
  if compensated:
    exponent += _sum(nrm.render(labels, switches).image ** 2) / 2
  unnormalized = exponent / _VARIANCE + np.log(np.take(_CLASS_PROBS, labels))
  constant = special.logsumexp(unnormalized)
  np.testing.assert_allclose(joint, unnormalized - constant, atol=1e-10)
  # The probability of a class is that of all its switches.
  by_class = special.logsumexp(joint.reshape([3, -1]), axis=1)
  label = nrm.sample_distributions(seed=1)[0]['label']
  np.testing.assert_allclose(label.log_prob([0, 1, 2]), by_class, atol=1e-10)
  assert np.abs(np.exp(by_class) - _CLASS_PROBS).max() > 0.05
  # The label term of scores remains that of the class prior.
  images = _pixels(4)
  np.testing.assert_allclose(
    nrm.image_log_prob_terms(images).label,
    np.log(np.take(_CLASS_PROBS, nrm.infer(images).label)),
  )


def test_the_joint_normalization_needs_a_normalizer():
  nrm = _nrm(normalized=False, normalization='joint')
  sample = _nrm().sample(seed=1)
  for function in (lambda: nrm.sample(seed=1), lambda: nrm.log_prob(sample)):
    with pytest.raises(NotImplementedError, match='joint .*`log_normalizer`'):
      function()
  assert np.isfinite(nrm.image_log_prob_terms(_pixels(2)).latent).all()


def test_in_graphs():
  nrm = _nrm()
  sample = dict(
    label=tf.constant([0, 2]),
    switches=registry.random_switches(nrm.network, 2),
    image=tf.cast(_pixels(2), tf.float64),
  )
  log_prob = tf.function(nrm.log_prob)(sample)
  np.testing.assert_allclose(log_prob, nrm.log_prob(sample), atol=1e-9)

  @tf.function
  def parts():
    named, value = nrm.sample_distributions(3, seed=[1, 2])
    return named['image'].mean(), value

  mean, value = parts()
  assert mean.shape == [3, *_SHAPE]
  h = nrm.render(value['label'], value['switches']).image
  np.testing.assert_allclose(mean, 127.5 * (h + 1), atol=1e-9)


def test_without_a_normalizer_there_are_samples_but_no_log_prob():
  nrm = _nrm(normalized=False)
  sample = nrm.sample(2, seed=[1, 2])
  with pytest.raises(NotImplementedError, match='Give `log_normalizer`'):
    nrm.log_prob(sample)
  assert np.isfinite(nrm.image_log_prob_terms(_pixels(2)).latent).all()


def test_classes_are_equally_likely_unless_told():
  nrm = _nrm(class_probs=None)
  terms = nrm.image_log_prob_terms(_pixels(3))
  np.testing.assert_allclose(terms.label, np.log([1 / 3] * 3))


# ------------------------------------------------------------------ inference


@both_libraries
def test_infer_is_the_classifier(library):
  model = _classifier(library)
  nrm = Model.from_keras(model)
  images = _pixels(5)
  inference = nrm.infer(images)
  assert isinstance(inference, distributions.RenderingInference)
  x = tf.constant(images / 127.5 - 1)
  logits = model(x)
  np.testing.assert_allclose(inference.logits, logits, atol=1e-12)
  np.testing.assert_array_equal(inference.label, np.argmax(logits, axis=1))
  assert inference.label.dtype == tf.int32
  for switch, features in zip(
    inference.switches, inference.features, strict=True
  ):
    np.testing.assert_array_equal(switch['is_on'], features > 0)
  rendered = nrm.render(inference.label, inference.switches)
  with tf.GradientTape() as tape:
    tape.watch(x)
    score = tf.reduce_max(model(x), axis=1)
  np.testing.assert_allclose(
    rendered.image, tape.gradient(score, x), atol=1e-12
  )
  identities = {id(getattr(v, 'value', v)) for v in model.trainable_variables}
  if library == 'tf_keras':
    identities = {id(v) for v in model.trainable_variables}
  assert {id(v) for v in nrm.trainable_variables} == identities
  assert len(nrm.trainable_variables) == 6


def test_from_keras_leaves_a_softmax_out():
  k = tf_keras.layers
  model = tf_keras.Sequential(
    [
      k.Input([6, 6, 3]),
      k.Conv2D(4, 3, activation='relu'),
      k.GlobalMaxPooling2D(),
      k.Dense(5, activation='softmax'),
    ]
  )
  nrm = Model.from_keras(registry.perturb_weights(model), variance=0.3)
  images = _pixels(3, (6, 6, 3))
  probs = model(images / np.float32(127.5) - 1)
  logits = nrm.infer(images).logits
  np.testing.assert_allclose(tf.nn.softmax(logits), probs, rtol=1e-5)
  assert logits.dtype == tf.float32


def _by_hand(nrm, images, mode):
  """The latent terms, written again from their definitions."""
  inference = nrm.infer(images)
  labels, switches = inference.label, inference.switches
  biases, _ = nrm.network.biases()
  zero = tf.zeros([1, *nrm.network.input_shape], nrm.network.dtype)
  of_zero = nrm.network.switches(nrm.network.propagate(zero).pre_activations)
  if mode == 'layerwise':
    prior = distributions.LayerwiseSwitchPrior(nrm.network, labels, _VARIANCE)
    return prior.log_prob(switches)
  if mode == 'rpn':
    rendered = nrm.render(labels, switches)
    every = [nrm.render([label], of_zero) for label in range(3)]
    total = 0.0
    for index, bias in enumerate(biases):
      path = sum(one.pre_activations[index] for one in every)
      difference = np.abs(bias * (rendered.pre_activations[index] - path))
      total += difference.reshape([len(images), -1]).mean(axis=1)
    return -np.prod(nrm.network.input_shape) * total
  eta = _eta(nrm, labels, switches)
  if mode == 'mode_normalized':
    modes = [_eta(nrm, [label], of_zero)[0] for label in range(3)]
    eta -= np.take(modes, labels)
  return eta / _VARIANCE


@pytest.mark.parametrize('mode', _MODES)
@pytest.mark.parametrize('kind', ['dense', 'pooled', 'residual'])
def test_latent_terms_by_hand(mode, kind):
  model = {
    'dense': _classifier,
    'pooled': lambda: registry.pooled_classifier((3,)),
    'residual': lambda: registry.shared_classifier('residual', 'tf_keras'),
  }[kind]()
  nrm = _nrm(model=model, normalized=False)
  images = _pixels(6, model.input_shape[1:])
  expected = _by_hand(nrm, images, mode)
  latent = nrm.latent_log_prob(images, mode)
  assert latent.shape == [6]
  np.testing.assert_allclose(latent, expected, rtol=1e-10, atol=1e-10)
  terms = nrm.image_log_prob_terms(images, mode)
  assert isinstance(terms, distributions.RenderingTerms)
  np.testing.assert_array_equal(terms.latent, latent)
  inference = nrm.infer(images)
  h = nrm.render(inference.label, inference.switches).image
  np.testing.assert_allclose(
    terms.reconstruction,
    -_sum((images / 127.5 - 1 - h) ** 2) / (2 * _VARIANCE),
  )
  np.testing.assert_allclose(
    terms.label, np.log(np.take(_CLASS_PROBS, inference.label))
  )


def test_modes():
  nrm = _nrm()
  images = _pixels(3)
  default = nrm.latent_log_prob(images, 'mode_normalized')
  np.testing.assert_array_equal(nrm.latent_log_prob(images), default)
  np.testing.assert_array_equal(
    nrm.image_log_prob_terms(images).latent, default
  )


@pytest.mark.parametrize('kind', ['dense', 'pooled'])
def test_normalized_by_the_mode_of_a_nonnegative_network(kind):
  """At most zero, and the limit of the normalized log-probability."""
  model = {
    'dense': lambda: registry.dense_classifier([4, 3], _SHAPE, seed=3),
    'pooled': lambda: registry.pooled_classifier((3,)),
  }[kind]()
  model = registry.nonnegative(model)
  images = _pixels(20, model.input_shape[1:])
  for variance in (1.0, 0.01, 1e-4):
    nrm = _nrm(variance, model, normalized=False)
    latent = nrm.latent_log_prob(images)
    assert (latent.numpy() <= 1e-9).all()
    inference = nrm.infer(images)
    prior = distributions.StructuredSwitchPrior(
      nrm.network, [0, 1, 2], variance
    )
    normalized = prior.copy(
      labels=inference.label, log_normalizer=prior.log_normalizer().estimate
    )
    log_prob = normalized.log_prob(inference.switches)
    excess = variance * np.abs(latent - log_prob)
    assert excess.max() <= variance * prior.log_num_configurations + 1e-9


@pytest.mark.parametrize('name', ['max pool', 'residual', 'concatenation'])
def test_layer_terms(name):
  model = registry.shared_classifier(name, 'tf_keras')
  nrm = _nrm(model=model, normalized=False)
  images = _pixels(4, model.input_shape[1:])
  etas, reconstruction = nrm.layer_terms(images)
  num_layers = nrm.network.num_layers
  assert etas.shape == [4, num_layers]
  assert reconstruction.shape == [4, num_layers + 1]
  np.testing.assert_allclose(
    np.sum(etas, axis=1),
    _VARIANCE * nrm.latent_log_prob(images, 'eta'),
    rtol=1e-9,
  )
  inference = nrm.infer(images)
  rendered = nrm.render(inference.label, inference.switches)
  np.testing.assert_allclose(
    reconstruction[:, 0],
    2 * _VARIANCE * nrm.image_log_prob_terms(images).reconstruction,
  )
  for index in range(num_layers):
    np.testing.assert_allclose(
      reconstruction[:, index + 1],
      -_sum((inference.features[index] - rendered.features[index]) ** 2),
    )


@pytest.mark.parametrize(
  'name', ['leaky rectifier', 'max pools alone', 'residual']
)
def test_masked_reconstruction(name):
  """Renderings after the switches of their own layer."""
  model = registry.shared_classifier(name, 'tf_keras')
  nrm = _nrm(model=model, normalized=False)
  images = _pixels(4, model.input_shape[1:])
  plain = nrm.layer_reconstruction(images)
  np.testing.assert_array_equal(plain, nrm.layer_terms(images)[1])
  masked = nrm.layer_reconstruction(images, masked=True)
  np.testing.assert_array_equal(masked, nrm.layer_terms(images, masked=True)[1])
  inference = nrm.infer(images)
  rendered = nrm.render(inference.label, inference.switches)
  np.testing.assert_allclose(masked[:, 0], plain[:, 0])
  for index, layer in enumerate(nrm.network.layers):
    h = rendered.features[index].numpy()
    if layer.has_rectifier:
      h *= np.where(inference.switches[index]['is_on'], 1.0, layer.slope)
    np.testing.assert_allclose(
      masked[:, index + 1], -_sum((inference.features[index] - h) ** 2)
    )
  if name == 'max pools alone':
    np.testing.assert_array_equal(masked, plain)
  else:
    assert np.abs(masked - plain).max() > 1e-3


_STATISTICS = (
  'log_prob',
  'logits',
  'latent_eta',
  'latent_mode_normalized',
  'latent_rpn',
  'latent_layerwise',
  'layer_etas',
  'layer_reconstructions',
)


@pytest.mark.parametrize('name', ['max pool', 'concatenation', 'dense images'])
def test_statistics_are_what_the_methods_return_one_by_one(name):
  model = (
    _classifier()
    if name == 'dense images'
    else registry.shared_classifier(name, 'tf_keras')
  )
  nrm = _nrm(model=model, normalized=False)
  images = _pixels(5, model.input_shape[1:])
  assert nrm.statistics_names == _STATISTICS
  values = nrm.statistics(images, _STATISTICS)
  assert tuple(values) == _STATISTICS
  np.testing.assert_array_equal(values['logits'], nrm.infer(images).logits)
  for mode in _MODES:
    np.testing.assert_array_equal(
      values[f'latent_{mode}'], nrm.latent_log_prob(images, mode)
    )
  np.testing.assert_allclose(
    values['log_prob'], sum(nrm.image_log_prob_terms(images))
  )
  etas, reconstructions = nrm.layer_terms(images)
  np.testing.assert_array_equal(values['layer_etas'], etas)
  np.testing.assert_array_equal(
    values['layer_reconstructions'], reconstructions
  )
  for names in ((), ('logits',), ['latent_rpn'], iter(['logits', 'log_prob'])):
    some = nrm.statistics(images, names)
    for key, value in some.items():
      np.testing.assert_array_equal(value, values[key])
  assert list(some) == ['logits', 'log_prob']


def test_every_statistic_is_in_the_table_of_the_class():
  rows = re.findall(r'^  \| `(\w+)` \| `\[(.*?)\]` \|', Model.__doc__, re.M)
  assert [name for name, _ in rows] == list(_STATISTICS)
  shapes = {
    'batch': [2],
    'batch, num_classes': [2, 3],
    'batch, num_layers': [2, 2],
    'batch, num_layers + 1': [2, 3],
  }
  values = _nrm(normalized=False).statistics(_pixels(2), _STATISTICS)
  for name, shape in rows:
    assert values[name].shape == shapes[shape]


def test_unknown_statistics_are_refused():
  nrm = _nrm(normalized=False)
  with pytest.raises(
    ValueError, match="unknown statistics 'volume'; there are log_prob, logits,"
  ):
    nrm.statistics(_pixels(2), ['logits', 'volume'])


def _passes(monkeypatch):
  """Records the number of images of each pass, and whether it goes back."""
  passes = []

  class Counting(_network_pass.NetworkPass):
    """A pass that leaves a record."""

    def __init__(self, *args, **kwargs):
      super().__init__(*args, **kwargs)
      passes.append((len(self.logits), kwargs.get('can_go_back', False)))

  monkeypatch.setattr(piecewise_linear, 'NetworkPass', Counting)
  return passes


def test_statistics_go_up_and_back_once_with_the_batch(monkeypatch):
  """What is of the zero image costs one image."""
  nrm = _nrm(normalized=False)
  passes = _passes(monkeypatch)
  nrm.statistics(_pixels(7), _STATISTICS)
  assert [p for p in passes if p[0] == 7] == [(7, True)]
  assert {count for count, _ in passes} == {1, 7}


def test_statistics_compute_what_is_asked_alone(monkeypatch):
  nrm = _nrm(normalized=False)
  passes = _passes(monkeypatch)
  nrm.statistics(_pixels(7), ['logits'])
  assert passes == [(7, False)]
  passes.clear()
  nrm.statistics(_pixels(7), ['layer_reconstructions'])
  # The class bias, for the score of a class.
  assert passes == [(7, True), (1, False)]


def test_terms_of_normalized_renderings():
  """`eta` is the sum over layers of the renderings as they are."""
  nrm = _normalized_nrm()
  images = _pixels(5)
  for mode in ('eta', 'mode_normalized', 'layerwise'):
    np.testing.assert_allclose(
      nrm.latent_log_prob(images, mode),
      _by_hand(nrm, images, mode),
      atol=1e-10,
    )
  plain = _nrm(normalized=False).latent_log_prob(images, 'eta')
  assert np.abs(plain - nrm.latent_log_prob(images, 'eta')).max() > 0.01
  with pytest.raises(ValueError, match='normalize_renderings=False'):
    nrm.joint_map(images)
  with pytest.raises(ValueError, match='normalize_renderings=False'):
    Model(nrm.network, compensated=True)


def _normalized_nrm():
  network = networks.PiecewiseLinearNetwork(
    _classifier(), normalize_renderings=True
  )
  for index, normalization in enumerate(network.rendering_normalizations):
    registry.perturb_weights(normalization, seed=index)
  return Model(network, _VARIANCE)


@pytest.mark.parametrize('training', [False, True])
def test_the_zero_image_goes_the_way_of_the_images(training):
  """The rendering path normalization of normalized renderings, by hand."""
  nrm = _normalized_nrm()
  images = _pixels(6)
  normalization = nrm.network.rendering_normalizations[1]
  moving = normalization.moving_mean.numpy()
  gamma, beta = normalization.gamma.numpy(), normalization.beta.numpy()
  mean, variance = moving, normalization.moving_variance.numpy()
  _, labels, rendered, _ = nrm.infer_and_render(images, training=training)
  w_1, b_1, w_2, b_2, w_3, _ = (
    w.numpy() for w in nrm.network.model.trainable_weights
  )

  def switches(x):
    u_1 = x @ w_1 + b_1
    return u_1 > 0, np.maximum(u_1, 0) @ w_2 + b_2 > 0

  def render(template, on_1, on_2):
    """The renderings below both layers of switches."""
    down_2 = on_2 * template
    h_1 = gamma * (down_2 @ w_2.T - mean) / np.sqrt(variance + 1e-3) + beta
    return on_1 * h_1, down_2

  on = switches((images / 127.5 - 1).reshape([6, -1]))
  templates = w_3.T[labels]
  if training:
    h = (on[1] * templates) @ w_2.T
    mean, variance = h.mean(axis=0), h.var(axis=0)
  of_images = render(templates, *on)
  of_zero = render(w_3.sum(axis=1), *switches(np.zeros([1, 4])))
  expected = sum(
    np.abs(b * (path - zero)).mean(axis=1)
    for b, path, zero in zip((b_1, b_2), of_images, of_zero, strict=True)
  )
  np.testing.assert_allclose(
    nrm.rendering_path_normalization(rendered), expected, rtol=1e-9
  )
  # The statistics were gathered once.
  if training:
    moving = 0.99 * moving + 0.01 * mean
  else:
    latent = nrm.latent_log_prob(images, 'rpn')
    np.testing.assert_allclose(latent, -4 * expected, rtol=1e-9)
  np.testing.assert_allclose(normalization.moving_mean, moving, rtol=1e-6)


# ------------------------------------------------------------- the best switches


def _objectives(nrm, images, label):
  """`<x, h(0)> + eta` of one image and all switches of a class."""
  switches = registry.all_switches(nrm.network)
  count = len(tf.nest.flatten(switches)[0])
  x = tf.constant(images / 127.5 - 1)
  rendered = nrm.network.render(
    tf.fill([count], label), switches, tf.repeat(x, count, axis=0)
  )
  return rendered.class_score.numpy()


@pytest.mark.slow
def test_joint_map_of_signed_networks():
  """It reaches the maximum in most, and no layer can do better in any."""
  reached = better = total = 0
  for seed in range(12):
    if seed < 8:
      model = registry.dense_classifier([4, 3], _SHAPE, seed=seed)
    else:
      model = registry.pooled_classifier((3,), seed=seed)
    nrm = _nrm(model=model, normalized=False)
    images = _pixels(1, model.input_shape[1:], seed)
    labels = [0, 1, 2]
    found = nrm.joint_map(np.repeat(images, 3, axis=0), labels)
    assert isinstance(found, distributions.JointMap)
    np.testing.assert_array_equal(found.label, labels)
    assert found.has_converged.numpy().all()
    assert 1 <= found.num_sweeps <= 20
    class_bias = nrm.network.biases()[1].numpy()[0]
    logits = nrm.infer(images).logits.numpy()[0] - class_bias
    every = registry.all_switches(nrm.network)
    for label in labels:
      objectives = _objectives(nrm, images, label)
      objective = found.objective[label].numpy()
      assert logits[label] - 1e-9 <= objective <= objectives.max() + 1e-9
      total += 1
      better += objective > logits[label] + 1e-9
      reached += objective >= objectives.max() - 1e-9
      for changed in range(nrm.network.num_layers):
        same = np.ones(len(objectives), bool)
        for index, candidates in enumerate(every):
          if index != changed:
            for key, switch in candidates.items():
              equal = np.equal(switch, found.switches[index][key][label])
              same &= equal.reshape([len(same), -1]).all(axis=1)
        assert objectives[same].max() <= objective + 1e-9
    # Of all classes the best, with their biases.
    best = nrm.joint_map(images)
    scores = found.objective + class_bias
    assert best.label.dtype == tf.int32
    assert best.label.numpy().tolist() == [np.argmax(scores)]
    np.testing.assert_allclose(
      best.objective[0], found.objective[np.argmax(scores)]
    )
  assert better / total > 0.6
  assert reached / total > 0.6


def test_joint_map_never_falls():
  model = registry.shared_classifier('overlapping max pool', 'tf_keras')
  nrm = _nrm(model=model, normalized=False)
  images = _pixels(10, model.input_shape[1:])
  inference = nrm.infer(images)
  class_bias = nrm.network.biases()[1].numpy()[0]
  logits = np.max(inference.logits, axis=1) - class_bias[inference.label]
  previous = logits
  for num_sweeps in range(6):
    found = nrm.joint_map(images, inference.label, num_sweeps)
    assert (found.objective >= previous - 1e-9).numpy().all()
    if num_sweeps == 0:
      np.testing.assert_allclose(found.objective, logits)
      assert not found.has_converged.numpy().any()
    previous = found.objective
  assert (previous > logits + 1e-3).numpy().all()
  # The objective is what it says.
  rendered = nrm.render(found.label, found.switches)
  x = images / 127.5 - 1
  np.testing.assert_allclose(
    found.objective,
    _sum(x * rendered.image) + _eta(nrm, found.label, found.switches),
  )


@pytest.mark.parametrize('kind', ['dense', 'leaky', 'pooled'])
def test_joint_map_of_nonnegative_networks_is_the_classifier(kind):
  model = {
    'dense': lambda: registry.dense_classifier([6, 5, 4], _SHAPE, seed=3),
    'leaky': lambda: registry.dense_classifier([6, 5], _SHAPE, 0.1, seed=3),
    'pooled': lambda: registry.pooled_classifier((3,)),
  }[kind]()
  nrm = _nrm(model=registry.nonnegative(model), normalized=False)
  images = _pixels(30, model.input_shape[1:])
  inference = nrm.infer(images)
  found = nrm.joint_map(images)
  np.testing.assert_array_equal(found.label, inference.label)
  tf.nest.map_structure(
    np.testing.assert_array_equal, found.switches, inference.switches
  )
  class_bias = nrm.network.biases()[1].numpy()[0]
  np.testing.assert_allclose(
    found.objective + class_bias[found.label], np.max(inference.logits, axis=1)
  )
  assert found.num_sweeps == 1 and found.has_converged.numpy().all()


def test_joint_map_in_a_graph():
  model = registry.shared_classifier('max pool', 'tf_keras')
  nrm = _nrm(model=model, normalized=False)
  shape = model.input_shape[1:]

  @tf.function(input_signature=[tf.TensorSpec([None, *shape], tf.uint8)])
  def run(images):
    return nrm.joint_map(images)

  images = _pixels(4, shape)
  expected = nrm.joint_map(images)
  for number in (1, 4):
    found = run(images[:number])
    np.testing.assert_array_equal(found.label, expected.label[:number])
    np.testing.assert_allclose(found.objective, expected.objective[:number])
  assert run.experimental_get_tracing_count() == 1


# ------------------------------------------------------------------- theorems


@pytest.mark.parametrize(
  'sign', ['nonnegative', pytest.param('signed', marks=pytest.mark.slow)]
)
def test_the_terms_bound_the_log_probability_of_an_image(sign):
  """Theorem 2: for any latents, log p(x) is at least the joint at them."""
  model = registry.dense_classifier([3, 2], _SHAPE, seed=6)
  if sign == 'nonnegative':
    model = registry.nonnegative(model)
  images = _pixels(1, seed=3)
  gaps = []
  for variance in (1.0, 0.1, 0.003):
    nrm = _nrm(variance, model, pixel_scale=1 / 127.5)
    labels, switches = _all_latents(nrm.network)
    joint = nrm.log_prob(
      label=labels,
      switches=switches,
      image=tf.repeat(tf.cast(images, tf.float64), 96, axis=0),
    ).numpy()
    log_prob = special.logsumexp(joint)
    terms = nrm.image_log_prob_terms(images, 'eta')
    prior = distributions.StructuredSwitchPrior(
      nrm.network, nrm.infer(images).label, variance
    )
    bound = (
      terms.reconstruction
      + terms.latent
      - prior.log_normalizer().estimate
      + terms.label
      - 2 * math.log(2 * math.pi * variance)
      - 4 * math.log(127.5)
    )
    assert log_prob >= bound[0]
    assert np.isclose(joint, bound[0], rtol=0, atol=1e-8).any()
    # And exactly: the posterior mean of the joint, and the entropy.
    posterior = np.exp(joint - log_prob)
    entropy = stats.entropy(posterior)
    np.testing.assert_allclose(posterior @ joint + entropy, log_prob)
    gaps.append(variance * (log_prob - joint.max()))
    assert -1e-9 <= gaps[-1] <= variance * math.log(96)
  assert gaps[-1] < 1e-2


def _posterior(nrm, images):
  """The joint of one image with all latents, `[3, num_configurations]`."""
  labels, switches = _all_latents(nrm.network)
  image = tf.repeat(tf.cast(images, tf.float64), len(labels), axis=0)
  joint = nrm.log_prob(label=labels, switches=switches, image=image)
  return joint.numpy().reshape([3, -1])


def _joint_at_own_latents(nrm, images):
  inference = nrm.infer(images)
  return nrm.log_prob(
    label=inference.label,
    switches=inference.switches,
    image=tf.cast(images, tf.float64),
  ).numpy()[0]


def _counterexample():
  """A unit of an image that pays to switch off: its rendering is too long.

  The network sees 0.5 and 0, the one unit sees it by the weights 1 and 3, and so its
  rendering is (1, 3): the logit grows by 0.5, but |h(0)|^2 / 2 is 5.
  """
  k = tf_keras.layers
  with registry.double_precision():
    model = tf_keras.Sequential(
      [
        k.Input([2, 1, 1]),
        k.Flatten(),
        k.Dense(1, activation='relu'),
        k.Dense(2),
      ]
    )
  model.set_weights(
    [
      np.array([[1.0], [3.0]]),
      np.array([0.0]),
      np.array([[1.0, 0.5]]),
      np.array([0.0, 0.0]),
    ]
  )
  return model, np.array([[1.0, 0.0]]).reshape([1, 2, 1, 1])


def test_counterexample_where_the_classifiers_switches_are_not_the_map():
  """The Gaussian has a term that no logit has; compensation takes it away."""
  model, images = _counterexample()
  network = networks.PiecewiseLinearNetwork(model)
  best = {}
  for compensated in (False, True):
    prior = distributions.StructuredSwitchPrior(
      network, [0, 1], compensated=compensated
    )
    nrm = Model(
      network,
      log_normalizer=prior.log_normalizer().estimate,
      pixel_scale=0.5,
      pixel_shift=0.0,
      normalization='joint',
      compensated=compensated,
    )
    inference = nrm.infer(images)
    assert inference.label.numpy().tolist() == [0]
    assert inference.switches[0]['is_on'].numpy().tolist() == [[True]]
    joint = nrm.log_prob(
      label=tf.constant([0, 0, 1, 1]),
      switches=[{'is_on': tf.constant([[False], [True]] * 2)}],
      image=tf.repeat(tf.constant(images), 4, axis=0),
    ).numpy()
    best[compensated] = np.argmax(joint)
    # Log-odds of on against off: <x, h(0)> less |h(0)|^2 / 2.
    np.testing.assert_allclose(
      joint[1] - joint[0], 0.5 if compensated else 0.5 - 5.0
    )
  assert best[False] in (0, 2)
  assert best[True] == 1


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['dense', 'pooled'])
def test_the_classifiers_latents_are_the_map_of_the_compensated_model(kind):
  """Of a nonnegative network, at any variance; the plain joint has others."""
  plain = 0
  for seed in range(3):
    model = {
      'dense': lambda: registry.dense_classifier([4, 3], _SHAPE, seed=seed),  # noqa: B023
      'pooled': lambda: registry.pooled_classifier((2,), seed=seed),  # noqa: B023
    }[kind]()
    model = registry.nonnegative(model)
    images = _pixels(1, model.input_shape[1:], seed=seed)
    class_bias = networks.PiecewiseLinearNetwork(model).biases()[1][0]
    for compensated in (False, True):
      nrm = _nrm(
        1.0,
        model,
        class_probs=_softened(class_bias, 1.0),
        normalization='joint',
        compensated=compensated,
      )
      own = _joint_at_own_latents(nrm, images)
      is_map = own >= _posterior(nrm, images).max() - 1e-9
      if compensated:
        assert is_map
      else:
        plain += is_map
  assert plain < 3


@pytest.mark.slow
def test_compensated_class_probabilities_come_close_to_the_softmax():
  """As the variance falls; and so does Theorem 2's bound to log p(x)."""
  model = registry.nonnegative(
    registry.dense_classifier([3, 2], _SHAPE, seed=6)
  )
  kernel, bias = model.layers[-1].kernel, model.layers[-1].bias
  kernel.assign(0.3 * kernel)
  images = _pixels(1, seed=3)
  scores = model(images / 127.5 - 1)[0] - bias
  softmax = [0.2, 0.5, 0.3]
  distances, gaps = [], []
  for variance in (3.0, 0.3, 0.03, 0.003):
    # So that no class is certain.
    bias.assign(variance * np.log(softmax) - scores)
    nrm = _nrm(
      variance,
      model,
      class_probs=_softened(bias, variance),
      normalization='joint',
      compensated=True,
    )
    logits = nrm.infer(images).logits[0]
    np.testing.assert_allclose(tf.nn.softmax(logits / variance), softmax)
    joint = _posterior(nrm, images)
    log_prob = special.logsumexp(joint)
    own = _joint_at_own_latents(nrm, images)
    assert log_prob >= own
    gaps.append(variance * (log_prob - own))
    probs = np.exp(special.logsumexp(joint, axis=1) - log_prob)
    # p(y | x) ~ sum_z exp(logit_y(x; z) / variance), whatever the variance.
    expected = [
      special.logsumexp((_objectives(nrm, images, y) + bias[y]) / variance)
      for y in range(3)
    ]
    np.testing.assert_allclose(probs, special.softmax(expected), atol=1e-9)
    distances.append(np.abs(probs - softmax).max())
  assert (np.diff(gaps) < 0).all() and gaps[-1] < 5e-3
  assert distances[-1] < 0.01 < 0.05 < max(distances)


# ---------------------------------------------------------- batches and dtypes


def test_dtypes_of_images_agree():
  nrm = _nrm()
  images = _pixels(4)
  expected = nrm.image_log_prob_terms(images)
  for dtype in (np.int32, np.int64, np.float16, np.float32, np.float64):
    for actual, term in zip(
      nrm.image_log_prob_terms(images.astype(dtype)), expected, strict=True
    ):
      np.testing.assert_array_equal(actual, term)
  np.testing.assert_array_equal(
    nrm.image_log_prob_terms(images.tolist()).latent, expected.latent
  )


def test_the_scale_of_pixels():
  model = _classifier()
  images = _pixels(3)
  default = Model.from_keras(model).infer(images).logits
  np.testing.assert_allclose(default, model(images / 127.5 - 1), atol=1e-12)
  other = Model.from_keras(model, pixel_scale=1 / 255, pixel_shift=0.0)
  np.testing.assert_allclose(
    other.infer(images).logits, model(images / 255), atol=1e-12
  )


def test_one_trace_for_any_number_of_images():
  model = registry.shared_classifier('overlapping max pool', 'tf_keras')
  nrm = _nrm(model=model, normalized=False)
  shape = model.input_shape[1:]

  @tf.function(input_signature=[tf.TensorSpec([None, *shape], tf.uint8)])
  def run(images):
    return (
      [nrm.image_log_prob_terms(images, mode) for mode in _MODES],
      nrm.layer_terms(images),
      nrm.infer(images).label,
    )

  images = _pixels(5, shape)
  expected = [nrm.image_log_prob_terms(images, mode) for mode in _MODES]
  etas, _ = nrm.layer_terms(images)
  for number in (1, 5):
    terms, (layers, _), label = run(images[:number])
    for actual, term in zip(
      tf.nest.flatten(terms), tf.nest.flatten(expected), strict=True
    ):
      np.testing.assert_allclose(actual, term[:number], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(layers, etas[:number], atol=1e-10)
    assert label.shape == [number]
  assert run.experimental_get_tracing_count() == 1


@pytest.mark.parametrize('name', ['dense images', 'max pool'])
@pytest.mark.parametrize(
  'in_graph', [False, pytest.param(True, marks=pytest.mark.slow)]
)
def test_no_images_are_a_batch(name, in_graph):
  model = (
    _classifier()
    if name == 'dense images'
    else registry.shared_classifier(name, 'tf_keras')
  )
  nrm = _nrm(model=model, normalized=False)
  nothing = np.zeros([0, *model.input_shape[1:]], np.uint8)

  def run(images):
    return (
      [nrm.image_log_prob_terms(images, mode) for mode in _MODES],
      nrm.statistics(images, _STATISTICS),
      nrm.layer_terms(images),
      nrm.infer(images),
    )

  if in_graph:
    spec = tf.TensorSpec([None, *nothing.shape[1:]], tf.uint8)
    run = tf.function(run, input_signature=[spec])
  terms, statistics, layers, inference = run(nothing)
  assert [t.shape.as_list() for t in tf.nest.flatten(terms)] == [[0]] * 12
  assert statistics.pop('logits').shape == [0, 3]
  assert statistics.pop('layer_etas').shape == [0, 2]
  assert statistics.pop('layer_reconstructions').shape == [0, 3]
  assert [v.shape.as_list() for v in statistics.values()] == [[0]] * 5
  assert [t.shape.as_list() for t in layers] == [[0, 2], [0, 3]]
  assert inference.label.shape == [0] and inference.logits.shape == [0, 3]
  for layer, features in zip(
    nrm.network.layers, inference.features, strict=True
  ):
    assert features.shape == [0, *layer.feature_shape]


def test_terms_do_not_depend_on_the_batch():
  model = registry.shared_classifier('batch normalization', 'tf_keras')
  nrm = _nrm(model=model, normalized=False)
  images = _pixels(6, model.input_shape[1:])
  for mode in _MODES:
    together = nrm.image_log_prob_terms(images, mode)
    for index in range(6):
      alone = nrm.image_log_prob_terms(images[index : index + 1], mode)
      for one, term in zip(alone, together, strict=True):
        np.testing.assert_allclose(one[0], term[index], rtol=1e-9, atol=1e-9)


# --------------------------------------------------------------------- errors


def test_unknown_latent_modes_are_refused():
  nrm = _nrm()
  for function in (
    nrm.latent_log_prob,
    nrm.image_log_prob_terms,
  ):
    with pytest.raises(
      ValueError,
      match="one of eta, mode_normalized, rpn, layerwise; got 'best'",
    ):
      function(_pixels(2), 'best')


@pytest.mark.parametrize('variance', [0.0, -1.0, math.nan])
def test_variances_that_are_not_positive_are_refused(variance):
  with pytest.raises(ValueError, match='`variance` must be positive, got'):
    Model.from_keras(_classifier(), variance=variance)


@pytest.mark.parametrize(
  'class_probs, message',
  [
    ([0.5, 0.5], r'3 classes; got shape \(2,\)'),
    ([[0.2, 0.5, 0.3]], r'3 classes; got shape \(1, 3\)'),
    ([0.7, 0.3, 0.0], 'must be positive and add up to one'),
    ([0.7, 0.5, -0.2], 'must be positive and add up to one'),
    ([0.2, 0.2, 0.2], 'which add up to 0.6'),
    ([0.5, 0.5, math.nan], 'must be positive and add up to one'),
  ],
)
def test_class_probs_that_are_not_probabilities_are_refused(
  class_probs, message
):
  with pytest.raises(ValueError, match=message):
    Model.from_keras(_classifier(), class_probs=class_probs)


def test_unknown_normalizations_are_refused():
  with pytest.raises(ValueError, match="'per_class' or 'joint'; got 'global'"):
    Model.from_keras(_classifier(), normalization='global')


_DOORS_FOR_LABELS = {
  'render': lambda nrm, images, labels: nrm.render(
    labels, nrm.infer(images).switches
  ),
  'joint_map': lambda nrm, images, labels: nrm.joint_map(images, labels),
  'infer_and_render': lambda nrm, images, labels: nrm.infer_and_render(
    images, labels
  ),
}


@pytest.mark.parametrize('door', list(_DOORS_FOR_LABELS))
def test_labels_that_are_not_classes_are_refused(door):
  for labels in ([0, 3], [-2, 1]):
    with pytest.raises(ValueError, match='`labels` must be at least .*3; got'):
      _DOORS_FOR_LABELS[door](_nrm(), _pixels(2), tf.constant(labels))


@pytest.mark.parametrize(
  'door',
  [
    'render',
    pytest.param('joint_map', marks=pytest.mark.slow),
    'infer_and_render',
  ],
)
def test_labels_that_are_not_classes_are_refused_in_graphs(door):
  nrm = _nrm(validate_args=True)

  @tf.function(input_signature=[tf.TensorSpec([2], tf.int32)])
  def run(labels):
    return tf.nest.flatten(_DOORS_FOR_LABELS[door](nrm, _pixels(2), labels))

  # In a loop TensorFlow may say it first.
  message = None if door == 'joint_map' else '`labels` must be at least'
  for labels in ([0, 3], [-2, 1]):
    with pytest.raises(tf.errors.InvalidArgumentError, match=message):
      run(labels)


def test_labels_that_are_not_classes_have_no_log_prob():
  nrm = _nrm(validate_args=True)
  images = _pixels(2)
  with pytest.raises(tf.errors.InvalidArgumentError, match='label value of 3'):
    nrm.log_prob(
      label=tf.constant([0, 3]),
      switches=nrm.infer(images).switches,
      image=tf.cast(images, tf.float64),
    )


def test_switches_of_another_structure_are_refused():
  nrm = _nrm()
  first, second = registry.random_switches(nrm.network, 2)
  with pytest.raises(ValueError, match=r'each of the 2 layers; got 1 entries'):
    nrm.render([0, 1], [first])
  with pytest.raises(
    ValueError, match=r"`switches\[0\]`\['is_on'\] must end in"
  ):
    nrm.render([0, 1], [second, first])
  with pytest.raises(
    ValueError, match=r"`switches\[0\]`\['is_on'\] must end in"
  ):
    nrm.log_prob(
      label=tf.constant([0, 1]),
      switches=[second, first],
      image=tf.zeros([2, *_SHAPE], tf.float64),
    )


_DOORS = {
  'check': lambda nrm, images: nrm.check(images),
  'scaled': lambda nrm, images: nrm.scaled(images),
  'infer': lambda nrm, images: nrm.infer(images).logits,
  'image_log_prob_terms': lambda nrm, images: nrm.image_log_prob_terms(images),
  'latent_log_prob': lambda nrm, images: nrm.latent_log_prob(images),
  'layer_terms': lambda nrm, images: nrm.layer_terms(images),
  'layer_reconstruction': lambda nrm, images: nrm.layer_reconstruction(images),
  'joint_map': lambda nrm, images: nrm.joint_map(images, num_sweeps=1),
  'infer_and_render': lambda nrm, images: nrm.infer_and_render(images),
  'logits': lambda nrm, images: nrm.statistics(images, ['logits']),
  'log_prob': lambda nrm, images: nrm.statistics(images, ['log_prob']),
}
every_door = pytest.mark.parametrize('door', list(_DOORS))


@every_door
@pytest.mark.parametrize('value', [0.5, -1.0, 256.0, math.nan, math.inf])
def test_values_that_are_not_pixels_are_refused(door, value):
  nrm = _nrm(normalized=False)
  images = _pixels(3).astype(np.float32)
  images[1, 0, 1, 0] = value
  with pytest.raises(ValueError, match='must hold raw pixels, whole numbers'):
    _DOORS[door](nrm, images)


@pytest.mark.parametrize(
  'door',
  [
    pytest.param(door, marks=pytest.mark.slow)
    if door in ('latent_log_prob', 'layer_terms', 'layer_reconstruction')
    else door
    for door in _DOORS
  ],
)
def test_values_that_are_not_pixels_are_refused_in_graphs(door):
  nrm = _nrm(normalized=False)
  graph = tf.function(
    functools.partial(_DOORS[door], nrm),
    input_signature=[tf.TensorSpec([None, *_SHAPE])],
  )
  images = _pixels(3).astype(np.float32)
  graph(images)
  with pytest.raises(
    tf.errors.InvalidArgumentError, match='must hold raw pixels'
  ):
    graph(images / 255)


@every_door
def test_images_of_other_shapes_are_refused(door):
  nrm = _nrm(normalized=False)
  for shape in ((2, 2), (3, 4, 4, 1), (3, 2, 2, 3), (4, 4)):
    with pytest.raises(
      ValueError, match=r'must have shape \[batch.*, 2, 2, 1\]'
    ):
      _DOORS[door](nrm, np.zeros(shape, np.uint8))
  for shape in (_SHAPE, (1, 3, *_SHAPE)):
    with pytest.raises(
      ValueError, match=r'must be a batch.*\[batch, 2, 2, 1\]'
    ):
      _DOORS[door](nrm, np.zeros(shape, np.uint8))


def test_checked_images():
  nrm = _nrm(normalized=False)
  assert nrm.image_shape == _SHAPE
  images = _pixels(3)
  checked = nrm.check(images)
  assert checked.dtype == tf.uint8
  np.testing.assert_array_equal(checked, images)
  assert nrm.check(images.tolist()).dtype == tf.float64


def test_networks_of_vectors_are_refused():
  with pytest.raises(ValueError, match=r'must take images.*shape \(4,\)'):
    Model.from_keras(registry.dense_classifier([3]))


def test_layers_that_are_not_piecewise_linear_are_refused():
  k = tf_keras.layers
  model = tf_keras.Sequential(
    [k.Input(_SHAPE), k.Flatten(), k.Dense(3, activation='gelu', name='bent')]
  )
  with pytest.raises(ValueError, match='gelu of the layer bent'):
    Model.from_keras(model)
