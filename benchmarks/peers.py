# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Glow of this library and of TFP, built alike, and the convolutions of both alone."""

import concurrent.futures
import math

import tensorflow as tf
import tensorflow_probability as tfp

import tfp_ood

__all__ = [
  'Convolutions',
  'PeerModel',
  'PixelCnnModel',
  'make_log_prob',
  'make_model',
  'make_pixel_cnn',
  'make_training_step',
  'random_images',
]

_IMAGE_SHAPE = [32, 32, 3]
_NUM_DIMENSIONS = math.prod(_IMAGE_SHAPE)


class PeerModel:
  """`tfp.bijectors.Glow` with our levels, steps, networks, noise and methods."""

  def __init__(self, num_steps, hidden_channels):
    self._glow = tfp.bijectors.Glow(
      output_shape=_IMAGE_SHAPE,
      num_glow_blocks=3,
      num_steps_per_block=num_steps,
      coupling_bijector_fn=lambda shape: tfp.bijectors.GlowDefaultNetwork(
        shape, num_hidden=hidden_channels
      ),
      exit_bijector_fn=tfp.bijectors.GlowDefaultExitNetwork,
      seed=0,
    )
    self._distribution = tfp.distributions.TransformedDistribution(
      tfp.distributions.Sample(tfp.distributions.Normal(0.0, 1.0), [3072]),
      self._glow,
    )

  @property
  def trainable_variables(self):
    return self._distribution.trainable_variables

  def initialize(self, images):
    # TFP's activation normalization starts from the first call of any kind.
    self.log_prob(images)

  def log_prob(self, images, seed=None):
    noise = (
      0.5
      if seed is None
      else tf.random.stateless_uniform(tf.shape(images), seed)
    )
    scaled = (tf.cast(images, tf.float32) + noise) / 256.0 - 0.5
    log_prob = self._distribution.log_prob(scaled)
    return log_prob - _NUM_DIMENSIONS * math.log(256.0)


class Convolutions:
  """The convolutions of the couplings' networks, and nothing else.

  What a flow of these networks could cost at least: every kernel is applied once to
  an array of its shape, and its gradient has the two convolutions that it needs.
  There are no weights of anything else, no biases, rectifiers or couplings.
  """

  def __init__(self, num_steps, hidden_channels, precision):
    self._dtype = tf.as_dtype(precision)
    self._levels = []
    self.trainable_variables = []
    height, width, channels = _IMAGE_SHAPE
    for _ in range(3):
      height, width, channels = height // 2, width // 2, channels * 4
      passed = channels // 2
      # Through it, the gradient gets to what the networks see.
      scale = tf.Variable(1.0)
      kernels = [
        [
          tf.Variable(0.05 * tf.random.stateless_normal(shape, [step, index]))
          for index, shape in enumerate(
            (
              [3, 3, passed, hidden_channels],
              [1, 1, hidden_channels, hidden_channels],
              [3, 3, hidden_channels, channels],
            )
          )
        ]
        for step in range(num_steps)
      ]
      self._levels.append(([height, width, passed], scale, kernels))
      self.trainable_variables += [scale, *sum(kernels, [])]
      channels = passed

  def initialize(self, images):
    pass

  def log_prob(self, images, seed=None):
    del seed
    flat = (
      tf.reshape(tf.cast(images, tf.float32), [-1, _NUM_DIMENSIONS]) / 256.0
    )
    total = 0.0
    for shape, scale, kernels in self._levels:
      part = flat[:, : math.prod(shape)]
      inputs = tf.cast(scale * tf.reshape(part, [-1, *shape]), self._dtype)
      for kernels_of_step in kernels:
        hidden = inputs
        for kernel in kernels_of_step:
          kernel = tf.cast(kernel, self._dtype)
          hidden = tf.nn.conv2d(hidden, kernel, 1, 'SAME')
        total += tf.cast(tf.reduce_sum(hidden, [1, 2, 3]), tf.float32)
    # Squared, so that gradients need the whole forward pass, as in a flow. Those of a
    # plain sum could be computed while the arrays of each step are still in a cache.
    return tf.square(total)


