# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests that the tutorials run, and find what they tell."""

import json
import re

import pytest
from integration.python_runs import ROOT

_TUTORIALS = ROOT / 'docs' / 'tutorials'


def _cells(name):
  path = _TUTORIALS / f'{name}.ipynb'
  return json.loads(path.read_text('utf-8'))['cells']


@pytest.fixture(name='run')
def _run(tmp_path, monkeypatch, capsys):
  """Runs the code of a tutorial, and returns what it prints."""
  monkeypatch.chdir(tmp_path)
  # For those who run in processes of their own.
  monkeypatch.setenv('PYTHONPATH', str(ROOT))

  def run(name):
    code = [
      ''.join(cell['source'])
      for cell in _cells(name)
      if cell['cell_type'] == 'code'
    ]
    exec(compile('\n\n'.join(code), name, 'exec'), {'__name__': name})
    return capsys.readouterr().out

  return run


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


def _aurocs(score, data, text):
  """AUROCs of a score in each of the tables that have it."""
  tables = re.findall(rf'^{score} +AUROC.*\n((?:.+\n)*)', text, re.MULTILINE)
  return _numbers(rf'^{data} +([\d.]+) +\[', '\n'.join(tables))


@pytest.mark.slow
def test_see_the_phenomenon(run):
  output = run('see_the_phenomenon')
  bits = _numbers(r': ([\d.]+) bits per dimension', output)
  photographs, digits, constant, noise = bits
  assert constant < digits < photographs < noise
  assert _numbers(r'^AUROC of the likelihood: ([\d.]+)', output)[0] < 0.25
  volumes = _numbers(r'volume (-?\d+) nats', output)
  assert volumes == sorted(volumes)
  assert _aurocs('likelihood', 'digits', output)[0] < 0.25
  assert _aurocs('default', 'digits', output)[0] > 0.8
  for data in ('constant', 'noise'):
    assert _aurocs('default', data, output)[0] > 0.95


@pytest.mark.slow
def test_compose_a_flow(run):
  output = run('compose_a_flow')
  assert _numbers(r'^largest difference: (.+)$', output)[0] < 0.01
  (photographs,) = _numbers(r'^photographs: ([\d.]+) bits', output)
  (digits,) = _numbers(r'^digits: ([\d.]+) bits', output)
  assert 0 < digits < photographs < 8
  few, many = _numbers(r'steps: (\d+) nodes', output)
  chain_of_few, chain_of_many = _numbers(r'a chain (\d+)$', output)
  assert few == many
  assert chain_of_many > 3 * chain_of_few


@pytest.mark.slow
def test_detect_in_a_pipeline(run):
  output = run('detect_in_a_pipeline')
  (false_alarms,) = _numbers(r'^([\d.]+) of photographs are', output)
  (found,) = _numbers(r'^([\d.]+) of digits are flagged$', output)
  assert false_alarms < 0.15 and found > 0.5
  usual, strange = _numbers(r'^(\d+) of 200 \w+ passed$', output)
  # A filter of p-values does what `predict` does.
  assert usual == round(200 * (1 - false_alarms))
  assert strange == round(200 * (1 - found))
  flagged, wrongly = map(
    int, re.search(r'^(\d+) are flagged, (\d+) of', output, re.M).groups()
  )
  assert flagged > 50 and wrongly < 0.2 * flagged
  (exported,) = _numbers(r'^([\d.]+) of digits are flagged there', output)
  assert abs(exported - found) < 0.011  # Scores at the threshold may round.
  assert 'the library was not needed: True' in output
  assert 'must hold raw pixels' in output


@pytest.mark.slow
def test_your_own_classifier(run):
  output = run('your_own_classifier')
  assert _numbers(r'not trained on: ([\d.]+)', output)[0] > 0.95
  assert min(_numbers(r'confidence ([\d.]+)', output)) > 0.8
  swapped = [
    _aurocs(score, 'swapped colors', output)[0]
    for score in ('layers', 'max-softmax', 'energy', 'classifier', 'flow')
  ]
  layers, softmax, energy, classifier, flow = swapped
  assert layers > max(softmax, energy)
  assert classifier > flow + 0.02
  digits = {
    score: _aurocs(score, 'digits', output)[0]
    for score in ('flow', 'classifier', 'flow and classifier')
  }
  assert digits['flow'] > digits['classifier'] + 0.2
  assert digits['flow and classifier'] > digits['classifier']
  assert _aurocs('flow and classifier', 'swapped colors', output)[0] > 0.5
  # More than the false alarms would be.
  assert min(_numbers(r'^(\d+) of 64 flagged', output)) > 4
