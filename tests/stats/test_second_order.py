# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the second-order analysis and of image moments."""

import functools
import math

import numpy as np
import pytest
import tensorflow as tf

import tfp_ood
from tfp_ood import stats

_SHAPE = [4, 2, 3]
_SIZE = 24


def _normal(shape, seed=0):
  return np.random.default_rng(seed).normal(size=shape)


def _precision(seed=0):
  factor = _normal([_SIZE, _SIZE], seed)
  return factor @ factor.T / _SIZE


def _gaussian(precision, mean=0.0, dtype=tf.float64):
  precision = tf.constant(precision, dtype)

  def log_prob(images):
    centred = tf.reshape(images - tf.cast(mean, dtype), [-1, _SIZE])
    return 3.0 - 0.5 * tf.reduce_sum(centred @ precision * centred, axis=1)

  return log_prob


def _moments(seed):
  random = np.random.default_rng(seed)
  return random.normal(size=_SHAPE), random.uniform(0.5, 4.0, size=_SHAPE)


_difference = functools.partial(
  stats.second_order_difference, dtype=tf.float64, seed=1
)
_difference_from_examples = functools.partial(
  stats.second_order_difference_from_examples, dtype=tf.float64
)


# ----------------------------------------------------- from the two variances


def test_exact_for_independent_pixels():
  # With a diagonal Hessian, v' H v is the same for all signs.
  diagonal = np.random.default_rng(2).uniform(size=_SIZE)
  centre = _normal(_SHAPE, 5)
  (in_mean, in_variance), (out_mean, out_variance) = _moments(3), _moments(4)
  result = _difference(
    _gaussian(np.diag(diagonal), centre),
    (in_mean, in_variance),
    (out_mean, out_variance),
    num_probes=5,
  )
  diagonal = diagonal.reshape(_SHAPE)

  def expected_log_prob(mean, variance):
    return 3.0 - 0.5 * np.sum(diagonal * ((mean - centre) ** 2 + variance))

  expected_in = expected_log_prob(in_mean, in_variance)
  expected_out = expected_log_prob(out_mean, out_variance)
  assert result.difference.total == pytest.approx(expected_out - expected_in)
  assert result.difference.covariance == pytest.approx(
    -0.5 * np.sum(diagonal * (out_variance - in_variance))
  )
  assert result.difference.covariance_standard_error < 1e-12
  start = result.log_prob_at_point
  assert start == pytest.approx(expected_log_prob(in_mean, 0.0))
  assert start + result.in_distribution.total == pytest.approx(expected_in)
  assert start + result.out_of_distribution.total == pytest.approx(expected_out)


def test_terms_of_the_mean_have_their_closed_form():
  precision, point = _precision(), _normal(_SHAPE, 8)
  (in_mean, in_variance), (out_mean, out_variance) = _moments(3), _moments(4)
  result = _difference(
    _gaussian(precision),
    (in_mean, in_variance),
    (out_mean, out_variance),
    point=point,
  )
  gradient = -precision @ point.ravel()
  for terms, mean in (
    (result.in_distribution, in_mean),
    (result.out_of_distribution, out_mean),
  ):
    displacement = (mean - point).ravel()
    assert terms.gradient == pytest.approx(gradient @ displacement)
    assert terms.mean == pytest.approx(
      -0.5 * displacement @ precision @ displacement
    )
    assert terms.total == pytest.approx(
      terms.gradient + terms.mean + terms.covariance
    )
  assert result.difference.gradient == pytest.approx(
    gradient @ (out_mean - in_mean).ravel()
  )


def test_means_play_no_part_where_they_agree():
  (mean, in_variance), (_, out_variance) = _moments(3), _moments(4)
  result = _difference(
    _gaussian(_precision()), (mean, in_variance), (mean, out_variance)
  )
  assert result.difference.gradient == result.difference.mean == 0.0
  assert result.difference.total == result.difference.covariance


