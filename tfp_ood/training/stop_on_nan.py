# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Stopping a training run that has gone wrong."""

import math

import tf_keras

__all__ = ['StopOnNaN']


class StopOnNaN(tf_keras.callbacks.Callback):
  """Ends training with an error when the loss is not finite.

  #### Examples

  >>> import tfp_ood
  >>> callback = tfp_ood.training.StopOnNaN()
  >>> callback.on_train_batch_end(7, {'bits_per_dim': 3.5})
  >>> callback.on_train_batch_end(8, {'bits_per_dim': float('nan')})
  Traceback (most recent call last):
  ...
  FloatingPointError: Training stopped at batch 8: bits_per_dim is nan. ...
  """

  def on_train_batch_end(self, batch, logs=None):
    """Raises `FloatingPointError` if any of the logs is not finite."""
    for name, value in (logs or {}).items():
      if not math.isfinite(value):
        raise FloatingPointError(
          f'Training stopped at batch {batch}: {name} is {value}. Lower the '
          'learning rate, add warm-up steps or clip the gradients, and check '
          'that the images are raw pixels; then start again from the last '
          'checkpoint.'
        )
