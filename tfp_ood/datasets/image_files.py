# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Files of images, of any size, as arrays of one size."""

import collections
import concurrent.futures
import itertools
import os
import pathlib

import numpy as np
from PIL import Image, ImageOps

__all__ = ['image_files', 'read_image', 'read_images']

_EXTENSIONS = ('.bmp', '.jpeg', '.jpg', '.png', '.tif', '.tiff', '.webp')
_MODES = {1: 'L', 3: 'RGB'}
# Read before they are asked for.
_NUM_AHEAD = 256


def image_files(folder):
  """Returns the image files of a folder, and of the folders in it, in order.

  Args:
    folder: `str` or `os.PathLike`.

  Returns:
    List of `pathlib.Path`s: PNG, JPEG, WebP, BMP and TIFF files, by their names.

  Raises:
    FileNotFoundError: if there is no such folder, or no image in it.

  #### Example

  >>> import tempfile
  >>> with tempfile.TemporaryDirectory() as folder:
  ...   for name in ('b.png', 'a.JPG', 'notes.txt'):
  ...     (pathlib.Path(folder) / name).touch()
  ...   [path.name for path in image_files(folder)]
  ['a.JPG', 'b.png']
  """
  folder = pathlib.Path(folder).expanduser()
  if not folder.is_dir():
    raise FileNotFoundError(f'There is no folder {str(folder)!r}.')
  files = sorted(
    path
    for path in folder.rglob('*')
    if path.suffix.lower() in _EXTENSIONS and not path.name.startswith('.')
  )
  if not files:
    raise FileNotFoundError(
      f'There are no images in the folder {str(folder)!r}. Their names end in '
      f'{", ".join(_EXTENSIONS)}.'
    )
  return files


def read_image(path, image_shape):
  """Reads an image: upright, the largest part of the right proportions, resized.

  The part is the middle; transparent parts are black; 16 bits become eight.

  Args:
    path: `str` or `os.PathLike`, or a file opened to read bytes.
    image_shape: `(height, width, channels)`, with 1 or 3 channels.

  Returns:
    `uint8` array of shape `image_shape`.

  Raises:
    ValueError: if `image_shape` is no shape of images, or the file is no whole
      image, or too large to be one.
    OSError: if the file cannot be opened.

  #### Example

  >>> import tempfile
  >>> with tempfile.TemporaryDirectory() as folder:
  ...   path = os.path.join(folder, 'wide.png')
  ...   Image.new('RGB', (64, 32), 'white').save(path)
  ...   read_image(path, (8, 8, 1)).shape
  (8, 8, 1)
  """
  height, width, channels = image_shape = _checked_shape(image_shape)
  mode = _MODES[channels]
  try:
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
  # (Pillow raises `SyntaxError` for broken PNG files.)
  except (SyntaxError, Image.DecompressionBombError) as error:
    raise ValueError(str(error)) from error
  return np.asarray(image, np.uint8).reshape(image_shape)


def read_images(paths, image_shape):
  """Reads images in threads, a few hundred ahead, and goes on past damaged files.

  Args:
    paths: iterable of `str` or `os.PathLike`.
    image_shape: `(height, width, channels)`, as for `read_image`.

  Yields:
    Pairs in the order of the paths: of the image and `None`, or, where the file
    cannot be read, of `None` and a `str` that says why.

  Raises:
    ValueError: if `image_shape` is no shape of images.

  #### Example

  >>> import tempfile
  >>> with tempfile.TemporaryDirectory() as folder:
  ...   paths = [os.path.join(folder, name) for name in ('good.png', 'bad.png')]
  ...   Image.new('L', (32, 32)).save(paths[0])
  ...   with open(paths[1], 'w') as file:
  ...     _ = file.write('no image')
  ...   for image, error in read_images(paths, (8, 8, 1)):
  ...     print(error or image.shape)
  (8, 8, 1)
  cannot identify image file ...
  """
  _checked_shape(image_shape)
  paths = iter(paths)
  with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:

    def begun(number):
      return [
        pool.submit(_image_or_error, path, image_shape)
        for path in itertools.islice(paths, number)
      ]

    ahead = collections.deque(begun(_NUM_AHEAD))
    while ahead:
      yield ahead.popleft().result()
      ahead.extend(begun(1))


def _image_or_error(path, image_shape):
  try:
    return read_image(path, image_shape), None
  except (OSError, ValueError) as error:
    return None, str(error) or type(error).__name__


def _checked_shape(image_shape):
  shape = tuple(image_shape)
  if not (len(shape) == 3 and min(shape[:2]) >= 1 and shape[2] in _MODES):
    raise ValueError(
      f'`image_shape` must be (height, width, 1 or 3), got {image_shape!r}.'
    )
  return shape


def _eight_bits(image):
  if not image.mode.startswith('I'):
    return image
  # Pillow would cut off what is above 255.
  return Image.fromarray((np.asarray(image) / 257).round().astype(np.uint8))
