# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of fitting distributions with Keras."""

import collections
import math

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras
import training_helpers as helpers

import tfp_ood
from tfp_ood import _parts

tfd = tfp.distributions

_SHAPE = [4, 4, 1]
_SIZE = 16


def _images(number, seed=0):
  return helpers.smooth_images(number, _SHAPE, seed)


def _batches(images, batch_size=16):
  return helpers.batches(images, batch_size)


def _glow(shape=(4, 4, 1), num_levels=1):
  # Stored activations: the gradient is traced faster.
  return tfp_ood.distributions.glow(
    shape,
    num_levels=num_levels,
    num_steps=2,
    hidden_channels=2,
    seed=[0, 1],
    recompute=False,
  )


def _still(distribution=None, **kwargs):
  """A model whose weights do not move."""
  optimizer = tf_keras.optimizers.SGD(0.0)
  return helpers.compiled(distribution or _glow(), optimizer, **kwargs)


# ------------------------------------------------------ a flow, traced once

_Trained = collections.namedtuple(
  'Trained', ['model', 'images', 'before', 'losses']
)


@pytest.fixture(scope='module', name='trained')
def _trained():
  images = helpers.smooth_images(64, [8, 8, 1])
  flow = _glow([8, 8, 1], num_levels=2)
  model = helpers.compiled(flow, run_eagerly=False)
  model.initialize(_batches(images))
  before = {id(v): v.numpy() for v in flow.variables}
  history = model.fit(_batches(images), epochs=5, verbose=0).history
  return _Trained(model, images, before, history['bits_per_dim'])


def test_fit_lowers_the_loss_and_reaches_every_variable(trained):
  variables = trained.model.distribution.trainable_variables
  assert {id(v) for v in trained.model.trainable_variables} == {
    id(v) for v in variables
  }
  assert len(trained.losses) == 5
  assert trained.losses[-1] < trained.losses[0] - 0.1
  for variable in variables:
    difference = variable.numpy() - trained.before[id(variable)]
    assert np.abs(difference).max() > 1e-6, variable.name
  # Adam keeps two moments of each variable, and counts.
  optimizer = trained.model.optimizer
  slots = optimizer._momentums + optimizer._velocities
  assert len(slots) == 2 * len(variables)
  assert all(np.abs(slot.numpy()).max() > 0 for slot in slots)


def test_constants_of_the_flow_stay(trained):
  flow = trained.model.distribution
  constants = [v for v in flow.variables if not v.trainable]
  names = {v.name.split('/')[-1] for v in constants}
  assert {'permutation:0', 'sign:0', 'initialized:0'} <= names
  for variable in constants:
    np.testing.assert_array_equal(variable, trained.before[id(variable)])


def test_evaluate_and_predict_are_log_prob(trained):
  model, images = trained.model, trained.images[:23]
  dataset = _batches(images, 7)
  log_prob = model.distribution.log_prob(images)
  np.testing.assert_allclose(model.predict(dataset, verbose=0), log_prob, 1e-5)
  expected = np.mean(tfp_ood.stats.bits_per_dim(log_prob, 64))
  # The mean over examples, not over batches of 7, 7, 7 and 2.
  scores = model.evaluate(dataset, verbose=0, return_dict=True)
  np.testing.assert_allclose(scores['bits_per_dim'], expected, rtol=1e-5)
  np.testing.assert_allclose(model(images), log_prob, rtol=1e-5)


def test_runs_eagerly_too(trained):
  model = helpers.compiled(_glow([8, 8, 1], num_levels=2))
  model.initialize(_batches(trained.images))
  history = model.fit(_batches(trained.images), verbose=0).history
  np.testing.assert_allclose(
    history['bits_per_dim'], trained.losses[:1], rtol=1e-5
  )


# ----------------------------------------------------------- loss and noise


