# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""A learned gain of a classifier's logits."""

import math

import tf_keras

__all__ = ['TemplateGain']


class TemplateGain(tf_keras.layers.Layer):
  """Multiplies its input by one positive number, learned by its logarithm.

  At the end of a classifier that is to be a neural rendering model, it is the
  scale of the class templates: to render an image of norm `|x|` a logit must be
  of the order of `|x|^2`, far more than a cross-entropy asks for. Nothing else
  changes: a gain is linear.

  #### Examples

  >>> import tensorflow as tf
  >>> TemplateGain(initial_gain=4.0)(tf.constant([[1.0, 2.0]])).numpy().tolist()
  [[4.0, 8.0]]
  """

  def __init__(self, initial_gain=1.0, **kwargs):
    """Instantiates the layer.

    Args:
      initial_gain: positive Python `float`.
      **kwargs: passed to `tf_keras.layers.Layer`.

    Raises:
      ValueError: if `initial_gain` is not positive.
    """
    if not initial_gain > 0:
      raise ValueError(
        f'TemplateGain: `initial_gain` must be positive, got {initial_gain}.'
      )
    super().__init__(**kwargs)
    self._initial_gain = initial_gain

  def build(self, input_shape):
    """Makes the weight."""
    self.log_gain = self.add_weight(
      name='log_gain',
      shape=[],
      initializer=tf_keras.initializers.Constant(math.log(self._initial_gain)),
    )
    super().build(input_shape)

  def call(self, inputs):
    """Multiplies."""
    return inputs * tf_keras.backend.exp(self.log_gain)

  def get_config(self):
    """The arguments of the constructor."""
    return super().get_config() | {'initial_gain': self._initial_gain}
