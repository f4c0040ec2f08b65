# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Batches that the cores of a CPU divide among themselves."""

import concurrent.futures
import itertools
import numbers
import os

import tensorflow as tf

__all__ = ['divide_batches', 'in_parts', 'in_threads', 'num_parts']

# How many parts there are.
_DIVISION = [1]


def divide_batches(num_parts=None):
  """Lets each core compute a part of every batch, from now on.

  TensorFlow computes one operation after the other and divides each among all
  cores, which wait for one another at its end. Where operations are small that
  costs more than it gains. After this call an operation has one core, and batches
  are divided instead: by the methods of `DistributionModel`, which adds up the
  gradients of the parts, and by whatever scores (`Detector`, `Statistics`,
  `evaluation`). It is for machines without a GPU; docs/results/speed.md has what it
  brings.

  Scores are the same, but have no gradient. In training each part draws noise of its
  own: the same seed gives other noise with another number of parts. A model that
  normalizes by the batch is refused, as a part is not the batch. What divides nothing
  has one core: a strategy with several replicas, which has its own way,
  `SoftIntrospectiveModel`, and a model compiled with `run_eagerly`.

  Args:
    num_parts: positive Python `int`. Default: the number of cores that the process
      may use.

  Raises:
    ValueError: if `num_parts` is not a positive whole number.
    RuntimeError: if TensorFlow has started to compute: call this first of all.

  #### Example

      import tfp_ood
      tfp_ood.training.divide_batches()

  Once there is a tensor, it is too late:

  >>> import tensorflow as tf
  >>> import tfp_ood
  >>> x = tf.zeros([3])
  >>> tfp_ood.training.divide_batches(2)
  Traceback (most recent call last):
  ...
  RuntimeError: divide_batches: TensorFlow has started to compute, ...
  """
  if num_parts is None:
    num_parts = _num_cores()
  if not isinstance(num_parts, numbers.Integral) or num_parts < 1:
    raise ValueError(
      'divide_batches: `num_parts` must be a positive whole number, got '
      f'{num_parts}.'
    )
  try:
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(num_parts)
  except RuntimeError as error:
    raise RuntimeError(
      'divide_batches: TensorFlow has started to compute, with threads that it '
      'cannot change any more. Call this before anything that makes a tensor.'
    ) from error
  _DIVISION[0] = int(num_parts)


def num_parts():
  """Returns into how many parts to divide a batch, 1 by default."""
  return _DIVISION[0]


def in_parts(function, count, batches):
  """Calls a function of each part of some batches, in a graph, side by side.

  Args:
    function: callable `function(number, batches)`, of a scalar `int32` `Tensor` and
      a part of `batches`; it is traced once.
    count: Python `int`, the number of parts. Those of a batch of fewer examples may
      be empty.
    batches: nest of `Tensor`s with the same first axis.

  Returns:
    List of what the function returned.

  #### Example

  >>> sums = in_parts(lambda number, x: tf.reduce_sum(x), 2, tf.range(5))
  >>> [int(value) for value in sums]  # 0 + 1, 2 + 3 + 4
  [1, 9]
  """
  graph = tf.function(function, autograph=False)
  size = tf.shape(tf.nest.flatten(batches)[0])[0]
  ends = [size * number // count for number in range(count + 1)]
  return [
    graph(
      tf.constant(number),
      tf.nest.map_structure(
        lambda batch, start=start, end=end: batch[start:end], batches
      ),
    )
    for number, (start, end) in enumerate(itertools.pairwise(ends))
  ]


def in_threads(function, count, batch):
  """Calls a function of each part of a batch, in a thread each.

  Args:
    function: callable of a `Tensor`, such as a graph, that returns a nest of
      `Tensor`s with the same first axis.
    count: Python `int`, the most parts; none is empty.
    batch: eager `Tensor`.

  Returns:
    What the function would have returned for the batch.

  #### Example

  >>> in_threads(lambda x: {'twice': 2 * x}, 2, tf.range(5))['twice'].numpy()
  array([0, 2, 4, 6, 8], dtype=int32)
  """
  count = min(count, len(batch))
  if count <= 1:
    return function(batch)
  ends = [len(batch) * number // count for number in range(count + 1)]
  parts = [batch[start:end] for start, end in itertools.pairwise(ends)]
  # Of this call alone: the function may call another that is divided, too.
  with concurrent.futures.ThreadPoolExecutor(count) as threads:
    results = list(threads.map(function, parts))
  return tf.nest.map_structure(lambda *x: tf.concat(x, axis=0), *results)


def _num_cores():
  # Not every system says which of its cores are for this process.
  if hasattr(os, 'sched_getaffinity'):
    return len(os.sched_getaffinity(0))
  return os.cpu_count()
