# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""What the library uses of other libraries' private names.

Each of these has no public counterpart. They are collected here so that a new
release can break one file only. Written against TensorFlow 2.21 and TensorFlow
Probability 0.25.
"""

from tensorflow_probability.python.bijectors import chain as tfp_chain
from tensorflow_probability.python.bijectors import invert as tfp_invert
from tensorflow_probability.python.internal import cache_util

__all__ = [
  'bijector_cache',
  'inner_layers',
  'is_chain',
  'is_invert',
  'leaves_of_module',
]


def is_chain(bijector):
  """Whether a bijector is a `tfp.bijectors.Chain`.

  `tfp.bijectors.Chain(...)` is an instance of that class only if all of its
  parts are composite tensors; otherwise TFP makes a `_Chain`, the base of both.

  Args:
    bijector: any `tfp.bijectors.Bijector`.

  Returns:
    Python `bool`.
  """
  return isinstance(bijector, tfp_chain._Chain)


def is_invert(bijector):
  """Whether a bijector is a `tfp.bijectors.Invert`, made as `Chain` is.

  Args:
    bijector: any `tfp.bijectors.Bijector`.

  Returns:
    Python `bool`.
  """
  return isinstance(bijector, tfp_invert._Invert)


def bijector_cache(forward_name, inverse_name):
  """Returns a cache that keeps log-determinants computed along with values.

  TFP's default cache calls `_forward` and `_inverse`, which return values only.

  Args:
    forward_name: Python `str`, the name of a method that maps `x` to `y` and a
      `dict` with the log-determinant of the inverse, `'ildj'`.
    inverse_name: Python `str`, likewise from `y` to `x`.

  Returns:
    The cache, to be the class attribute `_cache` of a bijector.
  """
  return cache_util.BijectorCacheWithGreedyAttrs(
    forward_name=forward_name, inverse_name=inverse_name
  )


def inner_layers(layer):
  """Returns the layers inside a layer, at any depth, each once.

  Args:
    layer: tf_keras or Keras 3 layer.

  Returns:
    List of layers of the same library.
  """
  return list(layer._flatten_layers(include_self=False))


def leaves_of_module(module, kind):
  """Returns the objects of a class that a module or its submodules hold.

  `tf.Module.submodules` lists modules only, and Keras 3 layers are none.

  Args:
    module: `tf.Module`.
    kind: class.

  Returns:
    List of objects, each once.
  """
  return list(module._flatten(predicate=lambda leaf: isinstance(leaf, kind)))