def test_trace_agrees_within_the_standard_error_it_gives():
  precision = _precision()
  (mean, in_variance), (_, out_variance) = _moments(3), _moments(4)
  result = _difference(
    _gaussian(precision),
    (mean, in_variance),
    (mean, out_variance),
    num_probes=500,
    batch_size=1000,
  )
  diagonal = np.diag(precision)
  expected_in = -0.5 * diagonal @ in_variance.ravel()
  expected_out = -0.5 * diagonal @ out_variance.ravel()

  # For signs r and a symmetric B, the variance of r' B r is twice the sum of
  # the squares of B off the diagonal.
  def standard_error(matrix):
    off_diagonal = matrix - np.diag(np.diag(matrix))
    return math.sqrt(2.0 * np.sum(off_diagonal**2) / 500)

  def matrix(variance):
    deviation = np.sqrt(variance.ravel())
    return 0.5 * precision * np.outer(deviation, deviation)

  for terms, expected, expected_error in (
    (result.in_distribution, expected_in, standard_error(matrix(in_variance))),
    (
      result.out_of_distribution,
      expected_out,
      standard_error(matrix(out_variance)),
    ),
    (
      result.difference,
      expected_out - expected_in,
      standard_error(matrix(out_variance) - matrix(in_variance)),
    ),
  ):
    error = terms.covariance_standard_error
    assert error == pytest.approx(expected_error, rel=0.15)
    assert abs(terms.covariance - expected) < 3.0 * error
    assert terms.total_standard_error == error


def test_common_signs_cancel_between_equal_sets():
  moments = _moments(3)
  result = _difference(_gaussian(_precision()), moments, moments)
  assert result.in_distribution.covariance_standard_error > 0.01
  assert result.difference.covariance == 0.0
  assert result.difference.covariance_standard_error == 0.0


@functools.cache
def _differences_of_eleven(batch_size=8):
  """From 11 probes, and from 7 and 9 examples."""
  expansion = stats.SecondOrderExpansion(
    _gaussian(_precision()), _moments(3)[0], batch_size, tf.float64
  )
  examples = _normal([7, *_SHAPE]), _normal([9, *_SHAPE], 1)
  return (
    _difference(expansion, _moments(3), _moments(4), num_probes=11),
    _difference_from_examples(expansion, *examples),
  )


@pytest.mark.parametrize('batch_size', [1, 3, 64, 1000])
def test_result_does_not_depend_on_the_batch_size(batch_size):
  for result, expected in zip(
    _differences_of_eleven(batch_size), _differences_of_eleven(), strict=True
  ):
    np.testing.assert_allclose(result[0], expected[0], rtol=1e-10)
  # Given beside a function, it comes to the same.
  result = _difference(
    _gaussian(_precision()),
    _moments(3),
    _moments(4),
    num_probes=11,
    batch_size=batch_size,
  )
  expected, _ = _differences_of_eleven()
  np.testing.assert_allclose(result[0], expected[0], rtol=1e-10)


def test_seeds():
  expansion = stats.SecondOrderExpansion(
    _gaussian(_precision()), _moments(3)[0], dtype=tf.float64
  )

  def covariance(seed):
    return stats.second_order_difference(
      expansion, _moments(3), _moments(4), num_probes=5, seed=seed
    ).difference.covariance

  assert covariance(1) == covariance(1)
  assert covariance([1, 2]) == covariance(tf.constant([1, 2]))
  assert len({covariance(seed) for seed in (1, 2, None, None)}) == 4


def test_float32_agrees_with_float64():
  moments = _moments(3), _moments(4)
  examples = _normal([20, *_SHAPE]), _normal([30, *_SHAPE], 1)

  def single(images):
    assert images.dtype == tf.float32
    return _gaussian(_precision(), dtype=tf.float32)(images)

  double = _gaussian(_precision())
  np.testing.assert_allclose(
    stats.second_order_difference(single, *moments, seed=1).difference,
    _difference(double, *moments).difference,
    rtol=1e-4,
  )
  np.testing.assert_allclose(
    stats.second_order_difference_from_examples(single, *examples).difference,
    _difference_from_examples(double, *examples).difference,
    rtol=1e-4,
  )


def test_moments_of_a_data_set_go_in_as_they_are():
  images = _normal([50, *_SHAPE])
  moments = stats.image_moments(images)
  log_prob = _gaussian(np.eye(_SIZE))
  result = _difference(log_prob, moments, (moments.mean, np.zeros(_SHAPE)))
  assert result.difference.covariance == pytest.approx(
    0.5 * images.var(axis=0).sum()
  )


