# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Noise that is a function of the image that it goes with.

TensorFlow's stateless generators take one seed for a whole tensor, and give
other numbers under XLA. Here each image has a key, made of its pixels, and the
bits of its noise are hashed from that key: the same on every device, in every
batch, compiled or not.
"""

import math

import numpy as np
import tensorflow as tf

from tfp_ood._seeds import stateless_seed

__all__ = ['content_keys', 'content_normal', 'content_uniform']

# Whole numbers up to 2^53 are exact in float64, and so are sums of them, in any
# order.
_EXACT_BITS = 53
_BITS_OF_PIXEL = 8


def content_keys(images, seed):
  """Returns the key of each image's noise: the same image, the same key.

  It is the sum of the pixels, each times a random whole number, so that two
  different images share a key with a probability of about 2^-30.

  Args:
    images: `Tensor`, `[batch, height, width, channels]`, of a static shape but
      for the batch. The whole part of a pixel counts.
    seed: Python `int` or stateless seed; another one gives other keys.

  Returns:
    `uint32` `Tensor` of shape `[batch]`.
  """
  size = images.shape[1:].num_elements()
  bits = _EXACT_BITS - _BITS_OF_PIXEL - math.ceil(math.log2(size))
  # Of NumPy's generators, the one that promises never to change.
  factors = np.random.RandomState(size).randint(
    2**bits, size=[size, 1], dtype=np.int64
  )
  pixels = tf.floor(tf.cast(tf.stop_gradient(images), tf.float64))
  sums = tf.reshape(pixels, [-1, size]) @ tf.constant(factors, tf.float64)
  words = tf.bitcast(tf.cast(sums, tf.int64), tf.uint32)[:, 0]
  seed = tf.bitcast(stateless_seed(seed), tf.uint32)
  low, high = tf.unstack(_mixed(words + seed), axis=-1)
  return _mixed(low + high)


def content_uniform(keys, shape, dtype, purpose=0):
  """Draws uniform noise in `(0, 1)` for each image.

  Args:
    keys: what `content_keys` returned.
    shape: shape of one image's noise.
    dtype: floating dtype.
    purpose: Python `int` or scalar integer `Tensor`; each has noise of its own.

  Returns:
    `Tensor` of shape `[batch, *shape]`.
  """
  size = tf.TensorShape(shape).num_elements()
  # Mixing is a bijection: all places are different.
  places = _mixed(tf.cast(tf.range(size), tf.uint32))
  keys = _mixed(keys + _mixed(tf.cast(purpose, tf.uint32)))
  bits = _mixed(keys[:, tf.newaxis] + places)
  # As many bits as float32 tells apart.
  bits = tf.bitwise.right_shift(bits, tf.constant(9, tf.uint32))
  noise = (tf.cast(bits, tf.float32) + 0.5) * 2.0**-23
  return tf.cast(tf.reshape(noise, [-1, *shape]), dtype)


def content_normal(keys, shape, dtype, purpose=0):
  """Draws standard normal noise for each image; see `content_uniform`."""
  noise = content_uniform(keys, shape, tf.float64, purpose)
  # The last bits of a quantile depend on where in the tensor it is computed, and on
  # the compiler. Rounded to float32 it is the same everywhere.
  return tf.cast(tf.cast(tf.math.ndtri(noise), tf.float32), dtype)


def _mixed(words):
  """Mixes the bits of words: the finalizer of MurmurHash3, a bijection."""
  for shift, factor in ((16, 0x85EBCA6B), (13, 0xC2B2AE35)):
    words = _shift_and_xor(words, shift) * tf.constant(factor, tf.uint32)
  return _shift_and_xor(words, 16)


def _shift_and_xor(words, shift):
  shifted = tf.bitwise.right_shift(words, tf.constant(shift, tf.uint32))
  return tf.bitwise.bitwise_xor(words, shifted)
