# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of flows of raw-pixel images; see also the conformance suite."""

import functools
import math

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from conformance.distribution_registry import MODELS, images, uniform
from scipy import stats
from tiers import few

import tfp_ood
from tfp_ood import _content_noise

tfb = tfp.bijectors
tfd = tfp.distributions

_SHAPE = [8, 8, 3]
_SIZE = 192
_TINY = dict(num_levels=2, num_steps=2, hidden_channels=4, seed=1)
_FLOWS = [name for name in MODELS if 'ImageFlow' in MODELS[name].covers]


def _distribution(key):
  return MODELS[key].make()


def _images(number, seed=0, num_values=256):
  return images(number, num_values, seed=seed)


def _images_of(key, number):
  return MODELS[key].images(number)


every_distribution = pytest.mark.parametrize('key', _FLOWS)


# ---------------------------------------------------------------- log_prob


@every_distribution
def test_terms_are_those_of_a_transformed_distribution(key):
  flow = _distribution(key)
  images = _images_of(key, 5)
  terms = flow.log_prob_terms(images)
  assert isinstance(terms, tfp_ood.distributions.LogProbTerms)
  assert terms.density.shape == terms.volume.shape == [5]
  log_prob = flow.log_prob(images)
  np.testing.assert_array_equal(terms.density + terms.volume, log_prob)
  assert np.isfinite(log_prob).all()
  # The same from the noise, and TFP's two methods of the bijector.
  dtype = flow.base.dtype
  keys = _content_noise.content_keys(tf.constant(images), 0)
  noise = _content_noise.content_uniform(keys, _SHAPE, dtype)
  scaled = (tf.cast(images, dtype) + noise) / flow.num_values - 0.5
  latent = flow.bijector.inverse(tf.identity(scaled))
  np.testing.assert_allclose(
    terms.density, flow.base.log_prob(latent), rtol=1e-5
  )
  volume = flow.bijector.inverse_log_det_jacobian(
    tf.identity(scaled), event_ndims=3
  )
  scaling = _SIZE * math.log(flow.num_values)
  np.testing.assert_allclose(
    terms.volume + scaling, volume, rtol=1e-5, atol=1e-3
  )
  reference = tfd.TransformedDistribution(flow.base, flow.bijector)
  np.testing.assert_allclose(
    log_prob, reference.log_prob(scaled) - scaling, rtol=1e-5
  )


@pytest.mark.parametrize('num_values, bits', [(256, 8.0), (32, 5.0), (2, 1.0)])
def test_uniform_model_scores_exactly_its_bits(num_values, bits):
  flow = uniform(num_values)
  images = _images(5, num_values=num_values)
  images[0], images[1] = 0, num_values - 1
  for seed in (None, [1, 2]):
    log_prob = flow.log_prob(images, seed=seed)
    scored = tfp_ood.stats.bits_per_dim(log_prob, _SIZE)
    np.testing.assert_allclose(scored, np.full(5, bits), rtol=2e-7)


_DTYPES = np.float32, np.float64, np.float16, np.int32, np.int64


@pytest.mark.parametrize('key', ['glow_of_five_bits', 'flow_of_tfp_parts'])
def test_dtypes_of_images_agree(key):
  flow = _distribution(key)
  images = _images_of(key, 4)
  expected = flow.log_prob(images)
  for dtype in _DTYPES:
    np.testing.assert_array_equal(
      flow.log_prob(images.astype(dtype)), expected, str(dtype)
    )
  np.testing.assert_array_equal(flow.log_prob(images.tolist()), expected)


