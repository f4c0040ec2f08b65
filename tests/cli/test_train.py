# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of `tfp-ood train`, and of all the command in processes of its own."""

import csv
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import tensorflow as tf
from cli.pictures import damage, write_pictures
from integration.python_runs import run_python

from tfp_ood import pretrained
from tfp_ood.cli import main
from tfp_ood.cli._images import Images, decoded_digests

_SHORT = ('--size=tiny', '--image_size=8', '--epochs=1', '--held_out=0.5')


@pytest.fixture(scope='module', name='photos')
def _photos(tmp_path_factory):
  folder = tmp_path_factory.mktemp('train') / 'photos'
  write_pictures(folder, 'sample_photographs/train', 0, 100)
  return folder


def _refusal(argv, capsys):
  capsys.readouterr()
  assert main(list(map(str, argv))) == 2
  error = capsys.readouterr().err.strip()
  assert 'Traceback' not in error
  return re.split('[\r\n]+', error)[-1]


@pytest.mark.parametrize(
  'options, message',
  [
    (
      ['--held_out=0.1'],
      r'leaves \d+ to calibrate a detector on, which takes 40',
    ),
    (['--weights=cifar10', '--size=tiny'], '--size or --weights, not both'),
    (['--weights=cifar11'], "no weights 'cifar11' of glow"),
    (['--weights=cifar10', '--image_size=16'], 'images of 32x32x3; leave out'),
    (['--model=pixelcnn'], '--model=pixelcnn is none of glow, '),
    (['--held_out=0.5', '--image_size=9'], '9 x 9 cannot be made'),
    (
      ['--model=autoencoder', '--precision=bfloat16'],
      'is for flows; leave it out for autoencoder',
    ),
  ],
)
def test_what_cannot_be_trained_is_told(
  photos, tmp_path, options, message, capsys
):
  argv = ['train', photos, f'--output={tmp_path}/model', *options]
  assert re.search(message, _refusal(argv, capsys))
  assert not (tmp_path / 'model').exists()


@pytest.fixture(scope='module', name='model')
def _model(photos):
  """A folder that `train` wrote."""
  folder = photos.parent / 'model'
  assert main(['train', str(photos), f'--output={folder}', *_SHORT]) == 0
  return folder


@pytest.mark.slow
def test_a_model_is_trained_on_images_that_are_not_held_out(photos, model):
  file = pretrained.read_weights(model / 'model.npz', 'glow')
  images = Images(f'folder:{photos}', (8, 8, 3))
  held_out = images.is_held_out(0.5)
  assert file.arguments['image_shape'] == [8, 8, 3]
  assert file.information['num_held_out'] == np.count_nonzero(held_out)
  np.testing.assert_array_equal(
    decoded_digests(file.information['training_images']),
    np.sort(images.digests[~held_out]),
  )
  flow = pretrained.load_model(model / 'model.npz')
  (batch,) = images.where(held_out).batches(100)
  bits = -np.mean(flow.log_prob(batch)) / np.log(2) / 192
  recorded = file.information['bits_per_dim']['held_out']
  assert bits == pytest.approx(recorded, abs=1e-3)


@pytest.mark.slow
def test_the_same_command_again_says_that_all_is_done(photos, model, capsys):
  argv = ['train', str(photos), f'--output={model}', *_SHORT]
  before = (model / 'model.npz').read_bytes()
  assert main(argv) == 0
  assert 'is trained already' in capsys.readouterr().out
  assert pretrained.read_weights(model / 'model.npz').values[0].size
  again = pretrained.read_weights(model / 'model.npz')
  (model / 'before.npz').write_bytes(before)
  for value, expected in zip(
    again.values,
    pretrained.read_weights(model / 'before.npz').values,
    strict=True,
  ):
    np.testing.assert_array_equal(value, expected)
  assert 'epochs: 1 there, 2 now' in _refusal([*argv, '--epochs=2'], capsys)
  write_pictures(photos.parent / 'more', 'sample_photographs/train', 0, 120)
  argv[1] = photos.parent / 'more'
  line = _refusal(argv, capsys)
  assert 'data: ' in line and 'images: ' in line


