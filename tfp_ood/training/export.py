# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Models for programs that have only TensorFlow."""

import tensorflow as tf

from tfp_ood import _protocol
from tfp_ood._saved_models import write_saved_model

__all__ = ['export_saved_model']


class _Export(tf.Module):
  """The functions of a distribution that a SavedModel keeps."""

  def __init__(self, distribution):
    super().__init__()
    # The variables alone: a SavedModel has no use for TFP's objects.
    self.exported_variables = list(distribution.variables)

    @tf.function(autograph=False)
    def log_prob(x):
      return _protocol.log_prob(distribution, x)

    self.log_prob = log_prob


def export_saved_model(distribution, path):
  """Writes a SavedModel whose `log_prob` takes any number of examples.

  The model loads in a process that has TensorFlow but neither this library nor
  TFP: `tf.saved_model.load(path).log_prob(x)`, with `x` of raw pixels, `uint8` or
  `float32`, `[batch, height, width, channels]`, or of what else the distribution is
  over. The serving signature `serving_default` takes the first of these dtypes and
  returns `{'log_prob': ...}`; its input is named `images`, or `examples` where they
  are none.

  The folder is written aside and renamed: it is whole or not there. An earlier
  one at `path` is replaced.

  Args:
    distribution: `tfp.distributions.Distribution`, ready to use.
    path: the folder to write.

  Raises:
    ValueError: if the distribution is not initialized.
  """
  module = _Export(distribution)
  specs = _protocol.input_specs(distribution)
  for spec in specs:
    module.log_prob.get_concrete_function(spec)
  signature = tf.function(
    lambda x: {'log_prob': module.log_prob(x)}, autograph=False
  ).get_concrete_function(specs[0])
  write_saved_model(module, path, {'serving_default': signature})