@pytest.mark.parametrize(
  'key', ['glow', 'glow_in_float64', 'glow_of_five_bits']
)
def test_what_a_flow_sees_of_an_image_is_its_own(key):
  flow = _distribution(key)
  images = _images_of(key, 13)

  def scaled(images):
    return flow._dequantize(flow.check(images), None)

  expected = scaled(images)
  spec = tf.TensorSpec([None, *_SHAPE], tf.uint8)
  for function in (
    scaled,
    tf.function(scaled, input_signature=[spec]),
    tf.function(scaled, jit_compile=True),
  ):
    np.testing.assert_array_equal(function(images), expected)
    np.testing.assert_array_equal(function(images[::-1]), expected[::-1])
    np.testing.assert_array_equal(function(images[4:5]), expected[4:5])
    same = np.repeat(images[:1], 13, axis=0)
    np.testing.assert_array_equal(
      function(same), np.repeat(expected[:1], 13, axis=0)
    )
  for dtype in _DTYPES:
    np.testing.assert_array_equal(scaled(images.astype(dtype)), expected)
  noise = (expected + 0.5) * flow.num_values - tf.cast(images, expected.dtype)
  correlations = np.corrcoef(np.reshape(noise, [13, -1]))
  others = correlations[np.triu_indices(13, 1)]
  # Of 78 pairs one is beyond 5 deviations in 2 * 10^4 trials.
  assert np.abs(others).max() < 5 / math.sqrt(_SIZE)


def test_log_prob_does_not_depend_on_the_batch():
  flow = _distribution('glow')
  images = _images(64)
  log_prob = tf.function(
    flow.log_prob, input_signature=[tf.TensorSpec([None, *_SHAPE], tf.uint8)]
  )
  together = log_prob(images).numpy()
  # Float32 sums in another order: a few units in the last place of thousands
  # of nats.
  assert_close = functools.partial(
    np.testing.assert_allclose, rtol=0, atol=3e-6 * np.abs(together).max()
  )
  for size in (1, 7):
    apart = [log_prob(images[i : i + size]) for i in range(0, 64, size)]
    assert_close(np.concatenate(apart), together)
  same = np.repeat(images[:1], 13, axis=0)
  assert_close(log_prob(same), together[:1].repeat(13))
  assert_close(log_prob(images[::-1])[::-1], together)
  assert log_prob.experimental_get_tracing_count() == 1


@pytest.mark.parametrize('key', ['glow', 'flow_of_tfp_parts'])
def test_log_prob_is_the_same_on_every_call(key):
  flow = _distribution(key)
  images = _images(7)
  first = flow.log_prob(images)
  tf.random.set_seed(5)
  flow.sample(2, seed=[3, 4])
  np.testing.assert_array_equal(flow.log_prob(images), first)


def test_the_fixed_noise_is_that_of_its_seed():
  make = functools.partial(
    tfp_ood.distributions.ImageFlow,
    _distribution('flow_of_tfp_parts').bijector,
    _SHAPE,
  )
  images = _images(2)
  first, again, other = (
    make(noise_seed=seed).log_prob(images) for seed in (3, 3, 4)
  )
  np.testing.assert_array_equal(first, again)
  assert (first.numpy() != other.numpy()).all()


def test_the_same_seed_builds_the_same_flow():
  images = _images(8)
  scores = []
  for global_seed in (1, 2):
    tf.random.set_seed(global_seed)
    flow = tfp_ood.distributions.glow(_SHAPE, **_TINY)
    flow.initialize(images)
    scores.append(flow.log_prob(images))
  np.testing.assert_array_equal(*scores)


def test_a_seed_draws_noise_for_every_image():
  flow = _distribution('glow')
  same = np.repeat(_images(1), 16, axis=0)
  log_prob = flow.log_prob(same, seed=[1, 2]).numpy()
  assert len(set(log_prob)) == 16
  np.testing.assert_array_equal(flow.log_prob(same, seed=[1, 2]), log_prob)
  of_int = flow.log_prob(same, seed=3).numpy()
  np.testing.assert_array_equal(flow.log_prob(same, seed=3), of_int)
  assert (flow.log_prob(same, seed=4).numpy() != of_int).all()
  assert (flow.log_prob(same, seed=[1, 3]).numpy() != log_prob).all()
  # Its own noise is one.
  assert len(set(flow.log_prob(same).numpy())) <= 2


