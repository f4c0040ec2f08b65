# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of training neural rendering models."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import tfp_ood

_SHAPE = [8, 8, 3]


def _nrm(seed=0, **kwargs):
  tf_keras.utils.set_random_seed(seed)
  classifier = tf_keras.Sequential(
    [
      tf_keras.layers.Input(_SHAPE),
      tf_keras.layers.Conv2D(
        4, 3, activation='relu', bias_initializer='random_normal'
      ),
      tf_keras.layers.MaxPooling2D(),
      tf_keras.layers.Conv2D(
        6, 2, activation='relu', bias_initializer='random_normal'
      ),
      tf_keras.layers.Flatten(),
      tf_keras.layers.Dense(3, bias_initializer='random_normal'),
    ]
  )
  return tfp_ood.distributions.NeuralRenderingModel.from_keras(
    classifier, **kwargs
  )


def _batch(count=6, seed=0):
  generator = np.random.default_rng(seed)
  labels = generator.integers(0, 3, count)
  images = generator.integers(0, 60, [count, *_SHAPE])
  # Each class has a channel of its own.
  images[np.arange(count), :, :, labels] += 150
  return images.astype(np.uint8), labels


def _evaluate(nrm, images, labels, **kwargs):
  model = tfp_ood.training.RenderingModel(nrm, **kwargs)
  model.compile()
  dataset = tf.data.Dataset.from_tensors((images, labels))
  return model.evaluate(dataset, verbose=0, return_dict=True)


def test_losses_are_those_of_their_definitions():
  nrm = _nrm()
  images, labels = _batch()
  measured = _evaluate(nrm, images, labels, class_variance=2.0)
  logits = nrm.infer(images).logits.numpy()
  probs = tf.nn.softmax(logits / 2.0).numpy()
  expected = {
    'cross_entropy': -np.log(probs[np.arange(6), labels]).mean(),
    'label_entropy': -(probs * np.log(probs)).sum(axis=1).mean(),
  }
  rendered = nrm.render(labels, nrm.infer(images).switches)
  x = images / 127.5 - 1
  expected['reconstruction'] = ((x - rendered.image) ** 2).numpy().mean() / 2
  expected['negativity'] = sum(
    (np.minimum(h, 0) ** 2).mean() for h in rendered.features
  )
  for part, value in expected.items():
    np.testing.assert_allclose(measured[part], value, rtol=1e-4, err_msg=part)
  # The path of the image's own label is that of the latent mode.
  inferred = nrm.infer(images).label
  rpn = nrm.latent_log_prob(images, 'rpn').numpy().mean() / -192
  at_inferred = _evaluate(nrm, images, inferred)
  np.testing.assert_allclose(at_inferred['rendering_path'], rpn, rtol=1e-4)


def test_the_loss_is_the_weighted_sum():
  weights = tfp_ood.training.RenderingLossWeights(1.0, 2.0, 3.0, 4.0, 5.0)
  measured = _evaluate(_nrm(), *_batch(), loss_weights=weights)
  total = sum(
    weight * measured[part] for part, weight in weights._asdict().items()
  )
  np.testing.assert_allclose(measured['loss'], total, rtol=1e-5)


def test_images_without_a_label_take_the_one_inferred():
  nrm = _nrm()
  images, _ = _batch()
  inferred = nrm.infer(images).label.numpy()
  with_labels = _evaluate(nrm, images, inferred)
  without = _evaluate(nrm, images, np.full(6, -1))
  assert without['cross_entropy'] == 0.0
  for part in ('reconstruction', 'rendering_path', 'negativity'):
    np.testing.assert_allclose(without[part], with_labels[part], rtol=1e-6)


