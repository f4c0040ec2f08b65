# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of reads of genomes."""

import gzip
import itertools
import re
import sys

import numpy as np
import pytest
import tensorflow as tf

from tfp_ood import datasets

_LETTERS = 'ACGT'


def _text(seed, size):
  values = np.random.default_rng(seed).integers(0, 4, size)
  return ''.join(_LETTERS[value] for value in values)


def _write(path, *records):
  """Writes a FASTA file, with 60 letters a line."""
  lines = []
  for number, text in enumerate(records):
    lines.append(f'>record{number} of some genome')
    lines += [text[start : start + 60] for start in range(0, len(text), 60)]
  opened = gzip.open if path.suffix == '.gz' else open
  with opened(path, 'wt') as file:
    file.write('\n'.join(lines) + '\n')


def _arrays(dataset):
  """Reads as `str`s, and labels."""
  batches = list(dataset)
  values = np.concatenate([values for values, _ in batches])
  labels = np.concatenate([labels for _, labels in batches])
  return [''.join(_LETTERS[i] for i in row) for row in values], labels


def _complement(text):
  return text[::-1].translate(str.maketrans('ACGT', 'TGCA'))


def _every_read(text, length):
  return {text[i : i + length] for i in range(len(text) - length + 1)}


@pytest.fixture(name='folder')
def _folder(tmp_path):
  """Three genomes: plain, compressed, and of several records with other letters."""
  folder = tmp_path / 'genomes'
  folder.mkdir()
  _write(folder / 'b.fa.gz', _text(1, 301))
  _write(folder / 'a.fasta', _text(0, 500))
  _write(folder / 'c.v2.FNA', *_records())
  (folder / 'index.tsv').write_text('no genome')
  (folder / '.hidden.fa').write_text('no genome')
  return folder


def _records():
  text = _text(2, 200)
  return text[:65] + 'N' + text[66:], text[:7], text[100:].lower() + 'R'


# ---------------------------------------------------------- consecutive reads


def test_consecutive_reads_are_every_piece_of_the_genomes(folder):
  dataset = datasets.reads(folder, length=30, batch_size=4)
  found, labels = _arrays(dataset)
  expected = []
  for label, records in enumerate(
    [[_text(0, 500)], [_text(1, 301)], _records()]
  ):
    for text in records:
      for start in range(0, len(text) - 29, 30):
        read = text[start : start + 30].upper()
        if set(read) <= set(_LETTERS):
          expected.append((read, label))
  assert list(zip(found, labels.tolist(), strict=True)) == expected
  assert np.bincount(labels).tolist() == [16, 10, 5 + 3]
  assert _arrays(dataset)[0] == found


def test_it_is_a_data_set_of_known_size(folder):
  dataset = datasets.reads(folder, length=30, batch_size=4)
  assert dataset.element_spec == (
    tf.TensorSpec([None, 30], tf.int32),
    tf.TensorSpec([None], tf.int64),
  )
  assert dataset.cardinality() == 9
  assert [len(labels) for _, labels in dataset] == [4] * 8 + [2]


def test_more_reads_than_fit_into_one_block(tmp_path):
  text = _text(0, 5000)
  _write(tmp_path / 'a.fa', text)
  dataset = datasets.reads(tmp_path, length=2, batch_size=700)
  assert dataset.cardinality() == 4
  assert [len(labels) for _, labels in dataset] == [700, 700, 700, 400]
  assert ''.join(_arrays(dataset)[0]) == text


def test_a_genome_of_a_multiple_of_the_length_does_not_run_into_the_next(
  tmp_path,
):
  _write(tmp_path / 'a.fa', 'A' * 20, 'C' * 20)
  _write(tmp_path / 'b.fa', 'G' * 20)
  found, _ = _arrays(datasets.reads(tmp_path, length=10, num_reads=300))
  assert set(found) == {'A' * 10, 'C' * 10, 'G' * 10}


# ---------------------------------------------------------------------- parts


