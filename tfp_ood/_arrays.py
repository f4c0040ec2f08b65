# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Named NumPy arrays in a file."""

import io
import pathlib
import zipfile
import zlib

import numpy as np

from tfp_ood._files import atomic_write

__all__ = [
  'read_arrays',
  'write_arrays',
]

_SUFFIX = '.npy'
# What a damaged file may raise; RuntimeError if damage looks like encryption.
_DAMAGE = (
  zipfile.BadZipFile,
  zlib.error,
  ValueError,
  EOFError,
  RuntimeError,
)


def write_arrays(path, arrays):
  """Writes named arrays as a compressed `.npz`, whole or not at all.

  `numpy.load` reads the file too. Values are kept bit for bit, NaN included.

  Args:
    path: `str` or `os.PathLike`, the file to write; nothing is appended to it.
    arrays: `dict` from `str` to array-likes of numbers, booleans, strings or
      dates.

  Raises:
    TypeError: If a name is not `str`, or an array holds Python objects or a
      type that NumPy does not know by itself, such as bfloat16.

  #### Example

  >>> import os, tempfile
  >>> with tempfile.TemporaryDirectory() as folder:
  ...   path = os.path.join(folder, 'scores.npz')
  ...   write_arrays(path, {'svhn': np.array([1.5, 2.5])})
  ...   read_arrays(path)
  {'svhn': array([1.5, 2.5])}
  """
  buffer = io.BytesIO()
  with zipfile.ZipFile(buffer, 'w', zipfile.ZIP_DEFLATED) as archive:
    for name, array in arrays.items():
      array = _checked_array(name, array)
      with archive.open(name + _SUFFIX, 'w', force_zip64=True) as member:
        np.lib.format.write_array(member, array, allow_pickle=False)
  atomic_write(path, buffer.getvalue())


def read_arrays(path):
  """Reads arrays written by `write_arrays` or `numpy.savez`.

  Everything is read and its checksums verified at once. Nothing is unpickled.

  Args:
    path: `str` or `os.PathLike`.

  Returns:
    `dict` from `str` to `np.ndarray`, in the order written.

  Raises:
    FileNotFoundError: If there is no such file.
    ValueError: If the file is cut short, damaged or of another kind.
  """
  data = pathlib.Path(path).read_bytes()
  arrays = {}
  try:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
      for member in archive.namelist():
        content = io.BytesIO(archive.read(member))
        arrays[member.removesuffix(_SUFFIX)] = np.lib.format.read_array(
          content, allow_pickle=False
        )
  except _DAMAGE as error:
    raise ValueError(
      f'{str(path)!r} is not a whole file of arrays: {error}. Delete it and '
      'run the command that makes it again.'
    ) from error
  return arrays


def _checked_array(name, array):
  if not isinstance(name, str):
    raise TypeError(f'Names of `arrays` must be strings, got {name!r}.')
  array = np.asarray(array)
  # bfloat16 has kind V: NumPy would write its bytes but forget its type.
  if array.dtype.kind not in 'biufcSUmM':
    raise TypeError(
      f'`arrays[{name!r}]` has dtype {array.dtype}, which a file cannot hold; '
      'cast it to a NumPy type such as float32.'
    )
  return array
