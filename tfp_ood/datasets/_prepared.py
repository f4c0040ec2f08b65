# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Data sets of TFDS that were prepared on disk, and what to do if not."""

import difflib
import re

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from tfp_ood.datasets import _controls, _sample, _split_expressions

__all__ = ['prepared_examples']

# What a label is where the images belong to no class.
_NO_LABEL = -1

# 'dataset', 'dataset/configuration', 'dataset:1.0.0'. A namespace, as in
# 'huggingface:mnist', is left out: TFDS looks those up in the network.
_NAME = re.compile(r'\w+(/[\w+.-]+)?(:[\d.*]+)?')


def prepared_examples(name, split, data_dir=None, download=False):
  """Reads the single examples of a TFDS data set, in the order of the files.

  Args:
    name: TFDS name, with a configuration where the data set has several.
    split: TFDS split expression.
    data_dir: The TFDS directory; `None` is the default of TFDS, the environment
      variable `TFDS_DATA_DIR` or `~/tensorflow_datasets`.
    download: Python bool: whether an absent data set is downloaded. Without,
      no network is used.

  Returns:
    A `tf.data.Dataset` of `(image, label)`, `uint8` of a static
    `[height, width, channels]` and scalar `int64`. The label is the feature
    `label`, or -1 for a data set without.

  Raises:
    FileNotFoundError: if the data set is not on disk, and could not be
      downloaded or was not to be.
    ValueError: if there is no such data set or split, or it does not consist of
      `uint8` images of one size.
  """
  builder = _builder(name, data_dir)
  if not builder.is_prepared():
    _download_or_raise(name, builder, download)
  _split_expressions.selected_slices(
    name,
    split,
    {key: info.num_examples for key, info in builder.info.splits.items()},
  )
  features = _wanted_features(name, builder.info.features)
  examples = builder.as_dataset(
    split=split,
    decoders=tfds.decode.PartialDecoding(dict.fromkeys(features, True)),
    # TFDS would keep small data sets in memory once more, and warn whenever a
    # reader stops before the end.
    read_config=tfds.ReadConfig(try_autocache=False),
  )

  def image_and_label(example):
    label = example.get('label', tf.constant(_NO_LABEL, tf.int64))
    return example['image'], tf.cast(label, tf.int64)

  return examples.map(image_and_label, num_parallel_calls=tf.data.AUTOTUNE)


def _builder(name, data_dir):
  if not _NAME.fullmatch(name):
    raise ValueError(
      "`name` must be 'dataset' or 'dataset/configuration', without a "
      f'namespace and before any split expression, got {name!r}.'
    )
  try:
    return tfds.builder(name, data_dir=data_dir, try_gcs=False)
  except tfds.core.DatasetNotFoundError as error:
    raise ValueError(_unknown_name(name)) from error
  # TFDS raises an AssertionError for versions it does not know.
  except (ValueError, AssertionError) as error:
    raise ValueError(f'`name` {name!r} cannot be loaded: {error}') from error


def _unknown_name(name):
  here = [*_sample.SAMPLES, *_controls.CONTROLS]
  known = here + tfds.list_builders(with_community_datasets=False)
  dataset = re.split('[/:]', name)[0]
  # What a name is short for, such as 'svhn', is not close in letters.
  matches = [one for one in known if one.startswith(f'{dataset}_')][:3]
  matches = dict.fromkeys(matches + difflib.get_close_matches(dataset, known))
  close = f'Did you mean {" or ".join(map(repr, matches))}? ' if matches else ''
  return (
    f'`name` {name!r} is no data set. {close}Known are '
    f'{", ".join(map(repr, here))} and the data sets of TFDS: see '
    'https://www.tensorflow.org/datasets/catalog/overview.'
  )


def _download_or_raise(name, builder, download):
  failure = ''
  cause = None
  if download:
    try:
      builder.download_and_prepare(
        download_config=tfds.download.DownloadConfig(try_download_gcs=False)
      )
      return
    # A download fails in as many ways as there are servers and scripts.
    except Exception as error:
      failure = f', and the download failed ({error!r})'
      cause = error
  # The folder is <data_dir>/<name>/<configuration>/<version>.
  levels = builder.info.full_name.count('/')
  data_dir = builder.data_path.parents[levels]
  raise FileNotFoundError(
    f'Data set {name!r} is not in {builder.data_path}{failure}. Either build '
    f'it there, with a network: `tfds build {name} --data_dir={data_dir}` or '
    '`load(..., download=True)`; or name a folder that has it: `data_dir`, in '
    'the scripts the flag --data_dir; or take the bundled sample, which is '
    "always there: 'sample_photographs' and 'sample_digits'."
  ) from cause


def _wanted_features(name, features):
  image = features['image'] if 'image' in features else None
  if not (
    isinstance(image, tfds.features.Image)
    and image.np_dtype == np.uint8
    and None not in image.shape
  ):
    raise ValueError(
      f"Data set {name!r} must have a feature 'image': uint8 images of one "
      f'size. Its features are {features!r}.'
    )
  # Other kinds of labels, such as texts or boxes, are not classes.
  if 'label' in features and isinstance(
    features['label'], tfds.features.ClassLabel
  ):
    return ['image', 'label']
  return ['image']
