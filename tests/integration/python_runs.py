# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Scripts in processes of their own."""

import os
import pathlib
import subprocess
import sys

__all__ = ['EXAMPLES', 'ROOT', 'run_python']

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / 'examples'


def run_python(arguments, cwd, **environment):
  """Runs Python, and returns the `subprocess.CompletedProcess`."""
  return subprocess.run(
    [sys.executable, *map(str, arguments)],
    cwd=cwd,
    env={
      **os.environ,
      'CUDA_VISIBLE_DEVICES': '-1',
      'TF_CPP_MIN_LOG_LEVEL': '2',
      **environment,
    },
    capture_output=True,
    text=True,
    timeout=900,
  )
