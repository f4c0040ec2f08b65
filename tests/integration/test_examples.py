# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the example scripts, as a person would run them."""

import html.parser
import itertools

import conftest
import numpy as np
import pytest
from absl import app

import tfp_ood

_NAMES = [
  'sample_digits test',
  'sample_digits train',
  'sample_photographs test',
  'constant',
  'uniform_noise',
]


def test_compose_a_flow(tmp_path):
  path = conftest.EXAMPLES / 'compose_a_flow.py'
  assert len(path.read_text().splitlines()) < 60
  result = conftest.run_python([path], tmp_path)
  assert result.returncode == 0, result.stderr[-4000:]
  lines = result.stdout.splitlines()
  assert any('bits_per_dim' in line for line in lines)
  scores = [float(line.split()[1]) for line in lines if 'digits:' in line]
  assert len(scores) == 5
  assert all(0 < score < 20 for score in scores)


def test_help_lists_the_flags(tmp_path):
  path = conftest.EXAMPLES / 'cifar_svhn.py'
  result = conftest.run_python([path, '--help'], tmp_path)
  assert result.returncode in (0, 1)  # absl's --help ends with 1.
  assert 'Traceback' not in result.stderr
  for flag in (
    'data',
    'data_dir',
    'epochs',
    'in_distribution',
    'learning_rate',
    'model',
    'num_evaluated',
    'out_of_distribution',
    'output_dir',
    'precision',
    'preset',
    'seed',
    'strategy',
    'tensorboard',
    'train_minutes',
  ):
    assert f'--{flag}:' in result.stdout or f']{flag}:' in result.stdout, flag
  assert 'python examples/cifar_svhn.py --data=sample' in result.stdout
  assert list(tmp_path.iterdir()) == []


def test_unknown_values_of_flags_are_refused(tmp_path):
  path = conftest.EXAMPLES / 'cifar_svhn.py'
  result = conftest.run_python([path, '--model=pixelcnn'], tmp_path)
  assert result.returncode != 0
  assert 'Traceback' not in result.stderr
  assert 'cv_glow|glow' in result.stderr
  assert list(tmp_path.iterdir()) == []


def test_flags_that_contradict_each_other_are_refused(tmp_path, run_example):
  with pytest.raises(app.UsageError, match='not both'):
    run_example(
      '--data=sample',
      '--epochs=1',
      '--train_minutes=1',
      f'--output_dir={tmp_path / "run"}',
    )
  assert not (tmp_path / 'run').exists()


@pytest.mark.parametrize('flag', ['in_distribution', 'out_of_distribution'])
def test_unknown_data_sets_are_named(tmp_path, run_example, flag):
  with pytest.raises((ValueError, FileNotFoundError), match='no_such_data_set'):
    run_example(
      '--data=sample',
      '--preset=tiny',
      f'--data_dir={tmp_path}',
      f'--{flag}=no_such_data_set',
      f'--output_dir={tmp_path / "run"}',
    )


def test_data_sets_that_are_not_prepared_are_named(tmp_path, run_example):
  with pytest.raises(FileNotFoundError, match='cifar10') as error:
    run_example(f'--data_dir={tmp_path}', f'--output_dir={tmp_path / "run"}')
  assert str(tmp_path) in str(error.value)


@pytest.fixture(name='results')
def _results(sample_run):
  return tfp_ood.reporting.read_results(sample_run.folder / 'results.json')


def test_results_are_complete(results):
  assert list(results) == [
    'command',
    'configuration',
    'versions',
    'training',
    'seconds',
    'bits_per_dim',
    'density',
    'volume',
    'auroc',
    'graying',
  ]
  assert results['command'].startswith('python ')
  assert results['command'].endswith(results['command'].split('--')[-1])
  for flag in conftest.FLAGS:
    assert flag in results['command']
  configuration = results['configuration']
  assert configuration['in_distribution'] == 'sample_digits'
  assert configuration['out_of_distribution'] == ['sample_photographs']
  assert configuration['epochs'] == 3
  assert configuration['train_minutes'] is None
  assert configuration['num_evaluated'] == 40
  assert {'tfp_ood', 'python', 'tensorflow', 'tensorflow-probability'} <= set(
    results['versions']
  )
  assert results['versions']['tfp_ood'] == tfp_ood.__version__
  assert results['seconds'] > 0


