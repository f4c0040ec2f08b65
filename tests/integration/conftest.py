# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""One short run of the example, interrupted and resumed, for several tests."""

import collections
import os
import pathlib
import shutil
import signal
import subprocess
import sys

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]
EXAMPLES = ROOT / 'examples'
FLAGS = (
  '--data=sample',
  '--preset=tiny',
  '--in_distribution=sample_digits',
  '--out_of_distribution=sample_photographs',
  '--epochs=3',
  '--num_evaluated=40',
)
STEPS_PER_EPOCH = 21  # 1,297 digits in batches of 64.
KILLED_AFTER = 33
BACKUP_STEPS = 5

# The example as it is, with a smaller model and more frequent backups. The
# variable KILL_AFTER makes it end as `kill -9` would, in the middle of a step.
_DRIVER = f"""
import os
import signal
import sys

sys.path.insert(0, {str(EXAMPLES)!r})

import cifar_svhn
import tf_keras

import tfp_ood


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


cifar_svhn.tfp_ood.training.StopOnNaN = _Watch
cifar_svhn._BACKUP_STEPS = {BACKUP_STEPS}
cifar_svhn._NUM_GRAYED = 40
cifar_svhn._PRESETS['tiny'].update(
  num_levels=1, num_steps=1, hidden_channels=4
)
cifar_svhn.app.run(cifar_svhn.main)
"""

SampleRun = collections.namedtuple(
  'SampleRun', ['folder', 'interrupted', 'killed', 'resumed', 'third']
)


def run_python(arguments, cwd, **environment):
  """Runs Python in a process of its own."""
  return subprocess.run(
    [sys.executable, *map(str, arguments)],
    cwd=cwd,
    env={**os.environ, 'CUDA_VISIBLE_DEVICES': '-1', **environment},
    capture_output=True,
    text=True,
    timeout=300,
  )


@pytest.fixture(scope='session', name='sample_run')
def _sample_run(tmp_path_factory):
  """A run that is killed, run again to its end, and run a third time."""
  if not hasattr(signal, 'SIGKILL'):
    pytest.skip('No SIGKILL on this system.')
  workplace = tmp_path_factory.mktemp('sample_run')
  folder, interrupted = workplace / 'outputs', workplace / 'interrupted'
  driver = workplace / 'driver.py'
  driver.write_text(_DRIVER)
  command = [driver, *FLAGS, f'--output_dir={folder}']
  killed = run_python(command, workplace, KILL_AFTER=str(KILLED_AFTER))
  shutil.copytree(folder, interrupted)
  resumed = run_python(command, workplace)
  third = run_python(command, workplace)
  return SampleRun(folder, interrupted, killed, resumed, third)


@pytest.fixture(name='run_example')
def _run_example(monkeypatch):
  """The example in this process: a function of flags."""
  monkeypatch.syspath_prepend(str(EXAMPLES))
  import cifar_svhn
  from absl import flags

  monkeypatch.setitem(
    cifar_svhn._PRESETS,
    'tiny',
    cifar_svhn._PRESETS['tiny']
    | dict(num_levels=1, num_steps=1, hidden_channels=4),
  )

  def run(*arguments):
    flags.FLAGS.unparse_flags()
    flags.FLAGS(['cifar_svhn.py', *arguments])
    try:
      cifar_svhn.main(['cifar_svhn.py'])
    finally:
      for name in flags.FLAGS:
        flags.FLAGS[name].unparse()
      flags.FLAGS.unparse_flags()

  return run
