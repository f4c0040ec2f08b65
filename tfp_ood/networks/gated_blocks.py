# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Residual blocks of gated convolutions."""

import functools
from typing import NamedTuple

import tensorflow as tf

from tfp_ood.networks._sizes import sizes
from tfp_ood.networks.normalized_kernels import KernelGroup
from tfp_ood.networks.shifted_convolution import ShiftedConvolution

__all__ = ['GatedBlocks', 'Signal']

_RESIDUAL_GAIN = 0.1


class Signal(NamedTuple):
  """Features, and their activation, computed once for all layers that take it.

  Attributes:
    values: `Tensor` of shape `[batch, height, width, num_filters]`.
    activation: `Tensor` of twice as many features: of both signs.
  """

  values: tf.Tensor
  activation: tf.Tensor

  @classmethod
  def of(cls, values):
    """Returns the signal of features."""
    return cls(values, _elu_of_both_signs(values))


class GatedBlocks:
  """Like blocks, one after the other.

  A block adds to its input the output of two convolutions, the second of which is
  gated; between them, it may get features from elsewhere too.

  Attributes:
    groups: `dict` from `str` to `KernelGroup`, the kernels that the blocks need.
  """

  def __init__(
    self,
    number,
    num_filters,
    num_others,
    window_shape,
    first_row,
    first_column,
    dropout_rate,
    name,
  ):
    """Instantiates the blocks.

    Args:
      number: Python `int`, how many blocks.
      num_filters: Python `int`, the number of features.
      num_others: Python `int`, how many `Signal`s from elsewhere a block gets.
      window_shape: pair of Python `int`s, of the convolutions.
      first_row: Python `int`, of the window; see `ShiftedConvolution`.
      first_column: Python `int`, likewise.
      dropout_rate: Python `float`, of what the second convolution takes.
      name: Python `str`, with which the names of the groups begin.
    """
    self._name = name
    self._number = number
    self._window = (first_row, first_column)
    self._dropout_rate = dropout_rate

    def group(shape, num_inputs, num_outputs, gain=1.0):
      # Twice as many inputs: the activation has both signs.
      shape = (*shape, 2 * num_inputs, num_outputs)
      return KernelGroup(number, shape, gain=gain)

    self.groups = {
      f'{name}_first': group(window_shape, num_filters, num_filters),
      f'{name}_second': group(
        window_shape, num_filters, 2 * num_filters, _RESIDUAL_GAIN
      ),
    }
    if num_others:
      self.groups[f'{name}_skip'] = group(
        (1, 1), num_others * num_filters, num_filters
      )

  def layers(self, kernels):
    """Returns the blocks as functions.

    Args:
      kernels: `dict` from the names of the groups to lists of pairs of a kernel and a
        bias.

    Returns:
      List of functions of a `Signal`, a list of `Signal`s from elsewhere, and
      `WholeImages` or `RowAfterRow`, that return a `Signal`.
    """
    no_skip = [None] * self._number
    kernels_of_blocks = zip(
      kernels[f'{self._name}_first'],
      kernels[f'{self._name}_second'],
      kernels.get(f'{self._name}_skip', no_skip),
      strict=True,
    )
    return [
      functools.partial(self._block, f'{self._name}_{number}', kernels_of_block)
      for number, kernels_of_block in enumerate(kernels_of_blocks)
    ]

  def _block(self, name, kernels, signal, others, steps):
    activations = [other.activation for other in others]
    return steps.apply(self._compute, name, kernels, signal, activations)

  def _compute(self, steps, name, kernels, signal, other_activations):
    first_kernel, second_kernel, skip_kernel = kernels

    def activate(hidden):
      return steps.dropout(_elu_of_both_signs(hidden), self._dropout_rate)

    first = ShiftedConvolution(
      *first_kernel, *self._window, name=f'{name}_first'
    )
    second = ShiftedConvolution(
      *second_kernel,
      *self._window,
      activation=activate,
      name=f'{name}_second',
    )
    hidden = steps.convolve(first, signal.activation)
    if other_activations:
      kernel, bias = skip_kernel
      parts = tf.split(kernel, len(other_activations), axis=2)
      skipped, *more = (
        tf.nn.conv2d(activation, part, 1, 'VALID')
        for activation, part in zip(other_activations, parts, strict=True)
      )
      # A convolution, a bias and a sum, in this order, are one operation on a CPU.
      hidden += tf.nn.bias_add(skipped, bias)
      if more:
        hidden = tf.add_n([hidden, *more])
    values, gates = tf.split(steps.convolve(second, hidden), 2, axis=-1)
    return Signal.of(signal.values + values * _sigmoid(gates))


def _elu_of_both_signs(x):
  if x.dtype == tf.bfloat16:
    return tf.nn.elu(_both_signs_by_convolution(x))
  # Not by concatenation, whose gradient has six operations for the one of a stack.
  both = tf.stack([x, -x], axis=-2)
  *outer, channels = sizes(x)
  return tf.nn.elu(tf.reshape(both, [*outer, 2 * channels]))


def _both_signs_by_convolution(x):
  """Returns `x` and `-x`, in a form that TensorFlow fuses with an activation.

  On a CPU it becomes one operation of oneDNN, as benchmarks/operation_shares.py shows,
  which computes the activation in float32 before it rounds. In float32 it is no faster
  than a stack.

  Args:
    x: `Tensor` of shape `[batch, height, width, channels]`.

  Returns:
    `Tensor` of shape `[batch, height, width, 2 channels]`.
  """
  channels = x.shape[-1]
  identity = tf.eye(channels, dtype=x.dtype)
  kernel = tf.concat([identity, -identity], axis=1)[tf.newaxis, tf.newaxis]
  # Nothing is fused without a bias, and TensorFlow removes one that it knows to be zero.
  zero_bias = tf.raw_ops.PlaceholderWithDefault(
    input=tf.zeros([2 * channels], x.dtype), shape=[2 * channels]
  )
  return tf.nn.bias_add(tf.nn.conv2d(x, kernel, 1, 'VALID'), zero_bias)


def _sigmoid(x):
  """Returns the sigmoid, computed in float32 if that is wider.

  A CPU computes exponentials in float32 twice as fast as in bfloat16. The gradient
  keeps the outputs as they are returned, and not those in float32.

  Args:
    x: `Tensor`.

  Returns:
    `Tensor` of the dtype of `x`.
  """
  if x.dtype.size >= tf.float32.size:
    return tf.sigmoid(x)

  @tf.custom_gradient
  def in_float32(x):
    y = tf.cast(tf.sigmoid(tf.cast(x, tf.float32)), x.dtype)
    return y, lambda upstream: tf.raw_ops.SigmoidGrad(dy=upstream, y=y)

  return in_float32(x)
