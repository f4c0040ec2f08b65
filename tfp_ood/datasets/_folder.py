# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Folders of image files."""

import concurrent.futures
import os
import pathlib
import warnings

import numpy as np
import tensorflow as tf
from PIL import Image, ImageOps

__all__ = ['FOLDER', 'folder_examples', 'image_files']

FOLDER = 'folder:'  # What the name of a folder begins with.
_EXTENSIONS = ('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')
_MODES = {1: 'L', 3: 'RGB'}
_NO_LABEL = -1
_MAX_NAMED = 20


def image_files(name):
  """Returns the image files of a folder, and of the folders in it, in order.

  Args:
    name: `'folder:PATH'`.

  Returns:
    List of `pathlib.Path`s.

  Raises:
    FileNotFoundError: if there is no such folder, or no image in it.
  """
  folder = pathlib.Path(name.removeprefix(FOLDER)).expanduser()
  if not folder.is_dir():
    raise FileNotFoundError(f'{name!r}: there is no folder {folder}.')
  files = sorted(
    path
    for path in folder.rglob('*')
    if path.suffix.lower() in _EXTENSIONS and not path.name.startswith('.')
  )
  if not files:
    raise FileNotFoundError(
      f'{name!r}: there are no images in {folder}. Their names end in '
      f'{", ".join(_EXTENSIONS)}.'
    )
  return files


def folder_examples(name, image_shape, skip_unreadable):
  """Returns the single images of a folder, not batched.

  Args:
    name: `'folder:PATH'`.
    image_shape: `(height, width, channels)`, with 1 or 3 channels.
    skip_unreadable: Python `bool`, whether files that cannot be read are left out,
      with a warning that names them.

  Returns:
    A `tf.data.Dataset` of `(image, label)`, `uint8` of `image_shape` and scalar
    `int64`.

  Raises:
    FileNotFoundError: if there is no such folder, or no image in it.
    ValueError: if files cannot be read, or `image_shape` is no shape of images.
  """
  height, width, channels = _validated_shape(image_shape)
  files = image_files(name)
  # Now, and not in the middle of a training: each is decoded once in passing.
  with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
    errors = list(pool.map(lambda path: _error(path, image_shape), files))
  damaged = [
    f'{path} ({error})'
    for path, error in zip(files, errors, strict=True)
    if error
  ]
  files = [path for path, error in zip(files, errors, strict=True) if not error]
  if damaged:
    _report(name, damaged, bool(files) and skip_unreadable)
  folder = pathlib.Path(name.removeprefix(FOLDER)).expanduser()
  labels = _labels([path.relative_to(folder) for path in files])

  def decode(path, label):
    image = tf.numpy_function(
      lambda path: _read(os.fsdecode(path), image_shape), [path], tf.uint8
    )
    return tf.ensure_shape(image, [height, width, channels]), label

  dataset = tf.data.Dataset.from_tensor_slices(
    ([os.fsencode(path) for path in files], labels)
  )
  return dataset.map(decode, num_parallel_calls=tf.data.AUTOTUNE)


def _validated_shape(image_shape):
  shape = tuple(image_shape)
  if not (len(shape) == 3 and min(shape[:2]) >= 1 and shape[2] in _MODES):
    raise ValueError(
      '`image_shape` of a folder must be (height, width, 1 or 3), got '
      f'{image_shape!r}.'
    )
  return shape


def _read(path, image_shape):
  """Reads an image: upright, the largest part of the right proportions, resized."""
  height, width, channels = image_shape
  mode = _MODES[channels]
  with Image.open(path) as image:
    # JPEG: no more pixels than are needed, whichever way up they are.
    image.draft(mode, (max(height, width),) * 2)
    image = _eight_bits(ImageOps.exif_transpose(image))
    if 'A' in image.getbands() or 'transparency' in image.info:
      image = image.convert('RGBA')
      background = Image.new('RGBA', image.size, 'black')
      image = Image.alpha_composite(background, image)
    image = ImageOps.fit(
      image.convert(mode), (width, height), Image.Resampling.BILINEAR
    )
  return np.asarray(image, np.uint8).reshape(image_shape)


def _eight_bits(image):
  if not image.mode.startswith('I'):
    return image
  # Pillow would cut off what is above 255.
  return Image.fromarray((np.asarray(image) / 257).round().astype(np.uint8))


def _error(path, image_shape):
  """Says why a file cannot be read; `None` if it can be."""
  try:
    _read(path, image_shape)
  except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as e:
    # (Pillow raises `SyntaxError` for broken PNG files.)
    return f'{type(e).__name__}: {e}'
  return None


def _report(name, damaged, may_skip):
  named = ''.join(f'\n  {line}' for line in damaged[:_MAX_NAMED])
  if len(damaged) > _MAX_NAMED:
    named += f'\n  and {len(damaged) - _MAX_NAMED} more'
  if not may_skip:
    raise ValueError(
      f'{name!r}: {len(damaged)} files cannot be read; `skip_unreadable=True` '
      f'leaves them out, if there are others:{named}'
    )
  warnings.warn(
    f'{name!r}: {len(damaged)} files cannot be read and are left out:{named}',
    stacklevel=4,
  )


def _labels(paths):
  """The number of each file's subfolder, -1 for files beside the subfolders."""
  folders = [path.parts[0] if len(path.parts) > 1 else None for path in paths]
  classes = sorted({folder for folder in folders if folder is not None})
  numbers = {folder: index for index, folder in enumerate(classes)}
  return np.array(
    [numbers.get(folder, _NO_LABEL) for folder in folders], np.int64
  )
