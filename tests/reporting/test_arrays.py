# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of write_arrays and read_arrays."""

import pickle

import ml_dtypes
import numpy as np
import pytest

from tfp_ood import reporting


def _some_arrays():
  random = np.random.default_rng(0)
  return {
    'scores': np.array([1.5, np.nan, -np.inf]),
    'images': random.integers(0, 256, (3, 4, 4, 3), dtype=np.uint8),
    'file': np.array(['a', 'größer']),
    'a/b.npy': np.float32(2.5),
    'flags': np.array([[True], [False]]),
    'nothing': np.zeros([0, 3], np.int64),
  }


def test_round_trip_bit_for_bit(tmp_path):
  path = tmp_path / 'scores.npz'
  arrays = _some_arrays()
  reporting.write_arrays(path, arrays)
  read = reporting.read_arrays(path)
  assert list(read) == list(arrays)
  for name, array in arrays.items():
    assert read[name].dtype == np.asarray(array).dtype
    assert read[name].shape == np.shape(array)
    np.testing.assert_array_equal(read[name], array)


def test_numpy_reads_it_and_it_reads_numpys(tmp_path):
  reporting.write_arrays(tmp_path / 'ours', {'a': [1, 2]})
  with (tmp_path / 'ours').open('rb') as file:
    np.testing.assert_array_equal(np.load(file)['a'], [1, 2])
  np.savez(tmp_path / 'theirs.npz', a=[1, 2])
  np.testing.assert_array_equal(
    reporting.read_arrays(tmp_path / 'theirs.npz')['a'], [1, 2]
  )


def test_no_arrays_are_an_empty_file_of_arrays(tmp_path):
  reporting.write_arrays(tmp_path / 'a.npz', {})
  assert reporting.read_arrays(tmp_path / 'a.npz') == {}


def test_a_file_cut_anywhere_is_refused(tmp_path):
  path = tmp_path / 'scores.npz'
  reporting.write_arrays(path, _some_arrays())
  whole = path.read_bytes()
  for length in [*range(0, len(whole), 37), len(whole) - 1]:
    path.write_bytes(whole[:length])
    with pytest.raises(
      ValueError, match='scores.npz.* is not a whole file of arrays: .*Delete'
    ):
      reporting.read_arrays(path)


def test_a_damaged_file_is_refused_or_reads_the_same(tmp_path):
  path = tmp_path / 'scores.npz'
  arrays = {'a': np.random.default_rng(0).normal(size=8)}
  reporting.write_arrays(path, arrays)
  whole = path.read_bytes()
  num_refused = 0
  for position in range(len(whole)):
    damaged = bytearray(whole)
    damaged[position] ^= 0xFF
    path.write_bytes(damaged)
    try:
      (read,) = reporting.read_arrays(path).values()
    except ValueError as error:
      assert 'is not a whole file of arrays' in str(error)
      num_refused += 1
    else:  # Some bytes of the container (dates, say) mean nothing here.
      np.testing.assert_array_equal(read, arrays['a'])
  assert num_refused > len(whole) / 2


def test_other_files_are_refused_and_nothing_is_unpickled(tmp_path):
  path = tmp_path / 'a.npz'
  np.save(tmp_path / 'one.npy', np.zeros(3))
  np.savez(tmp_path / 'objects.npz', a=np.array([{}], dtype=object))
  others = [
    (tmp_path / 'one.npy').read_bytes(),
    (tmp_path / 'objects.npz').read_bytes(),
    pickle.dumps({'a': 1}),
    b'',
  ]
  for data in others:
    path.write_bytes(data)
    with pytest.raises(ValueError, match='is not a whole file of arrays'):
      reporting.read_arrays(path)


def test_a_missing_file_is_missing(tmp_path):
  with pytest.raises(FileNotFoundError):
    reporting.read_arrays(tmp_path / 'a.npz')


@pytest.mark.parametrize(
  'arrays, message',
  [
    ({'a': np.array([None])}, r"`arrays\['a'\]` has dtype object.*cast it"),
    (
      {'a': np.ones(2, ml_dtypes.bfloat16)},
      r"`arrays\['a'\]` has dtype bfloat16.*cast it",
    ),
    ({3: [1]}, 'must be strings, got 3'),
  ],
)
def test_refuses_what_a_file_cannot_hold(tmp_path, arrays, message):
  with pytest.raises(TypeError, match=message):
    reporting.write_arrays(tmp_path / 'a.npz', arrays)
  assert not (tmp_path / 'a.npz').exists()
