# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""`tfp-ood train`: from images to a model."""

import hashlib
import os

import numpy as np
import tensorflow as tf

from tfp_ood import pretrained, training
from tfp_ood.cli._arguments import MODEL_FILE
from tfp_ood.cli._errors import CommandError, user_errors, warn
from tfp_ood.cli._images import Images, encoded_digests
from tfp_ood.cli._models import KINDS
from tfp_ood.cli.calibrate import FEWEST_IMAGES

__all__ = ['run']

_SIZE = 'small'
_MINUTES = 30.0
_FEWEST_MINUTES = 2.0
# Fewer images have fewer minutes, or the model would learn them by heart.
_NUM_IMAGES_FOR_ALL_MINUTES = 5_000
_STEPS_PER_EPOCH = 100
_WARMUP_STEPS = 100
_MAX_SKIPPED_STEPS = 10
_FOLDER_IMAGE_SHAPE = (32, 32, 3)
_LEARNING_RATE_TO_GO_ON = 3e-4
_NUM_MEASURED = 512
# In bits per dimension, between images learned and not.
_LARGE_DIFFERENCE = 0.2


def run(arguments):
  """Trains a model, or goes on with it, and writes it to a folder.

  Args:
    arguments: `argparse.Namespace`; see `_arguments`.

  Raises:
    CommandError: if the arguments do not go together, or the folder holds another
      model.
  """
  start = _start(arguments)
  images = Images(
    arguments.data, _image_shape(arguments, start), arguments.data_dir
  )
  is_held_out = images.is_held_out(arguments.held_out)
  learned, held_out = images.where(~is_held_out), images.where(is_held_out)
  _check_counts(learned, held_out, arguments)
  settings = _settings(arguments, start, learned)
  with user_errors():
    training.check_settings(arguments.output, settings)
    model = _make(settings)
  print(
    f'training on {len(learned):,} images; {len(held_out):,} are held out',
    flush=True,
  )
  keras_model = _compiled(model, settings)
  try:
    record = training.train_or_restore(
      keras_model,
      arguments.output,
      settings,
      _batches(learned, settings),
      **_length(settings),
    )
  except FloatingPointError as error:
    raise CommandError(
      'The training has diverged; it may go well with another --seed, and another '
      '--output.'
    ) from error
  bits_per_dim = {
    'learned': _bits_per_dim(keras_model, learned),
    'held_out': _bits_per_dim(keras_model, held_out),
  }
  path = os.path.join(arguments.output, MODEL_FILE)
  pretrained.write_weights(
    path,
    model,
    arguments.model,
    settings['arguments'],
    {
      'command': arguments.command_line,
      'data': arguments.data,
      'settings': settings,
      'num_learned': len(learned),
      'num_held_out': len(held_out),
      'bits_per_dim': bits_per_dim,
      'steps': record['steps'],
      'seconds': record['seconds'],
      'training_images': encoded_digests(learned.digests),
    },
  )
  _tell(bits_per_dim)
  print(f'{path}\nNext: tfp-ood calibrate, with --model={arguments.output}')


def _start(arguments):
  """Returns the weights that training is to go on from, or `None`."""
  if arguments.model not in KINDS:
    raise CommandError(
      f'--model={arguments.model} is none of {", ".join(KINDS)}.'
    )
  has_precision = 'precision' in KINDS[arguments.model].model_settings
  if arguments.precision != 'float32' and not has_precision:
    raise CommandError(
      f'--precision={arguments.precision} is for flows; leave it out for '
      f'{arguments.model}.'
    )
  if arguments.weights is None:
    return None
  if arguments.size is not None:
    raise CommandError(
      'Give --size or --weights, not both: weights have a size.'
    )
  with user_errors():
    return pretrained.read_weights(_path(arguments.weights), arguments.model)


def _path(weights):
  """Returns the file in a folder of `train`; anything else as it is."""
  in_folder = os.path.join(weights, MODEL_FILE)
  return in_folder if os.path.exists(in_folder) else weights


def _image_shape(arguments, start):
  shape = arguments.image_size
  if start is not None:
    trained_shape = tuple(start.arguments['image_shape'])
    if shape not in (None, trained_shape):
      raise CommandError(
        f'--weights={arguments.weights} are of a model of images of '
        f'{"x".join(map(str, trained_shape))}; leave out --image_size.'
      )
    return trained_shape
  if shape is None and arguments.data.startswith('folder:'):
    return _FOLDER_IMAGE_SHAPE
  return shape


