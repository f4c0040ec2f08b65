# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Transformations of images and sequences, for tests of OOD detectors."""

import math

import tensorflow as tf

from tfp_ood._seeds import stateless_seed
from tfp_ood.datasets._checks import check_positive_int

__all__ = [
  'adjust_contrast',
  'crop_and_flip',
  'fit_to_shape',
  'gray_towards_mean',
  'grayscale',
  'mutate',
]

# Luma of ITU-R Recommendation BT.601 for red, green and blue.
_LUMA_WEIGHTS = (0.299, 0.587, 0.114)
_NUM_PIXEL_VALUES = 256


def gray_towards_mean(images, factor):
  """Moves every pixel towards the mean of its own image and channel.

  With `mean` taken over the height and width of each image, separately for
  each channel:

      gray_towards_mean(x; factor) = mean + (1 - factor) * (x - mean)

  The mean stays, the variance within each image and channel is multiplied by
  `(1 - factor)**2`, and at factor 1 each channel of the image is constant. On
  `uint8` images both statements hold up to rounding. Deep generative models
  tend to assign such images *higher* likelihoods than the originals [1].

  Args:
    images: Tensor of raw pixels 0..255, `[..., height, width, channels]`;
      `uint8` or floating.
    factor: Python number in [0, 1]: 0 changes nothing, 1 leaves the mean.

  Returns:
    A tensor of the shape and dtype of `images`; `uint8` is rounded half to
    even.

  Raises:
    ValueError: if `factor` is outside [0, 1], or `images` has a rank below 3
      or a dtype which is neither `uint8` nor floating.

  #### Examples

  >>> import tensorflow as tf
  >>> image = tf.constant([[[0], [100]]], tf.uint8)
  >>> gray_towards_mean(image, 0.5).numpy().ravel().tolist()
  [25, 75]

  #### References

  [1]: E. Nalisnick et al. Do Deep Generative Models Know What They Don't Know?
       _International Conference on Learning Representations_, 2019.
       https://arxiv.org/abs/1810.09136
  """
  if not 0 <= factor <= 1:
    raise ValueError(f'`factor` must be in [0, 1], got {factor}.')
  images = _validated(images)
  return _restore_dtype(
    _scale_about_mean(_as_float(images), 1 - factor), images.dtype
  )


def adjust_contrast(images, factor):
  """Scales the contrast about each image's own mean and clips to 0..255.

  With `mean` taken over the height and width of each image, separately for
  each channel:

      adjust_contrast(x; factor) = clip(mean + factor * (x - mean), 0, 255)

  Args:
    images: Tensor of raw pixels 0..255, `[..., height, width, channels]`;
      `uint8` or floating.
    factor: Python number, finite and not negative: below 1 lowers the
      contrast, 1 changes nothing, above 1 raises it.

  Returns:
    A tensor of the shape and dtype of `images`; `uint8` is rounded half to
    even.

  Raises:
    ValueError: if `factor` is negative or not finite, or `images` has a rank
      below 3 or a dtype which is neither `uint8` nor floating.

  #### Examples

  >>> import tensorflow as tf
  >>> image = tf.constant([[[0], [100]]], tf.uint8)
  >>> adjust_contrast(image, 2).numpy().ravel().tolist()
  [0, 150]
  """
  if not (math.isfinite(factor) and factor >= 0):
    raise ValueError(f'`factor` must be finite and not negative, got {factor}.')
  images = _validated(images)
  adjusted = _scale_about_mean(_as_float(images), factor)
  return _restore_dtype(tf.clip_by_value(adjusted, 0, 255), images.dtype)


