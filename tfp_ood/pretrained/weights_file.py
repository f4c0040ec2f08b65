# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The weights of a model in one file, with what it takes to build it again."""

import collections
import hashlib
import json
import os
import pathlib

import numpy as np

from tfp_ood._arrays import read_arrays, write_arrays
from tfp_ood._results import plain_results

__all__ = ['WeightsFile', 'available', 'read_weights', 'write_weights']

WeightsFile = collections.namedtuple(
  'WeightsFile', ['kind', 'arguments', 'information', 'values']
)

_FOLDER = pathlib.Path(__file__).parent
_SUFFIX = '.npz'
_HEADER = ('kind', 'arguments', 'information')
_DIGEST = 'sha256'
_VARIABLE = 'variables/'
_LARGE = 2**15


def available(kind=None):
  """Returns the names of the bundled weights, a sorted list.

  Args:
    kind: `str`, the name of the function that makes the model, for names as its
      argument `weights` takes them: those of the data that it was trained on. `None`
      for the names of all, which begin with the kind: `'glow_cifar10'`.

  #### Example

  >>> 'cifar10' in available('glow'), 'glow_cifar10' in available()
  (True, True)
  """
  names = sorted(path.stem for path in _FOLDER.glob(f'*{_SUFFIX}'))
  if kind is None:
    return names
  start = f'{kind}_'
  return [n.removeprefix(start) for n in names if n.startswith(start)]


def write_weights(
  path, model, kind, arguments, information=None, half_precision=False
):
  """Writes the weights of a model, and what it takes to build it again.

  The file holds arrays of numbers and text, nothing that would have to be unpickled.
  It is whole or not there.

  Args:
    path: `str` or `os.PathLike`, the file, by convention `.npz`.
    model: an object with `variables`, such as a distribution or a Keras model.
    kind: `str`, the name of the function that makes the model; see `factory`.
    arguments: `dict` of the arguments which that function makes it with: numbers,
      strings and lists of them.
    information: `dict` of what else is to be known of the model, such as its
      training; likewise.
    half_precision: Python `bool`, whether large arrays, of 32,768 numbers or more,
      are kept in half precision, half as large. The scales that a flow multiplies
      every pixel with stay as they are.

  Raises:
    ValueError: if a number is not finite, or too large for half precision.

  #### Example

  >>> import os
  >>> import tempfile
  >>> import tfp_ood
  >>> arguments = {'input_shape': [8, 8, 1], 'width': 0.1}
  >>> network = tfp_ood.networks.small_resnet(**arguments)
  >>> with tempfile.TemporaryDirectory() as folder:
  ...   path = os.path.join(folder, 'weights.npz')
  ...   write_weights(path, network, 'small_resnet', arguments)
  ...   again = tfp_ood.pretrained.load_model(path)
  >>> bool((again.weights[0] == network.weights[0]).numpy().all())
  True
  """
  header = {
    'kind': kind,
    'arguments': json.dumps(plain_results(arguments)),
    'information': json.dumps(plain_results(information or {})),
  }
  values = [
    _stored(variable.numpy(), variable.name, half_precision)
    for variable in model.variables
  ]
  write_arrays(
    path,
    {
      **header,
      _DIGEST: _digest(header, values),
      **{f'{_VARIABLE}{number}': value for number, value in enumerate(values)},
    },
  )


def read_weights(weights, kind=None):
  """Reads what `write_weights` wrote, and makes sure that it is intact.

  Args:
    weights: the path of a file, a `str` that ends in `.npz` or an `os.PathLike`; or
      the name of bundled weights: one of `available()`, or, with `kind`, the name of
      the data alone, such as `'cifar10'`.
    kind: `str`, the kind of model that it has to be; `None` for any.

  Returns:
    `WeightsFile`: `kind`, `arguments` and `information`, as written, and `values`,
    the list of the values of all variables, in the order of `model.variables`.

  Raises:
    FileNotFoundError: if there is no such file.
    ValueError: if no weights of that name are bundled, or the file is damaged, of
      another origin, or of another kind of model.

  #### Example

  >>> weights = read_weights('cifar10', kind='glow')
  >>> weights.arguments['image_shape']
  [32, 32, 3]
  """
  path = _path(weights, kind)
  arrays = read_arrays(path)
  if not {*_HEADER, _DIGEST} <= arrays.keys():
    raise ValueError(
      f'{str(path)!r} is no file of weights: it was not written by '
      '`tfp_ood.pretrained.write_weights`.'
    )
  header = {name: str(arrays[name]) for name in _HEADER}
  values = [v for name, v in arrays.items() if name.startswith(_VARIABLE)]
  if str(arrays[_DIGEST]) != _digest(header, values):
    raise ValueError(
      f'{str(path)!r} is damaged: its content does not have the digest that was '
      'written with it. Install the package, or copy the file, again.'
    )
  if kind not in (None, header['kind']):
    raise ValueError(
      f'{str(path)!r} has weights of {header["kind"]}, which cannot be those of '
      f'{kind}.'
    )
  return WeightsFile(
    header['kind'],
    json.loads(header['arguments']),
    json.loads(header['information']),
    values,
  )


def _path(weights, kind):
  if isinstance(weights, os.PathLike) or str(weights).endswith(_SUFFIX):
    return pathlib.Path(weights)
  names = available(kind)
  if weights not in names:
    raise ValueError(
      f'There are no weights {weights!r}{f" of {kind}" if kind else ""}. Bundled '
      f'are: {", ".join(names) or "none"}. For a file of your own, give its path, '
      f'which ends in {_SUFFIX}.'
    )
  return _FOLDER / f'{f"{kind}_" if kind else ""}{weights}{_SUFFIX}'


def _stored(value, name, half_precision):
  """Returns an array as the file has it."""
  if not np.issubdtype(value.dtype, np.floating):
    return value
  if half_precision and value.size >= _LARGE:
    with np.errstate(over='ignore'):
      value = value.astype(np.float16)
  if not np.isfinite(value).all():
    raise ValueError(
      f'The variable {name!r} has values that are not finite'
      f'{" or too large for half precision" if half_precision else ""}.'
    )
  return value


def _digest(header, values):
  """Returns the SHA-256 of all that a file says, in hexadecimal digits."""
  digest = hashlib.sha256(json.dumps(header).encode('utf-8'))
  for value in values:
    digest.update(f'{value.dtype.str}{value.shape}'.encode())
    digest.update(np.ascontiguousarray(value).tobytes())
  return digest.hexdigest()
