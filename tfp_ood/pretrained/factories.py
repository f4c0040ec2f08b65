# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Functions that make models, trained ones among them."""

import functools
import importlib
import inspect

from tfp_ood._results import plain_results
from tfp_ood.pretrained.weights_file import available, read_weights

__all__ = ['factory', 'load_model', 'with_weights']

# All functions that `with_weights` was applied to, by name.
_FACTORIES = {}
# The packages of the library whose functions join it as they are imported.
_PACKAGES = ('tfp_ood.distributions', 'tfp_ood.networks')


def with_weights(function):
  """Gives a function that makes a model the keyword argument `weights`.

  With it, the model comes with the weights of a file, and the arguments that decide
  what it is made of come from the file too.

  Args:
    function: one that returns an object with `variables`, always the same ones
      for the same arguments. Its name says what kind of model it makes, for
      `factory`.

  Returns:
    The function with one more argument, `weights`: the name of bundled weights, such
    as `'cifar10'`, or the path of a file of `write_weights`.

  #### Example

  >>> import os
  >>> import tempfile
  >>> import tensorflow as tf
  >>> import tfp_ood
  >>> @with_weights
  ... def line(size):
  ...   return tfp_ood.distributions.learned_normal([size])
  >>> with tempfile.TemporaryDirectory() as folder:
  ...   path = os.path.join(folder, 'weights.npz')
  ...   tfp_ood.pretrained.write_weights(path, line(3), 'line', {'size': 3})
  ...   line(weights=path).event_shape
  TensorShape([3])
  """
  kind = function.__name__
  signature = inspect.signature(function)

  @functools.wraps(function)
  def make(*args, weights=None, **kwargs):
    if weights is None:
      return function(*args, **kwargs)
    given = _by_name(signature, args, kwargs)
    file = read_weights(weights, kind)
    call = f'{kind}(weights={str(weights)!r})'
    _check_agreement(file, given, call)
    model = function(**file.arguments | given)
    _assign(model, file.values, call)
    return model

  make.__signature__ = _with_one_more(signature)
  _FACTORIES[kind] = make
  return make


def factory(kind):
  """Returns the function that makes models of a kind.

  Args:
    kind: `str`, the name of a function that `with_weights` was applied to.

  Raises:
    ValueError: if there is none of that name.

  #### Example

  >>> import tfp_ood
  >>> factory('glow') is tfp_ood.distributions.glow
  True
  """
  for package in _PACKAGES:
    importlib.import_module(package)
  if kind not in _FACTORIES:
    raise ValueError(
      f'Nothing makes a model of kind {kind!r}; there are: '
      f'{", ".join(sorted(_FACTORIES))}. Import what defines it first.'
    )
  return _FACTORIES[kind]


def load_model(weights, **kwargs):
  """Makes the model of a file of weights, whatever kind it is.

  Args:
    weights: one of `available()`, or the path of a file of `write_weights`.
    **kwargs: passed to the function that makes the model, such as `name`.

  Returns:
    The model.

  Raises:
    FileNotFoundError: if there is no such file.
    ValueError: if it is damaged, or of a kind that nothing here makes.

  #### Example

  >>> load_model('small_resnet_cifar10').input_shape
  (None, 32, 32, 3)
  """
  kind = read_weights(weights).kind
  make = factory(kind)
  if weights in available():
    weights = weights.removeprefix(f'{kind}_')
  return make(weights=weights, **kwargs)


def _by_name(signature, args, kwargs):
  """Returns the arguments that were given, by name."""
  given = dict(signature.bind_partial(*args, **kwargs).arguments)
  for parameter in signature.parameters.values():
    if parameter.kind is inspect.Parameter.VAR_KEYWORD:
      given |= given.pop(parameter.name, {})
  return given


def _check_agreement(file, given, call):
  """Raises where an argument contradicts the file."""
  both = given.keys() & file.arguments.keys()
  # The file has lists where there were tuples.
  plain = plain_results({name: given[name] for name in both})
  for name, wanted in plain.items():
    there = file.arguments[name]
    if wanted != there:
      raise ValueError(
        f'{call}: the weights are of a model with {name}={there!r}, got '
        f'{wanted!r}. Leave it out.'
      )


def _assign(model, values, call):
  variables = list(model.variables)
  shapes = [tuple(variable.shape) for variable in variables]
  if shapes != [value.shape for value in values]:
    raise ValueError(
      f'{call}: the weights do not fit a model made with these arguments. Leave '
      'out those that decide what it is made of.'
    )
  for variable, value in zip(variables, values, strict=True):
    variable.assign(value.astype(variable.dtype.as_numpy_dtype))


def _with_one_more(signature):
  """Returns the signature with the argument `weights`."""
  parameters = list(signature.parameters.values())
  weights = inspect.Parameter(
    'weights', inspect.Parameter.KEYWORD_ONLY, default=None
  )
  has_rest = parameters and (
    parameters[-1].kind is inspect.Parameter.VAR_KEYWORD
  )
  position = len(parameters) - 1 if has_rest else len(parameters)
  parameters.insert(position, weights)
  return signature.replace(parameters=parameters)
