# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Batch normalization in training, as an affine map that can be rendered."""

import tensorflow as tf

__all__ = ['batch_normalization']


def batch_normalization(layer):
  """Returns what a layer of batch normalization does in training.

  It normalizes by the statistics of the batch and moves those of evaluation
  towards them, as Keras does but without its correction of the variance for the
  size of the batch. To a rendering, the adjoint of the network, the
  statistics of the batch are constants, as those of evaluation are; the gradient
  of a loss does go through them.

  Args:
    layer: built `BatchNormalization` of `tf_keras` or Keras 3, of the last axis.

  Returns:
    Function of a list with the inputs, `[batch, ..., channels]`, and of a context
    manager under which no rendering goes back through what is computed; it
    returns the outputs.
  """

  def normalize(inputs, pause):
    x = inputs[0]
    with pause():
      mean, variance = tf.nn.moments(x, axes=list(range(x.shape.rank - 1)))
    for moving, value in (
      (layer.moving_mean, mean),
      (layer.moving_variance, variance),
    ):
      previous = tf.convert_to_tensor(moving)
      moving.assign(previous + (1 - layer.momentum) * (value - previous))
    return tf.nn.batch_normalization(
      x,
      mean,
      variance,
      layer.beta if layer.center else None,
      layer.gamma if layer.scale else None,
      layer.epsilon,
    )

  return normalize