@pytest.mark.parametrize(
  'key', few(['glow', 'flow_of_tfp_parts', 'glow_of_five_bits'], 1)
)
def test_the_fixed_noise_is_a_typical_draw(key):
  flow = _distribution(key)
  images = _images_of(key, 3)
  log_prob = tf.function(flow.log_prob)
  draws = np.stack(
    [log_prob(images, seed=tf.constant([0, i])) for i in range(200)]
  )
  # One draw lies within five deviations of the mean except in 1 of 10^6.
  distance = np.abs(flow.log_prob(images) - draws.mean(axis=0))
  assert (distance < 5 * draws.std(axis=0)).all()
  # And fresh noise moves a score by little: less than .1 bits a dimension.
  assert (draws.std(axis=0) / _SIZE / math.log(2) < 0.1).all()


@pytest.mark.exhaustive
@pytest.mark.parametrize('key', ['glow', 'flow_of_tfp_parts'])
def test_the_mean_moves_with_the_seed_as_its_standard_error_says(key):
  number, num_seeds = 256, 24
  images = _images(number) // 2 + 128
  draws = np.stack(
    [
      _distribution(key).copy(noise_seed=seed).log_prob(images)
      for seed in range(num_seeds)
    ]
  ).astype(np.float64)
  # Of independent noise, the mean has the variance of an image over their number.
  expected = draws.var(axis=0, ddof=1).mean() / number
  ratio = draws.mean(axis=1).var(ddof=1) / expected
  low, high = stats.chi2.ppf([1e-5, 1 - 1e-5], num_seeds - 1) / (num_seeds - 1)
  assert low < ratio < high


def test_prob_is_exp_log_prob():
  flow = _discrete_flow('glow')
  images = _all_images()
  np.testing.assert_allclose(
    flow.prob(images), np.exp(flow.log_prob(images)), rtol=1e-6
  )


@pytest.mark.parametrize('factory', ['constant_volume_glow', 'glow'])
def test_volume_is_constant_where_it_says_so(factory):
  flow = _distribution(factory)
  generator = np.random.default_rng(0)
  images = np.concatenate(
    [
      _images(4),
      generator.integers(0, 256, [4, *_SHAPE], np.uint8),
      np.full([1, *_SHAPE], 0, np.uint8),
      np.full([1, *_SHAPE], 255, np.uint8),
    ]
  )
  volume = flow.log_prob_terms(images).volume.numpy()
  if factory == 'constant_volume_glow':
    assert flow.bijector.is_constant_jacobian
    np.testing.assert_array_equal(volume, volume[0])
  else:
    assert not flow.bijector.is_constant_jacobian
    assert volume.std() > 1e-2


# ------------------------------------------------ a flow small enough to sum

_NUM_VALUES = 3


def _all_images():
  """All 81 images of 2 x 2 pixels of 3 values."""
  grid = np.meshgrid(*[np.arange(_NUM_VALUES)] * 4, indexing='ij')
  return np.stack(grid, axis=-1).reshape([-1, 2, 2, 1]).astype(np.uint8)


@functools.cache
def _discrete_flow(kind):
  """Flows of 2 x 2 x 1 images: a Glow, moved far from its start, or none."""
  shape = [2, 2, 1]
  make = functools.partial(
    tfp_ood.distributions.ImageFlow, image_shape=shape, num_values=_NUM_VALUES
  )
  if kind == 'standard':
    # The latent is the image: a standard normal on all of space, of which the
    # box of images has little.
    return make(tfb.Reshape(event_shape_in=[4], event_shape_out=shape))
  glow = tfp_ood.bijectors.Glow(
    shape, num_levels=1, num_steps=2, hidden_channels=4, seed=3
  )
  flow = make(glow)
  flow.initialize(_all_images())
  if kind == 'glow':
    generator = np.random.default_rng(0)
    for variable in flow.trainable_variables:
      variable.assign_add(
        generator.normal(0, 0.2, variable.shape).astype(np.float32)
      )
  if kind == 'inside':
    # Narrow, so that the box holds all mass, and bent by the couplings.
    generator = np.random.default_rng(1)
    for variable in flow.trainable_variables:
      if 'coupling_network' in variable.name:
        variable.assign_add(
          generator.normal(0, 0.1, variable.shape).astype(np.float32)
        )
    log_scale = next(
      v for v in flow.trainable_variables if 'log_scale' in v.name
    )
    log_scale.assign_sub(tf.constant([[1.2], [0.0]]) * tf.ones([2, 4]))
  return flow


