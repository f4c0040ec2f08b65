# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Training of one flow in a folder of its own, interrupted or not."""

import os
import shutil
import sys

import experiment_data
import experiment_folder
import flow_report
import tensorflow as tf
import tf_keras

import tfp_ood

__all__ = ['MODELS', 'restore', 'train']

MODELS = {
  'glow': tfp_ood.distributions.glow,
  'cv_glow': tfp_ood.distributions.constant_volume_glow,
}
_BACKUP_STEPS = 100
_NUM_VALIDATION = 1_000
_MAX_SKIPPED_STEPS = 10


def train(
  config, output_dir, image_shape, strategy, data_dir, tensorboard=False
):
  """Trains a flow, or resumes, or restores what was trained.

  Args:
    config: `dict`, all that decides what is trained: see `flow_experiment`.
    output_dir: the model's folder. It will hold configuration.json, weights,
      training.json and, while training, a backup.
    image_shape: `[height, width, channels]`; images of another are fitted.
    strategy: `tf.distribute.Strategy`.
    data_dir: folder of prepared TFDS data sets.
    tensorboard: whether to write TensorBoard logs.

  Returns:
    The flow, and a `dict` of how its training went.
  """
  configuration = os.path.join(output_dir, 'configuration.json')
  experiment_folder.check_configuration(configuration, config)
  tfp_ood.reporting.write_results(configuration, config)
  tf_keras.utils.set_random_seed(config['seed'])
  with strategy.scope():
    model = _build_model(config, image_shape)
  done = os.path.join(output_dir, 'training.json')
  weights = os.path.join(output_dir, 'weights')
  if os.path.exists(done):
    training = tfp_ood.reporting.read_results(done)
    tfp_ood.training.load_weights(model.distribution, weights)
    print(f'The model is trained already: {weights}')
    return model.distribution, training
  training = _fit(model, config, output_dir, data_dir, tensorboard)
  if experiment_folder.is_chief(strategy):
    tfp_ood.training.save_weights(model.distribution, weights)
    tfp_ood.reporting.write_results(done, training)
    shutil.rmtree(os.path.join(output_dir, 'backup'), ignore_errors=True)
  return model.distribution, training


def restore(config, output_dir, image_shape):
  """Restores a trained flow, perhaps into another precision.

  Args:
    config: `dict` of settings, as for `train`.
    output_dir: the model's folder.
    image_shape: `[height, width, channels]`.

  Returns:
    The flow.
  """
  flow = _build_flow(config, image_shape)
  weights = os.path.join(output_dir, 'weights')
  tfp_ood.training.load_weights(flow, weights)
  return flow


def _build_flow(config, image_shape):
  return MODELS[config['model']](
    image_shape,
    num_levels=config['num_levels'],
    num_steps=config['num_steps'],
    hidden_channels=config['hidden_channels'],
    seed=config['seed'],
    recompute=config['recompute'],
    compute_dtype=tf.as_dtype(config['precision']),
  )


def _build_model(config, image_shape):
  flow = _build_flow(config, image_shape)
  model = tfp_ood.training.DistributionModel(
    flow, seed=config['seed'], max_skipped_steps=_MAX_SKIPPED_STEPS
  )
  model.compile(
    tfp_ood.training.adam(
      config['learning_rate'],
      warmup_steps=100,
      global_clipnorm=1.0,
      ema_momentum=0.99,
      weight_decay=config['weight_decay'] or None,
    )
  )
  return model


def _fit(model, config, output_dir, data_dir, tensorboard):
  fitted = dict(
    transformation=lambda images: experiment_data.fit_to_shape(
      images, model.distribution.event_shape
    )
  )
  kwargs = {}
  if config['mutation_rate']:
    kwargs['random_transformation'] = lambda images, seed: (
      tfp_ood.datasets.mutate(images, config['mutation_rate'], seed)
    )
  dataset, validation = (
    experiment_data.load(name, config, data_dir, **options, **fitted, **kwargs)
    for name, options in (
      (experiment_data.train_name(config), dict(shuffle=True)),
      (experiment_data.test_name(config), dict(limit=_NUM_VALIDATION)),
    )
  )
  others = {
    name: experiment_data.load(
      f'{name}/test', config, data_dir, limit=_NUM_VALIDATION, **fitted
    )
    for name in config['watched']
  }
  log = os.path.join(output_dir, 'epochs.csv')
  callbacks = [
    # First, or the backup would keep what it stops at.
    tfp_ood.training.StopOnNaN(),
    tf_keras.callbacks.BackupAndRestore(
      os.path.join(output_dir, 'backup'),
      save_freq=_BACKUP_STEPS,
      # Kept until the weights are safe.
      delete_checkpoint=False,
    ),
    # Before the log that takes up what it measures.
    _Watch(others),
    tf_keras.callbacks.CSVLogger(log, append=True),
    tfp_ood.training.Progress(minutes=config['train_minutes']),
  ]
  if tensorboard:
    callbacks.append(
      tf_keras.callbacks.TensorBoard(os.path.join(output_dir, 'tensorboard'))
    )
  if config['train_minutes']:
    callbacks.append(tfp_ood.training.TimeLimit(config['train_minutes']))
  model.fit(
    experiment_data.shard_by_example(dataset),
    validation_data=experiment_data.shard_by_example(validation),
    epochs=config['epochs'] or sys.maxsize,
    callbacks=callbacks,
    verbose=0,
  )
  steps = int(model.optimizer.iterations)
  return {
    'seconds': float(model.training_seconds),
    'steps': steps,
    'skipped_steps': int(model.skipped_steps.numpy()),
    'images': steps * config['batch_size'],
    'epochs': flow_report.read_epochs(log),
  }


class _Watch(tf_keras.callbacks.Callback):
  """Measures, after each epoch, how likely images of other data sets are."""

  def __init__(self, datasets):
    super().__init__()
    self._datasets = {
      name: experiment_data.shard_by_example(dataset)
      for name, dataset in datasets.items()
    }

  def on_epoch_end(self, epoch, logs=None):
    """Adds `val_bits_per_dim_NAME` to the epoch's record."""
    for name, dataset in self._datasets.items():
      logs[f'val_bits_per_dim_{name}'] = self.model.evaluate(
        dataset, verbose=0, return_dict=True
      )['bits_per_dim']
