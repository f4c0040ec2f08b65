# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Bringing the data of all workers together."""

import tensorflow as tf

__all__ = ['gather_across_workers']


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
