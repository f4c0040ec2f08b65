# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the callbacks, and of Keras's with a `DistributionModel`."""

import importlib
import math
import types

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras
import training_helpers as helpers

import tfp_ood

tfd = tfp.distributions


def _model(learning_rate=0.1, ema_momentum=None):
  """Fits location and scale of two normals."""
  loc = tf.Variable([0.0, 0.0], name='loc')
  log_scale = tf.Variable([1.0, 1.0], name='log_scale')
  scale = tfp.util.DeferredTensor(log_scale, tf.exp)
  normal = tfd.Independent(tfd.Normal(loc, scale), 1)
  adam = tfp_ood.training.adam(
    learning_rate, warmup_steps=3, ema_momentum=ema_momentum
  )
  return helpers.compiled(normal, adam)


def _dataset(num_batches):
  values = np.random.default_rng(0).normal(3.0, 0.5, [4 * num_batches, 2])
  return tf.data.Dataset.from_tensor_slices(values.astype(np.float32)).batch(4)


class _Clock(tf_keras.callbacks.Callback):
  """A clock that goes on by `seconds` with every batch."""

  def __init__(self, monkeypatch, module, seconds=1.0):
    super().__init__()
    self.now = 100.0
    self._seconds = seconds
    monkeypatch.setattr(
      importlib.import_module(module),
      'time',
      types.SimpleNamespace(monotonic=lambda: self.now),
    )

  def on_train_batch_begin(self, batch, logs=None):
    self.now += self._seconds


# ---------------------------------------------------------------- StopOnNaN


def test_a_diverging_run_is_stopped_with_advice():
  model = _model(learning_rate=1e4)
  with pytest.raises(
    FloatingPointError,
    match=r'stopped at batch \d+: bits_per_dim is (nan|inf)\. Lower the learn',
  ):
    model.fit(_dataset(50), verbose=0, callbacks=[tfp_ood.training.StopOnNaN()])
  assert int(model.optimizer.iterations) < 50


@pytest.mark.parametrize('value', [math.nan, math.inf, -math.inf])
def test_every_value_that_is_not_finite_stops(value):
  callback = tfp_ood.training.StopOnNaN()
  callback.on_train_batch_end(3, {'bits_per_dim': 1.0})
  callback.on_train_batch_end(4, None)
  with pytest.raises(FloatingPointError, match='batch 5: other is'):
    callback.on_train_batch_end(5, {'bits_per_dim': 1.0, 'other': value})


def test_a_good_run_is_not_stopped():
  model = _model()
  history = model.fit(
    _dataset(10), verbose=0, callbacks=[tfp_ood.training.StopOnNaN()]
  )
  assert len(history.history['bits_per_dim']) == 1


# ---------------------------------------------------------------- TimeLimit

_TIME_LIMIT = 'tfp_ood.training.time_limit'


def test_time_limit_stops_and_does_not_count_the_first_step(monkeypatch):
  clock = _Clock(monkeypatch, _TIME_LIMIT)
  model = _model()
  limit = tfp_ood.training.TimeLimit(minutes=10 / 60)
  assert limit.seconds == 0.0
  model.fit(_dataset(7), epochs=99, verbose=0, callbacks=[clock, limit])
  assert int(model.optimizer.iterations) == 11
  assert float(model.training_seconds) == limit.seconds == 10.0


def test_time_limit_counts_what_an_earlier_run_has_used(monkeypatch):
  clock = _Clock(monkeypatch, _TIME_LIMIT)
  model = _model()
  model.training_seconds.assign(7.0)
  limit = tfp_ood.training.TimeLimit(minutes=10 / 60)
  model.fit(_dataset(7), epochs=99, verbose=0, callbacks=[clock, limit])
  assert int(model.optimizer.iterations) == 4
  # Used again, later: the time between the two fits does not count.
  clock.now += 1000.0
  limit = tfp_ood.training.TimeLimit(minutes=12 / 60)
  model.fit(_dataset(7), epochs=99, verbose=0, callbacks=[clock, limit])
  assert int(model.optimizer.iterations) == 4 + 3
  assert float(model.training_seconds) == 12.0


def test_one_time_limit_for_two_fits(monkeypatch):
  clock = _Clock(monkeypatch, _TIME_LIMIT)
  limit = tfp_ood.training.TimeLimit(minutes=1)
  model = _model()
  for _ in range(2):
    model.fit(_dataset(7), verbose=0, callbacks=[clock, limit])
    clock.now += 1000.0
  assert float(model.training_seconds) == 12.0


def test_without_a_limit_the_time_is_measured(monkeypatch):
  clock = _Clock(monkeypatch, _TIME_LIMIT)
  model = _model()
  limit = tfp_ood.training.TimeLimit()
  model.fit(
    _dataset(7),
    validation_data=_dataset(3),
    epochs=2,
    verbose=0,
    callbacks=[clock, limit],
  )
  assert int(model.optimizer.iterations) == 14
  assert float(model.training_seconds) == limit.seconds == 13.0


