# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of `Glow`."""

import functools

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tfp_ood import bijectors, networks

SMALL = {'num_levels': 2, 'num_steps': 2, 'hidden_channels': 4}


def _images(shape=(16, 4, 8, 1), seed=0):
  random = np.random.default_rng(seed)
  return random.uniform(-0.5, 0.5, shape)


def _glow(seed=1, dtype=tf.float64, **kwargs):
  return bijectors.Glow([4, 8, 1], seed=seed, dtype=dtype, **(SMALL | kwargs))


def _perturb(bijector):
  for index, variable in enumerate(bijector.trainable_variables):
    noise = tf.random.stateless_normal(variable.shape, [index, 3])
    variable.assign_add(0.2 * tf.cast(noise, variable.dtype))


def test_levels():
  glow = bijectors.Glow(
    [8, 16, 3], num_levels=3, num_steps=1, hidden_channels=2
  )
  assert glow.image_shape == [8, 16, 3]
  # 3 -> 12, of which 6 leave; 6 -> 24, of which 12 leave; 12 -> 48.
  assert glow.level_shapes == [[1, 2, 48], [2, 4, 12], [4, 8, 6]]
  assert sum(np.prod(s) for s in glow.level_shapes) == 8 * 16 * 3
  assert glow.inverse_event_shape([8, 16, 3]) == [384]
  assert glow.forward_event_shape([384]) == [8, 16, 3]


def test_split_latent_cuts_the_deepest_level_first():
  glow = _glow()
  latent = tf.range(2.0 * 32)
  levels = glow.split_latent(tf.reshape(latent, [2, 32]))
  assert [level.shape.as_list() for level in levels] == [
    [2, 1, 2, 8],
    [2, 2, 4, 2],
  ]
  np.testing.assert_array_equal(
    tf.reshape(levels[0], [2, 16])[1], tf.range(32.0, 48.0)
  )
  np.testing.assert_array_equal(
    tf.reshape(levels[1], [2, 16])[1], tf.range(48.0, 64.0)
  )
  # Any batch shape, none included.
  assert glow.split_latent(latent[:32])[1].shape == [2, 4, 2]


@pytest.mark.parametrize('coupling', ['affine', 'additive'])
def test_what_leaves_a_level_depends_on_no_deeper_level(coupling):
  glow = _glow(coupling=coupling)
  bijectors.initialize(glow, _images())
  before = glow.split_latent(glow.inverse(_images()))
  deeper = glow.flow.bijectors[2].bijector
  for variable in deeper.trainable_variables:
    variable.assign_add(tf.ones_like(variable))
  after = glow.split_latent(glow.inverse(_images()))
  np.testing.assert_array_equal(after[1], before[1])
  assert not np.allclose(after[0], before[0])


def _tensors_after_normalization(glow, images):
  """Collects what leaves each activation normalization, image to latent."""
  seen = []
  inverse = bijectors.ActivationNormalization._inverse_and_log_det

  def spied(self, y):
    result = inverse(self, y)
    seen.append(result[0].numpy())
    return result

  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(
      bijectors.ActivationNormalization, '_inverse_and_log_det', spied
    )
    # Prepared steps fuse the normalization and the convolution: the same, as the
    # latents of `initialize` above were compared with theirs.
    patch.setattr(
      bijectors.Scan, '_prepared', lambda scan: scan.stacked_parameters
    )
    glow.inverse_and_log_det(images)
  return seen


@pytest.mark.parametrize('recompute', [True, False])
def test_initialize_standardizes_what_leaves_every_step(recompute):
  glow = _glow(recompute=recompute)
  _perturb(glow)  # The couplings and priors are not at the identity.
  images = 3.0 + _images()
  assert not bijectors.is_initialized(glow)
  latents = bijectors.initialize(glow, images)
  assert bijectors.is_initialized(glow)
  np.testing.assert_allclose(latents, glow.inverse(images), atol=1e-9)
  normalized = _tensors_after_normalization(glow, images)
  assert len(normalized) == 4  # Two levels of two steps.
  for value in normalized:
    np.testing.assert_allclose(value.mean(axis=(0, 1, 2)), 0.0, atol=1e-10)
    np.testing.assert_allclose(value.std(axis=(0, 1, 2)), 1.0, atol=1e-10)


@pytest.mark.parametrize(
  'hidden_channels, compute_dtype, recompute',
  [
    # 32 MiB an image allow 1024 pixels in 8 steps 4096 bytes each. Both hidden
    # layers and eight images of 12 channels take 4480, 2432 and 640.
    (512, None, True),
    (512, tf.bfloat16, False),
    (32, None, False),
  ],
)
def test_stores_activations_where_they_fit(
  hidden_channels, compute_dtype, recompute
):
  glow = bijectors.Glow(
    [64, 64, 3],
    num_levels=1,
    num_steps=8,
    hidden_channels=hidden_channels,
    compute_dtype=compute_dtype,
  )
  _, scan, _ = glow.flow.bijectors
  assert scan.parameters['recompute'] is recompute


