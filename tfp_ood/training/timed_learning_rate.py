# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""A learning rate that falls to zero when the time is up."""

import math

import tf_keras

__all__ = ['TimedLearningRate']


class TimedLearningRate(tf_keras.callbacks.Callback):
  """Lets the learning rate fall as a cosine, to zero when the minutes are up.

  The last part of a training, in which the rate is small, gains the most; a
  schedule of steps has to guess how many there will be. The clock is that of
  `TimeLimit`, which stops the training: `DistributionModel.training_seconds`.

  #### Example

  >>> import tensorflow as tf
  >>> import tfp_ood
  >>> normal = tfp_ood.distributions.learned_normal([3])
  >>> model = tfp_ood.training.DistributionModel(normal)
  >>> model.compile(tfp_ood.training.adam(0.1))
  >>> rate = TimedLearningRate(0.1, minutes=10.0)
  >>> model.training_seconds.assign(300.0)  # Half of the time is over.
  <tf.Variable ...>
  >>> history = model.fit(tf.ones([8, 3]), callbacks=[rate], verbose=0)
  >>> print(round(float(model.optimizer.learning_rate), 3))
  0.05
  """

  def __init__(self, learning_rate, minutes, warmup_steps=0):
    """Instantiates the callback.

    Args:
      learning_rate: Python `float`, the largest rate. The optimizer needs to have
        been made with a number for a rate, and not a schedule.
      minutes: positive Python `float`, those of `TimeLimit`.
      warmup_steps: Python `int`, over how many steps the rate rises linearly
        at first; see `adam`.

    Raises:
      ValueError: if `minutes` is not positive.
    """
    super().__init__()
    if not minutes > 0:
      raise ValueError(
        f'TimedLearningRate: `minutes` must be positive, got {minutes}.'
      )
    self._learning_rate = learning_rate
    self._seconds = 60 * minutes
    self._warmup_steps = warmup_steps

  def on_train_batch_begin(self, batch, logs=None):
    """Sets the rate of the next step."""
    elapsed = float(self.model.training_seconds.numpy()) / self._seconds
    rate = self._learning_rate * (1 + math.cos(math.pi * min(1.0, elapsed))) / 2
    optimizer = self.model.optimizer
    step = int(optimizer.iterations.numpy())
    if step < self._warmup_steps:
      rate *= (step + 1) / self._warmup_steps
    optimizer.learning_rate = rate
