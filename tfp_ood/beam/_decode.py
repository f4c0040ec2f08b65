# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""From what was read to an example as the detector takes it."""

import io

import numpy as np
from PIL import Image

from tfp_ood import datasets

__all__ = ['example_of']


def example_of(value, spec):
  """Returns an example, or raises.

  Args:
    value: `bytes` of an image file, or numbers; see `Record`.
    spec: `tf.TensorSpec` of a batch of examples.

  Returns:
    Array of the shape and dtype of one example.

  Raises:
    ValueError: if it is no example: no whole image, or other numbers.
  """
  shape = tuple(spec.shape[1:])
  if isinstance(value, bytes):
    return _image(value, shape)
  return _numbers(value, shape, spec.dtype.as_numpy_dtype)


def _numbers(value, shape, dtype):
  values = np.asarray(value)
  if values.dtype.kind not in 'biuf':
    raise ValueError('it is neither an image file nor numbers')
  if values.size != np.prod(shape, dtype=int):
    raise ValueError(f'it has {values.size} numbers, not those of {shape}')
  values = values.reshape(shape)
  is_whole = np.issubdtype(dtype, np.integer)
  if is_whole and not np.all(
    (np.iinfo(dtype).min <= values)
    & (values <= np.iinfo(dtype).max)
    & (values == np.floor(values))
  ):
    raise ValueError(f'it has numbers that are no {np.dtype(dtype).name}')
  return values.astype(dtype)


def _image(data, shape):
  try:
    return datasets.read_image(io.BytesIO(data), shape)
  except Image.UnidentifiedImageError as error:  # Its text has an address.
    raise ValueError('it is no image of a known format') from error
  # A damaged file makes Pillow raise nearly anything.
  except Exception as error:
    raise ValueError(str(error) or type(error).__name__) from error
