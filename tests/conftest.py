# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""What all tests share."""

import ctypes
import gc
import sys

import pytest
import tf_keras


@pytest.fixture(scope='module', autouse=True)
def _give_memory_back():
  """Lets go of a file's graphs: TensorFlow would keep those of all files."""
  yield
  tf_keras.backend.clear_session()
  gc.collect()
  if sys.platform == 'linux':
    # The allocator keeps what was freed, unless it is told.
    ctypes.CDLL('libc.so.6').malloc_trim(0)
