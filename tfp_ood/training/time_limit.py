# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Training for a number of minutes."""

import time

import tensorflow as tf
import tf_keras

__all__ = ['TimeLimit']


class TimeLimit(tf_keras.callbacks.Callback):
  """Measures the time of `fit`, and stops it after so many minutes.

  The seconds are kept in `DistributionModel.training_seconds` and so in the
  checkpoints of `BackupAndRestore`: a run that was interrupted goes on with the
  time that is left. The clock starts after the first step, whose graph is built
  once, and stands still during validation.
  """

  def __init__(self, minutes=None):
    """Instantiates the callback.

    Args:
      minutes: positive Python `float`; `None` to measure alone.
    """
    super().__init__()
    if minutes is not None and not minutes > 0:
      raise ValueError(f'TimeLimit: `minutes` must be positive, got {minutes}.')
    self._limit = None if minutes is None else minutes * 60
    self._elapsed = None
    self._last_time = None

  @property
  def seconds(self):
    """The time trained, in seconds, a Python `float`."""
    return 0.0 if self._elapsed is None else float(self._elapsed.numpy())

  def on_train_begin(self, logs=None):
    """Refuses strategies whose workers would stop at different steps."""
    strategy = self.model.distribute_strategy
    is_multi_worker = isinstance(
      strategy, tf.distribute.MultiWorkerMirroredStrategy
    )
    if is_multi_worker and self._limit is not None:
      raise ValueError(
        'TimeLimit: the clocks of several workers disagree and the last step '
        'would hang; train for a number of epochs instead.'
      )
    # A Keras model of another kind does not keep it.
    self._elapsed = getattr(
      self.model, 'training_seconds', tf.Variable(0.0, dtype=tf.float64)
    )
    self._last_time = None

  def on_train_batch_end(self, batch, logs=None):
    """Adds the time since the last step, and stops when it is used up."""
    now = time.monotonic()
    if self._last_time is not None:
      self._elapsed.assign_add(now - self._last_time)
    self._last_time = now
    if self._limit is not None and self.seconds >= self._limit:
      self.model.stop_training = True

  def on_test_end(self, logs=None):
    """Leaves validation out of the training time."""
    if self._last_time is not None:
      self._last_time = time.monotonic()
