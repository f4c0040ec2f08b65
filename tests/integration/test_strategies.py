# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of training on several devices and on several machines.

Devices and clusters are set up before TensorFlow starts: each test looks at
what scripts in their own processes report.
"""

import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest

_TIMEOUT = 240

_COMMON = """
import json
import os
import sys

import numpy as np
import tensorflow as tf
import tf_keras

import tfp_ood


def images(number, seed):
  generator = np.random.default_rng(seed)
  coarse = generator.uniform(0, 256, size=[number, 2, 2, 3])
  fine = coarse.repeat(2, axis=1).repeat(2, axis=2)
  fine += generator.normal(0, 10, size=fine.shape)
  return np.clip(fine, 0, 255).astype(np.uint8)


def build(optimizer, seed=None):
  # Without a seed the noise is fixed, and so the same on any devices.
  flow = tfp_ood.distributions.glow(
    [4, 4, 3],
    num_levels=1,
    num_steps=2,
    hidden_channels=4,
    seed=[0, 1],
    recompute=False,
  )
  model = tfp_ood.training.DistributionModel(flow, seed=seed)
  model.compile(optimizer())
  return model


def batches(images, batch_size=8):
  dataset = tf.data.Dataset.from_tensor_slices(images).batch(batch_size)
  options = tf.data.Options()
  options.experimental_distribute.auto_shard_policy = (
    tf.data.experimental.AutoShardPolicy.DATA
  )
  return dataset.with_options(options)


def sgd():
  return tf_keras.optimizers.SGD(0.05)


def adam():
  return tfp_ood.training.adam(
    1e-2, warmup_steps=2, global_clipnorm=1.0, ema_momentum=0.5
  )


def weights(model):
  return [v.numpy().tolist() for v in model.distribution.variables]


class BeforeTraining(tf_keras.callbacks.Callback):
  def on_train_begin(self, logs=None):
    self.weights = weights(self.model)
"""

_MIRRORED = """
tf.config.set_logical_device_configuration(
  tf.config.list_physical_devices('CPU')[0],
  [tf.config.LogicalDeviceConfiguration()] * 2,
)
tf.config.set_visible_devices([], 'GPU')
strategy = tfp_ood.training.make_strategy('mirrored')
report = {'num_replicas': strategy.num_replicas_in_sync}


def differences(model):
  return [
    float(np.max(np.abs(np.subtract(*[
      np.float64(copy.numpy()) for copy in variable.values
    ]))))
    for variable in model.distribution.variables
  ]


def pair(optimizer, seed=None):
  with strategy.scope():
    mirrored = build(optimizer, seed)
  return mirrored, build(optimizer, seed)


data = images(32, 0)
mirrored, single = pair(sgd)
report['initialized_before'] = [
  model.distribution.is_initialized for model in (mirrored, single)
]
report['errors_before'] = []
for model in (mirrored, single):
  try:
    model.distribution.log_prob(data)
  except ValueError as error:
    report['errors_before'].append(str(error))
for model in (mirrored, single):
  model.initialize(batches(data))
report['differences_after_initialization'] = differences(mirrored)
report['initialized'] = weights(mirrored), weights(single)


def gradients(model, images, num_images):
  with tf.GradientTape() as tape:
    log_prob = model.distribution.log_prob(images)
    loss = -tf.reduce_sum(log_prob) / num_images
  return tape.gradient(loss, model.distribution.trainable_variables)


@tf.function
def mirrored_gradients():
  per_replica = strategy.experimental_distribute_values_from_function(
    lambda context: tf.constant(
      data[16 * context.replica_id_in_sync_group :][:16]
    )
  )
  by_replica = strategy.run(gradients, (mirrored, per_replica, 32))
  return strategy.reduce('SUM', by_replica, axis=None)


