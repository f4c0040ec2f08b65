# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Sizes of tensors, known when a graph is made or not."""

import tensorflow as tf

__all__ = ['sizes']


def sizes(x):
  """Returns the sizes of a tensor, each a Python `int` where it is known."""
  dynamic = tf.unstack(tf.shape(x))
  return [
    size if known is None else known
    for known, size in zip(x.shape, dynamic, strict=True)
  ]
