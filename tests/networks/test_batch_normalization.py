# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of batch normalization read from a classifier: it equals Keras's."""

import types

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from conformance import classifier_registry as registry

from tfp_ood import networks

_SHAPE = [6, 5, 3]
_LABELS = tf.constant([0, 2, 1, 2, 0, 1])

both_libraries = pytest.mark.parametrize('library', list(registry.LIBRARIES))


def _classifier(library, normalization, after=()):
  """A functional classifier around a callable that normalizes features."""
  library = registry.LIBRARIES[library]
  k = library.layers
  images = k.Input(_SHAPE)
  features = normalization(k.Conv2D(4, 2)(images))
  features = k.Flatten()(k.ReLU()(features))
  for layer in after:
    features = layer(features)
  model = library.Model(images, k.Dense(3)(features))
  return registry.perturb_weights(model)


def _images(seed=1):
  return 2 * tf.random.stateless_normal([6, *_SHAPE], [seed, 2]) + 0.5


def _values(model):
  return [np.array(weight) for weight in model.weights]


def _assert_equals_keras(model, renders=True, tolerance=1e-5):
  """Compares logits, and what training moves; returns how far it moves."""
  network = networks.PiecewiseLinearNetwork(model)
  start = model.get_weights()

  def propagate(images, training):
    return network.propagate(images, training=training).logits

  def render(images, training):
    _, propagated, _ = network.propagate_and_render(
      images, lambda logits: _LABELS, training=training
    )
    return propagated.logits

  for training in (False, True):
    expected = model(_images(), training=training)
    moved = _values(model)
    for function in (propagate, render) if renders else (propagate,):
      model.set_weights(start)
      np.testing.assert_allclose(
        function(_images(), training), expected, rtol=tolerance, atol=tolerance
      )
      for value, other in zip(_values(model), moved, strict=True):
        np.testing.assert_allclose(value, other, rtol=1e-5, atol=1e-6)
  model.set_weights(start)
  return [
    np.abs(other - value).max()
    for value, other in zip(start, moved, strict=True)
  ]


_OPTIONS = {
  'default': {},
  'momentum': dict(momentum=0.3, epsilon=0.1),
  'without momentum': dict(momentum=0.0),
  'without parameters': dict(center=False, scale=False),
  'synchronized': dict(synchronized=True),
  'rows': dict(axis=1),
  'columns': dict(axis=-2),
}


@both_libraries
@pytest.mark.parametrize('options', list(_OPTIONS))
def test_equals_keras(library, options):
  layer = registry.LIBRARIES[library].layers.BatchNormalization(
    **_OPTIONS[options]
  )
  moves = _assert_equals_keras(_classifier(library, layer))
  assert sum(move > 1e-3 for move in moves) == 2


@pytest.mark.parametrize('fused', [False, True])
def test_equals_keras_fused_or_not(fused):
  """Fused, the moving variance has Bessel's correction."""
  layer = tf_keras.layers.BatchNormalization(fused=fused, momentum=0.0)
  model = _classifier('tf_keras', layer)
  _assert_equals_keras(model)
  model(_images(), training=True)
  _, variance = tf.nn.moments(model.layers[1](_images()), [0, 1, 2])
  count = 6 * 5 * 4
  if fused:
    variance *= count / (count - 1)
  np.testing.assert_allclose(layer.moving_variance, variance, rtol=1e-5)


def test_equals_keras_over_several_axes():
  layer = tf_keras.layers.BatchNormalization(axis=[1, 3])
  moves = _assert_equals_keras(_classifier('tf_keras', layer))
  assert sum(move > 1e-3 for move in moves) == 2


@both_libraries
def test_a_frozen_layer_is_in_evaluation(library):
  layer = registry.LIBRARIES[library].layers.BatchNormalization()
  model = _classifier(library, layer)
  layer.trainable = False
  assert max(_assert_equals_keras(model)) == 0
  # Whenever it is frozen, and not just before the model is read.
  layer.trainable = True
  assert max(_assert_equals_keras(model)) > 0
  network = networks.PiecewiseLinearNetwork(model)
  layer.trainable = False
  expected = model(_images(), training=True)
  actual = network.propagate(_images(), training=True).logits
  np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


@both_libraries
def test_calls_in_evaluation(library):
  """Keras 2 heeds them; in Keras 3 what the model is told overrides them."""
  layer = registry.LIBRARIES[library].layers.BatchNormalization()
  model = _classifier(library, lambda x: layer(x, training=False))
  assert (max(_assert_equals_keras(model)) == 0) == (library == 'tf_keras')


def test_calls_in_evaluation_by_position():
  layer = tf_keras.layers.BatchNormalization()
  model = _classifier('tf_keras', lambda x: layer(x, False))
  assert max(_assert_equals_keras(model)) == 0


@both_libraries
@pytest.mark.parametrize('how', ['called', 'frozen'])
def test_nested_models_in_evaluation(library, how):
  library_module = registry.LIBRARIES[library]
  k = library_module.layers
  dropout = k.Dropout(0.5)
  inner = library_module.Sequential(
    [k.Input([5, 4, 4]), k.BatchNormalization(), k.ReLU()]
  )
  outer = library_module.Sequential([k.Input([5, 4, 4]), inner])
  if how == 'called':
    # What the outermost call says goes for all that say nothing.
    images = k.Input([5, 4, 4])
    outer = library_module.Model(images, dropout(inner(images)))
    if library == 'keras':
      dropout.rate = 0.0
    model = _classifier(library, lambda x: outer(x, training=False))
    assert (max(_assert_equals_keras(model)) == 0) == (library == 'tf_keras')
  else:
    model = _classifier(library, outer)
    outer.trainable = False
    assert max(_assert_equals_keras(model)) == 0


