# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the preset classifier of reads."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tfp_ood import networks, pretrained

_SMALL = {'num_filters': 8, 'num_units': 8}


def _reads(count, length=60, seed=0):
  """Random reads; those of the second class hold a motif somewhere."""
  generator = np.random.default_rng(seed)
  reads = generator.integers(0, 4, [count, length])
  labels = generator.integers(0, 2, count)
  motif = np.random.default_rng(7).integers(0, 4, 20)
  for read, label in zip(reads, labels, strict=True):
    if label:
      start = generator.integers(0, length - len(motif) + 1)
      read[start : start + len(motif)] = motif
  return reads, labels


def test_learns_a_motif_wherever_it_is():
  network = networks.read_classifier(60, 2, **_SMALL)
  network.compile(
    tf_keras.optimizers.Adam(0.01),
    tf_keras.losses.SparseCategoricalCrossentropy(from_logits=True),
  )
  tf_keras.utils.set_random_seed(0)
  reads, labels = _reads(512)
  network.fit(tf.one_hot(reads, 4), labels, epochs=8, verbose=0)
  reads, labels = _reads(256, seed=1)
  classifier = networks.SequenceClassifier(network, 4)
  logits = classifier.statistics(reads, ['logits'])['logits'].numpy()
  assert np.mean(logits.argmax(axis=1) == labels) > 0.9


def test_the_seed_decides_the_weights():
  first, same, other = (
    networks.read_classifier(20, 3, seed=seed, **_SMALL).get_weights()
    for seed in (1, 1, 2)
  )
  for weights, again in zip(first, same, strict=True):
    np.testing.assert_array_equal(weights, again)
  assert np.any(first[0] != other[0])


def test_comes_back_with_its_weights(tmp_path):
  arguments = {'length': 20, 'num_classes': 3, **_SMALL}
  network = networks.read_classifier(**arguments, seed=5)
  path = tmp_path / 'weights.npz'
  pretrained.write_weights(path, network, 'read_classifier', arguments)
  restored = networks.read_classifier(weights=path)
  inputs = tf.one_hot(_reads(4, 20)[0], 4)
  np.testing.assert_allclose(restored(inputs), network(inputs), rtol=1e-6)


def test_the_features_are_those_of_the_dense_layer():
  network = networks.read_classifier(25, 3, num_filters=4, num_units=6)
  classifier = networks.SequenceClassifier(network, 4)
  features = classifier.statistics(_reads(5, 25)[0], ['features'])['features']
  assert features.shape == [5, 6]


def test_reads_must_fill_the_window():
  with pytest.raises(ValueError, match='at least `window`, 20; got 19'):
    networks.read_classifier(19, 3)
