# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Transformations that are given another seed for each batch."""

import tensorflow as tf

__all__ = ['transform_at_random']


def transform_at_random(batches, random_transformation, seed):
  """Transforms each batch with a seed of its own, another in each iteration.

  Args:
    batches: `tf.data.Dataset` of `(examples, labels)`.
    random_transformation: Function of a batch of examples and a seed, an `int32`
      tensor of shape `[2]`, to a batch of examples.
    seed: Python int, which decides about the seeds.

  Returns:
    A `tf.data.Dataset` of `(transformed examples, labels)`.
  """
  return tf.data.Dataset.zip(batches, _seeds(seed)).map(
    lambda batch, seed: (random_transformation(batch[0], seed), batch[1]),
    num_parallel_calls=tf.data.AUTOTUNE,
  )


def _seeds(seed):
  """Yields stateless seeds without end, others in each iteration."""
  words = tf.data.Dataset.random(seed, rerandomize_each_iteration=True)
  return words.batch(2, drop_remainder=True).map(
    lambda pair: tf.bitcast(tf.cast(pair, tf.uint32), tf.int32)
  )
