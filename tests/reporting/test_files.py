# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of atomic_write."""

import importlib.util
import os
import signal
import subprocess
import sys
import time

import pytest

from tfp_ood import reporting

_WRITE_FOREVER = """
import importlib.util, sys
spec = importlib.util.spec_from_file_location('files', sys.argv[1])
files = importlib.util.module_from_spec(spec)
spec.loader.exec_module(files)
while True:
  for letter in (b'a', b'b'):
    files.atomic_write(sys.argv[2], letter * 3000000)
"""


@pytest.mark.parametrize(
  'data, expected',
  [
    ('größer\n', 'größer\n'.encode()),
    (b'\x00\xff\r\n', b'\x00\xff\r\n'),
    ('', b''),
  ],
)
def test_writes_text_as_utf8_and_bytes_as_they_are(tmp_path, data, expected):
  path = tmp_path / 'file'
  reporting.atomic_write(path, data)
  assert path.read_bytes() == expected


def test_replaces_a_file_and_leaves_nothing_else(tmp_path):
  path = tmp_path / 'file'
  reporting.atomic_write(str(path), 'a much longer first version')
  reporting.atomic_write(str(path), 'second')
  assert path.read_text() == 'second'
  assert os.listdir(tmp_path) == ['file']


def test_makes_missing_folders(tmp_path):
  reporting.atomic_write(tmp_path / 'a' / 'b' / 'file', 'text')
  assert (tmp_path / 'a' / 'b' / 'file').read_text() == 'text'


def test_follows_a_symbolic_link(tmp_path):
  (tmp_path / 'link').symlink_to(tmp_path / 'target')
  reporting.atomic_write(tmp_path / 'link', 'text')
  assert (tmp_path / 'link').is_symlink()
  assert (tmp_path / 'target').read_text() == 'text'


def test_file_is_as_readable_as_any_other(tmp_path):
  reporting.atomic_write(tmp_path / 'file', 'text')
  (tmp_path / 'other').write_text('text')
  modes = [(tmp_path / name).stat().st_mode for name in ('file', 'other')]
  assert modes[0] == modes[1]


@pytest.mark.parametrize('step', ['fsync', 'replace'])
def test_a_failure_keeps_the_old_file(tmp_path, monkeypatch, step):
  path = tmp_path / 'file'
  reporting.atomic_write(path, 'old')

  def fail(*_):
    raise OSError('disk full')

  with monkeypatch.context() as patch:
    patch.setattr(os, step, fail)
    with pytest.raises(OSError, match='disk full'):
      reporting.atomic_write(path, 'new')
  assert path.read_text() == 'old'
  assert os.listdir(tmp_path) == ['file']


def test_data_are_on_disk_before_the_old_file_goes(tmp_path, monkeypatch):
  steps = []
  for name in ('fsync', 'replace'):
    original = getattr(os, name)
    monkeypatch.setattr(
      os,
      name,
      lambda *a, name=name, original=original: (
        steps.append(name) or original(*a)
      ),
    )
  reporting.atomic_write(tmp_path / 'file', 'text')
  assert steps[:2] == ['fsync', 'replace']


def test_a_killed_process_leaves_a_whole_file(tmp_path):
  path = tmp_path / 'file'
  source = importlib.util.find_spec('tfp_ood._files').origin
  whole = {b'a' * 3000000, b'b' * 3000000}
  for delay in (0.0, 0.013, 0.029):
    path.unlink(missing_ok=True)
    process = subprocess.Popen(
      [sys.executable, '-c', _WRITE_FOREVER, source, str(path)]
    )
    try:
      deadline = time.monotonic() + 20
      while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.005)
      time.sleep(delay)
      assert path.read_bytes() in whole  # While it is being written, too.
    finally:
      process.send_signal(signal.SIGKILL)
      process.wait()
    assert path.read_bytes() in whole


@pytest.mark.parametrize('data', [None, {'a': 1}, 7])
def test_data_must_be_text_or_bytes(tmp_path, data):
  with pytest.raises(TypeError, match='`data` must be str or bytes, got'):
    reporting.atomic_write(tmp_path / 'file', data)
  assert os.listdir(tmp_path) == []
