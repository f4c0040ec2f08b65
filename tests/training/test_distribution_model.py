# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fitting distributions with Keras."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras

import tfp_ood

tfd = tfp.distributions

_SHAPE = [8, 8, 3]
_SIZE = 192


def _images(number, seed=0):
  generator = np.random.default_rng(seed)
  coarse = generator.uniform(0, 256, size=[number, 2, 2, 3])
  fine = coarse.repeat(4, axis=1).repeat(4, axis=2)
  fine += generator.normal(0, 10, size=fine.shape)
  return np.clip(fine, 0, 255).astype(np.uint8)


def _batches(images, batch_size=16):
  return tf.data.Dataset.from_tensor_slices(images).batch(batch_size)


def _glow():
  # Stored activations: the gradient is traced faster.
  return tfp_ood.distributions.glow(
    _SHAPE,
    num_levels=1,
    num_steps=2,
    hidden_channels=4,
    seed=[0, 1],
    recompute=False,
  )


def _deep_glow():
  return tfp_ood.distributions.glow(
    _SHAPE, num_levels=2, num_steps=2, hidden_channels=4, seed=[0, 1]
  )


def _compiled(distribution, learning_rate=1e-2, **kwargs):
  model = tfp_ood.training.DistributionModel(distribution, **kwargs)
  model.compile(tfp_ood.training.adam(learning_rate))
  return model


class _Pixels(tfd.Distribution):
  """Independent normals of the pixels; `log_prob` takes no seed."""

  def __init__(self):
    self.loc = tf.Variable(tf.fill(_SHAPE, 128.0), name='loc')
    self.log_scale = tf.Variable(tf.fill(_SHAPE, 5.0), name='log_scale')
    super().__init__(
      dtype=tf.float32,
      reparameterization_type=tfd.FULLY_REPARAMETERIZED,
      validate_args=False,
      allow_nan_stats=True,
      name='pixels',
    )

  def _event_shape(self):
    return tf.TensorShape(_SHAPE)

  def _log_prob(self, images):
    normal = tfd.Normal(self.loc, tf.exp(self.log_scale))
    return tf.reduce_sum(normal.log_prob(images), axis=[-3, -2, -1])


def test_fit_lowers_the_loss_and_reaches_every_variable():
  model = _compiled(_deep_glow())
  dataset = _batches(_images(64))
  model.initialize(dataset)
  trainable = model.distribution.trainable_variables
  assert {id(v) for v in model.trainable_variables} == {
    id(v) for v in trainable
  }
  before = [variable.numpy() for variable in trainable]
  history = model.fit(dataset, epochs=5, verbose=0)
  losses = history.history['bits_per_dim']
  assert len(losses) == 5
  assert losses[-1] < losses[0] - 0.1
  for variable, old in zip(trainable, before, strict=True):
    assert np.abs(variable.numpy() - old).max() > 1e-6, variable.name
  # Adam keeps two moments of each variable, and counts.
  slots = model.optimizer._momentums + model.optimizer._velocities
  assert len(slots) == 2 * len(trainable)
  assert all(np.abs(slot.numpy()).max() > 0 for slot in slots)


def test_constants_of_the_flow_stay():
  model = _compiled(_glow())
  constants = [v for v in model.distribution.variables if not v.trainable]
  names = {v.name.split('/')[-1] for v in constants}
  assert {'permutation:0', 'sign:0', 'initialized:0'} <= names
  dataset = _batches(_images(32))
  model.initialize(dataset)
  before = [v.numpy() for v in constants]
  model.fit(dataset, epochs=2, verbose=0)
  for variable, old in zip(constants, before, strict=True):
    np.testing.assert_array_equal(variable.numpy(), old)


def test_evaluate_and_predict_are_log_prob():
  model = _compiled(_glow())
  images = _images(23)
  dataset = _batches(images, batch_size=7)
  model.initialize(dataset)
  log_prob = model.distribution.log_prob(images)
  np.testing.assert_allclose(model.predict(dataset, verbose=0), log_prob, 1e-5)
  expected = np.mean(tfp_ood.stats.bits_per_dim(log_prob, _SIZE))
  # The mean over examples, not over batches of 7, 7, 7 and 2.
  scores = model.evaluate(dataset, verbose=0, return_dict=True)
  np.testing.assert_allclose(scores['bits_per_dim'], expected, rtol=1e-5)
  np.testing.assert_allclose(model(images), log_prob, rtol=1e-5)