def _draws(flow, number):
  """Log-probabilities of all images under fresh noise, `[number, 81]`."""
  images = np.tile(_all_images(), [number, 1, 1, 1])
  log_prob = tf.function(flow.log_prob)(images, seed=tf.constant([5, 6]))
  return log_prob.numpy().astype(np.float64).reshape([number, -1])


def _mass_inside(flow, number):
  """Share of the flow's own samples that lie in the box of images."""
  latents = flow.base.sample(number, seed=[7, 8])
  samples = tf.function(flow.bijector.forward)(latents).numpy()
  inside = (np.abs(samples) <= 0.5).all(axis=(1, 2, 3))
  return inside.mean(), inside.std() / math.sqrt(number)


@pytest.mark.parametrize('kind', ['standard', 'start', 'glow', 'inside'])
def test_probabilities_of_all_images_add_up(kind):
  flow = _discrete_flow(kind)
  draws = _draws(flow, 4000)
  # The lower bound of every image: together at most one, and by Jensen at most
  # the mass of the box. Each mean has an error; five deviations are allowed
  # (one false alarm in 10^6).
  bound = np.exp(draws.mean(axis=0))
  bound_error = np.sqrt(np.sum((bound * draws.std(axis=0)) ** 2) / len(draws))
  totals = np.exp(draws).sum(axis=1)
  total_error = totals.std() / math.sqrt(len(totals))
  mass, mass_error = _mass_inside(flow, 40_000)
  assert bound.sum() <= 1 + 5 * bound_error
  assert bound.sum() <= mass + 5 * (bound_error + mass_error)
  # Averaged in probability instead, the sum is the mass of the box.
  error = math.hypot(total_error, mass_error)
  assert abs(totals.mean() - mass) < 5 * error + 1e-4
  assert error < 0.02, 'The test says nothing.'
  if kind == 'inside':
    assert mass > 0.999


def test_samples_have_the_probabilities_of_log_prob():
  flow = _discrete_flow('inside')
  draws = np.exp(_draws(flow, 2000))
  probability = draws.mean(axis=0)
  number = 20_000
  samples = tf.function(flow.sample)(number, seed=tf.constant([1, 2])).numpy()
  indices = samples.reshape([number, 4]) @ [27, 9, 3, 1]
  frequency = np.bincount(indices, minlength=81) / number
  common = probability * number > 10
  assert common.sum() > 8
  variance = probability * (1 - probability) / number
  variance += draws.var(axis=0) / len(draws)
  chi_square = ((frequency - probability) ** 2 / variance)[common].sum()
  # Five deviations of a chi-square above its mean: one in 10^4, and the seeds
  # are fixed.
  degrees = common.sum()
  assert chi_square < degrees + 5 * math.sqrt(2 * degrees)
  rare = frequency[~common].sum(), probability[~common].sum()
  assert abs(rare[0] - rare[1]) < 0.005


# ------------------------------------------------------------------- sample


@pytest.mark.parametrize('key', ['glow', 'flow_of_image_latent'])
def test_shapes_of_samples(key):
  flow = _distribution(key)
  assert flow.sample(seed=[1, 2]).shape == _SHAPE
  assert flow.sample([2, 3], seed=[1, 2]).shape == [2, 3, *_SHAPE]
  assert flow.sample(tf.constant(3), seed=[1, 2]).shape == [3, *_SHAPE]
  traced = tf.function(
    lambda n: flow.sample(n, seed=[1, 2]),
    input_signature=[tf.TensorSpec([], tf.int32)],
  )
  for number in (1, 4):
    np.testing.assert_array_equal(
      traced(tf.constant(number)), flow.sample(number, seed=[1, 2])
    )
  assert traced.experimental_get_tracing_count() == 1


def test_samples_of_values_beyond_the_range_are_its_ends():
  bijector = tfb.Chain(
    [
      tfb.Scale(100.0),
      tfb.Reshape(event_shape_in=[_SIZE], event_shape_out=_SHAPE),
    ]
  )
  flow = tfp_ood.distributions.ImageFlow(bijector, _SHAPE, num_values=32)
  samples = flow.sample(4, seed=[1, 2]).numpy()
  assert samples.min() == 0
  assert samples.max() == 31
  assert np.isin(samples, [0, 31]).mean() > 0.97


