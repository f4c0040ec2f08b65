# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Loading TensorFlow without what it says about itself."""

import contextlib
import faulthandler
import os
import sys
import tempfile

__all__ = ['quiet_start']

_VERBOSITY = 'TF_CPP_MIN_LOG_LEVEL'


@contextlib.contextmanager
def quiet_start():
  """Loads TensorFlow, with nothing on stderr but errors.

  Its libraries write there, past Python, as they are loaded and find no GPU. Who
  wants to read it sets the environment variable `TF_CPP_MIN_LOG_LEVEL`.
  """
  if _VERBOSITY in os.environ or 'tensorflow' in sys.modules:
    yield
    return
  os.environ[_VERBOSITY] = '2'
  with _held_back_stderr():
    import tensorflow as tf
    from absl import logging

    logging.set_verbosity(logging.ERROR)
    tf.config.list_logical_devices()
    yield


@contextlib.contextmanager
def _held_back_stderr():
  """Shows what is written to stderr only if it ends in an exception."""
  sys.stderr.flush()
  stderr = os.dup(2)
  with tempfile.TemporaryFile() as held_back:
    os.dup2(held_back.fileno(), 2)
    # A library that does not run on this machine ends the process.
    was_enabled = faulthandler.is_enabled()
    faulthandler.enable(stderr)
    try:
      yield
    except BaseException:
      held_back.seek(0)
      os.write(stderr, held_back.read())
      raise
    finally:
      sys.stderr.flush()
      os.dup2(stderr, 2)
      faulthandler.disable()
      if was_enabled:
        faulthandler.enable()
      os.close(stderr)