@both_libraries
def test_dropout_called_in_evaluation(library):
  k = registry.LIBRARIES[library].layers
  layer = k.Dropout(0.5)
  model = _classifier(
    library,
    k.BatchNormalization(),
    [lambda x: layer(x, training=False), k.Dense(4)],
  )
  if library == 'tf_keras':
    _assert_equals_keras(model)
  network = networks.PiecewiseLinearNetwork(model)
  first, second = (
    network.propagate(_images(), training=True).logits for _ in range(2)
  )
  assert np.allclose(first, second) == (library == 'tf_keras')


@pytest.mark.parametrize('kind', ['BatchNormalization', 'Dropout'])
def test_calls_in_training_are_refused(kind):
  """No image's logits would be its own. Keras 3 takes no notice of them."""
  for library, module in registry.LIBRARIES.items():
    k = module.layers
    layer = {
      'BatchNormalization': k.BatchNormalization(name='always'),
      'Dropout': k.Dropout(0.5, name='always'),
    }[kind]
    model = _classifier(library, lambda x: layer(x, training=True))  # noqa: B023
    if library == 'keras':
      network = networks.PiecewiseLinearNetwork(model)
      np.testing.assert_allclose(
        network.propagate(_images()).logits,
        model(_images(), training=False),
        rtol=1e-5,
        atol=1e-5,
      )
      continue
    with pytest.raises(ValueError, match=rf'layer always \({kind}\) is called'):
      networks.PiecewiseLinearNetwork(model)


@both_libraries
def test_renorm_trains_but_is_not_rendered_in_training(library):
  layer = registry.LIBRARIES[library].layers.BatchNormalization(
    renorm=True, name='renormalized'
  )
  model = _classifier(library, layer)
  moves = _assert_equals_keras(model, renders=False, tolerance=1e-4)
  assert sum(move > 1e-3 for move in moves) == 5
  network = networks.PiecewiseLinearNetwork(model)
  before = _values(model)
  network.render(_LABELS, images=_images())
  with pytest.raises(ValueError, match='layer renormalized .*`renorm`'):
    network.propagate_and_render(
      _images(), lambda logits: _LABELS, training=True
    )
  for value, other in zip(_values(model), before, strict=True):
    np.testing.assert_array_equal(value, other)


def test_statistics_of_several_replicas_are_not_rendered(monkeypatch):
  layer = tf_keras.layers.BatchNormalization(synchronized=True, name='all')
  network = networks.PiecewiseLinearNetwork(_classifier('tf_keras', layer))
  strategy = types.SimpleNamespace(num_replicas_in_sync=2)
  monkeypatch.setattr(tf.distribute, 'get_strategy', lambda: strategy)
  with pytest.raises(ValueError, match='layer all .*`synchronized`'):
    network.propagate_and_render(
      _images(), lambda logits: _LABELS, training=True
    )


def test_virtual_batches_are_refused():
  layer = tf_keras.layers.BatchNormalization(virtual_batch_size=2, name='ghost')
  with pytest.raises(ValueError, match='layer ghost .*`virtual_batch_size`'):
    networks.PiecewiseLinearNetwork(_classifier('tf_keras', layer))


@both_libraries
@pytest.mark.parametrize('options', list(_OPTIONS))
def test_renderings_take_the_statistics_for_constants(library, options):
  """The rendering in training, from the definition."""
  layer = registry.LIBRARIES[library].layers.BatchNormalization(
    **_OPTIONS[options]
  )
  model = _classifier(library, layer)
  network = networks.PiecewiseLinearNetwork(model)
  _, propagated, rendered = network.propagate_and_render(
    _images(), lambda logits: _LABELS, training=True
  )
  kernel, bias = (tf.convert_to_tensor(w) for w in model.layers[1].weights)
  templates = tf.convert_to_tensor(model.layers[-1].kernel)
  x = tf.nn.conv2d(_images(), kernel, 1, 'VALID') + bias
  axis = _OPTIONS[options].get('axis', -1) % 4
  others = [i for i in range(4) if i != axis]
  mean, variance = tf.nn.moments(x, others, keepdims=True)
  shape = [-1 if i == axis else 1 for i in range(4)]
  gamma, beta = (
    default if w is None else tf.reshape(tf.convert_to_tensor(w), shape)
    for w, default in ((layer.gamma, 1.0), (layer.beta, 0.0))
  )
  scale = gamma / tf.sqrt(variance + layer.epsilon)
  u = (x - mean) * scale + beta
  np.testing.assert_allclose(
    propagated.pre_activations[0], u, rtol=1e-3, atol=1e-4
  )
  h = tf.reshape(tf.transpose(tf.gather(templates, _LABELS, axis=1)), x.shape)
  np.testing.assert_allclose(rendered.features[0], h, rtol=1e-5)
  h = tf.where(propagated.pre_activations[0] > 0, h, 0.0) * scale
  expected = tf.nn.conv2d_transpose(h, kernel, _images().shape, 1, 'VALID')
  np.testing.assert_allclose(rendered.image, expected, rtol=1e-3, atol=1e-4)