def _check_counts(learned, held_out, arguments):
  if arguments.held_out and len(held_out) < FEWEST_IMAGES:
    raise CommandError(
      f'Of {len(learned) + len(held_out)} images, --held_out={arguments.held_out} '
      f'leaves {len(held_out)} to calibrate a detector on, which takes '
      f'{FEWEST_IMAGES}. Give more images, a larger share, or --held_out=0 and '
      'calibrate on images of another folder.'
    )
  if not len(learned):
    raise CommandError('No images are left to learn: give more.')


def _settings(arguments, start, learned):
  """Returns all that decides what is trained."""
  recipe = KINDS[arguments.model]
  size, _ = recipe.settings(arguments.size or _SIZE)
  if start is None:
    with user_errors():
      model_arguments = recipe.builder.arguments(learned.image_shape, size)
  else:
    model_arguments = start.arguments
  minutes = arguments.minutes
  if minutes is None and arguments.epochs is None:
    share = len(learned) / _NUM_IMAGES_FOR_ALL_MINUTES
    minutes = max(_FEWEST_MINUTES, _MINUTES * min(1.0, share))
  digests = np.sort(learned.digests).tobytes()
  return {
    'data': arguments.data,
    'images': hashlib.sha256(digests).hexdigest()[:16],
    'held_out': arguments.held_out,
    'model': arguments.model,
    'arguments': model_arguments,
    'weights': arguments.weights,
    'precision': arguments.precision,
    'learning_rate': size['learning_rate']
    if start is None
    else _LEARNING_RATE_TO_GO_ON,
    'batch_size': size['batch_size'],
    'minutes': minutes,
    'epochs': arguments.epochs,
    'seed': arguments.seed,
  }


def _make(settings):
  """Returns the model to train."""
  make, options = pretrained.factory(settings['model']), {}
  if 'precision' in KINDS[settings['model']].model_settings:
    options['compute_dtype'] = tf.as_dtype(settings['precision'])
  if settings['weights'] is not None:
    return make(weights=_path(settings['weights']), **options)
  return make(**settings['arguments'], seed=settings['seed'], **options)


def _compiled(model, settings):
  """Returns the Keras model that trains a model."""
  keras_model = KINDS[settings['model']].builder.keras_model(
    model, seed=settings['seed'], max_skipped_steps=_MAX_SKIPPED_STEPS
  )
  by_clock = settings['minutes'] is not None
  keras_model.compile(
    training.adam(
      settings['learning_rate'],
      warmup_steps=0 if by_clock else _WARMUP_STEPS,
      global_clipnorm=1.0,
      ema_momentum=0.99,
    )
  )
  return keras_model


def _length(settings):
  """Returns how long to train, as `train_or_restore` takes it."""
  if settings['minutes'] is None:
    return {'epochs': settings['epochs']}
  return {
    'minutes': settings['minutes'],
    'learning_rate': settings['learning_rate'],
    'warmup_steps': _WARMUP_STEPS,
  }


def _batches(learned, settings):
  """Returns the data set of an epoch."""
  repeats = 1
  if settings['minutes'] is not None:
    # Of few images, an epoch is several passes, or there would be many in a minute.
    examples = _STEPS_PER_EPOCH * settings['batch_size']
    repeats = -(-examples // len(learned))
  return learned.batches(settings['batch_size'], settings['seed'], repeats)


def _bits_per_dim(keras_model, images):
  """Returns the mean over some images; `None` if there are none."""
  if not len(images):
    return None
  measured = keras_model.evaluate(
    images.some(_NUM_MEASURED).batches(), verbose=0, return_dict=True
  )
  return measured['bits_per_dim']


def _tell(bits_per_dim):
  """Prints how well the model fits, and what to do if it learned by heart."""
  learned, held_out = bits_per_dim['learned'], bits_per_dim['held_out']
  line = f'bits per dimension: {learned:.3f} of images that it learned'
  if held_out is None:
    print(line)
    return
  print(f'{line}, {held_out:.3f} of those held out')
  if held_out - learned > _LARGE_DIFFERENCE:
    warn(
      'the model knows images that it learned much better than others. More '
      'images, fewer --minutes, or to go on from --weights would help.'
    )
