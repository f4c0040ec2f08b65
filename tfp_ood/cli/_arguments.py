# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The arguments of all subcommands, read and checked without TensorFlow."""

import argparse
import os
import pathlib

from tfp_ood import __version__
from tfp_ood.pretrained.weights_file import available

__all__ = ['DETECTOR_FILE', 'MODEL_FILE', 'SIZES', 'parse']

MODEL_FILE = 'model.npz'  # Of a folder that `train` writes.
DETECTOR_FILE = 'detector.json'  # Of a folder that `calibrate` writes.
SIZES = ('tiny', 'small', 'paper')
_FOLDER = 'folder:'

_DESCRIPTION = """\
Finds images that are unlike others: out of distribution.

  tfp-ood train photos --output=model
  tfp-ood calibrate photos --model=model --output=detector
  tfp-ood score new_photos --detector=detector --output=scores

learns what the images of a folder look like, and says of each new one how strange
it is. `tfp-ood COMMAND --help` tells more."""
_DATA = """\
DATA is a folder of images (PNG, JPEG, WebP, BMP, TIFF), with those in the folders
in it; or a name as `tfp_ood.datasets.load` takes it: a data set of TensorFlow
Datasets and its split (cifar10/test, "svhn_cropped/test[:8000]"), or the bundled
sample (sample_photographs/train). Images of a folder may be of any size: each is
turned upright, cropped in the middle to the proportions of the model's images, and
resized to them. Images of other data sets are cropped or padded with black."""
_MODEL_HELP = (
  'a folder that `tfp-ood train` wrote, a file of weights (.npz), or the name of '
  'bundled weights, such as glow_cifar10'
)


