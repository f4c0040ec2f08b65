# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Folders of image files."""

import os
import pathlib
import warnings

import numpy as np
import tensorflow as tf

from tfp_ood.datasets.image_files import image_files, read_image, read_images

__all__ = ['FOLDER', 'folder_examples', 'folder_files']

FOLDER = 'folder:'  # What the name of a folder begins with.
_NO_LABEL = -1
_MAX_NAMED = 20


def folder_files(name):
  """Returns the image files of a folder, a list of `pathlib.Path`s.

  Args:
    name: `'folder:PATH'`.

  Raises:
    FileNotFoundError: if there is no such folder, or no image in it.
  """
  return image_files(name.removeprefix(FOLDER))


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
  files = folder_files(name)
  # Now, and not in the middle of a training: each is decoded once in passing.
  errors = [error for _, error in read_images(files, image_shape)]
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
      lambda path: read_image(os.fsdecode(path), image_shape), [path], tf.uint8
    )
    return tf.ensure_shape(image, image_shape), label

  dataset = tf.data.Dataset.from_tensor_slices(
    ([os.fsencode(path) for path in files], labels)
  )
  return dataset.map(decode, num_parallel_calls=tf.data.AUTOTUNE)


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
