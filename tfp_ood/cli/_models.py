# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Models of the subcommands: how they are made, and what they were trained on."""

import numpy as np

from tfp_ood import networks, pretrained, recipes
from tfp_ood.cli._errors import CommandError, user_errors
from tfp_ood.cli._images import Images, decoded_digests

__all__ = ['KINDS', 'TrainedModel', 'read_classifier']

# Where `train` keeps what it trained on.
_SEEN = 'training_images'

# The recipes that say how `train` makes and trains a model, by the function that
# makes it.
KINDS = {
  recipe.builder.factory: recipe
  for recipe in recipes.RECIPES.values()
  if recipe.builder is not None
}


class TrainedModel:
  """A model of images, and which images it was trained on.

  Attributes:
    model: the distribution.
    image_shape: `(height, width, channels)`.
  """

  def __init__(self, weights):
    """Reads a model.

    Args:
      weights: the path of a file, or the name of bundled weights.

    Raises:
      CommandError: if it is damaged, or no model of images.
    """
    self._weights = weights
    with user_errors():
      self.model = pretrained.load_model(weights)
      self._information = pretrained.read_weights(weights).information
    if not hasattr(self.model, 'log_prob'):
      raise CommandError(
        f'{str(weights)!r} is a classifier; give it as --classifier, beside a '
        '--model that has a likelihood.'
      )
    self.image_shape = tuple(self.model.event_shape)

  def unseen(self, images):
    """Returns the images that the model was not trained on.

    Args:
      images: `Images`.

    Returns:
      `Images`; a line on stdout tells how many were left out.

    Raises:
      CommandError: if none are left, or they cannot be told from others.
    """
    advice = 'Give images of the same kind that it has not seen.'
    dataset = self._information.get('dataset')
    # Of bundled weights, the name has to do.
    if dataset is not None and images.name.startswith(f'{dataset}/train'):
      raise CommandError(
        f'{self._weights} was trained on {dataset}/train. {advice}'
      )
    if _SEEN not in self._information:
      return images
    is_seen = self._is_seen(images)
    if is_seen.all():
      raise CommandError(
        f'The model was trained on all images of {images.name}. {advice}'
      )
    if images.name == self._information['data'] and not is_seen.any():
      raise CommandError(
        f'The model was trained on {images.name}, but none of its images are there '
        'any more, or this version of Pillow reads them otherwise: they cannot be '
        f'told from those that it has not seen. {advice}'
      )
    if is_seen.any():
      print(
        f'{images.label}: {np.count_nonzero(is_seen):,} of {len(images):,} images '
        'are left out; the model was trained on them',
        flush=True,
      )
    return images.where(~is_seen)

  def training_images(self, data_dir=None):
    """Returns the images that the model was trained on, `Images`.

    Args:
      data_dir: folder of prepared data sets of TFDS.

    Raises:
      CommandError: if they are not known, or not there any more.
    """
    dataset = self._information.get('dataset')
    if _SEEN not in self._information and dataset is None:
      raise CommandError(
        f'It is not known what {self._weights} was trained on: give --training.'
      )
    name = self._information.get('data', f'{dataset}/train')
    try:
      images = Images(name, self.image_shape, data_dir)
    except CommandError as error:
      raise CommandError(
        f'The images that the model was trained on, {name}, cannot be read; give '
        f'others of the kind as --training. ({error})'
      ) from error
    if _SEEN not in self._information:
      return images
    is_seen = self._is_seen(images)
    if not is_seen.any():
      raise CommandError(
        f'The images that the model was trained on are not in {name} any more; '
        'give others of the kind as --training.'
      )
    return images.where(is_seen)

  def _is_seen(self, images):
    return np.isin(images.digests, decoded_digests(self._information[_SEEN]))


def read_classifier(weights, image_shape):
  """Returns the classifier of a file of weights, or `None` where there is none.

  Args:
    weights: the path of a file, the name of bundled weights, or `None`.
    image_shape: the shape of images that it has to take.

  Raises:
    CommandError: if it is damaged, no classifier, or one of other images.
  """
  if weights is None:
    return None
  with user_errors():
    network = pretrained.load_model(weights)
  if hasattr(network, 'log_prob'):
    raise CommandError(
      f'{str(weights)!r} is no classifier; give it as --model.'
    )
  with user_errors():
    classifier = networks.ImageClassifier(network)
  if tuple(classifier.event_shape) != image_shape:
    raise CommandError(
      f'The classifier takes images of {_text(classifier.event_shape)}, the model '
      f'those of {_text(image_shape)}. Give two of the same.'
    )
  return classifier


def _text(image_shape):
  return ' x '.join(map(str, image_shape))
