# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of networks in training: statistics of batches, dropout, renderings."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from conformance import classifier_registry as registry

from tfp_ood import networks

_SHAPE = [8, 8, 3]
_LABELS = tf.constant([0, 2, 1, 2, 0, 1])


both_libraries = pytest.mark.parametrize('library', list(registry.LIBRARIES))


def _classifier(dropout=0.0, momentum=0.9, library='tf_keras'):
  library = registry.LIBRARIES[library]
  library.utils.set_random_seed(0)
  layers = library.layers
  return library.Sequential(
    [
      layers.Input(_SHAPE),
      layers.Conv2D(4, 3, bias_initializer='random_normal'),
      layers.BatchNormalization(
        momentum=momentum, beta_initializer='random_normal'
      ),
      layers.LeakyReLU(0.1),
      layers.Dropout(dropout),
      layers.MaxPooling2D(),
      layers.Conv2D(5, 2, use_bias=False),
      layers.BatchNormalization(
        momentum=momentum, beta_initializer='random_normal'
      ),
      layers.ReLU(),
      layers.Dropout(dropout),
      layers.Flatten(),
      layers.Dense(3, bias_initializer='random_normal'),
    ]
  )


def _images(seed=1):
  return tf.random.stateless_normal([6, *_SHAPE], [seed, 2])


def _values(variables):
  return [np.array(variable) for variable in variables]


def _train(network, images):
  return network.propagate_and_render(
    images, lambda logits: _LABELS, training=True
  )


@both_libraries
@pytest.mark.parametrize(
  'name',
  # Others do in training what they do in evaluation.
  [
    'batch normalization',
    'batch normalization, other axes',
    'dropout',
    'constants',
    'nested',
  ],
)
def test_a_pass_in_training_is_that_of_keras(name, library):
  model = registry.classifier(name, library)
  for layer in model.layers:
    for attribute in ('rate', 'stddev'):
      if hasattr(layer, attribute):
        setattr(layer, attribute, 0.0)
  network = networks.PiecewiseLinearNetwork(model)
  x = registry.inputs(network, 6)
  before = _values(model.weights)
  expected = model(x, training=True)
  moved = _values(model.weights)
  model.set_weights(before)
  actual = network.propagate(x, training=True).logits
  np.testing.assert_allclose(actual, expected, rtol=1e-10)
  for value, other in zip(_values(model.weights), moved, strict=True):
    np.testing.assert_allclose(value, other, rtol=1e-10)


def test_evaluation_leaves_the_statistics_alone():
  model = _classifier()
  network = networks.PiecewiseLinearNetwork(model)
  before = _values(model.weights)
  network.propagate(_images())
  network.render(_LABELS, images=_images())
  for value, start in zip(_values(model.weights), before, strict=True):
    np.testing.assert_array_equal(value, start)


def test_the_rendering_takes_the_statistics_of_the_batch_for_constants():
  # Without momentum, those of evaluation are those of the last batch.
  model = _classifier(momentum=0.0, library='keras')
  network = networks.PiecewiseLinearNetwork(model)
  _, propagated, trained = _train(network, _images())
  evaluated = network.render(_LABELS, images=_images())
  for actual, expected in zip(
    [trained.image, *trained.features],
    [evaluated.image, *evaluated.features],
    strict=True,
  ):
    np.testing.assert_allclose(actual, expected, atol=1e-5)
  # It is not the gradient that Keras would take.
  images = _images()
  with tf.GradientTape() as tape:
    tape.watch(images)
    logits = network.model(images, training=True)
    scores = tf.gather(logits, _LABELS, batch_dims=1)
  np.testing.assert_allclose(propagated.logits, logits, atol=1e-5)
  gradient = tape.gradient(scores, images)
  assert np.max(np.abs(gradient - trained.image)) > 1e-3