@pytest.mark.exhaustive
def test_training_goes_on_from_weights(photos, model, tmp_path):
  argv = ['train', str(photos), f'--output={tmp_path}', f'--weights={model}']
  options = ('--minutes=0.02', '--held_out=0.5', '--precision=bfloat16')
  assert main([*argv, *options]) == 0
  before = pretrained.read_weights(model / 'model.npz')
  after = pretrained.read_weights(tmp_path / 'model.npz')
  assert after.arguments == before.arguments
  assert after.information['settings']['minutes'] == 0.02
  bits = [
    file.information['bits_per_dim']['learned'] for file in (before, after)
  ]
  assert bits[1] < bits[0]
  # bfloat16 was for training alone.
  assert {value.dtype for value in after.values} == {
    value.dtype for value in before.values
  }


@pytest.mark.slow
@pytest.mark.parametrize('kind', ['variational_autoencoder'])
def test_other_models(photos, tmp_path, kind):
  folder = tmp_path / 'model'
  argv = [str(photos), f'--output={folder}', f'--model={kind}', *_SHORT]
  assert main(['train', *argv]) == 0
  file = pretrained.read_weights(folder / 'model.npz', kind)
  assert np.isfinite(list(file.information['bits_per_dim'].values())).all()
  detector = f'--output={tmp_path}/detector'
  argv = [str(photos), f'--model={folder}', detector]
  assert main(['calibrate', *argv]) == 0


# --------------------------------------------------------------------- processes


def _run(*arguments, cwd, status=0):
  result = run_python(['-m', 'tfp_ood', *arguments], cwd)
  assert result.returncode == status, result.stderr[-4000:]
  return result


@pytest.mark.exhaustive
def test_from_a_folder_to_scores_with_a_kill_on_the_way(tmp_path):
  """The worked example of docs/command_line.md, in small."""
  write_pictures(tmp_path / 'photos', 'sample_photographs/train', 0, 120)
  write_pictures(tmp_path / 'new', 'sample_photographs/train', 120, 1_500)
  write_pictures(tmp_path / 'new', 'sample_digits/test', 0, 50)
  names = damage(tmp_path / 'new')
  train = ('train', 'photos', '--output=model', *_SHORT)
  result = _run(*train, cwd=tmp_path)
  assert 'Next: tfp-ood calibrate' in result.stdout
  options = ('--model=model', '--output=detector')
  _run('calibrate', 'photos', *options, cwd=tmp_path)
  score = ('score', 'new', '--detector=detector', '--output=scores')
  partial = tmp_path / 'scores' / 'scores.csv.partial'
  killed = subprocess.Popen(
    [sys.executable, '-m', 'tfp_ood', *score],
    cwd=tmp_path,
    env={**os.environ, 'CUDA_VISIBLE_DEVICES': '-1'},
    stderr=subprocess.DEVNULL,
  )
  try:
    while killed.poll() is None:
      if partial.exists() and partial.stat().st_size:
        break
      time.sleep(0.005)
  finally:
    killed.send_signal(signal.SIGKILL)
    killed.wait()
  assert not (tmp_path / 'scores' / 'scores.csv').exists()
  num_done = partial.read_text().count('\n')
  assert num_done >= 64
  result = _run(*score, cwd=tmp_path)
  assert f' {num_done}/1553 [' in result.stderr
  assert 'warning: 3 of 1553 files cannot be read' in result.stderr
  with open(tmp_path / 'scores' / 'scores.csv', newline='') as file:
    rows = list(csv.DictReader(file))
  assert len(rows) == len({row['path'] for row in rows}) == 1553
  assert [row['path'] for row in rows if row['error']] == names
  detector = tf.saved_model.load(str(tmp_path / 'detector'))
  scores = detector.calibration_scores.numpy()
  for row in rows:
    if not row['error']:
      at_least = np.count_nonzero(scores >= float(row['score']))
      p_value = (1 + at_least) / (1 + len(scores))
      assert float(row['p_value']) == pytest.approx(p_value, rel=1e-12)
      assert row['flagged'] == str(p_value <= 0.05)


@pytest.mark.slow
def test_stderr_has_nothing_but_the_error(tmp_path):
  environment = {k: v for k, v in os.environ.items() if k[:7] != 'TF_CPP_'}
  result = subprocess.run(
    [sys.executable, '-m', 'tfp_ood', 'train', 'no_data_set', '--output=x'],
    cwd=tmp_path,
    env=environment,
    capture_output=True,
    text=True,
    timeout=300,
  )
  assert result.returncode == 2 and not result.stdout
  assert re.fullmatch(
    "tfp-ood train: There is no folder 'no_data_set' here.*\n", result.stderr
  )
