# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reading a flag variable, even a distributed one."""

import tensorflow as tf

__all__ = ['is_set']


def is_set(flag):
  """Reads a boolean variable immediately, even while a graph is being built.

  Nothing is added to that graph, so a check costs a traced function nothing. A
  variable with a copy on each replica has no truth value of its own (`bool` of it
  is always true), so its value is read as a tensor.

  Args:
    flag: `tf.Variable` of dtype `bool`, possibly distributed.

  Returns:
    Python `bool`.
  """
  with tf.init_scope():
    return bool(tf.convert_to_tensor(flag))
