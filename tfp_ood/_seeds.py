# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Seeds that give the same numbers on every call."""

import numbers

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

__all__ = ['stateless_seed']


def stateless_seed(seed):
  """Returns the seed of TensorFlow's stateless random operations.

  `tfp.random.sanitize_seed` draws from an integer with a stateful generator:
  the second call with the same integer gives another seed. Here an integer
  always means the same numbers.

  Args:
    seed: Python `int`, a stateless seed (`int32` `Tensor` of shape `[2]`), or
      `None` for a random one.

  Returns:
    `int32` `Tensor` of shape `[2]`.
  """
  if isinstance(seed, numbers.Integral):
    words = np.array([seed >> 32 & 0xFFFFFFFF, seed & 0xFFFFFFFF], np.uint32)
    return tf.constant(words.view(np.int32))
  return tfp.random.sanitize_seed(seed)
