# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of `CouplingNetwork`."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tfp_ood import networks

CouplingNetwork = networks.CouplingNetwork


def _images(shape=(2, 3, 5, 3), dtype=tf.float32):
  return tf.random.stateless_normal(shape, [1, 2], dtype=dtype)


def _perturbed(**kwargs):
  network = CouplingNetwork(3, 4, 6, seed=1, **kwargs)
  for index, variable in enumerate(network.trainable_variables):
    noise = tf.random.stateless_normal(variable.shape, [index, 1])
    variable.assign_add(0.3 * tf.cast(noise, variable.dtype))
  return network


def test_shapes():
  network = CouplingNetwork(3, 4, 6)
  shapes = {
    v.name.split('/')[-1].split(':')[0]: v.shape.as_list()
    for v in network.trainable_variables
  }
  assert shapes == {
    'kernel_1': [3, 3, 3, 6],
    'bias_1': [6],
    'kernel_2': [1, 1, 6, 6],
    'bias_2': [6],
    'kernel_3': [3, 3, 6, 4],
    'bias_3': [4],
  }
  assert network(_images()).shape == [2, 3, 5, 4]


def test_starts_at_zero_with_a_gradient():
  network = CouplingNetwork(3, 4, 6, seed=1)
  with tf.GradientTape() as tape:
    output = network(_images())
    loss = tf.reduce_sum((output - 1.0) ** 2)
  np.testing.assert_array_equal(output, 0.0)
  kernel_3 = [v for v in network.trainable_variables if 'kernel_3' in v.name]
  # It can leave the start.
  assert np.any(tape.gradient(loss, kernel_3[0]) != 0.0)


@pytest.mark.parametrize('hidden_channels', [16, 64, 256])
def test_first_step_is_small_at_any_width(hidden_channels):
  network = CouplingNetwork(3, 4, hidden_channels, seed=1)
  optimizer = tf_keras.optimizers.Adam(1e-3)
  images = _images([8, 4, 4, 3])
  with tf.GradientTape() as tape:
    loss = tf.reduce_mean((network(images) - 1.0) ** 2)
  variables = network.trainable_variables
  optimizer.apply_gradients(
    zip(tape.gradient(loss, variables), variables, strict=True)
  )
  # Without the gain: .10, .37 and 1.30.
  assert 1e-3 < np.max(np.abs(network(images))) < 0.05


def test_hidden_layers_keep_the_variance():
  weights = CouplingNetwork.initial_weights(64, 4, 256, seed=1)
  for key, fan_in in (('kernel_1', 9 * 64), ('kernel_2', 256)):
    variance = np.var(weights[key])
    # He's rule; over 6e4 weights and more, 5 % is 8 standard errors.
    assert variance == pytest.approx(2.0 / fan_in, rel=0.05)


def test_each_layer_counts():
  network, images = _perturbed(), _images()
  before = network(images).numpy()
  for variable in network.trainable_variables:
    value = variable.numpy()
    variable.assign_add(tf.ones_like(variable))
    assert not np.allclose(network(images), before), variable.name
    variable.assign(value)


def test_hidden_layers_are_rectified():
  network = _perturbed()
  weights = {
    v.name.split('/')[-1].split(':')[0]: v for v in network.trainable_variables
  }
  for hidden in ('bias_1', 'bias_2'):
    value = weights[hidden].numpy()
    weights[hidden].assign(tf.fill(value.shape, -1e6))
    # No unit is active: the image does not matter any more.
    np.testing.assert_array_equal(
      network(_images()), network(tf.zeros([2, 3, 5, 3]))
    )
    weights[hidden].assign(value)


