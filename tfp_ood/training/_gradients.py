# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Gradients that may not be finite."""

import tensorflow as tf

__all__ = ['norm_over_replicas', 'sum_of_parts', 'zero_if']


def norm_over_replicas(gradients):
  """Returns a number that is finite if the gradients of all replicas are.

  Args:
    gradients: list of `Tensor`s, and of `None` where there is no gradient.

  Returns:
    Scalar `Tensor`, the same on each replica: the sum of their norms.
  """
  norm = tf.linalg.global_norm(gradients)
  replica = tf.distribute.get_replica_context()
  if replica.num_replicas_in_sync == 1:
    return norm
  return replica.all_reduce(tf.distribute.ReduceOp.SUM, norm)


def sum_of_parts(gradients):
  """Returns the gradients of a batch, from those of its parts.

  Args:
    gradients: for each part, a list of `Tensor`s or `tf.IndexedSlices`, and of `None`
      where there is no gradient.

  Returns:
    List of the same form.
  """
  if len(gradients) == 1:
    return gradients[0]
  return [
    None if of_parts[0] is None else tf.add_n(of_parts)
    for of_parts in zip(*gradients, strict=True)
  ]


def zero_if(condition, gradients):
  """Returns gradients, or zeros in their place.

  Args:
    condition: scalar boolean `Tensor`.
    gradients: list of `Tensor`s, and of `None` where there is no gradient.

  Returns:
    List of the same form.
  """
  return [
    None if g is None else tf.where(condition, tf.zeros_like(g), g)
    for g in gradients
  ]