@every_distribution
def test_whole_range_survives_dequantization(key):
  flow = _distribution(key)
  values = np.arange(_SIZE).reshape([1, *_SHAPE]) % flow.num_values
  images = np.concatenate([values, flow.num_values - 1 - values])
  images = images.astype(np.uint8)
  for seed in (None, [1, 2]):
    scaled = flow._dequantize(tf.constant(images), seed)
    assert float(tf.reduce_max(tf.abs(scaled))) <= 0.5
    np.testing.assert_array_equal(flow._quantize(scaled), images)


# ------------------------------------------------------------------ latents


def test_latents_by_level():
  flow = _distribution('glow')
  images = _images(5)
  latents = flow.latents(images)
  assert [level.shape.as_list() for level in latents] == [
    [5, 2, 2, 24],
    [5, 4, 4, 6],
  ]
  joined = tf.concat([tf.reshape(x, [5, -1]) for x in latents], axis=-1)
  np.testing.assert_allclose(
    flow.base.log_prob(joined), flow.log_prob_terms(images).density, rtol=1e-6
  )
  batches = flow.latents(_images(6).reshape([2, 3, *_SHAPE]))
  assert [level.shape.as_list() for level in batches] == [
    [2, 3, 2, 2, 24],
    [2, 3, 4, 4, 6],
  ]


@pytest.mark.parametrize(
  'key, shape',
  [('flow_of_tfp_parts', [5, _SIZE]), ('flow_of_image_latent', [5, *_SHAPE])],
)
def test_latents_without_levels(key, shape):
  (latent,) = _distribution(key).latents(_images(5))
  assert latent.shape == shape


# --------------------------------------------------- variables and gradients


def test_learned_normal_starts_standard_and_is_trained():
  base = tfp_ood.distributions.learned_normal([12])
  values = np.random.default_rng(0).normal(size=[5, 12]).astype(np.float32)
  standard = tfd.Sample(tfd.Normal(0.0, 1.0), [12])
  np.testing.assert_allclose(
    base.log_prob(values), standard.log_prob(values), rtol=1e-6
  )
  with tf.GradientTape() as tape:
    log_prob = base.log_prob(values)
  loc, log_scale = base.trainable_variables
  assert [v.name for v in (loc, log_scale)] == ['loc:0', 'log_scale:0']
  for_loc, for_log_scale = tape.gradient(log_prob, (loc, log_scale))
  np.testing.assert_allclose(for_loc, values.sum(axis=0), rtol=1e-5)
  np.testing.assert_allclose(
    for_log_scale, (values**2 - 1).sum(axis=0), rtol=1e-4, atol=1e-5
  )
  log_scale.assign(tf.fill([12], math.log(2.0)))
  loc.assign(tf.fill([12], 3.0))
  expected = tfd.Sample(tfd.Normal(3.0, 2.0), [12])
  np.testing.assert_allclose(
    base.log_prob(values), expected.log_prob(values), rtol=1e-6
  )
  variables = _distribution('glow_of_learned_base').trainable_variables
  names = [variable.name for variable in variables]
  assert 'loc:0' in names and 'log_scale:0' in names


def test_learned_normal_takes_other_shapes_and_dtypes():
  base = tfp_ood.distributions.learned_normal([4, 4, 6], tf.float64)
  assert base.event_shape == [4, 4, 6]
  assert base.batch_shape == []
  assert base.sample(2, seed=[1, 2]).dtype == tf.float64


# ------------------------------------------------------------ pixels between


@pytest.mark.parametrize('key', ['glow_in_float64', 'glow_of_five_bits'])
def test_continued_to_whole_pixels_it_is_log_prob(key):
  flow = _distribution(key)
  images = _images_of(key, 3)
  floats = images.astype(np.float64 if 'float64' in key else np.float32)
  np.testing.assert_array_equal(
    flow.continuous_log_prob(floats), flow.log_prob(images)
  )
  # The noise is that of the whole part, and the flow sees what is between.
  keys = _content_noise.content_keys(tf.constant(images), 0)
  noise = _content_noise.content_uniform(keys, _SHAPE, floats.dtype)
  between = np.random.default_rng(0).uniform(0, 1, images.shape)
  floats += between.astype(floats.dtype)
  reference = tfd.TransformedDistribution(flow.base, flow.bijector)
  expected = reference.log_prob((floats + noise) / flow.num_values - 0.5)
  np.testing.assert_allclose(
    flow.continuous_log_prob(floats),
    expected - _SIZE * math.log(flow.num_values),
    rtol=1e-6,
  )
  # Beyond the range, too.
  assert np.isfinite(flow.continuous_log_prob(floats - 300)).all()


