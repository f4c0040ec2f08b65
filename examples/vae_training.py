# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Training of one autoencoder in a folder of its own, interrupted or not."""

import os
import shutil
import time

import experiment_data
import experiment_folder
import experiment_report
import numpy as np
import tensorflow as tf
import tf_keras

import tfp_ood

__all__ = ['has_prior', 'train']

distributions = tfp_ood.distributions
training = tfp_ood.training

_BACKUP_STEPS = 100
_NUM_VALIDATION = 1_000


def has_prior(config):
  """Whether the model of a configuration is variational."""
  return config['model'] != 'autoencoder'


def train(
  config, output_dir, image_shape, strategy, data_dir, tensorboard=False
):
  """Trains an autoencoder, or resumes, or restores what was trained.

  Args:
    config: `dict`, all that decides what is trained: see `vae_experiment`.
    output_dir: the model's folder. It will hold configuration.json, weights,
      training.json and, while training, a backup.
    image_shape: `[height, width, channels]`.
    strategy: `tf.distribute.Strategy`.
    data_dir: folder of prepared TFDS data sets.
    tensorboard: whether to write TensorBoard logs.

  Returns:
    The distribution, and a `dict` of how its training went.
  """
  configuration = os.path.join(output_dir, 'configuration.json')
  experiment_folder.check_configuration(configuration, config)
  tfp_ood.reporting.write_results(configuration, config)
  tf_keras.utils.set_random_seed(config['seed'])
  with strategy.scope():
    distribution = _distribution(config, image_shape)
    model = _model(distribution, config)
  done = os.path.join(output_dir, 'training.json')
  weights = os.path.join(output_dir, 'weights')
  if os.path.exists(done):
    training.load_weights(distribution, weights)
    print(f'The model is trained already: {weights}')
    return distribution, tfp_ood.reporting.read_results(done)
  record = _fit(model, config, output_dir, data_dir, tensorboard)
  if experiment_folder.is_chief(strategy):
    training.save_weights(distribution, weights)
    tfp_ood.reporting.write_results(done, record)
    shutil.rmtree(os.path.join(output_dir, 'backup'), ignore_errors=True)
  return distribution, record


def _distribution(config, image_shape):
  make = {
    'autoencoder': distributions.autoencoder,
    'f_vae': distributions.flow_variational_autoencoder,
  }.get(config['model'], distributions.variational_autoencoder)
  if config['model'] == 'f_vae':
    options = config['decoder_flow']
  else:
    options = {
      'decoder': config['decoder'],
      'decoder_scale': config['decoder_scale'],
    }
    if config['decoder'] == 'categorical' and has_prior(config):
      # 256 numbers for each value of each sample fill the memory.
      options['samples_per_pass'] = 1
  return make(
    image_shape,
    latent_size=config['latent_size'],
    width=config['width'],
    seed=config['seed'],
    **options,
  )


def _model(distribution, config):
  if config['model'] == 'soft_intro_vae':
    model = training.SoftIntrospectiveModel(
      distribution,
      beta_reconstruction=config['beta_reconstruction'],
      beta_kl=config['beta'],
      beta_negative=config['beta_negative'],
      num_vae_steps=config['num_vae_steps'],
      warmup_steps=config['kl_warmup_steps'],
      seed=config['seed'],
    )
    model.compile(*(training.adam(config['learning_rate']) for _ in range(2)))
    return model
  options = {}
  if has_prior(config):
    options = {
      'beta': config['beta'],
      'warmup_steps': config['kl_warmup_steps'],
      'free_bits': config['free_bits'],
    }
  model = training.VariationalModel(
    distribution, seed=config['seed'], **options
  )
  model.compile(
    training.adam(
      config['learning_rate'], warmup_steps=100, global_clipnorm=1.0
    )
  )
  return model


def _fit(model, config, output_dir, data_dir, tensorboard):
  dataset = experiment_data.load(
    experiment_data.train_name(config), config, data_dir, shuffle=True
  )
  validation = experiment_data.load(
    experiment_data.test_name(config), config, data_dir, limit=_NUM_VALIDATION
  )
  others = experiment_data.out_of_distribution(
    config['watched'], config, data_dir, limit=_NUM_VALIDATION
  )
  log = os.path.join(output_dir, 'epochs.csv')
  callbacks = [
    # First, or the backup would keep what it stops at.
    training.StopOnNaN(),
    tf_keras.callbacks.BackupAndRestore(
      os.path.join(output_dir, 'backup'),
      save_freq=_BACKUP_STEPS,
      # Kept until the weights are safe.
      delete_checkpoint=False,
    ),
    # Before the log that takes up what it measures.
    _Watch(model.distribution, validation, others),
    tf_keras.callbacks.CSVLogger(log, append=True),
    training.Progress(),
  ]
  if tensorboard:
    callbacks.append(
      tf_keras.callbacks.TensorBoard(os.path.join(output_dir, 'tensorboard'))
    )
  model.fit(
    experiment_data.shard_by_example(dataset),
    validation_data=experiment_data.shard_by_example(validation),
    epochs=config['epochs'],
    callbacks=callbacks,
    verbose=0,
  )
  steps = int(model.optimizer.iterations.numpy())
  epochs = experiment_report.read_epochs(log)
  return {
    'seconds': sum(row['seconds'] for row in epochs),
    'steps': steps,
    'images': steps * config['batch_size'],
    'epochs': epochs,
  }


class _Watch(tf_keras.callbacks.Callback):
  """Measures, after each epoch, how the bound tells two data sets apart.

  It is looked at and never chosen by. It adds to the epoch's record, beside its
  `seconds`, the AUROC `watched_NAME` of minus the bound of the first test images
  against that of the first images of another data set.
  """

  def __init__(self, distribution, test, others):
    super().__init__()
    self._test = test
    self._others = others
    self._log_prob = tf.function(distribution.log_prob, reduce_retracing=True)
    self._start = None

  def on_epoch_begin(self, epoch, logs=None):
    """Starts the clock."""
    self._start = time.monotonic()

  def on_epoch_end(self, epoch, logs=None):
    """Adds what it measures to the epoch's record."""
    logs['seconds'] = time.monotonic() - self._start
    inside = self._scores(self._test)
    for name, dataset in self._others.items():
      logs[f'watched_{name}'] = tfp_ood.stats.auroc(
        inside, self._scores(dataset)
      )

  def _scores(self, dataset):
    return -np.concatenate([self._log_prob(images) for images, _ in dataset])
