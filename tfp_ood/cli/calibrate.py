# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""`tfp-ood calibrate`: from a model to a detector."""

import tensorflow as tf

from tfp_ood import __version__, stats
from tfp_ood.cli._detector_folder import check_is_free, write_detector
from tfp_ood.cli._errors import CommandError, user_errors
from tfp_ood.cli._images import Images
from tfp_ood.cli._models import TrainedModel, read_classifier
from tfp_ood.cli._progress import progress_bar

__all__ = ['FEWEST_IMAGES', 'run']

# A false-alarm rate of 5 % takes 19 scores, and the score learns from as many.
FEWEST_IMAGES = 40
# The 50th neighbor is looked for among half of those that the score learns from.
_FEWEST_BESIDE_CLASSIFIER = 200
_NUM_LEARNED_FROM = 5_000


def run(arguments):
  """Calibrates a detector, and writes it to a folder.

  Args:
    arguments: `argparse.Namespace`; see `_arguments`.

  Raises:
    CommandError: if there are too few images that the model was not trained on, or
      the folder holds something else.
  """
  check_is_free(arguments.output)
  trained = TrainedModel(arguments.model)
  shape = trained.image_shape
  classifier = read_classifier(arguments.classifier, shape)
  images = Images(arguments.data, shape, arguments.data_dir)
  images = trained.unseen(images).some(arguments.num_images)
  _check_count(images, arguments)
  score = stats.default_score(trained.model, classifier)
  detector = stats.Detector(trained.model, score, classifier=classifier)
  training = None
  if arguments.training is not None:
    training = Images(arguments.training, shape, arguments.data_dir)
    training = _shown(training.some(_NUM_LEARNED_FROM), 'learning')
  with user_errors():
    detector.fit(_shown(images, 'calibrating'), training)
  write_detector(
    arguments.output,
    detector,
    {
      'command': arguments.command_line,
      'versions': {'tfp_ood': __version__, 'tensorflow': tf.__version__},
      'model': str(arguments.model),
      'data': arguments.data,
      'score': score.description,
      'image_shape': list(shape),
      'num_images': len(images),
      'num_calibration': len(detector.calibration_scores),
    },
  )
  print(
    f'calibrated on {len(detector.calibration_scores):,} images: above a score of '
    f'{float(detector.threshold()):.4g} are 5 % of them\n{arguments.output}\n'
    f'Next: tfp-ood score, with --detector={arguments.output}'
  )


def _check_count(images, arguments):
  fewest = FEWEST_IMAGES
  if arguments.classifier is not None and arguments.training is None:
    fewest = _FEWEST_BESIDE_CLASSIFIER
  if len(images) < fewest:
    raise CommandError(
      f'To calibrate takes {fewest} images that the model was not trained on; '
      f'{arguments.data} has {len(images)}. Give more.'
    )


def _shown(images, text):
  """Returns a data set of the images that moves a bar as it is read."""
  batches = images.batches()

  def read():
    with progress_bar(text, len(images)) as bar:
      for batch in batches.as_numpy_iterator():
        yield batch
        bar.update(len(batch))

  return tf.data.Dataset.from_generator(
    read, output_signature=batches.element_spec
  )
