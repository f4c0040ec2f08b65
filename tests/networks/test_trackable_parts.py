# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of `trackable_parts`; every kind of network is in test_couplings.py."""

import keras
import pytest
import tensorflow as tf
import tf_keras

from tfp_ood import networks
from tfp_ood.networks.tracking import keras_layers


def _built(layer):
  layer.build([None, 2])
  return layer


class _Holder(tf.Module):
  """A module of anything."""

  def __init__(self, *held):
    super().__init__()
    self.held = {'deep': list(held)}

  def __call__(self, x):
    return x


def test_modules_and_keras_2_layers_are_their_own_parts():
  module = networks.ZeroConvolution(2, 2)
  layer = _built(tf_keras.layers.Dense(2))
  assert networks.trackable_parts(module) == [module]
  assert networks.trackable_parts(layer) == [layer]


def test_keras_3_layers_are_listed_as_variables():
  layer = _built(keras.layers.Dense(2))
  parts = networks.trackable_parts(layer)
  assert all(isinstance(part, tf.Variable) for part in parts)
  assert [id(part) for part in parts] == [id(w.value) for w in layer.weights]


def test_keras_3_layers_inside_a_module_are_listed_beside_it():
  layer = _built(keras.layers.Dense(2))
  module = _Holder(_Holder(layer), layer)
  first, *others = networks.trackable_parts(module)
  assert first is module
  assert [id(part) for part in others] == [id(w.value) for w in layer.weights]


def test_non_trainable_weights_are_tracked_for_checkpoints():
  layer = _built(keras.layers.BatchNormalization())
  parts = networks.trackable_parts(layer)
  assert sorted(part.trainable for part in parts) == [False] * 2 + [True] * 2


@pytest.mark.parametrize('library', [keras, tf_keras])
def test_unbuilt_layers_inside_a_module_are_refused(library):
  layer = library.layers.Dense(2)
  with pytest.raises(ValueError, match=f'{layer.name}.* has no weights yet'):
    networks.trackable_parts(_Holder(_Holder(layer)))


def test_layers_that_a_built_layer_never_used_are_no_error():
  class Model(tf_keras.Model):
    def __init__(self):
      super().__init__()
      self.used, self.unused = (tf_keras.layers.Dense(2) for _ in range(2))

    def call(self, inputs):
      return self.used(inputs)

  model = Model()
  model(tf.zeros([1, 2]))
  assert not model.unused.built
  assert networks.trackable_parts(model) == [model]


def test_outermost_layers():
  inner = [_built(keras.layers.Dense(2)), _built(tf_keras.layers.Dense(2))]
  models = [keras.Sequential(inner[:1]), tf_keras.Sequential(inner[1:])]
  alone = [_built(keras.layers.Dense(2)), _built(tf_keras.layers.Dense(2))]
  found = keras_layers(_Holder(*inner, *models, *alone))
  assert {id(layer) for layer in found} >= {id(x) for x in models + alone}
  assert inner[1] not in found
  for layer in (*models, *alone):
    assert keras_layers(layer) == [layer]


@pytest.mark.parametrize(
  'network',
  [tf.nn.relu, abs, lambda x: tf.nn.relu(x), tf.function(abs)],
  ids=['relu', 'builtin', 'lambda', 'tf_function'],
)
def test_functions_are_refused_even_without_variables(network):
  with pytest.raises(TypeError, match='FunctionNetwork'):
    networks.trackable_parts(network)


@pytest.mark.parametrize(
  'network', [None, 3, 'relu', [lambda x: x], tf.Module()]
)
def test_what_cannot_be_called_is_refused(network):
  with pytest.raises(TypeError, match='or a callable tf.Module, got'):
    networks.trackable_parts(network)
