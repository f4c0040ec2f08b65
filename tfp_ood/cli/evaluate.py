# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""`tfp-ood evaluate`: what a model is worth on known kinds of images."""

import tensorflow as tf

from tfp_ood import __version__, evaluation, stats
from tfp_ood.cli._errors import CommandError, user_errors
from tfp_ood.cli._images import Images
from tfp_ood.cli._models import TrainedModel, read_classifier

__all__ = ['run']

_DEFAULT = 'default'
_FEWEST_IMAGES = 8


def run(arguments):
  """Scores kinds of images, and writes tables and a report to a folder.

  Args:
    arguments: `argparse.Namespace`; see `_arguments`.

  Raises:
    CommandError: if there are too few images, those in distribution are ones that
      the model was trained on, or it is not known which these are.
  """
  trained = TrainedModel(arguments.model)
  shape = trained.image_shape
  classifier = read_classifier(arguments.classifier, shape)

  def read(name):
    return Images(name, shape, arguments.data_dir)

  inside = trained.unseen(read(arguments.in_distribution))
  others = [read(name) for name in arguments.out_of_distribution]
  if arguments.training is None:
    training = trained.training_images(arguments.data_dir)
  else:
    training = read(arguments.training)
  data = _named(inside, training, others)
  for name, images in data.items():
    if len(images) < _FEWEST_IMAGES:
      raise CommandError(
        f'{name}: {len(images)} images are too few to evaluate; give at least '
        f'{_FEWEST_IMAGES}.'
      )
  data = {
    name: images.some(arguments.num_evaluated).batches()
    for name, images in data.items()
  }
  in_name, training_name, *other_names = data
  with user_errors():
    found = evaluation.evaluate(
      trained.model,
      {
        'likelihood': stats.NegativeLogLikelihood(),
        'typicality': stats.Typicality(),
        'input_complexity': stats.InputComplexity(),
        _DEFAULT: stats.default_score(trained.model, classifier),
      },
      {in_name: data[in_name]},
      {name: data[name] for name in other_names},
      {training_name: data[training_name]},
      classifier=classifier,
      recommended=_DEFAULT,
      folder=arguments.output,
    )
  found.information |= {
    'title': f'{trained.model.name}: {in_name} and other images',
    'command': arguments.command_line,
    'versions': {'tfp_ood': __version__, 'tensorflow': tf.__version__},
  }
  found.add(evaluation.extreme_images(found, data))
  report = found.write_report(arguments.output)
  found.save(arguments.output)
  print(f'{found.summary()}\n{report}')


def _named(inside, training, others):
  """Returns all `Images` by names for tables, those in distribution first."""
  data = {}
  for images, part in (
    (inside, ''),
    (training, ', learned'),
    *((o, '') for o in others),
  ):
    name = images.label + part
    if name in data:
      name = images.name + part
    if name in data:
      raise CommandError(f'{images.name} is given twice.')
    data[name] = images
  return data
