# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of training neural rendering models."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
import training_helpers as helpers

import tfp_ood

_SHAPE = [8, 8, 3]
_CLASSIFY = tfp_ood.training.RenderingLossWeights(1.0, 0.0, 0.0, 0.0, 0.0)


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


def _compiled(nrm, optimizer=None, run_eagerly=True, **kwargs):
  model = tfp_ood.training.RenderingModel(nrm, **kwargs)
  optimizer = optimizer or tf_keras.optimizers.SGD(1e-2)
  model.compile(optimizer, run_eagerly=run_eagerly)
  return model


def _evaluate(nrm, images, labels, **kwargs):
  model = _compiled(nrm, **kwargs)
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
  adam = tf_keras.optimizers.Adam(3e-3)
  model = _compiled(_nrm(), adam, run_eagerly=False)
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
  model = _compiled(_nrm(), loss_weights=zeros._replace(**{part: 1.0}))
  dataset = tf.data.Dataset.from_tensors(_batch()).repeat(5)
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
  nrm = _batch_normalized_nrm(False)
  sgd = tf_keras.optimizers.SGD(0.05)
  model = _compiled(nrm, sgd, loss_weights=_CLASSIFY)
  classifier = _batch_normalized_nrm(False).network.model
  classifier.compile(
    tf_keras.optimizers.SGD(0.05),
    tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    run_eagerly=True,
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
  model = _compiled(nrm, tf_keras.optimizers.Adam(1e-2))
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


# ------------------------------------------- what any `DistributionModel` does


def test_accuracy_is_of_images_with_labels():
  nrm = _nrm()
  images, _ = _batch()
  labels = nrm.infer(images).label.numpy()
  # Two right, one wrong, and three without a label.
  labels[2:] = [(labels[2] + 1) % 3, -1, -1, -1]
  measured = _evaluate(nrm, images, labels)
  np.testing.assert_allclose(measured['accuracy'], 2 / 3, rtol=1e-6)


def test_predictions_are_logits():
  nrm = _nrm()
  images, labels = _batch()
  dataset = tf.data.Dataset.from_tensors((images, labels))
  logits = _compiled(nrm).predict(dataset, verbose=0)
  np.testing.assert_allclose(logits, nrm.infer(images).logits, rtol=1e-5)


def test_weights_of_examples_weigh_their_losses():
  images, labels = _batch(4)
  steps = []
  # A weight of two is an image that comes twice.
  for order, weights in (([0, 1, 2], [1.0, 2.0, 0.0]), ([0, 1, 1], None)):
    model = _compiled(_nrm(), loss_weights=_CLASSIFY)
    model.fit(
      images[order],
      labels[order],
      sample_weight=weights and np.array(weights),
      verbose=0,
    )
    steps.append(helpers.values(model.trainable_variables))
  helpers.assert_all_close(*steps, rtol=1e-5, atol=1e-7)


def test_a_run_ends_by_the_clock_with_its_time():
  dataset = tf.data.Dataset.from_tensors(_batch()).repeat(10**9)
  limit = tfp_ood.training.TimeLimit(minutes=0.05 / 60)
  model = _compiled(_nrm(), loss_weights=_CLASSIFY)
  model.fit(dataset, verbose=0, callbacks=[limit])
  assert 0.05 <= float(model.training_seconds) == limit.seconds < 10


def test_steps_that_are_not_finite_are_skipped():
  # Three steps, of which the second is poisoned.
  images, labels = _batch(6)
  model = _compiled(_nrm(), loss_weights=_CLASSIFY, max_skipped_steps=1)
  before = helpers.values(model.trainable_variables)
  poison = np.array([1, 1, np.nan, np.nan, 1, 1])
  history = model.fit(
    images,
    labels,
    sample_weight=poison,
    batch_size=2,
    shuffle=False,
    verbose=0,
  ).history
  assert int(model.skipped_steps) == 1
  assert np.isfinite([*history.values()]).all()
  for variable, old in zip(model.trainable_variables, before, strict=True):
    assert np.isfinite(variable).all() and np.any(variable.numpy() != old)


def test_averages_of_weights_are_put_in_place():
  momentum = 0.7
  adam = tfp_ood.training.adam(1e-2, ema_momentum=momentum)
  model = _compiled(_nrm(), adam, loss_weights=_CLASSIFY)
  (kernel, *_) = model.trainable_variables
  average = kernel.numpy()
  record = helpers.Record(lambda logs: kernel.numpy())
  images, labels = _batch(8)
  model.fit(images, labels, batch_size=2, verbose=0, callbacks=[record])
  assert len(record.values) == 4
  for value in record.values:
    average = momentum * average + (1 - momentum) * value
  np.testing.assert_allclose(kernel, average, rtol=1e-5)
  assert np.abs(average - record.values[-1]).max() > 1e-3


def test_what_was_trained_is_exported(tmp_path):
  images, labels = _batch()
  nrm = _nrm()
  before = nrm.statistics(images, ['log_prob'])['log_prob'].numpy()
  model = _compiled(nrm)
  model.fit(images, labels, epochs=2, verbose=0)
  tfp_ood.training.export_saved_model(nrm, tmp_path / 'model')
  loaded = tf.saved_model.load(tmp_path / 'model')
  log_prob = loaded.log_prob(images)
  np.testing.assert_allclose(
    log_prob, nrm.statistics(images, ['log_prob'])['log_prob'], rtol=1e-4
  )
  assert np.abs(log_prob - before).max() > 1e-3


def test_data_without_labels_are_refused():
  images, _ = _batch()
  with pytest.raises(ValueError, match='must be tuples of images and labels'):
    _compiled(_nrm()).fit(images, verbose=0)


def test_class_variance_must_be_positive():
  with pytest.raises(ValueError, match='`class_variance` must be positive'):
    tfp_ood.training.RenderingModel(_nrm(), class_variance=0.0)