def test_the_loss_is_the_mean_of_bits_per_dim():
  images = _images(16)
  dataset = tf.data.Dataset.from_tensors(images)
  model = _compiled(_glow(), learning_rate=0.0)
  model.initialize(_batches(_images(16, seed=3)))
  history = model.fit(dataset, verbose=0)
  log_prob = model.distribution.log_prob(images)
  fixed_noise = np.mean(tfp_ood.stats.bits_per_dim(log_prob, _SIZE))
  # Fresh noise: near the fixed one's, and not the same.
  loss = history.history['bits_per_dim'][0]
  assert loss != fixed_noise
  np.testing.assert_allclose(loss, fixed_noise, atol=0.05)


def test_noise_differs_by_step_and_not_by_run():
  images = _images(16)
  dataset = tf.data.Dataset.from_tensors(images).repeat(3)
  losses = []

  class _Losses(tf_keras.callbacks.Callback):
    def on_train_batch_end(self, batch, logs=None):
      losses.append(logs['bits_per_dim'])

  for global_seed, seed in ((1, 4), (2, 4), (2, 5)):
    tf.random.set_seed(global_seed)
    model = _compiled(_glow(), learning_rate=0.0, seed=seed)
    model.initialize(_batches(_images(16, seed=3)))
    model.fit(dataset, verbose=0, callbacks=[_Losses()])
  first, second, other = np.reshape(losses, [3, 3])
  np.testing.assert_array_equal(first, second)
  assert (first != other).all()
  assert len(set(first)) == 3


def test_data_sets_of_tuples():
  images = _images(32)
  labelled = tf.data.Dataset.from_tensor_slices((images, np.arange(32))).batch(
    16
  )
  losses = []
  for dataset in (_batches(images), labelled):
    model = _compiled(_glow())
    history = model.fit(
      dataset, validation_data=dataset, epochs=2, verbose=0
    ).history
    losses.append(history['bits_per_dim'] + history['val_bits_per_dim'])
    assert model.predict(dataset, verbose=0).shape == (32,)
  np.testing.assert_allclose(*losses, rtol=1e-6)


