# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Frechet distances in the features of a small classifier.

The usual ones are in features of an Inception network, whose weights are no part
of any package. These are in those of a classifier that is trained for about a
minute on the in-distribution images: they compare models that share it, and are not
the FIDs of the literature.
"""

import numpy as np
import tensorflow as tf
import tf_keras

from tfp_ood import networks, reporting, stats, training
from tfp_ood._batches import images_of
from tfp_ood._one_trace import OneTrace
from tfp_ood.evaluation import _data

__all__ = ['feature_classifier', 'feature_distances']

# About as many images pass in training, of small data sets over and over.
_NUM_IMAGES = 100_000
_MAX_EPOCHS = 10


def feature_classifier(training_data, test_data, folder=None, seed=0):
  """Trains a small classifier, or restores it from a folder.

  Args:
    training_data: `tf.data.Dataset` of batches of images and labels.
    test_data: another one, to measure the accuracy on.
    folder: `str`, where to keep it; `None` for nowhere.
    seed: Python `int`.

  Returns:
    classifier: `tf_keras.Model`, or `None` where there are no labels of two
      classes.
    accuracy: `float`, on the test data, or `None`.

  #### Example

  >>> import numpy as np
  >>> import tensorflow as tf
  >>> images = np.random.default_rng(0).integers(0, 256, [16, 8, 8, 3], np.uint8)
  >>> images[8:] //= 8  # Of the second class, which is dark.
  >>> labels = np.repeat([0, 1], 8)
  >>> data = tf.data.Dataset.from_tensor_slices((images, labels)).batch(16)
  >>> classifier, accuracy = feature_classifier(data, data)
  epoch 1: loss ...
  >>> classifier(images / 127.5 - 1.).shape, 0. <= accuracy <= 1.
  (TensorShape([16, 2]), True)
  """
  labels = np.concatenate([labels for _, labels in training_data])
  num_classes = 1 + int(np.max(labels))
  if num_classes < 2:
    return None, None
  tf_keras.utils.set_random_seed(seed)
  classifier = networks.small_resnet(
    tuple(training_data.element_spec[0].shape[1:]),
    num_classes=num_classes,
    width=0.5,
    blocks=(1, 1, 1),
    seed=seed,
  )
  inputs = tf_keras.Input(classifier.input_shape[1:])
  model = tf_keras.Model(inputs, classifier(inputs / 127.5 - 1.0))
  model.compile(
    training.adam(2e-3, warmup_steps=100),
    tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    metrics=['accuracy'],
  )
  training.train_or_restore(
    model,
    folder,
    {'seed': seed, 'num_classes': num_classes, 'images': len(labels)},
    training_data,
    epochs=min(_MAX_EPOCHS, -(-_NUM_IMAGES // len(labels))),
  )
  found = model.evaluate(test_data, verbose=0, return_dict=True)
  return classifier, found['accuracy']


def feature_distances(classifier, accuracy, reference, others):
  """Measures how far sets of images are from another one.

  Args:
    classifier: what `feature_classifier` returned.
    accuracy: likewise.
    reference: `tf.data.Dataset` of the training images.
    others: `dict` of `tf.data.Dataset`s, or of iterables of batches of images, by
      name.

  Returns:
    `tfp_ood.reporting.Section`; its results have `distances` by name.

  #### Example

  >>> import numpy as np
  >>> import tensorflow as tf
  >>> import tfp_ood
  >>> classifier = tfp_ood.networks.small_resnet(
  ...     (8, 8, 3), num_classes=2, width=0.05, blocks=(1,), seed=0)
  >>> images = np.random.default_rng(0).integers(0, 256, [40, 8, 8, 3])
  >>> training = tf.data.Dataset.from_tensor_slices(images[:20]).batch(10)
  >>> others = {'of the same kind': [images[20:]], 'dark': [images[20:] // 8]}
  >>> section = feature_distances(classifier, 0.5, training, others)
  >>> distances = section.results['distances']
  >>> distances['of the same kind'] < distances['dark']
  True
  """
  section = reporting.Section('How good are samples?')
  if classifier is None:
    section.add_text(
      'There are no Frechet distances: the images have no labels to train a '
      'classifier by.'
    )
    return section
  pooled = next(
    layer.output
    for layer in classifier.layers
    if isinstance(layer, tf_keras.layers.GlobalAveragePooling2D)
  )
  network = tf_keras.Model(classifier.input, pooled)

  of_images = OneTrace(lambda x: network(tf.cast(x, tf.float32) / 127.5 - 1.0))

  def features(batches):
    images = np.concatenate([np.asarray(images_of(batch)) for batch in batches])
    return _data.in_batches(of_images, images)

  references = features(reference)
  found = {name: features(batches) for name, batches in others.items()}
  num_features = references.shape[1]
  distances = {
    name: stats.frechet_distance(references, values)
    for name, values in found.items()
    # A covariance needs as many.
    if min(len(references), len(values)) > num_features
  }
  section.results = {'distances': distances, 'accuracy': accuracy}
  section.add_table(
    ['images', 'number', 'Frechet distance'],
    [
      [
        name,
        str(len(values)),
        f'{distances[name]:.3f}' if name in distances else None,
      ]
      for name, values in found.items()
    ],
    caption=f'Distance from the training images in the {num_features} features '
    'before the last layer of a small classifier of ours, which is right on '
    f'{accuracy:.1%} of the test images. Lower is better, down to that of the test '
    'images; fewer images have larger distances, and fewer than features none. '
    'The weights of Inception are not used: these are no FIDs, and compare only '
    'models that share the classifier.',
  )
  return section
