# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""SavedModels that are written whole or not at all."""

import os
import shutil
import tempfile

import tensorflow as tf

from tfp_ood._warm_up import write_warm_up

__all__ = ['write_saved_model']


def write_saved_model(module, path, signatures, warm_up_requests=()):
  """Writes a SavedModel aside and renames it.

  Args:
    module: `tf.Module` to save.
    path: the folder to write; an earlier one is replaced.
    signatures: `dict` from names to concrete functions.
    warm_up_requests: as `write_warm_up` takes them; none, and there is no file.
  """
  path = os.path.abspath(path)
  os.makedirs(os.path.dirname(path), exist_ok=True)
  aside = tempfile.mkdtemp(prefix='.export-', dir=os.path.dirname(path))
  try:
    tf.saved_model.save(module, aside, signatures)
    if warm_up_requests:
      write_warm_up(aside, warm_up_requests)
    # mkdtemp makes folders that only their owner may read.
    os.chmod(aside, 0o755)
    earlier = f'{aside}-earlier'
    if os.path.exists(path):
      os.rename(path, earlier)
    os.rename(aside, path)
    shutil.rmtree(earlier, ignore_errors=True)
  finally:
    shutil.rmtree(aside, ignore_errors=True)
