# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of couplings that see a context, and of the batches that they take."""

import functools

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from tiers import few

from tfp_ood import bijectors, networks
from tfp_ood.distributions.variational.conditional_couplings import (
  ConditionalCouplings,
)

tfb = tfp.bijectors

_SHAPE = [2, 3, 4]


@functools.cache
def _couplings():
  """Two steps whose networks are away from their start."""
  couplings = ConditionalCouplings(
    functools.partial(networks.CouplingNetwork, hidden_channels=3),
    num_channels=4,
    context_channels=2,
    num_steps=2,
    seed=1,
    dtype=tf.float64,
  )
  generator = np.random.default_rng(0)
  for variable in couplings.trainable_variables:
    variable.assign_add(generator.normal(0, 0.3, variable.shape))
  return couplings


def _normal(*shape, seed=0):
  return np.random.default_rng(seed).normal(size=shape)


def _contexts(number):
  return tf.constant(_normal(number, 2, 3, 2, seed=1))


def _flow(contexts):
  return tfb.Chain(_couplings().bijectors(contexts))


_DIRECTIONS = {
  'forward': bijectors.forward_and_log_det,
  'inverse': bijectors.inverse_and_log_det,
}


def _one_by_one(direction, images, contexts):
  """Pairs images and contexts by NumPy's broadcasting, each in a flow alone."""
  batch_shape = np.broadcast_shapes(images.shape[:-3], [len(contexts)])
  images = np.broadcast_to(images, [*batch_shape, *_SHAPE])
  indices = np.broadcast_to(np.arange(len(contexts)), batch_shape)
  values = np.zeros(images.shape)
  log_dets = np.zeros(batch_shape)
  for place in np.ndindex(*batch_shape):
    context = contexts[indices[place] : indices[place] + 1]
    value, log_det = _DIRECTIONS[direction](
      _flow(context), images[place][np.newaxis], 3
    )
    values[place], log_dets[place] = value[0], log_det[0]
  return values, log_dets


@pytest.mark.parametrize('direction', list(_DIRECTIONS))
@pytest.mark.parametrize('number', few([2, 1, 3], 1))
@pytest.mark.parametrize(
  'batch_shape',
  [[1], ['number'], [4, 1], [4, 'number'], [1, 1], [2, 3, 1]],
  ids=str,
)
def test_images_are_broadcast_against_contexts(direction, number, batch_shape):
  batch_shape = [number if size == 'number' else size for size in batch_shape]
  images = _normal(*batch_shape, *_SHAPE)
  contexts = _contexts(number)
  value, log_det = _DIRECTIONS[direction](_flow(contexts), images, 3)
  expected_value, expected_log_det = _one_by_one(direction, images, contexts)
  assert value.shape == expected_value.shape
  np.testing.assert_allclose(value, expected_value, rtol=1e-10, atol=1e-12)
  np.testing.assert_allclose(
    np.broadcast_to(log_det, expected_log_det.shape),
    expected_log_det,
    rtol=1e-10,
    atol=1e-12,
  )


def test_inverse_undoes_forward_by_contexts():
  flow = _flow(_contexts(3))
  latents = _normal(5, 3, *_SHAPE)
  images = flow.forward(latents)
  np.testing.assert_allclose(
    flow.inverse(tf.identity(images)), latents, rtol=1e-9, atol=1e-9
  )
  # Another context, another flow.
  same = flow.forward(np.broadcast_to(latents[:, :1], latents.shape))
  assert np.abs(same[:, 0] - same[:, 1]).min() > 1e-6


def test_unknown_numbers_of_images_and_contexts_are_traced_once():
  @tf.function(
    input_signature=[
      tf.TensorSpec([None, None, *_SHAPE], tf.float64),
      tf.TensorSpec([None, 2, 3, 2], tf.float64),
    ]
  )
  def inverse(images, contexts):
    return bijectors.inverse_and_log_det(_flow(contexts), images, 3)

  for samples, count, number in ((4, 1, 3), (2, 3, 3), (1, 1, 1)):
    images = _normal(samples, count, *_SHAPE)
    contexts = _contexts(number)
    expected, log_dets = _one_by_one('inverse', images, contexts)
    value, log_det = inverse(images, contexts)
    np.testing.assert_allclose(value, expected, rtol=1e-9, atol=1e-9)
    np.testing.assert_allclose(log_det, log_dets, rtol=1e-9, atol=1e-9)
  assert inverse.experimental_get_tracing_count() == 1


def test_batches_that_do_not_broadcast_are_refused():
  with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
    _flow(_contexts(3)).inverse(_normal(6, *_SHAPE))


def test_gradients_reach_weights_and_contexts():
  contexts = _contexts(3)
  with tf.GradientTape() as tape:
    tape.watch(contexts)
    value, log_det = bijectors.inverse_and_log_det(
      _flow(contexts), _normal(4, 1, *_SHAPE), 3
    )
    loss = tf.reduce_sum(value**2) + tf.reduce_sum(log_det)
  variables = _couplings().trainable_variables
  for gradient in tape.gradient(loss, [contexts, *variables]):
    assert gradient is not None and np.any(gradient != 0)


def test_weights_are_those_of_the_seed():
  def weights(seed):
    couplings = ConditionalCouplings(
      networks.CouplingNetwork, 4, context_channels=1, num_steps=2, seed=seed
    )
    return np.concatenate([np.ravel(v) for v in couplings.variables])

  np.testing.assert_array_equal(weights(3), weights(3))
  np.testing.assert_array_equal(weights([3, 4]), weights([3, 4]))
  assert (weights(3) != weights(4)).any()