def grayscale(images):
  """Replaces every channel by the luma, so that the shape stays the same.

  The luma is that of ITU-R BT.601: `0.299 red + 0.587 green + 0.114 blue`.
  Images of one channel are returned as they are.

  Args:
    images: Tensor of raw pixels 0..255, `[..., height, width, channels]` with
      1 or 3 channels; `uint8` or floating.

  Returns:
    A tensor of the shape and dtype of `images`; `uint8` is rounded half to
    even.

  Raises:
    ValueError: if `images` has neither 1 nor 3 channels (statically), a rank
      below 3, or a dtype which is neither `uint8` nor floating.

  #### Examples

  >>> import tensorflow as tf
  >>> grayscale(tf.constant([[[255, 0, 0]]], tf.uint8)).numpy().tolist()
  [[[76, 76, 76]]]
  """
  images = _validated(images)
  channels = None if images.shape.rank is None else images.shape[-1]
  if channels == 1:
    return images
  if channels != 3:
    raise ValueError(
      '`images` must have 1 or 3 channels in its last dimension, got shape '
      f'{images.shape}.'
    )
  pixels = _as_float(images)
  luma = tf.reduce_sum(
    pixels * tf.constant(_LUMA_WEIGHTS, pixels.dtype), axis=-1, keepdims=True
  )
  return _restore_dtype(tf.repeat(luma, 3, axis=-1), images.dtype)


def mutate(images, rate, seed, num_values=256):
  """Replaces values at random by others, to train a background model on.

  Each value (of one pixel and channel, or one position of a sequence) is,
  independently and with probability `rate`, replaced by one drawn uniformly from
  0..num_values - 1; the new value may equal the old one. What an image depicts is
  destroyed faster than what its background is made of, so that a model of mutated
  images is a model of the background [1]; `tfp_ood.stats.likelihood_ratio`
  compares with it. The same holds for sequences, such as reads of genomes.

  Args:
    images: Tensor of raw pixels 0..255, `[..., height, width, channels]`;
      `uint8` or floating. With another `num_values` than 256, a tensor of whole
      numbers 0..num_values - 1 of rank 1 or more, such as sequences
      `[batch, length]`; integer or floating.
    rate: Python number in [0, 1]: 0 changes nothing, 1 leaves noise.
    seed: Python `int`, or a pair of them (a `Tensor` too). The same seed
      mutates alike; in training, `load(random_transformation=...)` and
      `reads(random_transformation=...)` give another one for each batch.
    num_values: Positive Python `int`: 256 for images, 4 for the bases of a
      genome.

  Returns:
    A tensor of the shape and dtype of `images`.

  Raises:
    ValueError: if `rate` is outside [0, 1], or `num_values` is not positive or
      more than the dtype holds; or `images` has a rank below 3 or a dtype which is
      neither `uint8` nor floating, with another `num_values` than 256 a rank below
      1 or a dtype which is neither integer nor floating.

  #### Examples

  >>> import tensorflow as tf
  >>> black = tf.zeros([100, 100, 3], tf.uint8)
  >>> round(float(tf.reduce_mean(tf.cast(black != mutate(black, 0.2, seed=1),
  ...                                    tf.float32))), 2)
  0.2
  >>> mutate(tf.zeros([2, 250], tf.int32), 0.1, seed=1, num_values=4).shape
  TensorShape([2, 250])

  #### References

  [1]: J. Ren et al. Likelihood Ratios for Out-of-Distribution Detection.
       _Neural Information Processing Systems_, 2019.
       https://arxiv.org/abs/1906.02845
  """
  if not 0 <= rate <= 1:
    raise ValueError(f'`rate` must be in [0, 1], got {rate}.')
  if num_values == _NUM_PIXEL_VALUES:
    images = _validated(images)
  else:
    images = _validated_sequences(images, num_values)
  shape = tf.shape(images)
  which, what = tf.unstack(
    tf.random.experimental.stateless_split(stateless_seed(seed), num=2)
  )
  is_mutated = tf.random.stateless_uniform(shape, which) < rate
  values = tf.random.stateless_uniform(shape, what, 0, num_values, tf.int32)
  return tf.where(is_mutated, tf.cast(values, images.dtype), images)


