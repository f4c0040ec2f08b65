# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""What all tests share."""

import ctypes
import gc
import os
import pathlib
import sys

import pytest

# The processes of pytest-xdist fill the cores: second threads for operations would
# compete with those of the other process. Scripts that tests start inherit it.
if 'PYTEST_XDIST_WORKER' in os.environ:
  os.environ.setdefault('TF_NUM_INTRAOP_THREADS', '1')

import tensorflow_probability as tfp
import tf_keras
from tensorflow.python.framework import ops

from tfp_ood.reporting import report

_MANY_BYTES = 2 * 2**30


def pytest_collection_finish(session):
  """Spares the garbage collector half a second a time over what was imported."""
  del session
  gc.collect()
  gc.freeze()


@pytest.fixture(scope='module', autouse=True)
def _small_figures(request):
  """Draws figures with fewer dots, which takes less time, where they are not tested."""
  with pytest.MonkeyPatch.context() as patch:
    if 'reporting' not in request.path.parts:
      patch.setattr(report, '_DOTS_PER_INCH', 40)
    yield


@pytest.fixture(scope='module', autouse=True)
def _give_memory_back(request):
  """Lets go of what a file's tests share, and of their graphs."""
  yield
  for value in vars(request.module).values():
    if hasattr(value, 'cache_clear'):
      value.cache_clear()
  _free_graphs()


@pytest.fixture(name='graphs_are_freed')
def _graphs_are_freed():
  """Lets go of the graphs of one test, and of what came before it."""
  yield
  _free_graphs()


def _free_graphs():
  """Frees graphs that nobody uses: TensorFlow and TFP would keep them."""
  tf_keras.backend.clear_session()
  # For good, they register the gradient of each use of `tf.custom_gradient`, and
  # cache log-determinants of graph tensors, which hold their graphs.
  registry = ops.gradient_registry._registry
  for name in [name for name in registry if name.startswith('CustomGradient-')]:
    del registry[name]
  for kind in _with_subclasses(tfp.bijectors.Bijector):
    if '_cache' in vars(kind):
      vars(kind)['_cache'].clear()
  if sys.platform != 'linux':
    gc.collect()
  elif _resident_bytes() > _MANY_BYTES:  # It takes a fifth of a second.
    gc.collect()
    # The allocator keeps what was freed, unless it is told.
    ctypes.CDLL('libc.so.6').malloc_trim(0)


def _resident_bytes():
  pages = int(pathlib.Path('/proc/self/statm').read_text().split()[1])
  return pages * os.sysconf('SC_PAGE_SIZE')


def _with_subclasses(kind):
  for subclass in kind.__subclasses__():
    yield from _with_subclasses(subclass)
  yield kind
