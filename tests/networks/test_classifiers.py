# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the preset classifiers and of `TemplateGain`."""

import functools
import math

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from conformance import classifier_registry as registry

import tfp_ood
from tfp_ood import networks

_PRESETS = {
  'all_cnn_c': lambda **kwargs: networks.all_cnn_c(**kwargs),
  'all_conv13': lambda **kwargs: networks.all_conv13(**kwargs),
  'all_conv13, normalized': lambda **kwargs: networks.all_conv13(
    batch_normalization=True, **kwargs
  ),
  'small_resnet': lambda **kwargs: networks.small_resnet(**kwargs),
  'alexnet_like': lambda **kwargs: networks.alexnet_like(**kwargs),
}
_NUM_LAYERS = {
  'all_cnn_c': 9,
  'all_conv13': 9,
  'all_conv13, normalized': 9,
  'small_resnet': 13,
  'alexnet_like': 6,
}

every_preset = pytest.mark.parametrize('name', list(_PRESETS))


@functools.cache
def _preset(name):
  model = _PRESETS[name](width=0.05, input_shape=(20, 20, 3), initial_gain=2.0)
  return registry.perturb_weights(model, scale=0.3)


@functools.cache
def _in_double_precision(name):
  with registry.double_precision():
    model = _preset.__wrapped__(name)
  return model


@every_preset
def test_logits_are_those_of_the_model(name):
  model = _preset(name)
  network = networks.PiecewiseLinearNetwork(model)
  assert network.num_layers == _NUM_LAYERS[name]
  assert network.dtype == tf.float32
  x = tf.cast(registry.inputs(network, 3), tf.float32)
  logits = model(x, training=False)
  scale = np.abs(logits).max()
  assert scale > 0
  np.testing.assert_allclose(
    network.propagate(x).logits, logits, rtol=0, atol=1e-5 * scale
  )


@every_preset
def test_the_rendering_is_the_gradient_of_the_logit(name):
  model = _in_double_precision(name)
  network = networks.PiecewiseLinearNetwork(model)
  x = registry.inputs(network, 3)
  labels = [1, 5, 9]
  with tf.GradientTape() as tape:
    tape.watch(x)
    logits = model(x, training=False)
    score = tf.gather(logits, labels, batch_dims=1)
  gradient = tape.gradient(score, x).numpy()
  result = network.propagate(x)
  np.testing.assert_allclose(result.logits, logits, rtol=1e-10, atol=1e-12)
  switches = network.switches(result.pre_activations)
  for rendered in (
    network.render(labels, switches),
    network.render(labels, images=x),
  ):
    np.testing.assert_allclose(
      rendered.image, gradient, rtol=1e-8, atol=1e-10 * np.abs(gradient).max()
    )


@pytest.mark.slow
@every_preset
def test_identities_at_full_size_in_single_precision(name):
  model = registry.perturb_weights(_PRESETS[name](), scale=0.3)
  nrm = tfp_ood.distributions.NeuralRenderingModel.from_keras(model)
  images = registry.inputs(nrm.network, 2)
  images = tf.cast(tf.round(127.5 + 40 * tf.cast(images, tf.float32)), tf.uint8)
  inferred = nrm.infer(images)
  scaled = nrm.scaled(images)
  with tf.GradientTape() as tape:
    tape.watch(scaled)
    logits = model(scaled, training=False)
    logit = tf.gather(logits, inferred.label, batch_dims=1)
  gradient = tape.gradient(logit, scaled)
  size = np.abs(logits).max()
  np.testing.assert_allclose(inferred.logits, logits, atol=1e-4 * size)
  rendered = nrm.render(inferred.label, inferred.switches).image
  size = np.abs(gradient).max()
  np.testing.assert_allclose(rendered, gradient, rtol=0, atol=1e-4 * size)
  # The logit is the image times its rendering, and what the biases render.
  by_pixels = tf.reduce_sum(scaled * rendered, axis=[1, 2, 3])
  etas, _ = nrm.layer_terms(images)
  _, class_bias = nrm.network.biases()
  by_biases = tf.reduce_sum(etas, axis=1)  # Over a variance of one.
  by_biases += tf.gather(class_bias[0], inferred.label)
  size = np.abs(logit).max() + np.abs(by_pixels).max()
  np.testing.assert_allclose(
    by_pixels + by_biases, logit, rtol=0, atol=1e-4 * size
  )


@every_preset
def test_shapes_classes_and_widths(name):
  model = _PRESETS[name](input_shape=(24, 20, 1), num_classes=4, width=0.1)
  assert model.output_shape == (None, 4)
  assert model.input_shape == (None, 24, 20, 1)
  assert isinstance(model.layers[-1], networks.TemplateGain)
  wider = _PRESETS[name](input_shape=(24, 20, 1), num_classes=4, width=0.2)
  assert wider.count_params() > model.count_params()
  with pytest.raises(ValueError, match='`width` must be positive, got 0'):
    _PRESETS[name](width=0)


