# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of `trackable_parts`; every kind of network is in test_couplings.py."""

import keras
import pytest
import tensorflow as tf
import tf_keras

from tfp_ood import networks

_GLOBAL = tf.Variable(1.0)


def test_modules_and_keras_2_layers_are_their_own_parts():
  module = networks.ZeroConvolution(2, 2)
  layer = tf_keras.layers.Dense(2)
  layer.build([None, 2])
  assert networks.trackable_parts(module) == [module]
  assert networks.trackable_parts(layer) == [layer]


def test_keras_3_layers_are_listed_as_variables():
  layer = keras.layers.Dense(2)
  layer.build([None, 2])
  parts = networks.trackable_parts(layer)
  assert all(isinstance(part, tf.Variable) for part in parts)
  assert [id(part) for part in parts] == [id(w.value) for w in layer.weights]


def test_non_trainable_weights_are_tracked_for_checkpoints():
  layer = keras.layers.BatchNormalization()
  layer.build([None, 2])
  parts = networks.trackable_parts(layer)
  assert sorted(part.trainable for part in parts) == [False] * 2 + [True] * 2


@pytest.mark.parametrize(
  'network',
  [tf.nn.relu, tf.identity, abs, lambda x: tf.nn.relu(x), tf.function(abs)],
  ids=['relu', 'identity', 'builtin', 'lambda', 'tf_function'],
)
def test_functions_without_variables_have_no_parts(network):
  assert networks.trackable_parts(network) == []


def test_module_level_variables_are_found():
  assert networks.trackable_parts(lambda x: _GLOBAL * x) == [_GLOBAL]


def test_cycles_end():
  scale = tf.Variable(1.0)

  def first(x, depth=1):
    return scale * x if depth == 0 else second(x)

  def second(x):
    return first(x, 0)

  assert [id(x) for x in networks.trackable_parts(second)] == [id(scale)]


def test_shared_parts_are_listed_once():
  module = networks.ZeroConvolution(2, 2)
  other = module
  assert networks.trackable_parts(lambda x: module(other(x))) == [module]


@pytest.mark.parametrize('network', [None, 3, 'relu', [lambda x: x]])
def test_what_cannot_be_called_is_refused(network):
  with pytest.raises(TypeError, match='must be callable'):
    networks.trackable_parts(network)
