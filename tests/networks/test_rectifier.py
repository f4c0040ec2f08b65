# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the rectifier of convolutions."""

import numpy as np
import pytest
import tensorflow as tf

from tfp_ood.networks._rectifier import relu

_VALUES = [-3e38, -2.0, -1e-38, -0.0, 0.0, 1e-30, 0.5, 3.0, 1e36]


@pytest.mark.parametrize('dtype', [tf.float32, tf.bfloat16])
@pytest.mark.parametrize('in_graph', [False, True])
def test_agrees_with_tensorflow_to_the_third_derivative(dtype, in_graph):
  x = tf.constant(_VALUES, dtype)
  upstream = tf.constant(
    [1.0, -2.0, 3.0, 4.0, -5.0, 3e38, -7e-39, 8.0, -9.0], dtype
  )

  def derivatives(rectifier):
    with tf.GradientTape(persistent=True) as outer:
      outer.watch([x, upstream])
      with tf.GradientTape() as inner:
        inner.watch(x)
        y = rectifier(x)
      gradient = inner.gradient(y, x, upstream)
    with_respect_to_upstream = outer.gradient(gradient, upstream, upstream)
    second = outer.gradient(gradient, x, unconnected_gradients='zero')
    return y, gradient, with_respect_to_upstream, second

  ours = derivatives
  if in_graph:
    ours = tf.function(derivatives, autograph=False)
  for one, other in zip(ours(relu), derivatives(tf.nn.relu), strict=True):
    assert one.dtype == dtype
    np.testing.assert_array_equal(
      tf.cast(one, tf.float32), tf.cast(other, tf.float32)
    )


def test_the_gradient_is_not_a_number_where_that_above_is_not():
  x = tf.constant([1.0, 1.0], tf.bfloat16)
  with tf.GradientTape() as tape:
    tape.watch(x)
    y = relu(x)
  gradient = tape.gradient(y, x, tf.constant([2.0, np.nan], tf.bfloat16))
  np.testing.assert_array_equal(tf.math.is_nan(gradient), [False, True])
