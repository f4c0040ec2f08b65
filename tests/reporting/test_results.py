# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of write_results and read_results."""

import json
import math

import numpy as np
import pytest

from tfp_ood import reporting


def test_round_trip(tmp_path):
  path = tmp_path / 'results.json'
  results = {
    'z first': {'größe': 'a "quoted" text\n', 'none': None, 'yes': True},
    'numbers': [1, 0.1, -1e-300, 2**70],
    'empty': {'list': [], 'dict': {}},
  }
  reporting.write_results(path, results)
  read = reporting.read_results(path)
  assert read == results
  assert list(read) == list(results)
  assert read['z first']['yes'] is True


@pytest.mark.parametrize(
  'value, expected',
  [
    (np.float64(0.1), 0.1),
    (np.float32(0.5), 0.5),
    (np.int64(7), 7),
    (np.bool_(True), True),
    (np.str_('name'), 'name'),
    (np.array(2.5), 2.5),
    (np.array([[1, 2], [3, 4]], np.uint8), [[1, 2], [3, 4]]),
    (np.array([]), []),
    ((1, (np.int32(2), 3.0)), [1, [2, 3.0]]),
  ],
)
def test_numpy_and_tuples_become_plain(tmp_path, value, expected):
  path = tmp_path / 'results.json'
  reporting.write_results(path, {'value': value})
  read = reporting.read_results(path)['value']
  assert read == expected
  assert type(read) is type(expected)


@pytest.mark.parametrize(
  'results, where',
  [
    ({'a': {'b': [0.0, math.nan]}}, r"results\['a'\]\['b'\]\[1\] is nan"),
    ({'a': np.float32('inf')}, r"results\['a'\] is inf"),
    ({'a': np.array([[0, -np.inf]])}, r"results\['a'\]\[0\]\[1\] is -inf"),
  ],
)
def test_refuses_numbers_that_are_not_finite(tmp_path, results, where):
  path = tmp_path / 'results.json'
  with pytest.raises(ValueError, match=where + ', which JSON cannot hold'):
    reporting.write_results(path, results)
  assert not path.exists()


@pytest.mark.parametrize(
  'results, message',
  [
    ([1, 2], '`results` must be a dict, got list'),
    ({'a': {'b': {1, 2}}}, r"results\['a'\]\['b'\] is a set, which JSON"),
    ({'a': np.array([1j])}, r"results\['a'\]\[0\] is a complex, which JSON"),
    ({'a': {3: 'x'}}, r"results\['a'\] has the key 3, a int; keys must be"),
  ],
)
def test_refuses_what_json_cannot_hold(tmp_path, results, message):
  with pytest.raises(TypeError, match=message):
    reporting.write_results(tmp_path / 'results.json', results)


def test_a_file_cut_anywhere_is_refused(tmp_path):
  path = tmp_path / 'results.json'
  reporting.write_results(path, {'größe': [1, 2.5, None], 'b': {'c': 'd'}})
  whole = path.read_bytes()
  for length in range(len(whole) - 1):  # The last byte only ends the line.
    path.write_bytes(whole[:length])
    with pytest.raises(
      ValueError, match='results.json.* is not a whole results file: .*Delete'
    ):
      reporting.read_results(path)


@pytest.mark.parametrize(
  'text, message',
  [
    ('[1, 2]', 'it holds a list, not an object'),
    ('{"a": NaN}', 'it holds NaN, which is not JSON'),
    ('{"a": -Infinity}', 'it holds -Infinity'),
    ('{"a": 1} {"b": 2}', 'Extra data'),
  ],
)
def test_other_files_are_refused(tmp_path, text, message):
  path = tmp_path / 'results.json'
  path.write_text(text)
  with pytest.raises(ValueError, match=message):
    reporting.read_results(path)


def test_bytes_that_are_not_text_are_refused(tmp_path):
  path = tmp_path / 'results.json'
  path.write_bytes(b'{"a": "\xff"}')
  with pytest.raises(ValueError, match='is not a whole results file'):
    reporting.read_results(path)


def test_a_missing_file_is_missing(tmp_path):
  with pytest.raises(FileNotFoundError):
    reporting.read_results(tmp_path / 'results.json')


def test_the_file_is_readable_json(tmp_path):
  path = tmp_path / 'results.json'
  reporting.write_results(path, {'größe': {'a': 1}})
  text = path.read_text(encoding='utf-8')
  assert text == '{\n  "größe": {\n    "a": 1\n  }\n}\n'
  assert json.loads(text) == {'größe': {'a': 1}}