def fit_to_shape(images, image_shape):
  """Crops or pads images with black, and turns gray ones into color ones or back.

  Args:
    images: Tensor of raw pixels 0..255, `[batch, height, width, channels]` with 1 or
      3 channels; `uint8` or floating.
    image_shape: `(height, width, channels)`.

  Returns:
    A tensor of the dtype of `images`, `[batch, *image_shape]`; what has that shape
    is returned as it is.

  Raises:
    ValueError: if channels are neither 1 nor 3 and differ.

  #### Examples

  >>> import tensorflow as tf
  >>> fit_to_shape(tf.zeros([5, 28, 28, 1], tf.uint8), (32, 32, 3)).shape
  TensorShape([5, 32, 32, 3])
  """
  images = _validated(images)
  height, width, channels = image_shape
  if images.shape[1:] == tf.TensorShape(image_shape):
    return images
  images = tf.image.resize_with_crop_or_pad(images, height, width)
  if images.shape[-1] == channels:
    return images
  if {images.shape[-1], channels} != {1, 3}:
    raise ValueError(
      f'Images of {images.shape[-1]} channels cannot become ones of {channels}; 1 '
      'can become 3, and 3 can become 1.'
    )
  if channels == 3:
    return tf.image.grayscale_to_rgb(images)
  return tf.image.rgb_to_grayscale(images)


def crop_and_flip(images, seed, margin=4):
  """Moves each image by up to `margin` pixels over black, and mirrors every other.

  The usual augmentation of small images, to train a classifier with:
  `load(random_transformation=crop_and_flip)`.

  Args:
    images: Tensor of raw pixels 0..255, `[batch, height, width, channels]`.
    seed: Python `int`, or a pair of them (a `Tensor` too).
    margin: Python `int`.

  Returns:
    A tensor of the shape and dtype of `images`.

  #### Examples

  >>> import tensorflow as tf
  >>> crop_and_flip(tf.zeros([5, 32, 32, 3], tf.uint8), seed=1).shape
  TensorShape([5, 32, 32, 3])
  """
  images = _validated(images)
  seeds = tf.random.split(stateless_seed(seed), 3)
  count = tf.shape(images)[0]
  padded = tf.pad(images, [[0, 0], [margin] * 2, [margin] * 2, [0, 0]])
  for axis in (1, 2):
    offsets = tf.random.stateless_uniform(
      [count, 1], seeds[axis], 0, 2 * margin + 1, tf.int32
    )
    indices = offsets + tf.range(tf.shape(images)[axis])
    padded = tf.gather(padded, indices, axis=axis, batch_dims=1)
  is_mirrored = tf.random.stateless_uniform([count, 1, 1, 1], seeds[0]) < 0.5
  padded = tf.where(is_mirrored, tf.reverse(padded, axis=[2]), padded)
  return tf.ensure_shape(padded, images.shape)


def _validated(images):
  images = tf.convert_to_tensor(images, name='images')
  if images.dtype != tf.uint8 and not images.dtype.is_floating:
    raise ValueError(
      f'`images` must be uint8 or floating, got {images.dtype.name}.'
    )
  if images.shape.rank is not None and images.shape.rank < 3:
    raise ValueError(
      '`images` must have the shape [..., height, width, channels], got '
      f'{images.shape}.'
    )
  return images


def _validated_sequences(sequences, num_values):
  sequences = tf.convert_to_tensor(sequences, name='images')
  check_positive_int('num_values', num_values)
  dtype = sequences.dtype
  if not (dtype.is_integer or dtype.is_floating):
    raise ValueError(f'`images` must be integer or floating, got {dtype.name}.')
  # The new values are drawn as int32.
  if num_values - 1 > min(dtype.max, tf.int32.max):
    raise ValueError(
      f'`num_values` must be at most {min(dtype.max, tf.int32.max) + 1:.0f} for '
      f'{dtype.name}, got {num_values}.'
    )
  if sequences.shape.rank == 0:
    raise ValueError('`images` must have a rank of 1 or more, got a scalar.')
  return sequences


def _as_float(images):
  # Half precision cannot hold the sum of an image's pixels.
  return tf.cast(
    images, tf.float64 if images.dtype == tf.float64 else tf.float32
  )


def _restore_dtype(images, dtype):
  if dtype == tf.uint8:
    return tf.saturate_cast(tf.round(images), dtype)
  return tf.cast(images, dtype)


def _scale_about_mean(images, scale):
  mean = tf.reduce_mean(images, axis=[-3, -2], keepdims=True)
  return mean + scale * (images - mean)
