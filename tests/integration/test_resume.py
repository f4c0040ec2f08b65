# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of an experiment that is killed in the middle, and run again."""

import collections
import csv
import os
import re
import shutil
import signal

import pytest
from integration.python_runs import EXAMPLES, run_python

from tfp_ood import reporting

pytestmark = [
  pytest.mark.slow,
  pytest.mark.skipif(
    not hasattr(signal, 'SIGKILL'), reason='No SIGKILL on this system.'
  ),
]

_STEPS_PER_EPOCH = 21  # 1,297 digits in batches of 64.
_KILLED_AFTER = 33
_BACKUP_STEPS = 5
_FLAGS = (
  '--data=sample',
  '--preset=tiny',
  '--num_levels=1',
  '--num_steps=1',
  '--hidden_channels=4',
  '--epochs=3',
  '--num_evaluated=40',
  '--bundled=',
)
# The example as it is, with more frequent backups. It says where
# it starts to train; the variable KILL_AFTER makes it end as `kill -9` would, in the
# middle of a step.
_DRIVER = f"""
import importlib
import os
import signal
import sys

sys.path.insert(0, {str(EXAMPLES)!r})

import fashion_mnist_mnist
from absl import app

training = importlib.import_module('tfp_ood.training.train_or_restore')


class Watch(training.StopOnNaN):
  def on_train_begin(self, logs=None):
    self._first = True

  def on_train_batch_end(self, batch, logs=None):
    super().on_train_batch_end(batch, logs)
    step = int(self.model.optimizer.iterations)
    if self._first:
      print('first step:', step, flush=True)
    self._first = False
    if step == int(os.environ.get('KILL_AFTER', '0')):
      os.kill(os.getpid(), signal.SIGKILL)


training.StopOnNaN = Watch
training._BACKUP_STEPS = {_BACKUP_STEPS}
app.run(fashion_mnist_mnist.main)
"""

_Runs = collections.namedtuple(
  '_Runs', ['folder', 'interrupted', 'driver', 'killed', 'resumed', 'third']
)


@pytest.fixture(scope='module', name='runs')
def _runs(tmp_path_factory):
  """A run that is killed, run again to its end, and run a third time."""
  workplace = tmp_path_factory.mktemp('runs')
  driver = workplace / 'driver.py'
  driver.write_text(_DRIVER)
  folder, interrupted = workplace / 'outputs', workplace / 'interrupted'
  command = [driver, *_FLAGS, f'--output_dir={folder}']
  killed = run_python(command, workplace, KILL_AFTER=str(_KILLED_AFTER))
  shutil.copytree(folder, interrupted)
  resumed = run_python(command, workplace)
  third = run_python(command, workplace)
  return _Runs(folder, interrupted, driver, killed, resumed, third)


def _first_step(process):
  return int(re.search(r'^first step: (\d+)$', process.stdout, re.M)[1])


def test_the_first_run_was_killed(runs):
  assert runs.killed.returncode == -signal.SIGKILL
  assert _first_step(runs.killed) == 1
  assert not (runs.interrupted / 'results.json').exists()
  assert (runs.interrupted / 'backup' / 'chief' / 'checkpoint').exists()


def test_the_second_run_resumes_and_ends(runs):
  assert runs.resumed.returncode == 0, runs.resumed.stderr[-4000:]
  last_backup = _KILLED_AFTER // _BACKUP_STEPS * _BACKUP_STEPS
  first = _first_step(runs.resumed)
  assert last_backup - _BACKUP_STEPS < first <= last_backup + 2
  training = reporting.read_results(runs.folder / 'training.json')
  assert training['steps'] == 3 * _STEPS_PER_EPOCH
  assert training['examples'] == training['steps'] * 64
  assert training['seconds'] >= 0
  with open(runs.folder / 'epochs.csv', newline='') as file:
    epochs = [int(row['epoch']) for row in csv.DictReader(file)]
  assert epochs == [0, 1, 2]
  assert [row['epoch'] for row in training['epochs']] == [1, 2, 3]
  for name in (
    'results.json',
    'report.html',
    'evaluation.npz',
    'saved_model',
    'detector',
    'statistics',
    'figures',
  ):
    assert (runs.folder / name).exists(), name
  assert not (runs.folder / 'backup').exists()


def test_the_resumed_run_has_the_results_of_its_flags(runs):
  results = reporting.read_results(runs.folder / 'results.json')
  names = [
    'sample_digits test',
    'sample_digits train',
    'sample_photographs test',
    'constant',
    'uniform_noise',
    'upside down',
  ]
  scores = [
    'negative_log_likelihood',
    'typicality',
    'input_complexity',
    'score_norm',
    'density_of_states_kde',
  ]
  assert list(results['bits_per_dim']) == names
  assert list(results['auroc']) == [*scores, 'default']
  for aurocs in results['auroc'].values():
    assert list(aurocs) == names[1:]
  assert results['configuration']['model'] == 'glow'
  assert results['configuration']['epochs'] == 3
  assert results['evaluation']['scores'] == scores
  assert results['evaluation']['out_of_distribution'] == ['sample_photographs']
  assert results['evaluation']['num_evaluated'] == 40
  # What is not asked for is not done.
  assert 'The second-order analysis' not in results['sections']
  assert 'The ensemble' not in results['sections']
  for flag in _FLAGS:
    assert flag in results['command']
  for name, bits in results['bits_per_dim'].items():
    assert f'{name:28}{bits["mean"]:>12.3f}' in runs.resumed.stdout


def test_a_third_run_says_that_all_is_done(runs):
  assert runs.third.returncode == 0, runs.third.stderr[-4000:]
  assert 'complete' in runs.third.stdout
  assert str(runs.folder / 'report.html') in runs.third.stdout
  assert 'first step' not in runs.third.stdout
  assert 'epoch' not in runs.third.stdout


def test_nothing_unfinished_is_left_behind(runs):
  names = {path.name for path in runs.folder.rglob('*')}
  assert not [name for name in names if name.startswith('.')]


@pytest.mark.exhaustive
def test_a_truncated_backup_is_refused(runs, tmp_path):
  folder = tmp_path / 'run'
  shutil.copytree(runs.interrupted, folder)
  checkpoint = folder / 'backup' / 'chief' / 'checkpoint'
  checkpoint.write_text(
    checkpoint.read_text().replace(str(runs.folder), str(folder))
  )
  paths = list((folder / 'backup').rglob('ckpt*.data-00000-of-00001'))
  assert paths
  for path in paths:
    content = path.read_bytes()
    path.write_bytes(content[: int(0.6 * len(content))])
  process = run_python(
    [runs.driver, *_FLAGS, f'--output_dir={folder}'], tmp_path
  )
  assert process.returncode != 0
  assert 'interrupted training run' in process.stderr
  assert os.path.join(folder, 'backup') in process.stderr
