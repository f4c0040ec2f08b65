# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of `FunctionNetwork`; what it tracks is in test_couplings.py."""

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tfp_ood import bijectors, networks


def test_returns_what_the_function_returns():
  network = networks.FunctionNetwork(
    lambda x, factor: {'a': factor * x}, modules=[]
  )
  assert network(2.0, factor=3.0) == {'a': 6.0}
  assert network.variables == ()


@pytest.mark.parametrize('in_graph', [False, True])
@pytest.mark.parametrize('kind', ['variable', 'keras', 'tf_keras', 'module'])
def test_weights_of_no_module_are_an_error(kind, in_graph):
  hidden = {
    'variable': lambda: tf.Variable(2.0, name='hidden'),
    'keras': lambda: keras.Sequential(
      [keras.Input([2]), keras.layers.Dense(2)]
    ),
    'tf_keras': lambda: tf_keras.Sequential(
      [tf_keras.layers.Input([2]), tf_keras.layers.Dense(2)]
    ),
    'module': lambda: networks.CouplingNetwork(2, 2, 4),
  }[kind]()
  known = tf.Variable(1.0)

  def function(images):
    return known * (hidden * images if kind == 'variable' else hidden(images))

  images = tf.ones([1, 3, 3, 2] if kind == 'module' else [1, 2])
  complete = networks.FunctionNetwork(function, [known, hidden])
  lacking = networks.FunctionNetwork(function, [known])
  run = (
    tf.function(lambda f, x: f(x), autograph=False)
    if in_graph
    else (lambda f, x: f(x))
  )
  assert run(complete, images).shape == images.shape
  with pytest.raises(ValueError, match='which no object in `modules` holds'):
    run(lacking, images)


def test_constants_need_no_module():
  constant = tf.Variable(2.0, trainable=False)
  network = networks.FunctionNetwork(lambda x: constant * x, modules=[])
  assert float(network(3.0)) == 6.0


def test_gradients_are_those_of_the_function():
  inner = networks.CouplingNetwork(1, 1, 4, seed=1)
  for variable in inner.trainable_variables:  # The last kernel starts at zero.
    variable.assign_add(tf.fill(variable.shape, 0.1))
  images = tf.random.stateless_normal([2, 3, 3, 1], [1, 2])

  def gradients(network):
    with tf.GradientTape() as tape:
      tape.watch(images)
      outputs = tf.tanh(network(images))
    return tape.gradient(outputs, [images, *inner.trainable_variables])

  network = networks.FunctionNetwork(lambda x: inner(x), [inner])
  for got, want in zip(gradients(network), gradients(inner), strict=True):
    np.testing.assert_array_equal(got, want)


def test_wrapped_and_copied_variables_are_known():
  # Mixed precision wraps variables; a strategy makes a copy for each replica.
  strategy = tf.distribute.MirroredStrategy(['CPU:0'])
  with strategy.scope():
    inner = tf_keras.Sequential(
      [
        tf_keras.layers.Input([2, 2, 1]),
        tf_keras.layers.Dense(1, dtype='mixed_bfloat16'),
      ]
    )
    coupling = bijectors.AdditiveCoupling(
      networks.FunctionNetwork(lambda x: inner(x), [inner])
    )
  images = tf.ones([3, 2, 2, 2])
  per_replica = tf.function(strategy.run)(coupling.inverse, [images])
  assert per_replica.shape == images.shape
  assert coupling.inverse(images).shape == images.shape


def test_checkpoint_round_trip(tmp_path):
  def make(seed):
    inner = networks.CouplingNetwork(2, 2, 4, seed=seed)
    return networks.FunctionNetwork(lambda x: inner(x), [inner])

  saved, restored = make(1), make(2)
  path = tf.train.Checkpoint(saved).write(str(tmp_path / 'weights'))
  tf.train.Checkpoint(restored).read(path).assert_consumed()
  for a, b in zip(saved.variables, restored.variables, strict=True):
    np.testing.assert_array_equal(a, b)


def test_wrong_arguments():
  with pytest.raises(TypeError, match='`function` must be callable, got 3'):
    networks.FunctionNetwork(3, modules=[])
  with pytest.raises(TypeError, match='`modules` must hold'):
    networks.FunctionNetwork(tf.identity, modules=[lambda x: x])
  with pytest.raises(ValueError, match='has no weights yet'):
    networks.FunctionNetwork(tf.identity, modules=[tf_keras.layers.Dense(2)])