def test_the_loss_is_the_mean_of_bits_per_dim():
  images = _images(64)
  dataset = tf.data.Dataset.from_tensors(images)
  model = _still()
  model.initialize(_batches(_images(16, seed=3)))
  history = model.fit(dataset, verbose=0)
  log_prob = model.distribution.log_prob(images)
  fixed_noise = np.mean(tfp_ood.stats.bits_per_dim(log_prob, _SIZE))
  # Fresh noise: near the fixed one's, and not the same.
  loss = history.history['bits_per_dim'][0]
  assert loss != fixed_noise
  np.testing.assert_allclose(loss, fixed_noise, atol=0.05)


def test_noise_differs_by_step_and_not_by_run():
  dataset = tf.data.Dataset.from_tensors(_images(16)).repeat(3)
  losses = []
  for global_seed, seed in ((1, 4), (2, 4), (2, 5)):
    tf.random.set_seed(global_seed)
    model = _still(seed=seed)
    model.initialize(_batches(_images(16, seed=3)))
    record = helpers.Record(lambda logs: logs['bits_per_dim'])
    model.fit(dataset, verbose=0, callbacks=[record])
    losses.append(record.values)
  first, second, other = np.array(losses)
  np.testing.assert_array_equal(first, second)
  assert (first != other).all()
  assert len(set(first)) == 3


class _Gambler(tf.Module):
  """A model with a training loss of its own: what the seed draws, in nats."""

  def __init__(self):
    super().__init__(name='gambler')
    self.stake = tf.Variable(1.0)
    self.event_shape = tf.TensorShape([2])

  def log_prob(self, x):
    return -7.0 * self.stake * tf.ones(tf.shape(x)[:1])

  def training_loss(self, x, seed):
    draw = tf.random.stateless_uniform([], seed, maxval=math.log(4.0))
    return self.stake * draw * tf.ones(tf.shape(x)[:1])


def test_a_training_loss_of_the_distribution_is_what_fit_minimizes():
  losses = []
  for run_eagerly in (True, False):
    model = _still(_Gambler(), run_eagerly=run_eagerly)
    record = helpers.Record(
      lambda logs, model=model: (model.reset_metrics(), logs['bits_per_dim'])[1]
    )
    x = np.zeros([12, 2], np.float32)
    model.fit(x, batch_size=4, verbose=0, callbacks=[record])
    losses.append(record.values)
    # Evaluation is by `log_prob`.
    score = model.evaluate(x, verbose=0)
    np.testing.assert_allclose(score, 7 / (2 * math.log(2)), rtol=1e-5)
  # A graph draws afresh in each step too.
  np.testing.assert_allclose(*losses, rtol=1e-6)
  assert len(set(losses[0])) == 3
  assert all(0 <= loss <= 1 for loss in losses[0])


def test_a_gradient_is_that_of_the_training_loss():
  model = helpers.compiled(_Gambler(), tf_keras.optimizers.SGD(1.0))
  loss = model.fit(np.zeros([4, 2], np.float32), verbose=0).history
  np.testing.assert_allclose(
    1 - model.distribution.stake.numpy(), loss['bits_per_dim'][0], rtol=1e-5
  )


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


def test_a_distribution_without_seeds():
  images = _images(64)
  adam = tfp_ood.training.adam(0.1)
  model = helpers.compiled(_Pixels(), adam, run_eagerly=False)
  history = model.fit(_batches(images), epochs=40, verbose=0)
  losses = history.history['bits_per_dim']
  assert losses[-1] < losses[0]
  # Towards maximum likelihood: the mean and the deviation of each pixel.
  distribution = model.distribution
  np.testing.assert_allclose(
    np.exp(distribution.log_scale), images.std(axis=0), rtol=0.3
  )
  distance = np.abs(distribution.loc - images.mean(axis=0)).mean()
  assert distance < 0.5 * np.abs(128.0 - images.mean(axis=0)).mean()