# ------------------------------------------------------------- from examples


def _examples():
  """Two sets of correlated images that differ in mean and covariance."""
  mixing = _normal([_SIZE, _SIZE], 6) / 5
  in_examples = _normal([300, _SIZE], 7) @ mixing
  out_examples = 0.3 + 0.5 * _normal([200, _SIZE], 8)
  return in_examples.reshape([-1, *_SHAPE]), out_examples.reshape([-1, *_SHAPE])


@pytest.mark.parametrize('point', [None, _normal(_SHAPE, 3)])
def test_exact_for_the_examples_of_a_gaussian(point):
  precision, examples = _precision(), _examples()
  log_prob = _gaussian(precision, 0.1)
  result = _difference_from_examples(log_prob, *examples, point=point)
  in_measured, out_measured = (log_prob(x).numpy() for x in examples)
  assert result.difference.total == pytest.approx(
    out_measured.mean() - in_measured.mean()
  )
  in_covariance, out_covariance = (
    np.cov(x.reshape([-1, _SIZE]), rowvar=False, ddof=0) for x in examples
  )
  assert result.difference.covariance == pytest.approx(
    -0.5 * np.sum(precision * (out_covariance - in_covariance))
  )
  assert result.difference.total_standard_error == pytest.approx(
    math.sqrt(
      in_measured.var(ddof=1) / in_measured.size
      + out_measured.var(ddof=1) / out_measured.size
    )
  )
  for terms, images in (
    (result.in_distribution, examples[0]),
    (result.out_of_distribution, examples[1]),
  ):
    centred = (images - images.mean(axis=0)).reshape([-1, _SIZE])
    values = -0.5 * np.sum(centred @ precision * centred, axis=1)
    assert terms.covariance == pytest.approx(values.mean())
    assert terms.covariance_standard_error == pytest.approx(
      values.std(ddof=1) / math.sqrt(len(values))
    )


def test_correlations_count_only_with_examples():
  # All pixels of an image are equal; the model sees their sum.
  brightness = _normal([100, 1, 1, 1])
  examples = np.broadcast_to(brightness, [100, *_SHAPE])
  still = np.zeros([2, *_SHAPE])
  precision = np.ones([_SIZE, _SIZE])
  result = _difference_from_examples(_gaussian(precision), examples, still)
  variance = brightness.var()
  assert result.difference.covariance == pytest.approx(
    0.5 * _SIZE**2 * variance
  )
  result = _difference(
    _gaussian(precision),
    stats.image_moments(examples),
    stats.image_moments(still),
    num_probes=300,
    batch_size=600,
  )
  error = result.difference.covariance_standard_error
  assert abs(result.difference.covariance - 0.5 * _SIZE * variance) < 3 * error


def test_data_sets_may_be_pipelines():
  in_examples, out_examples = _examples()
  log_prob = _gaussian(_precision())
  expected = _difference_from_examples(log_prob, in_examples, out_examples)
  labels = np.zeros(len(in_examples))
  result = _difference_from_examples(
    log_prob,
    tf.data.Dataset.from_tensor_slices((in_examples, labels)).batch(77),
    tf.data.Dataset.from_tensor_slices(out_examples).batch(64),
  )
  np.testing.assert_allclose(result.difference, expected.difference, rtol=1e-9)


# ------------------------------------------------------- one expansion for all


def _expansion(log_prob, point, **kwargs):
  return stats.SecondOrderExpansion(log_prob, point, dtype=tf.float64, **kwargs)


def test_an_expansion_has_the_derivatives_of_a_gaussian():
  precision, point = _precision(), _normal(_SHAPE, 8)
  centre, directions = _normal(_SHAPE, 5), _normal([11, *_SHAPE], 9)
  expansion = _expansion(_gaussian(precision, centre), point, batch_size=3)
  displacement = (point - centre).ravel()
  assert expansion.log_prob_at_point == pytest.approx(
    3.0 - 0.5 * displacement @ precision @ displacement
  )
  np.testing.assert_allclose(
    expansion.gradient.ravel(), -precision @ displacement, rtol=1e-10
  )
  products = expansion.hessian_products(directions)
  assert products.shape == directions.shape and products.dtype == np.float64
  np.testing.assert_allclose(
    products.reshape([11, -1]),
    -directions.reshape([11, -1]) @ precision,
    rtol=1e-10,
  )
  np.testing.assert_array_equal(expansion.point, point)


