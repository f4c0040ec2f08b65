# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of runs that are killed, resumed, or find their files damaged."""

import collections
import csv
import json
import re
import shutil
import signal

import conftest
import numpy as np
import pytest
import tensorflow as tf
from absl import app

import tfp_ood

_DEFAULT_SCORES = [
  'negative_log_likelihood',
  'typicality',
  'input_complexity',
  'score_norm',
  'density_of_states_kde',
]
_STATISTICS = [
  'bits_per_dim',
  'density',
  'log_prob',
  'png_bits_per_dim',
  'score_norm',
  'volume',
]


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
  for name in (
    'results.json',
    'report.html',
    'scores.npz',
    'saved_model',
    'detector',
    'statistics',
    'figures',
  ):
    assert (sample_run.folder / name).exists(), name
  assert not (sample_run.folder / 'backup').exists()


def test_the_resumed_run_has_the_results_of_its_flags(sample_run):
  results = tfp_ood.reporting.read_results(sample_run.folder / 'results.json')
  names = [
    'sample_digits test',
    'sample_digits train',
    'sample_photographs test',
    'sample_digits upside down',
    'constant',
    'uniform_noise',
  ]
  assert list(results['bits_per_dim']) == names
  assert list(results['auroc']) == _DEFAULT_SCORES
  for aurocs in results['auroc'].values():
    assert list(aurocs) == names[1:]
  assert results['configuration']['model'] == 'glow'
  assert results['configuration']['epochs'] == 3
  assert results['evaluation'] == {
    'scores': _DEFAULT_SCORES,
    'out_of_distribution': ['sample_photographs'],
    'num_evaluated': 40,
  }
  assert results['training_of_others'] == {}
  # What only constant volumes, or ensembles, have.
  assert 'closed_form' not in next(iter(results['second_order'].values()))
  assert 'ensemble' not in results
  for flag in conftest.FLAGS:
    assert flag in results['command']
    assert flag in (sample_run.folder / 'report.html').read_text('utf-8')
  for name, bits in results['bits_per_dim'].items():
    assert f'{name:28}{bits["mean"]:>12.3f}' in sample_run.resumed.stdout


def test_a_third_run_says_that_all_is_done(sample_run):
  assert sample_run.third.returncode == 0, sample_run.third.stderr[-4000:]
  assert 'complete' in sample_run.third.stdout
  assert str(sample_run.folder / 'report.html') in sample_run.third.stdout
  assert 'first step' not in sample_run.third.stdout
  assert 'epoch' not in sample_run.third.stdout


def test_nothing_unfinished_is_left_behind(sample_run):
  names = {path.name for path in sample_run.folder.rglob('*')}
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


def test_truncated_statistics_are_refused(sample_run, run_example, tmp_path):
  shutil.copytree(sample_run.folder, tmp_path / 'run')
  (tmp_path / 'run' / 'results.json').unlink()
  path = tmp_path / 'run' / 'statistics' / 'sample_photographs_test.npz'
  _cut(path)
  with pytest.raises(ValueError, match='not a whole file') as error:
    run_example(*_flags(tmp_path / 'run'))
  assert str(path) in str(error.value)
  assert not (tmp_path / 'run' / 'results.json').exists()


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
  # As if interrupted while it scored the last data set.
  (folder / 'statistics' / 'uniform_noise.npz').unlink()
  run_example(*_flags(folder))
  output = capsys.readouterr().out
  assert 'trained already' in output
  assert 'epoch' not in output
  assert run_example.computed == [('uniform_noise', _STATISTICS)]
  actual = tfp_ood.reporting.read_results(folder / 'results.json')
  for name, bits in expected['bits_per_dim'].items():
    assert abs(actual['bits_per_dim'][name]['mean'] - bits['mean']) < 1e-3, name
  for name in ('report.html', 'scores.npz'):
    assert (folder / name).exists()


