# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Nested dictionaries and lists, with arrays in them, in one file."""

import json

import numpy as np

from tfp_ood._arrays import read_arrays, write_arrays

__all__ = [
  'read_tree',
  'write_tree',
]

_JSON = 'tree'
_ARRAY = '__array__'


def write_tree(path, tree):
  """Writes a nest of dictionaries and lists, whole or not at all.

  Args:
    path: `str` or `os.PathLike`, the file to write, by convention `.npz`.
    tree: nest of `dict`s with `str` keys, lists and tuples, of arrays, numbers,
      strings, booleans and `None`. Floats may be NaN or infinite.

  Raises:
    TypeError: If there is anything else in it.

  #### Example

  >>> import os, tempfile
  >>> with tempfile.TemporaryDirectory() as folder:
  ...   path = os.path.join(folder, 'tree.npz')
  ...   write_tree(path, {'svhn': [np.array([1.5]), 'test', None]})
  ...   read_tree(path)
  {'svhn': [array([1.5]), 'test', None]}
  """
  arrays = {}

  def plain(value):
    if isinstance(value, np.generic):
      return value.item()
    if isinstance(value, dict):
      return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
      return [plain(item) for item in value]
    if hasattr(value, '__array__'):
      arrays[str(len(arrays))] = np.asarray(value)
      return {_ARRAY: str(len(arrays) - 1)}
    return value

  text = json.dumps(plain(tree), ensure_ascii=False)
  write_arrays(path, {_JSON: np.array(text), **arrays})


def read_tree(path):
  """Reads what `write_tree` wrote.

  Args:
    path: `str` or `os.PathLike`.

  Returns:
    The nest, with lists where there were tuples.

  Raises:
    FileNotFoundError: If there is no such file.
    ValueError: If the file is cut short, damaged or of another kind.
  """
  arrays = read_arrays(path)
  if _JSON not in arrays:
    raise ValueError(f'{str(path)!r} holds arrays, but no tree of them.')

  def nested(value):
    if isinstance(value, list):
      return [nested(item) for item in value]
    if not isinstance(value, dict):
      return value
    if _ARRAY in value:
      return arrays[value[_ARRAY]]
    return {key: nested(item) for key, item in value.items()}

  return nested(json.loads(str(arrays[_JSON])))
