# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Training in a folder, interrupted or not."""

import os
import shutil
import sys
import tempfile

import tensorflow as tf
import tf_keras

from tfp_ood._batches import images_of
from tfp_ood._results import plain_results, read_results, write_results
from tfp_ood.training._checkpoints import check_backups
from tfp_ood.training._epoch_record import EpochRecord
from tfp_ood.training._sharing import (
  check_same_start,
  shared_by_example,
  shared_by_file,
)
from tfp_ood.training.lost_workers import tell_of_lost_workers
from tfp_ood.training.progress import Progress
from tfp_ood.training.stop_on_nan import StopOnNaN
from tfp_ood.training.time_limit import TimeLimit
from tfp_ood.training.weights import load_weights, save_weights

__all__ = [
  'OtherSettingsError',
  'check_settings',
  'keep_settings',
  'train_or_restore',
]

_SETTINGS = 'configuration.json'
_RECORD = 'training.json'
_WEIGHTS = 'weights'
_BACKUP = 'backup'
_BACKUP_STEPS = 100


class OtherSettingsError(ValueError):
  """A folder holds a model of other settings."""


def check_settings(folder, settings):
  """Raises where a folder holds a model of other settings.

  Args:
    folder: `str`; it need not exist.
    settings: `dict`, all that decides what will be trained: numbers, strings and
      nested lists and `dict`s of them.

  Raises:
    OtherSettingsError: if it does, with each setting that is another.

  #### Example

  >>> import tempfile
  >>> with tempfile.TemporaryDirectory() as folder:
  ...   keep_settings(folder, {'width': 8, 'seed': 1})
  ...   check_settings(folder, {'width': 16, 'seed': 1})
  Traceback (most recent call last):
  ...
  tfp_ood.training.train_or_restore.OtherSettingsError: ... holds a model of other
  settings (width: 8 there, 16 now). Give another folder, or the same settings to
  resume.
  """
  path = os.path.join(folder, _SETTINGS)
  if not os.path.exists(path):
    return
  settings, earlier = plain_results(settings), read_results(path)
  changed = sorted(
    key
    for key in settings.keys() | earlier.keys()
    if settings.get(key) != earlier.get(key)
  )
  if changed:
    raise OtherSettingsError(
      f'{folder} holds a model of other settings ('
      + ', '.join(
        f'{key}: {earlier.get(key)} there, {settings.get(key)} now'
        for key in changed
      )
      + '). Give another folder, or the same settings to resume.'
    )


def keep_settings(folder, settings, is_chief=True):
  """Writes the settings of what a folder will hold, after `check_settings`.

  Args:
    folder: `str`.
    settings: `dict`; see `check_settings`.
    is_chief: Python `bool`; a worker that writes no files only checks them.

  Raises:
    OtherSettingsError: if the folder holds a model of others.

  #### Example

  >>> import os
  >>> import tempfile
  >>> with tempfile.TemporaryDirectory() as folder:
  ...   keep_settings(folder, {'width': 8})
  ...   keep_settings(folder, {'width': 8})  # The same: nothing to refuse.
  ...   os.listdir(folder)
  ['configuration.json']
  """
  check_settings(folder, settings)
  if is_chief:
    write_results(os.path.join(folder, _SETTINGS), settings)


