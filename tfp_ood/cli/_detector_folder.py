# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The folder of a detector: a SavedModel, and what is known of it."""

import hashlib
import os
import pathlib

import tensorflow as tf

from tfp_ood import reporting
from tfp_ood._saved_models import examples_spec, reason_of
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
      CommandError: if it cannot be loaded, or takes no images of files.
    """
    folder = str(folder)
    with user_errors():
      self._spec = examples_spec(folder)
      self.image_shape = _image_shape(self._spec, folder)
    try:
      self._saved_model = tf.saved_model.load(folder)
    except (OSError, ValueError, tf.errors.OpError) as error:
      raise CommandError(
        f'The detector in {folder!r} cannot be loaded; write it again. ({error})'
      ) from error
    self.calibration_scores = self._saved_model.calibration_scores.numpy()
    # One that is calibrated anew may have the same graph.
    graph = pathlib.Path(folder, tf.saved_model.SAVED_MODEL_FILENAME_PB)
    digest = hashlib.sha256(
      graph.read_bytes() + self.calibration_scores.tobytes()
    )
    self.digest = digest.hexdigest()[:16]

  def score(self, images):
    """Returns the scores of a batch of images, an array `[batch]`.

    Args:
      images: `uint8` array `[batch, *image_shape]`.

    Raises:
      CommandError: if they have values that the detector does not take.
    """
    try:
      return self._saved_model.score(tf.cast(images, self._spec.dtype)).numpy()
    except tf.errors.InvalidArgumentError as error:
      raise CommandError(
        f'The detector does not take these images: {reason_of(error)}'
      ) from error


def _image_shape(spec, folder):
  shape = spec.shape[1:]
  if spec.name != 'images':
    raise ValueError(
      f'The detector in {folder!r} scores no images, but {spec.dtype.name} examples '
      f'of shape {shape}.'
    )
  if not shape.is_fully_defined() or shape[-1] not in (1, 3):
    raise ValueError(
      f'The detector in {folder!r} takes images of shape {shape}. To read files takes '
      'a known height and width, and one channel or three.'
    )
  return tuple(shape)
