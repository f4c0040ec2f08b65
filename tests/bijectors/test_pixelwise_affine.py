# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of activation normalization and 1x1 convolution in one."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tfp_ood.bijectors import ActivationNormalization, InvertibleConv1x1
from tfp_ood.bijectors._pixelwise_affine import PixelwiseAffine

_CHANNELS = 4


def _weights():
  """Returns the weights of three steps of both."""
  normal = tf.random.stateless_normal(
    [2, 3, _CHANNELS], [1, 2], dtype=tf.float64
  )
  convolution = InvertibleConv1x1.initial_weights(
    _CHANNELS, 1, num_steps=3, dtype=tf.float64
  )
  return (
    {'shift': normal[0], 'log_scale': 0.3 * normal[1]},
    tf.nest.map_structure(tf.convert_to_tensor, convolution),
  )


def _slice(nest):
  return tf.nest.map_structure(lambda leaf: leaf[1], nest)


@pytest.mark.parametrize('direction', ['forward', 'inverse'])
def test_is_the_chain_of_its_parts(direction):
  normalization, convolution = _weights()
  images = tf.random.stateless_normal(
    [2, 3, 5, _CHANNELS], [3, 4], dtype=tf.float64
  )
  watched = [
    leaf
    for leaf in tf.nest.flatten([normalization, convolution])
    if leaf.dtype.is_floating
  ]

  def run(make):
    with tf.GradientTape() as tape:
      tape.watch([images, *watched])
      bijector = make()
      value = getattr(bijector, direction)(images)
      log_det = getattr(bijector, f'{direction}_log_det_jacobian')(images, 3)
      total = tf.reduce_sum(tf.sin(value)) + tf.reduce_sum(log_det)
    gradients = tape.gradient(
      total, [images, *watched], unconnected_gradients='zero'
    )
    return value, log_det, *gradients

  fused = run(
    lambda: PixelwiseAffine(
      _CHANNELS, _slice(PixelwiseAffine.prepare(normalization, convolution))
    )
  )
  chain = run(
    lambda: tfp.bijectors.Chain(
      [
        ActivationNormalization(_CHANNELS, weights=_slice(normalization)),
        InvertibleConv1x1(_CHANNELS, weights=_slice(convolution)),
      ]
    )
  )
  for one, other in zip(fused, chain, strict=True):
    assert one.shape == other.shape
    np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


def test_other_numbers_of_channels_are_refused():
  weights = _slice(PixelwiseAffine.prepare(*_weights()))
  with pytest.raises(ValueError, match='PixelwiseAffine: .*4 channels, got 3'):
    PixelwiseAffine(_CHANNELS, weights).inverse(
      tf.zeros([2, 3, 5, 3], tf.float64)
    )
