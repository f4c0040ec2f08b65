# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the second-order analysis in closed form."""

import functools

import numpy as np
import pytest
import scipy.linalg
import tensorflow as tf
import tensorflow_probability as tfp

import tfp_ood
from tfp_ood.bijectors.linear_part import inverse_linear_part

tfd = tfp.distributions

_SHAPE = (8, 4, 3)
_SIZE = 96
_BLOCK = 4  # Of two levels.

_closed_form = tfp_ood.evaluation.constant_volume_second_order_difference


def _images(number, shape=_SHAPE):
  random = np.random.default_rng(0)
  return random.integers(0, 256, [number, *shape]).astype(np.uint8)


@functools.cache
def _flow(
  shape=_SHAPE, num_levels=2, dtype=tf.float64, num_values=256, scale=1.0
):
  """A flow with weights of all kinds but in its couplings, which are zero."""
  glow = tfp_ood.bijectors.Glow(
    shape,
    coupling='additive',
    num_levels=num_levels,
    num_steps=3,
    hidden_channels=4,
    seed=1,
    dtype=dtype,
  )
  base = tfd.Sample(
    tfd.Normal(tf.constant(0.3, dtype), tf.constant(scale, dtype)),
    [glow.latent_size],
  )
  flow = tfp_ood.distributions.ImageFlow(
    glow, shape, base=base, num_values=num_values
  )
  flow.initialize(_images(64, shape) // (256 // num_values))
  random = np.random.default_rng(2)
  for variable in flow.trainable_variables:
    if 'activation' in variable.name or 'conv_1x1' in variable.name:
      noise = random.normal(0, 0.2, variable.shape)
      variable.assign_add(tf.constant(noise, variable.dtype))
  return flow


def _variances(shape=_SHAPE):
  random = np.random.default_rng(3)
  return (
    random.uniform(2000.0, 4000.0, shape),
    random.uniform(500.0, 3500.0, shape),
  )


def _jacobian(flow):
  """Differences of latents: exact for an affine map, whatever the step."""
  size = flow.event_shape.num_elements()
  images = np.concatenate([np.zeros([1, size]), np.eye(size)])
  latents = tf.function(flow.bijector.inverse)(
    images.reshape([-1, *flow.event_shape]) / flow.num_values
  ).numpy()
  return (latents[1:] - latents[0]).T


@pytest.mark.parametrize(
  'shape, num_levels, num_values',
  [((4, 4, 3), 2, 256), ((2, 2, 3), 1, 32), ((8, 8, 1), 3, 256)],
)
def test_linear_map_is_the_jacobian_of_one_block(shape, num_levels, num_values):
  flow = _flow(shape, num_levels, num_values=num_values)
  size = np.prod(shape)
  result = _closed_form(flow, *_variances(shape))
  assert result.linear_map.shape == (size, *shape)
  np.testing.assert_allclose(
    result.linear_map.reshape([size, size]), _jacobian(flow), atol=1e-12
  )


def test_blocks_do_not_mix_and_are_alike():
  weights = np.sum(_jacobian(_flow()) ** 2, axis=0).reshape(_SHAPE)
  result = _closed_form(_flow(), *_variances())
  assert result.weights.shape == (_BLOCK, _BLOCK, 3)
  np.testing.assert_allclose(
    np.tile(result.weights, [2, 1, 1]), weights, rtol=1e-10
  )
  assert result.weights.std() > 0.01 * result.weights.mean()


def test_result_is_the_trace():
  in_variance, out_variance = _variances()
  result = _closed_form(_flow(), in_variance, out_variance)
  hessian = -_jacobian(_flow()).T @ _jacobian(_flow())
  expected_in = 0.5 * np.diag(hessian) @ in_variance.ravel()
  expected_out = 0.5 * np.diag(hessian) @ out_variance.ravel()
  assert result.in_distribution == pytest.approx(expected_in)
  assert result.out_of_distribution == pytest.approx(expected_out)
  assert result.difference == pytest.approx(expected_out - expected_in)
  assert result.by_channel.shape == (3,)
  assert result.by_channel.sum() == pytest.approx(result.difference)
  no_green = np.where(np.arange(3) == 1, in_variance, out_variance)
  without = _closed_form(_flow(), in_variance, no_green)
  assert without.by_channel[1] == 0.0
  np.testing.assert_allclose(without.by_channel[[0, 2]], result.by_channel[::2])


@pytest.mark.exhaustive
def test_equals_the_derivatives_of_the_flow_and_what_is_measured():
  # A Hadamard matrix and its negative as signs: 128 images whose mean and
  # variances are exactly those prescribed, without any correlations.
  shape = (4, 4, 4)
  flow = _flow(shape, scale=2.0)
  signs = scipy.linalg.hadamard(64).reshape([64, *shape])
  signs = np.concatenate([signs, -signs])
  in_variance, out_variance = _variances(shape)
  in_images = 120.0 + np.sqrt(in_variance) * signs
  out_images = 120.0 + np.sqrt(out_variance) * signs
  moments = tfp_ood.stats.image_moments(in_images)
  np.testing.assert_allclose(moments.variance, in_variance)

  # Without the noise, the flow is affine, and the prediction exact.
  without_noise = tfd.TransformedDistribution(flow.base, flow.bijector)
  measured = np.mean(without_noise.log_prob(out_images / 256 - 0.5))
  measured -= np.mean(without_noise.log_prob(in_images / 256 - 0.5))
  result = _closed_form(flow, in_variance, out_variance)
  assert abs(measured) > 1.0
  assert result.difference == pytest.approx(measured)
  from_examples = tfp_ood.stats.second_order_difference_from_examples(
    flow.continuous_log_prob,
    in_images,
    out_images,
    batch_size=64,
    dtype=tf.float64,
  )
  assert from_examples.difference.covariance == pytest.approx(result.difference)
  assert from_examples.difference.total == pytest.approx(measured)
  # That of each image moves both means alike, up to chance.
  draws = []
  for seed in range(20):
    log_prob = flow.copy(noise_seed=seed).continuous_log_prob
    difference = np.mean(log_prob(out_images)) - np.mean(log_prob(in_images))
    draws.append(difference)
  error = np.std(draws, ddof=1) / np.sqrt(len(draws))
  assert abs(np.mean(draws) - result.difference) < 5 * error
  assert error < 0.1 * abs(result.difference)


def test_float32_flow_is_analysed_in_float64():
  single, double = _flow(dtype=tf.float32), _flow()
  for source, target in zip(double.variables, single.variables, strict=True):
    target.assign(tf.cast(source, target.dtype))
  result = _closed_form(single, *_variances())
  expected = _closed_form(double, *_variances())
  assert result.linear_map.dtype == np.float64
  np.testing.assert_allclose(result.weights, expected.weights, rtol=1e-5)


def test_rotations_alone_weigh_all_pixels_alike():
  flow = tfp_ood.distributions.constant_volume_glow(
    _SHAPE, num_levels=2, num_steps=3, hidden_channels=4, seed=1
  )
  flow.bijector.initialized.assign(True)  # Normalization is the identity.
  result = _closed_form(flow, *_variances())
  np.testing.assert_allclose(result.weights, 1 / 256**2, rtol=1e-5)


def test_couplings_are_left_out():
  flow = _flow((4, 4, 3))
  expected = _closed_form(flow, *_variances((4, 4, 3)))
  glow = tfp_ood.bijectors.Glow(
    (4, 4, 3),
    num_levels=2,
    num_steps=3,
    hidden_channels=4,
    coupling='additive',
    dtype=tf.float64,
  )
  random = np.random.default_rng(5)
  for source, target in zip(
    flow.bijector.variables, glow.variables, strict=True
  ):
    is_linear = 'activation' in source.name or 'conv_1x1' in source.name
    if is_linear or not source.dtype.is_floating:
      target.assign(source)
    else:
      target.assign(random.normal(size=source.shape))
  result = _closed_form(
    tfp_ood.distributions.ImageFlow(glow, (4, 4, 3)), *_variances((4, 4, 3))
  )
  np.testing.assert_array_equal(result.weights, expected.weights)


class _ConstantScale(tfp_ood.bijectors.Coupling):
  """A user's own coupling, which doubles one half."""

  outputs_per_channel = 1

  def __init__(self, network):
    super().__init__(network, is_constant_jacobian=True, parameters={})

  def _transform(self, x, outputs):
    return 2.0 * x + outputs, self._log_det(x)

  def _undo_transform(self, y, outputs):
    return (y - outputs) / 2.0, -self._log_det(y)

  def _log_det(self, half):
    size = np.prod(half.shape[-3:])
    return tf.constant(size * np.log(2.0), half.dtype)


class _ConstantScaleWithLinearPart(_ConstantScale):
  def _inverse_linear_part(self, images):
    half = images.shape[-1] // 2
    return np.concatenate(
      [images[..., :half] / 2.0, images[..., half:]], axis=-1
    )


def _flow_of_own_couplings(coupling, **kwargs):
  glow = tfp_ood.bijectors.Glow(
    (4, 4, 3),
    num_levels=2,
    num_steps=2,
    hidden_channels=4,
    coupling=coupling,
    seed=1,
    dtype=tf.float64,
    **kwargs,
  )
  flow = tfp_ood.distributions.ImageFlow(glow, (4, 4, 3))
  flow.initialize(_images(16, (4, 4, 3)))
  return flow


@pytest.mark.parametrize('own_networks', [False, True])
def test_couplings_of_users_take_part(own_networks):
  def network_fn(input_channels, output_channels, seed):
    return tfp_ood.networks.CouplingNetwork(
      input_channels, output_channels, 4, seed, dtype=tf.float64
    )

  flow = _flow_of_own_couplings(
    _ConstantScaleWithLinearPart,
    **({'network_fn': network_fn} if own_networks else {}),
  )
  result = _closed_form(flow, *_variances((4, 4, 3)))
  np.testing.assert_allclose(
    result.linear_map.reshape([48, 48]), _jacobian(flow), atol=1e-12
  )


def test_a_coupling_without_a_linear_part_is_refused():
  flow = _flow_of_own_couplings(_ConstantScale)
  with pytest.raises(
    NotImplementedError, match='_ConstantScale must implement _inverse_linear'
  ):
    _closed_form(flow, *_variances((4, 4, 3)))


def test_linear_parts_of_other_bijectors_of_tfp_are_not_known():
  flow = tfp.bijectors.Chain(
    [tfp_ood.bijectors.Squeeze(), tfp.bijectors.Softplus()]
  )
  with pytest.raises(NotImplementedError, match='Softplus is not known'):
    inverse_linear_part(flow, np.ones([1, 2, 2, 1]))


def test_variances_may_be_given_by_channel():
  by_channel = np.array([100.0, 200.0, 300.0]), np.array([300.0, 200.0, 50.0])
  result = _closed_form(_flow(), *by_channel)
  expected = _closed_form(
    _flow(), *(np.broadcast_to(v, _SHAPE) for v in by_channel)
  )
  assert result.difference == expected.difference
  assert result.by_channel[1] == 0.0


def test_smaller_variances_are_more_probable():
  in_variance, _ = _variances()
  result = _closed_form(_flow(), in_variance, 0.5 * in_variance)
  assert result.difference > 0.0
  assert result.difference == pytest.approx(-0.5 * result.in_distribution)
  assert (result.weights > 0.0).all()


# -------------------------------------------------------------------- errors


@pytest.mark.parametrize(
  'flow',
  [
    tfp_ood.distributions.glow(_SHAPE, num_levels=2, num_steps=1, seed=1),
    tfp_ood.distributions.ImageFlow(
      tfp.bijectors.Reshape(
        event_shape_in=[_SIZE], event_shape_out=list(_SHAPE)
      ),
      _SHAPE,
    ),
    tfd.Normal(0.0, 1.0),
  ],
)
def test_other_models_are_refused(flow):
  with pytest.raises(ValueError, match='`flow`.*over a `Glow` of constant'):
    _closed_form(flow, *_variances())


def test_an_uninitialized_flow_is_refused():
  flow = tfp_ood.distributions.constant_volume_glow(
    _SHAPE, num_levels=2, num_steps=1, hidden_channels=4
  )
  with pytest.raises(ValueError, match='not initialized'):
    _closed_form(flow, *_variances())


def test_a_base_without_one_scale_is_refused():
  flow = tfp_ood.distributions.ImageFlow(
    _flow().bijector,
    _SHAPE,
    base=tfp_ood.distributions.learned_normal([_SIZE], dtype=tf.float64),
  )
  with pytest.raises(ValueError, match='base of `flow` must be a normal'):
    _closed_form(flow, *_variances())


@pytest.mark.parametrize(
  'variance, message',
  [
    (np.ones([4, 8, 3]), r'have shape \(8, 4, 3\) or \(3,\), got \(4, 8'),
    (1.0, r'or \(3,\), got \(\)'),
    ([1.0, -2.0, 1.0], 'not negative; its values run from -2.0 to 1.0'),
    ([1.0, np.nan, 1.0], 'finite'),
    ([1.0, np.inf, 1.0], 'finite'),
  ],
)
def test_bad_variances_are_refused(variance, message):
  good = np.ones(_SHAPE)
  with pytest.raises(ValueError, match=f'`in_dist.*variance` must.*{message}'):
    _closed_form(_flow(), variance, good)
  with pytest.raises(ValueError, match=f'`out_of.*variance` must.*{message}'):
    _closed_form(_flow(), good, variance)
