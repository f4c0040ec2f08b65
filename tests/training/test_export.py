# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of writing a SavedModel; integration/ loads it elsewhere."""

import os
import stat

import numpy as np
import pytest
import tensorflow as tf

import tfp_ood

_SHAPE = [4, 4, 3]


def _glow(initialized=True):
  flow = tfp_ood.distributions.glow(
    _SHAPE, num_levels=1, num_steps=1, hidden_channels=4, seed=[0, 1]
  )
  if initialized:
    flow.initialize(_images(16))
  return flow


def _images(number):
  return np.random.default_rng(0).integers(0, 256, [number, *_SHAPE], np.uint8)


def _break_saving(monkeypatch):
  """Makes saving fail after it has written something."""

  def save(module, path, signatures):
    with open(os.path.join(path, 'saved_model.pb'), 'wb') as file:
      file.write(b'half')
    raise OSError('No space left on device')

  monkeypatch.setattr(tf.saved_model, 'save', save)


def test_the_loaded_model_scores_alike(tmp_path):
  flow = _glow()
  path = tmp_path / 'deep' / 'model'
  tfp_ood.training.export_saved_model(flow, path)
  loaded = tf.saved_model.load(path)
  images = _images(5)
  np.testing.assert_allclose(
    loaded.log_prob(images), flow.log_prob(images), rtol=1e-4
  )
  assert os.listdir(path.parent) == ['model']
  if os.name == 'posix':
    assert stat.S_IMODE(path.stat().st_mode) == 0o755


def test_relative_paths(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  tfp_ood.training.export_saved_model(_glow(), 'model')
  assert (tmp_path / 'model' / 'saved_model.pb').exists()


def test_a_failure_leaves_nothing(tmp_path, monkeypatch):
  _break_saving(monkeypatch)
  with pytest.raises(OSError, match='No space left'):
    tfp_ood.training.export_saved_model(_glow(), tmp_path / 'model')
  assert os.listdir(tmp_path) == []


def test_a_failure_leaves_the_earlier_model(tmp_path, monkeypatch):
  flow = _glow()
  path = tmp_path / 'model'
  tfp_ood.training.export_saved_model(flow, path)
  with monkeypatch.context() as patch:
    _break_saving(patch)
    with pytest.raises(OSError, match='No space left'):
      tfp_ood.training.export_saved_model(flow, path)
  assert os.listdir(tmp_path) == ['model']
  loaded = tf.saved_model.load(path)
  np.testing.assert_allclose(
    loaded.log_prob(_images(2)), flow.log_prob(_images(2)), rtol=1e-4
  )


def test_exporting_again_replaces(tmp_path):
  flow = _glow()
  path = tmp_path / 'model'
  tfp_ood.training.export_saved_model(flow, path)
  (path / 'of_the_earlier_one').touch()
  variable = flow.trainable_variables[0]
  before = flow.log_prob(_images(2)).numpy()
  variable.assign_add(0.1 * tf.ones_like(variable))
  assert (flow.log_prob(_images(2)).numpy() != before).all()
  tfp_ood.training.export_saved_model(flow, path)
  assert os.listdir(tmp_path) == ['model']
  assert not (path / 'of_the_earlier_one').exists()
  loaded = tf.saved_model.load(path)
  np.testing.assert_allclose(
    loaded.log_prob(_images(2)), flow.log_prob(_images(2)), rtol=1e-4
  )


def test_an_uninitialized_flow_is_refused(tmp_path):
  with pytest.raises(ValueError, match='not initialized'):
    tfp_ood.training.export_saved_model(_glow(False), tmp_path / 'model')
  assert os.listdir(tmp_path) == []