def parse(argv):
  """Returns the arguments of a command line, an `argparse.Namespace`.

  Args:
    argv: list of `str`.

  Raises:
    SystemExit: if it asks for help, or is wrong, with one line on stderr.
  """
  parser = _Parser(
    prog='tfp-ood',
    description=_DESCRIPTION,
    formatter_class=argparse.RawDescriptionHelpFormatter,
  )
  parser.add_argument('--version', action='version', version=__version__)
  commands = parser.add_subparsers(
    dest='command', metavar='COMMAND', required=True
  )
  for name, add_arguments in _COMMANDS.items():
    summary, *_ = add_arguments.__doc__.splitlines()
    command = commands.add_parser(
      name,
      help=summary,
      description=summary,
      epilog=_DATA,
      formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add_arguments(command)
  return parser.parse_args(argv)


class _Parser(argparse.ArgumentParser):
  """Tells what is wrong in one line."""

  def error(self, message):
    self.exit(2, f'{self.prog}: {message}. See {self.prog} --help\n')


# -------------------------------------------------------------------- subcommands


def _add_train(parser):
  """Trains a model of images, and keeps some images aside to calibrate it on."""
  _add_data(parser, 'data', 'the images to learn')
  _add_output(parser, 'the model; the same command again goes on with it')
  parser.add_argument(
    '--model',
    default='glow',
    help='the kind of model, by the function that makes it, such as '
    'constant_volume_glow or variational_autoencoder (default: %(default)s)',
  )
  parser.add_argument(
    '--weights',
    metavar='WEIGHTS',
    help='go on from a trained model of that kind, instead of from scratch: a '
    'folder of `tfp-ood train`, a file of weights (.npz), or the name of bundled '
    'weights, such as cifar10',
  )
  parser.add_argument(
    '--size',
    choices=SIZES,
    help='of a model from scratch (default: small)',
  )
  parser.add_argument(
    '--image_size',
    type=_image_shape,
    metavar='SIZE',
    help='what the model is to see: 32, 32x48 (height, width) or 32x32x1 (gray); '
    'larger takes longer (default: 32 for folders, else that of the images)',
  )
  length = parser.add_mutually_exclusive_group()
  length.add_argument(
    '--minutes',
    type=_positive_float,
    help='of training (default: 30; fewer for fewer than 5,000 images)',
  )
  length.add_argument(
    '--epochs',
    type=_positive_int,
    help='times that training takes every image, instead of minutes',
  )
  parser.add_argument(
    '--held_out',
    type=_share,
    default=0.2,
    metavar='SHARE',
    help='of the images, which the model does not learn (default: %(default)s)',
  )
  parser.add_argument(
    '--precision',
    choices=('float32', 'bfloat16'),
    default='float32',
    help='of convolutions in training; bfloat16 is faster on processors that have '
    'it (default: %(default)s)',
  )
  parser.add_argument(
    '--seed', type=int, default=0, help='of the weights (default: %(default)s)'
  )
  _add_data_dir(parser)


def _add_calibrate(parser):
  """Makes a detector of a model, by images that the model has not learned."""
  _add_data(
    parser,
    'data',
    'images of the usual kind; those that the model was trained on are left out',
  )
  _add_model(parser)
  _add_output(parser, 'the detector, a SavedModel')
  _add_data(
    parser,
    '--training',
    'images that the score learns from (default: every second one of DATA)',
  )
  _add_classifier(parser)
  parser.add_argument(
    '--num_images',
    type=_positive_int,
    default=10_000,
    metavar='N',
    help='at most so many images are scored, chosen at random (default: '
    '%(default)s)',
  )
  _add_data_dir(parser)


def _add_score(parser):
  """Scores the images of a folder: a table (CSV) and a page (HTML)."""
  parser.add_argument(
    'folder',
    type=_folder,
    metavar='FOLDER',
    help='of images of any size, with those in the folders in it',
  )
  parser.add_argument(
    '--detector',
    type=_detector,
    required=True,
    metavar='DIR',
    help='a detector, written by `tfp-ood calibrate` or `Detector.export_saved_model`',
  )
  _add_output(
    parser, 'scores.csv and report.html; the same command again goes on'
  )
  parser.add_argument(
    '--false_alarm_rate',
    type=_rate,
    default=0.05,
    metavar='RATE',
    help='of usual images, at most this share is flagged on average (default: '
    '%(default)s)',
  )


def _add_evaluate(parser):
  """Measures how well a model tells images from others: a report (HTML)."""
  _add_model(parser)
  _add_data(
    parser,
    '--in_distribution',
    'images of the usual kind; those that the model was trained on are left out',
    required=True,
  )
  parser.add_argument(
    '--out_of_distribution',
    type=_data_names,
    required=True,
    metavar='DATA,DATA',
    help='images of other kinds',
  )
  _add_output(parser, 'report.html, and all numbers')
  _add_data(
    parser,
    '--training',
    'images that scores learn from (default: those that the model was trained on)',
  )
  _add_classifier(parser)
  parser.add_argument(
    '--num_evaluated',
    type=_positive_int,
    default=10_000,
    metavar='N',
    help='at most so many images of each kind are scored, chosen at random '
    '(default: %(default)s)',
  )
  _add_data_dir(parser)


_COMMANDS = {
  'train': _add_train,
  'calibrate': _add_calibrate,
  'score': _add_score,
  'evaluate': _add_evaluate,
}


def _add_data(parser, name, help_text, **kwargs):
  parser.add_argument(
    name, type=_data_name, metavar='DATA', help=help_text, **kwargs
  )


def _add_data_dir(parser):
  parser.add_argument(
    '--data_dir',
    metavar='DIR',
    help='folder of prepared data sets of TensorFlow Datasets (default: its own, '
    '~/tensorflow_datasets)',
  )


def _add_model(parser):
  parser.add_argument(
    '--model', type=_model, required=True, metavar='MODEL', help=_MODEL_HELP
  )


def _add_classifier(parser):
  parser.add_argument(
    '--classifier',
    type=_model,
    metavar='MODEL',
    help='a classifier of such images, which is wrong in other places than the '
    'model: a file of weights, or the name of bundled ones',
  )


def _add_output(parser, contents):
  parser.add_argument(
    '--output', required=True, metavar='DIR', help=f'folder for {contents}'
  )


# -------------------------------------------------------------------- kinds of values


def _folder(text):
  path = pathlib.Path(text.removeprefix(_FOLDER)).expanduser()
  if not path.is_dir():
    raise argparse.ArgumentTypeError(f'there is no folder {str(path)!r}')
  return os.path.abspath(path)


def _data_name(text):
  # What begins so can be no name of a data set.
  is_path = text.startswith((_FOLDER, '.', '~')) or os.path.isabs(text)
  if is_path or pathlib.Path(text).is_dir():
    return _FOLDER + _folder(text)
  return text


def _data_names(text):
  # A folder may have a comma in its name.
  names = [text] if pathlib.Path(text).is_dir() else text.split(',')
  return [_data_name(name) for name in names]


def _model(text):
  path = pathlib.Path(text).expanduser()
  if path.is_dir():
    if not (path / MODEL_FILE).exists():
      raise argparse.ArgumentTypeError(
        f'the folder {text!r} has no {MODEL_FILE}, which `tfp-ood train` writes '
        'when the training has ended'
      )
    return path / MODEL_FILE
  if path.is_file():
    return path
  if text not in available():
    raise argparse.ArgumentTypeError(
      f'{text!r} is neither a folder of `tfp-ood train`, nor a file, nor one of the '
      f'bundled {", ".join(available())}'
    )
  return text


def _detector(text):
  path = pathlib.Path(text).expanduser()
  if not (path / 'saved_model.pb').exists():
    raise argparse.ArgumentTypeError(
      f'there is no detector in the folder {text!r} of this machine; '
      '`tfp-ood calibrate` and `Detector.export_saved_model` write one'
    )
  return path


def _image_shape(text):
  try:
    numbers = [int(number) for number in text.split('x')]
  except ValueError:
    numbers = []
  if len(numbers) == 1:
    numbers *= 2
  shape = (*numbers, 3)[:3] if len(numbers) == 2 else tuple(numbers)
  if len(shape) != 3 or min(shape) < 1 or shape[2] not in (1, 3):
    raise argparse.ArgumentTypeError(
      f'{text!r} is no size such as 32, 32x48 or 32x32x1'
    )
  return shape


def _number(text, kind, is_allowed, description):
  try:
    value = kind(text)
  except ValueError:
    value = None
  if value is None or not is_allowed(value):
    raise argparse.ArgumentTypeError(f'{text!r} is not {description}')
  return value


def _positive_int(text):
  return _number(text, int, lambda n: n > 0, 'a whole number above 0')


def _positive_float(text):
  return _number(text, float, lambda x: x > 0, 'a number above 0')


def _share(text):
  return _number(
    text, float, lambda x: 0 <= x < 1, 'a number from 0 to less than 1'
  )


def _rate(text):
  return _number(text, float, lambda x: 0 < x < 1, 'a number between 0 and 1')