def test_an_expansion_serves_any_number_of_data_sets_with_one_trace():
  num_traces = 0
  gaussian = _gaussian(_precision(), 0.1)

  def log_prob(images):
    nonlocal num_traces
    num_traces += 1
    return gaussian(images)

  point = _normal(_SHAPE, 3)
  expansion = _expansion(log_prob, point)
  known, examples = _moments(3), _normal([7, *_SHAPE], 4)
  for seed in (5, 6, 7):
    other, others = _moments(seed), _normal([4 + seed, *_SHAPE], seed)
    for shared, separate in (
      (
        _difference(expansion, known, other, num_probes=11),
        _difference(gaussian, known, other, num_probes=11, point=point),
      ),
      (
        _difference_from_examples(expansion, examples, others),
        _difference_from_examples(gaussian, examples, others, point=point),
      ),
    ):
      for terms, expected in zip(shared[:3], separate[:3], strict=True):
        np.testing.assert_allclose(terms, expected, rtol=1e-10)
      assert shared.log_prob_at_point == pytest.approx(
        separate.log_prob_at_point
      )
  assert num_traces == 1


def test_point_and_batch_size_and_dtype_are_those_of_the_expansion():
  point, sizes = _normal(_SHAPE, 3), []
  gaussian = _gaussian(_precision(), dtype=tf.float32)

  @tf.py_function(Tout=tf.int32)
  def remember(images):
    sizes.append(len(images))
    return 0

  def log_prob(images):
    assert images.dtype == tf.float32
    with tf.control_dependencies([remember(images)]):
      return gaussian(tf.identity(images))

  expansion = stats.SecondOrderExpansion(log_prob, point, batch_size=5)
  result = stats.second_order_difference(
    expansion,
    _moments(3),
    _moments(4),
    point=np.zeros(_SHAPE),
    num_probes=9,
    batch_size=1000,
    dtype=tf.float64,
    seed=1,
  )
  assert max(sizes) <= 5
  expected = _difference(
    _gaussian(_precision()), _moments(3), _moments(4), point=point, num_probes=9
  )
  np.testing.assert_allclose(
    result.difference, expected.difference, rtol=1e-3, atol=1e-3
  )


def test_an_expansion_is_of_images_of_the_shape_of_its_point():
  expansion = stats.SecondOrderExpansion(_sum, np.zeros([2, 2, 1]))
  larger = np.zeros([5, 3, 2, 1])
  message = r'`point`.*shape of an image, \(3, 2, 1\); got \(2, 2, 1\)'
  for function, sets in (
    (_difference, [(larger[0], larger[0])] * 2),
    (_difference_from_examples, [larger] * 2),
  ):
    with pytest.raises(ValueError, match=message):
      function(expansion, *sets)


@pytest.mark.parametrize(
  'arguments, message',
  [
    (dict(point=np.full([2, 2, 1], np.nan)), '`point` must be finite'),
    (dict(batch_size=0), 'batch_size.*at least 1; got 0'),
    (dict(dtype=tf.float16), 'dtype.*float16'),
    (dict(log_prob=lambda x: tf.round(_sum(x))), 'not differentiable'),
    (dict(log_prob=lambda x: tf.sqrt(_sum(x))), 'a gradient at `point` that'),
  ],
)
def test_an_expansion_refuses(arguments, message):
  arguments = dict(log_prob=_sum, point=np.zeros([2, 2, 1])) | arguments
  with pytest.raises(ValueError, match=message):
    stats.SecondOrderExpansion(**arguments)


