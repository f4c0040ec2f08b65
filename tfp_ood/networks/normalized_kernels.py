# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Kernels of like convolutions, whose lengths are variables of their own."""

import tensorflow as tf

from tfp_ood._seeds import stateless_seed

__all__ = ['NormalizedKernels']

# Adam turns a direction by the rate over the size of its numbers: one of N(0, 1) learns
# twenty times more slowly than kernels of the usual sizes.
_DIRECTION_DEVIATION = 0.05


class NormalizedKernels(tf.Module):
  """Kernels and biases of convolutions of one shape, in one variable of each kind.

      kernel = length * direction / || direction ||,   output by output

  A network of many like layers is traced, initialized and trained faster with few
  large variables than with many small ones.

  #### Example

  >>> import tensorflow as tf
  >>> kernels = NormalizedKernels(5, [2, 3, 4, 8], gain=0.1, seed=1)
  >>> kernel, bias = kernels(tf.float32)[0]
  >>> kernel.shape, tf.norm(kernel[..., 0]).numpy().round(3)
  (TensorShape([2, 3, 4, 8]), np.float32(0.1))

  #### References

  [1]: Tim Salimans, Diederik P Kingma. Weight Normalization. In _Neural Information
       Processing Systems_, 2016. https://arxiv.org/abs/1602.07868
  """

  def __init__(
    self,
    number,
    shape,
    output_axis=-1,
    gain=1.0,
    seed=None,
    dtype=tf.float32,
    name='normalized_kernels',
  ):
    """Instantiates the kernels.

    Args:
      number: Python `int`, how many convolutions there are.
      shape: Python `int`s, the shape of a kernel.
      output_axis: Python `int`, the axis of the outputs.
      gain: Python `float`, the length of the kernels at first.
      seed: Python `int` or stateless PRNG seed of their directions.
      dtype: floating dtype of the variables.
      name: Python `str`, the name of the module.
    """
    super().__init__(name=name)
    direction = _DIRECTION_DEVIATION * tf.random.stateless_normal(
      [number, *shape], stateless_seed(seed), alg='philox'
    )
    self._direction = tf.Variable(tf.cast(direction, dtype), name='direction')
    output_axis = 1 + output_axis % len(shape)
    self._axes = [a for a in range(1, 1 + len(shape)) if a != output_axis]
    size = shape[output_axis - 1]
    # Weight decay is of what is called a kernel; the length of a direction is of no
    # consequence.
    self._length = tf.Variable(
      tf.fill([number, size], tf.cast(gain, dtype)), name='kernel_length'
    )
    self._bias = tf.Variable(tf.zeros([number, size], dtype), name='bias')

  def __call__(self, dtype):
    """Returns the kernels and biases in a dtype.

    Args:
      dtype: floating dtype.

    Returns:
      List of pairs of a kernel, of the shape `shape`, and a bias, `[outputs]`.
    """
    direction = tf.convert_to_tensor(self._direction)
    squared = tf.reduce_sum(direction**2, self._axes, keepdims=True)
    length = tf.reshape(self._length, tf.shape(squared))
    kernels = tf.cast(direction * (length * tf.math.rsqrt(squared)), dtype)
    biases = tf.cast(self._bias, dtype)
    return list(zip(tf.unstack(kernels), tf.unstack(biases), strict=True))
