# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Graphs that do not depend on the size of a batch."""

import tensorflow as tf

from tfp_ood._parts import in_threads, num_parts

__all__ = ['OneTrace']


class OneTrace:
  """A function of a batch of examples, as one graph for batches of any size.

  `tf.function` alone would trace it for two sizes before it tries for any. Where
  batches are divided, its parts are computed side by side; see `divide_batches`.

  #### Example

  >>> import tensorflow as tf
  >>> double = OneTrace(lambda x: print('traced') or 2 * x)
  >>> for count in (3, 4, 5):
  ...   shape = double(tf.zeros([count, 2])).shape
  traced
  """

  def __init__(self, function):
    """Instantiates the function.

    Args:
      function: callable from a `Tensor` whose first axis is the batch to a nest of
        such `Tensor`s.
    """
    self._function = function
    self._graphs = {}

  def __call__(self, x):
    """Calls the function; examples of another dtype or shape have another graph."""
    x = tf.convert_to_tensor(x)
    spec = tf.TensorSpec([None, *x.shape[1:]], x.dtype)
    if spec not in self._graphs:
      graph = tf.function(
        self._function, input_signature=[spec], autograph=False
      )
      # TensorFlow warns of the traces of functions made in one place, as if they
      # were all of one function; of this one it does not.
      self._graphs[spec] = graph.get_concrete_function()
    if not tf.executing_eagerly():
      return self._graphs[spec](x)
    return in_threads(self._graphs[spec], num_parts(), x)
