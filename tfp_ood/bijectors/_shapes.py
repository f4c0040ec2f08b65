# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Shapes of images, and products over their channels, for all bijectors."""

import tensorflow as tf

__all__ = [
  'as_tensor',
  'broadcast_to_batch',
  'check_image',
  'flatten_batch',
  'multiply_channels',
  'num_pixels',
  'split_channels',
  'unflatten_batch',
]


def as_tensor(value, dtype=None, name=None):
  """Converts to a tensor; without `dtype`, arrays keep theirs, as in TFP."""
  hint = None if hasattr(value, 'dtype') else tf.float32
  return tf.convert_to_tensor(value, dtype=dtype, dtype_hint=hint, name=name)


def check_image(value, bijector, num_channels=None, argument='images'):
  """Raises unless `value` is `[batch..., height, width, num_channels]`."""
  owner = type(bijector).__name__
  if value.shape.rank is None or value.shape.rank < 3:
    raise ValueError(
      f'{owner}: `{argument}` must have shape [batch..., height, width, '
      f'channels], got {value.shape}.'
    )
  if num_channels is not None and value.shape[-1] != num_channels:
    raise ValueError(
      f'{owner}: `{argument}` must have {num_channels} channels, got '
      f'{value.shape[-1]} (shape {value.shape}).'
    )


def num_pixels(images):
  """Returns height times width as a scalar of the dtype of `images`."""
  height, width = images.shape[-3], images.shape[-2]
  if height is not None and width is not None:
    return tf.constant(height * width, images.dtype)
  return tf.cast(tf.reduce_prod(tf.shape(images)[-3:-1]), images.dtype)


def flatten_batch(images):
  """Reshapes `[batch..., h, w, c]` to `[-1, h, w, c]`; rank 4 is unchanged.

  Convolutions take exactly one batch dimension.
  """
  if images.shape.rank == 4:
    return images
  return tf.reshape(images, tf.concat([[-1], tf.shape(images)[-3:]], axis=0))


def unflatten_batch(flat, images):
  """Restores the batch shape of `images`, which `flatten_batch` removed."""
  if images.shape.rank == 4:
    return flat
  shape = tf.concat([tf.shape(images)[:-3], tf.shape(flat)[1:]], axis=0)
  result = tf.reshape(flat, shape)
  result.set_shape(images.shape[:-3] + flat.shape[1:])
  return result


def multiply_channels(images, matrix):
  """Multiplies the channels of each pixel, a row vector, by a square matrix."""
  # One matrix product over all pixels is faster than a convolution of size 1.
  flat = tf.reshape(images, [-1, images.shape[-1]]) @ matrix
  result = tf.reshape(flat, tf.shape(images))
  result.set_shape(images.shape)
  return result


def broadcast_to_batch(log_det, value, event_ndims):
  """Broadcasts a log-determinant to the batch shape of `value`."""
  batch_ndims = value.shape.rank - event_ndims
  if log_det.shape.rank == batch_ndims:
    return log_det
  return tf.broadcast_to(log_det, tf.shape(value)[:batch_ndims])


def split_channels(images):
  """Splits `[..., c]` into its first `c // 2` channels and the rest."""
  channels = images.shape[-1]
  return tf.split(images, [channels // 2, channels - channels // 2], axis=-1)
