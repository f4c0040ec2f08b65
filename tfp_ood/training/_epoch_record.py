# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""What was measured after each epoch, through interruptions."""

import csv
import io
import math
import os

import tf_keras

from tfp_ood._files import atomic_write

__all__ = ['EpochRecord']


class EpochRecord(tf_keras.callbacks.Callback):
  """Keeps what was measured after each epoch, and writes it to a file.

  Keras's `CSVLogger` would list an epoch twice that an interrupted run trains
  again, and put what a resumed run measures into the columns of the first one.
  """

  def __init__(self, path=None):
    """Instantiates the callback.

    Args:
      path: `str`, the CSV file, which counts epochs from zero as Keras does. A run
        that is resumed goes on with it. `None` to write none.
    """
    super().__init__()
    self._path = path
    self._rows = []

  @property
  def epochs(self):
    """List of `dict`s by epoch, counted from one; `None` for what is not finite.

    Epochs that were not measured as the last one was are left out.
    """
    return [
      {key: _finite(value) for key, value in row.items()}
      | {'epoch': row['epoch'] + 1}
      for row in self._rows
      if row.keys() == self._rows[-1].keys()
    ]

  def on_train_begin(self, logs=None):
    """Reads what an interrupted run has left."""
    self._rows = []
    if self._path is not None and os.path.exists(self._path):
      with open(self._path, newline='') as file:
        self._rows = [_parsed(row) for row in csv.DictReader(file)]

  def on_epoch_begin(self, epoch, logs=None):
    """Forgets what comes after the last backup, and is trained again."""
    self._rows = [row for row in self._rows if row['epoch'] < epoch]

  def on_epoch_end(self, epoch, logs=None):
    """Adds an epoch."""
    measured = {key: float(value) for key, value in (logs or {}).items()}
    self._rows.append({'epoch': epoch, **measured})
    strategy = self.model.distribute_strategy
    if self._path is not None and strategy.extended.should_checkpoint:
      atomic_write(self._path, self._text())

  def _text(self):
    text = io.StringIO()
    names = dict.fromkeys(key for row in self._rows for key in row)
    writer = csv.DictWriter(text, list(names), lineterminator='\n')
    writer.writeheader()
    writer.writerows(self._rows)
    return text.getvalue()


def _parsed(row):
  numbers = {key: float(value) for key, value in row.items() if value}
  return numbers | {'epoch': int(row['epoch'])}


def _finite(value):
  return value if math.isfinite(value) else None
