# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Bringing the data of all workers and replicas together."""

import tensorflow as tf

__all__ = ['gather_across_workers', 'global_batch_size']


def gather_across_workers(images, strategy):
  """Returns the images of all workers of a strategy, on every worker.

  Args:
    images: `Tensor` of shape `[batch, ...]`, this worker's images.
    strategy: `tf.distribute.Strategy`.

  Returns:
    `Tensor` of shape `[total batch, ...]` in the order of the workers; with one
    worker, `images`.
  """
  if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
    return images
  gathered = strategy.gather(
    # Collectives carry floats on every kind of device.
    strategy.run(lambda: tf.cast(images, tf.float32)),
    axis=0,
  )
  return tf.cast(gathered, images.dtype)


def global_batch_size(values):
  """Counts the examples of all replicas, whose shares may differ.

  Args:
    values: floating-point `Tensor` of shape `[batch, ...]`, of this replica.

  Returns:
    Scalar `Tensor` of the dtype of `values`.
  """
  size = tf.cast(tf.shape(values)[0], values.dtype)
  replica = tf.distribute.get_replica_context()
  if replica.num_replicas_in_sync == 1:
    return size
  return replica.all_reduce(tf.distribute.ReduceOp.SUM, size)