def test_a_likelihood_of_whole_numbers_has_no_second_order():
  model = tfp_ood.distributions.variational_autoencoder(
    [8, 8, 1],
    latent_size=2,
    likelihood='categorical',
    hidden_channels=2,
    seed=1,
  )
  half = np.full([8, 8, 1], 127.5)
  with pytest.raises(
    ValueError, match='likelihood is of whole numbers and has'
  ):
    _difference(model.continuous_log_prob, (half, half), (half, half))
  with pytest.raises(
    ValueError, match='likelihood is of whole numbers and has'
  ):
    stats.SecondOrderExpansion(model.continuous_log_prob, half)
  # Nor is its `log_prob` one of what lies between them.
  with pytest.raises(tf.errors.InvalidArgumentError, match='raw pixels'):
    stats.SecondOrderExpansion(model.log_prob, half)


# -------------------------------------------------------------------- a flow


_FLOW_SHAPE = [4, 4, 3]
_FLOW_SIZE = 48


@functools.cache
def _flow_log_prob(dtype=tf.float64):
  """Density under a constant-volume Glow whose couplings do something.

  Without an `ImageFlow`, whose noise would depend on the dtype.
  """
  glow = tfp_ood.bijectors.Glow(
    _FLOW_SHAPE,
    coupling='additive',
    num_levels=1,  # Tracing second derivatives takes seconds a level.
    num_steps=2,
    hidden_channels=8,
    seed=1,
    dtype=dtype,
  )
  glow.initialized.assign(True)
  random = np.random.default_rng(5)
  for variable in glow.trainable_variables:
    noise = random.normal(0, 0.2, variable.shape)
    variable.assign_add(tf.constant(noise, variable.dtype))

  def log_prob(images):
    latent, log_det = glow.inverse_and_log_det(images / 256.0 - 0.5)
    return log_det - 0.5 * tf.reduce_sum(latent**2, axis=1)

  return log_prob


_FLOW_POINT = np.random.default_rng(6).uniform(80.0, 180.0, _FLOW_SHAPE)
_FLOW_VARIANCES = (
  np.random.default_rng(7).uniform(2000.0, 5000.0, _FLOW_SHAPE),
  np.random.default_rng(8).uniform(500.0, 2500.0, _FLOW_SHAPE),
)


@functools.cache
def _flow_difference(dtype):
  in_variance, out_variance = _FLOW_VARIANCES
  return stats.second_order_difference(
    _flow_log_prob(dtype),
    (_FLOW_POINT, in_variance),
    (_FLOW_POINT, out_variance),
    num_probes=200,
    batch_size=400,
    dtype=dtype,
    seed=1,
  )


@functools.cache
def _flow_hessian():
  """Central differences of the gradient: one backward pass, not two."""
  log_prob_of = _flow_log_prob()
  steps = 1e-3 * np.eye(_FLOW_SIZE).reshape([-1, *_FLOW_SHAPE])

  @tf.function
  def gradient(images):
    with tf.GradientTape() as tape:
      tape.watch(images)
      log_prob = log_prob_of(images)
    return tape.gradient(log_prob, images)

  images = _FLOW_POINT + np.concatenate([steps, -steps])
  ahead, behind = np.split(gradient(images).numpy(), 2)
  return (ahead - behind).reshape([_FLOW_SIZE, _FLOW_SIZE]) / 2e-3


@pytest.mark.slow
def test_flow_agrees_with_its_hessian_by_brute_force():
  hessian = _flow_hessian()
  np.testing.assert_allclose(hessian, hessian.T, atol=1e-8)
  off_diagonal = hessian - np.diag(np.diag(hessian))
  assert np.abs(off_diagonal).max() > 0.1 * np.abs(np.diag(hessian)).max()
  in_variance, out_variance = _FLOW_VARIANCES
  result = _flow_difference(tf.float64)
  for terms, variance in (
    (result.in_distribution, in_variance),
    (result.out_of_distribution, out_variance),
    (result.difference, out_variance - in_variance),
  ):
    expected = 0.5 * np.diag(hessian) @ variance.ravel()
    error = terms.covariance_standard_error
    assert 0.0 < error < 0.1 * abs(expected)
    assert abs(terms.covariance - expected) < 3.0 * error


