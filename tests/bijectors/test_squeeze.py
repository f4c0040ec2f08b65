# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of `Squeeze`."""

import numpy as np
import pytest
import tensorflow as tf

from tfp_ood import bijectors


def _squeeze(images, size):
  """The definition, in NumPy."""
  *batch, height, width, channels = images.shape
  blocks = images.reshape(
    *batch, height // size, size, width // size, size, channels
  )
  return np.moveaxis(blocks, -4, -3).reshape(
    *batch, height // size, width // size, size * size * channels
  )


def test_order_of_the_channels():
  # Rows go 0 1 2 3 / 4 5 6 7; with two channels, x and x + 100.
  images = tf.reshape(tf.range(8.0), [1, 2, 4, 1])
  images = tf.concat([images, images + 100.0], axis=-1)
  squeezed = bijectors.Squeeze().inverse(images)
  assert squeezed.numpy().tolist() == [
    [
      [
        [0.0, 100.0, 1.0, 101.0, 4.0, 104.0, 5.0, 105.0],
        [2.0, 102.0, 3.0, 103.0, 6.0, 106.0, 7.0, 107.0],
      ]
    ]
  ]


@pytest.mark.parametrize('size', [2, 3])
@pytest.mark.parametrize('batch_shape', [(), (5,), (2, 3), (0,)], ids=str)
def test_agrees_with_numpy(size, batch_shape):
  images = np.random.default_rng(0).normal(size=(*batch_shape, 6, 12, 3))
  bijector = bijectors.Squeeze(block_size=size)
  assert bijector.block_size == size
  squeezed = bijector.inverse(images)
  np.testing.assert_array_equal(squeezed, _squeeze(images, size))
  np.testing.assert_array_equal(bijector.forward(squeezed.numpy()), images)


def test_unknown_height_and_width():
  bijector = bijectors.Squeeze()

  @tf.function(input_signature=[tf.TensorSpec([None, None, None, 2])])
  def function(images):
    squeezed, log_det = bijector.inverse_and_log_det(images)
    assert squeezed.shape.as_list() == [None, None, None, 8]
    return squeezed, log_det

  images = np.random.default_rng(0).normal(size=[3, 4, 6, 2])
  squeezed, log_det = function(images.astype(np.float32))
  np.testing.assert_allclose(squeezed, _squeeze(images, 2), rtol=1e-6)
  assert log_det.numpy().tolist() == [0.0] * 3


def test_sizes_must_be_divisible():
  bijector = bijectors.Squeeze()
  with pytest.raises(ValueError, match='height .* divisible .* 2, got 3'):
    bijector.inverse(tf.zeros([1, 3, 4, 1]))
  with pytest.raises(ValueError, match='width .* divisible .* 2, got 5'):
    bijector.inverse(tf.zeros([1, 4, 5, 1]))
  with pytest.raises(ValueError, match='channels .* divisible .* 4, got 6'):
    bijector.forward(tf.zeros([1, 4, 4, 6]))
  with pytest.raises(ValueError, match='width .* divisible'):
    bijector.inverse_event_shape([4, 5, 1])


@pytest.mark.parametrize('method', ['forward', 'inverse'])
def test_images_have_three_dimensions(method):
  with pytest.raises(ValueError, match=r'\[batch..., height, width, channels'):
    getattr(bijectors.Squeeze(), method)(tf.zeros([4, 4]))


@pytest.mark.parametrize('size', [1, 0, -2, 1.5])
def test_block_size_must_be_a_whole_number(size):
  with pytest.raises(ValueError, match='`block_size` must be a whole number'):
    bijectors.Squeeze(block_size=size)
