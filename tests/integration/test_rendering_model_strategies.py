# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of training neural rendering models on several devices."""

import json

import numpy as np
import processes
import pytest

pytestmark = pytest.mark.exhaustive

_SCRIPT = (
  processes.TRAINING
  + """
strategy = two_replicas()
report = {'num_replicas': strategy.num_replicas_in_sync}


def classifier():
  tf_keras.utils.set_random_seed(0)
  l2 = tf_keras.regularizers.L2(0.1)
  network = tf_keras.Sequential([
    tf_keras.layers.Input([6, 6, 3]),
    tf_keras.layers.Conv2D(
      4,
      3,
      activation='relu',
      bias_initializer='random_normal',
      kernel_regularizer=l2,
    ),
    tf_keras.layers.Flatten(),
    tf_keras.layers.Dense(3, name='frozen'),
    tf_keras.layers.ReLU(),
    tf_keras.layers.Dense(3, bias_regularizer=l2),
  ])
  network.get_layer('frozen').trainable = False
  return network


def build(*loss_weights):
  nrm = tfp_ood.distributions.NeuralRenderingModel.from_keras(classifier())
  model = tfp_ood.training.RenderingModel(
    nrm, tfp_ood.training.RenderingLossWeights(*loss_weights)
  )
  model.compile(tf_keras.optimizers.SGD(0.05))
  return model


def pairs(count):
  generator = np.random.default_rng(0)
  images = generator.integers(0, 256, [count, 6, 6, 3]).astype(np.uint8)
  return images, generator.integers(0, 3, count)


with strategy.scope():
  mirrored = build()
single = build()
for name, count in json.loads(sys.argv[2]).items():
  data = batches(pairs(count))
  histories = [
    model.fit(data, epochs=2, verbose=0).history for model in (mirrored, single)
  ]
  report[name] = {
    'histories': histories,
    'weights': [
      values(model.trainable_variables) for model in (mirrored, single)
    ],
    'evaluations': [
      model.evaluate(data, verbose=0, return_dict=True)
      for model in (mirrored, single)
    ],
  }

# As a plain classifier, beside Keras on as many devices.
with strategy.scope():
  plain = build(1.0, 0.0, 0.0, 0.0, 0.0)
  keras = classifier()
  keras.compile(
    tf_keras.optimizers.SGD(0.05),
    tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True),
  )
images, labels = pairs(16)
plain.fit(batches((images, labels)), epochs=2, verbose=0)
keras.fit(batches((images / np.float32(127.5) - 1, labels)), epochs=2, verbose=0)
report['classifiers'] = [
  values(plain.distribution.network.model.weights), values(keras.weights)
]
write(report)
"""
)
# The last batch has 3 images, 2 for one replica and 1 for the other; or one, and
# the other replica has none.
_COUNTS = {'even': 16, 'uneven': 11, 'single': 9}


@pytest.fixture(scope='module', name='report')
def _report(tmp_path_factory):
  folder = tmp_path_factory.mktemp('rendering')
  return processes.report(folder, 'rendering', _SCRIPT, json.dumps(_COUNTS))


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


def test_mirrored_training_is_that_of_keras(report):
  # Regularizers count once, and what is frozen stays.
  ours, of_keras = report['classifiers']
  for one, other in zip(ours, of_keras, strict=True):
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
