# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""A normal distribution whose mean and scale are trained."""

import tensorflow as tf
import tensorflow_probability as tfp

__all__ = ['learned_normal']


def learned_normal(event_shape, dtype=tf.float32, name='learned_normal'):
  """Returns a diagonal normal with trainable mean and scale.

  It starts at the standard normal. As the `base` of an `ImageFlow` it is the
  learned prior of Glow's deepest level.

  Args:
    event_shape: shape of the event, such as `[height * width * channels]`.
    dtype: floating dtype.
    name: Python `str`, the name of the distribution.

  Returns:
    `tfp.distributions.Independent` with two trainable variables.

  #### Examples

  >>> import tfp_ood
  >>> base = tfp_ood.distributions.learned_normal([12])
  >>> base.event_shape, len(base.trainable_variables)
  (TensorShape([12]), 2)
  """
  event_shape = tf.TensorShape(event_shape)
  loc = tf.Variable(tf.zeros(event_shape, dtype), name='loc')
  log_scale = tf.Variable(tf.zeros(event_shape, dtype), name='log_scale')
  scale = tfp.util.DeferredTensor(log_scale, tf.exp)
  return tfp.distributions.Independent(
    tfp.distributions.Normal(loc, scale),
    reinterpreted_batch_ndims=event_shape.rank,
    name=name,
  )