@pytest.mark.parametrize('dtype', [tf.float32, tf.float64])
def test_distributions_of_tfp_train_as_they_are(dtype):
  mean, root = np.array([1.0, -2.0]), np.array([[2.0, 0.0], [1.0, 0.5]])
  x = np.random.default_rng(0).normal(size=[512, 2]) @ root.T + mean
  normal = tfd.MultivariateNormalTriL(
    tf.Variable([0.0, 0.0], dtype=dtype),
    tfp.util.TransformedVariable(
      tf.eye(2, dtype=dtype), tfp.bijectors.FillScaleTriL(diag_shift=None)
    ),
  )
  model = helpers.compiled(
    normal, tfp_ood.training.adam(0.05), run_eagerly=False
  )
  history = model.fit(x, batch_size=512, epochs=300, verbose=0).history
  np.testing.assert_allclose(normal.mean(), x.mean(axis=0), atol=0.02)
  np.testing.assert_allclose(
    normal.covariance(), np.cov(x.T, bias=True), rtol=0.02, atol=0.02
  )
  # What maximum likelihood comes to, in bits for each of two dimensions.
  determinant = np.linalg.det(2 * np.pi * np.e * np.cov(x.T, bias=True))
  np.testing.assert_allclose(
    history['bits_per_dim'][-1], np.log2(determinant) / 4, rtol=1e-3
  )


@pytest.mark.exhaustive
def test_pixel_cnn_trains_as_it_is():
  network = tfd.PixelCNN(
    _SHAPE,
    num_resnet=1,
    num_hierarchies=1,
    num_filters=2,
    num_logistic_mix=1,
    dropout_p=0.0,
  )
  model = helpers.compiled(network)
  images = _images(4)
  before = helpers.values(network.trainable_variables)
  history = model.fit(
    images, epochs=20, verbose=0, validation_data=images
  ).history
  assert history['bits_per_dim'][-1] < history['bits_per_dim'][0]
  assert any(
    (v.numpy() != old).any()
    for v, old in zip(network.trainable_variables, before, strict=True)
  )
  expected = -np.mean(network.log_prob(images.astype(np.float32)))
  np.testing.assert_allclose(
    history['val_bits_per_dim'][-1], expected / _SIZE / math.log(2), rtol=1e-4
  )


# ---------------------------------------------------------------- kinds of data


def _unit_normal():
  loc = tf.Variable([0.0, 0.0], name='loc')
  return tfd.Independent(tfd.Normal(loc, 1.0), 1), loc


def test_weights_of_examples_weigh_their_losses():
  normal, loc = _unit_normal()
  model = helpers.compiled(normal, tf_keras.optimizers.SGD(1.0))
  x = np.random.default_rng(0).normal(size=[6, 2]).astype(np.float32)
  weights = np.array([0.0, 1.0, 2.0, 0.5, 0.0, 3.0], np.float32)
  dataset = _batches((x, weights)).map(lambda x, weights: (x, None, weights))
  model.fit(dataset, verbose=0)
  # As in Keras, the weighted sum over the number of examples.
  gradient = -(weights[:, np.newaxis] * x).sum(axis=0) / 6 / (2 * math.log(2))
  np.testing.assert_allclose(loc, -gradient, rtol=1e-5)


def test_weights_that_keras_would_drop_are_refused():
  model = helpers.compiled(_unit_normal()[0])
  x = np.zeros([4, 2], np.float32)
  with pytest.raises(ValueError, match=r'tuples \(x, None, weights\)'):
    model.fit(x, sample_weight=np.ones(4), verbose=0)


class _ByLabel(tfp_ood.training.DistributionModel):
  """Minimizes the squared distance from the labels instead."""

  measure_names = ('distance', 'share_of_ones')

  def example_losses(self, x, y, seed):
    distance = tf.reduce_sum((y - self.distribution.mean()) ** 2, axis=-1)
    is_first = tf.cast(x[:, 0] > 0, tf.float32)
    measures = {
      'distance': distance,
      'share_of_ones': (tf.cast(y[:, 0] == 1, tf.float32), is_first),
    }
    if seed is None:
      measures.pop('share_of_ones')
    return distance, measures


