# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Training for a number of minutes."""

import time

import tensorflow as tf
import tf_keras

__all__ = ['TimeLimit']


class TimeLimit(tf_keras.callbacks.Callback):
  """Stops `fit` after so many minutes of training, interruptions not counted.

  The seconds are kept in `DistributionModel.training_seconds` and so in the
  checkpoints of `BackupAndRestore`: a run that was interrupted goes on with the
  time that is left. The clock starts after the first step, whose graph is built
  once.
  """

  def __init__(self, minutes):
    """Instantiates the callback.

    Args:
      minutes: positive Python `float`.
    """
    super().__init__()
    if not minutes > 0:
      raise ValueError(f'TimeLimit: `minutes` must be positive, got {minutes}.')
    self._seconds = minutes * 60
    self._last_time = None

  def on_train_begin(self, logs=None):
    """Refuses strategies whose workers would stop at different steps."""
    strategy = self.model.distribute_strategy
    if isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
      raise ValueError(
        'TimeLimit: the clocks of several workers disagree and the last step '
        'would hang; train for a number of epochs instead.'
      )
    self._last_time = None

  def on_train_batch_end(self, batch, logs=None):
    """Adds the time since the last step, and stops when it is used up."""
    now = time.monotonic()
    if self._last_time is not None:
      self.model.training_seconds.assign_add(now - self._last_time)
    self._last_time = now
    if float(self.model.training_seconds) >= self._seconds:
      self.model.stop_training = True

  def on_test_end(self, logs=None):
    """Leaves validation out of the training time."""
    if self._last_time is not None:
      self._last_time = time.monotonic()
