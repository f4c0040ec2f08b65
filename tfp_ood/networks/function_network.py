# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""A function in the place of a network."""

import keras
import tensorflow as tf

from tfp_ood.networks.tracking import trackable_parts_of_module

__all__ = ['FunctionNetwork']


class FunctionNetwork(tf.Module):
  """A function as a network, together with the modules whose weights it uses.

  A function alone does not tell which variables it uses. A call that uses a
  trainable variable of none of the modules is an error: that variable would stay
  fixed while all others train.

  #### Examples

  >>> import tensorflow as tf
  >>> import tfp_ood
  >>> inner = tfp_ood.networks.CouplingNetwork(2, 2, hidden_channels=8)
  >>> network = tfp_ood.networks.FunctionNetwork(
  ...     lambda images: tf.tanh(inner(images)), modules=[inner])
  >>> len(network.trainable_variables)
  6

  A function without weights:

  >>> network = tfp_ood.networks.FunctionNetwork(tf.nn.relu, modules=[])
  >>> tfp_ood.bijectors.AdditiveCoupling(network).variables
  ()
  """

  def __init__(self, function, modules, name='function_network'):
    """Instantiates the network.

    Args:
      function: callable from tensors to a tensor or a distribution.
      modules: collection of all `tf.Module`s, Keras layers and `tf.Variable`s
        that the function uses; empty if it has no weights.
      name: Python `str`, the name of the module.

    Raises:
      TypeError: if `function` is not callable, or `modules` holds something else.
      ValueError: if a Keras layer has no weights yet.
    """
    super().__init__(name=name)
    if not callable(function):
      raise TypeError(
        f'FunctionNetwork: `function` must be callable, got {function!r}.'
      )
    self._function = function
    # Stored where `tf.Module` looks for variables.
    self._parts = [part for module in modules for part in _parts(module)]

  def __call__(self, *args, **kwargs):
    """Calls the function.

    Args:
      *args: passed to the function.
      **kwargs: passed to the function.

    Returns:
      What the function returns.

    Raises:
      ValueError: if it uses a trainable variable of none of the modules.
    """
    with tf.GradientTape() as tape:
      outputs = self._function(*args, **kwargs)
    # Compared by handle: Keras may wrap a variable, and a strategy copies it to
    # each replica, where the tape sees the copy.
    known = {
      id(copy.handle)
      for variable in self.trainable_variables
      for copy in getattr(variable, 'values', [variable])
    }
    unknown = [
      variable.name
      for variable in tape.watched_variables()
      if id(variable.handle) not in known
    ]
    if unknown:
      raise ValueError(
        f'{self.name}: the function uses the variables {", ".join(unknown)}, '
        'which no object in `modules` holds: they would not be trained or saved. '
        'Add what holds them to `modules`.'
      )
    return outputs


def _parts(module):
  if isinstance(module, tf.Variable):
    return [module]
  if isinstance(module, tf.Module | keras.Layer):
    return trackable_parts_of_module(module)
  raise TypeError(
    'FunctionNetwork: `modules` must hold tf.Modules, Keras layers and '
    f'tf.Variables, got {module!r}.'
  )