@pytest.mark.exhaustive
def test_flow_agrees_with_its_hessian_from_examples():
  random = np.random.default_rng(9)
  in_examples = random.uniform(0.0, 255.0, [20, *_FLOW_SHAPE])
  out_examples = random.uniform(100.0, 200.0, [10, *_FLOW_SHAPE])
  result = _difference_from_examples(
    _flow_log_prob(), in_examples, out_examples, point=_FLOW_POINT
  )
  in_covariance, out_covariance = (
    np.cov(x.reshape([-1, _FLOW_SIZE]), rowvar=False, ddof=0)
    for x in (in_examples, out_examples)
  )
  assert result.difference.covariance == pytest.approx(
    0.5 * np.sum(_flow_hessian() * (out_covariance - in_covariance)), rel=1e-5
  )


@pytest.mark.exhaustive
def test_flow_in_float32():
  np.testing.assert_allclose(
    _flow_difference(tf.float32).difference,
    _flow_difference(tf.float64).difference,
    rtol=1e-3,
  )


# ------------------------------------------------------------- image moments


def _as_data_set(images):
  return tf.data.Dataset.from_tensor_slices(images)


@pytest.mark.parametrize(
  'wrap',
  [
    lambda images: images,
    lambda images: tf.constant(images),
    lambda images: _as_data_set(images).batch(64),
    lambda images: _as_data_set((images, np.arange(300))).batch(299),
    lambda images: _as_data_set((images, images, images)).batch(1),
  ],
)
@pytest.mark.parametrize('dtype', [np.uint8, np.float32])
def test_image_moments_agree_with_numpy(wrap, dtype):
  images = np.random.default_rng(0).integers(0, 256, [300, 3, 2, 1])
  moments = stats.image_moments(wrap(images.astype(dtype)))
  np.testing.assert_allclose(moments.mean, images.mean(axis=0), rtol=1e-13)
  np.testing.assert_allclose(moments.variance, images.var(axis=0), rtol=1e-13)
  assert moments.num_examples == 300
  assert moments.mean.dtype == moments.variance.dtype == np.float64


def test_image_moments_are_stable():
  # Sums of squares of numbers about 1e8 would lose the variance altogether.
  images = 1e8 + _normal([1000, 2, 2, 1])
  moments = stats.image_moments(_as_data_set(images).batch(10))
  np.testing.assert_allclose(moments.variance, images.var(axis=0), rtol=1e-6)


def test_image_moments_skip_empty_batches():
  images = _normal([3, 2, 2, 1])
  dataset = (
    _as_data_set(images[:0])
    .batch(2)
    .concatenate(tf.data.Dataset.from_tensors(images))
  )
  np.testing.assert_allclose(
    stats.image_moments(dataset).variance, images.var(axis=0)
  )


# -------------------------------------------------------------------- errors


_IMAGES = np.zeros([5, 2, 2, 1])
_BAD_IMAGES = {
  'one image': (_IMAGES[0], r'batches of images.*got shape \(2, 2, 1\)'),
  'number': (3.0, r'batches of images.*got shape \(\)'),
  'empty': (_IMAGES[:0], 'is empty'),
  'empty data set': (_as_data_set(_IMAGES[:0]).batch(2), 'is empty'),
  'unbatched': (_as_data_set(_IMAGES), r'got shape \(2, 2, 1\)'),
  'endless': (_as_data_set(_IMAGES).batch(2).repeat(), 'never ends'),
  'dictionaries': (
    _as_data_set({'image': _IMAGES}).batch(2),
    r"dictionaries with keys \['image'\]",
  ),
  'not a number': (np.full([5, 2, 2, 1], np.nan), 'finite; 20 of 20'),
  'infinite': (_as_data_set(_IMAGES - np.inf).batch(5), 'finite; 20 of 20'),
  'shapes': (
    tf.data.Dataset.from_generator(
      lambda: (np.zeros([1, 2, size, 1]) for size in (2, 3)),
      output_signature=tf.TensorSpec([1, 2, None, 1], tf.float64),
    ),
    r'one shape; got \(2, 2, 1\) and \(2, 3, 1\)',
  ),
}


@pytest.mark.parametrize('what', list(_BAD_IMAGES))
def test_bad_images_are_refused(what):
  images, message = _BAD_IMAGES[what]
  with pytest.raises(ValueError, match=f'`images`.*{message}'):
    stats.image_moments(images)
  with pytest.raises(ValueError, match=f'`out_of_distribution`.*{message}'):
    _difference_from_examples(_sum, _IMAGES, images)


