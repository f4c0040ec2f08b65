# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reading a checkpoint as a whole before anything is restored from it."""

import os

import tensorflow as tf
import tf_keras

__all__ = ['check_backups', 'check_checkpoint']


def check_checkpoint(path):
  """Raises unless every tensor of a checkpoint can be read.

  Restoring reads one tensor after the other and would leave a model half
  restored where a file is cut short.

  Args:
    path: prefix of the checkpoint's files.

  Raises:
    ValueError: if the files are absent, cut short, or fail their checksums.
  """
  try:
    reader = tf.train.load_checkpoint(path)
    for name in reader.get_variable_to_shape_map():
      reader.get_tensor(name)
  # The reader raises built-in errors too, IndexError where a file is short.
  except (tf.errors.OpError, LookupError, RuntimeError, ValueError) as error:
    raise ValueError(
      f'The checkpoint {path} is absent or damaged. ({error})'
    ) from error


def check_backups(callbacks):
  """Raises unless the backup of an interrupted run, if any, can be read.

  Args:
    callbacks: list of Keras callbacks, or `None`. Each
      `tf_keras.callbacks.BackupAndRestore` names a folder.

  Raises:
    ValueError: if there is a backup, and it is damaged.
  """
  for callback in callbacks or []:
    if isinstance(callback, tf_keras.callbacks.BackupAndRestore):
      _check_backup(callback.backup_dir)


def _check_backup(backup_dir):
  folder = os.path.join(backup_dir, 'chief')
  if not tf.io.gfile.exists(os.path.join(folder, 'checkpoint')):
    return
  try:
    state = tf.train.get_checkpoint_state(folder)
    if state is None:
      raise ValueError(f'{os.path.join(folder, "checkpoint")} is cut short.')
    check_checkpoint(state.model_checkpoint_path)
  except ValueError as error:
    raise ValueError(
      f'The backup of the interrupted training run in {backup_dir} is damaged: '
      f'delete that folder and start again. ({error})'
    ) from error
