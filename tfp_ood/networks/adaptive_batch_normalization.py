# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Batch normalization that can be adapted to the batch at hand."""

import contextlib
import contextvars

import tensorflow as tf
import tf_keras

__all__ = ['AdaptiveBatchNormalization', 'statistics_of_the_batch']

_takes_statistics_of_batch = contextvars.ContextVar(
  'takes_statistics_of_batch', default=False
)


@contextlib.contextmanager
def statistics_of_the_batch(enabled=True):
  """Adapts batch normalization in evaluation to the batch at hand.

  Under this context `AdaptiveBatchNormalization` normalizes by the mean and the
  variance of the batch, and leaves those gathered in training as they are. What
  a network makes of an example then depends on the others in its batch.

  Args:
    enabled: Python `bool`, whether to do so.

  Yields:
    Nothing.

  #### Example

  >>> import tensorflow as tf
  >>> from tfp_ood.networks import AdaptiveBatchNormalization
  >>> layer = AdaptiveBatchNormalization(epsilon=0.0)
  >>> batch = tf.constant([[1.], [3.]])
  >>> layer(batch).numpy().tolist()
  [[1.0], [3.0]]
  >>> with statistics_of_the_batch():
  ...   print(layer(batch).numpy().tolist())
  [[-1.0], [1.0]]
  """
  token = _takes_statistics_of_batch.set(enabled)
  try:
    yield
  finally:
    _takes_statistics_of_batch.reset(token)


class AdaptiveBatchNormalization(tf_keras.layers.BatchNormalization):
  """Keras's batch normalization of the last axis, adaptable in evaluation.

  In training, and in evaluation as a rule, it is Keras's. In evaluation under
  `statistics_of_the_batch` it takes the statistics of the batch without moving
  those gathered in training.

  #### Example

  >>> import tensorflow as tf
  >>> layer = AdaptiveBatchNormalization()
  >>> layer(tf.ones([5, 8, 8, 3])).shape
  TensorShape([5, 8, 8, 3])
  """

  def call(self, inputs, training=None):
    """Normalizes `[batch, ..., channels]`."""
    if training or not _takes_statistics_of_batch.get():
      return super().call(inputs, training=training)
    # Half precision would overflow in the variance of many pixels.
    dtype = tf.float32 if inputs.dtype.size < 4 else inputs.dtype
    wide = tf.cast(inputs, dtype)
    mean, variance = tf.nn.moments(
      wide, axes=list(range(inputs.shape.rank - 1))
    )
    normalized = tf.nn.batch_normalization(
      wide, mean, variance, self.beta, self.gamma, self.epsilon
    )
    return tf.cast(normalized, inputs.dtype)