def test_results_by_data_set(results):
  for key in ('bits_per_dim', 'density', 'volume'):
    assert list(results[key]) == _NAMES
    for name, summary in results[key].items():
      assert set(summary) == {'mean', 'standard_error', 'num_examples'}
      controls = name in ('constant', 'uniform_noise')
      assert summary['num_examples'] == (1_000 if controls else 40)
      assert summary['standard_error'] >= 0
  for name in _NAMES:
    log_prob = (
      results['density'][name]['mean'] + results['volume'][name]['mean']
    )
    bits = -log_prob / 3072 / np.log(2)
    np.testing.assert_allclose(
      results['bits_per_dim'][name]['mean'], bits, rtol=1e-6
    )
    assert 0 < bits < 100


def test_results_compare_with_the_test_data(results):
  assert list(results['auroc']) == _NAMES[1:]
  for auroc in results['auroc'].values():
    assert 0 <= auroc['lower'] <= auroc['auroc'] <= auroc['upper'] <= 1
  # Its own training data look like the test data.
  assert 0.2 < results['auroc']['sample_digits train']['auroc'] < 0.8


def test_results_of_graying(results):
  graying = results['graying']
  np.testing.assert_allclose(graying['factor'], np.linspace(0, 1, 11))
  assert len(graying['bits_per_dim']) == 11
  # Nothing is grayed at factor 0.
  np.testing.assert_allclose(
    graying['bits_per_dim'][0]['mean'],
    results['bits_per_dim']['sample_digits test']['mean'],
    rtol=1e-5,
  )


def test_scores_are_those_of_the_results(results, sample_run):
  arrays = tfp_ood.reporting.read_arrays(sample_run.folder / 'scores.npz')
  for name, part in itertools.product(_NAMES, ('density', 'volume')):
    values = arrays[f'{name}/{part}']
    assert values.dtype == np.float64
    np.testing.assert_allclose(values.mean(), results[part][name]['mean'])
  log_prob = {
    name: arrays[f'{name}/density'] + arrays[f'{name}/volume']
    for name in _NAMES
  }
  for name, values in log_prob.items():
    for extreme, ordered in (
      ('most_likely', np.sort(values)[::-1]),
      ('least_likely', np.sort(values)),
    ):
      indices = arrays[f'{name}/{extreme}_indices']
      assert len(set(indices)) == 16
      np.testing.assert_array_equal(values[indices], ordered[:16])
    assert arrays[f'{name}/most_likely'].shape == (16, 32, 32, 3)
  # By its definition: the share of pairs in the right order.
  inside = -log_prob[_NAMES[0]]
  for name in _NAMES[1:]:
    outside = -log_prob[name][:, np.newaxis]
    pairs = (outside > inside).mean() + 0.5 * (outside == inside).mean()
    np.testing.assert_allclose(
      results['auroc'][name]['auroc'], pairs, rtol=1e-9
    )
  assert arrays['samples'].shape == (64, 32, 32, 3)
  assert arrays['samples'].dtype == np.uint8


class _References(html.parser.HTMLParser):
  """Collects all that a page asks a browser to load."""

  def __init__(self, page):
    super().__init__()
    self.images, self.others = [], []
    self.feed(page)

  def handle_starttag(self, tag, attrs):
    attrs = dict(attrs)
    if tag == 'img':
      self.images.append(attrs['src'])
    elif tag in ('script', 'link', 'iframe', 'object', 'embed', 'source'):
      self.others.append((tag, attrs))


def test_the_report_stands_alone(sample_run):
  page = (sample_run.folder / 'report.html').read_text(encoding='utf-8')
  references = _References(page)
  assert len(references.images) >= 9
  assert all(source.startswith('data:image/') for source in references.images)
  assert references.others == []
  assert 'url(' not in page.replace('url(data:', '')
  for name in _NAMES:
    assert name in page
  for flag in conftest.FLAGS:
    assert flag in page


def test_the_exported_model_of_the_run_scores_alike(sample_run):
  import tensorflow as tf

  arrays = tfp_ood.reporting.read_arrays(sample_run.folder / 'scores.npz')
  model = tf.saved_model.load(sample_run.folder / 'saved_model')
  name = 'sample_digits test'
  log_prob = arrays[f'{name}/density'] + arrays[f'{name}/volume']
  np.testing.assert_allclose(
    model.log_prob(arrays[f'{name}/most_likely']),
    log_prob[arrays[f'{name}/most_likely_indices']],
    rtol=1e-4,
  )


def test_the_summary_is_printed(sample_run, results):
  output = sample_run.resumed.stdout
  for name in _NAMES:
    mean = results['bits_per_dim'][name]['mean']
    assert any(
      line.startswith(name) and f'{mean:.3f}' in line
      for line in output.splitlines()
    ), name
