# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Training in a folder, interrupted or not."""

import csv
import os
import shutil
import sys

import tensorflow as tf
import tf_keras

from tfp_ood._batches import images_of
from tfp_ood._results import read_results, write_results
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
_BACKUP_STEPS = 100
_NOT_MEASURED = 'NA'  # What Keras writes.


class OtherSettingsError(ValueError):
  """A folder holds a model of other settings."""


def check_settings(folder, settings):
  """Raises where a folder holds a model of other settings.

  Args:
    folder: `str`; it need not exist.
    settings: `dict`, all that decides what will be trained, as `write_results`
      takes it.

  Raises:
    OtherSettingsError: if it does.
  """
  path = os.path.join(folder, _SETTINGS)
  if not os.path.exists(path):
    return
  earlier = read_results(path)
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


def keep_settings(folder, settings):
  """Writes the settings of what a folder will hold, after `check_settings`.

  Args:
    folder: `str`.
    settings: `dict`; see `check_settings`.

  Raises:
    OtherSettingsError: if the folder holds a model of others.
  """
  check_settings(folder, settings)
  write_results(os.path.join(folder, _SETTINGS), settings)


def train_or_restore(
  model,
  folder,
  settings,
  dataset,
  validation_data=None,
  epochs=None,
  minutes=None,
  callbacks=(),
  tensorboard=False,
):
  """Trains a model, resumes what was interrupted, or restores what was trained.

  The folder holds configuration.json, the settings; weights and training.json once
  the training has ended; epochs.csv, what was measured; and, in between, a backup
  of every hundredth step.

  Args:
    model: `DistributionModel` or another `tf_keras.Model`, compiled, and made in the
      scope of its strategy.
    folder: `str`; `None` to train without one.
    settings: `dict`, all that decides what is trained, to tell a folder of another
      training.
    dataset: `tf.data.Dataset` of batches, as `fit` takes them; several workers
      share each batch.
    validation_data: another one, measured after each epoch.
    epochs: Python `int`; `None` to train for `minutes`.
    minutes: Python `float`, when to stop, interruptions not counted.
    callbacks: further Keras callbacks, such as `Watch`.
    tensorboard: Python `bool`, whether to write TensorBoard logs.

  Returns:
    `dict` of how the training went: `steps`, `skipped_steps`, `examples`,
    `seconds`, and `epochs`, a list of what was measured after each.

  Raises:
    OtherSettingsError: if the folder holds a model of other settings.
    ValueError: if neither `epochs` nor `minutes` is given, or files are damaged.
  """
  if epochs is None and minutes is None:
    raise ValueError('train_or_restore: give `epochs` or `minutes`.')
  distribution = getattr(model, 'distribution', model)
  if folder is not None:
    keep_settings(folder, settings)
    weights = os.path.join(folder, 'weights')
    done = os.path.join(folder, _RECORD)
    if os.path.exists(done):
      load_weights(distribution, weights)
      print(f'The model is trained already: {weights}')
      return read_results(done)
  model.fit(
    _shared_by_example(dataset),
    validation_data=_shared_by_example(validation_data),
    epochs=epochs or sys.maxsize,
    callbacks=_callbacks(folder, minutes, callbacks, tensorboard),
    verbose=0,
  )
  record = _record(model, folder, dataset)
  if (
    folder is not None and model.distribute_strategy.extended.should_checkpoint
  ):
    save_weights(distribution, weights)
    write_results(done, record)
    shutil.rmtree(os.path.join(folder, 'backup'), ignore_errors=True)
  return record


def _callbacks(folder, minutes, callbacks, tensorboard):
  # The backup must not keep what the first one stops at, and the log comes after
  # what adds to it.
  found = [StopOnNaN()]
  if folder is not None:
    found.append(
      tf_keras.callbacks.BackupAndRestore(
        os.path.join(folder, 'backup'),
        save_freq=_BACKUP_STEPS,
        # Kept until the weights are safe.
        delete_checkpoint=False,
      )
    )
  found += [TimeLimit(minutes), *callbacks]
  if folder is not None:
    path = os.path.join(folder, 'epochs.csv')
    found.append(tf_keras.callbacks.CSVLogger(path, append=True))
  found.append(Progress(minutes=minutes))
  if tensorboard:
    path = os.path.join(folder, 'tensorboard')
    found.append(tf_keras.callbacks.TensorBoard(path))
  return found


def _record(model, folder, dataset):
  steps = int(model.optimizer.iterations)
  skipped = getattr(model, 'skipped_steps', None)
  batch_size = len(images_of(next(iter(dataset))))
  return {
    'steps': steps,
    'skipped_steps': 0 if skipped is None else int(skipped),
    'examples': steps * batch_size,
    'seconds': float(getattr(model, 'training_seconds', 0.0)),
    'epochs': [] if folder is None else _epochs(folder),
  }


def _epochs(folder):
  """Reads the record of epochs, counted from one.

  An interrupted run repeats the end of an epoch: the last word on it counts. One
  that was cut short, and not measured, is left out.
  """
  path = os.path.join(folder, 'epochs.csv')
  if not os.path.exists(path):
    return []
  with open(path, newline='') as file:
    rows = {row['epoch']: row for row in csv.DictReader(file)}
  epochs = [
    {
      key: float(value)
      for key, value in row.items()
      if value not in ('', _NOT_MEASURED)
    }
    | {'epoch': int(row['epoch']) + 1}
    for row in rows.values()
  ]
  most = max(map(len, epochs), default=0)
  return [epoch for epoch in epochs if len(epoch) == most]


def _shared_by_example(dataset):
  """Lets several workers share each batch; a data set may be a single file."""
  if dataset is None:
    return None
  options = tf.data.Options()
  options.experimental_distribute.auto_shard_policy = (
    tf.data.experimental.AutoShardPolicy.DATA
  )
  return dataset.with_options(options)