def test_a_subclass_minimizes_a_loss_of_its_own_by_labels():
  normal, loc = _unit_normal()
  model = _ByLabel(normal)
  model.compile(tf_keras.optimizers.SGD(0.25), run_eagerly=True)
  x = np.array([[1.0, 0], [1, 0], [1, 0], [-1, 0]], np.float32)
  y = np.array([[1.0, 2], [1, 4], [5, 6], [1, 8]], np.float32)
  history = model.fit(x, y, validation_data=(x, y), verbose=0).history
  np.testing.assert_allclose(history['distance'], np.mean((y**2).sum(axis=1)))
  # A pair is values and their weights.
  np.testing.assert_allclose(history['share_of_ones'], 2 / 3, rtol=1e-6)
  np.testing.assert_allclose(loc, 0.25 * 2 * y.mean(axis=0), rtol=1e-6)
  # What is not measured in evaluation is not reported.
  assert set(history) == {'distance', 'share_of_ones', 'val_distance'}


class _WithoutNoise(tfp_ood.training.DistributionModel):
  """As each part of a batch draws noise of its own, without any."""

  def example_losses(self, x, y, seed):
    return super().example_losses(x, y, seed=None)


def _fit_without_noise():
  """Trains by batches of 5, 5 and 1, and returns the weights and the history."""
  layer = tf_keras.layers.Dense(2, kernel_regularizer='l2')
  layer(tf.zeros([1, 3]))
  layer.kernel.assign([[1.0, -0.5], [0.5, 2.0], [0.0, 1.0]])
  model = _WithoutNoise(helpers.Energy(layer))
  model.compile(tf_keras.optimizers.SGD(0.05))
  generator = np.random.default_rng(0)
  x = generator.normal(size=[11, 3]).astype(np.float32)
  weights = generator.uniform(size=[11]).astype(np.float32)
  history = model.fit(
    _batches((x, np.arange(11), weights), 5), epochs=2, verbose=0
  ).history
  return helpers.values(layer.variables), history


@pytest.mark.parametrize('num_parts', [2, 3])
def test_parts_of_a_batch_train_as_the_whole(monkeypatch, num_parts):
  weights, history = _fit_without_noise()
  monkeypatch.setattr(_parts, '_DIVISION', [num_parts])
  divided_weights, divided_history = _fit_without_noise()
  helpers.assert_all_close(divided_weights, weights, rtol=1e-5)
  np.testing.assert_allclose(
    divided_history['bits_per_dim'], history['bits_per_dim'], rtol=1e-5
  )


def test_parts_are_evaluated_and_predicted_as_the_whole(monkeypatch):
  model = helpers.compiled(_unit_normal()[0], run_eagerly=False)
  x = np.random.default_rng(0).normal(size=[5, 2]).astype(np.float32)
  loss = model.evaluate(x, batch_size=3, verbose=0)
  log_prob = model.predict(x, batch_size=3, verbose=0)
  monkeypatch.setattr(_parts, '_DIVISION', [2])
  model = helpers.compiled(model.distribution, run_eagerly=False)
  divided = model.evaluate(x, batch_size=3, verbose=0)
  np.testing.assert_allclose(divided, loss, rtol=1e-6)
  divided = model.predict(x, batch_size=3, verbose=0)
  np.testing.assert_allclose(divided, log_prob, rtol=1e-6)


def test_labels_that_are_nests_are_divided(monkeypatch):
  monkeypatch.setattr(_parts, '_DIVISION', [3])

  class ByNest(tfp_ood.training.DistributionModel):
    measure_names = ('first',)

    def example_losses(self, x, y, seed):
      return -self.call(x) + 0.0 * y['b'][:, 0], {'first': y['a']}

  model = ByNest(_unit_normal()[0])
  model.compile('sgd')
  y = {'a': np.array([1.0, 3.0], np.float32), 'b': np.ones([2, 4], np.float32)}
  dataset = tf.data.Dataset.from_tensors((np.ones([2, 2], np.float32), y))
  assert model.fit(dataset, verbose=0).history['first'] == [2.0]