def test_one_more_score_computes_only_that(
  sample_run, run_example, tmp_path, capsys
):
  folder = tmp_path / 'run'
  shutil.copytree(sample_run.folder, folder)
  expected = tfp_ood.reporting.read_results(folder / 'results.json')
  trained = (folder / 'weights.index').stat().st_mtime_ns
  before = _read_statistics(folder)
  # The second of them is made of statistics that are there.
  more = ['likelihood_ratio', 'density_of_states_svm']
  flags = _flags(folder, f'--scores={",".join(_DEFAULT_SCORES + more)}')
  run_example(*flags)
  output = capsys.readouterr().out
  model, background = output.split('background:')
  assert 'trained already' in model
  assert 'epoch' not in model
  assert 'epoch 3:' in background
  assert (folder / 'weights.index').stat().st_mtime_ns == trained
  assert run_example.computed == [
    (name, ['background_log_prob']) for name in expected['bits_per_dim']
  ]
  after = _read_statistics(folder)
  assert after.keys() == before.keys()
  for path, arrays in before.items():
    assert after[path].keys() == arrays.keys() | {
      'background_log_prob',
      'made_by/background_log_prob',
    }
    for name, values in arrays.items():
      np.testing.assert_array_equal(after[path][name], values)
  actual = tfp_ood.reporting.read_results(folder / 'results.json')
  assert list(actual['auroc']) == _DEFAULT_SCORES + more
  for score, aurocs in expected['auroc'].items():
    assert actual['auroc'][score] == aurocs
  assert list(actual['training_of_others']) == ['background']
  assert actual['training'] == expected['training']
  page = (folder / 'report.html').read_text('utf-8')
  assert 'likelihood ratio' in page

  # A background model trained anew: its statistics alone are out of date.
  import flow_evaluation

  kinds = ('background_log_prob', 'ensemble_log_probs', 'log_prob')
  old = [flow_evaluation._fingerprint(kind, folder) for kind in kinds]
  path = folder / 'background' / 'training.json'
  text = path.read_text('utf-8')
  path.write_text(text + ' ', encoding='utf-8')
  new = [flow_evaluation._fingerprint(kind, folder) for kind in kinds]
  assert [a == b for a, b in zip(old, new, strict=True)] == [False, True, True]
  path.write_text(text, encoding='utf-8')

  # Now it is complete, and its background model is of these settings.
  run_example(*flags)
  assert 'complete' in capsys.readouterr().out
  with pytest.raises(
    app.UsageError, match='background.*mutation_rate: 0.1 there, 0.3 now'
  ):
    run_example(*flags, '--mutation_rate=0.3')


def _read_statistics(folder):
  return {
    path.name: tfp_ood.reporting.read_arrays(path)
    for path in (folder / 'statistics').iterdir()
  }


class _Model:
  """Has what statistics need of a flow; its likelihood is the red corner."""

  event_shape = tf.TensorShape([32, 32, 3])

  def log_prob_terms(self, images):
    log_prob = tf.cast(images[:, 0, 0, 0], tf.float32)
    return collections.namedtuple('Terms', ['density', 'volume'])(
      log_prob, tf.zeros_like(log_prob)
    )

  def log_prob(self, images):
    return sum(self.log_prob_terms(images))


def test_statistics_of_other_settings_are_not_taken_for_these(
  example_modules, tmp_path, monkeypatch
):
  flow_evaluation = example_modules('flow_evaluation')
  compute, computed = flow_evaluation._compute, []

  def watched(*args):
    values = compute(*args)
    computed.append(sorted(values))
    return values

  monkeypatch.setattr(flow_evaluation, '_compute', watched)

  def statistics(num_images, num_members, *scores):
    computed.clear()
    models = {'': _Model()}
    models |= {f'ensemble_{i}': _Model() for i in range(num_members)}
    dataset = tfp_ood.datasets.load(
      f'sample_digits/test[:{num_images}]', batch_size=8
    )
    (values,) = flow_evaluation._statistics(
      models,
      {'digits': dataset},
      {score: flow_evaluation.SCORES[score](None) for score in scores},
      str(tmp_path),
    ).values()
    images = np.concatenate([images for images, _ in dataset])
    np.testing.assert_array_equal(values['log_prob'], images[:, 0, 0, 0])
    return values

  of_flow = ['density', 'log_prob', 'volume']
  both = ['waic', 'typicality']
  assert statistics(12, 2, *both)['ensemble_log_probs'].shape == (12, 2)
  assert computed == [['density', 'ensemble_log_probs', 'log_prob', 'volume']]
  statistics(12, 2, *both)
  assert computed == []
  # Another --num_evaluated.
  assert statistics(10, 2, *both)['ensemble_log_probs'].shape == (10, 2)
  assert computed == [['density', 'ensemble_log_probs', 'log_prob', 'volume']]
  # Another --ensemble_size.
  assert statistics(10, 3, *both)['ensemble_log_probs'].shape == (10, 3)
  assert computed == [['ensemble_log_probs']]
  # None, for now.
  assert sorted(statistics(10, 0, 'typicality')) == of_flow
  assert computed == []
  statistics(10, 0, 'input_complexity')
  assert computed == [['bits_per_dim', 'png_bits_per_dim']]
  statistics(10, 3, *both)
  assert computed == []
