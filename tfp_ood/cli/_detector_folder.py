# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The folder of a detector: a SavedModel, and what is known of it."""

import hashlib
import os
import pathlib

import tensorflow as tf

from tfp_ood import reporting
from tfp_ood.cli._arguments import DETECTOR_FILE, SAVED_MODEL_FILE
from tfp_ood.cli._errors import CommandError

__all__ = ['DetectorFolder', 'check_is_free', 'write_detector']


def check_is_free(folder):
  """Raises `CommandError` where writing a detector would delete other files."""
  if not os.path.exists(folder):
    return
  is_detector = os.path.exists(os.path.join(folder, DETECTOR_FILE))
  if not is_detector and (not os.path.isdir(folder) or os.listdir(folder)):
    raise CommandError(
      f'{folder!r} exists, and was not written by `tfp-ood calibrate`: give --output '
      'another name.'
    )


def write_detector(folder, detector, information):
  """Writes a detector.

  Args:
    folder: `str`; a detector that is there is replaced.
    detector: calibrated `tfp_ood.stats.Detector`.
    information: `dict` of what a reader should know of it.
  """
  detector.export_saved_model(folder)
  # Last: a folder without this file may be somebody else's.
  reporting.write_results(os.path.join(folder, DETECTOR_FILE), information)


class DetectorFolder:
  """An exported detector of images, read with TensorFlow alone.

  Attributes:
    image_shape: `(height, width, channels)`.
    calibration_scores: sorted array.
    digest: `str`, which tells it from other detectors.
  """

  def __init__(self, folder):
    """Loads the detector.

    Args:
      folder: `str` or `os.PathLike`, written by `Detector.export_saved_model`.

    Raises:
      CommandError: if it cannot be loaded, or scores no images.
    """
    try:
      self._saved_model = tf.saved_model.load(str(folder))
    except (OSError, ValueError, tf.errors.OpError) as error:
      raise CommandError(
        f'The detector in {str(folder)!r} cannot be loaded; calibrate it again. '
        f'({error})'
      ) from error
    if not hasattr(self._saved_model, 'calibration_scores'):
      raise CommandError(
        f'The SavedModel in {str(folder)!r} is no detector, or one of an earlier '
        'version; write it by `tfp-ood calibrate` or `Detector.export_saved_model`.'
      )
    self.image_shape = _image_shape(self._saved_model, folder)
    self.calibration_scores = self._saved_model.calibration_scores.numpy()
    graph = (pathlib.Path(folder) / SAVED_MODEL_FILE).read_bytes()
    digest = hashlib.sha256(graph + self.calibration_scores.tobytes())
    self.digest = digest.hexdigest()[:16]

  def score(self, images):
    """Returns the scores of a batch of images, an array `[batch]`.

    Args:
      images: `uint8` array `[batch, *image_shape]`.
    """
    return self._saved_model.score(tf.constant(images)).numpy()


def _image_shape(saved_model, folder):
  ((_, spec),) = (
    saved_model.signatures['serving_default']
    .structured_input_signature[1]
    .items()
  )
  shape = spec.shape[1:]
  if spec.dtype != tf.uint8 or shape.rank != 3 or not shape.is_fully_defined():
    raise CommandError(
      f'The detector in {str(folder)!r} scores no images, but {spec.dtype.name} '
      f'examples of shape {shape}.'
    )
  return tuple(shape)
