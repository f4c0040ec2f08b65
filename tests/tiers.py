# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""What tests of many variants share."""

import pytest

__all__ = ['few']


def few(values, count=2):
  """Returns parameters of which all but the first few are `exhaustive`."""
  values = list(values)
  return [
    *values[:count],
    *(pytest.param(v, marks=pytest.mark.exhaustive) for v in values[count:]),
  ]