def test_the_gradient_of_a_loss_goes_through_the_statistics():
  network = networks.PiecewiseLinearNetwork(_classifier())
  kernel, bias = network.model.layers[0].weights
  with tf.GradientTape() as tape:
    _, propagated, rendered = _train(network, _images())
    loss = tf.reduce_sum(propagated.logits**2)
    loss += tf.reduce_sum(rendered.image**2)
  of_kernel, of_bias = tape.gradient(loss, [kernel, bias])
  # What normalization takes away again.
  np.testing.assert_allclose(of_bias, np.zeros([4]), atol=1e-3)
  assert np.max(np.abs(of_kernel)) > 0.1


def test_dropout_drops_the_same_up_and_back():
  network = networks.PiecewiseLinearNetwork(
    tf_keras.Sequential(
      [
        tf_keras.layers.Input(_SHAPE),
        tf_keras.layers.Conv2D(
          4, 3, activation='relu', bias_initializer='random_normal'
        ),
        tf_keras.layers.Dropout(0.5),
        tf_keras.layers.Flatten(),
        tf_keras.layers.Dense(3, bias_initializer='random_normal'),
      ]
    )
  )
  images = _images()
  _, propagated, rendered = _train(network, images)
  (bias,), class_bias = network.biases()
  eta = tf.reduce_sum(bias * rendered.pre_activations[0], axis=[1, 2, 3])
  np.testing.assert_allclose(
    tf.gather(propagated.logits, _LABELS, batch_dims=1),
    tf.gather(class_bias[0], _LABELS)
    + tf.reduce_sum(images * rendered.image, axis=[1, 2, 3])
    + eta,
    rtol=1e-4,
    atol=1e-5,
  )
  dropped = np.mean(np.array(rendered.features[0]) == 0)
  assert 0.3 < dropped < 0.7
  assert not np.any(network.render(_LABELS, images=images).features[0] == 0)


def _normalized_network(momentum=0.99):
  network = networks.PiecewiseLinearNetwork(
    tf_keras.Sequential(
      [
        tf_keras.layers.Input([4]),
        tf_keras.layers.Dense(
          5, activation='relu', kernel_initializer='random_normal'
        ),
        tf_keras.layers.Dense(
          6, activation='relu', kernel_initializer='random_normal'
        ),
        tf_keras.layers.Dense(3, kernel_initializer='random_normal'),
      ]
    ),
    normalize_renderings=True,
  )
  for layer in network.rendering_normalizations:
    layer.momentum = momentum
  return network


def test_normalized_renderings_by_hand():
  tf_keras.utils.set_random_seed(3)
  network = _normalized_network()
  x = tf.random.stateless_normal([6, 4], [1, 2])
  _, propagated, rendered = _train(network, x)

  def normalized(h):
    return (h - h.mean(axis=0)) / np.sqrt(h.var(axis=0) + 1e-3)

  w1, w2, w3 = (np.array(layer.kernel) for layer in network.model.layers)
  on1, on2 = (np.array(g) > 0 for g in propagated.features)
  h2 = w3.T[_LABELS]
  h1 = normalized((on2 * h2) @ w2.T)
  h0 = normalized((on1 * h1) @ w1.T)
  np.testing.assert_allclose(rendered.features[1], h2, atol=1e-6)
  np.testing.assert_allclose(rendered.features[0], h1, atol=1e-4)
  np.testing.assert_allclose(rendered.image, h0, atol=1e-4)
  np.testing.assert_allclose(propagated.logits, network.model(x), atol=1e-5)


def test_normalizations_of_renderings_learn():
  network = _normalized_network(momentum=0.0)
  x = tf.random.stateless_normal([6, 4], [1, 2])
  with tf.GradientTape() as tape:
    _, _, rendered = _train(network, x)
    loss = tf.reduce_sum((x - rendered.image) ** 2)
  scales = [layer.gamma for layer in network.rendering_normalizations]
  assert len(scales) == 2
  names = {id(variable) for variable in network.trainable_variables}
  for scale, gradient in zip(scales, tape.gradient(loss, scales), strict=True):
    assert id(scale) in names
    assert np.max(np.abs(gradient)) > 1e-4
  # Without momentum, evaluation renders as the last batch did.
  np.testing.assert_allclose(
    network.render(_LABELS, images=x).image, rendered.image, atol=1e-4
  )


