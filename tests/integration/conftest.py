# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Short runs of the examples, one of them interrupted, for several tests."""

import collections
import importlib
import os
import pathlib
import shutil
import signal
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / 'examples'
STEPS_PER_EPOCH = 21  # 1,297 digits in batches of 64.
KILLED_AFTER = 33
BACKUP_STEPS = 5

# fashion_mnist_mnist.py, to be killed and resumed.
FLAGS = (
  '--data=sample',
  '--preset=tiny',
  '--epochs=3',
  '--num_evaluated=40',
)
# cifar_svhn.py, with every score there is.
ALL_SCORES = (
  'negative_log_likelihood',
  'typicality',
  'likelihood_ratio',
  'waic',
  'input_complexity',
  'input_complexity_best',
  'score_norm',
  'density_of_states_kde',
  'density_of_states_svm',
)
ALL_SCORES_FLAGS = (
  '--data=sample',
  '--model=cv_glow',
  '--train_split=train[:256]',
  '--epochs=1',
  '--num_evaluated=40',
  '--mutation_rate=0.2',
  '--ensemble_size=2',
  f'--scores={",".join(ALL_SCORES)}',
)

_PRESET = {
  'num_levels': 1,
  'num_steps': 1,
  'hidden_channels': 4,
  'batch_size': 64,
  'minutes': 1.0,
}
# The examples as they are, with a smaller model, less analysis and more
# frequent backups.
_SMALLER = {
  'flow_experiment': {'_PRESETS': {'tiny': _PRESET, 'small': _PRESET}},
  'flow_training': {'_BACKUP_STEPS': BACKUP_STEPS, '_NUM_VALIDATION': 128},
  'flow_evaluation': {
    '_NUM_GRAYED': 40,
    '_NUM_PROBES': 2,
    '_NUM_EXPANDED': 8,
  },
}

# Says what it trains and which statistics it computes. The variable KILL_AFTER
# makes it end as `kill -9` would, in the middle of a step; ANALYSED is the
# number of data sets for the second-order analysis, whose graphs take long to
# build: with two it is of the grayed images alone.
_DRIVER = f"""
import importlib
import os
import signal
import sys

sys.path.insert(0, {str(EXAMPLES)!r})

import flow_evaluation

import tfp_ood

for module, values in {_SMALLER!r}.items():
  for name, value in values.items():
    setattr(importlib.import_module(module), name, value)


class _Watch(tfp_ood.training.StopOnNaN):
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


def _second_order(datasets, *args):
  first = list(datasets.items())[:int(os.environ.get('ANALYSED', '2'))]
  return second_order(dict(first), *args)


tfp_ood.training.StopOnNaN = _Watch
second_order = flow_evaluation._second_order
flow_evaluation._second_order = _second_order
script = importlib.import_module(os.environ['SCRIPT'])
script.app.run(script.main)
"""

SampleRun = collections.namedtuple(
  'SampleRun', ['folder', 'interrupted', 'killed', 'resumed', 'third']
)
AllScoresRun = collections.namedtuple('AllScoresRun', ['folder', 'process'])


def run_python(arguments, cwd, **environment):
  """Runs Python in a process of its own."""
  return subprocess.run(
    [sys.executable, *map(str, arguments)],
    cwd=cwd,
    env={**os.environ, 'CUDA_VISIBLE_DEVICES': '-1', **environment},
    capture_output=True,
    text=True,
    timeout=900,
  )


@pytest.fixture(scope='session', name='driver')
def _driver(tmp_path_factory):
  driver = tmp_path_factory.mktemp('driver') / 'driver.py'
  driver.write_text(_DRIVER)
  return driver


@pytest.fixture(scope='session', name='sample_run')
def _sample_run(tmp_path_factory, driver):
  """A run that is killed, run again to its end, and run a third time."""
  if not hasattr(signal, 'SIGKILL'):
    pytest.skip('No SIGKILL on this system.')
  workplace = tmp_path_factory.mktemp('sample_run')
  folder, interrupted = workplace / 'outputs', workplace / 'interrupted'
  command = [driver, *FLAGS, f'--output_dir={folder}']
  script = {'SCRIPT': 'fashion_mnist_mnist'}
  killed = run_python(
    command, workplace, KILL_AFTER=str(KILLED_AFTER), **script
  )
  shutil.copytree(folder, interrupted)
  resumed = run_python(command, workplace, **script)
  third = run_python(command, workplace, **script)
  return SampleRun(folder, interrupted, killed, resumed, third)


@pytest.fixture(scope='session', name='all_scores_run')
def _all_scores_run(tmp_path_factory, driver):
  """A run with every score, a background model and an ensemble."""
  workplace = tmp_path_factory.mktemp('all_scores_run')
  process = run_python(
    [driver, *ALL_SCORES_FLAGS], workplace, SCRIPT='cifar_svhn', ANALYSED='3'
  )
  assert process.returncode == 0, process.stderr[-4000:]
  # Where its docstring says.
  folder = workplace / 'outputs' / 'cv_glow_tiny_sample_photographs'
  return AllScoresRun(folder, process)


@pytest.fixture(name='example_modules')
def _example_modules(monkeypatch):
  """A function that imports a module of the examples, made smaller."""
  monkeypatch.syspath_prepend(str(EXAMPLES))
  for name, values in _SMALLER.items():
    module = importlib.import_module(name)
    for attribute, value in values.items():
      monkeypatch.setattr(module, attribute, value)
  return importlib.import_module


@pytest.fixture(name='run_example')
def _run_example(example_modules, monkeypatch):
  """An example in this process: a function of flags.

  Its attribute `computed` lists the data sets and statistics that were computed,
  pairs.
  """
  from absl import flags

  flow_evaluation = example_modules('flow_evaluation')
  compute = flow_evaluation._compute
  second_order = flow_evaluation._second_order

  def watched(function, dataset_name, dataset):
    values = compute(function, dataset_name, dataset)
    run.computed.append((dataset_name, sorted(values)))
    return values

  def run(*arguments, script='fashion_mnist_mnist'):
    module = example_modules(script)
    run.computed = []
    flags.FLAGS.unparse_flags()
    flags.FLAGS([f'{script}.py', *arguments])
    try:
      module.main([f'{script}.py'])
    finally:
      for name in flags.FLAGS:
        flags.FLAGS[name].unparse()
      flags.FLAGS.unparse_flags()

  monkeypatch.setattr(flow_evaluation, '_compute', watched)
  monkeypatch.setattr(
    flow_evaluation,
    '_second_order',
    lambda datasets, *args: second_order(
      dict(list(datasets.items())[:2]), *args
    ),
  )
  return run
