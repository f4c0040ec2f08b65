# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Residual blocks of gated convolutions."""

import functools

import tensorflow as tf
import tensorflow_probability as tfp

from tfp_ood.networks.normalized_kernels import NormalizedKernels
from tfp_ood.networks.raster_steps import WholeImages
from tfp_ood.networks.shifted_convolution import ShiftedConvolution

__all__ = ['GatedBlocks', 'Signal']

_RESIDUAL_GAIN = 0.1


class Signal:
  """Features, and their activation, computed once for all layers that take it.

  Attributes:
    values: `Tensor` of shape `[batch, height, width, num_filters]`.
    activation: `Tensor` of twice as many features: of both signs.
  """

  def __init__(self, values, activation=None):
    self.values = values
    if activation is None:
      activation = _elu_of_both_signs(values)
    self.activation = activation


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
    self._in_graph = _InGraph(self._apply_to_whole_images)
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
    """Returns the blocks as functions, of kernels in a dtype, a list.

    A block takes a `Signal`, a list of `Signal`s from elsewhere, and `WholeImages` or
    `RowAfterRow`; it returns a `Signal`.
    """
    first, second = self._first(dtype), self._second(dtype)
    skip = self._skip(dtype) if self._skip else [None] * len(first)
    return [
      functools.partial(self._block, kernels, f'{self.name}_{number}')
      for number, kernels in enumerate(zip(first, second, skip, strict=True))
    ]

  def _block(self, kernels, name, signal, others, steps):
    if not isinstance(steps, WholeImages):
      return self._apply(kernels, name, signal, others, steps)
    values, activation = self._in_graph(
      kernels,
      (signal.values, signal.activation),
      [(other.values, other.activation) for other in others],
      steps.next_seed(self._dropout_rate),
    )
    return Signal(values, activation)

  def _apply_to_whole_images(self, kernels, signal, others, seed):
    made = self._apply(
      kernels,
      self.name,
      Signal(*signal),
      [Signal(*other) for other in others],
      WholeImages(seed),
    )
    return made.values, made.activation

  def _apply(self, kernels, name, signal, others, steps):
    """Applies one block: its kernels, each a pair with a bias, to a signal."""
    first, second, skip = kernels
    hidden = self._convolve(f'{name}_first', first, signal.activation, steps)
    if others:
      kernel, bias = skip
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
    outputs = self._convolve(f'{name}_second', second, hidden, steps)
    values, gates = tf.split(outputs, 2, axis=-1)
    return Signal(signal.values + values * _sigmoid(gates))

  def _convolve(self, name, kernel, x, steps):
    convolution = ShiftedConvolution(*kernel, *self._window, name=name)
    return steps.convolve(convolution, x)


class _InGraph:
  """A function of blocks, traced once for all of them that see images of one size.

  It is optimized once, too, and called: copied into the graph for each block, as
  TensorFlow would, blocks take it twice as long.
  """

  def __init__(self, function):
    self._function = function
    self._by_size = {}

  def __call__(self, kernels, signal, *args):
    size = tuple(signal[0].shape[1:3])
    if size not in self._by_size:
      self._by_size[size] = tf.function(
        self._function,
        autograph=False,
        reduce_retracing=True,
        experimental_attributes={'_noinline': True},
      )
    return self._by_size[size](kernels, signal, *args)


def _elu_of_both_signs(x):
  return tf.nn.elu(tf.concat([x, -x], axis=-1))


def _sigmoid(x):
  # On a CPU, TensorFlow's own of bfloat16 takes twice as long.
  wide = tf.cast(x, tf.float32) if x.dtype.size < 4 else x
  return tf.cast(tf.sigmoid(wide), x.dtype)
