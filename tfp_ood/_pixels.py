# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Raw pixels: what they are, and the check that everything asks of images."""

import tensorflow as tf

from tfp_ood._checks import check_values

__all__ = ['as_pixels', 'check_image_shape', 'check_pixels']


def check_image_shape(image_shape, name, min_channels=1):
  """Returns the shape of an image as a `tf.TensorShape`.

  Args:
    image_shape: `[height, width, channels]`.
    name: Python `str`, what the message starts with.
    min_channels: Python `int`.

  Returns:
    `tf.TensorShape` of rank 3, fully defined.

  Raises:
    ValueError: if it is not the shape of an image.
  """
  shape = tf.TensorShape(image_shape)
  if shape.rank == 3 and shape.is_fully_defined() and shape[-1] >= min_channels:
    return shape
  at_least = f' with at least {min_channels}' if min_channels > 1 else ''
  raise ValueError(
    f'{name}: `image_shape` must be [height, width, channels]{at_least}, got '
    f'{image_shape}.'
  )


def as_pixels(images, image_shape, name, dtype=tf.float32):
  """Converts images to a tensor of a given image shape.

  Args:
    images: array-like, `[batch..., height, width, channels]`.
    image_shape: `tf.TensorShape` of an image.
    name: Python `str`, what the message starts with.
    dtype: floating dtype that takes the place of integers other than `uint8`.

  Returns:
    `Tensor`, `uint8` or floating. A graph that does not know the shape checks it
    when it runs.

  Raises:
    ValueError: if the shape is known to be another.
  """
  images = tf.convert_to_tensor(images, name='images')
  if images.dtype != tf.uint8 and not images.dtype.is_floating:
    images = tf.cast(images, dtype)
  if images.shape.rank is None or not images.shape[-3:].is_compatible_with(
    image_shape
  ):
    raise ValueError(
      f'{name}: `images` must have shape [batch..., '
      f'{", ".join(map(str, image_shape))}], got {images.shape}.'
    )
  return tf.ensure_shape(images, images.shape[:-3].concatenate(image_shape))


def check_pixels(images, name, num_values=256):
  """Raises unless images hold raw pixels: whole numbers in a range.

  Scaled or dequantized images, NaN and infinity are refused, eagerly and when a
  graph runs (but for XLA, which leaves assertions out).

  Args:
    images: `Tensor`, `uint8` or floating.
    name: Python `str`, what the message starts with.
    num_values: Python `int`: pixels are `0 .. num_values - 1`.

  Returns:
    `images`, to be used in their place, so that a graph checks before it goes on.

  Raises:
    ValueError: eagerly; a graph raises `tf.errors.InvalidArgumentError`.

  #### Example

  >>> import tensorflow as tf
  >>> check_pixels(tf.constant([0.5]), 'model')
  Traceback (most recent call last):
  ...
  ValueError: model: `images` must hold raw pixels, whole numbers from 0 to 255 ...
  """
  if images.dtype == tf.uint8 and num_values == 256:
    return images  # Cannot be out of range.
  # NaN compares false.
  is_valid = (images >= 0) & (images <= num_values - 1)
  if images.dtype != tf.uint8:
    is_valid &= tf.round(images) == images
  return check_values(
    images,
    is_valid,
    f'{name}: `images` must hold raw pixels, whole numbers from 0 to '
    f'{num_values - 1} (not scaled, not dequantized).',
  )