def test_gradient_by_pixels_is_that_of_differences():
  flow = _distribution('glow_in_float64')
  images = tf.constant(_images(2), tf.float64) + 0.5
  log_prob = flow.continuous_log_prob
  with tf.GradientTape() as tape:
    tape.watch(images)
    total = tf.reduce_sum(log_prob(images))
  gradient = tape.gradient(total, images).numpy()
  assert gradient.shape == images.shape
  assert np.abs(gradient).min(axis=(1, 2, 3)).max() > 0
  direction = np.random.default_rng(0).normal(size=images.shape)
  step = 1e-4
  ahead, behind = (
    tf.reduce_sum(log_prob(images + sign * step * direction))
    for sign in (1, -1)
  )
  np.testing.assert_allclose(
    (gradient * direction).sum(), (ahead - behind) / (2 * step), rtol=1e-5
  )


def test_score_norm_is_that_of_differences():
  flow = _distribution('glow_in_float64')
  image = _images(1)
  values = tfp_ood.stats.Statistics(flow)(image, ['log_prob', 'score_norm'])
  np.testing.assert_allclose(values['log_prob'], flow.log_prob(image))
  # Upward alone: below a whole value the noise is another.
  step, directions = 1e-3, np.eye(_SIZE).reshape([_SIZE, *_SHAPE])
  steps = np.concatenate([0 * directions[:1], directions, 2 * directions])
  log_probs = flow.continuous_log_prob(image + step * steps).numpy()
  first, second = log_probs[1:].reshape([2, _SIZE])
  slopes = (4 * first - second - 3 * log_probs[0]) / (2 * step)
  np.testing.assert_allclose(
    values['score_norm'], [np.linalg.norm(slopes)], rtol=1e-5
  )


# ------------------------------------------------- graphs, batches, pipelines


@pytest.mark.parametrize('key', ['glow', 'flow_of_tfp_parts'])
def test_no_images_are_a_batch(key):
  flow = _distribution(key)
  nothing = np.zeros([0, *_SHAPE], np.uint8)
  terms = flow.log_prob_terms(nothing)
  assert terms.density.shape == terms.volume.shape == [0]
  assert flow.log_prob(nothing).shape == [0]
  assert flow.log_prob(nothing, seed=[1, 2]).shape == [0]
  assert all(level.shape[0] == 0 for level in flow.latents(nothing))
  samples = flow.sample(0, seed=[1, 2])
  assert samples.shape == [0, *_SHAPE] and samples.dtype == tf.uint8
  assert flow.log_prob(samples).shape == [0]


@pytest.mark.slow
@pytest.mark.parametrize(
  'key',
  [
    pytest.param('glow', marks=pytest.mark.slow),
    'constant_volume_glow',
    'flow_of_tfp_parts',
  ],
)
def test_no_images_in_a_graph_of_unknown_batch_size(key):
  flow = _distribution(key)

  @tf.function(input_signature=[tf.TensorSpec([None, *_SHAPE])])
  def in_graph(images):
    with tf.GradientTape() as tape:
      tape.watch(images)
      terms = flow.log_prob_terms(images)
      log_prob = terms.density + terms.volume
    gradients = tape.gradient(log_prob, [images, *flow.trainable_variables])
    return terms, gradients

  images = _images(3).astype(np.float32)
  terms, (of_pixels, *of_variables) = in_graph(images[:0])
  assert terms.density.shape == terms.volume.shape == [0]
  assert of_pixels.shape == [0, *_SHAPE]
  # The image that stands in for none leaves no trace.
  for gradient in of_variables:
    np.testing.assert_array_equal(gradient, np.zeros(gradient.shape))
  terms, (of_pixels, *of_variables) = in_graph(images)
  log_prob = terms.density + terms.volume
  np.testing.assert_allclose(log_prob, flow.log_prob(images), rtol=1e-5)
  assert of_pixels.shape == images.shape
  assert all(np.any(gradient) for gradient in of_variables)
  sample = tf.function(lambda n: flow.sample(n, seed=[1, 2]))
  for number in (0, 2):
    np.testing.assert_array_equal(
      sample(tf.constant(number)), flow.sample(number, seed=[1, 2])
    )


