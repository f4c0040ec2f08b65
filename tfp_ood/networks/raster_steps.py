# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Two ways through a network of shifted convolutions: at once, or row after row."""

import tensorflow as tf
import tensorflow_probability as tfp

from tfp_ood._seeds import stateless_seed

__all__ = ['RowAfterRow', 'WholeImages']


class WholeImages:
  """All rows at once, with dropout if there is a seed."""

  def __init__(self, seed=None):
    self._seed = None if seed is None else stateless_seed(seed)
    self._in_graph = {}

  def apply(self, function, name, *arguments):
    """Returns `function(steps, name, *arguments)`, of a block of layers.

    In a graph, the function becomes a `tf.function`: calls of it with like arguments
    share one trace, so that the graph does not grow with the number of blocks.

    Args:
      function: hashable callable, equal for blocks that are alike but for their
        arguments; it must take all `Tensor`s that it uses as arguments.
      name: Python `str` for what the steps keep, which is nothing here.
      *arguments: nests of `Tensor`s.
    """
    del name
    seed = None if self._seed is None else self._next_seed()
    if tf.executing_eagerly():
      return function(WholeImages(seed), '', *arguments)
    if function not in self._in_graph:

      def in_graph(seed, *arguments):
        return function(WholeImages(seed), '', *arguments)

      self._in_graph[function] = tf.function(in_graph, autograph=False)
    return self._in_graph[function](seed, *arguments)

  def convolve(self, convolution, x):
    return convolution(x)

  def at_half_resolution(self, halve, double, x, function):
    return double(function(halve(x), self))

  def dropout(self, x, rate):
    if self._seed is None or not rate:
      return x
    return tf.nn.experimental.stateless_dropout(x, rate, self._next_seed())

  def _next_seed(self):
    now, self._seed = tf.unstack(tfp.random.split_seed(self._seed, n=2))
    return now


class RowAfterRow:
  """One row, given what convolutions have to know of the rows above.

  Attributes:
    kept: `dict` by the names of convolutions of what the next row has to know.
  """

  def __init__(self, before, row, kept=None):
    """Instantiates the way.

    Args:
      before: `dict`, the `kept` of the row above; empty above the first.
      row: Python `int`, the number of the row, or what is left of it when divided by
        `2 ** (num_levels - 1)`.
      kept: `dict` to add to.
    """
    self._before = before
    self._row = row
    self.kept = {} if kept is None else kept

  def apply(self, function, name, *arguments):
    """Returns `function(steps, name, *arguments)`, of a block of layers."""
    return function(self, name, *arguments)

  def convolve(self, convolution, x):
    if not convolution.num_rows_before:
      return convolution(x)
    before = self._before_or_zeros(convolution, x)
    self._keep(convolution, x, before)
    return convolution(x, before)

  def at_half_resolution(self, halve, double, x, function):
    if self._row % 2:
      # The row was made with the one above it, and nothing below it changes.
      self.kept |= {
        name: self._before[name]
        for name in self._before.keys() - self.kept.keys()
      }
      self._keep(halve, x, self._before_or_zeros(halve, x))
      return self._before[double.name]
    coarse = RowAfterRow(self._before, self._row // 2, self.kept)
    both = double(function(self.convolve(halve, x), coarse))
    self.kept[double.name] = both[:, 1:]
    return both[:, :1]

  def dropout(self, x, rate):
    del rate
    return x

  def _before_or_zeros(self, convolution, x):
    if convolution.name in self._before:
      return self._before[convolution.name]
    return tf.tile(tf.zeros_like(x), [1, convolution.num_rows_before, 1, 1])

  def _keep(self, convolution, x, before):
    rows = tf.concat([before, x], axis=1)
    self.kept[convolution.name] = rows[:, -convolution.num_rows_before :]
