# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Bits per dimension: the unit in which densities of images are compared."""

import math
import operator

import tensorflow as tf

__all__ = [
  'bits_per_dim',
]


def bits_per_dim(log_prob, event_size):
  """Converts log-probabilities in nats to bits per dimension.

  ```none
  bits_per_dim = -log_prob / (event_size * log(2))
  ```

  A uniform model over the pixel values 0..255 scores exactly 8.0. Smaller is
  more probable.

  Args:
    log_prob: Floating-point `Tensor` of any shape, in nats. Half precision
      (float16, bfloat16) is computed in float32.
    event_size: Python `int`, the number of dimensions of one event: 3072 for
      a 32 x 32 image with 3 channels.

  Returns:
    `Tensor` of the shape and dtype of `log_prob`, in bits per dimension.

  Raises:
    TypeError: If `event_size` is not an integer or `log_prob` is not floating
      point.
    ValueError: If `event_size` is not positive.

  #### Example

  >>> import math
  >>> uniform = -3072 * math.log(256.)  # 256 equally likely values a channel
  >>> float(bits_per_dim(uniform, event_size=32 * 32 * 3))
  8.0
  """
  event_size = _checked_event_size(event_size)
  log_prob = tf.convert_to_tensor(log_prob, name='log_prob')
  if not log_prob.dtype.is_floating:
    raise TypeError(
      f'`log_prob` must be floating point, got {log_prob.dtype.name}; cast '
      'it to float32 or float64.'
    )
  dtype = log_prob.dtype
  compute_dtype = tf.float32 if dtype.size < 4 else dtype
  # The divisor is rounded once, from Python's float64, so that a correctly
  # rounded uniform log-probability is exactly eight times it.
  nats_per_bit_per_dim = tf.constant(event_size * math.log(2.0), compute_dtype)
  return tf.cast(
    -tf.cast(log_prob, compute_dtype) / nats_per_bit_per_dim, dtype
  )


def _checked_event_size(event_size):
  try:
    event_size = operator.index(event_size)
  except TypeError as error:
    raise TypeError(
      '`event_size` must be an integer, the number of dimensions of one '
      f'event; got {event_size!r}.'
    ) from error
  if event_size <= 0:
    raise ValueError(
      '`event_size` must be positive, the number of dimensions of one event '
      f'(3072 for a 32 x 32 x 3 image); got {event_size}.'
    )
  return event_size
