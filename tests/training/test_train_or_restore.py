# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of training in a folder, interrupted or not."""

import csv
import importlib
import json
import math
import types

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras
import training_helpers as helpers
from tiers import few

import tfp_ood

tfd = tfp.distributions

_SETTINGS = {'rate': 0.1, 'sides': (2, 2), 'name': 'normal', 'prior': None}
_STEPS = 6  # Of an epoch.
_BACKUP_STEPS = 4


@pytest.fixture(autouse=True)
def _frequent_backups(monkeypatch):
  module = importlib.import_module('tfp_ood.training.train_or_restore')
  monkeypatch.setattr(module, '_BACKUP_STEPS', _BACKUP_STEPS)


def _model(ema_momentum=None):
  loc = tf.Variable([0.0, 0.0], name='loc')
  log_scale = tf.Variable([1.0, 1.0], name='log_scale')
  scale = tfp.util.DeferredTensor(log_scale, tf.exp)
  normal = tfd.Independent(tfd.Normal(loc, scale), 1, name='the_normal')
  adam = tfp_ood.training.adam(0.1, ema_momentum=ema_momentum)
  return helpers.compiled(normal, adam)


def _network():
  tf_keras.utils.set_random_seed(0)
  layers = [
    tf_keras.layers.Input([2]),
    tf_keras.layers.BatchNormalization(),
    tf_keras.layers.Dense(2),
  ]
  model = tf_keras.Sequential(layers)
  model.compile(tf_keras.optimizers.Adam(0.1), 'mse', run_eagerly=True)
  return model


def _dataset(num_batches=_STEPS):
  # A data set starts anew when a run is resumed: its batches are all alike.
  batch = np.random.default_rng(0).normal(3.0, 0.5, [4, 2]).astype(np.float32)
  return tf.data.Dataset.from_tensors(batch).repeat(num_batches)


def _pairs():
  return _dataset().map(lambda x: (x, x))


def _train(folder, model=None, dataset=None, interrupt_at=None, **kwargs):
  model = model or _model()
  callbacks = [*kwargs.pop('callbacks', ())]
  if interrupt_at is not None:
    callbacks.append(helpers.InterruptAt(interrupt_at))
  kwargs = {'epochs': 3, 'settings': _SETTINGS, **kwargs}
  record = tfp_ood.training.train_or_restore(
    model,
    folder and str(folder),
    dataset=dataset or _dataset(),
    callbacks=callbacks,
    **kwargs,
  )
  return model, record


def _variables(model):
  return getattr(model, 'distribution', model).variables


def _names(folder):
  return {path.name for path in folder.iterdir()}


_LEFT = {
  'configuration.json',
  'training.json',
  'epochs.csv',
  'weights.index',
  'weights.data-00000-of-00001',
}


# ------------------------------------------------------------ train and restore


def test_it_trains_as_fit_does_and_says_how(tmp_path):
  folder = tmp_path / 'deep' / 'folder'
  validation = _dataset(2)
  model, record = _train(folder, validation_data=validation)
  expected = _model()
  history = expected.fit(
    _dataset(), validation_data=validation, epochs=3, verbose=0
  ).history
  helpers.assert_all_close(
    model.distribution.variables, expected.distribution.variables, rtol=0
  )
  assert record['steps'] == 3 * _STEPS
  assert record['examples'] == 3 * _STEPS * 4
  assert record['skipped_steps'] == 0
  assert record['seconds'] == float(model.training_seconds) > 0
  assert record['epochs'] == [
    {
      'epoch': index + 1,
      'bits_per_dim': pytest.approx(history['bits_per_dim'][index]),
      'val_bits_per_dim': pytest.approx(history['val_bits_per_dim'][index]),
    }
    for index in range(3)
  ]
  assert _names(folder) == _LEFT
  assert json.loads((folder / 'training.json').read_text()) == record


def test_what_is_trained_is_restored_without_a_step(tmp_path, capsys):
  model, record = _train(tmp_path)
  other, again = _train(tmp_path, interrupt_at=1)
  assert again == record
  assert int(other.optimizer.iterations) == 0
  helpers.assert_all_close(
    other.distribution.variables, model.distribution.variables, rtol=0
  )
  assert 'trained already' in capsys.readouterr().out
  assert _names(tmp_path) == _LEFT


def test_one_worker_has_all_the_files(tmp_path):
  # `repeat` would make it an endless data set: epochs are those of before.
  model, record = _train(tmp_path / 'one', shard_files=True)
  other, expected = _train(tmp_path / 'other')
  assert record['steps'] == expected['steps'] == 3 * _STEPS
  helpers.assert_all_close(_variables(model), _variables(other), rtol=0)


