# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""An exported detector, as Beam's `RunInference` takes a model."""

import collections

import numpy as np
import tensorflow as tf
from apache_beam.ml.inference import base

from tfp_ood._saved_models import reason_of

__all__ = ['ExportedDetector']

_SIGNATURE = tf.saved_model.DEFAULT_SERVING_SIGNATURE_DEF_KEY

# Of a score, a p-value and the reason why there are none, or `None`s.
_Inference = collections.namedtuple('_Inference', ['score', 'p_value', 'error'])


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
        return [_Inference(None, None, reason_of(error))]
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
