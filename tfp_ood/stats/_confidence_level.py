# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""What every confidence interval asks of its level."""

__all__ = [
  'check_confidence_level',
]


def check_confidence_level(confidence_level):
  """Raises `ValueError` unless the level lies strictly between 0 and 1."""
  if not 0.0 < confidence_level < 1.0:
    raise ValueError(
      '`confidence_level` must lie strictly between 0 and 1, such as 0.95; '
      f'got {confidence_level!r}.'
    )
