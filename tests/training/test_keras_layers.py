# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests that layers train inside of a distribution as Keras trains them.

Keras's own `fit` is the reference: of a network by itself, of the same loss.
"""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
import training_helpers as helpers
from tiers import few

import tfp_ood

_LIBRARIES = [tf_keras, keras]
_NAMES = ['tf_keras', 'keras_3']
both_libraries = pytest.mark.parametrize('library', _LIBRARIES, ids=_NAMES)


def _freeze(network, name):
  """Freezes a layer, which may be inside of another, by its name."""
  layers = [network, *network.layers]
  layers += [
    inner for x in network.layers for inner in getattr(x, 'layers', [])
  ]
  (layer,) = [layer for layer in layers if layer.name == name]
  layer.trainable = False


def _twins(make):
  """Two networks of the same weights."""
  first, second = make(), make()
  second.set_weights(first.get_weights())
  return first, second


def _assert_weights_equal(network, reference, before, frozen, rtol=1e-5):
  assert len(network.weights) == len(reference.weights)
  moved = 0
  for weight, expected, old in zip(
    network.get_weights(), reference.get_weights(), before, strict=True
  ):
    np.testing.assert_allclose(weight, expected, rtol=rtol, atol=1e-6)
    moved += np.any(weight != old)
  # Some are frozen, and some are not.
  assert 0 < moved
  assert (moved < len(before)) == (frozen is not None)


# ------------------------------------------------- a network in a distribution


def _dense_network(library):
  layers, regularizers = library.layers, library.regularizers
  inner = library.Sequential(
    [
      layers.Input([3]),
      layers.Dense(4, 'tanh', kernel_regularizer=regularizers.L2(0.3)),
      layers.Dense(4, 'tanh', name='second', activity_regularizer='l2'),
    ],
    name='inner',
  )
  return library.Sequential(
    [
      layers.Input([3]),
      inner,
      layers.Dense(3, name='last', bias_regularizer=regularizers.L1(0.2)),
    ]
  )


class _HeldTwice(helpers.Energy):
  """Has a network, and the layers inside of it beside."""

  def __init__(self, network):
    super().__init__(network)
    self.inner = network.layers[0]
    self.layers = list(network.layers[0].layers)


@both_libraries
@pytest.mark.parametrize('frozen', few([None, 'inner', 'second', 'last']))
@pytest.mark.parametrize(
  'make',
  [helpers.Energy, pytest.param(_HeldTwice, marks=pytest.mark.exhaustive)],
)
def test_a_step_is_that_of_keras(library, frozen, make):
  network, reference = _twins(lambda: _dense_network(library))
  if frozen:
    _freeze(network, frozen)
    _freeze(reference, frozen)
  before = network.get_weights()
  x = np.random.default_rng(0).normal(size=[8, 3]).astype(np.float32)
  sgd = tf_keras.optimizers.SGD(0.5)
  # A graph, once for each library.
  run_eagerly = frozen != 'second'
  model = helpers.compiled(make(network), sgd, run_eagerly)
  # Other losses of activities than those of the step are none of its.
  model.evaluate(x[:3], verbose=0)
  model.fit(x, epochs=2, verbose=0)

  def in_bits(y, outputs):
    return tf.reduce_sum((outputs - y) ** 2, axis=-1) / (3 * math.log(2))

  reference.compile(library.optimizers.SGD(0.5), in_bits, run_eagerly=True)
  reference.fit(x, np.ones_like(x), epochs=2, verbose=0)
  _assert_weights_equal(network, reference, before, frozen)


def test_a_model_that_is_frozen_as_a_whole_stays():
  network = _dense_network(tf_keras)
  model = tfp_ood.training.DistributionModel(helpers.Energy(network))
  model.trainable = False
  model.compile(tfp_ood.training.adam(), run_eagerly=True)
  assert model.trainable_variables == []
  before = network.get_weights()
  model.fit(np.ones([4, 3], np.float32), verbose=0)
  helpers.assert_all_close(network.get_weights(), before, rtol=0)


class _Layer(tf_keras.Model):
  """A distribution that is a layer itself."""

  def __init__(self):
    super().__init__()
    self.loc = tf.Variable([0.0, 0.0])
    self.scale = tf_keras.layers.Dense(1)
    self.scale.build([None, 2])
    self.event_shape = tf.TensorShape([2])

  def log_prob(self, x):
    return -tf.reduce_sum((x - self.loc) ** 2, -1) * self.scale(x)[:, 0]


def test_a_distribution_that_is_a_layer_is_frozen_like_one():
  distribution = _Layer()
  model = tfp_ood.training.DistributionModel(distribution)
  assert len(model.trainable_variables) == 3
  distribution.trainable = False
  with pytest.raises(ValueError, match='no trainable variables'):
    tfp_ood.training.DistributionModel(distribution)


def test_constraints_of_keras_3_are_refused_and_others_hold():
  def network(library):
    dense = library.layers.Dense(3, kernel_constraint='non_neg')
    return library.Sequential([library.layers.Input([3]), dense])

  with pytest.raises(
    ValueError, match='kernel of a Keras 3 layer has a constr'
  ):
    tfp_ood.training.DistributionModel(helpers.Energy(network(keras)))
  kept = network(tf_keras)
  model = helpers.compiled(helpers.Energy(kept), tf_keras.optimizers.SGD(1e-3))
  model.fit(np.ones([4, 3], np.float32), verbose=0)
  assert (kept.get_weights()[0] >= 0).all()


# -------------------------------------------------------------- classifiers

_SHAPE = [4, 4, 1]


def _classifier(library):
  layers, l2 = library.layers, library.regularizers.L2
  inner = library.Sequential(
    [
      layers.Input([2, 2, 2]),
      layers.BatchNormalization(name='normalization', gamma_regularizer='l2'),
      layers.ReLU(),
      layers.Flatten(),
    ],
    name='inner',
  )
  return library.Sequential(
    [
      layers.Input(_SHAPE),
      layers.Conv2D(2, 3, kernel_regularizer=l2(0.3), name='convolution'),
      inner,
      layers.Dense(3, bias_regularizer=l2(0.2), name='logits'),
    ]
  )


@both_libraries
@pytest.mark.parametrize(
  'frozen', few([None, 'inner', 'convolution', 'normalization', 'logits'])
)
def test_a_classifier_takes_the_steps_of_keras(library, frozen):
  network, reference = _twins(lambda: _classifier(library))
  if frozen:
    _freeze(network, frozen)
    _freeze(reference, frozen)
  before = network.get_weights()
  images = helpers.smooth_images(16, _SHAPE)
  labels = np.arange(16) % 3
  model = tfp_ood.training.RenderingModel(
    tfp_ood.distributions.NeuralRenderingModel.from_keras(network),
    tfp_ood.training.RenderingLossWeights(1.0, 0.0, 0.0, 0.0, 0.0),
  )
  model.compile(tf_keras.optimizers.SGD(0.1), run_eagerly=True)
  model.fit(images, labels, shuffle=False, batch_size=8, verbose=0)
  reference.compile(
    library.optimizers.SGD(0.1),
    library.losses.SparseCategoricalCrossentropy(from_logits=True),
    run_eagerly=True,
  )
  scaled = images / np.float32(127.5) - 1
  reference.fit(scaled, labels, shuffle=False, batch_size=8, verbose=0)
  _assert_weights_equal(network, reference, before, frozen, rtol=1e-3)


@both_libraries
@pytest.mark.parametrize('run_eagerly', few([False, True], 1))
def test_a_classifier_learns_to_render(library, run_eagerly):
  network = _classifier(library)
  model = tfp_ood.training.RenderingModel(
    tfp_ood.distributions.NeuralRenderingModel.from_keras(network)
  )
  model.compile(tf_keras.optimizers.SGD(0.1), run_eagerly=run_eagerly)
  before = network.get_weights()
  images = helpers.smooth_images(16, _SHAPE)
  history = model.fit(images, np.arange(16) % 3, epochs=4, verbose=0).history
  assert history['loss'][-1] < history['loss'][0]
  for weight, old in zip(network.get_weights(), before, strict=True):
    assert np.any(weight != old)


@both_libraries
def test_activity_regularizers_of_classifiers_are_refused(library):
  layers = library.layers
  inner = library.Sequential(
    [
      layers.Input(_SHAPE),
      layers.Conv2D(2, 3, name='lazy', activity_regularizer='l2'),
    ]
  )
  network = library.Sequential(
    [
      layers.Input(_SHAPE),
      inner,
      layers.ReLU(),
      layers.Flatten(),
      layers.Dense(3),
    ]
  )
  nrm = tfp_ood.distributions.NeuralRenderingModel.from_keras(network)
  with pytest.raises(ValueError, match='lazy has an activity regularizer'):
    tfp_ood.training.RenderingModel(nrm)


# ---------------------------------------------------- autoencoders and flows


@pytest.mark.parametrize('kind', ['variational', 'introspective', 'any'])
def test_a_frozen_decoder_stays(kind):
  vae = tfp_ood.distributions.variational_autoencoder(
    [8, 8, 1], latent_size=2, hidden_channels=2, seed=1
  )
  network = vae.decoder.layers[0]
  normalization = tf_keras.layers.BatchNormalization
  assert any(isinstance(layer, normalization) for layer in network.layers)
  rates = [tfp_ood.training.adam(1e-2) for _ in range(2)]
  if kind == 'introspective':
    # The whole of it must not be frozen.
    network.layers[0].trainable = False
    frozen = network.layers[0].weights
    model = tfp_ood.training.SoftIntrospectiveModel(vae)
    model.compile(*rates, run_eagerly=True)
  else:
    vae.decoder.trainable = False
    # The statistics of batch normalization too.
    frozen = vae.decoder.weights
    make = {
      'variational': tfp_ood.training.VariationalModel,
      'any': tfp_ood.training.DistributionModel,
    }[kind]
    model = make(vae)
    model.compile(rates[0], run_eagerly=True)
  assert frozen
  free = [v for v in vae.variables if all(v is not f for f in frozen)]
  before, free_before = helpers.values(frozen), helpers.values(free)
  model.fit(helpers.smooth_images(8, [8, 8, 1]), verbose=0)
  helpers.assert_all_close(frozen, before, rtol=0)
  for variable, old in zip(free, free_before, strict=True):
    assert np.any(variable.numpy() != old), variable.name


@both_libraries
def test_a_frozen_coupling_network_of_a_flow_stays(library):
  layers, networks = library.layers, []

  def network_fn(input_channels, output_channels, seed):
    del seed
    inner = library.Sequential(
      [layers.Input([2, 2, input_channels]), layers.Conv2D(2, 1)]
    )
    network = library.Sequential(
      [
        layers.Input([2, 2, input_channels]),
        inner,
        layers.Conv2D(output_channels, 1, bias_regularizer='l2'),
      ]
    )
    networks.append(network)
    return network

  bijector = tfp_ood.bijectors.Glow(
    [4, 4, 1], num_levels=1, num_steps=2, network_fn=network_fn, seed=1
  )
  flow = tfp_ood.distributions.ImageFlow(bijector, [4, 4, 1])
  # All of the first one, the inner one of the second.
  networks[0].trainable = False
  networks[1].layers[0].trainable = False
  images = helpers.smooth_images(8, [4, 4, 1])
  model = helpers.compiled(flow, tf_keras.optimizers.SGD(0.1))
  model.initialize(images)
  frozen = [*networks[0].weights, *networks[1].layers[0].weights]
  assert len(model.trainable_variables) == (
    len(flow.trainable_variables) - len(frozen)
  )
  before = [network.get_weights() for network in networks]
  model.fit(images, verbose=0)
  first, second = [network.get_weights() for network in networks]
  helpers.assert_all_close(first, before[0], rtol=0)
  helpers.assert_all_close(second[:2], before[1][:2], rtol=0)
  assert np.any(second[2] != before[1][2])
