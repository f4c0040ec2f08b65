# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""An exported detector, as Beam's `RunInference` takes a model."""

import collections
import os

import numpy as np
import tensorflow as tf
from apache_beam.ml.inference import base
from tensorflow.core.protobuf import saved_model_pb2

__all__ = ['ExportedDetector', 'examples_spec']

_SIGNATURE = 'serving_default'

# Of a score, a p-value and the reason why there are none, or `None`s.
_Inference = collections.namedtuple('_Inference', ['score', 'p_value', 'error'])


def examples_spec(path):
  """Returns the `tf.TensorSpec` of the examples of an export, without loading it.

  Args:
    path: that given to `Detector.export_saved_model`.

  Raises:
    ValueError: if there is no such export.
  """
  try:
    with tf.io.gfile.GFile(os.path.join(path, 'saved_model.pb'), 'rb') as file:
      model = saved_model_pb2.SavedModel.FromString(file.read())
  except tf.errors.OpError as error:
    raise ValueError(f'There is no SavedModel in {path!r}.') from error
  signature = model.meta_graphs[0].signature_def[_SIGNATURE]
  if not {'score', 'p_value'} <= set(signature.outputs):
    raise ValueError(
      f'{path!r} was not written by `Detector.export_saved_model`, or by an '
      'earlier version of it; export the detector again.'
    )
  ((name, info),) = signature.inputs.items()
  return tf.TensorSpec(info.tensor_shape, tf.as_dtype(info.dtype), name)


class ExportedDetector(base.ModelHandler):
  """Scores batches of examples. What the models do not take does not stop it."""

  def __init__(self, path, batch_size):
    """Instantiates the handler.

    Args:
      path: that given to `Detector.export_saved_model`.
      batch_size: Python `int`.
    """
    super().__init__(min_batch_size=batch_size, max_batch_size=batch_size)
    self._path = path

  def load_model(self):
    """Returns the SavedModel."""
    return tf.saved_model.load(self._path)

  def run_inference(self, batch, model, inference_args=None):
    """Returns the score and the p-value of each example, or a reason.

    Args:
      batch: list of arrays, examples.
      model: what `load_model` returns.
      inference_args: unused.
    """
    del inference_args
    serve = model.signatures[_SIGNATURE]
    try:
      return _inferences(serve, np.stack(batch))
    except tf.errors.InvalidArgumentError as error:
      if len(batch) == 1:
        return [_Inference(None, None, _reason(error))]
      return [
        one for example in batch for one in self.run_inference([example], model)
      ]

  def get_metrics_namespace(self):
    """Returns the namespace of the times and numbers that Beam counts."""
    return 'tfp_ood'


def _inferences(serve, examples):
  ((_, spec),) = serve.structured_input_signature[1].items()
  found = serve(**{spec.name: tf.constant(examples)})
  scores, p_values = found['score'].numpy(), found['p_value'].numpy()
  return [
    _Inference(float(score), float(p_value), None)
    for score, p_value in zip(scores, p_values, strict=True)
  ]


def _reason(error):
  """Returns what the model says of the example, not where in its graph."""
  said = [
    line
    for line in error.message.splitlines()
    if line.startswith('assertion failed')
  ]
  return said[0] if said else error.message