@pytest.mark.parametrize('key', ['flow_of_tfp_parts', 'uniform'])
def test_images_of_a_shape_unknown_to_the_graph_are_not_broadcast(key):
  flow = _distribution(key)
  images = _images_of(key, 2)
  log_prob = tf.function(
    flow.log_prob, input_signature=[tf.TensorSpec([None] * 4, tf.uint8)]
  )
  np.testing.assert_allclose(log_prob(images), flow.log_prob(images), rtol=1e-5)
  # The noise has three channels, and one would be added to each.
  for other in (images[..., :1], images[:, :1], images[:, :, :4]):
    with pytest.raises(tf.errors.InvalidArgumentError):
      log_prob(other)


def test_copies_keep_the_flow_and_its_noise():
  flow = _distribution('glow')
  copy = flow.copy(name='copy', validate_args=True)
  assert copy.name == 'copy'
  images = _images(2)
  np.testing.assert_array_equal(copy.log_prob(images), flow.log_prob(images))
  assert 'event_shape=[8, 8, 3]' in repr(flow)


# ------------------------------------------------------------------- errors


@pytest.mark.parametrize(
  'images, message',
  [
    (np.zeros([8, 8], np.uint8), r'images.*8, 8, 3\], got \(8, 8\)'),
    (np.zeros([2, 192], np.uint8), r'images.*got \(2, 192\)'),
    (np.zeros([2, 8, 8, 1], np.uint8), r'8, 8, 3\], got \(2, 8, 8, 1\)'),
    (np.zeros([2, 3, 8, 8], np.uint8), r'got \(2, 3, 8, 8\)'),
    (np.zeros([2, 16, 8, 3], np.uint8), r'got \(2, 16, 8, 3\)'),
  ],
)
def test_wrong_shapes_are_refused(images, message):
  flow = _distribution('glow')
  for function in (
    flow.log_prob,
    flow.prob,
    flow.log_prob_terms,
    flow.latents,
    flow.initialize,
    tf.function(flow.log_prob),
  ):
    with pytest.raises(ValueError, match=message):
      function(images)


def test_unknown_rank_is_refused():
  flow = _distribution('glow')
  with pytest.raises(
    ValueError, match=r'must have shape \[batch..., 8, 8, 3\]'
  ):
    tf.function(
      flow.log_prob, input_signature=[tf.TensorSpec(None, tf.uint8)]
    ).get_concrete_function()


_BAD_PIXELS = {
  'too large': (300.0, 'the first is 300'),
  'negative': (-1.0, 'the first is -1'),
  'fractional': (0.5, 'the first is 0.5'),
  'NaN': (math.nan, 'the first is nan'),
  'infinite': (math.inf, 'the first is inf'),
}


@pytest.mark.parametrize('what', list(_BAD_PIXELS))
def test_values_that_are_no_pixels_are_refused_eagerly(what):
  value, message = _BAD_PIXELS[what]
  flow = _distribution('glow')
  images = _images(2).astype(np.float32)
  images[1, 2, 3, 1] = value
  for function in (
    flow.log_prob,
    flow.prob,
    flow.log_prob_terms,
    flow.latents,
    flow.initialize,
  ):
    with pytest.raises(ValueError, match='raw pixels, whole numbers') as error:
      function(images)
    assert message in str(error.value)
    assert '1 of 384 are not' in str(error.value)
    assert 'from 0 to 255' in str(error.value)


@functools.cache
def _log_prob_of_floats():
  return tf.function(_distribution('flow_of_tfp_parts').log_prob)