# Moved from the start, where half of the gradients are zero.
for index, (one, other) in enumerate(
  zip(
    mirrored.distribution.trainable_variables,
    single.distribution.trainable_variables,
  )
):
  noise = np.random.default_rng(index).normal(0, 0.05, one.shape)
  one.assign_add(noise.astype(np.float32))
  other.assign_add(noise.astype(np.float32))
report['gradients'] = [
  [gradient.numpy().tolist() for gradient in result]
  for result in (mirrored_gradients(), gradients(single, data, 32))
]

for name, dataset in (
  ('even', batches(data)),
  # The last batch has 3 images, 2 for one replica and 1 for the other; or one,
  # and the other replica has none.
  ('uneven', batches(data[:27])),
  ('single', batches(data[:25])),
):
  report[name] = {
    'losses': [
      model.fit(dataset, epochs=2, verbose=0).history['bits_per_dim']
      for model in (mirrored, single)
    ],
    'weights': [weights(model) for model in (mirrored, single)],
    'differences': differences(mirrored),
    'evaluate': [
      model.evaluate(dataset, verbose=0) for model in (mirrored, single)
    ],
    'predict': [
      model.predict(dataset, verbose=0).tolist() for model in (mirrored, single)
    ],
  }

mirrored, single = pair(adam, seed=3)
before_training = BeforeTraining(), BeforeTraining()
report['adam'] = {
  'losses': [
    model.fit(
      batches(data), epochs=4, verbose=0, callbacks=[callback]
    ).history['bits_per_dim']
    for model, callback in zip((mirrored, single), before_training)
  ],
  'initialized': [callback.weights for callback in before_training],
  'differences': differences(mirrored),
}
with open(sys.argv[1], 'w') as file:
  json.dump(report, file)
"""

_WORKER = """
index = json.loads(os.environ['TF_CONFIG'])['task']['index']
strategy = tfp_ood.training.make_strategy('multi_worker')
with strategy.scope():
  model = build(adam, seed=3)
# Other images on each worker, until the strategy deals out the batches.
own = images(16, index)
options = tf.data.Options()
options.experimental_distribute.auto_shard_policy = (
  tf.data.experimental.AutoShardPolicy.OFF
)
dataset = batches(own).with_options(options)
before_training = BeforeTraining()
history = model.fit(dataset, epochs=3, verbose=0, callbacks=[before_training])
report = {
  'num_replicas': strategy.num_replicas_in_sync,
  'initialized': before_training.weights,
  'losses': history.history['bits_per_dim'],
}
report['weights'] = weights(model)
report['evaluate'] = model.evaluate(
  batches(images(16, 5)), verbose=0, return_dict=True
)
report['log_prob'] = model.distribution.log_prob(images(4, 5)).numpy().tolist()

alone = tfp_ood.distributions.glow(
  [4, 4, 3], num_levels=1, num_steps=2, hidden_channels=4, seed=[0, 1]
)
alone.initialize(np.concatenate([images(16, 0), images(16, 1)]))
report['expected'] = [v.numpy().tolist() for v in alone.variables]
with open(sys.argv[1], 'w') as file:
  json.dump(report, file)