def train_or_restore(
  model,
  folder,
  settings,
  dataset,
  validation_data=None,
  epochs=None,
  minutes=None,
  learning_rate=None,
  warmup_steps=0,
  callbacks=(),
  tensorboard=False,
  shard_files=False,
):
  """Trains a model, resumes what was interrupted, or restores what was trained.

  The folder holds configuration.json, the settings; weights and training.json once
  the training has ended; epochs.csv, what was measured; and, in between, a backup
  of every hundredth step.

  A run that is resumed in the middle of an epoch does the steps that were left of
  it, on a data set that starts anew.

  Several workers take the same number of steps. The chief alone writes, and all
  need to see the folder, under the same path. If one of them is lost, the others
  end, within half a minute; the same call again on all of them resumes.

  Args:
    model: `DistributionModel` or another `tf_keras.Model`, compiled, and made in the
      scope of its strategy.
    folder: `str`; `None` to train without one.
    settings: `dict`, all that decides what is trained, to tell a folder of another
      training.
    dataset: `tf.data.Dataset` of batches, as `fit` takes them, that knows how many
      it has; several workers share each batch.
    validation_data: another one, measured after each epoch.
    epochs: Python `int`; `None` to train for `minutes`.
    minutes: Python `float`, when to stop, interruptions not counted. A model that
      is no `DistributionModel` starts its clock anew when it is resumed.
    learning_rate: Python `float`, the largest rate, if it is to fall to zero by the
      clock, after `warmup_steps`; see `TimeLimit`. `None` leaves it to the optimizer.
    warmup_steps: Python `int`.
    callbacks: further Keras callbacks, such as `Watch`.
    tensorboard: Python `bool`, whether to write TensorBoard logs to the folder.
    shard_files: Python `bool`, whether each of several workers reads record files
      of its own, of which there are to be at least as many, and not all files to
      keep a share of each batch. An epoch has as many steps all the same. A worker
      whose files have fewer examples than those of others goes through them more
      often.

  Returns:
    `dict` of how the training went: `steps`; `skipped_steps`; `examples`, the steps
    times the size of a batch; `seconds`; and `epochs`, a list of what was measured
    after each, with `None` for what was not finite.

  Raises:
    LostWorkerError: if another worker has ended, or cannot be reached any more.
    OtherSettingsError: if the folder holds a model of other settings.
    ValueError: if neither `epochs` nor `minutes` is given, the number of batches is
      not known, logs have no folder, or files are damaged; if workers have other
      settings or see other files than the others; if there are no files to shard.

  #### Example

  >>> import tempfile
  >>> import tensorflow as tf
  >>> import tfp_ood
  >>> dataset = tf.data.Dataset.from_tensor_slices(tf.ones([8, 3])).batch(4)
  >>> records = []
  >>> with tempfile.TemporaryDirectory() as folder:
  ...   for _ in range(2):
  ...     normal = tfp_ood.distributions.learned_normal([3])
  ...     model = tfp_ood.training.DistributionModel(normal)
  ...     model.compile(tfp_ood.training.adam(0.1))
  ...     record = train_or_restore(model, folder, {'rate': 0.1}, dataset, epochs=1)
  ...     records.append(record)
  epoch 1: bits_per_dim ...
  The model is trained already: ...
  >>> records[0]['steps'], records[0] == records[1]
  (2, True)
  """
  _check_arguments(folder, dataset, epochs, minutes, tensorboard)
  strategy = model.distribute_strategy
  with tell_of_lost_workers(strategy, folder):
    if folder is not None:
      record = _restored(model, folder, settings)
      if record is not None:
        return record
    limit = TimeLimit(minutes, learning_rate, warmup_steps)
    path = None if folder is None else os.path.join(folder, 'epochs.csv')
    epoch_record = EpochRecord(path)
    callbacks = [
      *_first_callbacks(folder),
      limit,
      *callbacks,
      # After what adds to an epoch's record.
      epoch_record,
      Progress(minutes=minutes),
      *_tensorboard(folder, tensorboard),
    ]
    check_backups(callbacks)
    model.fit(
      validation_data=shared_by_example(validation_data),
      epochs=sys.maxsize if epochs is None else epochs,
      callbacks=callbacks,
      verbose=0,
      **_shared(dataset, strategy, shard_files),
    )
    # A variable of several replicas is no number by itself.
    steps = int(model.optimizer.iterations.numpy())
    skipped = getattr(model, 'skipped_steps', None)
    record = {
      'steps': steps,
      'skipped_steps': 0 if skipped is None else int(skipped.numpy()),
      'examples': steps * len(images_of(next(iter(dataset)))),
      'seconds': limit.seconds,
      'epochs': epoch_record.epochs,
    }
    if folder is not None:
      _keep(model, folder, record)
    return record


def _check_arguments(folder, dataset, epochs, minutes, tensorboard):
  if epochs is None and minutes is None:
    raise ValueError('train_or_restore: give `epochs` or `minutes`.')
  if tensorboard and folder is None:
    raise ValueError('train_or_restore: TensorBoard logs need a `folder`.')
  if dataset.cardinality() < 0:
    # Keras would not find back to the middle of an epoch.
    raise ValueError(
      'train_or_restore: `dataset` must know how many batches an epoch has. Tell '
      'it with `dataset.apply(tf.data.experimental.assert_cardinality(n))`, or '
      'limit an endless one with `dataset.take(n)`.'
    )


def _restored(model, folder, settings):
  """Restores what was trained; returns its record, or `None` if there is none."""
  strategy = model.distribute_strategy
  done = os.path.join(folder, _RECORD)
  check_same_start(strategy, settings, done, os.path.join(folder, _BACKUP))
  keep_settings(folder, settings, strategy.extended.should_checkpoint)
  if not os.path.exists(done):
    return None
  record = read_results(done)
  weights = os.path.join(folder, _WEIGHTS)
  load_weights(getattr(model, 'distribution', model), weights)
  print(f'The model is trained already: {weights}')
  return record


def _shared(dataset, strategy, shard_files):
  """Returns what `fit` takes for workers to share a data set."""
  is_multi_worker = isinstance(
    strategy, tf.distribute.MultiWorkerMirroredStrategy
  )
  if not (shard_files and is_multi_worker):
    return {'x': shared_by_example(dataset)}
  return {
    'x': shared_by_file(dataset, strategy),
    'steps_per_epoch': int(dataset.cardinality()),
  }


def _first_callbacks(folder):
  # The backup must not keep what the first one stops at.
  found = [StopOnNaN()]
  if folder is not None:
    found.append(
      tf_keras.callbacks.BackupAndRestore(
        os.path.join(folder, _BACKUP),
        save_freq=_BACKUP_STEPS,
        # Kept until the weights are safe.
        delete_checkpoint=False,
      )
    )
  return found


def _tensorboard(folder, is_wanted):
  if not is_wanted:
    return []
  return [tf_keras.callbacks.TensorBoard(os.path.join(folder, 'tensorboard'))]


def _keep(model, folder, record):
  """Writes what was trained, in the place of its backup."""
  is_chief = model.distribute_strategy.extended.should_checkpoint
  distribution = getattr(model, 'distribution', model)
  _save(distribution, os.path.join(folder, _WEIGHTS), is_chief)
  if is_chief:
    write_results(os.path.join(folder, _RECORD), record)
    shutil.rmtree(os.path.join(folder, _BACKUP), ignore_errors=True)


def _save(distribution, path, is_chief):
  """Saves weights, with the help of all workers.

  What replicas gather apart, such as the statistics of batch normalization, is
  averaged over all workers when it is read.
  """
  if is_chief:
    save_weights(distribution, path)
    return
  with tempfile.TemporaryDirectory() as aside:
    save_weights(distribution, os.path.join(aside, 'weights'))
