# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Checks of values, eagerly and when a graph runs."""

import tensorflow as tf

__all__ = ['check_finite', 'check_values', 'check_whole_numbers']


def check_values(values, is_valid, message):
  """Raises where a value is not valid.

  XLA leaves assertions out of what it compiles.

  Args:
    values: `Tensor` of numbers.
    is_valid: boolean `Tensor` of that shape.
    message: Python `str`, what the error starts with.

  Returns:
    `values`, to be used in their place: a graph then checks before it goes on.

  Raises:
    ValueError: eagerly; a graph raises `tf.errors.InvalidArgumentError`.

  #### Example

  >>> check_values(tf.constant([1.0, -1.0]), tf.constant([True, False]), 'No!')
  Traceback (most recent call last):
  ...
  ValueError: No! 1 of 2 are not, the first is -1.0.
  """
  if tf.executing_eagerly():
    invalid = tf.boolean_mask(values, ~is_valid)
    if tf.size(invalid) > 0:
      raise ValueError(
        f'{message} {int(tf.size(invalid))} of {int(tf.size(values))} are not, '
        f'the first is {float(invalid[0])}.'
      )
    return values

  def fail():
    # Looks for what is wrong only where something is.
    invalid = tf.boolean_mask(values, ~is_valid)
    data = [message, tf.size(invalid), 'are not, the first are', invalid[:3]]
    with tf.control_dependencies([tf.debugging.Assert(False, data)]):
      return tf.constant(False)

  is_all_valid = tf.cond(
    tf.reduce_all(is_valid), lambda: tf.constant(True), fail
  )
  with tf.control_dependencies([is_all_valid]):
    return tf.identity(values)


def check_finite(values, name):
  """Raises unless floating values are finite; see `check_values`.

  Args:
    values: `Tensor` of numbers.
    name: Python `str`, what the values are, for the message.

  Returns:
    `values`, to be used in their place.
  """
  if not values.dtype.is_floating:
    return values
  return check_values(
    values, tf.math.is_finite(values), f'{name} must be finite.'
  )


def check_whole_numbers(values, num_values, name):
  """Raises unless values are whole numbers in a range; see `check_values`.

  Args:
    values: `Tensor` of numbers of any dtype.
    num_values: Python `int`: they are to be `0 .. num_values - 1`.
    name: Python `str`, what the values are, for the message.

  Returns:
    int32 `Tensor`, to be used in their place.
  """
  # Compared as int32: `num_values` need not fit into the type that was given.
  whole = tf.cast(values, tf.int32)
  is_valid = (whole >= 0) & (whole < num_values)
  is_valid &= tf.cast(whole, values.dtype) == values
  values = check_values(
    values,
    is_valid,
    f'{name} must hold whole numbers from 0 to {num_values - 1}.',
  )
  return tf.cast(values, tf.int32)
