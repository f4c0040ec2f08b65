# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the example scripts, as a person would run them."""

import collections
import importlib
import re
import sys

import numpy as np
import pytest
import tensorflow as tf
from absl import app, flags
from integration.python_runs import EXAMPLES, run_python
from tiers import few

import tfp_ood

_SCRIPTS = ['cifar_svhn', 'fashion_mnist_mnist']
_FLAGS = (
  '--data=sample',
  '--num_levels=1',
  '--num_steps=1',
  '--hidden_channels=4',
  '--epochs=1',
  '--train_split=train[:128]',
  '--num_evaluated=40',
  '--bundled=',
  '--scores=typicality,input_complexity',
)


@pytest.fixture(name='run_example')
def _run_example(monkeypatch):
  """An example in this process: a function of flags."""
  monkeypatch.syspath_prepend(str(EXAMPLES))

  def run(*arguments, script='cifar_svhn'):
    module = importlib.import_module(script)
    argv = [f'examples/{script}.py', *arguments]
    monkeypatch.setattr(sys, 'argv', argv)
    flags.FLAGS.unparse_flags()
    flags.FLAGS(argv)
    try:
      module.main(argv[:1])
    finally:
      for name in flags.FLAGS:
        flags.FLAGS[name].unparse()
      flags.FLAGS.unparse_flags()

  return run


def test_examples_are_what_a_person_reads():
  assert {path.name for path in EXAMPLES.glob('*.py')} == {
    'cifar_svhn.py',
    'compose_a_flow.py',
    'experiment.py',
    'fashion_mnist_mnist.py',
    'genomes.py',
    'own_model.py',
    'score_a_pipeline.py',
    'setting_flags.py',
    'train_pretrained.py',
  }
  counts = {
    path.name: len(path.read_text().splitlines())
    for path in EXAMPLES.glob('*.py')
  }
  # What a reader never needs has its own length.
  assert counts.pop('train_pretrained.py') < 400
  assert sum(counts.values()) <= 800
  assert counts['own_model.py'] < 80
  assert counts['compose_a_flow.py'] < 60
  assert counts['score_a_pipeline.py'] < 100


@pytest.mark.slow
def test_compose_a_flow(tmp_path):
  result = run_python([EXAMPLES / 'compose_a_flow.py'], tmp_path)
  assert result.returncode == 0, result.stderr[-4000:]
  lines = result.stdout.splitlines()
  assert any('bits_per_dim' in line for line in lines)
  scores = [float(line.split()[1]) for line in lines if 'digits:' in line]
  assert len(scores) == 5
  assert all(0 < score < 20 for score in scores)


@pytest.mark.slow
def test_own_model(tmp_path):
  result = run_python([EXAMPLES / 'own_model.py'], tmp_path)
  assert result.returncode == 0, result.stderr[-4000:]
  aurocs = re.findall(r'^digits +(\.?[\d.]+)  \[', result.stdout, re.M)
  assert len(aurocs) == 2
  assert float(aurocs[0]) < 0.4  # The likelihood misleads.
  folder = tmp_path / 'outputs' / 'own_model'
  assert 'unusual variation' in (folder / 'report.html').read_text('utf-8')
  detector = tf.saved_model.load(str(folder / 'detector'))
  images, _ = next(iter(tfp_ood.datasets.load('sample_digits/test[:20]')))
  p_values = detector.p_value(images)
  assert p_values.shape == [20]
  with pytest.raises(tf.errors.InvalidArgumentError, match='NaN|finite'):
    detector.p_value(tf.cast(images, tf.float32) * np.nan)


# ----------------------------------------------------------------------- the flags


