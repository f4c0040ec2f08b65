# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""What to do when one of several workers is gone."""

import contextlib

import tensorflow as tf

__all__ = ['LostWorkerError', 'tell_of_lost_workers']

# What TensorFlow raises on those that are left.
_ERRORS = (
  tf.errors.AbortedError,
  tf.errors.DeadlineExceededError,
  tf.errors.UnavailableError,
)


class LostWorkerError(RuntimeError):
  """A worker of a training has ended, or cannot be reached any more.

  #### Example

  >>> error = LostWorkerError('Start the same command again on every worker.')
  >>> isinstance(error, RuntimeError)
  True
  """


@contextlib.contextmanager
def tell_of_lost_workers(strategy, folder):
  """Raises `LostWorkerError` where a step of several workers has failed.

  Args:
    strategy: `tf.distribute.Strategy`; with one worker errors stay as they are.
    folder: `str`, where the backups are, or `None`.

  Yields:
    Nothing.

  Raises:
    LostWorkerError: if a worker is lost, with what to do.

  #### Example

  >>> import tensorflow as tf
  >>> with tell_of_lost_workers(tf.distribute.get_strategy(), 'outputs'):
  ...   raise tf.errors.UnavailableError(None, None, 'The disk is gone.')
  Traceback (most recent call last):
  ...
  tensorflow.python.framework.errors_impl.UnavailableError: The disk is gone.
  """
  try:
    yield
  except _ERRORS as error:
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
      raise
    where = (
      'without a folder there is no backup, and the training starts over.'
      if folder is None
      else f'the training goes on from the last backup in {folder}.'
    )
    raise LostWorkerError(
      'A worker of this training has ended or cannot be reached: see what it '
      'printed last. Then start the same command again on every worker; '
      f'{where}'
    ) from error
