# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""A line now and then while training."""

import sys
import time

import tf_keras

__all__ = ['Progress']


class Progress(tf_keras.callbacks.Callback):
  """Prints a line every few seconds and at the end of each epoch.

  For runs that end by the clock, where Keras's own bar, which counts epochs, has
  no end to show; in a log file, lines stay readable.

  #### Examples

  >>> import tfp_ood
  >>> callback = tfp_ood.training.Progress()
  >>> callback.on_epoch_begin(0)
  >>> callback.on_epoch_end(0, {'bits_per_dim': 3.5})
  epoch 1: bits_per_dim 3.500
  """

  def __init__(self, seconds=10.0, minutes=None):
    """Instantiates the callback.

    Args:
      seconds: Python `float`, the time between lines.
      minutes: Python `float`; if given, the length of the run, as `TimeLimit` has
        it, shown beside the time trained.
    """
    super().__init__()
    self._seconds = seconds
    self._minutes = minutes
    self._epoch = 0
    self._last_line = time.monotonic()

  def on_epoch_begin(self, epoch, logs=None):
    """Remembers the epoch."""
    self._epoch = epoch

  def on_train_batch_end(self, batch, logs=None):
    """Prints a line if the last one is long enough ago."""
    now = time.monotonic()
    if now - self._last_line >= self._seconds:
      self._last_line = now
      self._print(f'epoch {self._epoch + 1}, batch {batch + 1}', logs)

  def on_epoch_end(self, epoch, logs=None):
    """Prints the epoch's losses."""
    self._print(f'epoch {epoch + 1}', logs)

  def _print(self, where, logs):
    values = ', '.join(f'{k} {v:.3f}' for k, v in (logs or {}).items())
    trained = ''
    # A Keras model of another kind does not keep its time.
    seconds = getattr(self.model, 'training_seconds', None)
    if self._minutes is not None and seconds is not None:
      minutes = float(seconds.numpy()) / 60
      trained = f' ({minutes:.1f} of {self._minutes:g} minutes)'
    print(f'{where}: {values}{trained}', file=sys.stdout, flush=True)
