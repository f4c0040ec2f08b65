# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of training neural rendering models on several devices.

Devices are set up before TensorFlow starts: the test looks at what a script in
a process of its own reports.
"""

import json

import conftest
import numpy as np
import pytest

_SCRIPT = """
import json
import sys

import numpy as np
import tensorflow as tf
import tf_keras

import tfp_ood

tf.config.set_logical_device_configuration(
  tf.config.list_physical_devices('CPU')[0],
  [tf.config.LogicalDeviceConfiguration()] * 2,
)
strategy = tfp_ood.training.make_strategy('mirrored')
report = {'num_replicas': strategy.num_replicas_in_sync}


def build():
  tf_keras.utils.set_random_seed(0)
  classifier = tf_keras.Sequential([
    tf_keras.layers.Input([6, 6, 3]),
    tf_keras.layers.Conv2D(
      4, 3, activation='relu', bias_initializer='random_normal'
    ),
    tf_keras.layers.Flatten(),
    tf_keras.layers.Dense(3),
  ])
  nrm = tfp_ood.distributions.NeuralRenderingModel.from_keras(classifier)
  model = tfp_ood.training.RenderingModel(nrm)
  model.compile(tf_keras.optimizers.SGD(0.05))
  return model


def batches(count):
  generator = np.random.default_rng(0)
  images = generator.integers(0, 256, [count, 6, 6, 3]).astype(np.uint8)
  labels = generator.integers(0, 3, count)
  dataset = tf.data.Dataset.from_tensor_slices((images, labels)).batch(8)
  options = tf.data.Options()
  options.experimental_distribute.auto_shard_policy = (
    tf.data.experimental.AutoShardPolicy.DATA
  )
  return dataset.with_options(options)


with strategy.scope():
  mirrored = build()
single = build()
for name, count in json.loads(sys.argv[2]).items():
  histories = [
    model.fit(batches(count), epochs=2, verbose=0).history
    for model in (mirrored, single)
  ]
  report[name] = {
    'histories': histories,
    'weights': [
      [variable.numpy().tolist() for variable in model.trainable_variables]
      for model in (mirrored, single)
    ],
    'evaluations': [
      model.evaluate(batches(count), verbose=0, return_dict=True)
      for model in (mirrored, single)
    ],
  }
with open(sys.argv[1], 'w') as file:
  json.dump(report, file)
"""
# The last batch has 3 images, 2 for one replica and 1 for the other; or one, and
# the other replica has none.
_COUNTS = {'even': 16, 'uneven': 11, 'single': 9}


@pytest.fixture(scope='module', name='report')
def _report(tmp_path_factory):
  folder = tmp_path_factory.mktemp('rendering')
  script, path = folder / 'script.py', folder / 'report.json'
  script.write_text(_SCRIPT)
  result = conftest.run_python([script, path, json.dumps(_COUNTS)], folder)
  assert result.returncode == 0, result.stderr[-4000:]
  return json.loads(path.read_text())


@pytest.mark.parametrize('batches', list(_COUNTS))
def test_mirrored_training_is_that_of_one_device(report, batches):
  assert report['num_replicas'] == 2
  of_two, of_one = report[batches]['histories']
  assert of_one['loss'][1] < of_one['loss'][0]
  for part, values in of_one.items():
    np.testing.assert_allclose(of_two[part], values, rtol=1e-4, err_msg=part)
  for one, other in zip(*report[batches]['weights'], strict=True):
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
  of_two, of_one = report[batches]['evaluations']
  for part, value in of_one.items():
    np.testing.assert_allclose(of_two[part], value, rtol=1e-4, err_msg=part)
