# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Sums over all axes but the batch."""

import tensorflow as tf

__all__ = ['sum_event', 'sum_of_squares']


def sum_event(values):
  """Sums `[batch, ...]` to `[batch]`."""
  return tf.reduce_sum(values, axis=range(1, values.shape.rank))


def sum_of_squares(values):
  """Sums the squares of `[batch, ...]` to `[batch]`."""
  return sum_event(values**2)