def test_training_classifies_and_renders():
  images, labels = _batch(96, seed=1)
  dataset = tf.data.Dataset.from_tensor_slices((images, labels)).batch(16)
  model = tfp_ood.training.RenderingModel(_nrm())
  model.compile(tf_keras.optimizers.Adam(3e-3))
  history = model.fit(dataset, epochs=15, verbose=0).history
  assert history['accuracy'][-1] > 0.95 > history['accuracy'][0]
  assert history['cross_entropy'][-1] < 0.5 * history['cross_entropy'][0]
  for part in ('loss', 'reconstruction'):
    assert history[part][-1] < 0.95 * history[part][0], part


@pytest.mark.parametrize(
  'part', ['reconstruction', 'rendering_path', 'negativity']
)
def test_the_gradient_of_each_part_reaches_the_weights(part):
  zeros = tfp_ood.training.RenderingLossWeights(0.0, 0.0, 0.0, 0.0, 0.0)
  model = tfp_ood.training.RenderingModel(_nrm(), zeros._replace(**{part: 1.0}))
  model.compile(tf_keras.optimizers.SGD(1e-2))
  dataset = tf.data.Dataset.from_tensors(_batch()).repeat(20)
  before = model.evaluate(dataset.take(1), verbose=0, return_dict=True)[part]
  model.fit(dataset, verbose=0)
  after = model.evaluate(dataset.take(1), verbose=0, return_dict=True)[part]
  assert 0 <= after < before


def _batch_normalized_nrm(normalize_renderings):
  tf_keras.utils.set_random_seed(0)
  classifier = tfp_ood.networks.small_resnet(
    _SHAPE, num_classes=3, width=0.1, blocks=(1,)
  )
  return tfp_ood.distributions.NeuralRenderingModel.from_keras(
    classifier, normalize_renderings
  )


def test_without_rendering_losses_it_is_a_classifier():
  images, labels = _batch(64)
  dataset = tf.data.Dataset.from_tensor_slices((images, labels)).batch(16)
  weights = tfp_ood.training.RenderingLossWeights(1.0, 0.0, 0.0, 0.0, 0.0)
  nrm = _batch_normalized_nrm(False)
  model = tfp_ood.training.RenderingModel(nrm, weights)
  model.compile(tf_keras.optimizers.SGD(0.05))
  classifier = _batch_normalized_nrm(False).network.model
  classifier.compile(
    tf_keras.optimizers.SGD(0.05),
    tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True),
  )
  history = model.fit(dataset, epochs=2, verbose=0).history
  x = tf.cast(images, tf.float32) / 127.5 - 1
  scaled = tf.data.Dataset.from_tensor_slices((x, labels)).batch(16)
  expected = classifier.fit(scaled, epochs=2, verbose=0).history
  np.testing.assert_allclose(
    history['cross_entropy'], expected['loss'], rtol=1e-3
  )
  assert history['reconstruction'] == [0.0, 0.0]
  for actual, other in zip(
    nrm.network.model.weights, classifier.weights, strict=True
  ):
    np.testing.assert_allclose(actual, other, atol=2e-3, err_msg=actual.name)


@pytest.mark.parametrize('normalize_renderings', [False, True])
def test_training_moves_all_variables_and_evaluation_none(
  normalize_renderings,
):
  nrm = _batch_normalized_nrm(normalize_renderings)
  variables = nrm.network.variables
  model = tfp_ood.training.RenderingModel(nrm)
  model.compile(tf_keras.optimizers.Adam(1e-2))
  assert len(model.trainable_variables) == len(nrm.network.trainable_variables)
  dataset = tf.data.Dataset.from_tensors(_batch(16))
  model.evaluate(dataset, verbose=0)
  before = [variable.numpy() for variable in variables]
  model.evaluate(dataset, verbose=0)
  for variable, value in zip(variables, before, strict=True):
    np.testing.assert_array_equal(variable, value, err_msg=variable.name)
  model.fit(dataset.repeat(3), verbose=0)
  for variable, value in zip(variables, before, strict=True):
    assert np.any(variable.numpy() != value), variable.name


def test_class_variance_must_be_positive():
  with pytest.raises(ValueError, match='`class_variance` must be positive'):
    tfp_ood.training.RenderingModel(_nrm(), class_variance=0.0)
