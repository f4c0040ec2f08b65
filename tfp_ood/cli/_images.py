# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The images that a subcommand is given."""

import base64
import copy
import hashlib
import os
import warnings

import numpy as np
import tensorflow as tf

from tfp_ood import datasets
from tfp_ood.cli._errors import CommandError, user_errors, warn
from tfp_ood.cli._progress import progress_bar

__all__ = ['Images', 'decoded_digests', 'encoded_digests']

_BATCH_SIZE = 64
_DIGEST_BYTES = 6
# Up to here, files are decoded once and kept.
_LARGEST_CACHE = 2**30


class Images:
  """Images of a folder or another data set, each known by a digest of its pixels.

  By its digest an image is recognized in any folder and under any name, and it is
  the digest that decides whether training leaves it out.

  Attributes:
    name: `str`, as `tfp_ood.datasets.load` takes it.
    image_shape: `(height, width, channels)`.
    digests: array of an integer for each image, in the order of the data set.
  """

  def __init__(self, name, image_shape=None, data_dir=None):
    """Reads all images once.

    Args:
      name: `str`.
      image_shape: the shape to bring them to. Default: 32 x 32 x 3 for a folder, or
        else the one that they have.
      data_dir: folder of prepared data sets of TFDS.

    Raises:
      CommandError: if there is no such data set, or it has no images.
    """
    self.name = name
    examples = _loaded(name, image_shape, data_dir)
    self.image_shape = tuple(examples.element_spec.shape)
    count = int(examples.cardinality())
    if count * np.prod(self.image_shape) <= _LARGEST_CACHE:
      examples = examples.cache()
    self._examples = examples
    self.digests = np.zeros([count], np.int64)
    self._chosen = np.ones([count], bool)
    with progress_bar(f'reading {self.label}', count) as bar:
      for number, image in enumerate(examples.as_numpy_iterator()):
        self.digests[number] = _digest(image)
        bar.update()

  def __len__(self):
    return len(self.digests)

  @property
  def label(self):
    """`str`, a short name: of a folder, without the path to it."""
    if not self.name.startswith('folder:'):
      return self.name
    return os.path.basename(self.name) or self.name

  def where(self, chosen):
    """Returns the images that a `bool` array chooses, as another `Images`."""
    some = copy.copy(self)
    some.digests = self.digests[chosen]
    some._chosen = self._chosen.copy()
    some._chosen[self._chosen] = chosen
    return some

  def some(self, number):
    """Returns at most so many, the same ones always, wherever they stand."""
    if len(self) <= number:
      return self
    chosen = np.zeros([len(self)], bool)
    chosen[np.argsort(self.digests, kind='stable')[:number]] = True
    return self.where(chosen)

  def is_held_out(self, share):
    """Returns a `bool` array: which images to hold out for such a share of them."""
    return self.digests < share * 2 ** (8 * _DIGEST_BYTES)

  def batches(self, batch_size=_BATCH_SIZE, shuffle_seed=None, repeats=1):
    """Returns a `tf.data.Dataset` of batches of images, which knows its length.

    Args:
      batch_size: Python `int`.
      shuffle_seed: Python `int`, that of a random order, another one each time;
        `None` for the order of the data set.
      repeats: Python `int`, how often it has each image.
    """
    chosen = tf.data.Dataset.from_tensor_slices(self._chosen)
    examples = tf.data.Dataset.zip(self._examples, chosen)
    examples = examples.filter(lambda image, is_chosen: is_chosen)
    examples = examples.map(lambda image, is_chosen: image)
    examples = examples.apply(
      tf.data.experimental.assert_cardinality(len(self))
    )
    if shuffle_seed is not None:
      window = max(1, _LARGEST_CACHE // 4 // int(np.prod(self.image_shape)))
      examples = examples.shuffle(min(len(self), window), shuffle_seed)
    examples = examples.repeat(repeats).batch(batch_size)
    return examples.prefetch(tf.data.AUTOTUNE)


def encoded_digests(digests):
  """Returns digests as a `str`, for a file of JSON."""
  size = digests.dtype.itemsize
  # The bytes at the end are zero.
  values = np.sort(digests).astype('<i8').view(np.uint8).reshape([-1, size])
  return base64.b64encode(values[:, :_DIGEST_BYTES].tobytes()).decode('ascii')


def decoded_digests(text):
  """Returns the digests that `encoded_digests` made a `str` of."""
  values = np.frombuffer(base64.b64decode(text), np.uint8)
  values = values.reshape([-1, _DIGEST_BYTES])
  padding = ((0, 0), (0, np.dtype('<i8').itemsize - _DIGEST_BYTES))
  return np.pad(values, padding).view('<i8')[:, 0].astype(np.int64)


def _loaded(name, image_shape, data_dir):
  """Returns a data set of single images, of one shape."""
  options = {}
  if image_shape is not None:
    options = {
      'image_shape': image_shape,
      'transformation': lambda images: datasets.fit_to_shape(
        images, image_shape
      ),
    }
  with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter('always', UserWarning)
    try:
      with user_errors():
        dataset = datasets.load(
          name,
          data_dir=data_dir,
          batch_size=1,  # So that it knows how many there are.
          skip_unreadable=True,
          **options,
        )
    except CommandError as error:
      if name.startswith('folder:'):
        raise
      raise CommandError(
        f'There is no folder {name!r} here, and as a data set: {error}'
      ) from error
  for warning in caught:
    warn(str(warning.message))
  return dataset.map(lambda images, labels: images[0])


def _digest(image):
  digest = hashlib.blake2b(image.tobytes(), digest_size=_DIGEST_BYTES)
  return int.from_bytes(digest.digest(), 'little')
