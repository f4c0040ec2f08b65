# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Finding the variables of a network, whatever library made it."""

import keras
import tensorflow as tf
import tf_keras

from tfp_ood._third_party import inner_layers, leaves_of_module

__all__ = ['keras_layers', 'trackable_parts', 'trackable_parts_of_module']


def trackable_parts(network):
  """Returns objects through which a `tf.Module` tracks a network's variables.

  A `tf.Module` that stores the returned list in an attribute finds every
  variable of the network in its `variables`, and so does a checkpoint of it.

  * `tf.Module`s, and with them tf_keras (Keras 2) layers, are tracked as they
    are.
  * Keras 3 layers are not `tf.Module`s: their `tf.Variable`s are listed, also
    those of layers inside a `tf.Module`.

  Args:
    network: callable `tf.Module`, such as a `FunctionNetwork`, a tf_keras layer
      or a Keras 3 layer.

  Returns:
    List of `tf.Module`s and `tf.Variable`s.

  Raises:
    ValueError: if a Keras network has no weights yet because it has never been
      built, or if a Keras 3 network does not run on TensorFlow.
    TypeError: if `network` is something else, such as a plain function, whose
      variables nobody could find.
  """
  if not callable(network) or not isinstance(network, tf.Module | keras.Layer):
    raise TypeError(
      'A network must be a tf_keras or Keras 3 network or a callable tf.Module, '
      f'got {network!r}. Wrap any other callable and name what it uses: '
      'tfp_ood.networks.FunctionNetwork(function, modules=[...]).'
    )
  return trackable_parts_of_module(network)


def trackable_parts_of_module(module):
  """As `trackable_parts`, of an object that need not be callable.

  Args:
    module: `tf.Module` or Keras 3 layer.

  Returns:
    List of `tf.Module`s and `tf.Variable`s.
  """
  layers = keras_layers(module)
  for layer in layers:
    _check_built(layer)
  variables = [
    variable
    for layer in layers
    if isinstance(layer, keras.Layer)
    for variable in _variables(layer)
  ]
  return [module, *variables] if isinstance(module, tf.Module) else variables


def keras_layers(module):
  """Returns the outermost tf_keras and Keras 3 layers of a module.

  Args:
    module: `tf.Module` or Keras 3 layer, itself perhaps the outermost.

  Returns:
    List of layers. A layer inside another of the same library is left out, one
    inside a layer of the other library is not.
  """
  if isinstance(module, keras.Layer):
    return [module]
  keras_2 = leaves_of_module(module, tf_keras.layers.Layer)
  if isinstance(module, tf_keras.layers.Layer):
    keras_2 = [module]
  keras_3 = leaves_of_module(module, keras.Layer)
  inner = {id(part) for layer in keras_2 for part in layer.submodules}
  inner |= {id(part) for layer in keras_3 for part in inner_layers(layer)}
  return [layer for layer in (*keras_2, *keras_3) if id(layer) not in inner]


def _variables(layer):
  """Lists the `tf.Variable`s of a Keras 3 layer."""
  for weight in layer.weights:
    if not isinstance(weight.value, tf.Variable):
      raise ValueError(
        f'The Keras 3 weight {weight.path!r} is not a TensorFlow variable: set '
        'the environment variable KERAS_BACKEND=tensorflow.'
      )
  return [weight.value for weight in layer.weights]


def _check_built(layer):
  if not layer.built:
    raise ValueError(
      f'The network {layer.name!r} has no weights yet. Build it first, for '
      'example with `network.build([None, height, width, channels])` or by '
      'starting it with an Input layer.'
    )
