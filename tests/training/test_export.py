# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of writing a SavedModel; integration/ loads it elsewhere."""

import os
import stat

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras
import training_helpers as helpers

import tfp_ood

tfd = tfp.distributions

_SHAPE = [4, 4, 1]


def _normal(loc=1.0):
  """A distribution that is written in no time."""
  return tfd.Independent(tfd.Normal(tf.Variable([loc, 2.0]), 1.0), 1)


def _assert_scores_like(path, distribution, examples):
  loaded = tf.saved_model.load(path)
  np.testing.assert_allclose(
    loaded.log_prob(examples), distribution.log_prob(examples), rtol=1e-4
  )
  return loaded


def _break_saving(monkeypatch):
  """Makes saving fail after it has written something."""

  def save(module, path, signatures):
    with open(os.path.join(path, 'saved_model.pb'), 'wb') as file:
      file.write(b'half')
    raise OSError('No space left on device')

  monkeypatch.setattr(tf.saved_model, 'save', save)


@pytest.mark.slow
def test_the_loaded_model_scores_alike(tmp_path):
  flow = tfp_ood.distributions.glow(
    _SHAPE, num_levels=1, num_steps=1, hidden_channels=2, recompute=False
  )
  flow.initialize(helpers.smooth_images(16, _SHAPE))
  path = tmp_path / 'deep' / 'model'
  tfp_ood.training.export_saved_model(flow, path)
  images = helpers.smooth_images(5, _SHAPE)
  loaded = _assert_scores_like(path, flow, images)
  np.testing.assert_allclose(
    loaded.log_prob(images.astype(np.float32)),
    flow.log_prob(images),
    rtol=1e-4,
  )
  # What is no image is refused there too.
  with pytest.raises(tf.errors.InvalidArgumentError, match='whole numbers'):
    loaded.log_prob(np.full([1, *_SHAPE], 0.5, np.float32))
  assert os.listdir(path.parent) == ['model']
  if os.name == 'posix':
    assert stat.S_IMODE(path.stat().st_mode) == 0o755


def test_a_distribution_of_tfp_is_written_as_it_is(tmp_path):
  normal = _normal()
  tfp_ood.training.export_saved_model(normal, tmp_path / 'model')
  x = np.random.default_rng(0).normal(size=[7, 2]).astype(np.float32)
  loaded = _assert_scores_like(tmp_path / 'model', normal, x)
  served = loaded.signatures['serving_default'](
    examples=tf.constant([[1.5, 2.0]])
  )
  assert list(served) == ['log_prob']
  np.testing.assert_allclose(
    served['log_prob'], normal.log_prob([[1.5, 2.0]]), rtol=1e-6
  )
  with pytest.raises(tf.errors.InvalidArgumentError, match='must be finite'):
    loaded.log_prob(np.full([1, 2], np.nan, np.float32))


def test_a_rendering_model_scores_images_alone(tmp_path):
  layers = tf_keras.layers
  classifier = tf_keras.Sequential(
    [
      layers.Input(_SHAPE),
      layers.Conv2D(2, 3, activation='relu'),
      layers.Flatten(),
      layers.Dense(3),
    ]
  )
  nrm = tfp_ood.distributions.NeuralRenderingModel.from_keras(classifier)
  tfp_ood.training.export_saved_model(nrm, tmp_path / 'model')
  images = helpers.smooth_images(5, _SHAPE)
  loaded = tf.saved_model.load(tmp_path / 'model')
  np.testing.assert_allclose(
    loaded.log_prob(images),
    nrm.statistics(images, ['log_prob'])['log_prob'],
    rtol=1e-4,
  )


def test_relative_paths(tmp_path, monkeypatch):
  monkeypatch.chdir(tmp_path)
  tfp_ood.training.export_saved_model(_normal(), 'model')
  assert (tmp_path / 'model' / 'saved_model.pb').exists()


def test_a_failure_leaves_nothing(tmp_path, monkeypatch):
  _break_saving(monkeypatch)
  with pytest.raises(OSError, match='No space left'):
    tfp_ood.training.export_saved_model(_normal(), tmp_path / 'model')
  assert os.listdir(tmp_path) == []


def test_a_failure_leaves_the_earlier_model(tmp_path, monkeypatch):
  path = tmp_path / 'model'
  tfp_ood.training.export_saved_model(_normal(), path)
  with monkeypatch.context() as patch:
    _break_saving(patch)
    with pytest.raises(OSError, match='No space left'):
      tfp_ood.training.export_saved_model(_normal(5.0), path)
  assert os.listdir(tmp_path) == ['model']
  _assert_scores_like(path, _normal(), np.zeros([2, 2], np.float32))


def test_exporting_again_replaces(tmp_path):
  normal, path = _normal(), tmp_path / 'model'
  tfp_ood.training.export_saved_model(normal, path)
  (path / 'of_the_earlier_one').touch()
  x = np.zeros([2, 2], np.float32)
  before = normal.log_prob(x).numpy()
  normal.trainable_variables[0].assign([3.0, 4.0])
  assert (normal.log_prob(x).numpy() != before).all()
  tfp_ood.training.export_saved_model(normal, path)
  assert os.listdir(tmp_path) == ['model']
  assert not (path / 'of_the_earlier_one').exists()
  _assert_scores_like(path, normal, x)


def test_an_uninitialized_flow_is_refused(tmp_path):
  flow = tfp_ood.distributions.glow(
    _SHAPE, num_levels=1, num_steps=1, hidden_channels=2
  )
  with pytest.raises(ValueError, match='not initialized'):
    tfp_ood.training.export_saved_model(flow, tmp_path / 'model')
  assert os.listdir(tmp_path) == []
