# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reads of genomes as a `tf.data` pipeline."""

import tensorflow as tf

from tfp_ood.datasets._checks import check_positive_int
from tfp_ood.datasets._fasta import fasta_files, genome_name
from tfp_ood.datasets._genome import Genome, check_part
from tfp_ood.datasets._random_transformations import transform_at_random
from tfp_ood.datasets._read_blocks import ReadBlocks

__all__ = ['gc_content', 'genome_names', 'reads']

_AMBIGUOUS = ('drop', 'raise')


def reads(
  path,
  part='',
  length=250,
  num_reads=None,
  batch_size=64,
  both_strands=False,
  ambiguous='drop',
  fresh=False,
  random_transformation=None,
  seed=0,
):
  """Cuts genomes into reads of one length, in batches.

  One file is one genome. The bases A, C, G, T are 0, 1, 2, 3, in lower case too,
  and the complement of a base is 3 minus it. No read spans two records.

  Args:
    path: A FASTA file; a folder, which stands for the files in it whose names end
      in .fasta, .fa or .fna, plain or .gz, in the order of their names; or a list
      of such.
    part: Python str: which part of each record, by its positions or whole
      percentages of its length: `'[:80%]'`, `'[80%:90%]'`, `'[90%:]'`, `'[:1000]'`,
      or `''` for all. A read lies wholly in its part: parts that do not overlap
      share no base.
    length: Positive Python int, the number of bases of a read.
    num_reads: `None` for reads that follow each other and do not overlap, as many
      as fit. A positive Python int: that many reads from random places, the same
      number from each genome, or one more from the first ones; each place in a
      genome is as likely as any other.
    batch_size: Positive Python int.
    both_strands: Python bool: whether each read is, at random, the strand in the
      file or its reverse complement.
    ambiguous: What becomes of other letters than A, C, G, T: with `'drop'`, reads
      that hold one are left out, and never drawn; with `'raise'`, one in the part
      is an error.
    fresh: Python bool, for training: whether each iteration draws other reads, and
      mixes the genomes. It needs `num_reads`. Otherwise the reads are genome after
      genome, and the same in each iteration.
    random_transformation: `None` or a function of a batch of reads and a seed, an
      `int32` tensor of shape `[2]` that differs for each batch of each iteration, to
      reads of the same shape and dtype:
      `lambda reads, seed: mutate(reads, 0.1, seed, num_values=4)`.
    seed: Python int: the seed of the places, the strands, the order and (together
      with the global seed of `tf.random.set_seed`) of `random_transformation`.

  Returns:
    A `tf.data.Dataset` of `(reads, labels)`: `int32` `[batch, length]`, and `int64`
    `[batch]`, the number of the genome, as in `genome_names(path)`. Its
    `cardinality()` is the number of batches.

  Raises:
    FileNotFoundError: if there is no such file or folder, or no genome in it.
    ImportError: if Biopython is not installed.
    ValueError: if a file is no FASTA file; its part is empty, shorter than a read
      or has none without other letters; or an argument is not as described above.

  #### Examples

  >>> import pathlib, tempfile
  >>> with tempfile.TemporaryDirectory() as folder:
  ...   _ = (pathlib.Path(folder) / 'a.fasta').write_text('>one\\nACGTACGTAC')
  ...   _ = (pathlib.Path(folder) / 'b.fasta').write_text('>one\\nTTTTTTNT')
  ...   genome_names(folder)
  ...   dataset = reads(folder, length=4)
  ['a', 'b']
  >>> for values, labels in dataset:
  ...   print(values.numpy().tolist(), labels.numpy().tolist())
  [[0, 1, 2, 3], [0, 1, 2, 3], [3, 3, 3, 3]] [0, 0, 1]
  """
  _check_arguments(part, length, num_reads, batch_size, ambiguous, fresh)
  genomes = [
    Genome(file, part, length, refuse_others=ambiguous == 'raise')
    for file in fasta_files(path)
  ]
  blocks = ReadBlocks(genomes, length, num_reads, both_strands, fresh, seed)
  num_batches = -(-blocks.num_reads // batch_size)
  batches = (
    tf.data.Dataset.from_generator(
      blocks,
      output_signature=(
        tf.TensorSpec([None, length], tf.uint8),
        tf.TensorSpec([None], tf.int64),
      ),
    )
    .rebatch(batch_size)
    .apply(tf.data.experimental.assert_cardinality(num_batches))
    .map(lambda values, labels: (tf.cast(values, tf.int32), labels))
  )
  if random_transformation is not None:
    batches = transform_at_random(
      batches,
      lambda values, seed: _same_kind(
        random_transformation(values, seed), values
      ),
      seed,
    )
  return batches.prefetch(tf.data.AUTOTUNE)


def genome_names(path):
  """Returns the names of genomes, in the order of the labels of `reads`.

  Args:
    path: A FASTA file, a folder of them or a list of such, as for `reads`.

  Returns:
    List of `str`: the names of the files without their endings.

  Raises:
    FileNotFoundError: if there is no such file or folder, or no genome in it.

  #### Examples

  >>> import pathlib, tempfile
  >>> with tempfile.TemporaryDirectory() as folder:
  ...   for name in ('Vibrio.fna.gz', 'E._coli.fasta', 'index.tsv'):
  ...     (pathlib.Path(folder) / name).touch()
  ...   genome_names(folder)
  ['E._coli', 'Vibrio']
  """
  return [genome_name(file) for file in fasta_files(path)]


def gc_content(reads):
  """Returns the share of C and G among the bases of reads.

  Args:
    reads: Integer `Tensor` `[batch, length]` with A, C, G, T = 0, 1, 2, 3.

  Returns:
    `float32` `Tensor` `[batch]`, in [0, 1].

  Raises:
    ValueError: if `reads` are not integers or not of rank 2.

  #### Examples

  >>> gc_content([[0, 1, 2, 3], [3, 3, 3, 1]]).numpy().tolist()
  [0.5, 0.25]
  """
  reads = tf.convert_to_tensor(reads, name='reads')
  if not reads.dtype.is_integer:
    raise ValueError(f'`reads` must be integers, got {reads.dtype.name}.')
  if reads.shape.rank not in (None, 2):
    raise ValueError(
      f'`reads` must have the shape [batch, length], got {reads.shape}.'
    )
  is_c_or_g = (reads == 1) | (reads == 2)
  return tf.reduce_mean(tf.cast(is_c_or_g, tf.float32), axis=-1)


def _check_arguments(part, length, num_reads, batch_size, ambiguous, fresh):
  for argument, value in (('length', length), ('batch_size', batch_size)):
    check_positive_int(argument, value)
  if num_reads is not None:
    check_positive_int('num_reads', num_reads)
  elif fresh:
    raise ValueError(
      '`num_reads` must be the number of reads to draw with `fresh=True`, got '
      'None.'
    )
  if ambiguous not in _AMBIGUOUS:
    raise ValueError(
      f"`ambiguous` must be 'drop' or 'raise', got {ambiguous!r}."
    )
  check_part(part)


def _same_kind(transformed, values):
  transformed = tf.convert_to_tensor(transformed)
  if transformed.dtype != values.dtype or not (
    transformed.shape.is_compatible_with(values.shape)
  ):
    raise ValueError(
      f'`random_transformation` must return reads of dtype {values.dtype.name} '
      f'and shape {values.shape}, got {transformed.dtype.name} and '
      f'{transformed.shape}.'
    )
  return tf.ensure_shape(transformed, values.shape)
