# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of training variational autoencoders on several devices, and killed."""

import signal

import numpy as np
import processes
import pytest

pytestmark = pytest.mark.exhaustive

_COMMON = (
  processes.TRAINING
  + """
import signal


def build(optimizer, **kwargs):
  vae = tfp_ood.distributions.variational_autoencoder(
    [8, 8, 1], latent_size=3, hidden_channels=2, seed=1, **kwargs
  )
  model = tfp_ood.training.VariationalModel(vae, warmup_steps=4)
  model.compile(optimizer)
  return model


def images(count):
  generator = np.random.default_rng(0)
  return generator.integers(0, 256, [count, 8, 8, 1]).astype(np.uint8)


def weights(model):
  return values(model.distribution.trainable_variables)
"""
)

# Each replica draws its own noise, so that losses of training agree only roughly;
# evaluation takes the fixed noise.
_MIRRORED = (
  _COMMON
  + """
strategy = two_replicas()


def pair():
  return build(tf_keras.optimizers.SGD(0.01), batch_normalization=False)


with strategy.scope():
  mirrored = pair()
single = pair()
data = batches(images(11))
before = [
  model.evaluate(data, verbose=0, return_dict=True)
  for model in (mirrored, single)
]
histories = [
  model.fit(data, epochs=3, verbose=0).history for model in (mirrored, single)
]


def introspective():
  vae = tfp_ood.distributions.variational_autoencoder(
    [8, 8, 1], latent_size=3, hidden_channels=2, seed=1
  )
  model = tfp_ood.training.SoftIntrospectiveModel(vae, num_vae_steps=2)
  adams = [tfp_ood.training.adam(1e-2, ema_momentum=0.5) for _ in range(2)]
  model.compile(*adams)
  return model


with strategy.scope():
  model = introspective()
history = model.fit(data, epochs=3, verbose=0).history
write({
  'num_replicas': strategy.num_replicas_in_sync,
  'before': before,
  'histories': histories,
  'introspective': history,
  'steps': [
    int(optimizer.iterations.numpy())
    for optimizer in (model.optimizer.encoder, model.optimizer.decoder)
  ],
  'differences': [
    float(np.max(np.abs(np.subtract(*[v.numpy() for v in variable.values]))))
    for variable in model.distribution.trainable_variables
  ],
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


def train(callbacks):
  model = build(tfp_ood.training.adam(1e-2))
  # Keras starts a data set anew: its batches are all alike.
  model.fit(
    batches(images(8)).repeat(4), epochs=2, verbose=0, callbacks=callbacks
  )
  steps = int(model.optimizer.iterations.numpy())
  return {'steps': steps, 'weights': weights(model)}


backup = tf_keras.callbacks.BackupAndRestore(sys.argv[2], save_freq=1)
write({'killed': train([backup, Kill()]), 'whole': train([])})
"""
)


def test_mirrored_training_falls_as_that_of_one_device(tmp_path):
  report = processes.report(tmp_path, 'mirrored', _MIRRORED)
  assert report['num_replicas'] == 2
  of_two, of_one = report['before']
  for name, value in of_one.items():
    np.testing.assert_allclose(of_two[name], value, rtol=1e-4, err_msg=name)
  of_two, of_one = report['histories']
  assert of_one['loss'][-1] < of_one['loss'][0]
  np.testing.assert_allclose(of_two['loss'], of_one['loss'], rtol=5e-2)
  for name, values in of_two.items():
    assert np.isfinite(values).all(), name
  # The introspective model too, whose replicas stay equal.
  assert report['steps'] == [6, 6]
  assert max(report['differences']) == 0
  for name, values in report['introspective'].items():
    assert np.isfinite(values).all(), name
  assert report['introspective']['kl_fake'][0] == 0
  assert report['introspective']['kl_fake'][-1] > 0


def test_what_was_killed_goes_on_as_if_it_were_not(tmp_path):
  if not hasattr(signal, 'SIGKILL'):
    pytest.skip('No SIGKILL on this system.')
  backup = tmp_path / 'backup'
  nothing = processes.report(
    tmp_path, 'killed', _KILLED, backup, 3, returncode=-signal.SIGKILL
  )
  assert nothing is None
  report = processes.report(tmp_path, 'resumed', _KILLED, backup, 99)
  assert report['killed']['steps'] == report['whole']['steps'] == 8
  for one, other in zip(
    report['killed']['weights'], report['whole']['weights'], strict=True
  ):
    np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-6)
