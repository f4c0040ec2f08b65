# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of networks whose batch normalization goes by the batch at hand."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras
from conformance import classifier_registry as registry

from tfp_ood import _parts, networks

layers = tf_keras.layers

_SHAPE = [8, 8, 3]


def _normal(shape, seed=0):
  return tf.random.stateless_normal(shape, [seed, 3])


def _images(seed=1, dtype=tf.float32):
  return tf.cast(3 + 2 * _normal([5, *_SHAPE], seed), dtype)


def _nested(make):
  inner = tf_keras.Sequential(
    [layers.Input([6, 6, 4]), make(), layers.LeakyReLU()], name='inner'
  )
  images = layers.Input(_SHAPE)
  features = layers.Conv2D(4, 3)(images)
  branch = layers.Conv2D(4, 3, padding='same')(inner(features))
  features = layers.Add()([features, make()(branch)])
  middle = layers.Input([6, 6, 4])
  functional = tf_keras.Model(middle, layers.Flatten()(make()(inner(middle))))
  return tf_keras.Model(images, layers.Dense(2)(functional(features)))


_NETWORKS = {
  'encoder': lambda make: tf_keras.Sequential(
    [
      layers.Input(_SHAPE),
      layers.Conv2D(4, 3, strides=2),
      make(),
      layers.Dropout(0.5),
      layers.Flatten(),
      layers.Dense(2),
    ]
  ),
  'dense': lambda make: tf_keras.Sequential(
    [layers.Input(_SHAPE), layers.Flatten(), layers.Dense(4), make()]
  ),
  'transposed': lambda make: tf_keras.Sequential(
    [
      layers.Input(_SHAPE),
      layers.Conv2DTranspose(3, 4, strides=2),
      make(),
      layers.ReLU(),
      make(),
    ]
  ),
  'nested': _nested,
}
every_network = pytest.mark.parametrize('name', list(_NETWORKS))


def _trained(name, make):
  """A network whose parameters and moving statistics are not the initial."""
  network = _NETWORKS[name](make)
  generator = np.random.default_rng(0)
  network.set_weights(
    [
      generator.uniform(0.5, 1.5, weight.shape)
      for weight in network.get_weights()
    ]
  )
  for seed in range(3):
    network(_images(seed), training=True)
  return network


@every_network
@pytest.mark.parametrize(
  'in_graph', [False, pytest.param(True, marks=pytest.mark.slow)]
)
def test_the_given_network_stays_as_it_is(name, in_graph):
  network = _trained(name, layers.BatchNormalization)
  adapted = networks.with_batch_statistics(network)
  images = _images(7)
  call = tf.function(adapted) if in_graph else adapted
  before = [variable.numpy() for variable in network.variables]
  expected = network(images).numpy()
  result = call(images)
  np.testing.assert_array_equal(call(images, training=False), result)
  np.testing.assert_allclose(adapted(images), result, rtol=1e-5, atol=1e-5)
  for variable, value in zip(network.variables, before, strict=True):
    np.testing.assert_array_equal(variable, value)
  np.testing.assert_array_equal(network(images), expected)
  assert np.abs(expected - result).max() > 0.1


@every_network
def test_adapts_the_normalization_of_keras(name):
  """As Keras does in training, but without moving anything."""
  network = _trained(name, layers.BatchNormalization)
  for dropout in network.layers:
    if isinstance(dropout, layers.Dropout):
      dropout.rate = 0.0
  adapted = networks.with_batch_statistics(network)
  images = _images(7)
  before = [variable.numpy() for variable in network.variables]
  actual = adapted(images)
  for variable, value in zip(network.variables, before, strict=True):
    np.testing.assert_array_equal(variable, value)
  expected = network(images, training=True)
  np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


@every_network
def test_variables_are_the_same_objects_in_the_same_order(name):
  network = _trained(name, layers.BatchNormalization)
  network.layers[-1].trainable = False
  adapted = networks.with_batch_statistics(network)
  for attribute in (
    'variables',
    'weights',
    'trainable_variables',
    'non_trainable_variables',
  ):
    actual = getattr(adapted, attribute)
    expected = getattr(network, attribute)
    assert [id(v) for v in actual] == [id(v) for v in expected]
  # What trains one trains the other.
  images = _images(7)
  first = adapted(images).numpy()
  network.set_weights([1.1 * value + 0.1 for value in network.get_weights()])
  assert np.abs(adapted(images) - first).max() > 1e-3