@pytest.mark.parametrize(
  'normalization',
  [
    tf_keras.layers.BatchNormalization,
    tf_keras.layers.experimental.SyncBatchNormalization,
  ],
)
def test_a_model_that_normalizes_by_the_batch_is_not_divided(
  monkeypatch, normalization
):
  monkeypatch.setattr(_parts, '_DIVISION', [2])
  network = tf_keras.Sequential([tf_keras.Input([3]), normalization()])
  model = helpers.compiled(helpers.Energy(network), run_eagerly=False)
  with pytest.raises(ValueError, match='without `divide_batches`'):
    model.fit(np.ones([4, 3], np.float32), verbose=0)


def test_each_part_of_a_batch_has_noise_of_its_own(monkeypatch):
  monkeypatch.setattr(_parts, '_DIVISION', [2])

  class Draws(tfp_ood.training.DistributionModel):
    measure_names = ('first', 'second')

    def example_losses(self, x, y, seed):
      draw = tf.random.stateless_uniform([], seed)
      draws = draw * tf.ones_like(x[:, 0])
      is_first = tf.cast(x[:, 0] > 0, tf.float32)
      return -self.call(x), {
        'first': (draws, is_first),
        'second': (draws, 1 - is_first),
      }

  model = Draws(_unit_normal()[0])
  model.compile('sgd')
  x = np.array([[1.0, 0], [1, 0], [-1, 0], [-1, 0]], np.float32)
  history = model.fit(x, epochs=2, shuffle=False, verbose=0).history
  draws = [*history['first'], *history['second']]
  assert len(set(draws)) == 4


def test_data_sets_of_tuples():
  images = _images(32)
  labelled = _batches((images, np.arange(32)))
  losses = []
  for dataset in (_batches(images), labelled):
    model = helpers.compiled(_glow())
    history = model.fit(
      dataset, validation_data=dataset, epochs=2, verbose=0
    ).history
    losses.append(history['bits_per_dim'] + history['val_bits_per_dim'])
    assert model.predict(dataset, verbose=0).shape == (32,)
  np.testing.assert_allclose(*losses, rtol=1e-6)


@pytest.mark.parametrize('convert', [np.asarray, tf.constant])
def test_arrays_are_data_and_validation_data(convert):
  images = _images(32)
  losses = []
  for x in (_batches(images), convert(images)):
    model = helpers.compiled(_glow())
    assert not model.distribution.is_initialized
    history = model.fit(
      x,
      validation_data=x,
      batch_size=None if isinstance(x, tf.data.Dataset) else 16,
      shuffle=False,
      verbose=0,
    ).history
    losses.append(history['bits_per_dim'] + history['val_bits_per_dim'])
  np.testing.assert_allclose(*losses, rtol=1e-5)


class _Sequence(tf_keras.utils.Sequence):
  def __len__(self):
    return 2

  def __getitem__(self, index):
    return _images(4, seed=index)


def test_other_kinds_of_data_are_validation_data():
  model = helpers.compiled(_glow())
  with pytest.raises(ValueError, match='got _Sequence.*call `initialize`'):
    model.fit(_Sequence(), verbose=0)
  model.initialize(_images(8))
  for data in (_Sequence(), (_images(8), np.zeros(8))):
    history = model.fit(
      _Sequence(), validation_data=data, shuffle=False, verbose=0
    ).history
    assert len(history['val_bits_per_dim']) == 1


