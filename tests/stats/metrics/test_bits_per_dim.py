# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of bits_per_dim."""

import math

import numpy as np
import pytest
import tensorflow as tf

from tfp_ood import stats


@pytest.mark.parametrize('dtype', [tf.float32, tf.float64])
@pytest.mark.parametrize('event_size', [1, 784, 1000, 3072, 12288, 196608])
def test_uniform_model_scores_exactly_eight(event_size, dtype):
  log_prob = tf.constant(-event_size * math.log(256.0), dtype)
  bits = stats.bits_per_dim(log_prob, event_size)
  assert bits.dtype == dtype
  assert float(bits) == 8.0


def test_agrees_with_numpy_on_any_shape():
  log_prob = np.random.default_rng(0).normal(-7000.0, 900.0, size=(3, 1, 5))
  bits = stats.bits_per_dim(log_prob, 3072)
  np.testing.assert_allclose(bits, -np.log2(np.e) * log_prob / 3072, rtol=1e-14)


@pytest.mark.parametrize('dtype', [tf.float16, tf.bfloat16])
def test_half_precision_is_computed_in_float32(dtype):
  # event_size * log(2) = 136280 is beyond float16's largest number, 65504.
  log_prob = tf.constant([-60000.0, -1000.0], dtype)
  bits = stats.bits_per_dim(log_prob, 196608)
  expected = stats.bits_per_dim(tf.cast(log_prob, tf.float32), 196608)
  assert bits.dtype == dtype
  assert float(bits[0]) > 0.4
  tf.debugging.assert_equal(bits, tf.cast(expected, dtype))


def test_in_a_graph_of_unknown_batch_size():
  convert = tf.function(
    lambda log_prob: stats.bits_per_dim(log_prob, 3072),
    input_signature=[tf.TensorSpec([None], tf.float32)],
  )
  for size in (0, 1, 7):
    log_prob = tf.fill([size], np.float32(-3072 * math.log(256.0)))
    np.testing.assert_array_equal(convert(log_prob), np.full(size, 8.0))


def test_event_size_may_be_a_numpy_integer():
  assert float(stats.bits_per_dim(-math.log(2.0), np.prod([1, 1]))) == 1.0


@pytest.mark.parametrize('event_size', [0, -3072])
def test_event_size_must_be_positive(event_size):
  with pytest.raises(
    ValueError, match=rf'`event_size` must be positive.*got {event_size}\.'
  ):
    stats.bits_per_dim(-1.0, event_size)


@pytest.mark.parametrize('event_size', [3072.0, None, [32, 32, 3]])
def test_event_size_must_be_an_integer(event_size):
  with pytest.raises(TypeError, match='`event_size` must be an integer'):
    stats.bits_per_dim(-1.0, event_size)


def test_log_prob_must_be_floating_point():
  with pytest.raises(TypeError, match='floating point, got int32; cast it'):
    stats.bits_per_dim(tf.constant([-7]), 3072)
