# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of `forward_and_log_det` and `inverse_and_log_det`."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tfp_ood import bijectors, networks

tfb = tfp.bijectors


def _normal(shape, seed=0):
  return tf.random.stateless_normal(shape, [seed, 1], dtype=tf.float64)


def _coupling():
  return bijectors.AffineCoupling(
    networks.FunctionNetwork(
      lambda x: tf.concat([tf.sin(x), tf.cos(x)], axis=-1), modules=[]
    )
  )


BIJECTORS = {
  'ours': _coupling,
  'elementwise': lambda: tfb.Scale(np.float64(-2.5)),
  'tfp_vector': lambda: tfb.ScaleMatvecTriL(
    np.tril(np.arange(1.0, 17.0).reshape(4, 4))
  ),
  'batch_of_parameters': lambda: tfb.Scale(np.array([1.0, 2.0, 3.0, 4.0])),
  'chain': lambda: tfb.Chain(
    [tfb.Softplus(), bijectors.Squeeze(), _coupling(), tfb.Scale(np.float64(3))]
  ),
  'nested': lambda: tfb.Chain(
    [tfb.Chain([tfb.Exp(), bijectors.Squeeze()]), tfb.Chain([_coupling()])]
  ),
  'invert': lambda: tfb.Invert(bijectors.Squeeze()),
  'invert_twice': lambda: tfb.Invert(tfb.Invert(_coupling())),
  'invert_chain': lambda: tfb.Invert(
    tfb.Chain(
      [_coupling(), tfb.Invert(bijectors.Squeeze()), tfb.Scale(np.float64(2))]
    )
  ),
  'changes_rank': lambda: tfb.Chain(
    [
      _coupling(),
      tfb.Reshape(event_shape_in=[2, 4, 4], event_shape_out=[4, 2, 4]),
      tfb.SinhArcsinh(np.float64(0.5)),
    ]
  ),
  'empty_chain': lambda: tfb.Chain([]),
}


@pytest.mark.parametrize('name', sorted(BIJECTORS))
@pytest.mark.parametrize('event_ndims', [None, 3, 4])
def test_agrees_with_the_methods_of_tfp(name, event_ndims):
  x = _normal([3, 2, 4, 4])
  bijector = BIJECTORS[name]()
  ndims = event_ndims or bijector.forward_min_event_ndims
  # Another instance: the first one must not have cached the answer.
  oracle = BIJECTORS[name]()
  expected = oracle.forward(x)
  expected_log_det = oracle.forward_log_det_jacobian(x, event_ndims=ndims)
  y, log_det = bijectors.forward_and_log_det(bijector, x, event_ndims)
  np.testing.assert_allclose(y, expected, rtol=1e-12)
  batch_shape = x.shape[: 4 - ndims]
  assert log_det.shape == batch_shape
  np.testing.assert_allclose(
    log_det, np.broadcast_to(expected_log_det, batch_shape), rtol=1e-10
  )
  back, inverse_log_det = bijectors.inverse_and_log_det(
    bijector, y.numpy(), bijector.forward_event_ndims(ndims)
  )
  np.testing.assert_allclose(back, x, rtol=1e-8, atol=1e-8)
  np.testing.assert_allclose(inverse_log_det, -log_det, atol=1e-8)


def test_event_of_more_dimensions_is_summed():
  bijector = _coupling()
  x = _normal([3, 5, 2, 4, 4])
  _, each = bijectors.forward_and_log_det(bijector, x)
  _, summed = bijectors.forward_and_log_det(bijector, x, event_ndims=4)
  assert each.shape == [3, 5]
  np.testing.assert_allclose(summed, tf.reduce_sum(each, axis=1))
  np.testing.assert_allclose(
    bijector.forward_log_det_jacobian(tf.identity(x), event_ndims=4), summed
  )


def test_empty_chain_is_the_identity():
  x = _normal([3, 2])
  for function in (
    bijectors.forward_and_log_det,
    bijectors.inverse_and_log_det,
  ):
    value, log_det = function(tfb.Chain([]), x, 1)
    np.testing.assert_array_equal(value, x)
    assert log_det.numpy().tolist() == [0.0] * 3


def test_chain_of_ours_runs_each_network_once():
  calls = []

  def network(x):
    calls.append(1)
    return x

  chain = tfb.Chain(
    [
      bijectors.AdditiveCoupling(networks.FunctionNetwork(network, [])),
      tfb.Invert(tfb.Scale(2.0)),
    ]
  )
  for bijector in (chain, tfb.Invert(chain)):
    for function in (
      bijectors.forward_and_log_det,
      bijectors.inverse_and_log_det,
    ):
      calls.clear()
      function(bijector, tf.ones([1, 2, 2, 2]), 3)
      assert len(calls) == 1


def test_tfp_methods_share_one_run_of_the_network():
  calls = []

  def network(x):
    calls.append(1)
    return tf.concat([x, x], axis=-1)

  bijector = bijectors.AffineCoupling(networks.FunctionNetwork(network, []))
  y = tf.ones([1, 2, 2, 2])
  bijector.inverse(y)
  bijector.inverse_log_det_jacobian(y, event_ndims=3)
  assert len(calls) == 1
  x = tf.ones([1, 2, 2, 2])
  y = bijector.forward(x)
  bijector.forward_log_det_jacobian(x)
  bijector.inverse(y)
  bijector.inverse_log_det_jacobian(y)
  assert len(calls) == 2


def test_python_numbers_are_accepted():
  y, log_det = bijectors.forward_and_log_det(tfb.Scale(2.0), 3.0)
  assert float(y) == 6.0
  assert float(log_det) == pytest.approx(np.log(2.0))
  y, log_det = bijectors.forward_and_log_det(bijectors.Squeeze(), [[[1.0] * 4]])
  assert y.shape == [2, 2, 1] and log_det.shape == []


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_arrays_keep_their_dtype(dtype):
  x = np.random.default_rng(0).normal(size=[3, 2, 2, 4]).astype(dtype)
  for bijector in (bijectors.Squeeze(), tfb.Tanh(), tfb.Chain([])):
    for function in (
      bijectors.forward_and_log_det,
      bijectors.inverse_and_log_det,
    ):
      value, log_det = function(bijector, 0.1 * x, 3)
      assert value.dtype == log_det.dtype == dtype


def test_rank_of_the_event_follows_a_chain():
  def make():
    return tfb.Chain(
      [
        tfb.Sinh(),
        tfb.Reshape(event_shape_in=[32], event_shape_out=[2, 4, 4]),
        tfb.Scale(np.linspace(1.0, 2.0, 32)),
      ]
    )

  x = _normal([3, 32])
  oracle = make()
  y, log_det = bijectors.forward_and_log_det(make(), x)
  np.testing.assert_allclose(y, oracle.forward(x))
  np.testing.assert_allclose(
    log_det, oracle.forward_log_det_jacobian(x, event_ndims=1)
  )
  back, log_det = bijectors.inverse_and_log_det(make(), y.numpy())
  np.testing.assert_allclose(back, x)
  np.testing.assert_allclose(
    log_det, oracle.inverse_log_det_jacobian(y.numpy(), event_ndims=3)
  )
