# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of reading the classifiers that come with Keras."""

import functools

import numpy as np
import pytest
import tensorflow as tf
from conformance import classifier_registry as registry

from tfp_ood import networks

_SIZES = {'MobileNetV2': 32, 'Xception': 71}

both_libraries = pytest.mark.parametrize('library', list(registry.LIBRARIES))


@functools.cache
def _application(name, library):
  """A classifier whose rectifiers are off, on and clipped, and not by chance."""
  applications = registry.LIBRARIES[library].applications
  size = _SIZES.get(name, 32)
  model = getattr(applications, name)(
    weights=None,
    input_shape=(size, size, 3),
    classes=5,
    classifier_activation=None,
  )
  generator = np.random.default_rng(0)
  weights = []
  for weight, value in zip(model.weights, model.get_weights(), strict=True):
    if 'gamma' in weight.name:
      value = generator.uniform(0.5, 4.0, value.shape)
    elif 'beta' in weight.name:
      value = generator.normal(0.5, 1.0, value.shape)
    weights.append(value)
  model.set_weights(weights)
  images = _images(size)
  model(images, training=True)  # Statistics that are not those of the start.
  return model


def _images(size, seed=1):
  return tf.random.stateless_uniform([4, size, size, 3], [seed, 2], -1, 1)


def _assert_close(actual, expected, tolerance=1e-4):
  expected = np.array(expected)
  np.testing.assert_allclose(
    actual, expected, rtol=0, atol=tolerance * np.abs(expected).max()
  )


@pytest.mark.parametrize(
  'library', ['tf_keras', pytest.param('keras', marks=pytest.mark.slow)]
)
@pytest.mark.parametrize(
  'name', ['MobileNetV2', pytest.param('Xception', marks=pytest.mark.slow)]
)
def test_logits_and_renderings_are_those_of_keras(name, library):
  model = _application(name, library)
  network = networks.PiecewiseLinearNetwork(model)
  images = _images(_SIZES[name])[:2]
  with tf.GradientTape() as tape:
    tape.watch(images)
    logits = model(images, training=False)
    score = tf.reduce_sum(logits[:, 3])
  assert np.abs(logits).max() > 0.1
  _, propagated, rendered = network.propagate_and_render(
    images, lambda logits: tf.constant([3, 3])
  )
  _assert_close(propagated.logits, logits)
  _assert_close(rendered.image, tape.gradient(score, images), 1e-3)
  if name == 'MobileNetV2':
    features = [np.max(values) for values in propagated.features]
    assert sum(abs(value - 6) < 1e-5 for value in features) > 20
  # The logit is the image times its rendering, and what the biases render.
  biases, class_bias = network.biases()
  total = class_bias[0, 3] + tf.reduce_sum(images * rendered.image, [1, 2, 3])
  for bias, gradient in zip(biases, rendered.pre_activations, strict=True):
    total += tf.reduce_sum(bias * gradient, axis=range(1, bias.shape.rank))
  _assert_close(total, logits[:, 3], 1e-3 * network.num_layers)


@both_libraries
def test_training_is_that_of_keras(library):
  model = _application('MobileNetV2', library)
  network = networks.PiecewiseLinearNetwork(model)
  start = model.get_weights()
  images = _images(32, seed=2)
  expected = model(images, training=True)
  moved = model.get_weights()
  model.set_weights(start)
  logits = network.propagate(images, training=True).logits
  # Of few values at the top, whose variances amplify rounding.
  _assert_close(logits, expected, 1e-2)
  for value, other in zip(model.get_weights(), moved, strict=True):
    np.testing.assert_allclose(value, other, rtol=1e-3, atol=1e-4)
  model.set_weights(start)


@pytest.mark.slow
@both_libraries
def test_what_is_not_piecewise_linear_is_named(library):
  model = _application('EfficientNetB0', library)
  with pytest.raises(
    ValueError, match='activation (swish|silu) of the layer stem_activation'
  ):
    networks.PiecewiseLinearNetwork(model)
