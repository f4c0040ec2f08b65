# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of `ZeroConvolution`."""

import numpy as np
import pytest
import tensorflow as tf

from tfp_ood import networks


def test_starts_at_zero():
  network = networks.ZeroConvolution(3, 4)
  output = network(tf.random.stateless_normal([2, 5, 6, 3], [1, 2]))
  assert output.shape == [2, 5, 6, 4]
  np.testing.assert_array_equal(output, 0.0)
  shapes = sorted(v.shape.as_list() for v in network.trainable_variables)
  assert shapes == [[3, 3, 3, 4], [4]]


def test_is_a_convolution():
  network = networks.ZeroConvolution(1, 1, dtype=tf.float64)
  kernel, bias = sorted(
    network.trainable_variables, key=lambda v: -v.shape.rank
  )
  kernel.assign(np.arange(9.0).reshape(3, 3, 1, 1))
  bias.assign([100.0])
  image = np.zeros([1, 3, 4, 1])
  image[0, 1, 1] = 1.0
  # A correlation, as in TensorFlow: the kernel appears reversed.
  assert network(tf.constant(image))[0, :, :, 0].numpy().tolist() == [
    [108.0, 107.0, 106.0, 100.0],
    [105.0, 104.0, 103.0, 100.0],
    [102.0, 101.0, 100.0, 100.0],
  ]


def test_wrong_number_of_channels():
  with pytest.raises(ValueError, match='must have 3 channels, got 2'):
    networks.ZeroConvolution(3, 4)(tf.zeros([1, 4, 4, 2]))