@pytest.mark.parametrize(
  'options',
  [
    dict(axis=1),
    dict(axis=-2),
    dict(axis=[1, 3]),
    dict(scale=False),
    dict(center=False, epsilon=0.1),
    dict(fused=False),
    dict(renorm=True),
  ],
)
def test_options_of_the_normalization_are_honored(options):
  layer = layers.BatchNormalization(**options)
  network = tf_keras.Sequential([layers.Input(_SHAPE), layer])
  generator = np.random.default_rng(0)
  network.set_weights(
    [generator.uniform(0.5, 2.0, w.shape) for w in network.get_weights()]
  )
  images = _images()
  axis = np.ravel(options.get('axis', -1)) % 4
  others = tuple(i for i in range(4) if i not in axis)
  x = np.float64(images)
  expected = x - x.mean(others, keepdims=True)
  expected /= np.sqrt(x.var(others, keepdims=True) + layer.epsilon)
  shape = [x.shape[i] if i in axis else 1 for i in range(4)]
  if layer.gamma is not None:
    expected *= np.reshape(layer.gamma, shape)
  if layer.beta is not None:
    expected += np.reshape(layer.beta, shape)
  actual = networks.with_batch_statistics(network)(images)
  np.testing.assert_allclose(actual, expected, rtol=1e-4, atol=1e-4)


def test_frozen_layers_and_calls_in_either_mode_are_adapted_too():
  frozen = layers.BatchNormalization(trainable=False)
  evaluated, trained = layers.BatchNormalization(), layers.BatchNormalization()
  images = layers.Input(_SHAPE)
  features = evaluated(frozen(images), training=False)
  network = tf_keras.Model(images, trained(features, training=True))
  adapted = networks.with_batch_statistics(network)
  before = [variable.numpy() for variable in network.variables]
  result = adapted(_images())
  np.testing.assert_allclose(np.mean(result, axis=(0, 1, 2)), 0, atol=1e-4)
  np.testing.assert_allclose(np.std(result, axis=(0, 1, 2)), 1, atol=1e-2)
  for variable, value in zip(network.variables, before, strict=True):
    np.testing.assert_array_equal(variable, value)


def test_in_training_it_is_the_network():
  network = _trained('dense', layers.BatchNormalization)
  adapted = networks.with_batch_statistics(network)
  weights = network.get_weights()
  expected = network(_images(7), training=True)
  moved = network.get_weights()
  network.set_weights(weights)
  np.testing.assert_array_equal(adapted(_images(7), training=True), expected)
  for value, other in zip(network.get_weights(), moved, strict=True):
    np.testing.assert_array_equal(value, other)


def test_dropout_is_off():
  network = _trained('encoder', layers.BatchNormalization)
  adapted = networks.with_batch_statistics(network)
  np.testing.assert_array_equal(adapted(_images()), adapted(_images()))


def test_half_precision_does_not_overflow():
  for dtype in ('float16', 'mixed_float16'):
    layer = layers.BatchNormalization(dtype=dtype)
    network = tf_keras.Sequential([layers.Input([32, 32, 1]), layer])
    images = tf.cast(400 * _normal([4, 32, 32, 1]), tf.float16)
    result = networks.with_batch_statistics(network)(images)
    assert result.dtype == tf.float16
    np.testing.assert_allclose(np.std(np.float32(result)), 1, rtol=0.01)


def test_float64():
  with registry.double_precision():
    network = _trained('encoder', layers.BatchNormalization)
  adapted = networks.with_batch_statistics(network)
  assert adapted(_images(dtype=tf.float64)).dtype == tf.float64
  assert adapted(_images()).dtype == tf.float64


def test_gradients_go_through_the_statistics():
  network = tf_keras.Sequential(
    [layers.Input([3]), layers.BatchNormalization()]
  )
  adapted = networks.with_batch_statistics(network)
  x = _normal([6, 3])
  with tf.GradientTape(persistent=True) as tape:
    tape.watch(x)
    total = tf.reduce_sum(adapted(x))
  # A constant shift is taken away again.
  np.testing.assert_allclose(
    tape.gradient(total, x), tf.zeros([6, 3]), atol=1e-5
  )
  gradients = tape.gradient(total, adapted.trainable_variables)
  assert all(gradient is not None for gradient in gradients)


def test_one_trace_for_any_batch():
  network = _trained('nested', layers.BatchNormalization)
  adapted = networks.with_batch_statistics(network)

  @tf.function(input_signature=[tf.TensorSpec([None, *_SHAPE])])
  def run(images):
    return adapted(images)

  for count in (2, 5):
    images = _images()[:count]
    np.testing.assert_allclose(run(images), adapted(images), rtol=1e-4)
  assert run.experimental_get_tracing_count() == 1


