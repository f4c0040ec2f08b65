# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""A bar on stderr, for what takes long."""

import sys

import tqdm

__all__ = ['progress_bar']

_SECONDS_BETWEEN_LINES = 10.0


def progress_bar(text, total, done=0):
  """Returns a `tqdm` bar of images; in a log file, a line now and then.

  Args:
    text: `str`, what is being done.
    total: Python `int`, of all images.
    done: Python `int`, how many were done before.
  """
  is_terminal = sys.stderr.isatty()
  return tqdm.tqdm(
    desc=text,
    total=total,
    initial=done,
    unit=' images',
    dynamic_ncols=is_terminal,
    mininterval=0.1 if is_terminal else _SECONDS_BETWEEN_LINES,
    file=sys.stderr,
  )
