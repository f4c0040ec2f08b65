# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of classifiers that compute in half precision."""

import numpy as np
import pytest
import tensorflow as tf
from conformance import classifier_registry as registry

from tfp_ood import distributions, networks

_SHAPE = [8, 8, 3]
_LABELS = tf.constant([0, 2, 1])

both_libraries = pytest.mark.parametrize('library', list(registry.LIBRARIES))
every_policy = pytest.mark.parametrize(
  'policy', ['mixed_float16', 'mixed_bfloat16', 'float16']
)


def _classifier(library, policy):
  library = registry.LIBRARIES[library]
  k, dtype = library.layers, policy
  model = library.Sequential(
    [
      k.Input(_SHAPE),
      k.Conv2D(4, 3, activation='relu', dtype=dtype),
      k.BatchNormalization(dtype=dtype),
      k.Conv2D(4, 3, padding='same', dtype=dtype),
      k.LeakyReLU(dtype=dtype),
      k.MaxPooling2D(dtype=dtype),
      k.Dropout(0.0, dtype=dtype),
      k.DepthwiseConv2D(2, activation='relu6', dtype=dtype),
      k.Flatten(dtype=dtype),
      k.Dense(3, dtype=dtype),
    ]
  )
  return registry.perturb_weights(model, scale=0.4)


def _images():
  return tf.random.stateless_normal([3, *_SHAPE], [1, 2])


@both_libraries
@every_policy
def test_logits_are_those_of_the_model(library, policy):
  model = _classifier(library, policy)
  network = networks.PiecewiseLinearNetwork(model)
  assert network.dtype == tf.float32
  for training in (False, True):
    start = model.get_weights()
    expected = model(_images(), training=training)
    assert expected.dtype in (tf.float16, tf.bfloat16)
    expected = np.array(tf.cast(expected, tf.float32))
    model.set_weights(start)
    result = network.propagate(_images(), training=training)
    for values in tf.nest.flatten(result):
      assert values.dtype == tf.float32
    tolerance = 6e-2 if policy == 'mixed_bfloat16' else 1e-2
    np.testing.assert_allclose(
      result.logits, expected, rtol=0, atol=tolerance * np.abs(expected).max()
    )


@both_libraries
@every_policy
def test_renderings_are_nearly_those_of_single_precision(library, policy):
  network = networks.PiecewiseLinearNetwork(_classifier(library, policy))
  exact = networks.PiecewiseLinearNetwork(_classifier(library, 'float32'))
  switches = registry.random_switches(network, 3)
  rendered, expected = (
    each.render(_LABELS, switches, _images()) for each in (network, exact)
  )
  for value, other in zip(
    tf.nest.flatten(rendered), tf.nest.flatten(expected), strict=True
  ):
    assert value.dtype == tf.float32
    np.testing.assert_allclose(
      value, other, rtol=0, atol=5e-2 * np.abs(other).max()
    )


@both_libraries
@pytest.mark.parametrize(
  'normalize_renderings', [False, pytest.param(True, marks=pytest.mark.slow)]
)
def test_gradients_of_losses_in_a_graph(library, normalize_renderings):
  network = networks.PiecewiseLinearNetwork(
    _classifier(library, 'mixed_float16'), normalize_renderings
  )
  variables = network.trainable_variables

  @tf.function
  def step(images):
    with tf.GradientTape() as tape:
      _, propagated, rendered = network.propagate_and_render(
        images, lambda logits: _LABELS, training=True
      )
      loss = tf.reduce_mean(propagated.logits**2)
      loss += tf.reduce_mean((images - rendered.image) ** 2)
    return tape.gradient(loss, variables)

  gradients = step(_images())
  for variable, gradient in zip(variables, gradients, strict=True):
    assert gradient is not None, variable.name
    assert np.all(np.isfinite(gradient)), variable.name
  assert sum(np.abs(g).max() > 0 for g in gradients) >= len(gradients) - 2


@both_libraries
def test_statistics_of_images(library):
  """Nothing of an image's bound is summed in half precision."""
  images = np.random.default_rng(0).integers(0, 256, [3, *_SHAPE], np.uint8)
  half, single = (
    distributions.NeuralRenderingModel.from_keras(_classifier(library, policy))
    for policy in ('mixed_float16', 'float32')
  )
  names = [n for n in half.statistics_names if n != 'latent_layerwise']
  actual, expected = (
    model.statistics(images, names) for model in (half, single)
  )
  for name, value in actual.items():
    assert value.dtype == tf.float32
    np.testing.assert_allclose(
      value, expected[name], atol=5e-2 * np.abs(expected[name]).max()
    )
  found = half.joint_map(images, num_sweeps=2)
  assert np.isfinite(found.objective).all()
