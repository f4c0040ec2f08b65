# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""What every rate, level and significance is asked."""

__all__ = ['check_fraction']


def check_fraction(value, name, example):
  """Raises `ValueError` unless a number lies strictly between 0 and 1.

  Args:
    value: number.
    name: Python `str`, the argument's name, for the error.
    example: number that would do, for the error.

  Raises:
    ValueError: if it does not, or is NaN.
  """
  if not 0.0 < value < 1.0:
    raise ValueError(
      f'`{name}` must lie strictly between 0 and 1, such as {example}; got '
      f'{value!r}.'
    )
