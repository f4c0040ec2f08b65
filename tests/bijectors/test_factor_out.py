# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of `FactorOut`."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tfp_ood import bijectors, networks

tfb = tfp.bijectors


def _rest(height, width, channels):
  return tfb.Reshape(
    event_shape_in=[height * width * channels],
    event_shape_out=[height, width, channels],
  )


def _without_weights(function):
  return networks.FunctionNetwork(function, modules=[])


def _identity_prior():
  return bijectors.AdditiveCoupling(
    _without_weights(lambda x: tf.zeros_like(x[..., :1]))
  )


def test_order_of_the_latent():
  # Channel 0 leaves, 1 and 2 stay: the deeper latent comes first.
  flow = bijectors.FactorOut(_rest(1, 2, 2), [1, 2, 3], _identity_prior())
  image = tf.constant([[[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]]])
  latent, log_det = flow.inverse_and_log_det(image)
  assert latent.numpy().tolist() == [2.0, 3.0, 5.0, 6.0, 1.0, 4.0]
  assert float(log_det) == 0.0
  assert flow.latent_sizes == [4, 2]
  assert flow.forward(latent.numpy()).numpy().tolist() == image.numpy().tolist()


def test_the_prior_normalizes_what_leaves():
  def network(rest):
    mean = 10.0 * rest
    return tf.concat([mean, tf.fill(tf.shape(rest), np.float32(0.5))], -1)

  prior = bijectors.AffineCoupling(_without_weights(network))
  flow = bijectors.FactorOut(
    tfb.Chain([tfb.Scale(2.0), _rest(1, 1, 1)]), [1, 1, 2], prior
  )
  latent, log_det = flow.inverse_and_log_det(tf.constant([[[[36.0, 3.0]]]]))
  log_scale = 2.0 * np.tanh(0.25)
  # What stays, 3, is halved; what leaves had mean 30.
  np.testing.assert_allclose(
    latent, [[1.5, 6.0 * np.exp(-log_scale)]], rtol=1e-6
  )
  np.testing.assert_allclose(log_det, [-np.log(2.0) - log_scale], rtol=1e-6)


def test_static_shapes():
  flow = bijectors.FactorOut(_rest(4, 2, 2), [4, 2, 3], _identity_prior())
  assert flow.inverse_event_shape([4, 2, 3]) == [24]
  assert flow.forward_event_shape([24]) == [4, 2, 3]
  assert flow.forward_min_event_ndims == 1
  assert flow.inverse_min_event_ndims == 3

  @tf.function(input_signature=[tf.TensorSpec([None, 24])])
  def sample(latent):
    image, log_det = flow.forward_and_log_det(latent)
    assert image.shape.as_list() == [None, 4, 2, 3]
    assert log_det.shape.as_list() == [None]
    return image

  assert sample(tf.zeros([5, 24])).shape == [5, 4, 2, 3]


def test_constant_jacobian_needs_both_parts():
  affine = bijectors.AffineCoupling(
    _without_weights(lambda x: tf.concat([x, x], -1))
  )
  additive = bijectors.AdditiveCoupling(_without_weights(tf.identity))

  def is_constant(rest, prior):
    rest = tfb.Chain([rest, _rest(2, 2, 2)])
    return bijectors.FactorOut(rest, [2, 2, 4], prior).is_constant_jacobian

  assert is_constant(tfb.Scale(2.0), additive)
  assert not is_constant(tfb.Scale(2.0), affine)
  assert not is_constant(tfb.Tanh(), additive)


def test_wrong_shapes():
  flow = bijectors.FactorOut(_rest(2, 2, 2), [2, 2, 3], _identity_prior())
  with pytest.raises(ValueError, match='must have 12 dimensions, got .*13'):
    flow.forward(tf.zeros([5, 13]))
  with pytest.raises(ValueError, match='must have 3 channels, got 4'):
    flow.inverse(tf.zeros([5, 2, 2, 4]))
  with pytest.raises(ValueError, match='FactorOut.*shape'):
    flow.inverse(tf.zeros([5, 4, 4, 3]))


@pytest.mark.parametrize(
  'image_shape', [[2, 2], [2, None, 4], [2, 2, 1]], ids=str
)
def test_image_shape_must_be_an_image_of_two_channels(image_shape):
  with pytest.raises(ValueError, match='FactorOut: `image_shape`'):
    bijectors.FactorOut(_rest(2, 2, 2), image_shape, _identity_prior())


def test_the_deeper_flow_must_end_in_a_vector():
  with pytest.raises(ValueError, match='must map a latent vector to images'):
    bijectors.FactorOut(bijectors.Squeeze(), [2, 2, 4], _identity_prior())
