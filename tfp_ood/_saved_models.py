# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""SavedModels: written whole or not at all, and what exported detectors take."""

import os
import shutil
import tempfile

import tensorflow as tf
from google.protobuf import message
from tensorflow.core.protobuf import saved_model_pb2

from tfp_ood._warm_up import write_warm_up

__all__ = ['examples_spec', 'reason_of', 'write_saved_model']

_SIGNATURE = tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY


def examples_spec(path):
  """Returns the `tf.TensorSpec` of the examples of an export, without loading it.

  Args:
    path: that given to `Detector.export_saved_model`.

  Raises:
    ValueError: if there is no such export.
  """
  try:
    file = os.path.join(path, tf.saved_model.SAVED_MODEL_FILENAME_PB)
    with tf.io.gfile.GFile(file, 'rb') as opened:
      model = saved_model_pb2.SavedModel.FromString(opened.read())
    signature = model.meta_graphs[0].signature_def[_SIGNATURE]
  except tf.errors.OpError as error:
    raise ValueError(f'There is no SavedModel in {path!r}.') from error
  except (message.DecodeError, IndexError) as error:
    raise ValueError(f'The SavedModel in {path!r} is damaged.') from error
  if not {'score', 'p_value'} <= set(signature.outputs):
    raise ValueError(
      f'{path!r} was not written by `Detector.export_saved_model`, or by an '
      'earlier version of it; export the detector again.'
    )
  ((name, info),) = signature.inputs.items()
  return tf.TensorSpec(info.tensor_shape, tf.as_dtype(info.dtype), name)


def reason_of(error):
  """Returns what a model says of examples that it refuses, not where in its graph.

  Args:
    error: `tf.errors.InvalidArgumentError`.
  """
  said = [
    line
    for line in error.message.splitlines()
    if line.startswith('assertion failed')
  ]
  return said[0] if said else error.message


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
