# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Examples out of data sets, for analyses that take a few."""

import numpy as np
import tensorflow as tf

from tfp_ood import datasets
from tfp_ood._batches import images_of

__all__ = [
  'as_pixels',
  'first_examples',
  'grayed',
  'in_batches',
  'select_examples',
]

_BATCH_SIZE = 100


def first_examples(dataset, count):
  """Returns the first examples of a data set as one array."""
  parts, found = [], 0
  for batch in dataset:
    parts.append(np.asarray(images_of(batch)))
    found += len(parts[-1])
    if found >= count:
      break
  return np.concatenate(parts)[:count]


def select_examples(dataset, indices):
  """Returns the examples of given numbers, in the order of the numbers."""
  wanted = {int(index): None for index in indices}
  start = 0
  for batch in dataset:
    x = images_of(batch)
    for index in wanted:
      if start <= index < start + len(x):
        wanted[index] = np.asarray(x[index - start])
    start += len(x)
  return np.stack([wanted[int(index)] for index in indices])


def in_batches(function, x):
  """Calls a function of `[batch, ...]` batch by batch, and joins what it returns.

  Args:
    function: from a `Tensor` to a nest of `Tensor`s whose first axis is the batch,
      such as a `OneTrace`, which all data sets should share.
    x: array of examples.

  Returns:
    Nest of arrays.
  """
  parts = [
    tf.nest.map_structure(
      lambda part: part.numpy(), function(x[start : start + _BATCH_SIZE])
    )
    for start in range(0, len(x), _BATCH_SIZE)
  ]
  return tf.nest.map_structure(lambda *arrays: np.concatenate(arrays), *parts)


def grayed(images, factor):
  """As `gray_towards_mean`, of any dtype; whole numbers, which pixels are, stay so."""
  if images.dtype != tf.uint8 and not images.dtype.is_floating:
    images = tf.cast(images, tf.float32)
  values = datasets.gray_towards_mean(images, factor)
  is_whole = tf.reduce_all(images == tf.round(images))
  return tf.where(is_whole, tf.round(values), values)


def as_pixels(values):
  """Rounds values to pixels, `uint8`; those out of range go to its ends."""
  return np.clip(np.round(values), 0, 255).astype(np.uint8)