@pytest.mark.parametrize('what', list(_BAD_PIXELS))
def test_values_that_are_no_pixels_are_refused_in_graphs(what):
  flow, log_prob = _distribution('flow_of_tfp_parts'), _log_prob_of_floats()
  images = _images(2).astype(np.float32)
  np.testing.assert_allclose(log_prob(images), flow.log_prob(images), rtol=1e-5)
  images[1, 2, 3, 1] = _BAD_PIXELS[what][0]
  with pytest.raises(tf.errors.InvalidArgumentError, match='raw pixels'):
    log_prob(images)


def test_values_above_num_values_are_refused():
  flow = _distribution('glow_of_five_bits')
  images = _images(2, num_values=32)
  images[0, 0, 0, 0] = 32
  with pytest.raises(ValueError, match='from 0 to 31'):
    flow.log_prob(images)
  with pytest.raises(tf.errors.InvalidArgumentError, match='from 0 to 31'):
    tf.function(flow.log_prob)(images)


@pytest.mark.parametrize('num_values', [1, 0, -5, 257, 2.5])
def test_invalid_num_values_are_refused(num_values):
  reshape = tfb.Reshape(event_shape_in=[_SIZE], event_shape_out=_SHAPE)
  with pytest.raises(ValueError, match=f'num_values.*got {num_values}'):
    tfp_ood.distributions.ImageFlow(reshape, _SHAPE, num_values=num_values)


@pytest.mark.parametrize('shape', [[8, 8], [None, 8, 3], [2, 8, 8, 3]])
def test_invalid_image_shapes_are_refused(shape):
  with pytest.raises(ValueError, match='image_shape.*height, width, channels'):
    tfp_ood.distributions.ImageFlow(tfb.Identity(), shape)


def test_a_base_of_another_shape_is_refused():
  with pytest.raises(ValueError, match=r'\(192,\).*`base`.*\(12,\)'):
    tfp_ood.distributions.ImageFlow(
      tfp_ood.bijectors.Glow(_SHAPE, **_TINY),
      _SHAPE,
      base=tfp_ood.distributions.learned_normal([12]),
    )


def test_a_base_with_a_batch_is_refused():
  base = tfd.Independent(tfd.Normal(tf.zeros([4, _SIZE]), 1.0), 1)
  with pytest.raises(ValueError, match=r'`base`.*batch'):
    tfp_ood.distributions.ImageFlow(
      tfp_ood.bijectors.Glow(_SHAPE, **_TINY), _SHAPE, base=base
    )


@pytest.mark.parametrize('factory', ['glow', 'constant_volume_glow'])
def test_an_uninitialized_flow_refuses_to_run(factory):
  flow = getattr(tfp_ood.distributions, factory)(_SHAPE, **_TINY)
  assert not flow.is_initialized
  images = _images(2)
  message = 'not initialized: call .*initialize'
  for function in (
    flow.log_prob,
    flow.log_prob_terms,
    flow.latents,
    tf.function(flow.log_prob),
  ):
    with pytest.raises(ValueError, match=message):
      function(images)
  with pytest.raises(ValueError, match=message):
    flow.sample(2, seed=[1, 2])
  with pytest.raises(ValueError, match=message):
    tf.data.Dataset.from_tensors(images).map(flow.log_prob)
  flow.initialize(images)
  assert flow.is_initialized
  assert np.isfinite(flow.log_prob(images)).all()


def test_initialize_standardizes_the_latents_and_returns_them():
  flow = tfp_ood.distributions.glow(_SHAPE, **_TINY)
  images = _images(64)
  latents = flow.initialize(images)
  assert latents.shape == [64, _SIZE]
  assert abs(float(tf.reduce_mean(latents))) < 0.05
  assert abs(float(tf.math.reduce_std(latents)) - 1) < 0.05
  np.testing.assert_allclose(
    flow.base.log_prob(latents),
    flow.log_prob_terms(images).density,
    rtol=1e-4,
  )


def test_initialize_refuses_to_be_traced():
  flow = tfp_ood.distributions.glow(_SHAPE, **_TINY)
  with pytest.raises(ValueError, match='must run eagerly'):
    tf.function(flow.initialize)(_images(2))
