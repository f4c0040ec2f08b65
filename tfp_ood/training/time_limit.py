# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Training for a number of minutes."""

import math
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

  It can also lower the learning rate as the time runs out: the last part of a
  training, in which the rate is small, gains the most, and a schedule of steps would
  have to guess how many there will be.

  #### Example

  >>> import tensorflow as tf
  >>> import tfp_ood
  >>> normal = tfp_ood.distributions.learned_normal([3])
  >>> model = tfp_ood.training.DistributionModel(normal)
  >>> model.compile(tfp_ood.training.adam(0.1))
  >>> model.training_seconds.assign(300.0)  # Half of the time is over.
  <tf.Variable ...>
  >>> limit = TimeLimit(minutes=10.0, learning_rate=0.1)
  >>> history = model.fit(tf.ones([8, 3]), callbacks=[limit], verbose=0)
  >>> print(round(float(model.optimizer.learning_rate), 3))
  0.05
  """

  def __init__(self, minutes=None, learning_rate=None, warmup_steps=0):
    """Instantiates the callback.

    Args:
      minutes: positive Python `float`; `None` to measure alone.
      learning_rate: Python `float`, the largest rate, if it is to fall as a cosine,
        to zero when the minutes are up. The optimizer needs to have been made with a
        number for a rate, and not a schedule. `None` leaves the rate alone.
      warmup_steps: Python `int`, over how many steps that rate rises linearly at
        first; see `adam`.

    Raises:
      ValueError: if `minutes` is not positive, or there is a rate and no `minutes`.
    """
    super().__init__()
    if minutes is not None and not minutes > 0:
      raise ValueError(f'TimeLimit: `minutes` must be positive, got {minutes}.')
    if learning_rate is not None and minutes is None:
      raise ValueError(
        'TimeLimit: a learning rate that falls by the clock needs `minutes`.'
      )
    self._learning_rate, self._warmup_steps = learning_rate, warmup_steps
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

  def on_train_batch_begin(self, batch, logs=None):
    """Sets the learning rate of the next step."""
    if self._learning_rate is None:
      return
    elapsed = min(1.0, self.seconds / self._limit)
    rate = self._learning_rate * (1 + math.cos(math.pi * elapsed)) / 2
    optimizer = self.model.optimizer
    step = int(optimizer.iterations.numpy())
    if step < self._warmup_steps:
      rate *= (step + 1) / self._warmup_steps
    optimizer.learning_rate = rate

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
