# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Models of images that are cheap, known in closed form and count their runs."""

import numpy as np
import tensorflow as tf

__all__ = [
  'SHAPE',
  'Autoencoder',
  'Bare',
  'Classifier',
  'Flow',
  'Gaussian',
  'direct_log_prob',
  'random_images',
]

SHAPE = [8, 8, 3]


def random_images(count=5, seed=0, dtype=np.uint8):
  """Returns noise, `[count, *SHAPE]`, in whole pixel values."""
  random = np.random.default_rng(seed)
  return random.integers(0, 256, [count, *SHAPE]).astype(dtype)


def direct_log_prob(images, level=100.0):
  """The log-probability of `Gaussian`, in NumPy."""
  residuals = images.astype(np.float64) - level
  return -np.sum(residuals**2, axis=(1, 2, 3)) / 1000


class Gaussian:
  """A Gaussian about a gray level; `calls` lists what it was asked for.

  In a graph, that is what it was traced for.
  """

  event_shape = tf.TensorShape(SHAPE)

  def __init__(self, level=100.0):
    self.level = level
    self.calls = []

  def log_prob(self, images):
    self.calls.append('log_prob')
    return self._of(images)

  def _of(self, images):
    residuals = tf.cast(images, tf.float32) - self.level
    return -tf.reduce_sum(residuals**2, axis=[1, 2, 3]) / 1000


class Flow(Gaussian):
  """One that owns `log_prob` and its two terms, as a flow does."""

  statistics_names = ('log_prob', 'density', 'volume')

  def statistics(self, images, names):
    self.calls.append(tuple(names))
    log_prob = self._of(images)
    values = {
      'log_prob': log_prob,
      'density': log_prob + 7.0,
      'volume': tf.fill(tf.shape(log_prob), -7.0),
    }
    return {name: values[name] for name in names}


class Autoencoder(Gaussian):
  """One that owns a bound, a best bound and a latent, beside `log_prob`."""

  statistics_names = (
    'elbo',
    'elbo_reconstruction',
    'elbo_log_prior',
    'elbo_posterior_entropy',
    'elbo_kl',
    'optimized_log_prob',
    'latent',
  )

  def statistics(self, images, names):
    self.calls.append(tuple(names))
    log_prob = self._of(images)
    means = tf.reduce_mean(tf.cast(images, tf.float32), axis=[1, 2])
    values = {
      'elbo': 1.2 * log_prob - 15.0,
      'elbo_reconstruction': log_prob,
      'elbo_log_prior': log_prob / 10 - 20.0,
      'elbo_posterior_entropy': log_prob / 10 + 5.0,
      'elbo_kl': 15.0 - log_prob / 5,
      'optimized_log_prob': log_prob + 3.0,
      'latent': tf.concat([means, 2 * means], axis=1),
    }
    return {name: values[name] for name in names}


class Classifier:
  """A linear classifier with what a neural rendering model says of images."""

  image_shape = tf.TensorShape(SHAPE)
  dtype = {'label': tf.int32, 'image': tf.float32}  # Of a joint distribution.
  statistics_names = (
    'log_prob',
    'logits',
    'latent_eta',
    'latent_mode_normalized',
    'latent_rpn',
    'latent_layerwise',
    'layer_etas',
    'layer_reconstructions',
  )

  def __init__(self, scale=1.0):
    self.scale = scale
    self.calls = []

  @property
  def event_shape(self):
    raise AssertionError('this would sample all latent variables')

  def log_prob(self, label, switches, image):
    raise AssertionError('this is not of images')

  def statistics(self, images, names):
    self.calls.append(tuple(names))
    x = tf.reduce_mean(tf.cast(images, tf.float32), axis=[1, 2, 3]) * self.scale
    values = {
      'logits': tf.stack([x, -x, 2 * x, 1 + x], axis=-1),
      'log_prob': -3 * x,
      'layer_etas': tf.stack([x, 5 * x], axis=-1),
      'layer_reconstructions': tf.stack([-x, -x, -6 * x], axis=-1),
    }
    return {
      name: values.get(name, x - len(name.removeprefix('latent_')))
      for name in names
    }


class Bare:
  """One that has `log_prob` and nothing else."""

  def log_prob(self, images):
    return -tf.reduce_sum(tf.cast(images, tf.float32), axis=[1, 2, 3])
