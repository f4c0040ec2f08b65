# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of nests of dictionaries and lists in a file."""

import math

import numpy as np
import pytest

from tfp_ood import reporting


def _round_trip(tmp_path, tree):
  path = tmp_path / 'tree.npz'
  reporting.write_tree(path, tree)
  return reporting.read_tree(path)


def test_round_trip(tmp_path):
  tree = {
    'none': None,
    'größer': ['text', True, 3, 0.1],
    'nested': [{'scores': np.array([1.5, np.nan], np.float32)}, []],
    'empty': {},
    'image': np.arange(12, dtype=np.uint8).reshape([2, 2, 3]),
    'scalar': np.array(2**60),
  }
  found = _round_trip(tmp_path, tree)
  arrays = [
    (found['nested'][0].pop('scores'), tree['nested'][0].pop('scores')),
    (found.pop('image'), tree.pop('image')),
    (found.pop('scalar'), tree.pop('scalar')),
  ]
  assert found == tree
  assert list(found) == list(tree)
  for here, there in arrays:
    assert here.dtype == there.dtype and here.shape == there.shape
    np.testing.assert_array_equal(here, there)


def test_tuples_and_numbers_of_numpy_become_plain(tmp_path):
  found = _round_trip(tmp_path, [(np.int64(3), np.float32(0.5)), np.bool_(1)])
  assert found == [[3, 0.5], True]
  assert [type(value) for value in found[0]] == [int, float]


def test_numbers_need_not_be_finite(tmp_path):
  found = _round_trip(tmp_path, [math.inf, -math.inf, math.nan])
  assert found[:2] == [math.inf, -math.inf] and math.isnan(found[2])


@pytest.mark.parametrize('tree', [{'a': object()}, [{1, 2}], {(1, 2): 3}])
def test_refuses_what_a_file_cannot_hold(tmp_path, tree):
  path = tmp_path / 'tree.npz'
  with pytest.raises(TypeError):
    reporting.write_tree(path, tree)
  assert not path.exists()


def test_other_files_are_refused(tmp_path):
  path = tmp_path / 'arrays.npz'
  reporting.write_arrays(path, {'a': np.zeros([2])})
  with pytest.raises(ValueError, match='arrays, but no tree'):
    reporting.read_tree(path)
  path.write_bytes(b'PK no archive')
  with pytest.raises(ValueError, match='damaged|not'):
    reporting.read_tree(path)
  with pytest.raises(FileNotFoundError):
    reporting.read_tree(tmp_path / 'missing.npz')
