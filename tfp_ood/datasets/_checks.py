# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Checks of arguments that several functions have."""

import numpy as np

__all__ = ['check_positive_int']


def check_positive_int(argument, value):
  """Raises a `ValueError` that names `argument` unless `value` is a positive int."""
  if not (isinstance(value, (int, np.integer)) and value > 0):
    raise ValueError(f'`{argument}` must be a positive int, got {value!r}.')
