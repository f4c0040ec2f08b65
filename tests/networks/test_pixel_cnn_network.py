# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests for the network of PixelCNN++."""

import numpy as np
import pytest
import tensorflow as tf

from tfp_ood.networks import PixelCnnNetwork
from tfp_ood.networks.raster_steps import RowAfterRow

_SIZE = 8


def _network(num_levels, **kwargs):
  return PixelCnnNetwork(
    2,
    num_filters=3,
    num_blocks=2,
    num_levels=num_levels,
    seed=1,
    dtype=tf.float64,
    **kwargs,
  )


def _images(batch_size=1):
  return tf.random.stateless_normal(
    [batch_size, _SIZE, _SIZE, 2], [1, 2], dtype=tf.float64
  )


@pytest.mark.parametrize(
  'num_levels',
  [
    1,
    pytest.param(2, marks=pytest.mark.slow),
    pytest.param(3, marks=pytest.mark.exhaustive),
  ],
)
def test_features_see_all_pixels_before_them_and_no_other(num_levels):
  network, images = _network(num_levels), _images()
  with tf.GradientTape() as tape:
    tape.watch(images)
    features = network(images)
  jacobian = tape.jacobian(features, images).numpy()
  jacobian = np.abs(jacobian).max(axis=(3, 7)).reshape([_SIZE**2, _SIZE**2])
  np.testing.assert_array_equal(jacobian[np.triu_indices(_SIZE**2)], 0)
  # Each sees its neighbors; from some depth on, all there is.
  if num_levels > 1:
    assert (jacobian[np.tril_indices(_SIZE**2, -1)] > 0).all()


@pytest.mark.parametrize(
  'num_levels, compute_dtype, tolerance',
  [
    (1, None, {'rtol': 1e-12}),
    (2, None, {'rtol': 1e-12}),
    (3, None, {'rtol': 1e-12}),
    (2, tf.bfloat16, {'atol': 0.05}),
  ],
)
def test_row_after_row_is_the_same_as_all_at_once(
  num_levels, compute_dtype, tolerance
):
  network = _network(num_levels, compute_dtype=compute_dtype)
  images = _images(2)
  before, rows, layers = {}, [], network.layers(tf.float64)
  for number in range(_SIZE):
    row = images[:, number : number + 1]
    steps = RowAfterRow(before, number % network.num_rows_at_once)
    rows.append(layers.left(row, layers.above(row, steps), steps))
    before = steps.kept
  np.testing.assert_allclose(
    tf.concat(rows, axis=1), network(images), **tolerance
  )


def test_dropout_is_for_those_who_give_a_seed():
  network, images = _network(2, dropout_rate=0.5), _images()
  np.testing.assert_array_equal(network(images), network(images))
  first, again, other = (network(images, seed) for seed in (1, 1, 2))
  np.testing.assert_array_equal(first, again)
  assert np.abs(first - other).max() > 0
  assert np.abs(first - network(images)).max() > 0


def test_half_precision_between_single_precision():
  arguments = {'num_filters': 8, 'num_blocks': 1, 'seed': 1}
  images = tf.cast(_images(), tf.float32)
  exact = PixelCnnNetwork(2, **arguments)(images)
  half = PixelCnnNetwork(2, **arguments, compute_dtype=tf.bfloat16)(images)
  assert half.dtype == tf.float32
  np.testing.assert_allclose(half, exact, atol=0.1)
  assert np.abs(half - exact).max() > 0


def _loss_and_gradients(network, images):
  with tf.GradientTape() as tape:
    loss = tf.reduce_sum(tf.sin(network(images, seed=3)))
  return loss, tape.gradient(loss, network.trainable_variables)


def test_a_graph_computes_the_same():
  network, images = _network(2, dropout_rate=0.5), _images(2)
  in_graph = tf.function(_loss_and_gradients)(network, images)
  eagerly = _loss_and_gradients(network, images)
  for one, other in zip(
    tf.nest.flatten(in_graph), tf.nest.flatten(eagerly), strict=True
  ):
    np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)


@pytest.mark.slow
def test_gradients_of_half_precision_are_close():
  images = tf.cast(_images(), tf.float32)

  def gradient(compute_dtype, in_graph):
    network = PixelCnnNetwork(
      2, num_filters=8, num_blocks=1, seed=1, compute_dtype=compute_dtype
    )
    function = (
      tf.function(_loss_and_gradients) if in_graph else _loss_and_gradients
    )
    return function(network, images)[1]

  exact = gradient(None, False)
  for in_graph in (False, True):
    for one, other in zip(gradient(tf.bfloat16, in_graph), exact, strict=True):
      assert one.dtype == tf.float32
      scale = np.linalg.norm(other)
      assert 0 < np.linalg.norm(one - other) < 0.05 * scale


def test_a_deep_network_has_no_more_convolutions_in_its_graph():
  def num_convolutions(num_blocks):
    network = PixelCnnNetwork(1, num_filters=2, num_blocks=num_blocks, seed=1)
    graph = (
      tf.function(_loss_and_gradients)
      .get_concrete_function(network, tf.zeros([2, _SIZE, _SIZE, 1]))
      .graph.as_graph_def()
    )
    nodes = [graph.node, *(f.node_def for f in graph.library.function)]
    return sum(node.op.startswith('Conv2D') for part in nodes for node in part)

  assert num_convolutions(5) == num_convolutions(2)


def test_images_of_unknown_size():
  network, images = _network(2), _images(3)
  function = tf.function(
    network, input_signature=[tf.TensorSpec([None, None, None, 2], tf.float64)]
  )
  np.testing.assert_allclose(function(images), network(images), rtol=1e-10)
