# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of classifiers beside models."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tfp_ood import networks

_IMAGES = np.random.default_rng(0).integers(0, 256, [5, 8, 8, 3], np.uint8)


@pytest.fixture(scope='module')
def network():
  return networks.small_resnet([8, 8, 3], width=0.1, seed=1)


def test_logits_and_features_are_those_of_the_network(network):
  classifier = networks.ImageClassifier(network)
  values = classifier.statistics(_IMAGES, ['logits', 'features'])
  scaled = _IMAGES.astype(np.float32) / 127.5 - 1
  np.testing.assert_allclose(values['logits'], network(scaled), atol=1e-5)
  pooled = next(
    layer
    for layer in network.layers
    if isinstance(layer, tf_keras.layers.GlobalAveragePooling2D)
  )
  features = tf_keras.Model(network.inputs, pooled.output)(scaled)
  np.testing.assert_allclose(values['features'], features, atol=1e-5)
  assert set(classifier.statistics(_IMAGES, ['features'])) == {'features'}


def test_features_of_a_map_are_averaged(network):
  layer = next(
    layer
    for layer in network.layers
    if isinstance(layer, tf_keras.layers.Conv2D)
  )
  classifier = networks.ImageClassifier(
    network, features=layer.name, pixel_scale=1.0, pixel_shift=0.0
  )
  found = classifier.statistics(_IMAGES, ['features'])['features']
  expected = tf_keras.Model(network.inputs, layer.output)(
    _IMAGES.astype(np.float32)
  )
  np.testing.assert_allclose(
    found, tf.reduce_mean(expected, axis=[1, 2]), rtol=1e-4
  )


def test_a_network_without_dense_layer_needs_a_name():
  network = networks.all_cnn_c([16, 16, 3], width=0.05)
  with pytest.raises(ValueError, match=r'no dense layer.*conv2d'):
    networks.ImageClassifier(network)
  name = network.layers[-3].name
  classifier = networks.ImageClassifier(network, features=name)
  images = tf.zeros([2, 16, 16, 3], tf.uint8)
  assert classifier.statistics(images, ['features'])['features'].shape == [
    2,
    10,
  ]


def test_only_raw_pixels_are_taken(network):
  classifier = networks.ImageClassifier(network)
  with pytest.raises(ValueError, match='raw pixels'):
    classifier.statistics(_IMAGES / 255.0, ['logits'])
  with pytest.raises(ValueError, match='must have shape'):
    classifier.statistics(_IMAGES[:, :4], ['logits'])


def test_variables_are_those_of_the_network(network):
  classifier = networks.ImageClassifier(network)
  assert {id(v) for v in classifier.variables} == {
    id(v) for v in network.variables
  }


def test_what_is_no_network_of_images_is_refused():
  with pytest.raises(TypeError, match=r'tf_keras\.Model, got function'):
    networks.ImageClassifier(lambda x: x)
  with pytest.raises(TypeError, match='built'):
    networks.ImageClassifier(tf_keras.Sequential([tf_keras.layers.Dense(3)]))
  vectors = tf_keras.Sequential(
    [tf_keras.layers.Input([4]), tf_keras.layers.Dense(3)]
  )
  with pytest.raises(ValueError, match='image_shape'):
    networks.ImageClassifier(vectors)


def test_the_perturbation_moves_the_scaled_image(network):
  classifier = networks.ImageClassifier(
    network, perturbation=0.02, temperature=5.0
  )
  names = ['perturbed_logits', 'logits', 'features']
  found = classifier.statistics(_IMAGES, names)
  scaled = tf.constant(_IMAGES.astype(np.float32) / 127.5 - 1)
  with tf.GradientTape() as tape:
    tape.watch(scaled)
    probabilities = tf.nn.softmax(network(scaled) / 5.0)
    sureness = tf.math.log(tf.reduce_max(probabilities, axis=1))
  slope = tape.gradient(sureness, scaled)
  moved = network(scaled + 0.02 * tf.sign(slope))
  # Where a slope is all but zero, rounding decides its sign.
  assert np.mean(np.abs(slope) < 1e-7) < 0.01
  np.testing.assert_allclose(found['perturbed_logits'], moved, atol=1e-3)
  assert np.abs(found['perturbed_logits'] - found['logits']).max() > 0.01
  plain = classifier.statistics(_IMAGES, ['logits', 'features'])
  for name, value in plain.items():
    np.testing.assert_allclose(found[name], value, atol=1e-6)


def test_perturbed_logits_for_any_batch_size(network):
  classifier = networks.ImageClassifier(network, perturbation=0.02)
  names = ['perturbed_logits']
  expected = classifier.statistics(_IMAGES, names)['perturbed_logits']
  traced = tf.function(
    lambda x: classifier.statistics(x, names)['perturbed_logits'],
    input_signature=[tf.TensorSpec([None, 8, 8, 3], tf.uint8)],
  )
  # Not for none: convolutions of oneDNN refuse an empty batch in a graph.
  for size in (1, 3, 5):
    np.testing.assert_allclose(
      traced(_IMAGES[:size]), expected[:size], atol=1e-3
    )


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ({'perturbation': -0.1}, '`perturbation` must not be negative, got -0.1'),
    ({'temperature': 0.0}, '`temperature` must be positive, got 0.0'),
  ],
)
def test_numbers_out_of_range_are_refused(network, arguments, message):
  with pytest.raises(ValueError, match=f'ImageClassifier: {message}'):
    networks.ImageClassifier(network, **arguments)
