# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""What is read, and is to be scored."""

import collections

__all__ = ['Record']


class Record(
  collections.namedtuple(
    'Record', ['name', 'value', 'error'], defaults=[None] * 2
  )
):
  """What is read, and is to be scored, or why it cannot be read.

  Attributes:
    name: `str`, by which scores and damaged records tell it.
    value: `bytes` of an image file of any size (PNG, JPEG, WebP, BMP, TIFF), or the
      numbers of an example, nested or in the order of memory; `None` with an error.
    error: `str`, or `None` if it could be read.
  """
