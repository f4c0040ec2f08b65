# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of what the command understands, and of how it says what it does not."""

import re
import subprocess
import sys

import pytest

from tfp_ood import pretrained
from tfp_ood.cli import _arguments, _models, main
from tfp_ood.recipes import PRESETS

_COMMANDS = ('train', 'calibrate', 'score', 'evaluate')
_TRAIN = ['train', 'sample_digits/test', '--output=model']


@pytest.mark.parametrize('argv', [[], *([name] for name in _COMMANDS)])
def test_help(argv, capsys):
  with pytest.raises(SystemExit) as exit_:
    main([*argv, '--help'])
  assert not exit_.value.code
  text = capsys.readouterr().out
  if argv:
    assert '--output' in text and 'cropped in the middle' in text
  else:
    assert all(name in text for name in _COMMANDS)


def test_help_and_wrong_command_lines_load_no_tensorflow():
  script = (
    'import sys\n'
    'from tfp_ood.cli import main\n'
    'for argv in (["score", "--help"], ["score", "nowhere"]):\n'
    '  try:\n'
    '    main(argv)\n'
    '  except SystemExit:\n'
    '    pass\n'
    'assert "tensorflow" not in sys.modules\n'
  )
  subprocess.run([sys.executable, '-c', script], check=True, timeout=60)


@pytest.mark.parametrize(
  'argv, message',
  [
    ([], 'required: COMMAND'),
    (['paint'], "invalid choice: 'paint'"),
    (['train', 'photos'], 'required: --output'),
    ([*_TRAIN, '--epochs=0'], "'0' is not a whole number above 0"),
    ([*_TRAIN, '--epochs=1', '--minutes=1'], 'not allowed with'),
    ([*_TRAIN, '--minutes=soon'], "'soon' is not a number above 0"),
    ([*_TRAIN, '--held_out=1'], "'1' is not a number from 0 to less than 1"),
    ([*_TRAIN, '--image_size=32x32x2'], "'32x32x2' is no size such as 32"),
    ([*_TRAIN, '--image_size=big'], "'big' is no size"),
    (['train', './nowhere', '--output=x'], 'there is no folder'),
    (['train', 'folder:nowhere', '--output=x'], 'there is no folder'),
    (['score', 'nowhere', '--detector=x', '--output=x'], 'there is no folder'),
    (
      ['score', '.', '--detector=x', '--output=x'],
      "no detector in the folder 'x'",
    ),
    (
      ['calibrate', '.', '--model=x', '--output=x'],
      'nor one of the bundled .*glow_cifar10',
    ),
    (['calibrate', '.', '--model=.', '--output=x'], 'has no model.npz'),
  ],
)
def test_what_is_wrong_is_told_in_one_line(
  tmp_path, monkeypatch, argv, message, capsys
):
  monkeypatch.chdir(tmp_path)
  with pytest.raises(SystemExit) as exit_:
    main(argv)
  assert exit_.value.code == 2
  captured = capsys.readouterr()
  assert not captured.out
  assert re.fullmatch(
    f'tfp-ood.*{message}.* See tfp-ood .*--help\n', captured.err
  )
  assert not list(tmp_path.iterdir())


def test_a_folder_is_data_by_its_path(tmp_path, monkeypatch):
  (tmp_path / 'my, photos').mkdir()
  (tmp_path / 'cifar10').mkdir()
  monkeypatch.chdir(tmp_path)
  folder = f'folder:{tmp_path}'

  def names(*texts):
    options = ('--model=glow_cifar10', '--in_distribution=x', '--output=x')
    return _arguments.parse(
      ['evaluate', *options, f'--out_of_distribution={",".join(texts)}']
    ).out_of_distribution

  assert names('my, photos') == [f'{folder}/my, photos']
  assert names(f'{tmp_path}/cifar10') == [f'{folder}/cifar10']
  assert names('cifar10', 'cifar10/test', 'folder:cifar10', '.') == [
    f'{folder}/cifar10',
    'cifar10/test',
    f'{folder}/cifar10',
    folder,
  ]


@pytest.mark.parametrize(
  'text, shape',
  [('32', (32, 32, 3)), ('32x48', (32, 48, 3)), ('28x28x1', (28, 28, 1))],
)
def test_sizes_of_images(text, shape):
  assert _arguments.parse([*_TRAIN, f'--image_size={text}']).image_size == shape


def test_the_choices_are_those_of_the_library():
  assert 'glow' in _models.KINDS
  assert all(pretrained.factory(kind) for kind in _models.KINDS)
  assert _arguments.SIZES == PRESETS