@pytest.mark.parametrize('num_steps, unrolled', [(8, True), (9, False)])
def test_few_steps_that_store_activations_are_unrolled(num_steps, unrolled):
  glow, recomputed = (
    _glow(num_steps=num_steps, recompute=recompute)
    for recompute in (False, True)
  )
  for part, expected in ((glow, unrolled), (recomputed, False)):
    _, scan, _ = part.flow.bijectors
    assert scan.parameters['unroll'] is expected
    _perturb(part)
    part.initialized.assign(True)
  images = _images()

  @tf.function(autograph=False)
  def run(part):
    with tf.GradientTape() as tape:
      latents, log_det = part.inverse_and_log_det(images)
      loss = tf.reduce_sum(latents**2) + tf.reduce_sum(log_det)
    return latents, log_det, tape.gradient(loss, part.trainable_variables)

  for one, other in zip(
    tf.nest.flatten(run(glow)), tf.nest.flatten(run(recomputed)), strict=True
  ):
    np.testing.assert_allclose(one, other, rtol=1e-6, atol=1e-8)


@pytest.mark.parametrize('method', ['forward', 'inverse'])
def test_refuses_to_run_before_initialize(method):
  glow = _glow()
  shape = [2, 32] if method == 'forward' else [2, 4, 8, 1]
  value = tf.zeros(shape, tf.float64)
  for function in (getattr(glow, method), tf.function(getattr(glow, method))):
    with pytest.raises(ValueError, match='Glow.*not initialized'):
      function(value)
  # A refused call is not remembered.
  bijectors.initialize(glow, _images())
  assert np.all(np.isfinite(getattr(glow, method)(value)))


def test_seeds():
  def numbers(seed):
    glow = _glow(seed=seed)
    bijectors.initialize(glow, _images())
    return [v.numpy() for v in glow.trainable_variables]

  first, again, other = numbers(1), numbers(1), numbers(2)
  for a, b in zip(first, again, strict=True):
    np.testing.assert_array_equal(a, b)
  differs = [
    not np.array_equal(a, b) for a, b in zip(first, other, strict=True)
  ]
  assert any(differs)


def test_no_two_parts_start_alike():
  glow = bijectors.Glow([8, 8, 2], seed=1, **SMALL)
  kernels = {}
  for variable in glow.trainable_variables:
    if 'kernel_1' in variable.name or 'lower' in variable.name:
      for step in variable.numpy():
        kernels.setdefault(step.shape, []).append(step)
  assert sum(map(len, kernels.values())) == 8
  for alike in kernels.values():
    for i, a in enumerate(alike):
      assert not any(np.allclose(a, b) for b in alike[:i])


def test_default_dtype_is_float32():
  glow = _glow(dtype=tf.float32)
  images = _images().astype(np.float32)
  bijectors.initialize(glow, images)
  latents, log_det = glow.inverse_and_log_det(images)
  assert latents.dtype == log_det.dtype == glow.dtype == tf.float32
  np.testing.assert_allclose(
    glow.forward(tf.identity(latents)), images, atol=1e-5
  )


def test_compute_dtype_changes_the_networks_only():
  exact, coarse = _glow(dtype=tf.float32), None
  coarse = _glow(dtype=tf.float32, compute_dtype=tf.bfloat16)
  images = _images().astype(np.float32)
  for glow in (exact, coarse):
    bijectors.initialize(glow, images)
    _perturb(glow)
  results = [glow.inverse_and_log_det(images) for glow in (exact, coarse)]
  for got, want in zip(results[1], results[0], strict=True):
    assert got.dtype == tf.float32
    assert not np.array_equal(got, want)
    np.testing.assert_allclose(got, want, rtol=0.1, atol=0.1)
  # What the coarse networks do, they undo exactly.
  np.testing.assert_allclose(
    coarse.forward(tf.identity(results[1][0])), images, atol=1e-4
  )


@pytest.mark.parametrize('coupling', ['additive', bijectors.AdditiveCoupling])
def test_constant_volume(coupling):
  glow = _glow(coupling=coupling)
  bijectors.initialize(glow, _images())
  _perturb(glow)
  assert glow.is_constant_jacobian
  images = np.concatenate(
    [
      _images(),
      np.zeros([1, 4, 8, 1]),
      np.full([1, 4, 8, 1], 1e6),
      1e3 * _images([1, 4, 8, 1], seed=1),
    ]
  )
  _, log_det = glow.inverse_and_log_det(images)
  np.testing.assert_array_equal(log_det, np.full([19], log_det[0]))
  assert abs(log_det[0]) > 1.0
  latents = _images([3, 32], seed=2) * [[1.0], [0.0], [1e5]]
  _, log_det = glow.forward_and_log_det(latents)
  np.testing.assert_allclose(
    log_det, -glow.inverse_log_det_jacobian(images)[:3]
  )
  np.testing.assert_array_equal(log_det, np.full([3], log_det[0]))


