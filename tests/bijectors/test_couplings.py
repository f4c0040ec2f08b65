# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of `AffineCoupling` and `AdditiveCoupling`."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tfp_ood import bijectors, networks

both_couplings = pytest.mark.parametrize(
  'coupling, outputs_per_channel',
  [(bijectors.AffineCoupling, 2), (bijectors.AdditiveCoupling, 1)],
)


def _without_weights(function):
  return networks.FunctionNetwork(function, modules=[])


def test_affine_numbers_by_hand():
  # One channel is transformed, two pass; the network sees those two.
  def network(passed):
    shift = passed[..., :1] + 10.0 * passed[..., 1:]
    return tf.concat([shift, passed[..., :1]], axis=-1)

  bijector = bijectors.AffineCoupling(_without_weights(network))
  latent = tf.constant([[[3.0, 1.0, 2.0]], [[4.0, -1.0, 0.5]]])
  log_scale = [2.0 * np.tanh(0.5), 2.0 * np.tanh(-0.5)]
  expected = [
    [[3.0 * np.exp(log_scale[0]) + 21.0, 1.0, 2.0]],
    [[4.0 * np.exp(log_scale[1]) + 4.0, -1.0, 0.5]],
  ]
  image, log_det = bijector.forward_and_log_det(latent)
  np.testing.assert_allclose(image, expected, rtol=1e-6)
  # The two log-scales of the image cancel; each counts once.
  np.testing.assert_allclose(log_det, sum(log_scale), atol=1e-6)
  _, log_det = bijector.forward_and_log_det(latent[:1])
  np.testing.assert_allclose(log_det, log_scale[0], rtol=1e-6)
  back, log_det = bijector.inverse_and_log_det(image[:1])
  np.testing.assert_allclose(back, latent[:1], rtol=1e-6)
  np.testing.assert_allclose(log_det, -log_scale[0], rtol=1e-6)


def test_additive_numbers_by_hand():
  bijector = bijectors.AdditiveCoupling(
    _without_weights(lambda passed: 10.0 * passed[..., :1])
  )
  latent = tf.constant([[[3.0, 1.0, 2.0]]])
  image, log_det = bijector.forward_and_log_det(latent)
  assert image.numpy().tolist() == [[[13.0, 1.0, 2.0]]]
  assert float(log_det) == 0.0
  back, log_det = bijector.inverse_and_log_det(image)
  assert back.numpy().tolist() == latent.numpy().tolist()
  assert float(log_det) == 0.0


@pytest.mark.parametrize('output', [1e6, -1e6, 1e30, -1e30])
@pytest.mark.parametrize('bound', [2.0, 0.5, 5.0])
def test_bounded_scale_neither_underflows_nor_overflows(output, bound):
  """Of float32 networks that explode, only the shift may be large."""

  def network(passed):
    return tf.concat([passed, tf.fill(tf.shape(passed), output)], axis=-1)

  bijector = bijectors.AffineCoupling(
    _without_weights(network), log_scale_bound=bound
  )
  value = tf.constant([[[[3.0, 0.5]]]])
  sign = np.sign(output)
  image, log_det = bijector.forward_and_log_det(value)
  np.testing.assert_allclose(
    image, [[[[3.0 * np.exp(sign * bound) + 0.5, 0.5]]]], rtol=1e-5
  )
  np.testing.assert_allclose(log_det, [sign * bound], rtol=1e-6)
  latent, log_det = bijector.inverse_and_log_det(tf.identity(image))
  np.testing.assert_allclose(latent, value, rtol=1e-5)
  np.testing.assert_allclose(log_det, [-sign * bound], rtol=1e-6)


def test_gradients_stay_finite_where_the_network_explodes():
  bijector = bijectors.AffineCoupling(
    _without_weights(lambda passed: tf.concat([passed, 1e30 * passed], axis=-1))
  )
  images = tf.ones([1, 2, 2, 2])
  with tf.GradientTape() as tape:
    tape.watch(images)
    latents, log_det = bijector.inverse_and_log_det(images)
    loss = tf.reduce_sum(latents) + tf.reduce_sum(log_det)
  assert np.all(np.isfinite(tape.gradient(loss, images)))


@both_couplings
def test_zero_network_is_the_identity(coupling, outputs_per_channel):
  network = networks.CouplingNetwork(2, outputs_per_channel * 2, 4)
  images = tf.random.stateless_normal([2, 3, 4, 4], [1, 2])
  latents, log_det = coupling(network).inverse_and_log_det(images)
  np.testing.assert_array_equal(latents, images)
  np.testing.assert_array_equal(log_det, 0.0)