@pytest.mark.slow
@pytest.mark.parametrize('script', few(_SCRIPTS, 1))
def test_help_lists_every_setting(tmp_path, script):
  result = run_python([EXAMPLES / f'{script}.py', '--help'], tmp_path)
  assert result.returncode in (0, 1)  # absl's --help ends with 1.
  assert 'Traceback' not in result.stderr
  for model, recipe in tfp_ood.recipes.RECIPES.items():
    assert model in result.stdout
    settings = recipe.model_settings | recipe.evaluation_settings
    for name, setting in settings.items():
      flag = rf'--(\[no\])?{name}:'
      assert re.search(flag, result.stdout), name
      for choice in setting.choices or ():
        assert choice in result.stdout
  for name in (
    'data',
    'data_dir',
    'in_distribution',
    'model',
    'num_evaluated',
    'out_of_distribution',
    'output_dir',
    'preset',
    'shard_files',
    'strategy',
    'tensorboard',
    'test_split',
    'train_split',
  ):
    assert re.search(rf'--(\[no\])?{name}:', result.stdout), name
  assert f'python examples/{script}.py --data' in result.stdout
  assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_help_of_genomes_lists_every_setting(tmp_path):
  result = run_python([EXAMPLES / 'genomes.py', '--help'], tmp_path)
  assert 'Traceback' not in result.stderr
  for name in ('data_dir', *tfp_ood.recipes.GENOME_SETTINGS):
    assert re.search(rf'--(\[no\])?{name}:', result.stdout), name


def test_unknown_models_are_refused(run_example):
  with pytest.raises(flags.IllegalFlagValueError, match='pixelcnn') as error:
    run_example('--model=pixelcnn')
  for model in tfp_ood.recipes.RECIPES:
    assert model in str(error.value)


@pytest.mark.parametrize(
  'arguments, message',
  [
    (['--scores=typicality,telepathy'], "'telepathy' is none of"),
    (['--epochs=1', '--train_minutes=1'], 'not both'),
    (['--model=vae', '--beta=2'], '--model=vae: .*no setting beta'),
    (
      ['--model=nrm', '--network=all_cnn_c', '--normalization=folded'],
      'all_cnn_c takes none or untied',
    ),
    (['surplus'], 'Unknown arguments'),
  ],
)
def test_what_no_run_can_be_is_refused(
  tmp_path, run_example, arguments, message
):
  folder = tmp_path / 'run'
  if arguments == ['surplus']:
    module = importlib.import_module('cifar_svhn')
    with pytest.raises(app.UsageError, match=message):
      module.main(['cifar_svhn.py', *arguments])
    return
  with pytest.raises(app.UsageError, match=message):
    run_example('--data=sample', *arguments, f'--output_dir={folder}')
  assert not folder.exists()


@pytest.mark.parametrize(
  'script, name',
  [('cifar_svhn', 'cifar10'), ('fashion_mnist_mnist', 'fashion_mnist')],
)
def test_data_sets_that_are_not_prepared_are_named(
  tmp_path, run_example, script, name
):
  with pytest.raises(FileNotFoundError, match=name) as error:
    run_example(
      f'--data_dir={tmp_path}', f'--output_dir={tmp_path}/run', script=script
    )
  assert str(tmp_path) in str(error.value)


# ------------------------------------------------------------------------- a run


@pytest.fixture(scope='module', name='run')
def _run(tmp_path_factory):
  """A short run of cifar_svhn.py: its folder and its process."""
  workplace = tmp_path_factory.mktemp('run')
  process = run_python([EXAMPLES / 'cifar_svhn.py', *_FLAGS], workplace)
  assert process.returncode == 0, process.stderr[-4000:]
  # Where its docstring says.
  return workplace / 'outputs' / 'glow_tiny_sample_photographs', process


@pytest.mark.slow
def test_a_run_of_cifar_svhn(run):
  folder, process = run
  results = tfp_ood.reporting.read_results(folder / 'results.json')
  assert results['command'].startswith('python ')
  for flag in _FLAGS:
    assert flag in results['command']
    assert flag in (folder / 'report.html').read_text('utf-8')
  assert {
    'python',
    'tensorflow',
    'tensorflow-probability',
    'tf-keras',
  } < results['versions'].keys()
  assert results['versions']['tfp_ood'] == tfp_ood.__version__
  found = tfp_ood.evaluation.Evaluation.load(folder)
  assert found.summary() in process.stdout
  assert process.stdout.splitlines()[-1].endswith('report.html')