def _coupling_network(input_channels, output_channels, seed):
  return networks.CouplingNetwork(
    input_channels, output_channels, 4, seed, dtype=tf.float64
  )


def _assign_slices(chain, scan):
  """Gives the steps of a chain the weights of those of a scan."""
  for index, step in enumerate(chain.bijectors):
    normalization, convolution, coupling = step.bijectors
    weights = tf.nest.map_structure(
      lambda x, i=index: x[i], scan.stacked_parameters
    )
    names = [
      v.name.split(':')[0].split('/')[-1] for v in coupling.network.variables
    ]
    for own, given in (
      (normalization.weights, weights['activation_normalization']),
      (convolution.weights, weights['invertible_conv_1x1']),
      (
        dict(zip(names, coupling.network.variables, strict=True)),
        weights['coupling_network'],
      ),
    ):
      assert set(own) == set(given)
      for key, variable in own.items():
        variable.assign(given[key])


def _chain_and_scan(coupling):
  """Two flows of the same numbers, and how many variables the chain has."""
  scan = _glow(coupling=coupling)
  chain = _glow(coupling=coupling, network_fn=_coupling_network)
  _perturb(scan)
  levels = [chain.flow, scan.flow]
  while True:
    squeeze, chain_steps, rest = levels[0].bijectors
    assert isinstance(squeeze, bijectors.Squeeze)
    _assign_slices(chain_steps, levels[1].bijectors[1])
    if not isinstance(rest, bijectors.FactorOut):
      return chain, scan
    scan_rest = levels[1].bijectors[2]
    for a, b in zip(
      rest.prior.variables, scan_rest.prior.variables, strict=True
    ):
      a.assign(b)
    levels = [rest.bijector, scan_rest.bijector]


@pytest.mark.parametrize('coupling', ['affine', 'additive'])
def test_own_networks_give_the_numbers_of_the_scan(coupling):
  chain, scan = _chain_and_scan(coupling)
  images = _images()
  starts = [bijectors.initialize(glow, images) for glow in (chain, scan)]
  np.testing.assert_allclose(*starts, rtol=1e-10, atol=1e-10)
  assert chain.is_constant_jacobian == scan.is_constant_jacobian

  def run(glow, method, value):
    with tf.GradientTape() as tape:
      tape.watch(value)
      result, log_det = getattr(glow, method)(value)
      loss = tf.reduce_sum(tf.sin(result)) + tf.reduce_sum(log_det)
    # Of two steps a level, the scan has one gradient for both.
    norm = tf.add_n(
      [
        tf.reduce_sum(gradient**2)
        for gradient in tape.gradient(loss, glow.trainable_variables)
      ]
    )
    return result, log_det, norm

  for method, value in (
    ('inverse_and_log_det', tf.constant(images)),
    ('forward_and_log_det', tf.constant(_images([3, 32], seed=2))),
  ):
    for got, want in zip(
      run(chain, method, value), run(scan, method, value), strict=True
    ):
      np.testing.assert_allclose(got, want, rtol=1e-9)


def _keras_network(library, input_channels, output_channels, seed):
  del seed
  return library.Sequential(
    [
      library.Input([None, None, input_channels], dtype='float64'),
      library.layers.Conv2D(2, 3, padding='same', dtype='float64'),
      library.layers.Conv2D(output_channels, 1, dtype='float64'),
    ]
  )


@pytest.mark.parametrize('library', [keras, tf_keras])
def test_training_reaches_every_variable_of_own_networks(library):
  glow = _glow(network_fn=functools.partial(_keras_network, library))
  # Two levels of two steps each, with three tensors of the convolution; a prior.
  assert len(glow.trainable_variables) == 4 * (2 + 3 + 4) + 2
  images = _images()
  bijectors.initialize(glow, images)
  _perturb(glow)
  before = [variable.numpy() for variable in glow.trainable_variables]

  with tf.GradientTape() as tape:
    latents, log_det = glow.inverse_and_log_det(images)
    loss = tf.reduce_mean(tf.reduce_sum(latents**2, axis=-1) / 2 - log_det)
  optimizer = tf_keras.optimizers.SGD(1e-3)
  optimizer.minimize(loss, glow.trainable_variables, tape)
  for variable, old in zip(glow.trainable_variables, before, strict=True):
    assert not np.array_equal(variable, old), variable.name