def test_validation_does_not_count(monkeypatch):
  clock = _Clock(monkeypatch, _TIME_LIMIT)

  class _SlowValidation(tf_keras.callbacks.Callback):
    def on_test_begin(self, logs=None):
      clock.now += 1000.0

  model = _model()
  limit = tfp_ood.training.TimeLimit(minutes=1)
  model.fit(
    _dataset(7),
    validation_data=_dataset(3),
    epochs=2,
    verbose=0,
    callbacks=[clock, _SlowValidation(), limit],
  )
  assert limit.seconds == 13.0


def test_any_keras_model_is_stopped_in_time(monkeypatch):
  clock = _Clock(monkeypatch, _TIME_LIMIT)
  layers = [tf_keras.layers.Input([2]), tf_keras.layers.Dense(2)]
  model = tf_keras.Sequential(layers)
  model.compile('sgd', 'mse', run_eagerly=True)
  limit = tfp_ood.training.TimeLimit(minutes=10 / 60)
  data = np.zeros([28, 2], np.float32)
  model.fit(
    data, data, batch_size=4, epochs=99, verbose=0, callbacks=[clock, limit]
  )
  assert int(model.optimizer.iterations) == 11
  assert limit.seconds == 10.0


class _Rates(tf_keras.callbacks.Callback):
  """Collects the learning rate of every step."""

  def on_train_begin(self, logs=None):
    self.rates = []

  def on_train_batch_end(self, batch, logs=None):
    self.rates.append(float(self.model.optimizer.learning_rate))


def test_the_learning_rate_falls_to_zero_by_the_clock(monkeypatch):
  clock, rates = _Clock(monkeypatch, _TIME_LIMIT), _Rates()
  model = helpers.compiled(
    tfp_ood.distributions.learned_normal([2]), tfp_ood.training.adam(0.1)
  )
  limit = tfp_ood.training.TimeLimit(20 / 60, learning_rate=0.2, warmup_steps=4)
  model.fit(_dataset(7), epochs=99, verbose=0, callbacks=[clock, limit, rates])
  # The clock starts after the first step.
  seconds = np.maximum(0, np.arange(21) - 1 + (np.arange(21) == 0))
  expected = 0.1 * (1 + np.cos(np.pi * seconds / 20))
  expected[:4] *= np.array([1, 2, 3, 4]) / 4
  np.testing.assert_allclose(rates.rates, expected, rtol=1e-5, atol=1e-8)


def test_a_rate_by_the_clock_goes_on_where_it_stopped(monkeypatch):
  clock, rates = _Clock(monkeypatch, _TIME_LIMIT), _Rates()
  model = helpers.compiled(
    tfp_ood.distributions.learned_normal([2]), tfp_ood.training.adam(0.1)
  )
  model.training_seconds.assign(10.0)
  limit = tfp_ood.training.TimeLimit(20 / 60, learning_rate=0.2)
  model.fit(_dataset(3), verbose=0, callbacks=[clock, limit, rates])
  assert rates.rates[0] == pytest.approx(0.1)


def test_a_rate_by_the_clock_needs_a_limit():
  with pytest.raises(ValueError, match='needs `minutes`'):
    tfp_ood.training.TimeLimit(learning_rate=0.1)


def test_time_limit_by_the_real_clock():
  model = _model()
  limit = tfp_ood.training.TimeLimit(minutes=0.2 / 60)
  model.fit(
    _dataset(7).repeat(), steps_per_epoch=10**9, verbose=0, callbacks=[limit]
  )
  assert 0.2 <= float(model.training_seconds) < 10


@pytest.mark.parametrize('minutes', [0, -1.0, math.nan])
def test_time_limit_refuses_no_time(minutes):
  with pytest.raises(ValueError, match=f'must be positive, got {minutes}'):
    tfp_ood.training.TimeLimit(minutes)


def test_time_limit_refuses_several_workers():
  strategy = object.__new__(tf.distribute.MultiWorkerMirroredStrategy)
  callback = tfp_ood.training.TimeLimit(1.0)
  callback.set_model(types.SimpleNamespace(distribute_strategy=strategy))
  with pytest.raises(ValueError, match='several workers.*number of epochs'):
    callback.on_train_begin()
  # To measure alone is no harm.
  callback = tfp_ood.training.TimeLimit()
  callback.set_model(types.SimpleNamespace(distribute_strategy=strategy))
  callback.on_train_begin()


# ----------------------------------------------------------------- Progress


def test_progress_prints_epochs(capsys):
  model = _model()
  model.fit(
    _dataset(4),
    validation_data=_dataset(2),
    epochs=2,
    verbose=0,
    callbacks=[tfp_ood.training.Progress()],
  )
  lines = capsys.readouterr().out.splitlines()
  assert len(lines) == 2
  for number, line in enumerate(lines, start=1):
    start, bits, validation = line.replace(': ', ', ').split(', ')
    assert start == f'epoch {number}'
    assert bits.startswith('bits_per_dim ')
    assert validation.startswith('val_bits_per_dim ')
    float(bits.split()[1])