def test_slices_of_a_stack_are_networks():
  stack = CouplingNetwork.initial_weights(
    3, 4, 6, seed=1, num_steps=3, dtype=tf.float64
  )
  assert {x.shape[0] for x in stack.values()} == {3}
  single = CouplingNetwork(3, 4, 6, dtype=tf.float64)
  sliced = {
    key: value[1]
    + 0.1
    * tf.random.stateless_normal(value.shape[1:], [5, 1], dtype=tf.float64)
    for key, value in stack.items()
    if key != 'output_gain'
  }
  assert len(single.trainable_variables) == 6
  for variable in single.trainable_variables:
    key = variable.name.split('/')[-1].split(':')[0]
    assert variable.shape == sliced[key].shape
    variable.assign(sliced[key])
  sliced['output_gain'] = stack['output_gain'][1]
  images = _images(dtype=tf.float64)
  np.testing.assert_array_equal(
    CouplingNetwork(3, 4, weights=sliced)(images), single(images)
  )
  # The networks of a stack differ.
  assert not np.allclose(stack['kernel_1'][0], stack['kernel_1'][1])


@pytest.mark.parametrize('dtype', [tf.float32, tf.bfloat16])
def test_prepared_weights_are_of_the_same_network(dtype):
  stack = CouplingNetwork.initial_weights(3, 4, 6, seed=1, num_steps=3)
  stack['kernel_3'] += 0.1
  images = _images()

  def outputs_and_gradients(weights):
    with tf.GradientTape() as tape:
      tape.watch(stack)
      sliced = {key: value[1] for key, value in weights(stack).items()}
      network = CouplingNetwork(3, 4, weights=sliced, compute_dtype=dtype)
      outputs = network(images)
    return outputs, tape.gradient(outputs, stack)

  raw = outputs_and_gradients(lambda stack: stack)
  prepared = outputs_and_gradients(
    lambda stack: CouplingNetwork.prepare(stack, dtype)
  )
  for one, other in zip(
    tf.nest.flatten(prepared), tf.nest.flatten(raw), strict=True
  ):
    assert one.dtype == tf.float32
    np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-6)


def test_weights_without_a_gain_are_refused():
  weights = CouplingNetwork.initial_weights(3, 4, 6, seed=1)
  del weights['output_gain']
  with pytest.raises(KeyError, match='output_gain'):
    CouplingNetwork(3, 4, weights=weights)(_images())


@pytest.mark.parametrize('compute_dtype', [tf.bfloat16, tf.float16])
def test_lower_precision_is_close_and_keeps_the_dtype(compute_dtype):
  exact = _perturbed()
  coarse = _perturbed(compute_dtype=compute_dtype)
  images = _images()
  expected, got = exact(images), coarse(images)
  assert got.dtype == tf.float32
  assert {v.dtype for v in coarse.trainable_variables} == {tf.float32}
  scale = np.max(np.abs(expected))
  error = np.max(np.abs(got - expected))
  # bfloat16 has 8 bits; the sums are over at most 54 terms.
  assert 0.0 < error < 0.03 * scale


def test_weights_of_another_dtype_than_the_images():
  network = _perturbed(dtype=tf.float32)
  images = _images(dtype=tf.float64)
  output = network(images)
  assert output.dtype == tf.float64
  np.testing.assert_allclose(
    output, network(tf.cast(images, tf.float32)), rtol=1e-4, atol=1e-4
  )


def test_wrong_number_of_channels():
  with pytest.raises(ValueError, match='must have 3 channels, got 2'):
    CouplingNetwork(3, 4, 6)(tf.zeros([1, 4, 4, 2]))


def test_seeds():
  def weights(seed, dtype=tf.float32):
    return CouplingNetwork.initial_weights(3, 4, 6, seed=seed, dtype=dtype)

  for key in ('kernel_1', 'kernel_2'):
    np.testing.assert_array_equal(weights(1)[key], weights(1)[key])
    assert not np.allclose(weights(1)[key], weights(2)[key])
    # The same start whatever the precision.
    np.testing.assert_allclose(
      weights(1)[key], weights(1, tf.float64)[key], rtol=1e-6
    )
