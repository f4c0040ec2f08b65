# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Kernels of a network, whose lengths are variables of their own."""

import dataclasses
import math

import tensorflow as tf

from tfp_ood._seeds import stateless_seed

__all__ = ['KernelGroup', 'NormalizedKernels']

# Adam turns a direction by the rate over the size of its numbers: one of N(0, 1) learns
# twenty times more slowly than kernels of the usual sizes.
_DIRECTION_DEVIATION = 0.05


@dataclasses.dataclass(frozen=True)
class KernelGroup:
  """Convolutions of one shape.

  Attributes:
    number: Python `int`, how many convolutions there are.
    shape: Python `int`s, the shape of a kernel.
    output_axis: Python `int`, the axis of the outputs.
    gain: Python `float`, the length of the kernels at first.
  """

  number: int
  shape: tuple
  output_axis: int = -1
  gain: float = 1.0

  @property
  def size(self):
    """The total number of elements of the kernels."""
    return self.number * math.prod(self.shape)

  @property
  def num_outputs(self):
    """The total number of outputs of the kernels."""
    return self.number * self.shape[self.output_axis]

  def normalize(self, direction, length):
    """Returns the kernels, from flat directions and lengths."""
    direction = tf.reshape(direction, [self.number, *self.shape])
    axes = list(range(1, 1 + len(self.shape)))
    del axes[self.output_axis]
    squared = tf.reduce_sum(tf.square(direction), axes, keepdims=True)
    length = tf.reshape(length, squared.shape)
    return direction * (length * tf.math.rsqrt(squared))


class NormalizedKernels(tf.Module):
  """The kernels and biases of a network, with lengths that are variables of their own.

      kernel = length * direction / || direction ||,   output by output

  There is one variable of each kind for all of them. A network of many layers is
  traced, initialized and trained faster with few large variables than with many small
  ones: an optimizer adds dozens of operations to the graph for each.

  #### Example

  >>> import tensorflow as tf
  >>> kernels = NormalizedKernels(
  ...   {'first': KernelGroup(5, (2, 3, 4, 8), gain=0.1)}, seed=1
  ... )
  >>> kernel, bias = kernels(tf.float32)['first'][0]
  >>> kernel.shape, tf.norm(kernel[..., 0]).numpy().round(3)
  (TensorShape([2, 3, 4, 8]), np.float32(0.1))

  #### References

  [1]: Tim Salimans, Diederik P Kingma. Weight Normalization. In _Neural Information
       Processing Systems_, 2016. https://arxiv.org/abs/1602.07868
  """

  def __init__(
    self, groups, seed=None, dtype=tf.float32, name='normalized_kernels'
  ):
    """Instantiates the kernels.

    Args:
      groups: `dict` from `str` to `KernelGroup`.
      seed: Python `int` or stateless PRNG seed of their directions.
      dtype: floating dtype of the variables.
      name: Python `str`, the name of the module.
    """
    super().__init__(name=name)
    self._groups = dict(groups)
    groups = groups.values()
    direction = _DIRECTION_DEVIATION * tf.random.stateless_normal(
      [sum(group.size for group in groups)], stateless_seed(seed), alg='philox'
    )
    self._direction = tf.Variable(tf.cast(direction, dtype), name='direction')
    lengths = [
      tf.fill([group.num_outputs], tf.cast(group.gain, dtype))
      for group in groups
    ]
    # Weight decay is of what is called a kernel; the length of a direction is of no
    # consequence.
    self._length = tf.Variable(tf.concat(lengths, 0), name='kernel_length')
    self._bias = tf.Variable(tf.zeros_like(self._length), name='bias')

  def __call__(self, dtype):
    """Returns the kernels and biases in a dtype.

    Args:
      dtype: floating dtype.

    Returns:
      `dict` from the names of the groups to lists of pairs of a kernel, of the shape
      `shape`, and a bias, `[outputs]`.
    """
    groups = self._groups.values()
    sizes = [group.size for group in groups]
    num_outputs = [group.num_outputs for group in groups]
    parts = zip(
      self._groups.items(),
      tf.split(self._direction, sizes),
      tf.split(self._length, num_outputs),
      tf.split(tf.cast(self._bias, dtype), num_outputs),
      strict=True,
    )
    layers = {}
    for (name, group), direction, length, bias in parts:
      kernels = tf.cast(group.normalize(direction, length), dtype)
      biases = tf.reshape(bias, [group.number, -1])
      layers[name] = list(
        zip(tf.unstack(kernels), tf.unstack(biases), strict=True)
      )
    return layers
