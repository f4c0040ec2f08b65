# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests for convolutions of windows beside or above each pixel."""

import numpy as np
import pytest
import tensorflow as tf

from tfp_ood.networks import ShiftedConvolution, ShiftedTransposedConvolution

_WINDOWS = [
  # Shape, first row, first column.
  ((2, 3), -1, -1),
  ((2, 2), -1, -1),
  ((2, 3), -2, -1),
  ((2, 1), -1, -1),
  ((1, 1), 0, 0),
]


def _normal(shape, seed):
  return tf.random.stateless_normal(shape, [seed, 0], dtype=tf.float64)


def _by_hand(images, kernel, first_row, first_column, stride):
  """The definition, pixel by pixel."""
  _, height, width, _ = images.shape
  outputs = np.zeros([images.shape[0], height, width, kernel.shape[-1]])
  for i, j in np.ndindex(height, width):
    for k, m in np.ndindex(*kernel.shape[:2]):
      row = stride * i + first_row + k
      column = stride * j + first_column + m
      if 0 <= row < height and 0 <= column < width:
        outputs[:, i, j] += images[:, row, column] @ kernel[k, m]
  return outputs[:, : height // stride, : width // stride]


@pytest.mark.parametrize('stride', [1, 2])
@pytest.mark.parametrize('window', _WINDOWS)
def test_it_is_what_it_says(window, stride):
  shape, *first = window
  images, kernel = _normal([2, 6, 4, 3], 1), _normal([*shape, 3, 5], 2)
  outputs = ShiftedConvolution(kernel, None, *first, stride)(images)
  expected = _by_hand(images.numpy(), kernel.numpy(), *first, stride)
  np.testing.assert_allclose(outputs, expected, atol=1e-12)


@pytest.mark.parametrize('window', _WINDOWS)
def test_gradients_are_those_of_the_definition(window):
  shape, *first = window
  images, kernel = _normal([2, 6, 4, 3], 1), _normal([*shape, 3, 5], 2)

  def function(images, kernel):
    return ShiftedConvolution(kernel, None, *first)(images) ** 3

  theirs, numeric = tf.test.compute_gradient(
    function, [images, kernel], delta=1e-5
  )
  for one, other in zip(theirs, numeric, strict=True):
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


def test_second_derivatives():
  images, kernel = _normal([1, 3, 3, 2], 1), _normal([2, 2, 2, 2], 2)

  def gradient(images, kernel):
    with tf.GradientTape() as tape:
      tape.watch([images, kernel])
      convolution = ShiftedConvolution(kernel, None, -1, -1)
      total = tf.reduce_sum(tf.sin(convolution(images)))
    return tape.gradient(total, [images, kernel])

  for index in range(2):
    theirs, numeric = tf.test.compute_gradient(
      lambda *arguments, index=index: gradient(*arguments)[index],
      [images, kernel],
      delta=1e-5,
    )
    for one, other in zip(theirs, numeric, strict=True):
      np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize('window', _WINDOWS)
def test_rows_before_are_as_good_as_the_whole(window):
  shape, *first = window
  images = _normal([2, 6, 4, 3], 1)
  convolution = ShiftedConvolution(_normal([*shape, 3, 5], 2), None, *first)
  number = convolution.num_rows_before
  padded = tf.pad(images, [[0, 0], [number, 0], [0, 0], [0, 0]])
  row = convolution(images[:, 3:4], padded[:, 3 : 3 + number])
  np.testing.assert_allclose(row, convolution(images)[:, 3:4], atol=1e-12)


@pytest.mark.parametrize('stride', [1, 2])
@pytest.mark.parametrize('window', _WINDOWS)
def test_an_activation_is_as_good_as_one_before(window, stride):
  shape, *first = window
  images, kernel = _normal([2, 6, 4, 3], 1), _normal([*shape, 6, 5], 2)

  def activation(x):
    return tf.nn.elu(tf.concat([x, -x], axis=-1))

  convolution = ShiftedConvolution(kernel, None, *first, stride)
  expected = convolution(activation(images))
  activated = ShiftedConvolution(kernel, None, *first, stride, activation)
  np.testing.assert_allclose(activated(images), expected, atol=1e-12)
  if stride == 1:
    number = activated.num_rows_before
    padded = tf.pad(images, [[0, 0], [number, 0], [0, 0], [0, 0]])
    row = activated(images[:, 3:4], padded[:, 3 : 3 + number])
    np.testing.assert_allclose(row, expected[:, 3:4], atol=1e-12)


def test_unknown_batch_size_and_bias():
  convolution = ShiftedConvolution(
    tf.ones([2, 2, 1, 1]), tf.constant([5.0]), -1, -1
  )
  function = tf.function(
    convolution, input_signature=[tf.TensorSpec([None, 4, 4, 1])]
  )
  assert function(tf.zeros([0, 4, 4, 1])).shape == [0, 4, 4, 1]
  np.testing.assert_array_equal(function(tf.zeros([3, 4, 4, 1])), 5.0)


@pytest.mark.parametrize('first', [(0, 0), (0, -1)])
def test_the_transposed_one_is_the_gradient_of_one_with_a_stride(first):
  columns = 2 - first[1]
  kernel, images = _normal([2, columns, 5, 3], 1), _normal([2, 3, 4, 3], 2)
  outputs = ShiftedTransposedConvolution(kernel, None, *first)(images)
  expected = np.zeros(outputs.shape)
  for i, j in np.ndindex(3, 4):
    for k, m in np.ndindex(2, columns):
      row, column = 2 * i + first[0] + k, 2 * j + first[1] + m
      if 0 <= column < 8:
        expected[:, row, column] += images[:, i, j] @ tf.transpose(kernel[k, m])
  np.testing.assert_allclose(outputs, expected, atol=1e-12)
