# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of `NeuralRenderingModel`, on networks small enough to sum over."""

import functools
import math

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from conformance import classifier_registry as registry
from scipy import special, stats

from tfp_ood import distributions, networks

Model = distributions.NeuralRenderingModel

_SHAPE = (2, 2, 1)
_VARIANCE = 0.7
_CLASS_PROBS = [0.2, 0.5, 0.3]
_MODES = ('eta', 'mode_normalised', 'rpn', 'layerwise')

both_libraries = pytest.mark.parametrize('library', list(registry.LIBRARIES))


@functools.cache
def _classifier(library='tf_keras', seed=2):
  return registry.dense_classifier(
    [4, 3], input_shape=_SHAPE, seed=seed, library=library
  )


def _nrm(variance=_VARIANCE, model=None, normalized=True, **kwargs):
  """A model with its enumerated normalizer."""
  network = networks.PiecewiseLinearNetwork(model or _classifier())
  if normalized:
    prior = distributions.StructuredSwitchPrior(network, [0, 1, 2], variance)
    kwargs['log_normalizer'] = prior.log_normalizer().estimate
  kwargs.setdefault('class_probs', _CLASS_PROBS)
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


def test_samples_are_drawn_from_the_model():
  nrm = _nrm()
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
  noise = np.ravel(sample['image'] / 127.5 - 1 - h) / math.sqrt(_VARIANCE)
  assert stats.kstest(noise, 'norm').pvalue > 1e-3


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
  assert np.isfinite(nrm.log_prob_terms(_pixels(2)).latent).all()


def test_classes_are_equally_likely_unless_told():
  nrm = _nrm(class_probs=None)
  terms = nrm.log_prob_terms(_pixels(3))
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
  if mode == 'mode_normalised':
    modes = [_eta(nrm, [label], of_zero)[0] for label in range(3)]
    eta -= np.take(modes, labels)
  return eta / _VARIANCE


@pytest.mark.parametrize('mode', _MODES)
@pytest.mark.parametrize('kind', ['dense', 'pooled', 'residual'])
def test_latent_terms_by_hand(mode, kind):
  model = {
    'dense': _classifier,
    'pooled': lambda: registry.pooled_classifier((3,)),
    'residual': lambda: registry.classifier('residual', 'tf_keras'),
  }[kind]()
  nrm = _nrm(model=model, normalized=False)
  images = _pixels(6, model.input_shape[1:])
  expected = _by_hand(nrm, images, mode)
  latent = nrm.latent_log_prob(images, mode)
  assert latent.shape == [6]
  np.testing.assert_allclose(latent, expected, rtol=1e-10, atol=1e-10)
  terms = nrm.log_prob_terms(images, mode)
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
  assert distributions.LATENT_MODES == _MODES
  nrm = _nrm()
  images = _pixels(3)
  default = nrm.latent_log_prob(images, 'mode_normalised')
  np.testing.assert_array_equal(nrm.latent_log_prob(images), default)
  np.testing.assert_array_equal(nrm.log_prob_terms(images).latent, default)


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
    nrm = _nrm(variance, model)
    latent = nrm.latent_log_prob(images)
    assert (latent.numpy() <= 1e-9).all()
    inference = nrm.infer(images)
    parts = nrm.log_prob_parts(
      dict(
        label=inference.label,
        switches=inference.switches,
        image=tf.cast(images, tf.float64),
      )
    )
    prior = distributions.StructuredSwitchPrior(nrm.network, [0])
    excess = variance * np.abs(latent - parts['switches'])
    assert excess.max() <= variance * prior.log_num_configurations + 1e-9


@pytest.mark.parametrize('name', ['max pool', 'residual', 'concatenation'])
def test_layer_terms(name):
  model = registry.classifier(name, 'tf_keras')
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
    2 * _VARIANCE * nrm.log_prob_terms(images).reconstruction,
  )
  for index in range(num_layers):
    np.testing.assert_allclose(
      reconstruction[:, index + 1],
      -_sum((inference.features[index] - rendered.features[index]) ** 2),
    )


# ------------------------------------------------------------------- theorems


@pytest.mark.parametrize('sign', ['nonnegative', 'signed'])
def test_the_terms_bound_the_log_probability_of_an_image(sign):
  """Theorem 2: for any latents, log p(x) is at least the joint at them."""
  model = registry.dense_classifier([3, 2], _SHAPE, seed=6)
  if sign == 'nonnegative':
    model = registry.nonnegative(model)
  images = _pixels(1, seed=3)
  gaps = []
  for variance in (1.0, 0.3, 0.1, 0.03, 0.01, 0.003):
    nrm = _nrm(variance, model, pixel_scale=1 / 127.5)
    labels, switches = _all_latents(nrm.network)
    joint = nrm.log_prob(
      label=labels,
      switches=switches,
      image=tf.repeat(tf.cast(images, tf.float64), 96, axis=0),
    ).numpy()
    log_prob = special.logsumexp(joint)
    terms = nrm.log_prob_terms(images, 'eta')
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


