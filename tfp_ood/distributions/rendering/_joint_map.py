# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The label and the switches that fit an image best."""

import collections

import tensorflow as tf

from tfp_ood.distributions.rendering import _switch_blocks
from tfp_ood.distributions.rendering._image_terms import most_likely

__all__ = ['JointMap', 'joint_map']

JointMap = collections.namedtuple(
  'JointMap', ['label', 'switches', 'objective', 'num_sweeps', 'has_converged']
)


def joint_map(network, x, labels, num_sweeps):
  """See `NeuralRenderingModel.joint_map`.

  Args:
    network: `PiecewiseLinearNetwork`.
    x: `Tensor` of shape `[batch, *input_shape]`, what the network sees.
    labels: int32 `Tensor` of shape `[batch]`, or `None` for the best.
    num_sweeps: Python `int`.

  Returns:
    `JointMap`.
  """
  if labels is not None:
    return _of_labels(network, x, labels, num_sweeps)
  count, num_classes = tf.shape(x)[0], network.num_classes
  found = _of_labels(
    network,
    tf.repeat(x, num_classes, axis=0),
    tf.tile(tf.range(num_classes), [count]),
    num_sweeps,
  )
  _, class_bias = network.biases()
  scores = tf.reshape(found.objective, [count, num_classes]) + class_bias
  best = num_classes * tf.range(count) + most_likely(scores)
  label, switches, objective, has_converged = tf.nest.map_structure(
    lambda values: tf.gather(values, best),
    (found.label, found.switches, found.objective, found.has_converged),
  )
  return JointMap(label, switches, objective, found.num_sweeps, has_converged)


def _of_labels(network, x, labels, num_sweeps):
  start = network.switches(network.propagate(x).pre_activations)
  ascent = _switch_blocks.ascend(network, x, labels, start, num_sweeps)
  return JointMap(labels, *ascent)