@both_couplings
@pytest.mark.parametrize('channels', [2, 3, 4, 5])
def test_last_channels_pass_through(coupling, outputs_per_channel, channels):
  transformed = channels // 2
  seen = []

  def network(passed):
    seen.append(passed.shape[-1])
    return tf.ones(
      [*passed.shape[:-1], outputs_per_channel * transformed], tf.float32
    )

  images = tf.random.stateless_normal([2, 3, 4, channels], [1, 2])
  bijector = coupling(_without_weights(network))
  for method in (bijector.forward, bijector.inverse):
    result = method(images)
    np.testing.assert_array_equal(
      result[..., transformed:], images[..., transformed:]
    )
    assert np.all(result[..., :transformed] != images[..., :transformed])
  assert seen == [channels - transformed] * 2


@both_couplings
@pytest.mark.parametrize('extra', [-1, 1])
def test_wrong_number_of_network_outputs(coupling, outputs_per_channel, extra):
  expected = outputs_per_channel * 2
  network = networks.CouplingNetwork(2, expected + extra, 4)
  with pytest.raises(
    ValueError,
    match=f'{coupling.__name__}: the network must return {expected} channels',
  ):
    coupling(network).inverse(tf.zeros([1, 3, 3, 4]))


@both_couplings
def test_network_that_returns_no_image(coupling, outputs_per_channel):
  del outputs_per_channel
  with pytest.raises(ValueError, match='the network must return'):
    coupling(_without_weights(lambda x: x[:, 0, 0])).inverse(
      tf.zeros([1, 3, 3, 2])
    )


@both_couplings
def test_fewer_than_two_channels(coupling, outputs_per_channel):
  del outputs_per_channel
  with pytest.raises(ValueError, match='at least 2 channels'):
    coupling(_without_weights(tf.identity)).inverse(tf.zeros([2, 3, 3, 1]))
  with pytest.raises(ValueError, match=r'\[batch..., height, width'):
    coupling(_without_weights(tf.identity)).inverse(tf.zeros([3, 4]))


@pytest.mark.parametrize('bound', [0.0, -1.0, float('nan')])
def test_bound_must_be_positive(bound):
  with pytest.raises(ValueError, match='`log_scale_bound` must be positive'):
    bijectors.AffineCoupling(
      _without_weights(tf.identity), log_scale_bound=bound
    )


@both_couplings
@pytest.mark.parametrize('library', [keras, tf_keras])
def test_unbuilt_networks_are_refused(coupling, outputs_per_channel, library):
  network = library.Sequential(
    [library.layers.Conv2D(outputs_per_channel, 3, padding='same')]
  )
  with pytest.raises(ValueError, match='has no weights yet'):
    coupling(network)
  with pytest.raises(ValueError, match='has no weights yet'):
    networks.FunctionNetwork(lambda images: network(images), [network])
  network.build([None, 4, 4, 1])
  assert len(coupling(network).trainable_variables) == 2


@both_couplings
def test_outputs_per_channel_can_be_read_from_the_class(
  coupling, outputs_per_channel
):
  assert coupling.outputs_per_channel == outputs_per_channel


def test_network_of_lower_precision_keeps_the_dtype():
  network = networks.CouplingNetwork(1, 2, 4, compute_dtype=tf.bfloat16)
  for variable in network.trainable_variables:
    variable.assign_add(tf.fill(variable.shape, 0.1))
  bijector = bijectors.AffineCoupling(
    networks.FunctionNetwork(
      lambda images: tf.cast(network(images), tf.bfloat16), [network]
    )
  )
  images = tf.random.stateless_normal([2, 3, 3, 2], [1, 2])
  latents, log_det = bijector.inverse_and_log_det(images)
  assert latents.dtype == log_det.dtype == tf.float32
  np.testing.assert_allclose(
    bijector.forward(tf.identity(latents)), images, atol=1e-5
  )


def _layers(library):
  return library.Sequential(
    [library.layers.InputLayer([4, 4, 2]), library.layers.Conv2D(4, 3)]
    + [library.layers.Conv2D(4, 1)]
  )


class _WithMethods(tf.Module):
  """A module whose methods, not itself, are networks."""

  def __init__(self):
    super().__init__()
    self.network = networks.CouplingNetwork(2, 4, 4)

  def run(self, images):
    return self.network(images)

  @tf.function
  def run_as_graph(self, images):
    return self.network(images)


class _ModuleOfKeras3Layer(tf.Module):
  """A `tf.Module` does not look into Keras 3 layers."""

  def __init__(self):
    super().__init__()
    self.own = tf.Variable(1.0)
    self.layers = {'one': [_layers(keras)]}

  def __call__(self, images):
    return self.own * self.layers['one'][0](images)