def test_gradients_of_losses_are_not_normalized():
  network = _normalized_network()
  x = tf.random.stateless_normal([6, 4], [1, 2])
  with tf.GradientTape(persistent=True) as tape:
    _, propagated, _ = _train(network, x)
    loss = tf.reduce_sum(propagated.logits**2)
    expected_loss = tf.reduce_sum(network.model(x) ** 2)
  weights = network.model.trainable_weights
  for actual, expected in zip(
    tape.gradient(loss, weights),
    tape.gradient(expected_loss, weights),
    strict=True,
  ):
    np.testing.assert_allclose(actual, expected, atol=1e-5)


@both_libraries
@pytest.mark.parametrize('normalize_renderings', [False, True])
def test_the_zero_image_is_normalized_as_the_batch_was(
  library, normalize_renderings
):
  # Without momentum, those of evaluation are those of the last batch.
  network = networks.PiecewiseLinearNetwork(
    _classifier(momentum=0.0, library=library), normalize_renderings
  )
  normalizations = [
    layer
    for layer in (*network.model.layers, *network.rendering_normalizations)
    if 'normalization' in layer.name
  ]
  assert len(normalizations) == (5 if normalize_renderings else 2)
  for layer in normalizations:
    layer.momentum = 0.0
    layer.fused = False  # Without Bessel's correction.
  before = network.render_zero_image()
  _, _, rendered = _train(network, _images())
  gathered = _values(network.variables)
  statistics = rendered.batch_statistics
  assert len(statistics) == len(normalizations)
  for one, other in zip(
    tf.nest.flatten(network.render_zero_image(statistics)),
    tf.nest.flatten(network.render_zero_image()),
    strict=True,
  ):
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
  for one, other in zip(
    tf.nest.flatten(network.biases(statistics)),
    tf.nest.flatten(network.biases()),
    strict=True,
  ):
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)
  moved = network.render_zero_image().image - before.image
  assert np.abs(moved).max() > 1e-3
  for variable, value in zip(network.variables, gathered, strict=True):
    np.testing.assert_array_equal(variable, value)


def test_the_zero_image_is_rendered_from_all_classes():
  network = networks.PiecewiseLinearNetwork(_classifier())
  zeros = network.zero_images(3)
  rendered = network.render([0, 1, 2], images=zeros)
  of_all = network.render_zero_image()
  for one, other in zip(
    tf.nest.flatten(of_all), tf.nest.flatten(rendered), strict=True
  ):
    expected = tf.reduce_sum(other, axis=0, keepdims=True)
    np.testing.assert_allclose(one, expected, rtol=1e-4, atol=1e-5)


@both_libraries
@pytest.mark.parametrize(
  'normalize_renderings', [False, pytest.param(True, marks=pytest.mark.slow)]
)
def test_training_in_a_graph(library, normalize_renderings):
  network = networks.PiecewiseLinearNetwork(
    _classifier(dropout=0.2, library=library), normalize_renderings
  )
  variables = network.trainable_variables

  @tf.function
  def step(images):
    with tf.GradientTape() as tape:
      _, propagated, rendered = _train(network, images)
      loss = tf.reduce_mean(propagated.logits**2)
      loss += tf.reduce_mean((images - rendered.image) ** 2)
    return tape.gradient(loss, variables)

  # A constant plays no part in a rendering, nor where its layer is normalized.
  for variable, gradient in zip(variables, step(_images()), strict=True):
    assert gradient is not None, variable.name
    assert np.all(np.isfinite(gradient)), variable.name
