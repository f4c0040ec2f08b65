# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of what a Detector exports."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
from stats.decisions import detectors

from tfp_ood import stats

_SCRIPT = """
import sys

_ABSENT = ('tfp_ood', 'tensorflow_probability', 'tf_keras', 'sklearn', 'PIL')


class _Absent:
  def find_spec(self, name, path=None, target=None):
    if name.split('.')[0] in _ABSENT:
      raise ModuleNotFoundError(f'{name} is blocked in this test')


sys.meta_path.insert(0, _Absent())

import json

import numpy as np
import tensorflow as tf

for name in _ABSENT:
  try:
    __import__(name)
  except ModuleNotFoundError:
    continue
  raise AssertionError(f'{name} could be imported')

folder = sys.argv[1]
images = np.load(f'{folder}/images.npy')
results = {}
for name in json.loads(sys.argv[2]):
  model = tf.saved_model.load(f'{folder}/{name}')
  assert sorted(model.signatures) == [
    'p_value', 'predict', 'score', 'serving_default'
  ]
  serve = model.signatures
  for size in (0, 1, 7):
    batch = images[:size]
    for dtype in (np.uint8, np.float32):
      key = f'{name}/{size}/{np.dtype(dtype).name}'
      results[f'{key}/score'] = model.score(batch.astype(dtype))
      results[f'{key}/p_value'] = model.p_value(batch.astype(dtype))
      results[f'{key}/predict'] = model.predict(batch.astype(dtype), 0.25)
    key = f'{name}/{size}/served'
    batch = tf.constant(batch)
    rate = tf.constant(0.25, tf.float64)
    (results[f'{key}/score'],) = [serve['score'](images=batch)['score']]
    (results[f'{key}/p_value'],) = serve['p_value'](images=batch).values()
    served = serve['predict'](images=batch, false_alarm_rate=rate)
    (results[f'{key}/predict'],) = served.values()
  assert serve['p_value'].structured_outputs.keys() == {'p_value'}
  assert served.keys() == {'is_out_of_distribution'}
  mapped = tf.data.Dataset.from_tensor_slices(images).batch(4)
  mapped = list(mapped.map(model.p_value))
  assert [len(part) for part in mapped] == [4, 3]
  results[f'{name}/7/mapped/p_value'] = tf.concat(mapped, axis=0)
np.savez(f'{folder}/results.npz', **results)
"""


def _of_gaussian(score, seed=2):
  gaussian = detectors.background(120.0)
  return stats.Detector(gaussian, score).fit(detectors.images(30, seed))


@pytest.mark.exhaustive
def test_exports_run_where_there_is_only_tensorflow(tmp_path):
  exported = {
    'states': detectors.of_flows(),
    'complexity': _of_gaussian(stats.InputComplexity()),
    'norm': _of_gaussian(stats.ScoreNorm()),
    'latent': detectors.of_classifier('latent'),
    'layers': detectors.of_classifier('layers'),
    'component': detectors.of_autoencoder('component kl'),
    'svm': detectors.of_autoencoder('latent one_class_svm'),
    'mahalanobis': detectors.of_autoencoder('latent mahalanobis'),
  }
  images = detectors.images(7, 6)
  images[5] = 255
  np.save(tmp_path / 'images.npy', images)
  for name, detector in exported.items():
    detector.export_saved_model(tmp_path / name)
  result = subprocess.run(
    [
      sys.executable,
      '-c',
      _SCRIPT,
      str(tmp_path),
      json.dumps(list(exported)),
    ],
    capture_output=True,
    text=True,
    env={**os.environ, 'CUDA_VISIBLE_DEVICES': '-1'},
    timeout=300,
  )
  assert result.returncode == 0, result.stderr[-3000:]
  with np.load(tmp_path / 'results.npz') as results:
    assert len(results) == len(exported) * (3 * 3 * 3 + 1)
    for key, value in results.items():
      name, size, _, method = key.split('/')
      detector, batch = exported[name], images[: int(size)]
      if method == 'score':
        np.testing.assert_allclose(value, detector.score(batch), rtol=1e-5)
      elif method == 'p_value':
        np.testing.assert_array_equal(value, detector.p_value(batch), key)
      else:
        np.testing.assert_array_equal(value, detector.predict(batch, 0.25), key)
    assert np.unique(results['states/7/uint8/p_value']).size > 2
    assert results['states/7/uint8/predict'][5]


def test_an_export_replaces_an_earlier_one(tmp_path):
  path = tmp_path / 'folder' / 'detector'
  images = detectors.images(5, 3)
  for seed in (1, 2):
    detector = _of_gaussian(stats.NegativeLogLikelihood(), seed)
    detector.export_saved_model(str(path))
    loaded = tf.saved_model.load(str(path))
    np.testing.assert_array_equal(
      loaded.p_value(images), detector.p_value(images)
    )
  assert [entry.name for entry in path.parent.iterdir()] == ['detector']


def test_a_saved_model_cannot_hold_pillow(tmp_path):
  detector = _of_gaussian(stats.InputComplexity('compressed_bits_per_dim'))
  with pytest.raises(ValueError, match=r"Use InputComplexity\('png_bits_per_d"):
    detector.export_saved_model(tmp_path / 'detector')
  assert not list(tmp_path.iterdir())