def _sum(images):
  return tf.reduce_sum(images, axis=[1, 2, 3])


_ZEROS, _ONES = np.zeros([2, 2, 1]), np.ones([2, 2, 1])


@pytest.mark.parametrize(
  'moments, message',
  [
    ((_ZEROS, -_ONES), 'variance of `out_of.*not be negative; .* is -1.0'),
    ((_ZEROS, _ONES * np.nan), 'variance of `out_of.*finite; 4 of 4'),
    ((_ZEROS + np.inf, _ONES), 'mean of `out_of.*finite; 4 of 4'),
    ((_ZEROS, _ONES[0]), r'one shape.*\(2, 2, 1\) and \(2, 1\)'),
    ((_ZEROS[0], _ONES[0]), r'one shape; got \(2, 2, 1\) and \(2, 1\)'),
    (_ONES, r'`ImageMoments` or a pair \(mean, variance\); got ndarray'),
    ((_ONES,), r'pair \(mean, variance\); got tuple'),
  ],
)
def test_bad_moments_are_refused(moments, message):
  with pytest.raises(ValueError, match=message):
    _difference(_sum, (_ZEROS, _ONES), moments)


@pytest.mark.parametrize(
  'arguments, message',
  [
    (dict(num_probes=1), 'num_probes.*at least 2; got 1'),
    (dict(num_probes=2.5), 'num_probes.*whole number.*got 2.5'),
    (dict(batch_size=0), 'batch_size.*at least 1; got 0'),
    (dict(dtype=tf.float16), 'dtype.*float16'),
    (dict(dtype=tf.uint8), 'dtype.*uint8'),
    (dict(point=_ONES[0]), r'`point`.*shape.*\(2, 2, 1\); got \(2, 1\)'),
    (dict(point=_ONES * np.nan), '`point` must be finite'),
  ],
)
def test_bad_arguments_are_refused(arguments, message):
  with pytest.raises(ValueError, match=message):
    _difference(_sum, (_ZEROS, _ONES), (_ZEROS, _ONES), **arguments)
  if 'num_probes' not in arguments:
    with pytest.raises(ValueError, match=message):
      _difference_from_examples(_sum, _IMAGES, _IMAGES, **arguments)


@pytest.mark.parametrize(
  'log_prob, message',
  [
    (lambda x: x, r'one floating-point number an image.*\(None, 2, 2, 1\)'),
    (lambda x: tf.reduce_sum(x), 'one floating-point number an image'),
    (lambda x: tf.cast(_sum(x), tf.int32), 'floating-point.*int32'),
    (lambda x: tf.round(_sum(x)), 'not differentiable'),
    (lambda x: tf.ones(tf.shape(x)[0]), 'not differentiable'),
    (lambda x: tf.math.log(_sum(x)), 'a value at `point` that is not finite'),
    (lambda x: tf.sqrt(_sum(x)), 'a gradient at `point` that is not finite'),
    (lambda x: _sum(x) ** 1.5, 'a Hessian at `point` that is not finite'),
  ],
)
def test_bad_log_probs_are_refused(log_prob, message):
  with pytest.raises(ValueError, match=message):
    _difference(log_prob, (_ZEROS, _ONES), (_ZEROS, _ONES))
  with pytest.raises(ValueError, match=message):
    _difference_from_examples(log_prob, _IMAGES, _IMAGES)


def test_a_linear_log_prob_has_no_second_order():
  result = _difference(_sum, (_ZEROS, _ONES), (_ONES, _ONES))
  assert result.difference.gradient == 4.0
  assert result.difference.mean == result.difference.covariance == 0.0


def test_one_example_is_refused():
  with pytest.raises(ValueError, match='`in_distribution` holds one image'):
    _difference_from_examples(_sum, _IMAGES[:1], _IMAGES)


def test_a_data_set_that_changes_is_refused():
  length = iter([5, 4])
  dataset = tf.data.Dataset.from_generator(
    lambda: [_IMAGES[: next(length)]],
    output_signature=tf.TensorSpec([None, 2, 2, 1], tf.float64),
  )
  with pytest.raises(ValueError, match='`in_dist.*gave 5 images.* 4 when read'):
    _difference_from_examples(_sum, dataset, _IMAGES)
