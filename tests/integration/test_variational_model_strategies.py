# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of training variational autoencoders on several devices, and killed.

Devices are set up before TensorFlow starts, and what is killed is a process:
each test looks at what scripts in processes of their own report.
"""

import json
import signal

import conftest
import numpy as np

_COMMON = """
import json
import os
import signal
import sys

import numpy as np
import tensorflow as tf
import tf_keras

import tfp_ood


def build(**kwargs):
  vae = tfp_ood.distributions.variational_autoencoder(
    [8, 8, 1], latent_size=3, hidden_channels=2, seed=1, **kwargs
  )
  return tfp_ood.training.VariationalModel(vae, warmup_steps=4)


def batches(count):
  generator = np.random.default_rng(0)
  images = generator.integers(0, 256, [count, 8, 8, 1]).astype(np.uint8)
  dataset = tf.data.Dataset.from_tensor_slices(images).batch(8)
  options = tf.data.Options()
  options.experimental_distribute.auto_shard_policy = (
    tf.data.experimental.AutoShardPolicy.DATA
  )
  return dataset.with_options(options)


def weights(model):
  return [v.numpy().tolist() for v in model.distribution.trainable_variables]


def write(report):
  with open(sys.argv[1], 'w') as file:
    json.dump(report, file)
"""

# Each replica draws its own noise, so that losses of training agree only roughly;
# evaluation takes the fixed noise.
_MIRRORED = (
  _COMMON
  + """
tf.config.set_logical_device_configuration(
  tf.config.list_physical_devices('CPU')[0],
  [tf.config.LogicalDeviceConfiguration()] * 2,
)
strategy = tfp_ood.training.make_strategy('mirrored')
with strategy.scope():
  mirrored = build(batch_normalization=False)
  mirrored.compile(tf_keras.optimizers.SGD(0.01))
single = build(batch_normalization=False)
single.compile(tf_keras.optimizers.SGD(0.01))
before = [
  model.evaluate(batches(11), verbose=0, return_dict=True)
  for model in (mirrored, single)
]
histories = [
  model.fit(batches(11), epochs=3, verbose=0).history
  for model in (mirrored, single)
]
write({
  'num_replicas': strategy.num_replicas_in_sync,
  'before': before,
  'histories': histories,
})
"""
)

_KILLED = (
  _COMMON
  + """
class Kill(tf_keras.callbacks.Callback):
  def on_train_batch_end(self, batch, logs=None):
    if int(self.model.optimizer.iterations.numpy()) == int(sys.argv[3]):
      os.kill(os.getpid(), signal.SIGKILL)


model = build()
model.compile(tfp_ood.training.adam(1e-2))
model.fit(
  # Keras starts a data set anew: its batches are all alike.
  batches(8).repeat(4),
  epochs=2,
  verbose=0,
  callbacks=[
    tf_keras.callbacks.BackupAndRestore(sys.argv[2], save_freq=1),
    Kill(),
  ],
)
write({
  'steps': int(model.optimizer.iterations.numpy()), 'weights': weights(model)
})
"""
)


def _run(script, folder, *arguments):
  path = folder / 'script.py'
  path.write_text(script)
  return conftest.run_python([path, *map(str, arguments)], folder)


def test_mirrored_training_falls_as_that_of_one_device(tmp_path):
  result = _run(_MIRRORED, tmp_path, tmp_path / 'report.json')
  assert result.returncode == 0, result.stderr[-4000:]
  report = json.loads((tmp_path / 'report.json').read_text())
  assert report['num_replicas'] == 2
  of_two, of_one = report['before']
  for name, value in of_one.items():
    np.testing.assert_allclose(of_two[name], value, rtol=1e-4, err_msg=name)
  of_two, of_one = report['histories']
  assert of_one['loss'][-1] < of_one['loss'][0]
  np.testing.assert_allclose(of_two['loss'], of_one['loss'], rtol=5e-2)
  for name, values in of_two.items():
    assert np.isfinite(values).all(), name


def test_what_was_killed_goes_on_as_if_it_were_not(tmp_path):
  reports = {}
  for name, kills in (('whole', [99]), ('killed', [3, 99])):
    folder = tmp_path / name
    folder.mkdir()
    for step in kills:
      result = _run(
        _KILLED, folder, folder / 'report.json', folder / 'backup', step
      )
      expected = -signal.SIGKILL if step == 3 else 0
      assert result.returncode == expected, result.stderr[-4000:]
    reports[name] = json.loads((folder / 'report.json').read_text())
  assert reports['killed']['steps'] == reports['whole']['steps'] == 8
  for one, other in zip(
    reports['killed']['weights'], reports['whole']['weights'], strict=True
  ):
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