class _LayerOfKeras3Layer(tf_keras.layers.Layer):
  """A layer of Keras 2 does not either."""

  def __init__(self):
    super().__init__()
    self.inner = _layers(keras)
    self.build([None, 4, 4, 2])

  def call(self, images):
    return self.inner(images)


class _PlainClass:
  """Neither a module nor a layer."""

  def __init__(self):
    self.scale = tf.Variable(1.0)
    self.inner = [_layers(keras), _layers(tf_keras)]

  def __call__(self, images):
    return self.scale * sum(inner(images) for inner in self.inner)


def _function_of(*used):
  """A network that adds up what it uses."""
  return networks.FunctionNetwork(
    lambda images: sum(
      part * images[:, :2, :2, :1]
      if isinstance(part, tf.Variable)
      else part(images)
      for part in used
    ),
    modules=used,
  )


def _function_of_method(name):
  module = _WithMethods()
  return networks.FunctionNetwork(getattr(module, name), [module])


def _function_of_plain_class():
  network = _PlainClass()
  return networks.FunctionNetwork(network, [network.scale, *network.inner])


def _scaled(network, images, scale):
  return scale * network(images)


def _function_of_partial():
  network, scale = _layers(keras), tf.Variable(2.0)
  return networks.FunctionNetwork(
    functools.partial(_scaled, network, scale=scale), [network, scale]
  )


def _function_of_tf_function():
  network = _layers(keras)
  return networks.FunctionNetwork(
    tf.function(lambda images: network(images)), [network]
  )


NETWORKS = {
  'tf_keras': (lambda: _layers(tf_keras), 4),
  'keras_3': (lambda: _layers(keras), 4),
  'tf_module': (lambda: networks.CouplingNetwork(2, 4, 4), 6),
  'tf_module_of_keras_3': (_ModuleOfKeras3Layer, 5),
  'tf_keras_of_keras_3': (_LayerOfKeras3Layer, 4),
  'function_of_keras_3': (lambda: _function_of(_layers(keras)), 4),
  'function_of_tf_keras': (lambda: _function_of(_layers(tf_keras)), 4),
  'function_of_module': (lambda: _function_of(_ModuleOfKeras3Layer()), 5),
  'function_of_several': (
    lambda: _function_of(tf.Variable(1.0), _layers(keras), _layers(tf_keras)),
    9,
  ),
  'function_of_function': (
    lambda: _function_of(_function_of(_layers(keras))),
    4,
  ),
  'function_of_one_twice': (
    lambda: _function_of(*[networks.CouplingNetwork(2, 4, 4)] * 2),
    6,
  ),
  'function_of_method': (lambda: _function_of_method('run'), 6),
  'function_of_method_as_graph': (
    lambda: _function_of_method('run_as_graph'),
    6,
  ),
  'function_of_plain_class': (_function_of_plain_class, 9),
  'function_of_partial': (_function_of_partial, 5),
  'function_of_tf_function': (_function_of_tf_function, 4),
}


@pytest.mark.parametrize('name', sorted(NETWORKS))
def test_every_weight_of_a_network_is_tracked_once(name):
  make, num_weights = NETWORKS[name]
  network = make()
  bijector = bijectors.AffineCoupling(network)
  tracked = bijector.trainable_variables
  assert len(tracked) == num_weights
  assert len({id(v) for v in tracked}) == num_weights
  # They are the very weights that the network uses.
  with tf.GradientTape() as tape:
    network(tf.ones([1, 4, 4, 2]))
  assert {id(v) for v in tape.watched_variables()} == {id(v) for v in tracked}


REFUSED = {
  'plain_class': _PlainClass,
  'bound_method': lambda: _WithMethods().run,
  'bound_tf_function': lambda: _WithMethods().run_as_graph,
  'lambda': lambda: lambda images: _layers(keras)(images),
  'builtin': lambda: tf.identity,
  'partial': lambda: functools.partial(_scaled, _layers(keras), scale=2.0),
  'tf_function': lambda: tf.function(networks.CouplingNetwork(2, 4, 4)),
  'class': lambda: networks.CouplingNetwork,
  'module_that_is_not_callable': _WithMethods,
  'tensor': lambda: tf.zeros([3]),
}


@both_couplings
@pytest.mark.parametrize('name', sorted(REFUSED))
def test_networks_that_hide_their_weights_are_refused(
  coupling, outputs_per_channel, name
):
  del outputs_per_channel
  with pytest.raises(TypeError, match=r'FunctionNetwork\(function, modules='):
    coupling(REFUSED[name]())
