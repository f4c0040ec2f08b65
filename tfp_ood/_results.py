# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Results as JSON."""

import json
import math
import pathlib

import numpy as np

from tfp_ood._files import atomic_write

__all__ = [
  'plain_results',
  'read_results',
  'write_results',
]


def write_results(path, results):
  """Writes results as JSON, whole or not at all.

  NumPy scalars and arrays become numbers and (nested) lists, tuples become
  lists. The order of keys is kept.

  Args:
    path: `str` or `os.PathLike`, the file to write.
    results: `dict` with `str` keys. Values are `None`, `bool`, `int`, `float`,
      `str`, NumPy scalars and arrays, and lists, tuples and dicts of these.

  Raises:
    TypeError: If a key is not `str` or a value has no form in JSON.
    ValueError: If a number is NaN or infinite; JSON has neither.

  #### Example

  >>> import os, tempfile
  >>> with tempfile.TemporaryDirectory() as folder:
  ...   path = os.path.join(folder, 'results.json')
  ...   write_results(path, {'svhn': {'auroc': np.float64(0.75)}})
  ...   read_results(path)
  {'svhn': {'auroc': 0.75}}
  """
  plain = plain_results(results)
  text = json.dumps(plain, indent=2, ensure_ascii=False, allow_nan=False)
  atomic_write(path, text + '\n')


def plain_results(results):
  """Returns results as `read_results` would, once they are written.

  Args:
    results: `dict`, as `write_results` takes it.

  Returns:
    `dict`, with lists where there were tuples and arrays.

  Raises:
    TypeError: If a key is not `str` or a value has no form in JSON.
    ValueError: If a number is NaN or infinite.

  #### Example

  >>> plain_results({'sides': (28, 28)})
  {'sides': [28, 28]}
  """
  if not isinstance(results, dict):
    raise TypeError(f'`results` must be a dict, got {type(results).__name__}.')
  return _to_json(results, 'results')


def read_results(path):
  """Reads results written by `write_results`.

  Args:
    path: `str` or `os.PathLike`.

  Returns:
    `dict`, with lists where there were tuples and arrays.

  Raises:
    FileNotFoundError: If there is no such file.
    ValueError: If the file is cut short or holds anything but a JSON object.
  """
  try:
    results = json.loads(
      pathlib.Path(path).read_bytes(), parse_constant=_refuse_constant
    )
    if not isinstance(results, dict):
      raise ValueError(f'it holds a {type(results).__name__}, not an object')
  except ValueError as error:  # Also what the decoders of JSON, UTF-8 raise.
    raise ValueError(
      f'{str(path)!r} is not a whole results file: {error}. Delete it and run '
      'the command that makes it again.'
    ) from error
  return results


def _to_json(value, where):
  """Plain Python equivalent of `value`; `where` is its path, for errors."""
  if isinstance(value, np.ndarray | np.generic):
    value = value.tolist()
  if isinstance(value, dict):
    return {
      _checked_key(key, where): _to_json(item, f'{where}[{key!r}]')
      for key, item in value.items()
    }
  if isinstance(value, list | tuple):
    return [_to_json(item, f'{where}[{i}]') for i, item in enumerate(value)]
  if isinstance(value, float) and not math.isfinite(value):
    raise ValueError(
      f'{where} is {value}, which JSON cannot hold; use None for "no value" or '
      'keep arrays with `write_arrays`.'
    )
  if value is None or isinstance(value, bool | int | float | str):
    return value
  raise TypeError(
    f'{where} is a {type(value).__name__}, which JSON cannot hold; convert it '
    'to a number, a string, or a list, dict or NumPy array of these.'
  )


def _checked_key(key, where):
  if not isinstance(key, str):
    raise TypeError(
      f'{where} has the key {key!r}, a {type(key).__name__}; keys must be '
      'strings, the only ones that JSON keeps.'
    )
  return key


def _refuse_constant(name):
  raise ValueError(f'it holds {name}, which is not JSON')