def test_fit_initializes_once_before_the_first_step():
  images = _images(32)
  model = _compiled(_glow(), learning_rate=0.0)
  flow = model.distribution
  assert not flow.is_initialized
  model.fit(_batches(images, 8), verbose=0)
  assert flow.is_initialized
  reference = _glow()
  reference.initialize(images)
  for variable, expected in zip(
    flow.variables, reference.variables, strict=True
  ):
    np.testing.assert_allclose(variable, expected, rtol=1e-6, atol=1e-6)
  # Another data set, for which initialization would give other weights.
  before = [v.numpy() for v in flow.variables]
  model.fit(_batches(_images(32, seed=5) // 2, 8), verbose=0)
  for variable, old in zip(flow.variables, before, strict=True):
    np.testing.assert_array_equal(variable.numpy(), old)


def test_initialize_uses_the_first_batches():
  images = _images(64)
  model = _compiled(_glow())
  model.initialize(_batches(images, 8), num_batches=2)
  reference = _glow()
  reference.initialize(images[:16])
  for variable, expected in zip(
    model.distribution.variables, reference.variables, strict=True
  ):
    np.testing.assert_allclose(variable, expected, rtol=1e-6, atol=1e-6)


def test_a_distribution_without_seeds():
  images = _images(64).astype(np.float32)
  model = _compiled(_Pixels(), learning_rate=0.1, seed=None)
  dataset = _batches(images)
  history = model.fit(dataset, epochs=40, verbose=0)
  losses = history.history['bits_per_dim']
  assert losses[-1] < losses[0]
  # Towards maximum likelihood: the mean and the deviation of each pixel.
  distribution = model.distribution
  np.testing.assert_allclose(
    np.exp(distribution.log_scale), images.std(axis=0), rtol=0.3
  )
  distance = np.abs(distribution.loc - images.mean(axis=0)).mean()
  assert distance < 0.5 * np.abs(128.0 - images.mean(axis=0)).mean()


def test_metrics_start_anew_each_epoch():
  model = _compiled(_glow(), learning_rate=0.0)
  images = _images(16)
  history = model.fit(
    _batches(images), epochs=2, verbose=0, validation_data=_batches(images)
  ).history
  assert set(history) == {'bits_per_dim', 'val_bits_per_dim'}
  np.testing.assert_allclose(*history['val_bits_per_dim'], rtol=1e-6)


def test_runs_eagerly_too():
  model = tfp_ood.training.DistributionModel(_glow())
  model.compile(tfp_ood.training.adam(1e-2), run_eagerly=True)
  graph = _compiled(_glow())
  dataset = _batches(_images(16))
  losses = [
    m.fit(dataset, epochs=2, verbose=0).history['bits_per_dim']
    for m in (model, graph)
  ]
  np.testing.assert_allclose(*losses, rtol=1e-5)


def test_a_ragged_last_batch_weighs_by_its_examples():
  images = _images(17)
  model = _compiled(_glow(), learning_rate=0.0)
  model.initialize(_batches(images))
  loss = model.fit(_batches(images), verbose=0).history['bits_per_dim'][0]
  scores = model.evaluate(_batches(images), verbose=0)
  np.testing.assert_allclose(loss, scores, atol=0.05)


def test_errors():
  with pytest.raises(ValueError, match='normal has no trainable variables'):
    tfp_ood.training.DistributionModel(
      tfd.Sample(tfd.Normal(0.0, 1.0, name='normal'), _SHAPE, name='normal')
    )
  model = _compiled(_glow())
  with pytest.raises(ValueError, match='the data set is empty'):
    model.fit(_batches(_images(4)).take(0), verbose=0)
  with pytest.raises(ValueError, match='not initialized'):
    model.evaluate(_batches(_images(4)), verbose=0)
  with pytest.raises(ValueError, match=r'`dataset` must be a tf.data.Dataset'):
    model.fit(_images(4), verbose=0)
  with pytest.raises(ValueError, match=r'got \(4, 8, 8, 1\)'):
    model.fit(_batches(_images(4)[..., :1]), verbose=0)


class _Overflowing(tfd.Distribution):
  """A normal, scored as impossible in any place beyond 50."""

  def __init__(self):
    self.loc = tf.Variable([0.0, 0.0], name='loc')
    super().__init__(
      dtype=tf.float32,
      reparameterization_type=tfd.NOT_REPARAMETERIZED,
      validate_args=False,
      allow_nan_stats=True,
      parameters={},
    )

  def _log_prob(self, x):
    scale = tf.where(x[..., 0] > 50, np.inf, 1.0)
    return -tf.reduce_sum((x - self.loc) ** 2, axis=-1) * scale

  def _event_shape(self):
    return tf.TensorShape([2])

  def _batch_shape(self):
    return tf.TensorShape([])


def _fit_overflowing(num_bad, strategy=None, **kwargs):
  values = np.ones([40, 4, 2], np.float32)
  values[10 : 10 + num_bad] = 100.0
  dataset = tf.data.Dataset.from_tensor_slices(values)
  strategy = strategy or tf.distribute.get_strategy()
  with strategy.scope():
    model = tfp_ood.training.DistributionModel(
      _Overflowing(), seed=None, **kwargs
    )
    model.compile(tfp_ood.training.adam(0.1))
  history = model.fit(
    dataset, verbose=0, callbacks=[tfp_ood.training.StopOnNaN()]
  )
  return model, history.history['bits_per_dim'][0]


@pytest.mark.parametrize('num_replicas', [1, 2])
def test_steps_that_overflow_are_skipped_and_counted(num_replicas):
  strategy = None
  if num_replicas == 2:
    if len(tf.config.list_logical_devices('CPU')) < 2:
      pytest.skip('One logical CPU; the strategies have tests of their own.')
    strategy = tf.distribute.MirroredStrategy(['CPU:0', 'CPU:1'])
  model, loss = _fit_overflowing(3, strategy, max_skipped_steps=5)
  assert int(model.skipped_steps.numpy()) == 3
  assert np.isfinite(loss) and 0 < loss < 10
  np.testing.assert_allclose(model.distribution.loc.numpy(), 1.0, atol=0.2)


def test_too_many_steps_that_overflow_in_a_row_end_the_training():
  with pytest.raises(FloatingPointError, match='batch 15: bits_per_dim is inf'):
    _fit_overflowing(30, max_skipped_steps=5)


def test_no_step_is_skipped_by_default():
  with pytest.raises(FloatingPointError, match='batch 10: bits_per_dim is inf'):
    _fit_overflowing(1)