def make_model(name, num_steps, hidden_channels, precision, recompute):
  """Returns the model of a side, `'ours'`, `'tfp'` or `'convolutions'`."""
  if name == 'convolutions':
    return Convolutions(num_steps, hidden_channels, precision)
  if name == 'ours':
    return tfp_ood.distributions.glow(
      _IMAGE_SHAPE,
      num_steps=num_steps,
      hidden_channels=hidden_channels,
      seed=0,
      compute_dtype=tf.as_dtype(precision),
      recompute=recompute,
    )
  return PeerModel(num_steps, hidden_channels)


class PixelCnnModel:
  """PixelCNN++ of either side, with the methods of the flows."""

  def __init__(self, distribution):
    self.distribution = distribution
    self.trainable_variables = distribution.trainable_variables

  def initialize(self, images):
    pass

  def log_prob(self, images, seed=None):
    del seed
    return self.distribution.log_prob(tf.cast(images, tf.float32))


def make_pixel_cnn(name, num_blocks, precision, num_components=5):
  """Returns PixelCNN++ of a side, for images of 28 x 28 x 1."""
  if name == 'ours':
    return PixelCnnModel(
      tfp_ood.distributions.pixel_cnn(
        [28, 28, 1],
        num_blocks=num_blocks,
        num_levels=2,
        num_filters=32,
        num_components=num_components,
        seed=0,
        compute_dtype=tf.as_dtype(precision),
      )
    )
  theirs = tfp.distributions.PixelCNN(
    [28, 28, 1],
    num_resnet=num_blocks,
    num_hierarchies=2,
    num_filters=32,
    num_logistic_mix=num_components,
    dropout_p=0.0,
  )
  # It makes its weights at the first call.
  theirs.log_prob(tf.zeros([1, 28, 28, 1]))
  return PixelCnnModel(theirs)


def random_images(batch_size, shape):
  """Returns raw pixels, of which only the shape matters."""
  values = tf.random.stateless_uniform(
    [batch_size, *shape], [1, 2], maxval=256, dtype=tf.int32
  )
  return tf.cast(values, tf.uint8)


def make_training_step(model, optimizer, jit_compile=False, num_parts=1):
  """Returns a function of images and a seed that trains and gives bits/dim.

  The second function returned gives the gradients alone. With more than one part,
  those of the parts of a batch are computed side by side; see
  `tfp_ood.training.divide_batches`, which sets TensorFlow's threads for it.
  """
  variables = list(model.trainable_variables)
  optimizer.build(variables)

  # Without AutoGraph, as Keras makes the graphs of its training.
  @tf.function(jit_compile=jit_compile, autograph=False)
  def gradients(images, seed):
    with tf.GradientTape() as tape:
      loss = tf.reduce_mean(
        tfp_ood.stats.bits_per_dim(
          model.log_prob(images, seed=seed), math.prod(images.shape[1:])
        )
      )
    return loss, tape.gradient(loss, variables)

  @tf.function(autograph=False)
  def step(images, seed):
    if num_parts == 1:
      loss, values = gradients(images, seed)
      optimizer.apply_gradients(zip(values, variables, strict=True))
      return loss
    parts = [
      gradients(part, seed + number)
      for number, part in enumerate(tf.split(images, num_parts))
    ]
    losses, values = zip(*parts, strict=True)
    means = [
      tf.add_n(of_parts) / num_parts for of_parts in zip(*values, strict=True)
    ]
    optimizer.apply_gradients(zip(means, variables, strict=True))
    return tf.add_n(losses) / num_parts

  return step, gradients


def make_log_prob(model, jit_compile=False, num_parts=1):
  """Returns `log_prob` as a graph, called of parts of a batch side by side."""
  log_prob = tf.function(
    model.log_prob, jit_compile=jit_compile, autograph=False
  )
  threads = concurrent.futures.ThreadPoolExecutor(num_parts)

  def of_images(images):
    parts = threads.map(log_prob, tf.split(images, num_parts))
    return tf.concat(list(parts), axis=0)

  return of_images
