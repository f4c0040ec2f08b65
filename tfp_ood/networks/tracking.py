# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Finding the variables of a network, whatever library made it."""

import functools
import inspect
import types
import weakref

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
  * A plain function is searched, also inside `tf.function`: variables, layers
    and modules that it closes over, has as defaults or uses from its module
    are tracked too. So are the attributes of any other callable object.

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
  if isinstance(candidate, tf.Variable):
    return [candidate]
  if isinstance(candidate, tf.Module):
    # Modules find their variables, but not those of Keras 3 layers.
    layers = candidate._flatten(predicate=lambda x: isinstance(x, keras.Layer))
    return [candidate, *_all_parts(layers, seen)]
  if isinstance(candidate, list | tuple):
    return _all_parts(candidate, seen)
  if isinstance(candidate, dict):
    return _all_parts(candidate.values(), seen)
  if isinstance(candidate, functools.partial):
    return _all_parts(
      [candidate.func, *candidate.args, *candidate.keywords.values()], seen
    )
  if inspect.ismethod(candidate):
    owner = candidate.__self__
    return _all_parts([owner, *_attributes(owner), candidate.__func__], seen)
  if inspect.isfunction(candidate):
    return _all_parts(_used_by_function(candidate), seen)
  if isinstance(candidate, tf.types.experimental.PolymorphicFunction):
    return _parts(candidate.python_function, seen)
  if isinstance(candidate, weakref.ref):  # How a tf.function holds its object.
    return _parts(candidate(), seen)
  if callable(candidate):
    return _all_parts(_attributes(candidate), seen)
  return []


def _all_parts(candidates, seen):
  return [part for candidate in candidates for part in _parts(candidate, seen)]


def _attributes(candidate):
  """Lists the attributes of an object that is not searched otherwise."""
  if isinstance(candidate, type | types.ModuleType | tf.Module | keras.Layer):
    return []
  return list(getattr(candidate, '__dict__', {}).values())


def _used_by_function(function):
  """Lists what a function closes over, has as defaults or uses globally."""
  used = [*(function.__defaults__ or ())]
  used.extend((function.__kwdefaults__ or {}).values())
  for cell in function.__closure__ or ():
    try:
      used.append(cell.cell_contents)
    except ValueError:  # Not assigned yet.
      pass
  names = _global_names(function.__code__)
  used.extend(v for k, v in function.__globals__.items() if k in names)
  return used


def _global_names(code):
  """Returns the names that may be global, also in nested functions."""
  names = set(code.co_names)
  for constant in code.co_consts:
    if isinstance(constant, types.CodeType):
      names |= _global_names(constant)
  return names


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
