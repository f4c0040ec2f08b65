# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Frechet distances in the features of a small classifier.

The usual ones are in features of an Inception network, whose weights are no part
of any package. These are in those of a residual network trained for about a
minute on the in-distribution images: they compare runs that share the network,
and are no FIDs of the literature.
"""

import os

import experiment_data
import experiment_folder
import numpy as np
import tensorflow as tf
import tf_keras
from absl import app

import tfp_ood

__all__ = ['check_folder', 'frechet_distances']

# About as many images pass in training, of small data sets over and over.
_NUM_IMAGES = 100_000
_MAX_EPOCHS = 10
_BATCH_SIZE = 128
_NUM_VALIDATION = 2_000


def check_folder(config, folder):
  """Raises if a folder holds the classifier of other images."""
  try:
    experiment_folder.check_configuration(
      _configuration_path(folder), _classifier_config(config)
    )
  except experiment_folder.OtherSettingsError as error:
    raise app.UsageError(
      f'{folder} holds a classifier of other images. Give another --features_dir. '
      f'({error})'
    ) from error


def frechet_distances(reference, others, config, folder, data_dir):
  """Measures how far sets of images are from another one.

  Trains the classifier on the first call, and restores it from then on.

  Args:
    reference: iterable of batches of images, raw pixels.
    others: `dict` of such iterables.
    config: `dict`, the settings that name the classifier's images.
    folder: the classifier's; runs on the same images may share it.
    data_dir: folder of prepared TFDS data sets.

  Returns:
    `dict` with `distances` and `num_images` by name, the classifier's `accuracy`
    on test images and `num_features`, which sets of images that have a distance
    outnumber; or `None` where images have no labels of two classes or more.
  """
  classifier_config = _classifier_config(config)
  train, test = (
    experiment_data.load(name, classifier_config, data_dir, **options)
    for name, options in (
      (experiment_data.train_name(config), dict(shuffle=True)),
      (experiment_data.test_name(config), dict(limit=_NUM_VALIDATION)),
    )
  )
  labels = np.concatenate([labels for _, labels in train])
  num_classes = 1 + int(np.max(labels))
  if num_classes < 2:
    return None
  classifier = tfp_ood.networks.small_resnet(
    tuple(train.element_spec[0].shape[1:]),
    num_classes=num_classes,
    width=0.5,
    blocks=(1, 1, 1),
    seed=classifier_config['seed'],
  )
  epochs = min(_MAX_EPOCHS, -(-_NUM_IMAGES // len(labels)))
  accuracy = _train_or_restore(
    classifier, classifier_config, folder, train, test, epochs
  )
  pooled = next(
    layer.output
    for layer in classifier.layers
    if isinstance(layer, tf_keras.layers.GlobalAveragePooling2D)
  )
  network = tf_keras.Model(classifier.input, pooled)
  function = tf.function(
    lambda images: network(_scaled(images), training=False),
    reduce_retracing=True,
  )

  def features(batches):
    return np.concatenate([function(tf.constant(batch)) for batch in batches])

  num_features = pooled.shape[-1]
  references = features(reference)
  compared = {name: features(batches) for name, batches in others.items()}
  return {
    'distances': {
      name: tfp_ood.stats.frechet_distance(references, values)
      for name, values in compared.items()
      # A covariance needs as many.
      if min(len(references), len(values)) > num_features
    },
    'num_images': {name: len(values) for name, values in compared.items()},
    'accuracy': accuracy,
    'num_features': num_features,
  }


def _classifier_config(config):
  return {
    key: config[key] for key in ('in_distribution', 'train_split', 'test_split')
  } | {'batch_size': _BATCH_SIZE, 'seed': 0}


def _configuration_path(folder):
  return os.path.join(folder, 'configuration.json')


def _train_or_restore(classifier, config, folder, train, test, epochs):
  """Gives a classifier its weights; returns its accuracy."""
  check_folder(config, folder)
  tfp_ood.reporting.write_results(_configuration_path(folder), config)
  done = os.path.join(folder, 'training.json')
  weights = os.path.join(folder, 'weights')
  if os.path.exists(done):
    tfp_ood.training.load_weights(classifier, weights)
    return tfp_ood.reporting.read_results(done)['accuracy']
  print(f'The classifier whose features Frechet distances are in: {folder}')
  tf_keras.utils.set_random_seed(config['seed'])
  accuracy = _fit(classifier, train, test, epochs)
  tfp_ood.training.save_weights(classifier, weights)
  tfp_ood.reporting.write_results(done, {'accuracy': accuracy})
  return accuracy


def _fit(classifier, train, test, epochs):
  def scaled(dataset):
    return dataset.map(lambda images, labels: (_scaled(images), labels))

  classifier.compile(
    tfp_ood.training.adam(2e-3, warmup_steps=100),
    tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=['accuracy'],
  )
  classifier.fit(
    scaled(train),
    epochs=epochs,
    callbacks=[tfp_ood.training.Progress()],
    verbose=0,
  )
  found = classifier.evaluate(scaled(test), verbose=0, return_dict=True)
  return found['accuracy']


def _scaled(images):
  return tf.cast(images, tf.float32) / 127.5 - 1.0
