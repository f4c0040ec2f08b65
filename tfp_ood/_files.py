# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Files that are written whole or not at all."""

import os
import pathlib
import secrets

__all__ = [
  'atomic_write',
]


def atomic_write(path, data):
  """Writes a file whole or not at all.

  The data go to a new file in the same folder, which takes the place of `path`
  once it is safely on disk. A reader sees the old file or the new one, and a
  crash at any moment leaves one of them. (A killed process may leave behind its
  own unfinished `.name.*.tmp`.) Missing folders are made; a symbolic link is
  followed.

  Args:
    path: `str` or `os.PathLike`, the file to write.
    data: `bytes`, or `str` to encode as UTF-8.

  Raises:
    TypeError: If `data` is neither `str` nor `bytes`.

  #### Example

  >>> import os, tempfile
  >>> with tempfile.TemporaryDirectory() as folder:
  ...   atomic_write(os.path.join(folder, 'note.txt'), 'all of it')
  ...   open(os.path.join(folder, 'note.txt')).read()
  'all of it'
  """
  if isinstance(data, str):
    data = data.encode('utf-8')
  if not isinstance(data, bytes):
    raise TypeError(
      f'`data` must be str or bytes, got {type(data).__name__}; serialize it '
      'first.'
    )
  path = pathlib.Path(os.path.realpath(path))
  path.parent.mkdir(parents=True, exist_ok=True)
  # Not `tempfile`: its files are private to the user, and a report is not.
  temporary = path.with_name(f'.{path.name}.{secrets.token_hex(8)}.tmp')
  try:
    with open(temporary, 'xb') as file:
      file.write(data)
      file.flush()
      os.fsync(file.fileno())
    os.replace(temporary, path)
  except BaseException:
    temporary.unlink(missing_ok=True)
    raise
  _sync_folder(path.parent)


def _sync_folder(folder):
  """Makes a rename in the folder survive a loss of power."""
  if os.name != 'posix':  # Elsewhere a folder cannot be opened.
    return
  descriptor = os.open(folder, os.O_RDONLY)
  try:
    os.fsync(descriptor)
  finally:
    os.close(descriptor)
