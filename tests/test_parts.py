# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of batches in parts."""

import numpy as np
import pytest
import tensorflow as tf

from tfp_ood import _parts, training
from tfp_ood._one_trace import OneTrace


@pytest.mark.parametrize('size', [0, 1, 2, 7])
def test_parts_make_up_the_batch_and_are_traced_once(size):
  traces = []

  def function(number, batches):
    traces.append(number)
    return number, batches

  @tf.function(input_signature=[tf.TensorSpec([None]), tf.TensorSpec([None])])
  def call(x, y):
    return _parts.in_parts(function, 3, {'x': x, 'y': y})

  x = tf.range(float(size))
  results = call(x, 10 * x)
  assert [int(number) for number, _ in results] == [0, 1, 2]
  joined = tf.concat([batches['x'] for _, batches in results], axis=0)
  np.testing.assert_array_equal(joined, x)
  sizes = [len(batches['x']) for _, batches in results]
  assert max(sizes) - min(sizes) <= 1
  for _, batches in results:
    np.testing.assert_array_equal(batches['y'], 10 * batches['x'])
  assert len(traces) == 1


@pytest.mark.parametrize('size', [0, 1, 2, 7])
def test_threads_return_what_the_function_returns_of_the_batch(size):
  sizes = []

  def function(x):
    sizes.append(len(x))
    return {'square': x * x, 'parts': [x[:, 0]]}

  x = tf.reshape(tf.range(2 * size), [size, 2])
  result = _parts.in_threads(function, 3, x)
  np.testing.assert_array_equal(result['square'], x * x)
  np.testing.assert_array_equal(result['parts'][0], x[:, 0])
  # None is empty, unless all of the batch is.
  assert len(sizes) == max(1, min(size, 3))


def test_an_error_of_a_part_is_raised():
  def function(x):
    tf.debugging.assert_less(x, 3)
    return x

  with pytest.raises(tf.errors.InvalidArgumentError):
    _parts.in_threads(function, 2, tf.range(4))


def test_a_function_that_is_divided_may_call_one_that_is():
  def inner(x):
    return x + 1

  def outer(x):
    return 2 * _parts.in_threads(inner, 2, x)

  result = _parts.in_threads(outer, 2, tf.range(8))
  np.testing.assert_array_equal(result, 2 * (tf.range(8) + 1))


def test_a_graph_is_called_of_parts_and_traced_once(monkeypatch):
  monkeypatch.setattr(_parts, '_DIVISION', [3])
  traces = []
  function = OneTrace(lambda x: traces.append(x) or 2 * x)
  for size in (7, 1, 0):
    x = tf.range(size)
    np.testing.assert_array_equal(function(x), 2 * x)
  assert len(traces) == 1


def test_nothing_is_divided_by_default():
  assert _parts.num_parts() == 1


def test_too_late_to_divide_is_an_error():
  tf.constant(0)
  with pytest.raises(RuntimeError, match='before anything'):
    training.divide_batches(2)
  assert _parts.num_parts() == 1


@pytest.mark.parametrize('number', [0, -1, 1.5, 2.0])
def test_numbers_of_parts_that_are_none_are_refused(number):
  with pytest.raises(ValueError, match='positive whole number'):
    training.divide_batches(number)