def test_progress_prints_now_and_then(capsys, monkeypatch):
  clock = _Clock(monkeypatch, 'tfp_ood.training.progress')
  model = _model()
  progress = tfp_ood.training.Progress(seconds=3.0, minutes=2)
  clock.now = progress._last_line  # Made now.
  model.training_seconds.assign(30.0)
  model.fit(_dataset(10), verbose=0, callbacks=[clock, progress])
  lines = capsys.readouterr().out.splitlines()
  batches = [line.split(':')[0] for line in lines]
  assert batches == [
    'epoch 1, batch 3',
    'epoch 1, batch 6',
    'epoch 1, batch 9',
    'epoch 1',
  ]
  assert all(line.endswith('(0.5 of 2 minutes)') for line in lines)


# --------------------------------------------------------- Keras's callbacks


@pytest.mark.parametrize('ema_momentum', [None, 0.8])
def test_an_interrupted_run_ends_where_it_would_have(tmp_path, ema_momentum):
  expected = _model(ema_momentum=ema_momentum)
  expected.fit(_dataset(5), epochs=4, verbose=0)

  def backup():
    return tf_keras.callbacks.BackupAndRestore(tmp_path)

  interrupted = _model(ema_momentum=ema_momentum)
  with pytest.raises(KeyboardInterrupt):
    interrupted.fit(
      _dataset(5),
      epochs=4,
      verbose=0,
      callbacks=[backup(), helpers.InterruptAt(12)],
    )
  resumed = _model(ema_momentum=ema_momentum)
  resumed.training_seconds.assign(-1.0)
  history = resumed.fit(_dataset(5), epochs=4, verbose=0, callbacks=[backup()])
  # Two epochs were saved.
  assert history.epoch == [2, 3]
  assert int(resumed.optimizer.iterations) == 20
  assert float(resumed.training_seconds) == 0.0
  helpers.assert_all_close(
    resumed.distribution.variables,
    expected.distribution.variables,
    rtol=1e-6,
  )


@pytest.mark.exhaustive
def test_a_flow_resumes_with_its_weights_and_its_noise(tmp_path):
  dataset = helpers.batches(helpers.smooth_images(16, [4, 4, 1]), 8)

  def fit(epochs, *callbacks):
    flow = tfp_ood.distributions.glow(
      [4, 4, 1], num_levels=1, num_steps=2, hidden_channels=2, seed=[0, 1]
    )
    adam = tfp_ood.training.adam(1e-2, ema_momentum=0.5)
    model = helpers.compiled(flow, adam)
    backup = tf_keras.callbacks.BackupAndRestore(
      tmp_path / f'{epochs}', delete_checkpoint=False
    )
    try:
      model.fit(
        dataset, epochs=epochs, verbose=0, callbacks=[backup, *callbacks]
      )
    except KeyboardInterrupt:
      pass
    return model

  expected = fit(4)
  fit(5, helpers.InterruptAt(5))
  # The same folder, of the run of which two epochs were saved.
  (tmp_path / '4').rename(tmp_path / 'whole')
  (tmp_path / '5').rename(tmp_path / '4')
  resumed = fit(4)
  assert int(resumed.optimizer.iterations) == 8
  helpers.assert_all_close(
    resumed.distribution.variables,
    expected.distribution.variables,
    rtol=1e-4,
    atol=1e-6,
  )


@pytest.mark.parametrize('keep', [0.0, 0.3])
@pytest.mark.parametrize(
  'name', ['ckpt-2.index', 'ckpt-2.data-00000-of-00001', 'checkpoint']
)
def test_a_truncated_backup_is_refused(tmp_path, name, keep):
  folder = tmp_path / 'backup'

  def fit(epochs):
    backup = tf_keras.callbacks.BackupAndRestore(
      folder, delete_checkpoint=False
    )
    model = _model()
    model.fit(_dataset(2), epochs=epochs, verbose=0, callbacks=[backup])
    return model

  fit(2)
  (path,) = folder.rglob(name)
  content = path.read_bytes()
  path.write_bytes(content[: int(len(content) * keep)])
  with pytest.raises(
    ValueError, match='backup of the interrupted training run in .* is damaged'
  ) as error:
    fit(3)
  assert str(folder) in str(error.value)


def test_tensorboard_writes_logs(tmp_path):
  pytest.importorskip('tensorboard')
  model = _model()
  model.fit(
    _dataset(3),
    epochs=2,
    verbose=0,
    callbacks=[tf_keras.callbacks.TensorBoard(tmp_path, write_graph=False)],
  )
  (path,) = tmp_path.rglob('*tfevents*')
  tags = {
    value.tag
    for event in tf.compat.v1.train.summary_iterator(str(path))
    for value in event.summary.value
  }
  assert 'epoch_bits_per_dim' in tags


def test_csv_logger_writes_the_losses(tmp_path):
  path = tmp_path / 'epochs.csv'
  _model().fit(
    _dataset(3),
    validation_data=_dataset(3),
    epochs=2,
    verbose=0,
    callbacks=[tf_keras.callbacks.CSVLogger(path)],
  )
  lines = path.read_text().splitlines()
  assert lines[0] == 'epoch,bits_per_dim,val_bits_per_dim'
  assert len(lines) == 3
