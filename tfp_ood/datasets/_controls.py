# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Control images whose likelihoods are known to mislead: flat and noise."""

import numpy as np
import tensorflow as tf

__all__ = ['CONTROLS', 'control_examples']

CONTROLS = ('constant', 'uniform_noise')

# What a label is where the images belong to no class.
_NO_LABEL = -1


def control_examples(name, image_shape, num_examples, seed):
  """Returns the single examples of a control, not batched.

  `'constant/128'` is images of gray level 128 throughout; `'constant'` spreads
  the levels 0..255 evenly over the images, in ascending order. The label of a
  constant image is its level. `'uniform_noise'` draws every pixel independently
  and uniformly from 0..255; its labels are -1. Image `i` of a seed is the same
  image whatever `num_examples` is.

  Args:
    name: `'constant'`, `'constant/<level>'` or `'uniform_noise'`.
    image_shape: `(height, width, channels)`, positive Python ints.
    num_examples: Positive Python int, the number of images.
    seed: Python int, the seed of the noise.

  Returns:
    A `tf.data.Dataset` of `(image, label)`, `uint8` of `image_shape` and scalar
    `int64`.

  Raises:
    ValueError: if an argument is not as described above.

  #### Examples

  >>> examples = control_examples('constant', (2, 2, 1), 3, seed=0)
  >>> [int(label) for _, label in examples]
  [0, 128, 255]
  """
  image_shape = _validated_shape(image_shape)
  if not _is_positive_int(num_examples):
    raise ValueError(
      f'`num_examples` must be a positive int, got {num_examples!r}.'
    )
  kind, *arguments = name.split('/')
  if kind == 'constant' and len(arguments) <= 1:
    levels = _levels(arguments, num_examples)
    return _constant_examples(levels, image_shape)
  if kind == 'uniform_noise' and not arguments:
    return _noise_examples(image_shape, num_examples, seed)
  raise ValueError(
    "`name` of a control must be 'constant', 'constant/<level>' or "
    f"'uniform_noise', got {name!r}. Controls have no splits: choose their "
    'size with `num_examples`.'
  )


def _is_positive_int(value):
  return isinstance(value, (int, np.integer)) and value > 0


def _validated_shape(image_shape):
  shape = tuple(image_shape)
  if len(shape) != 3 or not all(_is_positive_int(size) for size in shape):
    raise ValueError(
      '`image_shape` must be three positive ints, (height, width, channels), '
      f'got {image_shape!r}.'
    )
  return shape


def _levels(arguments, num_examples):
  if not arguments:
    return np.rint(np.linspace(0, 255, num_examples)).astype(np.int64)
  (level,) = arguments
  if not (level.isdecimal() and int(level) <= 255):
    raise ValueError(
      "`name` 'constant/<level>' expects a whole gray level in 0..255, got "
      f'{level!r}.'
    )
  return np.full(num_examples, int(level), np.int64)


def _constant_examples(levels, image_shape):
  def example(level):
    return tf.fill(image_shape, tf.cast(level, tf.uint8)), level

  return tf.data.Dataset.from_tensor_slices(levels).map(
    example, num_parallel_calls=tf.data.AUTOTUNE
  )


def _noise_examples(image_shape, num_examples, seed):
  def example(index):
    # One seed an image: neither the batch size nor `num_examples` matters.
    # The algorithm is named, for the default differs between devices.
    pixels = tf.random.stateless_uniform(
      image_shape,
      seed=tf.stack([tf.cast(seed, tf.int64), index]),
      maxval=256,
      dtype=tf.int32,
      alg='philox',
    )
    return tf.cast(pixels, tf.uint8), tf.constant(_NO_LABEL, tf.int64)

  return tf.data.Dataset.range(num_examples).map(
    example, num_parallel_calls=tf.data.AUTOTUNE
  )
