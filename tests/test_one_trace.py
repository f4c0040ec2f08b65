# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of graphs that do not depend on the size of a batch."""

import logging

import numpy as np
import tensorflow as tf

from tfp_ood._one_trace import OneTrace


def test_one_graph_for_batches_of_any_size():
  traces = []

  def square(x):
    traces.append(x.shape.as_list())
    return x * x

  function = OneTrace(square)
  for count in (5, 0, 1, 5):
    x = np.arange(2.0 * count).reshape([count, 2])
    np.testing.assert_array_equal(function(x), x * x)
  assert traces == [[None, 2]]
  function(tf.zeros([5, 2], tf.uint8))
  function(tf.zeros([5, 3], tf.float64))
  assert traces == [[None, 2], [None, 2], [None, 3]]


def test_in_a_pipeline_that_does_not_know_the_size():
  function = OneTrace(lambda x: 2 * x)
  dataset = tf.data.Dataset.range(7).batch(3).map(function)
  assert np.concatenate(list(dataset)).tolist() == list(range(0, 14, 2))


def test_it_reads_variables_at_each_call_and_makes_them_once():
  layers = []

  def add(x):
    if not layers:
      layers.append(tf.Variable(1.0))
    return x + layers[0]

  function = OneTrace(add)
  assert function(tf.zeros([1])).numpy() == 1
  layers[0].assign(5.0)
  assert function(tf.zeros([1])).numpy() == 5


def test_many_models_warn_of_nothing(caplog):
  tf.get_logger().addHandler(caplog.handler)
  try:
    with caplog.at_level(logging.WARNING):
      for number in range(12):
        OneTrace(lambda x, number=number: x + number)(tf.zeros([3]))
  finally:
    tf.get_logger().removeHandler(caplog.handler)
  assert 'retracing' not in caplog.text
