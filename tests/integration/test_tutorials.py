# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests that the tutorials run, and find what they tell."""

import json
import re

import pytest
from integration.python_runs import ROOT, run_python

_TUTORIALS = ROOT / 'docs' / 'tutorials'


def _cells(name):
  path = _TUTORIALS / f'{name}.ipynb'
  return json.loads(path.read_text('utf-8'))['cells']


def _run(name, folder):
  """Runs a tutorial as a script, and returns what it prints."""
  script = folder / f'{name}.py'
  code = [
    ''.join(cell['source'])
    for cell in _cells(name)
    if cell['cell_type'] == 'code'
  ]
  script.write_text('\n\n'.join(code), encoding='utf-8')
  process = run_python([script], folder)
  assert process.returncode == 0, process.stderr[-4000:]
  return process.stdout


def _numbers(pattern, text):
  """The number in each match of a pattern."""
  found = [float(number) for number in re.findall(pattern, text, re.MULTILINE)]
  assert found, f'{pattern} is not in\n{text}'
  return found


@pytest.mark.parametrize(
  'name', [path.stem for path in sorted(_TUTORIALS.glob('*.ipynb'))]
)
def test_tutorials_are_kept_as_they_are_read(name):
  cells = _cells(name)
  # Shown are the outputs of today, when the site is built.
  assert not any(cell.get('outputs') for cell in cells)
  title = cells[0]['source'][0].strip()
  index = (_TUTORIALS / 'README.md').read_text('utf-8')
  assert f'[{title.removeprefix("# ")}]({name}.ipynb)' in index
  assert f'test_{name}' in globals(), 'It has no test here.'


@pytest.mark.slow
def test_compose_a_flow(tmp_path):
  output = _run('compose_a_flow', tmp_path)
  assert _numbers(r'^largest difference: (.+)$', output)[0] < 0.01
  (photographs,) = _numbers(r'^photographs: ([\d.]+) bits', output)
  (digits,) = _numbers(r'^digits: ([\d.]+) bits', output)
  assert 0 < digits < photographs < 8
  few, many = _numbers(r'steps: (\d+) nodes', output)
  chain_of_few, chain_of_many = _numbers(r'a chain (\d+)$', output)
  assert few == many
  assert chain_of_many > 3 * chain_of_few
