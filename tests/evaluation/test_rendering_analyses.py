# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the analyses of neural rendering models."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

import tfp_ood
from tfp_ood import evaluation as analyses
from tfp_ood import reporting, stats

_SHAPE = (6, 6, 3)
_NAMES = ['test', 'far']


def _images(count, seed, low=0):
  generator = np.random.default_rng(seed)
  return generator.integers(low, 256, [count, *_SHAPE]).astype(np.uint8)


_DATA = {'test': _images(12, 0), 'far': _images(10, 1, low=150)}


@pytest.fixture(scope='module', name='models')
def _models():
  layers = tf_keras.layers
  models = {}
  for seed in (0, 1):
    tf_keras.utils.set_random_seed(seed)
    classifier = tf_keras.Sequential(
      [
        layers.Input(_SHAPE),
        layers.Conv2D(4, 3, activation='relu', bias_initializer='normal'),
        layers.Conv2D(5, 3, activation='relu', bias_initializer='normal'),
        layers.Flatten(),
        layers.Dense(3),
      ]
    )
    models[f'seed_{seed}'] = (
      tfp_ood.distributions.NeuralRenderingModel.from_keras(classifier)
    )
  return models


@pytest.fixture(scope='module', name='evaluations')
def _evaluations(models):
  return {
    run: analyses.evaluate(
      model,
      {'latent': stats.RenderingLatent('mode_normalized')},
      {'test': _DATA['test']},
      {'far': _DATA['far']},
      keep=('layer_etas', 'layer_reconstructions'),
      verbose=False,
    )
    for run, model in models.items()
  }


@pytest.fixture(scope='module', name='datasets')
def _datasets():
  return {
    name: tf.data.Dataset.from_tensor_slices(images).batch(5)
    for name, images in _DATA.items()
  }


def _figures(section):
  return {
    part['name']: part['arguments']
    for kind, part in section.tree()['parts']
    if kind == 'figure'
  }


def _draw(section):
  report = reporting.Report('Analyses')
  section.add_to(report)
  return report.to_html()


def test_rendering_layers(models, evaluations, datasets):
  section = analyses.rendering_layers(models, evaluations, datasets)
  assert list(section.results) == [
    'reconstruction_by_layer',
    'auroc_of_etas',
    'auroc_of_reconstructions',
    'switches',
  ]
  # Lists by layer, of one number for each run.
  for key, num_layers in (
    ('reconstruction_by_layer', 3),
    ('auroc_of_etas', 2),
    ('auroc_of_reconstructions', 3),
    ('switches', 2),
  ):
    for values in section.results[key].values():
      assert np.shape(values) == (num_layers, 2)
  (first, model), *_ = models.items()
  inside, outside = (
    evaluations[first].statistics[name]['layer_etas'] for name in _NAMES
  )
  assert section.results['auroc_of_etas']['far'][1][0] == pytest.approx(
    stats.auroc(-inside[:, 1], -outside[:, 1])
  )
  features = model.infer(_DATA['far']).features
  for layer, values in enumerate(features):
    assert section.results['switches']['far'][layer][0] == pytest.approx(
      np.mean(values > 0)
    )
  _draw(section)


def test_wrong_labels_are_wrong(models, evaluations, datasets):
  section = analyses.rendering_labels(models, datasets, _NAMES)
  (first, model), *_ = models.items()
  means = section.results['mean']
  assert list(means) == ['inferred', 'second', 'random']
  for name in _NAMES:
    latent = evaluations[first].statistics[name]['latent_mode_normalized']
    assert means['inferred'][name][0] == pytest.approx(
      latent.mean(), rel=1e-3, abs=1e-3
    )
  inside, outside = (
    evaluations[first].statistics[name]['latent_mode_normalized']
    for name in _NAMES
  )
  assert section.results['auroc']['inferred']['far'][0] == pytest.approx(
    stats.auroc(-inside, -outside), abs=0.02
  )
  assert means['second']['far'][0] != means['inferred']['far'][0]
  from tfp_ood.evaluation import rendering

  logits = model.infer_and_render(_DATA['test'])[3].logits
  labels = rendering._labels(logits, seed=0)
  inferred = np.argmax(logits, axis=1)
  np.testing.assert_array_equal(labels['inferred'], inferred)
  for which in ('second', 'random'):
    assert np.all(labels[which] != inferred)
    assert set(labels[which].numpy()) <= {0, 1, 2}
  for name in _NAMES:
    shown = _figures(section)[f'wrong_labels_{name}']['images']
    np.testing.assert_array_equal(shown[:8], _DATA[name][:8])
    np.testing.assert_array_equal(
      shown[8:16], analyses.rendered_pixels(model, _DATA[name][:8])
    )
  _draw(section)


def test_rendered_pixels_are_renderings(models):
  model = models['seed_0']
  found = analyses.rendered_pixels(model, _DATA['test'])
  assert found.shape == _DATA['test'].shape
  assert found.dtype == np.uint8
  rendered = model.infer_and_render(_DATA['test'])[2].image.numpy()
  expected = np.clip(np.round(127.5 * (rendered + 1)), 0, 255)
  np.testing.assert_array_equal(found, expected)


def test_exciting_features(models, datasets):
  model = models['seed_0']
  section = analyses.exciting_features(model, datasets, seed=5)
  figures = _figures(section)
  assert list(figures) == ['features_1', 'features_2']
  generator = np.random.default_rng(5)
  for layer, size in enumerate((4, 5)):
    features = generator.choice(size, 3, replace=False)
    images = figures[f'features_{layer + 1}']['images'].reshape(
      [3, 2, 9, *_SHAPE]
    )
    for row, feature in enumerate(features):
      for column, name in enumerate(_NAMES):
        values = model.infer(_DATA[name]).features[layer].numpy()
        excitement = values[..., feature].max(axis=(1, 2))
        order = np.argsort(-excitement, kind='stable')[:9]
        np.testing.assert_array_equal(images[row, column], _DATA[name][order])
  _draw(section)