@pytest.mark.parametrize('sizes', [(500,), (97, 203, 31)])
@pytest.mark.parametrize(
  'cuts',
  [('[:80%]', '[80%:90%]', '[90%:]'), ('[:80%]', '[-20%:-10%]', '[-10%:]')],
)
def test_parts_are_the_whole_and_share_no_base(tmp_path, sizes, cuts):
  records = [_text(seed, size) for seed, size in enumerate(sizes)]
  _write(tmp_path / 'a.fa', *records)
  cut = [
    ''.join(_arrays(datasets.reads(tmp_path, part, length=1))[0])
    for part in cuts
  ]
  assert sum(len(text) for text in cut) == sum(sizes)
  # Record after record in each part.
  first, last = records[0], records[-1]
  assert cut[0].startswith(first[: len(first) * 8 // 10])
  assert cut[2].endswith(last[len(last) * 9 // 10 :])


@pytest.mark.parametrize(
  'part, chosen',
  [
    ('', slice(None)),
    ('[:]', slice(None)),
    ('[10:40]', slice(10, 40)),
    ('[-30:]', slice(-30, None)),
    ('[:9999]', slice(None)),
    ('[25%:100%]', slice(25, None)),
  ],
)
def test_reads_lie_in_their_part(tmp_path, part, chosen):
  text = _text(0, 101)
  _write(tmp_path / 'a.fa', text)
  possible = _every_read(text[chosen], 20)
  drawn = datasets.reads(tmp_path, part, length=20, num_reads=2000)
  # Each of the 82 or fewer places has 24 chances.
  assert set(_arrays(drawn)[0]) == possible
  consecutive, _ = _arrays(datasets.reads(tmp_path, part, length=20))
  assert set(consecutive) <= possible
  assert len(consecutive) == len(text[chosen]) // 20


@pytest.mark.parametrize(
  'part', ['80%', '[80%]', '[:101%]', '[:0.5]', '[a:]', '[:5:2]', '[:5]+[6:]']
)
def test_part_that_is_none(folder, part):
  with pytest.raises(ValueError, match=f'`part` must .*{re.escape(part)}'):
    datasets.reads(folder, part)


def test_empty_part(folder):
  with pytest.raises(ValueError, match=r"'\[40:20\]' of .*a.fasta' holds no"):
    datasets.reads(folder, '[40:20]', length=10)


# ----------------------------------------------------------------- drawn reads


def test_drawn_reads_are_all_reads_of_their_genome(folder):
  found, labels = _arrays(datasets.reads(folder, length=40, num_reads=30001))
  assert np.bincount(labels).tolist() == [10001, 10000, 10000]
  assert np.all(np.diff(labels) >= 0)
  for label, records in enumerate(
    [[_text(0, 500)], [_text(1, 301)], _records()]
  ):
    possible = set().union(*(_every_read(text.upper(), 40) for text in records))
    possible = {read for read in possible if set(read) <= set(_LETTERS)}
    here = [
      read for read, one in zip(found, labels, strict=True) if one == label
    ]
    # Each is left out with a probability below 461 * exp(-10000 / 461).
    assert set(here) == possible


def test_every_place_is_as_likely(tmp_path):
  # Two records, of 80 and of 20 reads that differ.
  texts = _text(0, 99), _text(1, 39)
  _write(tmp_path / 'a.fa', *texts)
  found, _ = _arrays(
    datasets.reads(tmp_path, length=20, num_reads=20000, seed=3)
  )
  names, counts = np.unique(found, return_counts=True)
  assert len(names) == 100
  # Chi-square of 99 degrees of freedom: five deviations.
  chi_square = np.sum((counts - 200) ** 2 / 200)
  assert abs(chi_square - 99) < 5 * np.sqrt(2 * 99)


def test_fewer_reads_than_genomes(folder):
  _, labels = _arrays(datasets.reads(folder, length=40, num_reads=2))
  assert labels.tolist() == [0, 1]


@pytest.mark.parametrize('both_strands', [False, True])
def test_drawn_reads_follow_the_seed(folder, both_strands):
  first, again, other, negative = (
    _arrays(
      datasets.reads(
        folder,
        length=40,
        num_reads=90,
        seed=seed,
        batch_size=size,
        both_strands=both_strands,
      )
    )[0]
    for seed, size in ((1, 64), (1, 7), (2, 64), (-1, 64))
  )
  assert first == again
  assert first != other
  assert negative not in (first, other)


def test_without_fresh_each_iteration_is_the_same(folder):
  dataset = datasets.reads(folder, length=40, num_reads=90, both_strands=True)
  assert _arrays(dataset)[0] == _arrays(dataset)[0]


def test_fresh_reads_are_others_in_each_iteration(folder):
  def runs(seed):
    dataset = datasets.reads(
      folder, length=40, num_reads=90, batch_size=20, fresh=True, seed=seed
    )
    assert dataset.cardinality() == 5
    return [_arrays(dataset) for _ in range(2)]

  (first, labels), (second, other_labels) = runs(seed=1)
  assert np.bincount(labels).tolist() == [30, 30, 30]
  # Mixed: all genomes are in the first third.
  assert set(labels[:30]) == {0, 1, 2}
  assert labels.tolist() != other_labels.tolist()
  assert sorted(first) != sorted(second)
  assert runs(seed=1)[1][0] == second
  assert runs(seed=2)[1][0] != second


def test_labels_belong_to_mixed_reads(tmp_path):
  for letter in 'ACGT':
    _write(tmp_path / f'{letter}.fa', letter * 50)
  values, labels = next(
    iter(datasets.reads(tmp_path, length=5, num_reads=64, fresh=True))
  )
  np.testing.assert_array_equal(values, np.tile(labels[:, np.newaxis], 5))


def test_fresh_reads_must_have_a_number(folder):
  with pytest.raises(ValueError, match='`num_reads` must be the number'):
    datasets.reads(folder, fresh=True)


def test_keras_knows_the_number_of_batches(folder):
  dataset = datasets.reads(
    folder, length=40, num_reads=50, batch_size=20, fresh=True
  ).repeat(2)
  assert dataset.cardinality() == 6
  assert len(list(dataset)) == 6


# -------------------------------------------------------------------- strands


@pytest.mark.parametrize('num_reads', [None, 2000])
def test_half_of_the_reads_are_reverse_complements(tmp_path, num_reads):
  _write(tmp_path / 'a.fa', _text(0, 20000))
  forward, both = (
    _arrays(
      datasets.reads(
        tmp_path, length=10, num_reads=num_reads, both_strands=both_strands
      )
    )[0]
    for both_strands in (False, True)
  )
  is_reversed = [
    read == _complement(other)
    for read, other in zip(both, forward, strict=True)
  ]
  is_kept = [read == other for read, other in zip(both, forward, strict=True)]
  assert np.all(np.logical_or(is_kept, is_reversed))
  # Of 2000 reads, with four deviations.
  assert np.mean(is_reversed) == pytest.approx(0.5, abs=4 * 0.5 / 2000**0.5)


# -------------------------------------------------------------- other letters


def test_other_letters_may_be_refused(tmp_path):
  path = tmp_path / 'a.fa'
  _write(path, 'ACGT' * 10, 'ACGT' * 10 + 'acgnR')
  with pytest.raises(
    ValueError,
    match=r"a\.fa' has the letter 'n' at position 43 .* record 'record1'",
  ):
    datasets.reads(path, length=5, ambiguous='raise')
  with pytest.raises(ValueError, match="the letter 'R' at position 44 "):
    datasets.reads(path, '[-1:]', length=1, ambiguous='raise')
  kept, _ = _arrays(datasets.reads(path, '[:40]', length=5, ambiguous='raise'))
  assert len(kept) == 16


@pytest.mark.parametrize('letter', ['N', 'n', 'U', '-', '*', 'Ä'])
def test_reads_with_other_letters_are_dropped(tmp_path, letter):
  _write(tmp_path / 'a.fa', 'A' * 12 + letter + 'C' * 12)
  consecutive, _ = _arrays(datasets.reads(tmp_path, length=5))
  assert consecutive == ['AAAAA', 'AAAAA', 'CCCCC', 'CCCCC']
  drawn, _ = _arrays(datasets.reads(tmp_path, length=5, num_reads=200))
  assert set(drawn) == {'AAAAA', 'CCCCC'}


@pytest.mark.parametrize('num_reads', [None, 10])
def test_no_read_without_other_letters(tmp_path, num_reads):
  _write(tmp_path / 'a.fa', 'ACGTN' * 20)
  with pytest.raises(ValueError, match=r"Every read of 5 .*a\.fa' has other"):
    datasets.reads(tmp_path, length=5, num_reads=num_reads)


def test_no_consecutive_read_without_other_letters(tmp_path):
  _write(tmp_path / 'a.fa', 'NACGTAN')
  assert _arrays(datasets.reads(tmp_path, length=5, num_reads=2))[0] == [
    'ACGTA',
    'ACGTA',
  ]
  with pytest.raises(ValueError, match='Every read of 5 bases'):
    datasets.reads(tmp_path, length=5)


# ---------------------------------------------------------------------- files


def test_names_are_in_the_order_of_the_labels(folder):
  assert datasets.genome_names(folder) == ['a', 'b', 'c.v2']
  paths = [folder / 'c.v2.FNA', str(folder / 'a.fasta')]
  assert datasets.genome_names(paths) == ['c.v2', 'a']
  found, labels = _arrays(datasets.reads(paths, length=100, batch_size=3))
  assert found[-5:] == re.findall('.{100}', _text(0, 500))
  assert labels[-5:].tolist() == [1] * 5
  assert datasets.genome_names([folder, folder / 'b.fa.gz']) == [
    'a',
    'b',
    'c.v2',
    'b',
  ]
  assert datasets.genome_names(folder / 'b.fa.gz') == ['b']


@pytest.mark.parametrize('function', [datasets.reads, datasets.genome_names])
def test_no_files(tmp_path, function):
  with pytest.raises(FileNotFoundError, match="no file or folder '.*absent'"):
    function(tmp_path / 'absent')
  with pytest.raises(FileNotFoundError, match='There are no genomes in the fo'):
    function(tmp_path)
  with pytest.raises(FileNotFoundError, match='names no files'):
    function([])


@pytest.mark.parametrize(
  'name, content',
  [
    ('a.fa', b''),
    ('a.fa', b'no FASTA'),
    ('a.fa.gz', b'>a\nACGT'),
    ('a.fa.gz', gzip.compress(b'>a\n' + b'ACGT' * 99, mtime=0)[:-9]),
  ],
)
def test_damaged_files_are_named(tmp_path, name, content):
  (tmp_path / name).write_bytes(content)
  with pytest.raises(ValueError, match=rf"{name}' is no FASTA file: "):
    datasets.reads(tmp_path, length=2)


def test_names_of_records_in_any_encoding(tmp_path):
  (tmp_path / 'a.fa').write_bytes(b'>Ha\xe9mophilus\nAC\r\nGT\r\n')
  assert _arrays(datasets.reads(tmp_path, length=4))[0] == ['ACGT']


def test_genome_shorter_than_a_read(tmp_path):
  _write(tmp_path / 'a.fa', _text(0, 90), _text(1, 99))
  _arrays(datasets.reads(tmp_path, length=99))
  with pytest.raises(ValueError, match=r"at most 99, .*a\.fa', got 100"):
    datasets.reads(tmp_path, length=100)
  with pytest.raises(ValueError, match='at most 79, '):
    datasets.reads(tmp_path, '[:80%]', length=99)


def test_biopython_is_asked_for(folder, monkeypatch):
  monkeypatch.setitem(sys.modules, 'Bio', None)
  with pytest.raises(ImportError, match=r"pip install 'tfp_ood\[genomes\]'"):
    datasets.reads(folder)


# ------------------------------------------------------------------ arguments


@pytest.mark.parametrize('argument', ['length', 'batch_size', 'num_reads'])
@pytest.mark.parametrize('value', [0, -1, 1.5])
def test_sizes_must_be_positive(folder, argument, value):
  with pytest.raises(ValueError, match=f'`{argument}` must be a positive int'):
    datasets.reads(folder, **{argument: value})


def test_unknown_treatment_of_other_letters(folder):
  with pytest.raises(ValueError, match="must be 'drop' or 'raise', got 'keep'"):
    datasets.reads(folder, ambiguous='keep')


# ------------------------------------------------------ random transformations


def _mutated(values, seed):
  return datasets.mutate(values, 0.3, seed, num_values=4)


def test_random_transformation_is_another_for_each_batch(tmp_path):
  _write(tmp_path / 'a.fa', 'A' * 10000)

  def runs(seed):
    dataset = datasets.reads(
      tmp_path,
      length=100,
      batch_size=50,
      random_transformation=_mutated,
      seed=seed,
    )
    assert dataset.cardinality() == 2
    return [values.numpy() for _ in range(2) for values, _ in dataset]

  batches = runs(seed=1)
  for batch in batches:
    # A quarter of the new values is the old one.
    assert np.mean(batch != 0) == pytest.approx(0.3 * 0.75, abs=0.03)
  for one, other in itertools.combinations(batches, 2):
    assert np.any(one != other)
  np.testing.assert_array_equal(batches, runs(seed=1))
  assert np.any(batches[0] != runs(seed=2)[0])


@pytest.mark.parametrize(
  'random_transformation',
  [
    lambda values, seed: tf.cast(values, tf.int64),
    lambda values, seed: values[:, 1:],
  ],
)
def test_random_transformation_keeps_shape_and_dtype(
  folder, random_transformation
):
  with pytest.raises(ValueError, match='`random_transformation` must return'):
    datasets.reads(
      folder, length=40, random_transformation=random_transformation
    )


# ----------------------------------------------------------------- GC content


def test_gc_content_counts_c_and_g(folder):
  dataset = datasets.reads(folder, length=40, batch_size=7)
  texts, _ = _arrays(dataset)
  content = np.concatenate(
    list(dataset.map(lambda values, labels: datasets.gc_content(values)))
  )
  assert content.dtype == np.float32
  np.testing.assert_allclose(
    content, [(text.count('C') + text.count('G')) / 40 for text in texts]
  )


def test_gc_content_of_unknown_batch_size():
  in_graph = tf.function(
    datasets.gc_content, input_signature=[tf.TensorSpec([None, 4], tf.int32)]
  )
  for size in (0, 1, 3):
    values = np.full([size, 4], [1, 2, 2, 3])
    np.testing.assert_array_equal(in_graph(values), np.full(size, 0.75))


def test_gc_content_of_what_is_no_reads():
  with pytest.raises(ValueError, match='`reads` must be integers, got float32'):
    datasets.gc_content([[0.0]])
  with pytest.raises(ValueError, match=r'shape \[batch, length\], got \(2,\)'):
    datasets.gc_content([0, 1])
