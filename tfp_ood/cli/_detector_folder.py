# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The folder of a detector: a SavedModel, and what is known of it."""

import hashlib
import math
import os
import pathlib

import numpy as np
import tensorflow as tf

from tfp_ood import reporting
from tfp_ood.cli._arguments import DETECTOR_FILE
from tfp_ood.cli._errors import CommandError, user_errors

__all__ = ['DetectorFolder', 'check_is_free', 'write_detector']


def check_is_free(folder):
  """Raises `CommandError` where writing a detector would delete other files."""
  if not os.path.exists(folder):
    return
  is_detector = os.path.exists(os.path.join(folder, DETECTOR_FILE))
  if not is_detector and (not os.path.isdir(folder) or os.listdir(folder)):
    raise CommandError(
      f'{folder!r} exists, and is no detector: give --output another name.'
    )


def write_detector(folder, detector, information):
  """Writes a detector.

  Args:
    folder: `str`; a detector that is there is replaced.
    detector: calibrated `tfp_ood.stats.Detector`.
    information: `dict` of what else is to be known of it.
  """
  detector.export_saved_model(folder)
  # Last: a folder without this file is no detector.
  reporting.write_results(
    os.path.join(folder, DETECTOR_FILE),
    {
      **information,
      'image_shape': list(detector.event_shape),
      'calibration_scores': [
        # JSON has no infinity.
        score if math.isfinite(score) else str(score)
        for score in detector.calibration_scores.tolist()
      ],
    },
  )


class DetectorFolder:
  """A detector that `write_detector` wrote, read with TensorFlow alone.

  Attributes:
    image_shape: `(height, width, channels)`.
    calibration_scores: sorted array.
    digest: `str`, which tells it from other detectors.
  """

  def __init__(self, folder):
    """Reads what is known of the detector; the model is loaded by its first use.

    Args:
      folder: `str` or `os.PathLike`.

    Raises:
      CommandError: if it is damaged.
    """
    self._folder = str(folder)
    self._saved_model = None
    path = pathlib.Path(folder) / DETECTOR_FILE
    with user_errors():
      results = reporting.read_results(path)
      self.digest = hashlib.sha256(path.read_bytes()).hexdigest()[:16]
    if not {'image_shape', 'calibration_scores'} <= results.keys():
      raise CommandError(
        f'{str(path)!r} was not written by `tfp-ood calibrate`: give its --output.'
      )
    self.image_shape = tuple(results['image_shape'])
    self.calibration_scores = np.array(
      [float(score) for score in results['calibration_scores']]
    )

  def score(self, images):
    """Returns the scores of a batch of images, an array `[batch]`.

    Args:
      images: `uint8` array `[batch, *image_shape]`.

    Raises:
      CommandError: if the SavedModel cannot be loaded.
    """
    if self._saved_model is None:
      try:
        self._saved_model = tf.saved_model.load(self._folder)
      except (OSError, ValueError, tf.errors.OpError) as error:
        raise CommandError(
          f'The detector in {self._folder!r} cannot be loaded; calibrate it again. '
          f'({error})'
        ) from error
    return self._saved_model.score(tf.constant(images)).numpy()
