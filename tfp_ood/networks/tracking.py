# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Finding the variables of a network, whatever library made it."""

import functools
import inspect

import keras
import tensorflow as tf
import tf_keras

__all__ = ['trackable_parts']


def trackable_parts(network):
  """Returns objects through which a `tf.Module` tracks a network's variables.

  A `tf.Module` that stores the returned list in an attribute finds every
  variable of the network in its `variables`, and so does a checkpoint of it.

  * `tf.Module`s, and with them tf_keras (Keras 2) layers, are tracked as they
    are.
  * Keras 3 layers are not `tf.Module`s: their `tf.Variable`s are listed.
  * A plain function is searched: variables, layers and modules that it closes
    over are tracked too.

  Args:
    network: callable.

  Returns:
    List of `tf.Module`s, trackable objects and `tf.Variable`s, possibly empty.

  Raises:
    ValueError: if a Keras network has no weights yet because it has never been
      built, or if a Keras 3 network does not run on TensorFlow.
    TypeError: if `network` is not callable.
  """
  if not callable(network):
    raise TypeError(f'A network must be callable, got {network!r}.')
  return _parts(network, seen=set())


def _parts(candidate, seen):
  if id(candidate) in seen:
    return []
  seen.add(id(candidate))
  if isinstance(candidate, keras.Layer):
    _check_built(candidate)
    return [_tensorflow_variable(weight) for weight in candidate.weights]
  if isinstance(candidate, tf_keras.layers.Layer):
    _check_built(candidate)
    return [candidate]
  if isinstance(candidate, tf.Module | tf.Variable):
    return [candidate]
  if isinstance(candidate, list | tuple):
    return _all_parts(candidate, seen)
  if isinstance(candidate, dict):
    return _all_parts(candidate.values(), seen)
  if isinstance(candidate, functools.partial):
    return _all_parts(
      [candidate.func, *candidate.args, *candidate.keywords.values()], seen
    )
  if inspect.ismethod(candidate):
    return _all_parts([candidate.__self__, candidate.__func__], seen)
  if inspect.isfunction(candidate):
    closure = inspect.getclosurevars(candidate)
    return _all_parts(
      [*closure.nonlocals.values(), *closure.globals.values()], seen
    )
  return []


def _all_parts(candidates, seen):
  return [part for candidate in candidates for part in _parts(candidate, seen)]


def _check_built(network):
  if not network.built:
    raise ValueError(
      f'The network {network.name!r} has no weights yet. Build it first, for '
      'example with `network.build([None, height, width, channels])` or by '
      'starting it with an Input layer.'
    )


def _tensorflow_variable(weight):
  if not isinstance(weight.value, tf.Variable):
    raise ValueError(
      f'The Keras 3 weight {weight.path!r} is not a TensorFlow variable: set '
      'the environment variable KERAS_BACKEND=tensorflow.'
    )
  return weight.value
