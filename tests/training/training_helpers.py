# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Small models, data and callbacks that the tests of training share."""

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras

import tfp_ood

tfd = tfp.distributions


def smooth_images(number, shape, seed=0):
  """Images of four blocks and some noise, `uint8`."""
  generator = np.random.default_rng(seed)
  coarse = generator.uniform(0, 256, size=[number, 2, 2, shape[2]])
  fine = coarse.repeat(shape[0] // 2, axis=1).repeat(shape[1] // 2, axis=2)
  fine += generator.normal(0, 10, size=fine.shape)
  return np.clip(fine, 0, 255).astype(np.uint8)


def batches(examples, batch_size):
  return tf.data.Dataset.from_tensor_slices(examples).batch(batch_size)


def compiled(distribution, optimizer=None, run_eagerly=True, **kwargs):
  """A `DistributionModel`; eagerly, as it is traced longer than it runs."""
  model = tfp_ood.training.DistributionModel(distribution, **kwargs)
  optimizer = optimizer or tfp_ood.training.adam(1e-2)
  model.compile(optimizer, run_eagerly=run_eagerly)
  return model


def values(variables):
  return [variable.numpy() for variable in variables]


def assert_all_close(actual, expected, **tolerances):
  for one, other in zip(actual, expected, strict=True):
    np.testing.assert_allclose(one, other, **tolerances)


class Energy(tf.Module):
  """A model of vectors by the squared distance of a network's outputs from one."""

  def __init__(self, network, size=3):
    super().__init__(name='energy')
    self.network = network
    # Keras 3 layers are no modules: their variables are listed.
    self.parts = tfp_ood.networks.FunctionNetwork(network, [network])
    self.event_shape = tf.TensorShape([size])
    self.dtype = tf.float32

  def log_prob(self, x):
    return -tf.reduce_sum((self.network(x) - 1.0) ** 2, axis=-1)


class Record(tf_keras.callbacks.Callback):
  """Keeps what a function returns after every step."""

  def __init__(self, function):
    super().__init__()
    self.values = []
    self._function = function

  def on_train_batch_end(self, batch, logs=None):
    self.values.append(self._function(logs))


class InterruptAt(tf_keras.callbacks.Callback):
  """Ends training after a step, as a user would."""

  def __init__(self, step):
    super().__init__()
    self._step = step

  def on_train_batch_end(self, batch, logs=None):
    if int(self.model.optimizer.iterations) == self._step:
      raise KeyboardInterrupt
