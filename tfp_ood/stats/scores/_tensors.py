# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""What every score asks of the tensors that it is made of."""

import numpy as np
import tensorflow as tf

__all__ = [
  'as_float',
  'check_is_matrix',
  'check_same_shape',
  'excess_log_prob',
]


def as_float(values, name):
  """Converts to a floating tensor of at least single precision.

  Half precision holds no log-probability of an image: its steps are 4 nats
  wide at -5,000.

  Args:
    values: array-like of numbers.
    name: Python `str`, the argument's name, for the error.

  Returns:
    `Tensor`, float64 if `values` is a `Tensor` or array of float64, else
    float32.

  Raises:
    TypeError: if `values` are not numbers.
  """
  hint = None if hasattr(values, 'dtype') else tf.float32
  values = tf.convert_to_tensor(values, dtype_hint=hint, name=name)
  if not (values.dtype.is_floating or values.dtype.is_integer):
    raise TypeError(f'`{name}` must be numbers, got {values.dtype.name}.')
  if values.dtype == tf.float64:
    return values
  return tf.cast(values, tf.float32)


def check_same_shape(**tensors):
  """Raises unless two tensors can hold numbers of the same examples.

  Args:
    **tensors: two `Tensor`s by the names of their arguments.

  Raises:
    ValueError: if their shapes differ.
  """
  (first_name, first), (second_name, second) = tensors.items()
  if not first.shape.is_compatible_with(second.shape):
    raise ValueError(
      f'`{first_name}` and `{second_name}` must have the same shape, one number '
      f'per example; got {first.shape} and {second.shape}.'
    )


def check_is_matrix(values, name, columns):
  """Raises unless a statistic holds several numbers for each example.

  Args:
    values: `Tensor`.
    name: Python `str`, the statistic's name, for the error.
    columns: Python `str`, what the numbers are of, for the error.

  Raises:
    ValueError: if `values` is known not to be of rank 2.
  """
  if values.shape.rank not in (None, 2):
    raise ValueError(
      f'The statistic `{name}` must have the shape [batch, {columns}], got '
      f'{values.shape}.'
    )


def excess_log_prob(log_prob, **other):
  """How much more probable an example is by another log-probability.

  Args:
    log_prob: `Tensor` of any shape, in nats.
    **other: one `Tensor` of the same shape, in nats, by its argument's name.

  Returns:
    `Tensor` of the same shape, the other less `log_prob`; +inf where `log_prob`
    is -inf, whatever the other is. Half precision becomes float32.

  Raises:
    ValueError: if the shapes differ.
  """
  ((name, other_log_prob),) = other.items()
  log_prob = as_float(log_prob, 'log_prob')
  other_log_prob = tf.cast(as_float(other_log_prob, name), log_prob.dtype)
  check_same_shape(**{'log_prob': log_prob, name: other_log_prob})
  return tf.where(log_prob == -np.inf, -log_prob, other_log_prob - log_prob)