def test_several_inputs_and_outputs():
  left, right = layers.Input([2]), layers.Input([2])
  total = layers.BatchNormalization()(layers.Add()([left, right]))
  outputs = {'total': total, 'left': layers.Dense(1)(left)}
  network = tf_keras.Model({'a': left, 'b': right}, outputs)
  x = _normal([4, 2])
  result = networks.with_batch_statistics(network)({'a': x, 'b': 2 * x})
  assert set(result) == {'total', 'left'}
  np.testing.assert_allclose(
    result['left'], network({'a': x, 'b': x})['left'], rtol=1e-6
  )
  np.testing.assert_allclose(np.mean(result['total'], axis=0), 0, atol=1e-5)


@pytest.mark.parametrize('in_graph', [False, True])
def test_networks_that_return_distributions(in_graph):
  network = tf_keras.Sequential(
    [
      layers.Input([4]),
      layers.BatchNormalization(),
      layers.Dense(4),
      tfp.layers.IndependentNormal([2]),
    ]
  )
  adapted = networks.with_batch_statistics(network)

  def moments(images):
    distribution = adapted(images)
    return distribution.mean(), distribution.stddev()

  x = 3 + _normal([6, 4])
  actual = (tf.function(moments) if in_graph else moments)(x)
  expected = network(x, training=True)  # Keras takes the batch's own, too.
  for value, other in zip(
    actual, [expected.mean(), expected.stddev()], strict=True
  ):
    np.testing.assert_allclose(value, other, rtol=1e-4, atol=1e-4)


@pytest.mark.slow
def test_a_module_that_holds_it_is_saved(tmp_path):
  network = _trained('encoder', layers.BatchNormalization)
  module = tf.Module()
  module.adapted = networks.with_batch_statistics(network)
  module.call = tf.function(
    lambda images: module.adapted(images),
    input_signature=[tf.TensorSpec([None, *_SHAPE])],
  )
  expected = module.call(_images())
  assert len(module.variables) == len(network.variables)
  tf.saved_model.save(module, str(tmp_path / 'model'))
  loaded = tf.saved_model.load(str(tmp_path / 'model'))
  np.testing.assert_allclose(loaded.call(_images()), expected, rtol=1e-5)


# --------------------------------------------------------------------- errors


def test_networks_without_batch_normalization_are_refused():
  network = tf_keras.Sequential([layers.Input([3]), layers.Dense(2)])
  with pytest.raises(ValueError, match='has no batch normalization to adapt'):
    networks.with_batch_statistics(network)


def test_networks_without_a_graph_are_refused():
  class Subclassed(tf_keras.Model):
    """Keeps what it does to itself."""

    def __init__(self):
      super().__init__(name='subclassed')
      self.normalization = layers.BatchNormalization()

    def call(self, inputs):
      return self.normalization(inputs)

  model = Subclassed()
  model(tf.zeros([1, 4]))
  unbuilt = tf_keras.Sequential([layers.BatchNormalization()], name='unbuilt')
  for network, name in (
    (model, 'subclassed'),
    (unbuilt, 'unbuilt'),
    (layers.BatchNormalization(name='layer'), 'layer'),
  ):
    with pytest.raises(ValueError, match=f'{name} has no graph to read'):
      networks.with_batch_statistics(network)
  # Nor is a layer of the network that does so.
  network = tf_keras.Sequential(
    [layers.Input([4]), layers.BatchNormalization(), model]
  )
  with pytest.raises(ValueError, match='inside a layer that is neither'):
    networks.with_batch_statistics(network)


def test_wrapped_normalizations_and_virtual_batches_are_refused():
  wrapped = layers.TimeDistributed(layers.BatchNormalization())
  network = tf_keras.Sequential(
    [layers.Input([3, 4]), layers.BatchNormalization(), wrapped]
  )
  with pytest.raises(ValueError, match='inside a layer that is neither'):
    networks.with_batch_statistics(network)
  virtual = layers.BatchNormalization(virtual_batch_size=2, name='ghost')
  network = tf_keras.Sequential([layers.Input(_SHAPE), virtual])
  with pytest.raises(ValueError, match='layer ghost .*`virtual_batch_size`'):
    networks.with_batch_statistics(network)


def test_a_part_of_a_batch_is_not_normalized_by(monkeypatch):
  monkeypatch.setattr(_parts, '_DIVISION', [2])
  network = _NETWORKS['encoder'](layers.BatchNormalization)
  adapted = networks.with_batch_statistics(network)
  adapted(_images(), training=True)
  with pytest.raises(ValueError, match='without `divide_batches`'):
    adapted(_images())