"""


def _start(folder, name, script, tf_config=None):
  """Starts a script; returns its process and the path of its report."""
  path = folder / f'{name}.py'
  path.write_text(_COMMON + script)
  environment = {
    **os.environ,
    'TF_CPP_MIN_LOG_LEVEL': '2',
    'CUDA_VISIBLE_DEVICES': '-1',
  }
  environment.pop('TF_CONFIG', None)
  if tf_config is not None:
    environment['TF_CONFIG'] = json.dumps(tf_config)
  with open(folder / f'{name}.log', 'wb') as log:
    process = subprocess.Popen(
      [sys.executable, str(path), str(folder / f'{name}.json')],
      env=environment,
      stdout=log,
      stderr=subprocess.STDOUT,
    )
  return process


def _reports(folder, processes):
  """Waits for scripts and returns their reports."""
  try:
    for name, process in processes.items():
      returncode = process.wait(timeout=_TIMEOUT)
      assert returncode == 0, (folder / f'{name}.log').read_text()[-4000:]
  finally:
    for process in processes.values():
      process.kill()
      process.wait()
  return [
    json.loads((folder / f'{name}.json').read_text()) for name in processes
  ]


def _assert_close(actual, expected, rtol, atol=0.0):
  assert len(actual) == len(expected)
  for one, other in zip(actual, expected, strict=True):
    np.testing.assert_allclose(one, other, rtol=rtol, atol=atol)


@pytest.fixture(scope='module', name='mirrored')
def _mirrored(tmp_path_factory):
  folder = tmp_path_factory.mktemp('mirrored')
  processes = {'mirrored': _start(folder, 'mirrored', _MIRRORED)}
  return _reports(folder, processes)[0]


def test_mirrored_initialization_is_that_of_one_device(mirrored):
  assert mirrored['num_replicas'] == 2
  assert max(mirrored['differences_after_initialization']) == 0
  _assert_close(*mirrored['initialized'], rtol=1e-6)


def test_mirrored_flows_know_whether_they_are_initialized(mirrored):
  assert mirrored['initialized_before'] == [False, False]
  of_two, of_one = mirrored['errors_before']
  assert of_two == of_one
  assert 'not initialized' in of_two


def test_mirrored_gradients_are_those_of_one_device(mirrored):
  of_two, of_one = mirrored['gradients']
  assert all(np.abs(gradient).max() > 0 for gradient in of_one)
  _assert_close(of_two, of_one, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize('batches', ['even', 'uneven', 'single'])
def test_mirrored_training_is_that_of_one_device(mirrored, batches):
  report = mirrored[batches]
  assert max(report['differences']) == 0
  _assert_close(*report['losses'], rtol=1e-4)
  _assert_close(*report['weights'], rtol=1e-3, atol=1e-5)
  _assert_close(*report['predict'], rtol=1e-4)
  np.testing.assert_allclose(*report['evaluate'], rtol=1e-5)


def test_fit_initializes_replicas_and_keeps_them_equal(mirrored):
  report = mirrored['adam']
  assert max(report['differences']) == 0
  _assert_close(*report['initialized'], rtol=1e-6)
  of_two, of_one = report['losses']
  assert of_two[-1] < of_two[0]
  # Each replica draws its own noise: near, and not the same.
  np.testing.assert_allclose(of_two, of_one, atol=0.2)
  assert of_two != of_one


@pytest.fixture(scope='module', name='workers')
def _workers(tmp_path_factory):
  folder = tmp_path_factory.mktemp('workers')
  sockets = [socket.socket() for _ in range(2)]
  for one in sockets:
    one.bind(('localhost', 0))
  addresses = [f'localhost:{one.getsockname()[1]}' for one in sockets]
  for one in sockets:
    one.close()
  processes = {
    f'worker_{index}': _start(
      folder,
      f'worker_{index}',
      _WORKER,
      {
        'cluster': {'worker': addresses},
        'task': {'type': 'worker', 'index': index},
      },
    )
    for index in range(2)
  }
  return _reports(folder, processes)


def test_fit_initializes_workers_alike_from_all_data(workers):
  for report in workers:
    assert report['num_replicas'] == 2
    _assert_close(report['initialized'], report['expected'], 1e-5, 1e-6)
  assert workers[0]['initialized'] == workers[1]['initialized']


def test_workers_end_with_the_same_weights(workers):
  first, second = workers
  assert first['weights'] == second['weights']
  assert first['weights'] != first['initialized']
  assert first['losses'] == second['losses']
  assert first['losses'][-1] < first['losses'][0]
  assert first['log_prob'] == second['log_prob']


def test_workers_evaluate_together(workers):
  first, second = (report['evaluate'] for report in workers)
  assert first == second
  assert np.isfinite(first['bits_per_dim'])
