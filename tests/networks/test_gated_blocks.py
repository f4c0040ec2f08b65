# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests for residual blocks of gated convolutions."""

import numpy as np
import pytest
import tensorflow as tf

from tfp_ood.networks.gated_blocks import Signal


def _values(dtype):
  values = 2 * tf.random.stateless_normal([2, 3, 5, 4], [1, 2])
  return tf.cast(tf.cast(values, tf.bfloat16), dtype)


def _activation_and_gradient(values):
  with tf.GradientTape() as tape:
    tape.watch(values)
    activation = Signal.of(values).activation
    loss = tf.reduce_sum(tf.cast(activation, tf.float64) ** 2)
  return activation, tape.gradient(loss, values)


@pytest.mark.parametrize('dtype', [tf.float64, tf.float32])
def test_the_activation_has_both_signs(dtype):
  x = _values(dtype)
  activation, gradient = _activation_and_gradient(x)
  np.testing.assert_array_equal(
    activation, tf.concat([tf.nn.elu(x), tf.nn.elu(-x)], axis=-1)
  )
  # The sum of squares is x ** 2 + expm1(-|x|) ** 2.
  expected = (
    tf.sign(x) * 2 * (abs(x) - tf.exp(-abs(x)) * tf.math.expm1(-abs(x)))
  )
  np.testing.assert_allclose(gradient, expected, rtol=1e-5)


@pytest.mark.parametrize('in_graph', [False, True])
def test_the_activation_in_half_precision(in_graph):
  function = (
    tf.function(_activation_and_gradient)
    if in_graph
    else _activation_and_gradient
  )
  found = function(_values(tf.bfloat16))
  exact = _activation_and_gradient(_values(tf.float64))
  for one, other in zip(found, exact, strict=True):
    assert one.dtype == tf.bfloat16
    # Two roundings to 8 bits, of values up to 10.
    np.testing.assert_allclose(
      tf.cast(one, tf.float64), other, rtol=2**-7, atol=2**-6
    )