def test_averages_of_weights_are_what_is_kept(tmp_path):
  model, _ = _train(tmp_path, _model(ema_momentum=0.8))
  last = _model()
  last.fit(_dataset(), epochs=3, verbose=0)
  restored, _ = _train(tmp_path, _model(ema_momentum=0.8))
  for kept, averaged, other in zip(
    restored.distribution.variables,
    model.distribution.variables,
    last.distribution.variables,
    strict=True,
  ):
    np.testing.assert_array_equal(kept, averaged)
    assert np.abs(kept - other).max() > 0.01


def test_without_a_folder_it_trains_and_says_how(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  model, record = _train(None)
  assert record['steps'] == int(model.optimizer.iterations) == 18
  assert [epoch['epoch'] for epoch in record['epochs']] == [1, 2, 3]
  assert _names(tmp_path) == set()


def test_any_keras_model_is_trained_and_restored(tmp_path):
  model, record = _train(tmp_path, _network(), _pairs())
  expected = _network()
  expected.fit(_pairs(), epochs=3, verbose=0)
  helpers.assert_all_close(model.weights, expected.weights, rtol=1e-6)
  assert record['steps'] == 18
  assert record['skipped_steps'] == 0
  assert record['seconds'] > 0
  assert set(record['epochs'][0]) == {'epoch', 'loss'}
  fresh = _network()
  fresh.set_weights([0 * weight for weight in fresh.get_weights()])
  restored, again = _train(tmp_path, fresh, _pairs())
  assert again == record
  helpers.assert_all_close(restored.weights, model.weights, rtol=0)


def test_any_keras_model_is_trained_for_minutes(tmp_path):
  _, record = _train(tmp_path, _network(), _pairs(), epochs=None, minutes=1e-3)
  assert 0.06 <= record['seconds'] < 10
  assert record['steps'] > 1


def test_skipped_steps_are_counted(tmp_path):
  dataset = _dataset(4).concatenate(
    tf.data.Dataset.from_tensors(np.full([4, 2], 1e30, np.float32))
  )
  normal = _model().distribution
  sgd = tf_keras.optimizers.SGD(0.01)
  model = helpers.compiled(normal, sgd, max_skipped_steps=1)
  _, record = _train(tmp_path, model, dataset, epochs=2)
  assert record['skipped_steps'] == 2
  assert record['steps'] == 10


def test_minutes_instead_of_epochs(tmp_path, monkeypatch):
  clock = types.SimpleNamespace(now=0.0)
  monkeypatch.setattr(
    importlib.import_module('tfp_ood.training.time_limit'),
    'time',
    types.SimpleNamespace(monotonic=lambda: clock.now),
  )

  class _Second(tf_keras.callbacks.Callback):
    def on_train_batch_begin(self, batch, logs=None):
      clock.now += 1.0

  def train(**kwargs):
    return _train(
      tmp_path, epochs=None, minutes=14 / 60, callbacks=[_Second()], **kwargs
    )

  with pytest.raises(KeyboardInterrupt):
    train(interrupt_at=7)
  # The backup is of four steps and two seconds: the first step does not count,
  # and the last one not yet. A clock that goes on leaves one step out again.
  model, record = train()
  assert record['seconds'] == 14.0
  assert record['steps'] == int(model.optimizer.iterations) == 4 + 1 + 12
  # The epoch that was cut short is measured, too.
  assert [epoch['epoch'] for epoch in record['epochs']] == [1, 2, 3]


# -------------------------------------------------------------- interruptions


@pytest.mark.parametrize(
  'make',
  [
    _model,
    lambda: _model(0.8),
    pytest.param(_network, marks=pytest.mark.exhaustive),
  ],
)
@pytest.mark.parametrize('step', few([5, 14, 2, 8, 18]))
def test_a_resumed_run_ends_where_an_uninterrupted_one_does(
  tmp_path, make, step
):
  dataset = _pairs() if make is _network else _dataset()
  whole, expected = _train(None, make(), dataset)
  with pytest.raises(KeyboardInterrupt):
    _train(tmp_path, make(), dataset, interrupt_at=step)
  assert _names(tmp_path) <= {'configuration.json', 'epochs.csv', 'backup'}
  resumed = make()
  steps = helpers.Record(lambda logs: int(resumed.optimizer.iterations))
  _, record = _train(tmp_path, resumed, dataset, callbacks=[steps])
  first = step // _BACKUP_STEPS * _BACKUP_STEPS + 1
  assert steps.values == list(range(first, 19))
  assert record['steps'] == 18
  helpers.assert_all_close(_variables(resumed), _variables(whole), rtol=1e-6)
  assert _names(tmp_path) == _LEFT
  # Losses of an epoch are of the steps since it was resumed: the last is whole.
  if first <= 13:
    last = record['epochs'][-1]
    assert last == pytest.approx(expected['epochs'][-1], rel=1e-4)


def _rows(folder):
  with open(folder / 'epochs.csv', newline='') as file:
    return list(csv.DictReader(file))


def test_each_epoch_is_in_the_record_once(tmp_path):
  with pytest.raises(KeyboardInterrupt):
    _train(tmp_path, interrupt_at=13)
  first = _rows(tmp_path)
  assert [row['epoch'] for row in first] == ['0', '1']
  # The backup of step 12 is of the end of an epoch, that of step 8 is not.
  with pytest.raises(KeyboardInterrupt):
    _train(tmp_path, interrupt_at=14)
  assert _rows(tmp_path) == first
  _, record = _train(tmp_path)
  rows = _rows(tmp_path)
  assert [row['epoch'] for row in rows] == ['0', '1', '2']
  assert rows[:2] == first
  assert [
    (epoch['epoch'], epoch['bits_per_dim']) for epoch in record['epochs']
  ] == [(int(row['epoch']) + 1, float(row['bits_per_dim'])) for row in rows]


def test_epochs_that_are_trained_again_are_forgotten(tmp_path):
  # Two epochs, and then the backup is lost: the third run is shorter.
  with pytest.raises(KeyboardInterrupt):
    _train(tmp_path, interrupt_at=13)
  for path in sorted((tmp_path / 'backup').rglob('*'), reverse=True):
    path.rmdir() if path.is_dir() else path.unlink()
  _, record = _train(tmp_path, epochs=1)
  assert [row['epoch'] for row in _rows(tmp_path)] == ['0']
  assert [epoch['epoch'] for epoch in record['epochs']] == [1]
  assert record['steps'] == _STEPS


class _Adds(tf_keras.callbacks.Callback):
  """Adds a number of its own to the record of an epoch."""

  def __init__(self, name, value=1.0):
    super().__init__()
    self._name, self._value = name, value

  def on_epoch_end(self, epoch, logs=None):
    logs[self._name] = self._value


def test_other_measures_of_a_resumed_run_have_columns_of_their_own(tmp_path):
  with pytest.raises(KeyboardInterrupt):
    _train(tmp_path, interrupt_at=13, callbacks=[_Adds('auroc_of_one', 0.25)])
  _, record = _train(tmp_path, callbacks=[_Adds('auroc_of_another', 0.75)])
  rows = _rows(tmp_path)
  assert [row['auroc_of_one'] for row in rows] == ['0.25', '0.25', '']
  assert [row['auroc_of_another'] for row in rows] == ['', '', '0.75']
  # What was measured otherwise cannot be drawn in one curve.
  (last,) = record['epochs']
  assert last['epoch'] == 3
  assert set(last) == {'epoch', 'bits_per_dim', 'auroc_of_another'}


@pytest.mark.parametrize('value', [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_none_in_the_record(tmp_path, value):
  _, record = _train(tmp_path, callbacks=[_Adds('auroc', value)])
  assert [epoch['auroc'] for epoch in record['epochs']] == [None] * 3
  assert _train(tmp_path)[1] == record
  # It can be drawn, as far as it is finite.
  tfp_ood.evaluation.training_curves({'model': record})


# ------------------------------------------------------------------- settings


@pytest.mark.parametrize('is_interrupted', [True, False])
def test_other_settings_are_refused_by_name(tmp_path, is_interrupted):
  if is_interrupted:
    with pytest.raises(KeyboardInterrupt):
      _train(tmp_path, interrupt_at=2)
  else:
    _train(tmp_path)
  names = _names(tmp_path)
  other = {**_SETTINGS, 'rate': 0.2, 'sides': [2, 3], 'steps': 4}
  message = (
    r'other settings \(rate: 0.1 there, 0.2 now, sides: \[2, 2\] there, '
    r'\[2, 3\] now, steps: None there, 4 now\)'
  )
  with pytest.raises(tfp_ood.training.OtherSettingsError, match=message) as e:
    _train(tmp_path, settings=other)
  assert str(tmp_path) in str(e.value)
  assert 'name' not in str(e.value)
  assert isinstance(e.value, ValueError)
  assert _names(tmp_path) == names
  # The folder is as it was.
  _, record = _train(tmp_path)
  assert record['steps'] == 18


def test_settings_are_compared_as_they_are_kept(tmp_path):
  check = tfp_ood.training.check_settings
  check(str(tmp_path / 'nowhere'), _SETTINGS)
  _train(tmp_path)
  check(str(tmp_path), {**_SETTINGS, 'sides': [2, 2]})
  check(str(tmp_path), {**_SETTINGS, 'sides': np.array([2, 2])})
  check(str(tmp_path), {**_SETTINGS, 'rate': np.float64(0.1)})
  with pytest.raises(tfp_ood.training.OtherSettingsError, match='sides'):
    check(str(tmp_path), {**_SETTINGS, 'sides': (2, 1)})


# ------------------------------------------------------------- damaged folders


def _cut(path):
  content = path.read_bytes()
  path.write_bytes(content[: len(content) // 3])


@pytest.mark.parametrize(
  'name, message',
  [
    ('weights.index', 'weights at .* cannot be read into the_normal'),
    ('weights.data-00000-of-00001', 'absent, damaged or of another model'),
    ('training.json', 'training.json. is not a whole results file'),
    ('configuration.json', 'configuration.json. is not a whole results file'),
  ],
)
def test_damaged_files_are_named(tmp_path, name, message):
  _train(tmp_path)
  _cut(tmp_path / name)
  with pytest.raises(ValueError, match=message) as error:
    _train(tmp_path)
  assert str(tmp_path) in str(error.value)


def test_weights_that_are_gone_are_named(tmp_path):
  _train(tmp_path)
  (tmp_path / 'weights.index').unlink()
  with pytest.raises(ValueError, match='absent, damaged or of another model'):
    _train(tmp_path)


@pytest.mark.parametrize('make', [_model, _network])
@pytest.mark.parametrize(
  'name', ['*.index', '*.data-00000-of-00001', 'checkpoint']
)
def test_a_damaged_backup_is_named(tmp_path, make, name):
  dataset = _pairs() if make is _network else _dataset()
  with pytest.raises(KeyboardInterrupt):
    _train(tmp_path, make(), dataset, interrupt_at=5)
  (path,) = (tmp_path / 'backup').rglob(name)
  _cut(path)
  with pytest.raises(ValueError, match='backup of the interrupted .* damaged'):
    _train(tmp_path, make(), dataset)


def test_a_run_that_diverges_is_not_done(tmp_path):
  poison = np.full([4, 2], 1e30, np.float32)
  dataset = _dataset(4).concatenate(tf.data.Dataset.from_tensors(poison))
  normal = _model().distribution
  with pytest.raises(FloatingPointError, match='Training stopped at batch'):
    _train(tmp_path, helpers.compiled(normal), dataset)
  assert not _names(tmp_path) & {'training.json', 'weights.index'}


# ------------------------------------------------------------------- arguments


def test_how_long_to_train_must_be_given(tmp_path):
  with pytest.raises(ValueError, match='give `epochs` or `minutes`'):
    _train(tmp_path / 'folder', epochs=None)
  # Keras refuses none at all, where an endless training would be one answer.
  with pytest.raises(ValueError, match='epochs'):
    _train(tmp_path / 'folder', epochs=0, minutes=0.01)


@pytest.mark.parametrize(
  'dataset', [_dataset().repeat(), _dataset().filter(lambda x: True)]
)
def test_the_number_of_batches_must_be_known(tmp_path, dataset):
  with pytest.raises(ValueError, match='how many batches an epoch has'):
    _train(tmp_path / 'folder', dataset=dataset)
  assert not (tmp_path / 'folder').exists()


def test_a_number_of_batches_may_be_told(tmp_path):
  dataset = _dataset().filter(lambda x: True)
  dataset = dataset.apply(tf.data.experimental.assert_cardinality(_STEPS))
  _, record = _train(tmp_path, dataset=dataset)
  assert record['steps'] == 18


def test_tensorboard_logs_need_a_folder(tmp_path):
  with pytest.raises(ValueError, match='TensorBoard logs need a `folder`'):
    _train(None, tensorboard=True)
  pytest.importorskip('tensorboard')
  _train(tmp_path, tensorboard=True, epochs=1, callbacks=[_Adds('auroc')])
  (path,) = (tmp_path / 'tensorboard').rglob('*train/*tfevents*')
  tags = {
    value.tag
    for event in tf.compat.v1.train.summary_iterator(str(path))
    for value in event.summary.value
  }
  assert {'epoch_bits_per_dim', 'epoch_auroc'} <= tags
