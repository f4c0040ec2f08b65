# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Training of one neural rendering model in a folder of its own.

In two stages: the classifier by its cross-entropy alone, in `classifier/`, which
runs of other losses can share by a copy of that folder; then all losses.
"""

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

__all__ = ['NETWORKS', 'NORMALIZATIONS', 'count_classes', 'train']

networks = tfp_ood.networks
training = tfp_ood.training

NETWORKS = {
  'all_conv13': networks.all_conv13,
  'all_cnn_c': networks.all_cnn_c,
  'small_resnet': networks.small_resnet,
  'alexnet_like': networks.alexnet_like,
}
NORMALIZATIONS = {
  'all_conv13': ('none', 'folded', 'untied'),
  'all_cnn_c': ('none', 'untied'),
  'small_resnet': ('folded', 'untied'),
  'alexnet_like': ('none', 'untied'),
}
# What the first stage depends on.
_OF_CLASSIFIER = (
  'in_distribution',
  'train_split',
  'test_split',
  'watched',
  'network',
  'width',
  'dropout',
  'batch_normalization',
  'num_classes',
  'class_variance',
  'classifier_epochs',
  'batch_size',
  'classifier_learning_rate',
  'weight_decay',
  'augmentation',
  'num_labelled',
  'strategy',
  'seed',
)
_BACKUP_STEPS = 100
_NUM_VALIDATION = 1_000
_WARM_UP = 0.25  # Share of the steps in which the learning rate rises.
_CROP_MARGIN = 4
_WATCHED = ('latent_eta', 'latent_mode_normalized')


def count_classes(config, data_dir):
  """Counts the classes of the in-distribution images, by the largest label."""
  largest = -1
  for name in (
    experiment_data.train_name(config),
    experiment_data.test_name(config),
  ):
    labels = tfp_ood.datasets.load(name, data_dir=data_dir, batch_size=500)
    largest = max(largest, *(int(np.max(batch)) for _, batch in labels))
  if largest < 1:
    raise ValueError(
      f'{config["in_distribution"]} has no labels of at least two classes; a '
      'classifier needs them. Choose another --in_distribution.'
    )
  return largest + 1


def train(config, folder, image_shape, strategy, data_dir, tensorboard=False):
  """Trains a model, or resumes, or restores what was trained.

  Args:
    config: `dict`, all that decides what is trained: see `rendering_experiment`.
    folder: the model's. It will hold configuration.json, weights, training.json,
      classifier/ and, while training, a backup.
    image_shape: `[height, width, channels]`.
    strategy: `tf.distribute.Strategy`.
    data_dir: folder of prepared TFDS data sets.
    tensorboard: whether to write TensorBoard logs.

  Returns:
    `NeuralRenderingModel`, and a `dict` of how the training of each stage went.
  """
  tf_keras.utils.set_random_seed(config['seed'])
  with strategy.scope():
    classifier = _classifier(config, image_shape)
    make = tfp_ood.distributions.NeuralRenderingModel.from_keras
    plain = make(classifier)
    nrm = make(
      classifier, normalize_renderings=config['normalization'] == 'untied'
    )
  stages = {}
  if config['classifier_epochs']:
    stages['classifier'] = _Stage(
      plain,
      {key: config[key] for key in _OF_CLASSIFIER},
      os.path.join(folder, 'classifier'),
      config['classifier_epochs'],
      config['classifier_learning_rate'],
      training.RenderingLossWeights(1.0, 0.0, 0.0, 0.0, 0.0),
      only_labelled=True,
    )
  stages['all_losses'] = _Stage(
    nrm,
    config,
    folder,
    config['epochs'],
    config['learning_rate'],
    training.RenderingLossWeights(**config['loss_weights']),
    only_labelled=False,
  )
  return nrm, {
    name: stage.train(strategy, data_dir, tensorboard)
    for name, stage in stages.items()
  }


def _classifier(config, image_shape):
  options = {}
  # The residual network has no dropout.
  if config['network'] != 'small_resnet':
    options['dropout'] = config['dropout']
  if config['network'] == 'all_conv13':
    options['batch_normalization'] = config['batch_normalization']
  return NETWORKS[config['network']](
    tuple(image_shape),
    num_classes=config['num_classes'],
    width=config['width'],
    # At first, the softmax is that of the plain network.
    initial_gain=config['class_variance'],
    seed=config['seed'],
    **options,
  )


class _Stage:
  """One stage of the training of a model, in a folder of its own."""

  def __init__(
    self,
    nrm,
    config,
    folder,
    epochs,
    learning_rate,
    loss_weights,
    only_labelled,
  ):
    self._nrm = nrm
    self._config = config
    self._folder = folder
    self._epochs = epochs
    self._learning_rate = learning_rate
    self._loss_weights = loss_weights
    self._only_labelled = only_labelled

  def train(self, strategy, data_dir, tensorboard):
    """Trains, or restores what was trained; returns how the training went."""
    configuration = self._path('configuration.json')
    experiment_folder.check_configuration(configuration, self._config)
    tfp_ood.reporting.write_results(configuration, self._config)
    done, weights = self._path('training.json'), self._path('weights')
    if os.path.exists(done):
      training.load_weights(self._nrm, weights)
      print(f'The model is trained already: {weights}')
      return tfp_ood.reporting.read_results(done)
    record = self._fit(strategy, data_dir, tensorboard)
    if experiment_folder.is_chief(strategy):
      training.save_weights(self._nrm, weights)
      tfp_ood.reporting.write_results(done, record)
      shutil.rmtree(self._path('backup'), ignore_errors=True)
    return record

  def _path(self, name):
    return os.path.join(self._folder, name)

  def _fit(self, strategy, data_dir, tensorboard):
    config = self._config
    dataset = _training_images(config, data_dir, self._only_labelled)
    validation = experiment_data.load(
      experiment_data.test_name(config),
      config,
      data_dir,
      limit=_NUM_VALIDATION,
    )
    steps = int(dataset.cardinality()) * self._epochs
    with strategy.scope():
      model = training.RenderingModel(
        self._nrm, self._loss_weights, config['class_variance']
      )
      model.compile(
        _optimizer(self._learning_rate, config['weight_decay'], steps)
      )
    watched = experiment_data.out_of_distribution(
      config['watched'], config, data_dir, limit=_NUM_VALIDATION
    )
    log = self._path('epochs.csv')
    callbacks = [
      # First, or the backup would keep what it stops at.
      training.StopOnNaN(),
      tf_keras.callbacks.BackupAndRestore(
        self._path('backup'),
        save_freq=_BACKUP_STEPS,
        # Kept until the weights are safe.
        delete_checkpoint=False,
      ),
      # Before the log that takes up what it measures.
      _Watch(self._nrm, validation, watched, config['class_variance']),
      tf_keras.callbacks.CSVLogger(log, append=True),
      training.Progress(),
    ]
    if tensorboard:
      callbacks.append(
        tf_keras.callbacks.TensorBoard(self._path('tensorboard'))
      )
    model.fit(
      experiment_data.shard_by_example(dataset),
      validation_data=experiment_data.shard_by_example(validation),
      epochs=self._epochs,
      callbacks=callbacks,
      verbose=0,
    )
    epochs = experiment_report.read_epochs(log)
    return {
      'steps': int(model.optimizer.iterations.numpy()),
      'seconds': sum(row['seconds'] for row in epochs),
      'epochs': epochs,
    }


def _optimizer(learning_rate, weight_decay, num_steps):
  """Adam with decoupled weight decay, in one cycle of the learning rate."""
  warm_up = max(1, round(_WARM_UP * num_steps))
  schedule = tf_keras.optimizers.schedules.CosineDecay(
    initial_learning_rate=0.04 * learning_rate,
    decay_steps=max(1, num_steps - warm_up),
    alpha=1e-3,
    warmup_target=learning_rate,
    warmup_steps=warm_up,
  )
  return training.adam(schedule, global_clipnorm=1.0, weight_decay=weight_decay)


def _training_images(config, data_dir, only_labelled):
  """Loads the training images, and in semi-supervised runs not all labels.

  There, each batch is half of labelled images and half of any, with no labels;
  an epoch is one pass over the latter.

  Args:
    config: `dict` of settings.
    data_dir: folder of prepared TFDS data sets.
    only_labelled: whether to leave images without labels out.

  Returns:
    `tf.data.Dataset`.
  """

  def load(config, **kwargs):
    if config['augmentation']:
      kwargs['random_transformation'] = _crop_and_flip
    return experiment_data.load(
      experiment_data.train_name(config),
      config,
      data_dir,
      shuffle=True,
      **kwargs,
    )

  limit = config['num_labelled']
  if limit is None or only_labelled:
    return load(config, limit=limit)
  half = config | {'batch_size': config['batch_size'] // 2}
  return tf.data.Dataset.zip(
    load(half, limit=limit, repeat=True), load(half)
  ).map(
    lambda labelled, others: (
      tf.concat([labelled[0], others[0]], axis=0),
      tf.concat([labelled[1], -tf.ones_like(others[1])], axis=0),
    )
  )


def _crop_and_flip(images, seed):
  """Moves each image by up to four pixels, over black, and mirrors every other."""
  seeds = tf.random.split(seed, 3)
  margin = _CROP_MARGIN
  padded = tf.pad(images, [[0, 0], [margin] * 2, [margin] * 2, [0, 0]])
  for axis in (1, 2):
    offsets = tf.random.stateless_uniform(
      [tf.shape(images)[0], 1], seeds[axis], 0, 2 * margin + 1, tf.int32
    )
    indices = offsets + tf.range(tf.shape(images)[axis])
    padded = tf.gather(padded, indices, axis=axis, batch_dims=1)
  is_mirrored = (
    tf.random.stateless_uniform([tf.shape(images)[0], 1, 1, 1], seeds[0]) < 0.5
  )
  return tf.where(is_mirrored, tf.reverse(padded, axis=[2]), padded)


class _Watch(tf_keras.callbacks.Callback):
  """Measures, after each epoch, how scores tell two data sets apart.

  It is looked at and never chosen by. It adds to the epoch's record, beside its
  `seconds`, the AUROCs `watched_SCORE` of the first images of the test data
  against those of the first data set out of distribution.
  """

  def __init__(self, nrm, test, others, class_variance):
    super().__init__()
    self._datasets = [test, *others.values()][:2]
    self._start = None

    @tf.function(reduce_retracing=True, autograph=False)
    def scores(images):
      found = nrm.statistics(images, ('logits', *_WATCHED))
      probs = tf.nn.softmax(found['logits'] / class_variance)
      return {
        **{name: -found[name] for name in _WATCHED},
        'max_softmax': -tf.reduce_max(probs, axis=-1),
      }

    self._scores = scores

  def on_epoch_begin(self, epoch, logs=None):
    """Starts the clock."""
    self._start = time.monotonic()

  def on_epoch_end(self, epoch, logs=None):
    """Adds what it measures to the epoch's record."""
    logs['seconds'] = time.monotonic() - self._start
    parts = [
      [self._scores(images) for images, _ in dataset]
      for dataset in self._datasets
    ]
    for name in parts[0][0]:
      inside, outside = (
        np.concatenate([values[name] for values in part]) for part in parts
      )
      logs[f'watched_{name}'] = tfp_ood.stats.auroc(inside, outside)