def test_the_classifiers_switches_are_the_best_of_another_joint():
  """Of the compensated prior, with |h(0)|^2 / 2; not of the Gaussian joint."""
  exact = compensated = 0
  for seed in range(10):
    model = registry.dense_classifier([4, 3], _SHAPE, seed=seed)
    nrm = _nrm(1.0, registry.nonnegative(model), class_probs=None)
    images = _pixels(1, seed=seed)
    inference = nrm.infer(images)
    labels, switches = _all_latents(nrm.network)
    h = nrm.render(labels, switches).image
    x = images / 127.5 - 1
    _, class_bias = nrm.network.biases()
    own_h = nrm.render(inference.label, inference.switches).image
    own = (
      _eta(nrm, inference.label, inference.switches)
      + class_bias.numpy()[0, inference.label]
      - _sum((x - own_h) ** 2) / 2
    )
    score = (
      _eta(nrm, labels, switches)
      + class_bias.numpy()[0, labels]
      - _sum((x - h) ** 2) / 2
    )
    exact += score.max() <= own[0] + 1e-9
    best = (score + _sum(h**2) / 2).max()
    compensated += best <= own[0] + _sum(own_h**2)[0] / 2 + 1e-9
  assert compensated == 10
  assert exact < 10


# ---------------------------------------------------------- batches and dtypes


def test_dtypes_of_images_agree():
  nrm = _nrm()
  images = _pixels(4)
  expected = nrm.log_prob_terms(images)
  for dtype in (np.int32, np.int64, np.float16, np.float32, np.float64):
    for actual, term in zip(
      nrm.log_prob_terms(images.astype(dtype)), expected, strict=True
    ):
      np.testing.assert_array_equal(actual, term)
  np.testing.assert_array_equal(
    nrm.log_prob_terms(images.tolist()).latent, expected.latent
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


@pytest.mark.parametrize('mode', _MODES)
def test_one_trace_for_any_number_of_images(mode):
  model = registry.classifier('overlapping max pool', 'tf_keras')
  nrm = _nrm(model=model, normalized=False)
  shape = model.input_shape[1:]

  @tf.function(input_signature=[tf.TensorSpec([None, *shape], tf.uint8)])
  def run(images):
    return (
      nrm.log_prob_terms(images, mode),
      nrm.layer_terms(images),
      nrm.infer(images).label,
    )

  images = _pixels(5, shape)
  expected = nrm.log_prob_terms(images, mode)
  etas, _ = nrm.layer_terms(images)
  for number in (1, 5):
    terms, (layers, _), label = run(images[:number])
    for actual, term in zip(terms, expected, strict=True):
      np.testing.assert_allclose(actual, term[:number], rtol=1e-9, atol=1e-12)
    np.testing.assert_allclose(layers, etas[:number], atol=1e-10)
    assert label.shape == [number]
  assert run.experimental_get_tracing_count() == 1


def test_no_images_are_a_batch():
  # Without convolutions, which TensorFlow refuses an empty batch.
  nrm = _nrm()
  nothing = np.zeros([0, *_SHAPE], np.uint8)
  for mode in _MODES:
    terms = nrm.log_prob_terms(nothing, mode)
    assert [term.shape.as_list() for term in terms] == [[0]] * 3
  etas, reconstruction = nrm.layer_terms(nothing)
  assert etas.shape == [0, 2] and reconstruction.shape == [0, 3]
  assert nrm.infer(nothing).label.shape == [0]


def test_terms_do_not_depend_on_the_batch():
  model = registry.classifier('batch normalization', 'tf_keras')
  nrm = _nrm(model=model, normalized=False)
  images = _pixels(6, model.input_shape[1:])
  for mode in _MODES:
    together = nrm.log_prob_terms(images, mode)
    for index in range(6):
      alone = nrm.log_prob_terms(images[index : index + 1], mode)
      for one, term in zip(alone, together, strict=True):
        np.testing.assert_allclose(one[0], term[index], rtol=1e-9, atol=1e-9)


# --------------------------------------------------------------------- errors


def test_unknown_latent_modes_are_refused():
  nrm = _nrm()
  for function in (nrm.latent_log_prob, nrm.log_prob_terms):
    with pytest.raises(
      ValueError,
      match="one of eta, mode_normalised, rpn, layerwise; got 'best'",
    ):
      function(_pixels(2), 'best')


@pytest.mark.parametrize('variance', [0.0, -1.0, math.nan])
def test_variances_that_are_not_positive_are_refused(variance):
  with pytest.raises(ValueError, match='`variance` must be positive, got'):
    Model.from_keras(_classifier(), variance=variance)


@pytest.mark.parametrize('shape', [(2, 2), (3, 4, 4, 1), (3, 2, 2, 3), (4, 4)])
def test_images_of_other_shapes_are_refused(shape):
  nrm = _nrm()
  images = np.zeros(shape, np.uint8)
  for function in (
    nrm.infer,
    nrm.log_prob_terms,
    nrm.latent_log_prob,
    nrm.layer_terms,
    tf.function(nrm.infer),
  ):
    with pytest.raises(ValueError, match=r'batch of raw pixels.*None, 2, 2, 1'):
      function(images)


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
