# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a batch of a data set holds, and what to do if it is empty."""

import tensorflow as tf

__all__ = ['as_dataset', 'images_of', 'with_one_more_if_empty']

_BATCH_SIZE = 128


def as_dataset(data):
  """Returns data as a `tf.data.Dataset` of batches, as which they may come.

  Args:
    data: `tf.data.Dataset` of batches, or an array of examples.

  Returns:
    `tf.data.Dataset` of batches.

  #### Example

  >>> [len(batch) for batch in as_dataset(tf.zeros([200, 3]))]
  [128, 72]
  """
  if isinstance(data, tf.data.Dataset):
    return data
  return tf.data.Dataset.from_tensor_slices(data).batch(_BATCH_SIZE)


def images_of(batch):
  """Returns the images of a batch, which may come with labels or more.

  Args:
    batch: batch of images, or a tuple or list that starts with one.

  Returns:
    The batch of images.

  #### Example

  >>> images_of(('images', 'labels'))
  'images'
  """
  return batch[0] if isinstance(batch, tuple | list) else batch


def with_one_more_if_empty(function, *batches):
  """Calls a function of batches; TensorFlow's convolutions need an example.

  Args:
    function: callable from the batches to nested `Tensor`s whose first axis is
      the examples.
    *batches: nests of `Tensor`s of shape `[batch, ...]`, of the same examples.

  Returns:
    What `function` returns for the batches.

  #### Example

  >>> with_one_more_if_empty(lambda x: 2 * x, tf.zeros([0, 3])).shape
  TensorShape([0, 3])
  """
  count = tf.shape(tf.nest.flatten(batches)[0])[0]

  def fill(batch):
    one_or_none = tf.zeros(
      tf.concat([[tf.maximum(1 - count, 0)], tf.shape(batch)[1:]], axis=0),
      batch.dtype,
    )
    return tf.concat([batch, one_or_none], axis=0)

  results = function(*tf.nest.map_structure(fill, batches))
  return tf.nest.map_structure(lambda result: result[:count], results)
