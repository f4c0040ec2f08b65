# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Files of genomes in the FASTA format."""

import gzip
import os
import pathlib
import re
import zlib

import numpy as np

__all__ = ['fasta_files', 'genome_name', 'read_records']

_ENDING = re.compile(r'\.(fasta|fa|fna)(\.gz)?$', re.IGNORECASE)


def fasta_files(path):
  """Returns the FASTA files that a path stands for, a list of `pathlib.Path`s.

  Args:
    path: A file of any name; a folder, which stands for the files in it whose
      names end in .fasta, .fa or .fna, plain or .gz, in the order of their names;
      or a list of such.

  Raises:
    FileNotFoundError: if there is no such file or folder, or no file in it.
  """
  paths = [path] if isinstance(path, (str, os.PathLike)) else path
  files = [file for one in paths for file in _files(pathlib.Path(one))]
  if not files:
    raise FileNotFoundError(f'`path` {path!r} names no files of genomes.')
  return files


def genome_name(file):
  """Returns the name of a `pathlib.Path` without the endings of FASTA files."""
  return _ENDING.sub('', file.name)


def read_records(file):
  """Reads the records of a FASTA file.

  Args:
    file: `pathlib.Path`; what ends in .gz is decompressed.

  Returns:
    A list of pairs: the name of the record, and its letters as they are in the
    file, a `uint8` array of ASCII codes, `[number of letters]`.

  Raises:
    ImportError: if Biopython is not installed.
    ValueError: if the file is damaged or not in the FASTA format.
  """
  try:
    from Bio import SeqIO
  except ImportError as error:
    raise ImportError(
      "Reading genomes needs Biopython: pip install 'tfp_ood[genomes]'."
    ) from error
  is_compressed = file.suffix.lower() == '.gz'
  opened = gzip.open if is_compressed else open
  try:
    # Names may be in any encoding; no base has a letter outside ASCII.
    with opened(file, 'rt', encoding='utf-8', errors='replace') as lines:
      records = [
        (record.id, np.frombuffer(bytes(record.seq), np.uint8))
        for record in SeqIO.parse(lines, 'fasta')
      ]
  except (EOFError, ValueError, gzip.BadGzipFile, zlib.error) as error:
    raise ValueError(f'{str(file)!r} is no FASTA file: {error}') from error
  if not records:
    raise ValueError(f'{str(file)!r} is no FASTA file: it holds no records.')
  return records


def _files(path):
  path = path.expanduser()
  if path.is_file():
    return [path]
  if not path.is_dir():
    raise FileNotFoundError(f'There is no file or folder {str(path)!r}.')
  files = sorted(
    file
    for file in path.iterdir()
    if _ENDING.search(file.name) and not file.name.startswith('.')
  )
  if not files:
    raise FileNotFoundError(
      f'There are no genomes in the folder {str(path)!r}. Their names end in '
      '.fasta, .fa or .fna, with or without .gz.'
    )
  return files
