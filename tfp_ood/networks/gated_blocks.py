# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Residual blocks of gated convolutions."""

import tensorflow as tf
import tensorflow_probability as tfp

from tfp_ood.networks.normalized_kernels import NormalizedKernels
from tfp_ood.networks.shifted_convolution import ShiftedConvolution

__all__ = ['GatedBlocks', 'Signal']

_RESIDUAL_GAIN = 0.1


class Signal:
  """Features, and their activation, computed once for all layers that take it.

  Attributes:
    values: `Tensor` of shape `[batch, height, width, num_filters]`.
    activation: `Tensor` of twice as many features: of both signs.
  """

  def __init__(self, values):
    self.values = values
    self.activation = _elu_of_both_signs(values)


class GatedBlocks(tf.Module):
  """The weights of like blocks, one after the other.

  A block adds to its input the output of two convolutions, the second of which is
  gated; between them, it may get features from elsewhere too.
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
    seed,
    dtype,
    name,
  ):
    """Instantiates the weights.

    Args:
      number: Python `int`, how many blocks.
      num_filters: Python `int`, the number of features.
      num_others: Python `int`, how many `Signal`s from elsewhere a block gets.
      window_shape: pair of Python `int`s, of the convolutions.
      first_row: Python `int`, of the window; see `ShiftedConvolution`.
      first_column: Python `int`, likewise.
      dropout_rate: Python `float`, of what the second convolution takes.
      seed: stateless PRNG seed.
      dtype: floating dtype of the variables.
      name: Python `str`, the name of the module.
    """
    super().__init__(name=name)
    self._window = (first_row, first_column)
    self._dropout_rate = dropout_rate
    seeds = tf.unstack(tfp.random.split_seed(seed, n=3))

    def kernels(shape, num_inputs, num_outputs, seed, gain=1.0):
      # Twice as many inputs: the activation has both signs.
      return NormalizedKernels(
        number,
        [*shape, 2 * num_inputs, num_outputs],
        gain=gain,
        seed=seed,
        dtype=dtype,
      )

    self._first = kernels(window_shape, num_filters, num_filters, seeds[0])
    self._second = kernels(
      window_shape, num_filters, 2 * num_filters, seeds[1], _RESIDUAL_GAIN
    )
    self._skip = None
    if num_others:
      self._skip = kernels(
        [1, 1], num_others * num_filters, num_filters, seeds[2]
      )

  def layers(self, dtype):
    """Returns the blocks as functions, of kernels in a dtype, a list."""
    first, second = self._first(dtype), self._second(dtype)
    skip = self._skip(dtype) if self._skip else [None] * len(first)

    def convolution(kernels, number, part):
      name = f'{self.name}_{number}_{part}'
      return ShiftedConvolution(*kernels[number], *self._window, name=name)

    return [
      _Block(
        convolution(first, number, 'first'),
        convolution(second, number, 'second'),
        skip[number],
        self._dropout_rate,
      )
      for number in range(len(first))
    ]


class _Block:
  """One block."""

  def __init__(self, first, second, skip, dropout_rate):
    self._first, self._second, self._skip = first, second, skip
    self._dropout_rate = dropout_rate

  def __call__(self, signal, others, steps):
    """Applies the block.

    Args:
      signal: `Signal`.
      others: list of `Signal`s from elsewhere.
      steps: `WholeImages` or `RowAfterRow`.

    Returns:
      `Signal`.
    """
    hidden = steps.convolve(self._first, signal.activation)
    if others:
      kernel, bias = self._skip
      parts = tf.split(kernel, len(others), axis=2)
      hidden = tf.nn.bias_add(
        tf.add_n(
          [
            hidden,
            *(
              tf.nn.conv2d(other.activation, part, 1, 'VALID')
              for other, part in zip(others, parts, strict=True)
            ),
          ]
        ),
        bias,
      )
    hidden = steps.dropout(_elu_of_both_signs(hidden), self._dropout_rate)
    values, gates = tf.split(steps.convolve(self._second, hidden), 2, axis=-1)
    return Signal(signal.values + values * _sigmoid(gates))


def _elu_of_both_signs(x):
  return tf.nn.elu(tf.concat([x, -x], axis=-1))


def _sigmoid(x):
  # On a CPU, TensorFlow's own of bfloat16 takes twice as long.
  wide = tf.cast(x, tf.float32) if x.dtype.size < 4 else x
  return tf.cast(tf.sigmoid(wide), x.dtype)
