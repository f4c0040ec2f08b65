# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Affine maps between layers of switches."""

import tensorflow as tf

__all__ = ['AffineMap', 'with_transpose']


class AffineMap:
  """The affine map that a layer of a classifier computes.

  Inputs are lists of `Tensor`s, because layers such as sums take several.

  #### Example

  >>> import tensorflow as tf
  >>> double = AffineMap('double', lambda inputs: 2 * inputs[0] + 1)
  >>> outputs, transpose, _ = double.call_and_transpose([tf.constant([3.0])])
  >>> outputs.numpy().tolist(), transpose(tf.constant([5.0]))[0].numpy().tolist()
  ([7.0], [10.0])
  """

  # Whether the map in training depends on the batch.
  has_coefficients = False

  def __init__(self, name, function, absolute=None, train=None):
    """Instantiates the map.

    Args:
      name: Python `str`, the name of the layer.
      function: callable from the inputs to the output.
      absolute: callable from nonnegative inputs to the linear part of the map
        with the absolute values of its coefficients. `None` if these are not
        known.
      train: callable that takes the place of `function` in training. Default:
        `function`.
    """
    self.name = name
    self.absolute = absolute
    self._function = function
    self._train = train or function

  def __call__(self, inputs, training=False, coefficients=None):
    """Applies the map.

    Args:
      inputs: list of `Tensor`s of shape `[batch, ...]`.
      training: Python `bool`.
      coefficients: those of another batch, to be used again; of maps with
        `has_coefficients`.

    Returns:
      `Tensor` of shape `[batch, ...]`.
    """
    del coefficients
    return self._train(inputs) if training else self._function(inputs)

  def call_and_transpose(self, inputs, training=False, coefficients=None):
    """Applies the map, and returns its transpose too.

    Args:
      inputs: as above.
      training: as above.
      coefficients: as above.

    Returns:
      output: `Tensor` of shape `[batch, ...]`.
      transpose: callable from a `Tensor` of the output's shape to a list of
        `Tensor`s of the inputs' shapes: the product with the transposed linear
        part of the map, given the random numbers drawn for the output.
      coefficients: what may be passed as `coefficients`, or `None`.
    """
    del coefficients
    return *with_transpose(lambda x: self(x, training), inputs), None


def with_transpose(function, inputs):
  """Calls a function; returns its vector-Jacobian product too.

  Args:
    function: callable from the inputs to a `Tensor`.
    inputs: list of `Tensor`s.

  Returns:
    output: what the function returns.
    transpose: callable from a `Tensor` of the output's shape to a list of
      `Tensor`s of the inputs' shapes. It is to be called once.
  """
  if len(inputs) > 1:
    # The same tensor twice would count twice.
    inputs = [tf.identity(x) for x in inputs]
  with tf.GradientTape(watch_accessed_variables=False) as tape:
    tape.watch(inputs)
    output = function(inputs)

  def transpose(h):
    return tape.gradient(
      output,
      inputs,
      output_gradients=h,
      unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )

  return output, transpose
