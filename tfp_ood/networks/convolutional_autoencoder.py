# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The convolutional encoders and decoders of autoencoders, as in DCGAN."""

import numpy as np
import tf_keras

from tfp_ood.networks.adaptive_batch_normalization import (
  AdaptiveBatchNormalization,
)

__all__ = ['convolutional_decoder', 'convolutional_encoder']

layers = tf_keras.layers

_MAX_LEVELS = 3
_KERNEL_SIZE = 4
_SLOPE = 0.2


def convolutional_encoder(
  image_shape,
  num_outputs,
  width=64,
  batch_normalization=True,
  seed=0,
  dtype='float32',
):
  """A convolutional network that halves the sides of images up to three times.

  Sides are halved while they are even and above four: those of 32 to 4, those of
  28 to 7. Channels double from `width`.

  Args:
    image_shape: `(height, width, channels)`.
    num_outputs: Python `int`.
    width: Python `int`, the channels of the first convolution.
    batch_normalization: Python `bool`, after all convolutions but the first, by
      `AdaptiveBatchNormalization`.
    seed: Python `int`, of the weights.
    dtype: floating dtype.

  Returns:
    `tf_keras.Sequential`, from images scaled to `[-1, 1]` to `[batch,
    num_outputs]`.

  #### Examples

  >>> convolutional_encoder([32, 32, 3], 10, width=8).output_shape
  (None, 10)

  #### References

  [1]: Alec Radford, Luke Metz, Soumith Chintala. Unsupervised Representation
       Learning with Deep Convolutional Generative Adversarial Networks. In
       _International Conference on Learning Representations_, 2016.
       https://arxiv.org/abs/1511.06434
  """
  seeds = _seeds(seed)
  parts = [layers.Input(image_shape, dtype=dtype)]
  for level in range(_num_levels(image_shape)):
    parts.append(
      layers.Conv2D(
        width * 2**level,
        _KERNEL_SIZE,
        strides=2,
        padding='same',
        kernel_initializer=_he_normal(seeds),
        dtype=dtype,
      )
    )
    if batch_normalization and level > 0:
      parts.append(AdaptiveBatchNormalization(dtype=dtype))
    parts.append(layers.LeakyReLU(_SLOPE, dtype=dtype))
  parts.append(layers.Flatten(dtype=dtype))
  parts.append(_dense(num_outputs, seeds, dtype))
  return tf_keras.Sequential(parts, name='convolutional_encoder')


def convolutional_decoder(
  image_shape,
  latent_size,
  outputs_per_channel=1,
  width=64,
  batch_normalization=True,
  seed=0,
  dtype='float32',
):
  """A convolutional network that mirrors `convolutional_encoder`.

  Args:
    image_shape: `(height, width, channels)`.
    latent_size: Python `int`.
    outputs_per_channel: Python `int`, the number of outputs for each channel of a
      pixel.
    width: Python `int`, the channels before the last convolution.
    batch_normalization: Python `bool`, after all layers but the last, by
      `AdaptiveBatchNormalization`.
    seed: Python `int`, of the weights.
    dtype: floating dtype.

  Returns:
    `tf_keras.Sequential`, from `[batch, latent_size]` to `[batch, height, width,
    channels * outputs_per_channel]`.

  #### Examples

  >>> convolutional_decoder([28, 28, 1], 10, 256, width=8).output_shape
  (None, 28, 28, 256)

  #### References

  [1]: Alec Radford, Luke Metz, Soumith Chintala. Unsupervised Representation
       Learning with Deep Convolutional Generative Adversarial Networks. In
       _International Conference on Learning Representations_, 2016.
       https://arxiv.org/abs/1511.06434
  """
  seeds = _seeds(seed)
  num_levels = _num_levels(image_shape)
  rows, columns, channels = image_shape
  start = [
    rows >> num_levels,
    columns >> num_levels,
    width * 2 ** (num_levels - 1),
  ]

  def activated():
    parts = [layers.ReLU(dtype=dtype)]
    if batch_normalization:
      parts.insert(0, AdaptiveBatchNormalization(dtype=dtype))
    return parts

  def upsample(channels, initializer):
    return layers.Conv2DTranspose(
      channels,
      _KERNEL_SIZE,
      strides=2,
      padding='same',
      kernel_initializer=initializer,
      dtype=dtype,
    )

  parts = [layers.Input([latent_size], dtype=dtype)]
  parts.append(_dense(int(np.prod(start)), seeds, dtype))
  parts.append(layers.Reshape(start, dtype=dtype))
  parts += activated()
  for level in reversed(range(num_levels - 1)):
    parts.append(upsample(width * 2**level, _he_normal(seeds)))
    parts += activated()
  initializer = tf_keras.initializers.GlorotUniform(next(seeds))
  parts.append(upsample(channels * outputs_per_channel, initializer))
  return tf_keras.Sequential(parts, name='convolutional_decoder')


def _num_levels(image_shape):
  """How often both sides can be halved, at least once."""
  sides = list(image_shape[:2])
  number = 0
  while number < _MAX_LEVELS and all(s % 2 == 0 and s > 4 for s in sides):
    sides = [side // 2 for side in sides]
    number += 1
  if not number:
    raise ValueError(
      'The sides of the images of a convolutional autoencoder must be even and '
      f'above four, got image shape {image_shape}.'
    )
  return number


def _dense(size, seeds, dtype):
  initializer = tf_keras.initializers.GlorotUniform(next(seeds))
  return layers.Dense(size, kernel_initializer=initializer, dtype=dtype)


def _he_normal(seeds):
  return tf_keras.initializers.HeNormal(next(seeds))


def _seeds(seed):
  """Independent seeds that Keras takes."""
  generator = np.random.default_rng(seed)
  while True:
    yield int(generator.integers(2**31))
