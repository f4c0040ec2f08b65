# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests that an exported model runs where only TensorFlow is installed."""

import json
import subprocess
import sys

import numpy as np
import pytest

import tfp_ood

pytestmark = pytest.mark.slow

_SHAPE = [8, 8, 3]
_MODELS = {
  'glow': lambda: tfp_ood.distributions.glow(
    _SHAPE, num_levels=2, num_steps=2, hidden_channels=4, seed=[0, 1]
  ),
  'constant_volume': lambda: tfp_ood.distributions.ImageFlow(
    tfp_ood.bijectors.Glow(
      _SHAPE,
      coupling='additive',
      num_levels=1,
      num_steps=2,
      hidden_channels=4,
      seed=[0, 1],
      recompute=False,
    ),
    _SHAPE,
    base=tfp_ood.distributions.learned_normal([192]),
  ),
  'variational_autoencoder': lambda: (
    tfp_ood.distributions.variational_autoencoder(
      _SHAPE, latent_size=3, likelihood='categorical', hidden_channels=2, seed=1
    )
  ),
  'autoencoder': lambda: tfp_ood.distributions.autoencoder(
    _SHAPE, latent_size=3, hidden_channels=2, seed=1
  ),
  'pixel_cnn': lambda: tfp_ood.distributions.pixel_cnn(
    _SHAPE,
    num_filters=4,
    num_blocks=1,
    num_levels=2,
    num_components=2,
    seed=1,
  ),
}
_BATCH_SIZES = (1, 7, 64)

_SCRIPT = """
import sys


class _Absent:
  def find_spec(self, name, path=None, target=None):
    if name.split('.')[0] in ('tfp_ood', 'tensorflow_probability', 'tf_keras'):
      raise ModuleNotFoundError(f'{name} is blocked in this test')


sys.meta_path.insert(0, _Absent())

import json

import numpy as np
import tensorflow as tf

for module in ('tfp_ood', 'tensorflow_probability'):
  try:
    __import__(module)
  except ModuleNotFoundError:
    continue
  raise AssertionError(f'{module} could be imported')

folder, names, batch_sizes = sys.argv[1], sys.argv[2], sys.argv[3]
images = np.load(f'{folder}/images.npy')
report = {}
for name in json.loads(names):
  model = tf.saved_model.load(f'{folder}/{name}')
  serve = model.signatures['serving_default']
  for size in json.loads(batch_sizes):
    batch = images[:size]
    report[f'{name}/uint8/{size}'] = model.log_prob(batch)
    report[f'{name}/float32/{size}'] = model.log_prob(batch.astype(np.float32))
    served = serve(images=tf.constant(batch))
    assert list(served) == ['log_prob'], served
    report[f'{name}/served/{size}'] = served['log_prob']
  (argument,) = serve.structured_input_signature[1].values()
  assert argument.dtype == tf.uint8, argument
  assert argument.shape.as_list() == [None, 8, 8, 3], argument
  # Inside a pipeline, and with a gradient for the pixels.
  dataset = tf.data.Dataset.from_tensor_slices(images).batch(30)
  report[f'{name}/pipeline/64'] = tf.concat(
    list(dataset.map(model.log_prob)), axis=0
  )
  with tf.GradientTape() as tape:
    pixels = tf.constant(images[:2], tf.float32)
    tape.watch(pixels)
    log_prob = model.log_prob(pixels)
  report[f'{name}/gradient'] = tape.gradient(log_prob, pixels)
assert not any(
  module.split('.')[0] in ('tfp_ood', 'tensorflow_probability')
  for module in sys.modules
)
np.savez(f'{folder}/report.npz', **report)
"""


@pytest.fixture(scope='module', name='exported')
def _exported(tmp_path_factory):
  """What was scored here, and what the process without the library scored."""
  folder = tmp_path_factory.mktemp('saved_models')
  generator = np.random.default_rng(0)
  images = generator.integers(0, 256, [64, *_SHAPE], np.uint8)
  np.save(folder / 'images.npy', images)
  expected = {}
  for name, make in _MODELS.items():
    model = make()
    if hasattr(model, 'initialize'):
      model.initialize(images)
    for variable in model.trainable_variables:
      noise = generator.normal(0, 0.05, variable.shape)
      variable.assign_add(noise.astype(np.float32))
    tfp_ood.training.export_saved_model(model, folder / name)
    expected[name] = model.log_prob(images).numpy()
  arguments = [str(folder), json.dumps(list(_MODELS)), json.dumps(_BATCH_SIZES)]
  result = subprocess.run(
    [sys.executable, '-c', _SCRIPT, *arguments],
    capture_output=True,
    text=True,
    timeout=180,
  )
  assert result.returncode == 0, result.stderr[-4000:]
  with np.load(folder / 'report.npz') as report:
    return expected, dict(report)


@pytest.mark.parametrize('name', list(_MODELS))
def test_the_same_log_prob_without_the_library(exported, name):
  expected, report = exported
  for size in _BATCH_SIZES:
    for way in ('uint8', 'float32', 'served'):
      scores = report[f'{name}/{way}/{size}']
      assert scores.shape == (size,)
      assert scores.dtype == np.float32
      np.testing.assert_allclose(scores, expected[name][:size], rtol=1e-4)
  np.testing.assert_allclose(
    report[f'{name}/pipeline/64'], expected[name], rtol=1e-4
  )


@pytest.mark.parametrize('name', list(_MODELS))
def test_gradients_without_the_library(exported, name):
  _, report = exported
  gradient = report[f'{name}/gradient']
  assert gradient.shape == (2, *_SHAPE)
  assert np.isfinite(gradient).all()
  assert np.abs(gradient).max() > 0
