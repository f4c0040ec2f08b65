# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the networks of autoencoders."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tfp_ood import networks


def _normal(shape, seed=0):
  return tf.random.stateless_normal(shape, [seed, 3])


@pytest.mark.parametrize(
  'shape, halvings', [([32, 32, 3], 3), ([28, 28, 1], 2), ([8, 16, 2], 1)]
)
@pytest.mark.parametrize('normalized', [False, True])
def test_encoder_and_decoder_mirror_one_another(shape, halvings, normalized):
  options = dict(hidden_channels=2, batch_normalization=normalized)
  encoder = networks.convolutional_encoder(shape, 5, **options)
  decoder = networks.convolutional_decoder(shape, 5, 7, **options)
  latents = encoder(_normal([3, *shape]))
  assert latents.shape == [3, 5]
  assert decoder(latents).shape == [3, *shape[:2], 7 * shape[2]]
  for network, kind, expected in (
    (encoder, tf_keras.layers.Conv2D, halvings - 1),
    (decoder, tf_keras.layers.Conv2DTranspose, halvings),
  ):
    layers = network.layers
    convolutions = [layer for layer in layers if type(layer) is kind]
    assert len(convolutions) == halvings
    normalizations = [
      layer
      for layer in layers
      if isinstance(layer, tf_keras.layers.BatchNormalization)
    ]
    assert len(normalizations) == (expected if normalized else 0)


def test_weights_are_those_of_the_seed():
  def weights(make, seed):
    network = make([8, 8, 1], 4, hidden_channels=2, seed=seed)
    return np.concatenate([np.ravel(w) for w in network.get_weights()])

  for make in (
    networks.convolutional_encoder,
    networks.convolutional_decoder,
  ):
    tf.random.set_seed(1)
    first = weights(make, 3)
    tf.random.set_seed(2)
    np.testing.assert_array_equal(weights(make, 3), first)
    assert (weights(make, 4) != first).any()


def test_float64():
  options = dict(hidden_channels=2, dtype='float64')
  encoder = networks.convolutional_encoder([8, 8, 1], 4, **options)
  decoder = networks.convolutional_decoder([8, 8, 1], 4, **options)
  images = tf.cast(_normal([2, 8, 8, 1]), tf.float64)
  assert decoder(encoder(images)).dtype == tf.float64


@pytest.mark.parametrize('shape', [[7, 8, 1], [4, 4, 3]])
def test_sides_that_cannot_be_halved_are_an_error(shape):
  for make in (
    networks.convolutional_encoder,
    networks.convolutional_decoder,
  ):
    with pytest.raises(ValueError, match='must be even and above four, got'):
      make(shape, 4)


# ------------------------------------------------------------- masked network


def test_the_masked_network_looks_back_only():
  network = networks.masked_network(4, hidden_units=[16, 16], seed=3)
  vector = _normal([1, 4])
  with tf.GradientTape() as tape:
    tape.watch(vector)
    outputs = network(vector)[0]
  jacobian = tape.jacobian(outputs, vector)[:, :, 0]
  assert jacobian.shape == [4, 2, 4]
  strictly_below = np.tril(np.ones([4, 4]), -1)[:, None, :]
  np.testing.assert_array_equal(jacobian * (1 - strictly_below), 0)
  assert np.abs(outputs).max() < 0.1
  np.testing.assert_array_equal(
    network(vector), networks.masked_network(4, [16, 16], seed=3)(vector)
  )
