# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of runs that are killed, resumed, or find their files damaged."""

import csv
import json
import re
import shutil
import signal

import conftest
import pytest
from absl import app

import tfp_ood


def _cut(path, keep=0.6):
  content = path.read_bytes()
  path.write_bytes(content[: int(len(content) * keep)])


def _flags(folder, *more):
  return [*conftest.FLAGS, f'--output_dir={folder}', *more]


def _first_step(process):
  return int(re.search(r'^first step: (\d+)$', process.stdout, re.M)[1])


def test_the_first_run_was_killed(sample_run):
  assert sample_run.killed.returncode == -signal.SIGKILL
  assert _first_step(sample_run.killed) == 1
  assert not (sample_run.interrupted / 'results.json').exists()
  assert (sample_run.interrupted / 'backup' / 'chief' / 'checkpoint').exists()


def test_the_second_run_resumes_and_ends(sample_run):
  assert sample_run.resumed.returncode == 0, sample_run.resumed.stderr[-4000:]
  last_backup = (
    conftest.KILLED_AFTER // conftest.BACKUP_STEPS * conftest.BACKUP_STEPS
  )
  first = _first_step(sample_run.resumed)
  assert last_backup - conftest.BACKUP_STEPS < first <= last_backup + 2
  training = json.loads((sample_run.folder / 'training.json').read_text())
  assert training['steps'] == 3 * conftest.STEPS_PER_EPOCH
  assert training['images'] == training['steps'] * 64
  assert training['seconds'] >= 0
  with open(sample_run.folder / 'epochs.csv', newline='') as file:
    epochs = [int(row['epoch']) for row in csv.DictReader(file)]
  assert epochs == [0, 1, 2]
  assert [row['epoch'] for row in training['epochs']] == [1, 2, 3]
  for name in ('results.json', 'report.html', 'scores.npz', 'saved_model'):
    assert (sample_run.folder / name).exists(), name
  assert not (sample_run.folder / 'backup').exists()


def test_a_third_run_says_that_all_is_done(sample_run):
  assert sample_run.third.returncode == 0, sample_run.third.stderr[-4000:]
  assert 'complete' in sample_run.third.stdout
  assert str(sample_run.folder / 'report.html') in sample_run.third.stdout
  assert 'first step' not in sample_run.third.stdout
  assert 'epoch' not in sample_run.third.stdout


def test_nothing_unfinished_is_left_behind(sample_run):
  names = {path.name for path in sample_run.folder.iterdir()}
  assert not [name for name in names if name.startswith('.')]


def test_other_flags_with_the_same_folder_are_refused(sample_run, run_example):
  with pytest.raises(
    app.UsageError, match='learning_rate: 0.001 there, 0.5 now.*--output_dir'
  ):
    run_example(*_flags(sample_run.folder, '--learning_rate=0.5'))
  # So are other flags for a run that is not complete.
  with pytest.raises(app.UsageError, match='seed: 0 there, 1 now'):
    run_example(*_flags(sample_run.interrupted, '--seed=1'))


@pytest.mark.parametrize('name', ['results.json', 'configuration.json'])
def test_truncated_results_are_refused(sample_run, run_example, tmp_path, name):
  shutil.copytree(sample_run.folder, tmp_path / 'run')
  _cut(tmp_path / 'run' / name)
  with pytest.raises(ValueError, match='not a whole results file') as error:
    run_example(*_flags(tmp_path / 'run'))
  assert str(tmp_path / 'run' / name) in str(error.value)


def test_a_truncated_training_record_is_refused(
  sample_run, run_example, tmp_path
):
  shutil.copytree(sample_run.folder, tmp_path / 'run')
  (tmp_path / 'run' / 'results.json').unlink()
  path = tmp_path / 'run' / 'training.json'
  _cut(path)
  with pytest.raises(ValueError, match='not a whole results file') as error:
    run_example(*_flags(tmp_path / 'run'))
  assert str(path) in str(error.value)


@pytest.mark.parametrize(
  'name', ['weights.index', 'weights.data-00000-of-00001']
)
def test_truncated_weights_are_refused(sample_run, run_example, tmp_path, name):
  shutil.copytree(sample_run.folder, tmp_path / 'run')
  (tmp_path / 'run' / 'results.json').unlink()
  _cut(tmp_path / 'run' / name)
  with pytest.raises(ValueError, match='absent, damaged') as error:
    run_example(*_flags(tmp_path / 'run'))
  assert str(tmp_path / 'run' / 'weights') in str(error.value)
  assert not (tmp_path / 'run' / 'results.json').exists()


@pytest.mark.parametrize('suffix', ['index', 'data-00000-of-00001'])
def test_a_truncated_backup_is_refused_by_the_example(
  sample_run, run_example, tmp_path, suffix
):
  folder = tmp_path / 'run'
  shutil.copytree(sample_run.interrupted, folder)
  (folder / 'backup' / 'chief' / 'checkpoint').write_text(
    (folder / 'backup' / 'chief' / 'checkpoint')
    .read_text()
    .replace(str(sample_run.folder), str(folder))
  )
  paths = list((folder / 'backup').rglob(f'ckpt*.{suffix}'))
  assert paths
  for path in paths:
    _cut(path)
  with pytest.raises(ValueError, match='interrupted training run') as error:
    run_example(*_flags(folder))
  assert str(folder / 'backup') in str(error.value)


def test_truncated_scores_are_refused(sample_run, tmp_path, monkeypatch):
  monkeypatch.syspath_prepend(str(conftest.EXAMPLES))
  import flow_report

  folder = tmp_path / 'run'
  folder.mkdir()
  for name in ('results.json', 'scores.npz'):
    shutil.copy(sample_run.folder / name, folder)
  flow_report.main(str(folder))
  assert (folder / 'report.html').exists()
  (folder / 'report.html').unlink()
  content = (folder / 'scores.npz').read_bytes()
  for keep in (0, 10, len(content) // 2, len(content) - 1):
    (folder / 'scores.npz').write_bytes(content[:keep])
    with pytest.raises(ValueError, match='not a whole file') as error:
      flow_report.main(str(folder))
    assert str(folder / 'scores.npz') in str(error.value)
  assert not (folder / 'report.html').exists()


def test_a_finished_model_is_scored_without_training(
  sample_run, run_example, tmp_path, capsys
):
  folder = tmp_path / 'run'
  shutil.copytree(sample_run.folder, folder)
  expected = tfp_ood.reporting.read_results(folder / 'results.json')
  for name in ('results.json', 'report.html', 'scores.npz'):
    (folder / name).unlink()
  run_example(*_flags(folder))
  output = capsys.readouterr().out
  assert 'trained already' in output
  actual = tfp_ood.reporting.read_results(folder / 'results.json')
  for name, bits in expected['bits_per_dim'].items():
    assert abs(actual['bits_per_dim'][name]['mean'] - bits['mean']) < 1e-3, name
