# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of training variational autoencoders with Keras."""

import math

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
import training_helpers as helpers

import tfp_ood

_SHAPE = [8, 8, 1]
_SIZE = 64
_METRICS = {'loss', 'elbo', 'reconstruction', 'kl', 'bits_per_dim'}


def _images(number):
  return helpers.smooth_images(number, _SHAPE)


def _batches(images, batch_size=16):
  return helpers.batches(images, batch_size)


def _vae(**kwargs):
  return tfp_ood.distributions.variational_autoencoder(
    _SHAPE, latent_size=3, hidden_channels=2, seed=1, **kwargs
  )


def _compiled(distribution, optimizer=None, run_eagerly=True, **kwargs):
  model = tfp_ood.training.VariationalModel(distribution, **kwargs)
  optimizer = optimizer or tfp_ood.training.adam(1e-2)
  model.compile(optimizer, run_eagerly=run_eagerly)
  return model


def test_fit_lowers_the_loss_and_moves_every_variable():
  model = _compiled(_vae(), run_eagerly=False)
  dataset = _batches(_images(64))
  before = helpers.values(model.distribution.variables)
  history = model.fit(dataset, epochs=8, verbose=0, validation_data=dataset)
  losses = history.history['loss']
  assert set(history.history) == _METRICS | {f'val_{name}' for name in _METRICS}
  assert losses[-1] < losses[0] - 0.1
  # The statistics of batch normalization too.
  for variable, old in zip(model.distribution.variables, before, strict=True):
    assert np.abs(variable.numpy() - old).max() > 1e-6, variable.name


def test_evaluation_is_the_elbo_and_leaves_the_statistics_alone():
  vae = _vae()
  model = _compiled(vae, beta=3.0)
  images = _images(23)
  before = helpers.values(vae.variables)
  scores = model.evaluate(_batches(images, 7), verbose=0, return_dict=True)
  for variable, old in zip(vae.variables, before, strict=True):
    np.testing.assert_array_equal(variable, old)
  terms = vae.elbo_terms(images)
  kl = -(terms.log_prior + terms.posterior_entropy)
  bits = _SIZE * math.log(2)
  expected = {
    'elbo': sum(terms),
    'kl': kl,
    'reconstruction': terms.reconstruction,
    'bits_per_dim': -sum(terms) / bits,
    # The divergence counts `beta` times, once and for all.
    'loss': (-terms.reconstruction + 3 * kl) / bits,
  }
  assert set(scores) == set(expected)
  for name, values in expected.items():
    np.testing.assert_allclose(
      scores[name], np.mean(values), rtol=1e-4, err_msg=name
    )
  np.testing.assert_allclose(
    model.predict(_batches(images, 7), verbose=0), vae.log_prob(images), 1e-4
  )


def test_the_loss_at_beta_one_is_the_elbo():
  history = _compiled(_vae()).fit(_batches(_images(16)), verbose=0).history
  np.testing.assert_allclose(
    history['loss'], history['bits_per_dim'], rtol=1e-5
  )
  np.testing.assert_allclose(
    history['elbo'],
    np.subtract(history['reconstruction'], history['kl']),
    rtol=1e-5,
  )


def _record(model, function):
  """Measures every step by itself."""

  def measured(logs):
    model.reset_metrics()
    return function(logs)

  return helpers.Record(measured)


def _weight(logs):
  """The weight of the divergence, from its share in the loss."""
  penalty = logs['loss'] * _SIZE * math.log(2) + logs['reconstruction']
  return penalty / logs['kl']


def test_the_weight_of_the_divergence_rises_and_goes_on_after_resuming():
  still = tf_keras.optimizers.SGD(0.0)
  model = _compiled(_vae(), still, beta=2.0, warmup_steps=4)
  record = _record(model, _weight)
  dataset = _batches(_images(48))
  for _ in range(2):
    model.fit(dataset, verbose=0, callbacks=[record])
  weights = [0.5, 1.0, 1.5, 2.0, 2.0, 2.0]
  np.testing.assert_allclose(record.values, weights, rtol=1e-2)


@pytest.mark.parametrize('free_bits', [1e-6, 1e4])
def test_free_bits_are_free(free_bits):
  still = tf_keras.optimizers.SGD(0.0)
  model = _compiled(_vae(), still, free_bits=free_bits)
  images = _images(16)
  scores = model.evaluate(_batches(images), verbose=0, return_dict=True)
  bits = _SIZE * math.log(2)
  penalty = max(scores['kl'], free_bits * math.log(2))
  np.testing.assert_allclose(
    scores['loss'], (penalty - scores['reconstruction']) / bits, rtol=1e-5
  )
  # A divergence below them has no gradient.
  with tf.GradientTape(persistent=True) as tape:
    terms = model.distribution.elbo_terms(images)
    loss, _ = model.weighted_terms(terms, 1.0)
  gradient = tape.gradient(loss, terms.log_prior)
  assert np.all((gradient.numpy() == 0) == (free_bits > 1))


