# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The command `tfp-ood`: which subcommand is meant, and how it ends."""

import importlib
import shlex
import sys

from tfp_ood.cli._arguments import parse
from tfp_ood.cli._errors import CommandError
from tfp_ood.cli._quiet import quiet_start

__all__ = ['main']

_FAILED = 2
_INTERRUPTED = 130


def main(argv=None):
  """Runs `tfp-ood`.

  Args:
    argv: list of `str`, the command line after the name of the command. Default:
      that of the process.

  Returns:
    Python `int`, the status to exit with: 0, or 2 for what the user can put right,
    which one line on stderr tells.

  Raises:
    SystemExit: if the command line asks for help, or is wrong; before TensorFlow is
      loaded.

  #### Example

  >>> main(['score', 'nowhere', '--detector=detector', '--output=scores'])
  Traceback (most recent call last):
  ...
  SystemExit: 2
  """
  argv = sys.argv[1:] if argv is None else list(argv)
  arguments = parse(argv)
  arguments.command_line = shlex.join(['tfp-ood', *argv])
  try:
    with quiet_start():
      command = importlib.import_module(f'tfp_ood.cli.{arguments.command}')
    command.run(arguments)
  # Of files, the system says what is wrong.
  except (CommandError, OSError) as error:
    line = ' '.join(str(error).split())
    print(f'tfp-ood {arguments.command}: {line}', file=sys.stderr)
    return _FAILED
  except KeyboardInterrupt:
    print(
      f'tfp-ood {arguments.command}: interrupted. The same command goes on.',
      file=sys.stderr,
    )
    return _INTERRUPTED
  return 0