@pytest.mark.slow
def test_the_same_command_again_says_that_all_is_done(run, run_example, capsys):
  folder, _ = run
  run_example(*_FLAGS, f'--output_dir={folder}')
  assert f'The run is complete: {folder}' in capsys.readouterr().out


@pytest.mark.slow
def test_other_flags_for_the_same_folder_are_refused(run, run_example):
  folder, _ = run
  with pytest.raises(
    app.UsageError, match='learning_rate: 0.001 there, 0.5 now.*--output_dir'
  ):
    run_example(*_FLAGS, '--learning_rate=0.5', f'--output_dir={folder}')


_SCORE_WITH_TENSORFLOW = """
import sys

import numpy as np
import tensorflow as tf

detector = tf.saved_model.load(sys.argv[1])
images = np.load(sys.argv[2])
p_values = detector.signatures['p_value'](images=tf.constant(images))['p_value']
np.save(sys.argv[3], p_values)
assert not {'tfp_ood', 'tensorflow_probability', 'tf_keras'} & set(sys.modules)
try:
  detector.p_value(images / np.float32(255))
except tf.errors.InvalidArgumentError:
  print('refused')
"""


@pytest.mark.slow
def test_the_detector_of_a_run_works_with_tensorflow_alone(run, tmp_path):
  folder, _ = run
  images, _ = next(iter(tfp_ood.datasets.load('sample_digits/test[:40]')))
  np.save(tmp_path / 'images.npy', images)
  process = run_python(
    [
      '-c',
      _SCORE_WITH_TENSORFLOW,
      folder / 'detector',
      tmp_path / 'images.npy',
      tmp_path / 'p_values.npy',
    ],
    tmp_path,
  )
  assert process.returncode == 0, process.stderr[-4000:]
  assert process.stdout == 'refused\n'
  scores = tfp_ood.evaluation.Evaluation.load(folder).scores['default']
  # All test images calibrated it.
  expected = tfp_ood.stats.conformal_p_values(
    scores['sample_photographs test'], scores['sample_digits test']
  )
  # The same score may round to the other side of one of 40 others.
  np.testing.assert_allclose(
    np.load(tmp_path / 'p_values.npy'), expected, atol=1.01 / 41
  )


@pytest.mark.slow
def test_score_a_pipeline(run, tmp_path):
  folder, _ = run
  names = ['sample_photographs/test[40:120]', 'sample_digits/test[:40]']
  result = run_python(
    [
      EXAMPLES / 'score_a_pipeline.py',
      f'--detector={folder / "detector"}',
      f'--in_distribution={names[0]}',
      f'--out_of_distribution={names[1]}',
      '--false_alarm_rate=0.2',
      '--false_discovery_rate=0.5',
    ],
    tmp_path,
  )
  assert result.returncode == 0, result.stderr[-4000:]
  rows = dict(
    (line.rsplit(maxsplit=3)[0], [int(n) for n in line.split()[-3:]])
    for line in result.stdout.splitlines()
    if line.startswith('sample_')
  )
  detector = tf.saved_model.load(str(folder / 'detector'))
  p_values = {
    name: np.concatenate(
      [
        detector.p_value(images)
        for images, _ in tfp_ood.datasets.load(name, batch_size=7)
      ]
    )
    for name in names
  }
  # All of them are one batch, in whatever order.
  together = np.concatenate(list(p_values.values()))
  reject = tfp_ood.stats.benjamini_hochberg(together, 0.5).reject.numpy()
  flagged = collections.Counter(np.repeat(names, [80, 40])[reject].tolist())
  assert list(rows) == names
  for name in names:
    passed = np.count_nonzero(p_values[name] > 0.2)
    assert rows[name] == [len(p_values[name]), passed, flagged[name]]


@pytest.mark.slow
def test_score_a_pipeline_says_where_detectors_come_from(tmp_path):
  result = run_python([EXAMPLES / 'score_a_pipeline.py'], tmp_path)
  assert result.returncode != 0
  assert 'Traceback' not in result.stderr
  output = ' '.join((result.stdout + result.stderr).split())
  assert 'outputs/glow_tiny_sample_photographs/detector' in output
  assert 'python examples/cifar_svhn.py --data=sample' in output