def test_noise_differs_by_step_and_not_by_run():
  losses = []
  dataset = tf.data.Dataset.from_tensors(_images(16)).repeat(3)
  for global_seed, seed in ((1, 4), (2, 4), (2, 5)):
    tf.random.set_seed(global_seed)
    model = _compiled(_vae(), tf_keras.optimizers.SGD(0.0), seed=seed)
    record = _record(model, lambda logs: logs['loss'])
    model.fit(dataset, verbose=0, callbacks=[record])
    losses.append(record.values)
  first, second, other = np.array(losses)
  np.testing.assert_array_equal(first, second)
  assert (first != other).all()
  assert len(set(first)) == 3


def test_training_takes_one_draw_whatever_the_bound_takes():
  images, losses, scores = _images(8), [], []
  for number in (1, 50):
    vae = _vae(num_importance_samples=number)
    model = _compiled(vae, tf_keras.optimizers.SGD(0.1))
    decoded = []
    call = vae.decoder.call

    def counted(latents, *args, call=call, decoded=decoded, **kwargs):
      decoded.append(len(latents))
      return call(latents, *args, **kwargs)

    vae.decoder.call = counted
    history = model.fit(images, verbose=0, validation_data=images).history
    assert decoded == [8, 8]
    losses.append([history['loss'], history['val_loss']])
    scores.append(model.predict(images, verbose=0))
  np.testing.assert_allclose(*losses, rtol=1e-6)
  # `predict` takes all: the bound is tighter.
  assert np.mean(scores[1]) > np.mean(scores[0]) + 0.1


def test_weights_of_examples_weigh_their_losses():
  images = _images(3)
  weights = np.array([1.0, 2.0, 0.0], np.float32)
  dataset = _batches((images, weights)).map(lambda x, w: (x, None, w))
  vae = _vae(batch_normalization=False)
  model = _compiled(vae, tf_keras.optimizers.SGD(1.0))
  with tf.GradientTape() as tape:
    terms = vae.elbo_terms(images, seed=model.fresh_seed(), training=True)
    loss = -tf.reduce_sum(weights * sum(terms)) / 3 / (_SIZE * math.log(2))
  gradients = tape.gradient(loss, model.trainable_variables)
  before = helpers.values(model.trainable_variables)
  model.fit(dataset, verbose=0)
  for variable, old, gradient in zip(
    model.trainable_variables, before, gradients, strict=True
  ):
    np.testing.assert_allclose(old - variable, gradient, rtol=1e-3, atol=1e-6)


def test_an_autoencoder_trains_too():
  model = tfp_ood.distributions.autoencoder(
    _SHAPE, latent_size=3, hidden_channels=2, seed=1
  )
  history = _compiled(model).fit(_batches(_images(64)), epochs=4, verbose=0)
  losses = history.history['loss']
  assert losses[-1] < losses[0]
  np.testing.assert_array_equal(history.history['kl'], 0)


@pytest.mark.exhaustive
def test_resuming_gives_the_weights_of_an_uninterrupted_run(tmp_path):
  # Keras starts a data set anew: its batches are all alike.
  dataset = tf.data.Dataset.from_tensors(_images(16)).repeat(4)

  def fit(*callbacks):
    model = _compiled(_vae(), warmup_steps=6)
    model.fit(dataset, epochs=2, verbose=0, callbacks=list(callbacks))
    return model

  def backup():
    return tf_keras.callbacks.BackupAndRestore(tmp_path, save_freq=1)

  whole = fit()
  with pytest.raises(KeyboardInterrupt):
    fit(backup(), helpers.InterruptAt(3))
  resumed = fit(backup())
  assert int(resumed.optimizer.iterations) == 8
  helpers.assert_all_close(
    resumed.distribution.variables,
    whole.distribution.variables,
    rtol=1e-5,
    atol=1e-6,
  )


def test_weights_files(tmp_path):
  vae = _vae()
  _compiled(vae).fit(_batches(_images(32)), verbose=0)
  path = tmp_path / 'vae.weights'
  tfp_ood.training.save_weights(vae, path)
  restored = _vae()
  tfp_ood.training.load_weights(restored, path)
  images = _images(4)
  np.testing.assert_array_equal(restored.log_prob(images), vae.log_prob(images))


def test_errors():
  with pytest.raises(ValueError, match='has no method `elbo_terms`'):
    tfp_ood.training.VariationalModel(
      tfp_ood.distributions.learned_normal(_SHAPE)
    )
  for name in ('beta', 'warmup_steps', 'free_bits'):
    with pytest.raises(ValueError, match=f'`{name}` must not be negative'):
      tfp_ood.training.VariationalModel(_vae(), **{name: -1})