def test_fit_initializes_once_before_the_first_step():
  images = _images(32)
  model = _still()
  flow = model.distribution
  assert not flow.is_initialized
  model.fit(_batches(images, 8), verbose=0)
  assert flow.is_initialized
  reference = _glow()
  reference.initialize(images)
  helpers.assert_all_close(
    flow.variables, reference.variables, rtol=1e-6, atol=1e-6
  )
  # Another data set, for which initialization would give other weights.
  before = helpers.values(flow.variables)
  model.fit(_batches(_images(32, seed=5) // 2, 8), verbose=0)
  for variable, old in zip(flow.variables, before, strict=True):
    np.testing.assert_array_equal(variable, old)


@pytest.mark.parametrize(
  'data, number', [(_batches(_images(64), 8), 16), (_images(300), 256)]
)
def test_initialize_uses_the_first_examples(data, number):
  images = _images(300) if number == 256 else _images(64)
  model = helpers.compiled(_glow())
  model.initialize(data, num_batches=2)
  reference = _glow()
  reference.initialize(images[:number])
  helpers.assert_all_close(
    model.distribution.variables, reference.variables, rtol=1e-6, atol=1e-6
  )


# -------------------------------------------------------------------- metrics


def test_metrics_start_anew_each_epoch():
  model = _still()
  images = _images(16)
  history = model.fit(
    _batches(images), epochs=2, verbose=0, validation_data=_batches(images)
  ).history
  assert set(history) == {'bits_per_dim', 'val_bits_per_dim'}
  np.testing.assert_allclose(*history['val_bits_per_dim'], rtol=1e-6)


def test_a_ragged_last_batch_weighs_by_its_examples():
  images = _images(65)
  model = _still()
  model.initialize(_batches(images))
  loss = model.fit(_batches(images, 64), verbose=0).history['bits_per_dim'][0]
  scores = model.evaluate(_batches(images), verbose=0)
  np.testing.assert_allclose(loss, scores, atol=0.05)


# --------------------------------------------------------------------- errors


def test_a_distribution_with_nothing_to_train_is_refused():
  with pytest.raises(ValueError, match='normal has no trainable variables'):
    tfp_ood.training.DistributionModel(
      tfd.Sample(tfd.Normal(0.0, 1.0, name='normal'), _SHAPE, name='normal')
    )


def test_a_distribution_without_an_event_shape_is_refused():
  gambler = _Gambler()
  gambler.event_shape = tf.TensorShape([None, 2])
  with pytest.raises(ValueError, match=r'event shape, got \(None, 2\)'):
    tfp_ood.training.DistributionModel(gambler)


def test_data_that_do_not_fit_are_refused():
  model = helpers.compiled(_glow())
  for nothing in (_batches(_images(4)).take(0), _images(0)):
    with pytest.raises(ValueError, match='there are no examples'):
      model.fit(nothing, verbose=0)
  with pytest.raises(ValueError, match='not initialized'):
    model.evaluate(_batches(_images(4)), verbose=0)
  with pytest.raises(ValueError, match=r'got \(4, 4, 2, 1\)'):
    model.fit(_batches(_images(4)[:, :, :2]), verbose=0)


def test_optimizers_of_keras_3_are_refused():
  model = tfp_ood.training.DistributionModel(_unit_normal()[0])
  with pytest.raises(
    TypeError,
    match='DistributionModel.compile: the optimizer Adam is of Keras 3; take '
    'one of tf_keras.optimizers, or tfp_ood.training.adam',
  ):
    model.compile(keras.optimizers.Adam())


def test_optimizers_may_be_given_by_name():
  model = helpers.compiled(_unit_normal()[0], 'sgd')
  assert isinstance(model.optimizer, tf_keras.optimizers.SGD)


# ------------------------------------------------------------- keeping weights


def test_saving_a_model_is_refused(tmp_path):
  model = helpers.compiled(_unit_normal()[0])
  x = np.zeros([4, 2], np.float32)
  with pytest.raises(
    NotImplementedError, match='save_weights.*export_saved_model'
  ):
    model.save(tmp_path / 'model')
  checkpoint = tf_keras.callbacks.ModelCheckpoint(f'{tmp_path}/model')
  with pytest.raises(NotImplementedError, match='save_weights_only=True'):
    model.fit(x, verbose=0, callbacks=[checkpoint])
  assert not list(tmp_path.iterdir())


@pytest.mark.parametrize('name', ['a.h5', 'a.weights.h5', 'a.keras', 'a.hdf5'])
def test_files_that_hold_layers_alone_are_refused(tmp_path, name):
  model = helpers.compiled(_unit_normal()[0])
  path = tmp_path / name
  with pytest.raises(ValueError, match='leave out the variables of the dist'):
    model.save_weights(path)
  with pytest.raises(ValueError, match='leave out the variables of the dist'):
    model.load_weights(path)
  with pytest.raises(ValueError, match='leave out the variables of the dist'):
    model.save_weights(tmp_path / 'a', save_format='h5')
  assert not list(tmp_path.iterdir())


def test_checkpoints_of_weights_are_written_and_restored(tmp_path):
  path = str(tmp_path / 'epoch_{epoch}')
  flow = _glow()
  model = helpers.compiled(flow)
  checkpoint = tf_keras.callbacks.ModelCheckpoint(path, save_weights_only=True)
  at_ends = []

  class _AtEnds(tf_keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
      at_ends.append(helpers.values(flow.variables))

  images = _images(16)
  callbacks = [checkpoint, _AtEnds()]
  model.fit(_batches(images, 8), epochs=2, verbose=0, callbacks=callbacks)
  other = helpers.compiled(_glow())
  for epoch, expected in enumerate(at_ends, start=1):
    other.load_weights(path.format(epoch=epoch)).expect_partial()
    assert other.distribution.is_initialized
    helpers.assert_all_close(other.distribution.variables, expected, rtol=0)
  np.testing.assert_array_equal(
    other.distribution.log_prob(images), flow.log_prob(images)
  )


def test_the_best_weights_are_restored():
  model = helpers.compiled(_unit_normal()[0], tf_keras.optimizers.SGD(0.1))
  (loc,) = model.distribution.trainable_variables

  class _Worse(tf_keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
      logs['badness'] = float(epoch != 1)

  record = helpers.Record(lambda logs: loc.numpy())
  best = tf_keras.callbacks.EarlyStopping(
    'badness', patience=2, restore_best_weights=True
  )
  x = np.full([4, 2], 5.0, np.float32)
  model.fit(x, epochs=9, verbose=0, callbacks=[record, _Worse(), best])
  assert len(record.values) == 4
  np.testing.assert_array_equal(loc, record.values[1])


# ------------------------------------------------------ steps that are skipped


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


def _fit_overflowing(num_bad, **kwargs):
  examples = np.ones([40, 4, 2], np.float32)
  examples[10 : 10 + num_bad] = 100.0
  adam = tfp_ood.training.adam(0.1)
  model = helpers.compiled(_Overflowing(), adam, run_eagerly=False, **kwargs)
  history = model.fit(
    tf.data.Dataset.from_tensor_slices(examples),
    verbose=0,
    callbacks=[tfp_ood.training.StopOnNaN()],
  )
  return model, history.history['bits_per_dim'][0]


def test_steps_that_overflow_are_skipped_and_counted():
  model, loss = _fit_overflowing(3, max_skipped_steps=5)
  assert int(model.skipped_steps.numpy()) == 3
  assert np.isfinite(loss) and 0 < loss < 10
  np.testing.assert_allclose(model.distribution.loc.numpy(), 1.0, atol=0.2)


def test_too_many_steps_that_overflow_in_a_row_end_the_training():
  with pytest.raises(FloatingPointError, match='batch 15: bits_per_dim is inf'):
    _fit_overflowing(30, max_skipped_steps=5)


def test_no_step_is_skipped_by_default():
  with pytest.raises(FloatingPointError, match='batch 10: bits_per_dim is inf'):
    _fit_overflowing(1)


# ------------------------------------------------------------ the first steps


@pytest.mark.slow
@pytest.mark.parametrize(
  'seed', [0, pytest.param(1, marks=pytest.mark.exhaustive)]
)
def test_a_deep_flow_needs_no_warm_up(seed):
  # Couplings without the gain of their networks were at 2e5 bits/dim and more.
  flow = tfp_ood.distributions.glow(
    [32, 32, 3], num_levels=3, num_steps=8, hidden_channels=128, seed=seed
  )
  model = helpers.compiled(flow, tfp_ood.training.adam(1e-3), run_eagerly=False)
  photographs = tfp_ood.datasets.load(
    'sample_photographs/train',
    batch_size=32,
    shuffle=True,
    seed=seed,
    limit=256,
  )
  history = model.fit(photographs, verbose=0)
  assert history.history['bits_per_dim'][0] < 7.0
