# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""What the user of a command can put right."""

import contextlib
import sys

__all__ = ['CommandError', 'user_errors', 'warn']


class CommandError(Exception):
  """What the user can put right: its text says how, and no traceback is shown."""


@contextlib.contextmanager
def user_errors():
  """Turns errors of the library that a user's input causes into `CommandError`s.

  To be put around what reads that input, and nothing more: an error of our own
  keeps its traceback.
  """
  try:
    yield
  except (ValueError, OSError) as error:
    raise CommandError(str(error)) from error


def warn(text):
  """Prints a warning, one line on stderr."""
  print(f'warning: {" ".join(text.split())}', file=sys.stderr, flush=True)
