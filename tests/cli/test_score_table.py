# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the table of scores, which survives interruptions."""

import csv
import math

import numpy as np
import pytest

from tfp_ood.cli._errors import CommandError
from tfp_ood.cli._score_table import ScoreTable

_NAMES = ['a, b.png', 'c "quoted".png', 'dä.png', 'e.png', 'f.png']
_OF = {'folder': '/photos', 'detector': 'abc'}
_PAIRS = [
  (np.float32(0.1), None),
  (None, 'no "image", cut short'),
  (np.float32(np.inf), None),
  (np.float32(np.nan), None),
  (np.float32(-7.25), None),
]


def _table(folder, names=None, of=None):
  return ScoreTable(folder, names or _NAMES, of or _OF)


def _append(table, *chunks):
  with table.appending() as append:
    for chunk in chunks:
      append(chunk)


def _complete(table):
  p_values = np.where(np.isnan(table.scores), np.nan, 0.25)
  table.complete(p_values, np.array([True, False, True, True, False]))


def _rows(path):
  with open(path, encoding='utf-8', newline='') as file:
    return list(csv.reader(file))


def test_a_table(tmp_path):
  table = _table(tmp_path)
  assert len(table) == 0
  _append(table, _PAIRS[:2], _PAIRS[2:])
  np.testing.assert_array_equal(
    table.scores, [np.float32(0.1), np.nan, np.inf, np.nan, -7.25]
  )
  _complete(table)
  assert _rows(table.path) == [
    ['path', 'score', 'p_value', 'flagged', 'error'],
    ['a, b.png', repr(float(np.float32(0.1))), '0.25', 'True', ''],
    ['c "quoted".png', '', '', '', 'no "image", cut short'],
    ['dä.png', 'inf', '0.25', 'True', ''],
    ['e.png', '', '', 'True', ''],  # Its score is no number.
    ['f.png', '-7.25', '0.25', 'False', ''],
  ]
  assert {path.name for path in tmp_path.iterdir()} == {
    'scores.csv',
    'scores.json',
  }


@pytest.mark.parametrize('num_done', range(6))
def test_an_interrupted_table_goes_on(tmp_path, num_done):
  _append(_table(tmp_path), _PAIRS[:num_done])
  again = _table(tmp_path)
  assert len(again) == num_done
  _append(again, _PAIRS[num_done:])
  _complete(again)
  whole = tmp_path / 'whole'
  at_once = _table(whole)
  _append(at_once, _PAIRS)
  _complete(at_once)
  assert again.path.read_bytes() == at_once.path.read_bytes()


def test_whatever_byte_it_was_cut_after(tmp_path):
  _append(_table(tmp_path), _PAIRS)
  partial = tmp_path / 'scores.csv.partial'
  content = partial.read_bytes()
  for length in range(len(content) + 1):
    partial.write_bytes(content[:length])
    table = _table(tmp_path)
    assert len(table) == content[:length].count(b'\n')
    _append(table, _PAIRS[len(table) :])
    assert partial.read_bytes() == content


def test_what_was_appended_is_on_disk_before_an_error(tmp_path):
  table = _table(tmp_path)
  with pytest.raises(RuntimeError), table.appending() as append:
    append(_PAIRS[:3])
    raise RuntimeError
  assert len(table) == len(_table(tmp_path)) == 3


def test_a_complete_table_is_read_again(tmp_path):
  table = _table(tmp_path)
  _append(table, _PAIRS)
  _complete(table)
  again = _table(tmp_path)
  np.testing.assert_array_equal(again.scores, table.scores)
  assert again.errors == table.errors
  content = table.path.read_bytes()
  _complete(again)
  assert table.path.read_bytes() == content


@pytest.mark.parametrize('what', ['folder', 'detector'])
def test_another_table_is_refused(tmp_path, what):
  _append(_table(tmp_path), _PAIRS[:1])
  with pytest.raises(CommandError, match=f'of another {what}.*another --out'):
    _table(tmp_path, of=_OF | {what: 'other'})


@pytest.mark.parametrize(
  'content',
  [b'other.png,1.0,\n', b'one,two\n', b'"a, b.png",high,\n', b'\xff\n'],
)
def test_damage_is_told(tmp_path, content):
  _table(tmp_path)
  (tmp_path / 'scores.csv.partial').write_bytes(content)
  with pytest.raises(CommandError, match='damaged.*Delete it'):
    _table(tmp_path)


def test_numbers_come_back_exactly(tmp_path):
  values = np.random.default_rng(0).normal(size=50).astype(np.float32)
  names = [f'{number}.png' for number in range(50)]
  _append(_table(tmp_path, names), [(value, None) for value in values])
  again = _table(tmp_path, names)
  assert again.scores.dtype == np.float64
  np.testing.assert_array_equal(again.scores, values.astype(np.float64))
  assert not any(map(math.isnan, again.scores))
