# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""One function that loads TFDS data sets, folders, the bundled sample and controls."""

import numpy as np
import tensorflow as tf

from tfp_ood.datasets import (
  _controls,
  _folder,
  _prepared,
  _sample,
  _split_expressions,
)
from tfp_ood.datasets._checks import check_positive_int
from tfp_ood.datasets._random_transformations import transform_at_random

__all__ = ['load', 'num_examples']

# Bounds the memory of the shuffle buffer: 87,381 images of 32 x 32 x 3.
_SHUFFLE_BUFFER_BYTES = 256 * 2**20


def load(
  name,
  split=None,
  data_dir=None,
  *,
  batch_size=64,
  shuffle=False,
  seed=0,
  repeat=False,
  drop_remainder=False,
  limit=None,
  transformation=None,
  random_transformation=None,
  download=False,
  image_shape=(32, 32, 3),
  num_examples=1000,
  skip_unreadable=False,
):
  """Loads images and labels in batches.

  Four kinds of names:

  - A TFDS data set: `'cifar10/train'`, `'svhn_cropped/test[:8000]'`,
    `'imagenet_resized/32x32/validation'`; the split may also be given as
    `split`. It is read from `data_dir`, and never downloaded unless
    `download` says so.
  - A folder of image files (PNG, JPEG, WebP, BMP, TIFF), and of the folders in
    it: `'folder:/home/me/pictures'`, in the order of their paths. Each image is
    turned upright, cropped in the middle to the proportions of `image_shape`, and
    resized to it; transparent parts are black. Subfolders, in alphabetical order,
    are the classes. There are no splits; `limit` takes the first ones.
  - The bundled sample, with splits `'train'` and `'test'`:
    `'sample_photographs'` (patches of two photographs) and `'sample_digits'`
    (handwritten digits as colored plates), 32 x 32 x 3.
  - A control, which has no splits: `'constant/128'` (one gray level),
    `'constant'` (the levels 0..255 spread evenly over the images, in ascending
    order) and `'uniform_noise'` (every pixel uniform on 0..255).

  The number of batches is `dataset.cardinality()`, the shape of the images
  `dataset.element_spec[0].shape[1:]`.

  Args:
    name: Name of the data set, with or without the split expression.
    split: TFDS split expression, where `name` has none: `'test'`,
      `'train[:80%]'`, `'train[10:20]+test'`.
    data_dir: TFDS directory; `None` is the default of TFDS, the environment
      variable `TFDS_DATA_DIR` or `~/tensorflow_datasets`. Used by TFDS data
      sets only.
    batch_size: Positive Python int.
    shuffle: Python bool: whether the order is random, and another one in each
      iteration. Data sets of more than 256 MiB are shuffled within a window of
      that size.
    seed: Python int: the seed of the order (together with the global seed of
      `tf.random.set_seed`, as everywhere in tf.data), of `'uniform_noise'` and
      of `random_transformation`.
    repeat: Python bool: whether to start anew, without end, after the last
      example. With `shuffle`, each pass has every example once.
    drop_remainder: Python bool: whether a last, smaller batch is left out. If
      true the batch size is static.
    limit: `None` or a positive Python int: read the first `limit` examples at
      most, before they are shuffled.
    transformation: `None` or a function from a batch of images, `uint8`
      `[batch, height, width, channels]`, to such a batch in raw pixels 0..255.
      Floats are rounded half to even and clipped to 0..255.
    random_transformation: `None` or a function of a batch of images and a seed,
      an `int32` tensor of shape `[2]` that differs for each batch of each
      iteration: `lambda images, seed: mutate(images, 0.1, seed)`. It comes after
      `transformation`, under the same rules.
    download: Python bool: whether TFDS downloads a data set that is absent.
      Where there is no network, TFDS tries for some minutes.
    image_shape: `(height, width, channels)` of a control or a folder.
    num_examples: Positive Python int, the number of images of a control.
    skip_unreadable: Python bool: whether files of a folder that cannot be read
      are left out, with a warning that names them, rather than refused.

  Returns:
    A `tf.data.Dataset` of `(images, labels)`: `uint8` raw pixels
    `[batch_size, height, width, channels]`, static except for the batch, and
    `int64` `[batch_size]`. The label is the class, for constant images the gray
    level, and -1 where there is none.

  Raises:
    FileNotFoundError: if a TFDS data set is not in `data_dir`, or `download` is
      true and the download failed; if there is no such folder, or no image in it.
    ValueError: if files of a folder cannot be read; if `name` is unknown or the split is missing, given twice or not
      one of the data set's, or another argument is not as described above.

  #### Examples

  >>> dataset = load('sample_digits/test[:100]', batch_size=32)
  >>> dataset.element_spec[0].shape
  TensorShape([None, 32, 32, 3])
  >>> [len(labels) for images, labels in dataset]
  [32, 32, 32, 4]
  """
  check_positive_int('batch_size', batch_size)
  if limit is not None:
    check_positive_int('limit', limit)
  if _is_folder(name):
    _check_no_split(name, split, 'folders')
    examples = _folder.folder_examples(name, image_shape, skip_unreadable)
  elif _is_control(name):
    _check_no_split(name, split, 'controls')
    examples = _controls.control_examples(name, image_shape, num_examples, seed)
  else:
    name, split = _split_expressions.parse_name(name, split)
    examples = _split_examples(name, split, data_dir, download)
  if limit is not None:
    examples = examples.take(limit)
  count = int(examples.cardinality())
  if drop_remainder and count < batch_size:
    raise ValueError(
      f'`batch_size` must be at most {count}, the number of examples of '
      f'{name!r}, for `drop_remainder` to leave any; got {batch_size}.'
    )
  if shuffle:
    image_bytes = examples.element_spec[0].shape.num_elements()
    window = max(1, _SHUFFLE_BUFFER_BYTES // image_bytes)
    examples = examples.shuffle(
      min(count, window), seed=seed, reshuffle_each_iteration=True
    )
  if repeat:
    examples = examples.repeat()
  batches = examples.batch(batch_size, drop_remainder=drop_remainder)
  if transformation is not None:
    batches = batches.map(
      lambda images, labels: (_transformed(images, transformation), labels),
      num_parallel_calls=tf.data.AUTOTUNE,
    )
  if random_transformation is not None:
    batches = transform_at_random(
      batches,
      lambda images, seed: _transformed(
        images, lambda images: random_transformation(images, seed)
      ),
      seed,
    )
  return batches.prefetch(tf.data.AUTOTUNE)


def num_examples(name, split=None, data_dir=None):
  """Counts the examples of a split without reading them.

  Args:
    name: Name of a TFDS data set, a folder or the bundled sample, as for `load`.
    split: TFDS split expression, where `name` has none.
    data_dir: TFDS directory, as for `load`.

  Returns:
    Python int, the number of examples; of a folder, that of the image files,
    whether they can be read or not.

  Raises:
    FileNotFoundError: if a TFDS data set is not in `data_dir`, or there is no
      such folder, or no image in it.
    ValueError: if `name` is unknown or a control, which has as many examples as
      `load` is asked for; or the split is missing, given twice or not one of
      the data set's.

  #### Examples

  >>> num_examples('sample_digits/test')
  500
  """
  if _is_control(name):
    raise ValueError(
      f'`name` {name!r} is a control: it has as many examples as the argument '
      '`num_examples` of `load` asks for.'
    )
  if _is_folder(name):
    _check_no_split(name, split, 'folders')
    return len(_folder.folder_files(name))
  name, split = _split_expressions.parse_name(name, split)
  return int(_split_examples(name, split, data_dir, False).cardinality())


def _check_no_split(name, split, kind):
  if split is not None:
    raise ValueError(
      f'`split` must be None for {name!r}, got {split!r}: {kind} have no splits.'
    )


def _split_examples(name, split, data_dir, download):
  if name not in _sample.SAMPLES:
    return _prepared.prepared_examples(name, split, data_dir, download)
  # The sample is arrays in memory under the split expressions of TFDS, not a
  # TFDS builder: a builder would write into the user's home at first use, for
  # data that takes less time to compute than to write and read.
  arrays = _sample.sample_arrays(name)
  slices = _split_expressions.selected_slices(
    name, split, {key: len(labels) for key, (_, labels) in arrays.items()}
  )
  chosen = [[column[part] for column in arrays[key]] for key, part in slices]
  images, labels = (
    np.concatenate(column) for column in zip(*chosen, strict=True)
  )
  return tf.data.Dataset.from_tensor_slices((images, labels))


def _is_folder(name):
  return name.startswith(_folder.FOLDER)


def _is_control(name):
  return name.split('/')[0] in _controls.CONTROLS


def _transformed(images, transformation):
  transformed = tf.convert_to_tensor(transformation(images))
  shape = transformed.shape
  if shape.rank != 4 or not shape[1:].is_fully_defined():
    raise ValueError(
      '`transformation` must return images of the shape [batch, height, width, '
      f'channels], static except for the batch; from {images.shape} it made '
      f'{shape}. Where the shape is only unknown, `tf.ensure_shape` states it.'
    )
  if transformed.dtype.is_floating:
    with tf.control_dependencies(
      [
        tf.debugging.assert_all_finite(
          transformed, '`transformation` must return finite pixels.'
        )
      ]
    ):
      transformed = tf.round(transformed)
  return tf.saturate_cast(transformed, tf.uint8)
