# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Models for programs that have only TensorFlow."""

import tensorflow as tf

from tfp_ood._saved_models import write_saved_model

__all__ = ['export_saved_model']


class _Export(tf.Module):
  """The functions of a distribution that a SavedModel keeps."""

  def __init__(self, distribution):
    super().__init__()
    # The variables alone: a SavedModel has no use for TFP's objects.
    self.exported_variables = list(distribution.variables)

    @tf.function
    def log_prob(images):
      return distribution.log_prob(images)

    self.log_prob = log_prob
    for dtype in (tf.uint8, tf.float32):
      log_prob.get_concrete_function(
        tf.TensorSpec([None, *distribution.event_shape], dtype, name='images')
      )


def export_saved_model(distribution, path):
  """Writes a SavedModel whose `log_prob` takes any number of images.

  The model loads in a process that has TensorFlow but neither this library nor
  TFP: `tf.saved_model.load(path).log_prob(images)`, with `images` of raw pixels,
  `uint8` or `float32`, `[batch, height, width, channels]`. The serving signature
  `serving_default` takes `uint8` and returns `{'log_prob': ...}`.

  The folder is written aside and renamed: it is whole or not there. An earlier
  one at `path` is replaced.

  Args:
    distribution: `tfp.distributions.Distribution` of images, ready to use.
    path: the folder to write.

  Raises:
    ValueError: if the distribution is not initialized.
  """
  module = _Export(distribution)
  signature = tf.function(
    lambda images: {'log_prob': module.log_prob(images)}
  ).get_concrete_function(
    tf.TensorSpec([None, *distribution.event_shape], tf.uint8, name='images')
  )
  write_saved_model(module, path, {'serving_default': signature})