def test_own_networks_are_given_seeds():
  def seeds(seed):
    given = []

    def network_fn(input_channels, output_channels, seed):
      given.append(seed)
      return _coupling_network(input_channels, output_channels, seed)

    _glow(seed=seed, network_fn=network_fn)
    return given

  assert seeds(1) == seeds(1) != seeds(2)
  assert all(type(seed) is int and seed >= 0 for seed in seeds(1))
  assert len(set(seeds(1))) == 4


def test_own_networks_must_be_networks():
  with pytest.raises(TypeError, match='FunctionNetwork'):
    _glow(network_fn=lambda *channels, seed: lambda images: images)


class _Scaling(bijectors.Coupling):
  """A user's own coupling, with two scales and a shift."""

  outputs_per_channel = 3

  def __init__(self, network):
    super().__init__(network, is_constant_jacobian=False, parameters={})

  def _transform(self, x, outputs):
    log_scale, shift = self._log_scale_and_shift(outputs)
    return x * tf.exp(log_scale) + shift, self._sum(log_scale)

  def _undo_transform(self, y, outputs):
    log_scale, shift = self._log_scale_and_shift(outputs)
    return (y - shift) * tf.exp(-log_scale), -self._sum(log_scale)

  def _log_scale_and_shift(self, outputs):
    first, second, shift = tf.split(outputs, 3, axis=-1)
    return tf.tanh(first) * tf.tanh(second), shift

  def _sum(self, log_scale):
    return tf.reduce_sum(log_scale, axis=[-3, -2, -1])


@pytest.mark.parametrize('network_fn', [None, _coupling_network])
def test_own_couplings(network_fn):
  glow = _glow(coupling=_Scaling, network_fn=network_fn)
  images = tf.constant(_images())
  bijectors.initialize(glow, images)
  _perturb(glow)
  assert isinstance(glow.flow.bijectors[2].prior, _Scaling)
  latents, log_det = glow.inverse_and_log_det(images)
  np.testing.assert_allclose(glow.forward(tf.identity(latents)), images)
  assert np.std(log_det) > 1e-2


def test_affine_volume_is_not_constant():
  glow = _glow()
  bijectors.initialize(glow, _images())
  _perturb(glow)
  assert not glow.is_constant_jacobian
  _, log_det = glow.inverse_and_log_det(_images())
  assert np.std(log_det) > 1e-2


@pytest.mark.parametrize(
  'arguments, message',
  [
    ({'image_shape': [6, 8, 1]}, r'divisible by 2\*\*num_levels = 4'),
    ({'image_shape': [8, 6, 1]}, r'divisible by 2\*\*num_levels = 4'),
    ({'num_levels': 4}, r'divisible by 2\*\*num_levels = 16'),
    ({'image_shape': [8, 8]}, r'\[height, width, channels\]'),
    ({'image_shape': [8, None, 1]}, r'\[height, width, channels\]'),
    ({'image_shape': [2, 8, 8, 1]}, r'\[height, width, channels\]'),
    ({'num_levels': 0}, '`num_levels` must be a positive whole number'),
    ({'num_levels': 1.5}, '`num_levels` must be a positive whole number'),
    ({'num_steps': 0}, '`num_steps` must be a positive whole number'),
    ({'num_steps': -1}, '`num_steps` must be a positive whole number'),
    ({'hidden_channels': 0}, '`hidden_channels` must be a positive whole'),
    ({'coupling': 'spline'}, r"'affine'\] or a subclass .* got 'spline'"),
    ({'coupling': bijectors.Squeeze}, 'subclass of tfp_ood.bijectors.Coupling'),
    (
      {'network_fn': networks.CouplingNetwork, 'compute_dtype': tf.bfloat16},
      '`compute_dtype` is for the default networks',
    ),
  ],
  ids=str,
)
def test_wrong_arguments(arguments, message):
  with pytest.raises(ValueError, match=message):
    bijectors.Glow(**({'image_shape': [8, 8, 1]} | SMALL | arguments))


@pytest.mark.parametrize(
  'method, shape, message',
  [
    ('inverse', [2, 8, 4, 1], r'4, 8, 1\], got \(2, 8, 4, 1\)'),
    ('inverse', [2, 4, 8, 3], 'must have 1 channels, got 3'),
    ('inverse', [8, 1], r'\[batch..., height, width'),
    ('forward', [2, 31], 'latent must have 32 dimensions'),
    ('forward', [4, 8, 1], 'latent must have 32 dimensions'),
  ],
)
def test_wrong_shapes(method, shape, message):
  glow = _glow()
  bijectors.initialize(glow, _images())
  with pytest.raises(ValueError, match=message):
    getattr(glow, method)(tf.zeros(shape, tf.float64))