@every_preset
def test_the_same_seed_makes_the_same_weights(name):
  make = functools.partial(_PRESETS[name], input_shape=(20, 20, 3), width=0.05)
  first, again, other = (make(seed=seed).get_weights() for seed in (3, 3, 4))
  for one, same in zip(first, again, strict=True):
    np.testing.assert_array_equal(one, same)
  assert any((one != two).any() for one, two in zip(first, other, strict=True))


def test_all_cnn_c_is_that_of_the_paper():
  model = networks.all_cnn_c()
  assert model.count_params() == 1_369_738 + 1
  network = networks.PiecewiseLinearNetwork(model)
  assert [tuple(layer.feature_shape) for layer in network.layers] == [
    (32, 32, 96),
    (32, 32, 96),
    (16, 16, 96),
    (16, 16, 192),
    (16, 16, 192),
    (8, 8, 192),
    (6, 6, 192),
    (6, 6, 192),
    (6, 6, 10),
  ]
  assert all(layer.num_states == 2 for layer in network.layers)
  # The template of a class: an even share of each position, all of one sign.
  rendered = network.render([4], images=tf.zeros([1, 32, 32, 3]))
  expected = np.zeros([1, 6, 6, 10])
  expected[..., 4] = 1 / 36
  np.testing.assert_allclose(rendered.features[-1], expected, rtol=1e-6)


def test_all_conv13_is_that_of_the_authors():
  model = networks.all_conv13(width=0.0625)
  network = networks.PiecewiseLinearNetwork(model)
  shapes = [tuple(layer.feature_shape) for layer in network.layers]
  assert shapes == [
    (32, 32, 8),
    (32, 32, 8),
    (16, 16, 8),
    (16, 16, 16),
    (16, 16, 16),
    (8, 8, 16),
    (6, 6, 32),
    (6, 6, 16),
    (6, 6, 8),
  ]
  has_pool = [layer.has_pool for layer in network.layers]
  assert has_pool == [index in (2, 5) for index in range(9)]
  slopes = [layer.slope for layer in network.layers]
  np.testing.assert_allclose(slopes, 0.1, rtol=1e-6)


def test_dropout_is_of_training_alone():
  model = networks.all_cnn_c(width=0.05, input_shape=(16, 16, 3), dropout=0.5)
  network = networks.PiecewiseLinearNetwork(model)
  x = tf.cast(registry.inputs(network, 2), tf.float32)
  first, second = (network.propagate(x).logits for _ in range(2))
  np.testing.assert_array_equal(first, second)


# ------------------------------------------------------------- TemplateGain


def test_template_gain_multiplies_and_is_trained():
  layer = networks.TemplateGain(initial_gain=3.0)
  x = tf.constant([[1.0, -2.0]])
  with tf.GradientTape() as tape:
    y = layer(x)
  np.testing.assert_allclose(y, [[3.0, -6.0]], rtol=1e-6)
  (variable,) = layer.trainable_variables
  np.testing.assert_allclose(variable, math.log(3.0), rtol=1e-6)
  np.testing.assert_allclose(tape.gradient(y, variable), -3.0, rtol=1e-6)
  again = networks.TemplateGain.from_config(layer.get_config())
  np.testing.assert_allclose(again(x), y)


def test_a_gain_scales_logits_and_renderings():
  make = functools.partial(
    networks.all_cnn_c, width=0.05, input_shape=(16, 16, 3)
  )
  one, ten = make(), make(initial_gain=10.0)
  x = tf.random.stateless_normal([2, 16, 16, 3], [1, 2])
  first, second = (
    networks.PiecewiseLinearNetwork(model).render([1, 2], images=x)
    for model in (one, ten)
  )
  np.testing.assert_allclose(second.image, 10 * first.image, atol=1e-5)
  np.testing.assert_allclose(
    second.class_score, 10 * first.class_score, rtol=1e-4
  )


@pytest.mark.parametrize('gain', [0.0, -1.0, math.nan])
def test_gains_that_are_not_positive_are_refused(gain):
  with pytest.raises(ValueError, match=f'must be positive, got {gain}'):
    networks.TemplateGain(initial_gain=gain)


def test_classifiers_are_saved_and_loaded(tmp_path):
  model = _preset('all_cnn_c')
  model.save(tmp_path / 'model.keras')
  loaded = tf_keras.models.load_model(
    tmp_path / 'model.keras',
    custom_objects={'TemplateGain': networks.TemplateGain},
  )
  x = tf.random.stateless_normal([2, 20, 20, 3], [1, 2])
  np.testing.assert_allclose(loaded(x), model(x), rtol=1e-6)
