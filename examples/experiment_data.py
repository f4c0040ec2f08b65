# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The data sets of an experiment: to train on, to watch and to score."""

import numpy as np
import tensorflow as tf

import tfp_ood

__all__ = [
  'controls',
  'first_images',
  'fit_to_shape',
  'image_shape',
  'in_distribution',
  'load',
  'out_of_distribution',
  'shard_by_example',
  'test_name',
  'train_name',
]

_NUM_CONTROLS = 1_000


def load(name, config, data_dir, **kwargs):
  """Loads a data set in the run's batches and order."""
  return tfp_ood.datasets.load(
    name,
    data_dir=data_dir,
    batch_size=config['batch_size'],
    seed=config['seed'],
    **kwargs,
  )


def train_name(config):
  """Returns the full name of the training images."""
  return f'{config["in_distribution"]}/{config["train_split"]}'


def test_name(config):
  """Returns the full name of the in-distribution test images."""
  return f'{config["in_distribution"]}/{config["test_split"]}'


def image_shape(name, data_dir):
  """Returns `[height, width, channels]` of a data set that must be there."""
  dataset = tfp_ood.datasets.load(name, data_dir=data_dir)
  return dataset.element_spec[0].shape[1:]


def fit_to_shape(images, shape):
  """Crops or pads with black, and makes grey images colour ones."""
  if images.shape[1:] == shape:
    return images
  height, width, channels = shape
  images = tf.image.resize_with_crop_or_pad(images, height, width)
  if images.shape[-1] == 1 and channels == 3:
    images = tf.image.grayscale_to_rgb(images)
  elif images.shape[-1] == 3 and channels == 1:
    images = tf.image.rgb_to_grayscale(images)
  return images


def in_distribution(config, data_dir, limit):
  """Loads the test and the training images, by display name, to be scored."""
  name = config['in_distribution']
  return {
    f'{name} test': load(test_name(config), config, data_dir, limit=limit),
    f'{name} train': load(train_name(config), config, data_dir, limit=limit),
  }


def out_of_distribution(names, config, data_dir, limit, transformation=None):
  """Loads test images of other data sets, in the shape of the training images.

  Args:
    names: TFDS names of the data sets.
    config: `dict`, the model's settings.
    data_dir: folder of prepared TFDS data sets.
    limit: at most so many images of each.
    transformation: function of a batch of images, applied to what fits.

  Returns:
    `dict` from display names to `tf.data.Dataset`s.
  """
  shape = image_shape(train_name(config), data_dir)

  def transform(images):
    images = fit_to_shape(images, shape)
    return images if transformation is None else transformation(images)

  return {
    f'{name} test': load(
      f'{name}/test', config, data_dir, limit=limit, transformation=transform
    )
    for name in names
  }


def controls(config, data_dir, limit):
  """Loads images that are far from all others: constant ones and noise."""
  return {
    control: load(
      control,
      config,
      data_dir,
      image_shape=image_shape(train_name(config), data_dir),
      num_examples=min(limit, _NUM_CONTROLS),
    )
    for control in ('constant', 'uniform_noise')
  }


def first_images(dataset, count):
  """Returns the first images of a data set as one array."""
  parts, found = [], 0
  for images, _ in dataset:
    parts.append(images)
    found += len(images)
    if found >= count:
      break
  return np.concatenate(parts)[:count]


def shard_by_example(dataset):
  """Lets several workers share each batch; a data set may be a single file."""
  options = tf.data.Options()
  options.experimental_distribute.auto_shard_policy = (
    tf.data.experimental.AutoShardPolicy.DATA
  )
  return dataset.with_options(options)
