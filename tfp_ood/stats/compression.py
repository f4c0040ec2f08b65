# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""How many bits lossless compressors need for an image."""

import concurrent.futures
import io

import numpy as np
import tensorflow as tf
from PIL import Image

from tfp_ood import _pixels

__all__ = ['COMPRESSORS', 'compressed_bits_per_dim', 'png_bits_per_dim']

# How Pillow writes a format without loss and as small as it can.
_PILLOW_OPTIONS = {
  'jpeg2000': dict(format='JPEG2000', irreversible=False, no_jp2=True),
  'png': dict(format='PNG', optimize=True),
  'webp': dict(format='WEBP', lossless=True, quality=100),
}
COMPRESSORS = tuple(_PILLOW_OPTIONS)


def png_bits_per_dim(images):
  """Size of each image as a PNG file, in TensorFlow's graph.

      bits_per_dim = 8 * (bytes of the file) / (height * width * channels)

  The file is as `tf.io.encode_png` writes it at the highest compression, its
  header of some 60 bytes included (.16 bits per dimension of a 32 x 32 x 3
  image, the same for each).

  Args:
    images: `Tensor` of raw pixels 0..255, `[batch, height, width, channels]`
      with 1 to 4 channels and a static shape but for the batch; `uint8`, or
      floats that hold whole numbers.

  Returns:
    float32 `Tensor` of shape `[batch]`.

  Raises:
    ValueError: if `images` have another shape.

  #### Example

  >>> import tensorflow as tf
  >>> black = tf.zeros([32, 32, 3], tf.uint8)
  >>> noise = tf.cast(tf.random.stateless_uniform(
  ...     [32, 32, 3], [1, 2], maxval=256, dtype=tf.int32), tf.uint8)
  >>> [round(float(bits), 1)
  ...  for bits in png_bits_per_dim(tf.stack([black, noise]))]
  [0.2, 8.3]
  """
  images = _as_uint8(images)
  size = images.shape[1:].num_elements()
  files = tf.io.encode_png(images, compression=9)
  return 8.0 * tf.cast(tf.strings.length(files), tf.float32) / size


def compressed_bits_per_dim(images, compressors=COMPRESSORS):
  """Size of each image by the best of several lossless compressors.

      bits_per_dim = min over compressors of 8 * bytes / dimensions

  Pillow does the compression, in Python, several images at a time in threads: in
  a `tf.function` or a `tf.data` pipeline this runs as a `tf.numpy_function`, which
  a SavedModel cannot hold.
  `png_bits_per_dim` is the way for those.

  Args:
    images: as for `png_bits_per_dim`, with 1 or 3 channels.
    compressors: names out of `COMPRESSORS`: `'jpeg2000'`, `'png'`, `'webp'`.

  Returns:
    float32 `Tensor` of shape `[batch]`.

  Raises:
    ValueError: if `images` have another shape, or a compressor is unknown or
      none is given.

  #### Example

  >>> import numpy as np
  >>> noise = np.random.default_rng(0).integers(0, 256, [2, 32, 32, 3])
  >>> noise = noise.astype(np.uint8)
  >>> bool(np.all(compressed_bits_per_dim(noise)
  ...             <= compressed_bits_per_dim(noise, ['png'])))
  True
  """
  unknown = set(compressors) - set(COMPRESSORS)
  if unknown or not compressors:
    raise ValueError(
      f'`compressors` must be some of {", ".join(COMPRESSORS)}; got '
      f'{list(compressors)}.'
    )
  images = _as_uint8(images)
  if images.shape[-1] not in (1, 3):
    raise ValueError(
      f'`images` must have 1 or 3 channels, got shape {images.shape}.'
    )
  bits = tf.numpy_function(
    lambda batch: _smallest_bits_per_dim(batch, compressors),
    [images],
    tf.float32,
  )
  return tf.ensure_shape(bits, images.shape[:1])


def _as_uint8(images):
  images = tf.convert_to_tensor(images, name='images')
  shape = images.shape
  if shape.rank != 4 or not shape[1:].is_fully_defined():
    raise ValueError(
      '`images` must have shape [batch, height, width, channels], static but '
      f'for the batch; got {shape}.'
    )
  if not 1 <= shape[-1] <= 4:
    raise ValueError(f'`images` must have 1 to 4 channels, got shape {shape}.')
  images = _pixels.as_pixels(images, shape[1:], 'compression')
  return tf.cast(_pixels.check_pixels(images, 'compression'), tf.uint8)


def _smallest_bits_per_dim(images, compressors):
  def smallest(image):
    return min(_num_bytes(image, compressor) for compressor in compressors)

  # Pillow writes PNG and WebP, not JPEG 2000, without Python's lock.
  with concurrent.futures.ThreadPoolExecutor() as threads:
    num_bytes = list(threads.map(smallest, images))
  size = np.prod(images.shape[1:])
  return (8.0 * np.asarray(num_bytes, np.float32) / size).astype(np.float32)


def _num_bytes(image, compressor):
  buffer = io.BytesIO()
  # Pillow has no images of one channel with an axis for it.
  pixels = image[..., 0] if image.shape[-1] == 1 else image
  Image.fromarray(pixels).save(buffer, **_PILLOW_OPTIONS[compressor])
  return buffer.tell()
