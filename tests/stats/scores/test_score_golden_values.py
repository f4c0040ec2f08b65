# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Every score beside a closed form, a file or another library's numbers."""

import io
import math
import threading

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from PIL import Image
from scipy import stats as scipy_stats
from sklearn import neighbors, svm

from tfp_ood import stats
from tfp_ood.stats import compression

tfd = tfp.distributions

_LOG_2_PI = math.log(2 * math.pi)


def _gaussian_log_prob(x, mean=0.0, deviation=1.0):
  """Of a Gaussian with independent coordinates, in NumPy."""
  z = (x - mean) / deviation
  constant = np.broadcast_to(np.log(deviation) + _LOG_2_PI / 2, x.shape)
  return -np.sum(z**2 / 2 + constant, axis=-1)


def _points(count=20, size=10, seed=0):
  return np.random.default_rng(seed).normal(size=[count, size])


# --------------------------------------------------------------- likelihood


def test_negative_log_likelihood_of_a_gaussian():
  x = _points()
  gaussian = tfd.MultivariateNormalDiag(tf.fill([10], tf.ones([], 'float64')))
  score = stats.NegativeLogLikelihood()({'log_prob': gaussian.log_prob(x)})
  assert score.dtype == tf.float64
  expected = (np.sum((x - 1) ** 2, axis=1) + 10 * _LOG_2_PI) / 2
  np.testing.assert_allclose(score, expected, rtol=1e-14)


# --------------------------------------------------------------- typicality


@pytest.mark.parametrize('radius', [0.0, 5.0, 10.0, 15.0])
def test_typicality_of_a_gaussian_is_that_of_the_radius(radius):
  # In 100 dimensions the typical set is the shell of radius 10.
  entropy = 0.5 * 100 * math.log(2 * math.pi * math.e)
  x = np.zeros([1, 100])
  x[0, 3] = radius
  expected = abs(radius**2 / 2 - 50)
  log_prob = _gaussian_log_prob(x)
  score = stats.typicality(log_prob, entropy)
  assert score.dtype == tf.float64
  np.testing.assert_allclose(score, [expected], atol=1e-11)
  of_class = stats.Typicality(entropy)({'log_prob': log_prob})
  np.testing.assert_array_equal(of_class, score)


def test_typicality_learns_the_entropy_of_a_gaussian():
  samples = _points(20_000, 30)
  score = stats.Typicality().fit({'log_prob': _gaussian_log_prob(samples)})
  exact = 0.5 * 30 * math.log(2 * math.pi * math.e)
  # -log p has the variance 15; five standard errors.
  assert abs(score.entropy - exact) < 5 * math.sqrt(15 / 20_000)
  assert score.entropy == -np.mean(_gaussian_log_prob(samples))


def test_typicality_keeps_double_precision():
  # Neighbours in float32 at -7000 are half a thousandth apart.
  score = stats.Typicality(7000.0)
  log_prob = np.array([-7000.0 - 1e-9])
  np.testing.assert_allclose(score({'log_prob': log_prob}), [1e-9], rtol=1e-3)


# ---------------------------------------------------------- likelihood ratio


def test_likelihood_ratio_of_two_gaussians():
  # A narrow model and a wide background: what lies outside is the background's.
  x = np.linspace(-6.0, 6.0, 25)[:, np.newaxis]
  log_prob = _gaussian_log_prob(x)
  background = _gaussian_log_prob(x, deviation=3.0)
  score = stats.LikelihoodRatio()(
    {'log_prob': log_prob, 'background_log_prob': background}
  ).numpy()
  expected = -math.log(3) - x[:, 0] ** 2 / 18 + x[:, 0] ** 2 / 2
  np.testing.assert_allclose(score, expected, rtol=1e-12, atol=1e-12)
  # Larger is more out-of-distribution; zero where the densities cross.
  assert np.argmin(score) == 12 and score[12] == pytest.approx(-math.log(3))
  assert (np.diff(score[12:]) > 0).all()
  crossing = math.sqrt(9 / 4 * math.log(3))
  np.testing.assert_array_equal(score > 0, np.abs(x[:, 0]) > crossing)


def test_likelihood_ratio_of_the_impossible():
  infinity = math.inf
  score = stats.likelihood_ratio(
    [-infinity, -infinity, -1.0], [-infinity, 0.0, -infinity]
  )
  np.testing.assert_array_equal(score, [infinity, infinity, -infinity])
  with pytest.raises(ValueError, match='`log_prob` and `background_log_prob`'):
    stats.likelihood_ratio([1.0, 2.0], [1.0])


# --------------------------------------------------------- likelihood regret


class _LinearLatentModel:
  """x = W z + noise, with an encoder; the best posterior is known exactly."""

  event_shape = tf.TensorShape([2, 2, 1])
  statistics_names = ('optimized_log_prob',)

  def __init__(self, encoder=None, encoder_scale=None):
    random = np.random.default_rng(3)
    self.loadings = random.normal(size=[4, 2])
    self.variance = 0.25
    precision = np.eye(2) + self.loadings.T @ self.loadings / self.variance
    self.covariance = np.linalg.inv(precision)
    self.regression = self.covariance @ self.loadings.T / self.variance
    self.encoder = self.regression if encoder is None else encoder
    self.encoder_scale = encoder_scale
    if encoder_scale is None:
      self.encoder_scale = np.linalg.cholesky(self.covariance)

  def posterior(self, images):
    return tfd.MultivariateNormalTriL(
      self._flat(images) @ self.regression.T,
      np.linalg.cholesky(self.covariance),
    )

  def encoded(self, images):
    return tfd.MultivariateNormalTriL(
      self._flat(images) @ self.encoder.T, self.encoder_scale
    )

  def log_prob(self, images):
    return self._bound(images, self.encoded(images))

  def optimized_log_prob(self, images):
    return self._bound(images, self.posterior(images))

  def statistics(self, images, names):
    return dict.fromkeys(names, self.optimized_log_prob(images))

  def _bound(self, images, posterior):
    """E log p(x | z) - KL(posterior, prior), term by term."""
    residual = self._flat(images) - posterior.mean() @ self.loadings.T
    spread = self.loadings @ posterior.covariance() @ self.loadings.T
    expected = -0.5 * (
      tf.reduce_sum(residual**2, axis=-1) + tf.linalg.trace(spread)
    ) / self.variance - 2 * math.log(2 * math.pi * self.variance)
    prior = tfd.MultivariateNormalTriL(np.zeros(2), np.eye(2))
    return expected - posterior.kl_divergence(prior)

  def _flat(self, images):
    return tf.reshape(tf.cast(images, tf.float64), [-1, 4])


def _regret(model, images):
  statistics = stats.Statistics(model)
  score = stats.LikelihoodRegret()
  return score(statistics(images, score.statistics))


def test_likelihood_regret_is_the_divergence_of_the_encoder():
  # log p(x) = bound + KL(encoder, posterior), and the best bound is log p(x).
  random = np.random.default_rng(4)
  model = _LinearLatentModel(
    encoder=random.normal(size=[2, 4]), encoder_scale=0.7 * np.eye(2)
  )
  images = random.normal(size=[6, 2, 2, 1])
  marginal = tfd.MultivariateNormalTriL(
    np.zeros(4),
    np.linalg.cholesky(
      model.loadings @ model.loadings.T + model.variance * np.eye(4)
    ),
  )
  np.testing.assert_allclose(
    model.optimized_log_prob(images),
    marginal.log_prob(images.reshape([6, 4])),
    rtol=1e-10,
  )
  expected = model.encoded(images).kl_divergence(model.posterior(images))
  assert np.min(expected) > 0.1
  np.testing.assert_allclose(_regret(model, images), expected, rtol=1e-9)


def test_likelihood_regret_of_the_best_encoder_is_nothing():
  images = np.random.default_rng(5).normal(size=[6, 2, 2, 1])
  regret = _regret(_LinearLatentModel(), images)
  np.testing.assert_allclose(regret, np.zeros(6), atol=1e-12)


# --------------------------------------------------------------------- WAIC


@pytest.mark.parametrize('distance', [0.1, 1.0, 4.0])
def test_waic_of_gaussians_with_means_apart(distance):
  # Means of +-a along the first axis: log p is -(|x|^2 + a^2) / 2 +- a x_1.
  x = _points(size=5)
  shift = distance * np.eye(5)[0]
  log_probs = np.stack(
    [_gaussian_log_prob(x, mean) for mean in (shift, -shift)], axis=-1
  )
  mean = -(np.sum(x**2, axis=1) + distance**2 + 5 * _LOG_2_PI) / 2
  variance = (distance * x[:, 0]) ** 2
  terms = stats.waic(log_probs)
  np.testing.assert_allclose(terms.mean, mean, rtol=1e-12)
  np.testing.assert_allclose(terms.variance, variance, rtol=1e-9, atol=1e-13)
  np.testing.assert_allclose(terms.score, variance - mean, rtol=1e-12)
  score = stats.Waic()({'ensemble_log_probs': log_probs})
  np.testing.assert_array_equal(score, terms.score)


def test_waic_of_what_one_member_holds_impossible_is_infinite():
  infinity = math.inf
  log_probs = [
    [-infinity, infinity],
    [infinity, -infinity],
    [-infinity, -infinity],
    [-infinity, -5.0],
  ]
  for dtype in (np.float32, np.float64):
    values = np.array(log_probs, dtype)
    for score in (
      stats.waic(values).score,
      stats.waic(values.T, axis=0).score,
      stats.Waic()({'ensemble_log_probs': values}),
    ):
      assert score.dtype == dtype
      np.testing.assert_array_equal(score, np.full(4, infinity))
  # An infinite density alone has no variance, and is not impossible.
  assert math.isnan(stats.waic([infinity, -5.0]).score)


def test_waic_has_no_bessel_correction_and_takes_any_axis():
  random = np.random.default_rng(6)
  log_probs = random.normal(-5000.0, 30.0, size=[5, 7])
  terms = stats.waic(log_probs, axis=0)
  np.testing.assert_allclose(terms.mean, log_probs.mean(axis=0), rtol=1e-13)
  np.testing.assert_allclose(terms.variance, log_probs.var(axis=0), rtol=1e-9)
  transposed = stats.waic(log_probs.T)
  np.testing.assert_allclose(terms.score, transposed.score, rtol=1e-12)
  # In float32 too: no large squares are subtracted from each other.
  single = stats.waic(log_probs.astype(np.float32), axis=0)
  np.testing.assert_allclose(single.variance, terms.variance, rtol=1e-3)


# --------------------------------------------------------------- score norm


def test_score_norm_of_a_gaussian():
  random = np.random.default_rng(7)
  shape = [2, 3, 1]
  mean, deviation = random.normal(size=shape), random.uniform(0.5, 2, shape)
  gaussian = tfd.Independent(tfd.Normal(mean, deviation), 3)
  x = random.normal(size=[8, *shape])
  gradient = -(x - mean) / deviation**2
  expected = np.sqrt(np.sum(gradient**2, axis=(1, 2, 3)))
  both = stats.log_prob_and_score_norm(gaussian.log_prob, x)
  assert both.score_norm.dtype == tf.float64
  np.testing.assert_allclose(both.score_norm, expected, rtol=1e-12)
  np.testing.assert_allclose(both.log_prob, gaussian.log_prob(x), rtol=1e-14)
  score = stats.ScoreNorm()
  statistics = stats.Statistics(gaussian)(x, score.statistics)
  np.testing.assert_allclose(score(statistics), expected, rtol=1e-12)


def test_score_norm_is_that_of_the_log_prob_among_others():
  calls = []

  def values(x):
    calls.append(x)
    # The gradients cancel: the sum depends on the first coordinate alone.
    first, second = x[:, 0] * 3.0 + x[:, 1], -x[:, 1]
    return {'first': first, 'log_prob': first + second, 'columns': x}

  x = tf.constant(_points(4, 2))
  result = stats.log_prob_and_score_norm(values, x)
  np.testing.assert_allclose(result.score_norm, np.full(4, 3.0), rtol=1e-12)
  assert set(result.log_prob) == {'first', 'log_prob', 'columns'}
  np.testing.assert_allclose(
    result.log_prob['log_prob'], 3.0 * x[:, 0], rtol=1e-14
  )
  np.testing.assert_array_equal(result.log_prob['columns'], x)
  assert len(calls) == 1


def test_score_norm_does_not_overflow_in_half_precision():
  norm = stats.score_norm(
    lambda x: tf.reduce_sum(300.0 * x, axis=1), tf.ones([2, 4], tf.float16)
  )
  assert norm.dtype == tf.float32
  np.testing.assert_allclose(norm, [600.0, 600.0])


def test_score_norm_needs_a_gradient():
  with pytest.raises(ValueError, match='does not depend on `x`'):
    stats.score_norm(lambda x: tf.zeros(tf.shape(x)[:1]), tf.zeros([2, 3]))


# --------------------------------------------------------------- compression


def _pictures(channels, size=16):
  """A flat, a smooth, a repeating and a noisy image, which differ in size."""
  random = np.random.default_rng(8)
  ramp = np.add.outer(np.arange(size), 2 * np.arange(size)) * 4 % 256
  images = np.zeros([4, size, size, channels], np.uint8)
  images[1] = ramp[..., np.newaxis]
  images[2, ::2, 1::3] = 200
  images[3] = random.integers(0, 256, images.shape[1:])
  return images


def _bits(num_bytes, images):
  return 8 * np.asarray(num_bytes) / images[0].size


@pytest.mark.parametrize('channels', [1, 2, 3, 4])
def test_png_bits_are_those_of_a_file_without_loss(channels):
  images = _pictures(channels)
  files = [tf.io.encode_png(image, compression=9) for image in images]
  for image, file in zip(images, files, strict=True):
    np.testing.assert_array_equal(tf.io.decode_png(file), image)
  num_bytes = [len(file.numpy()) for file in files]
  assert len(set(num_bytes)) == 4
  bits = stats.png_bits_per_dim(images)
  np.testing.assert_allclose(bits, _bits(num_bytes, images), rtol=1e-6)
  # Whole numbers in floating point are the same pixels.
  for dtype in (np.float32, np.float16, np.int32):
    np.testing.assert_array_equal(
      stats.png_bits_per_dim(images.astype(dtype)), bits
    )


def _decoded(file, channels):
  with Image.open(file) as image:
    pixels = np.asarray(image.convert('L' if channels == 1 else 'RGB'))
  return pixels.reshape([*pixels.shape[:2], channels])


@pytest.mark.parametrize('size', [4, 8, 33])
@pytest.mark.parametrize('channels', [1, 3])
@pytest.mark.parametrize('compressor', stats.COMPRESSORS)
def test_each_compressor_writes_files_without_loss(
  compressor, channels, size, tmp_path
):
  images = _pictures(channels, size)
  num_bytes = []
  for index, image in enumerate(images):
    path = tmp_path / f'{index}'
    pixels = image[..., 0] if channels == 1 else image
    Image.fromarray(pixels).save(
      path, **compression._PILLOW_OPTIONS[compressor]
    )
    np.testing.assert_array_equal(_decoded(path, channels), image)
    num_bytes.append(path.stat().st_size)
  np.testing.assert_allclose(
    stats.compressed_bits_per_dim(images, [compressor]),
    _bits(num_bytes, images),
    rtol=1e-6,
  )


def test_the_check_of_losslessness_can_fail():
  image = _pictures(3)[3]
  file = io.BytesIO()
  Image.fromarray(image).save(file, format='WEBP', quality=90)
  file.seek(0)
  assert np.any(_decoded(file, 3) != image)


@pytest.mark.parametrize('channels', [1, 3])
def test_compressed_bits_are_those_of_the_best_compressor(channels):
  images = _pictures(channels, 32)
  bits = stats.compressed_bits_per_dim(images)
  assert bits.shape == [4] and bits.dtype == tf.float32
  of_each = np.stack(
    [
      stats.compressed_bits_per_dim(images, [name])
      for name in stats.COMPRESSORS
    ]
  )
  np.testing.assert_array_equal(bits, of_each.min(axis=0))
  if channels == 3:
    # No compressor is the best of all of them.
    assert len(set(of_each.argmin(axis=0))) > 1
  two = stats.compressed_bits_per_dim(images, stats.COMPRESSORS[:2])
  np.testing.assert_array_equal(two, of_each[:2].min(axis=0))


def test_images_are_compressed_in_parallel_and_stay_in_order(monkeypatch):
  images = np.concatenate([_pictures(3), np.zeros_like(_pictures(3))])
  one_by_one = [
    stats.compressed_bits_per_dim(x[np.newaxis], ['png']) for x in images
  ]
  # Each waits until another is being compressed, too.
  others, num_bytes = threading.Barrier(2, timeout=60), compression._num_bytes

  def meet(image, compressor):
    others.wait()
    return num_bytes(image, compressor)

  monkeypatch.setattr(compression, '_num_bytes', meet)
  together = stats.compressed_bits_per_dim(images, ['png'])
  np.testing.assert_array_equal(together, np.concatenate(one_by_one))
  assert len(images) % 2 == 0 and len(np.unique(together)) > 2


def test_compressed_bits_in_a_pipeline():
  images = _pictures(3)
  mapped = tf.data.Dataset.from_tensor_slices(images).batch(3)
  mapped = mapped.map(stats.compressed_bits_per_dim)
  assert mapped.element_spec.shape.as_list() == [None]
  parts = list(mapped)
  assert [len(part) for part in parts] == [3, 1]
  np.testing.assert_array_equal(
    np.concatenate(parts), stats.compressed_bits_per_dim(images)
  )
  for function in (stats.compressed_bits_per_dim, stats.png_bits_per_dim):
    assert function(images[:0]).shape == [0]


@pytest.mark.parametrize(
  'function', [stats.png_bits_per_dim, stats.compressed_bits_per_dim]
)
@pytest.mark.parametrize('shape', [[8, 8, 3], [2, 8, 8], [2, 8, 8, 5]])
def test_compressors_refuse_other_shapes(function, shape):
  with pytest.raises(ValueError, match='`images` must have'):
    function(np.zeros(shape, np.uint8))


def test_compressors_refuse_what_they_do_not_know():
  images = np.zeros([1, 8, 8, 3], np.uint8)
  with pytest.raises(ValueError, match='must be some of jpeg2000, png, webp'):
    stats.compressed_bits_per_dim(images, ['png', 'gif'])
  with pytest.raises(ValueError, match=r'must be some of .*got \[\]'):
    stats.compressed_bits_per_dim(images, [])
  with pytest.raises(ValueError, match='1 or 3 channels'):
    stats.compressed_bits_per_dim(np.zeros([1, 8, 8, 2], np.uint8))
  with pytest.raises(ValueError, match='static but for the batch'):
    tf.function(
      stats.png_bits_per_dim,
      input_signature=[tf.TensorSpec([None, None, 8, 3], tf.uint8)],
    ).get_concrete_function()


@pytest.mark.parametrize('compressed', ['png', 'compressed'])
def test_input_complexity_of_a_gaussian(compressed):
  images = _pictures(3)
  gaussian = tfd.Sample(tfd.Normal(np.float64(100), 60.0), [16, 16, 3])
  score = stats.InputComplexity(f'{compressed}_bits_per_dim')
  values = score(stats.Statistics(gaussian)(images, score.statistics))
  log_prob = _gaussian_log_prob(
    images.reshape([4, -1]).astype(np.float64), 100.0, 60.0
  )
  if compressed == 'png':
    num_bytes = [
      len(tf.io.encode_png(i, compression=9).numpy()) for i in images
    ]
    size = _bits(num_bytes, images)
  else:
    size = stats.compressed_bits_per_dim(images)
  expected = -log_prob / 768 / math.log(2) - size
  np.testing.assert_allclose(values, expected, rtol=1e-5)
  # Noise costs a compressor more than the model, a flat image less.
  assert values[3] < 0 < values[0]


# ----------------------------------------------------------- density of states


def _states(count, seed):
  """Correlated statistics of very different scale, as dictionary and matrix."""
  random = np.random.default_rng(seed)
  x = random.normal(size=[count, 2])
  values = {
    'density': -5000 + 30 * x[:, 0],
    'volume': 0.2 + 0.01 * (x[:, 0] + 0.5 * x[:, 1]),
  }
  return values, np.stack(list(values.values()), axis=1)


def _standardized(matrix, known):
  return (matrix - known.mean(axis=0)) / known.std(axis=0)


@pytest.mark.parametrize('count', [2, 40, 700])
def test_density_of_states_beside_scikit_learn(count):
  known, known_matrix = _states(count, 0)
  fresh, fresh_matrix = _states(30, 1)
  fresh = {name: 2 * value - value.mean() for name, value in fresh.items()}
  fresh_matrix = 2 * fresh_matrix - fresh_matrix.mean(axis=0)
  points = _standardized(known_matrix, known_matrix)
  queries = _standardized(fresh_matrix, known_matrix)
  kde = neighbors.KernelDensity(bandwidth='scott').fit(points)
  assert kde.bandwidth_ == pytest.approx(count ** (-1 / 6))
  score = stats.DensityOfStates().fit(known)
  np.testing.assert_allclose(
    score(fresh), -kde.score_samples(queries), rtol=1e-6, atol=1e-6
  )
  machine = svm.OneClassSVM(nu=0.1).fit(points)
  score = stats.DensityOfStates(method='one_class_svm').fit(known)
  np.testing.assert_allclose(
    score(fresh), -machine.decision_function(queries), rtol=1e-5, atol=1e-6
  )


def test_density_of_states_far_away_does_not_underflow():
  known, matrix = _states(50, 0)
  score = stats.DensityOfStates().fit(known)
  far = {'density': [1e6], 'volume': [0.2]}
  kde = neighbors.KernelDensity(bandwidth='scott')
  kde.fit(_standardized(matrix, matrix))
  queries = _standardized(np.array([[1e6, 0.2]]), matrix)
  expected = -kde.score_samples(queries)
  assert np.isfinite(expected) and expected > 1e6
  np.testing.assert_allclose(
    score({k: np.array(v) for k, v in far.items()}), expected, rtol=1e-6
  )


def test_density_of_states_uses_examples_spread_evenly():
  known, _ = _states(50, 0)
  spread = {name: value[::3] for name, value in known.items()}
  limited = stats.DensityOfStates(max_examples=20).fit(known)
  fresh, _ = _states(5, 1)
  np.testing.assert_array_equal(
    limited(fresh), stats.DensityOfStates().fit(spread)(fresh)
  )


def test_density_of_states_refuses():
  with pytest.raises(ValueError, match="mahalanobis, auto; got 'gmm'"):
    stats.DensityOfStates(method='gmm')
  with pytest.raises(ValueError, match='a tuple of at least one name; got'):
    stats.DensityOfStates(statistics=())
  with pytest.raises(ValueError, match="at least one name; got 'density'"):
    stats.DensityOfStates(statistics='density')
  known, _ = _states(50, 0)
  with pytest.raises(ValueError, match='volume is the same for all examples'):
    stats.DensityOfStates().fit({**known, 'volume': np.full(50, 3.0)})
  with pytest.raises(ValueError, match='at least two examples; of 1 given'):
    stats.DensityOfStates().fit({k: v[:1] for k, v in known.items()})


def _layers(count, seed):
  """Correlated terms of three layers, and one number beside them."""
  random = np.random.default_rng(seed)
  x = random.normal(size=[count, 4])
  mixing = np.random.default_rng(100).normal(size=[4, 4])
  matrix = x @ mixing * [1.0, 30.0, 1e-3, 5.0] + [7.0, -500.0, 0.1, 3.0]
  return {'layer_etas': matrix[:, :3], 'log_prob': matrix[:, 3]}, matrix


_LAYERS = ('layer_etas', 'log_prob')


def _ledoit_wolf(points):
  """Their covariance from their formulas, in NumPy."""
  count, size = points.shape
  sample = points.T @ points / count
  scale = np.trace(sample) / size
  distance = np.sum((sample - scale * np.eye(size)) ** 2)
  error = np.mean([np.sum((np.outer(x, x) - sample) ** 2) for x in points])
  shrinkage = min(error / count, distance) / distance
  return (1 - shrinkage) * sample + shrinkage * scale * np.eye(size)


def _to_normal(values, known):
  """Scipy's power for the examples known; beyond them, a straight line."""
  moved, power = scipy_stats.yeojohnson(known)
  lowest, highest = known.min(), known.max()
  step = 1e-5
  before, low, high, after = scipy_stats.yeojohnson(
    np.array([lowest - step, lowest, highest, highest + step]), power
  )
  beyond = np.where(
    values < lowest,
    low + (low - before) / step * (values - lowest),
    high + (after - high) / step * (values - highest),
  )
  is_within = (lowest <= values) & (values <= highest)
  # Scipy takes no numbers that its power cannot hold.
  within = scipy_stats.yeojohnson(np.clip(values, lowest, highest), power)
  return moved, np.where(is_within, within, beyond)


@pytest.mark.parametrize('count', [6, 50, 2000])
def test_gaussian_density_of_states_is_that_of_a_normal(count):
  known, known_matrix = _layers(count, 0)
  fresh, fresh_matrix = _layers(30, 1)
  points = _standardized(known_matrix, known_matrix)
  images = _standardized(fresh_matrix, known_matrix)
  if count < 2000:
    assert np.any((images < points.min(axis=0)) | (images > points.max(axis=0)))
  for column in range(4):
    points[:, column], images[:, column] = _to_normal(
      images[:, column], points[:, column]
    )
  mean = points.mean(axis=0)
  normal = tfd.MultivariateNormalTriL(
    mean, np.linalg.cholesky(_ledoit_wolf(points - mean))
  )
  expected = -normal.log_prob(images)
  score = stats.DensityOfStates(_LAYERS, method='gaussian').fit(known)
  np.testing.assert_allclose(score(fresh), expected, rtol=1e-4, atol=1e-4)


def _skewed(count, seed, sign=1):
  random = np.random.default_rng(seed)
  return sign * np.exp(random.normal(size=[count, 10]))


@pytest.mark.parametrize('sign', [1, -1])
def test_gaussian_density_of_states_does_not_level_off_far_away(sign):
  # The power that makes a lognormal normal has a limit, near what is known.
  names = ('features',)
  score = stats.DensityOfStates(names, 'gaussian')
  score.fit({'features': _skewed(500, 0, sign)})
  calibration = score({'features': _skewed(999, 1, sign)})
  typical = np.median(_skewed(500, 0, sign), axis=0)
  far = np.tile(typical, [4, 1])
  far[:, 3] = sign * np.array([1e4, 1e6, 1e9, 1e30])
  scores = score({'features': far})
  np.testing.assert_array_equal(
    stats.conformal_p_values(calibration, scores), np.full(4, 1e-3)
  )
  assert (np.diff(scores) > 0).all()


def test_gaussian_density_of_states_goes_on_smoothly_at_the_ends():
  known = {'features': _skewed(500, 0)}
  score = stats.DensityOfStates(('features',), 'gaussian').fit(known)
  for end in (
    known['features'].min(axis=0)[0],
    known['features'].max(axis=0)[0],
  ):
    steps = 1e-3 * np.arange(-3, 4)
    features = np.tile(np.median(known['features'], axis=0), [7, 1])
    features[:, 0] = end + steps
    # In double precision; of the score itself single would be too coarse.
    values = np.array([_exact(score, row) for row in features])
    slopes = np.diff(values) / 1e-3
    np.testing.assert_allclose(slopes, slopes.mean(), rtol=0.02)


def _exact(score, row):
  """The score of one example, by its formula in NumPy."""
  z = (row - score.mean) / score.deviation
  within = np.clip(z, score.lowest, score.highest)
  step = 1e-6
  transform = np.array(
    [
      [scipy_stats.yeojohnson(np.array([w - step, w, w + step]), p)]
      for w, p in zip(within, score.powers, strict=True)
    ]
  )[:, 0]
  slope = (transform[:, 2] - transform[:, 0]) / (2 * step)
  d = transform[:, 1] + slope * (z - within) - score.points[0]
  return d @ score.precision @ d + score.offset


def test_gaussian_density_of_states_is_two_sided_and_uses_correlation():
  random = np.random.default_rng(0)
  first = random.normal(size=4000)
  second = first + 0.1 * random.normal(size=4000)
  score = stats.DensityOfStates(('density', 'volume'), method='gaussian')
  score.fit({'density': first, 'volume': second})
  middle, low, high, apart = score(
    {'density': [0.0, -3.0, 3.0, 1.0], 'volume': [0.0, -3.0, 3.0, -1.0]}
  ).numpy()
  assert middle < min(low, high)
  assert low == pytest.approx(high, abs=0.5)
  # Each value by itself is usual.
  assert apart > 10 * high


def test_gaussian_density_of_states_of_uniform_scale():
  # What the columns are measured in changes nothing.
  known, _ = _layers(50, 0)
  fresh, _ = _layers(10, 1)
  scale = np.array([1e4, -1e-3, 20.0])
  scores = []
  for factor in (1.0, scale):
    score = stats.DensityOfStates(_LAYERS, method='gaussian')
    score.fit({**known, 'layer_etas': known['layer_etas'] * factor})
    scores.append(score({**fresh, 'layer_etas': fresh['layer_etas'] * factor}))
  # A column turned round takes another power, found by another search.
  np.testing.assert_allclose(*scores, rtol=1e-4)


def test_gaussian_density_of_states_makes_columns_normal():
  random = np.random.default_rng(0)
  known = {'density': np.exp(0.5 * random.normal(size=5000))}
  score = stats.DensityOfStates(('density',), 'gaussian').fit(known)
  median, small, large = np.quantile(known['density'], [0.5, 0.01, 0.99])
  scores = score({'density': [median, small, large]}).numpy()
  # Both tails, however long one of them is.
  assert scores[1] - scores[0] == pytest.approx(2.7, abs=1.0)
  assert scores[2] - scores[0] == pytest.approx(2.7, abs=1.0)


def test_gaussian_density_of_states_uses_all_examples():
  known, _ = _layers(50, 0)
  fresh, _ = _layers(5, 1)
  limited = stats.DensityOfStates(_LAYERS, 'gaussian', max_examples=20)
  np.testing.assert_array_equal(
    limited.fit(known)(fresh),
    stats.DensityOfStates(_LAYERS, 'gaussian').fit(known)(fresh),
  )


@pytest.mark.parametrize('count', [6, 50, 2000])
def test_mahalanobis_distance_is_that_of_the_columns_as_they_are(count):
  known, known_matrix = _layers(count, 0)
  fresh, fresh_matrix = _layers(30, 1)
  points = _standardized(known_matrix, known_matrix)
  images = _standardized(fresh_matrix, known_matrix)
  precision = np.linalg.inv(_ledoit_wolf(points))
  expected = np.einsum('ni,ij,nj->n', images, precision, images)
  score = stats.DensityOfStates(_LAYERS, method='mahalanobis').fit(known)
  np.testing.assert_allclose(score(fresh), expected, rtol=1e-5)
  limited = stats.DensityOfStates(_LAYERS, 'mahalanobis', max_examples=2)
  np.testing.assert_array_equal(limited.fit(known)(fresh), score(fresh))
  # The power transformation makes the other one a different order.
  gaussian = stats.DensityOfStates(_LAYERS, 'gaussian').fit(known)(fresh)
  assert np.any(np.argsort(gaussian) != np.argsort(score(fresh)))


def test_mahalanobis_distance_of_many_examples_is_chi_squared():
  random = np.random.default_rng(3)
  # No direction is much narrower than others: shrinkage would widen those.
  mixing = np.eye(5) + 0.3 * np.tri(5)
  known, fresh = (random.normal(size=[n, 5]) @ mixing for n in (20_000, 4000))
  score = stats.DensityOfStates(('latent',), 'mahalanobis')
  distances = score.fit({'latent': known})({'latent': fresh})
  assert scipy_stats.kstest(distances, 'chi2', args=(5,)).pvalue > 0.01


def test_columns_that_determine_one_another_do_no_harm():
  known, _ = _layers(500, 0)
  fresh, _ = _layers(20, 1)
  for values in (known, fresh):
    values['volume'] = values['layer_etas'].sum(axis=1)
  names = ('layer_etas', 'volume')
  score = stats.DensityOfStates(names, 'gaussian').fit(known)
  assert np.linalg.cond(score.precision) < 1e6
  rounded = {key: np.float32(value) for key, value in fresh.items()}
  np.testing.assert_allclose(score(rounded), score(fresh), rtol=1e-3)


def test_density_of_states_of_single_columns():
  known, matrix = _layers(60, 0)
  fresh, fresh_matrix = _layers(7, 1)
  for method in ('kde', 'one_class_svm', 'gaussian'):
    chosen = stats.DensityOfStates(
      ('layer_etas[2]', 'log_prob', 'layer_etas[0]'), method
    )
    assert chosen.statistics == ('layer_etas', 'log_prob')
    assert 'layer_etas[2], log_prob, layer_etas[0]' in chosen.description
    apart = stats.DensityOfStates(('a', 'b', 'c'), method)
    columns = [2, 3, 0]
    apart.fit(dict(zip('abc', matrix[:, columns].T, strict=True)))
    np.testing.assert_array_equal(
      chosen.fit(known)(fresh),
      apart(dict(zip('abc', fresh_matrix[:, columns].T, strict=True))),
    )


def test_density_of_states_names_the_columns_it_refuses():
  known, _ = _layers(50, 0)
  score = stats.DensityOfStates(_LAYERS, 'gaussian')
  for value, message in (
    (3.0, r'layer_etas\[1\] is the same for all'),
    # Within single precision, in which statistics come.
    (1e6 + 1e-3 * np.arange(50), r'layer_etas\[1\] is the same for all'),
    (np.nan, r'50 are not finite \(layer_etas\[1\]\)'),
  ):
    etas = known['layer_etas'].copy()
    etas[:, 1] = value
    with pytest.raises(ValueError, match=message):
      score.fit({**known, 'layer_etas': etas})
    assert not score.is_fitted
    kept = stats.DensityOfStates(('layer_etas[0]', 'layer_etas[2]'), 'gaussian')
    assert kept.fit({'layer_etas': etas}).is_fitted
  with pytest.raises(ValueError, match=r"no 'layer_etas\[3\]' among layer_"):
    stats.DensityOfStates(('layer_etas[3]',)).fit(known)
  with pytest.raises(ValueError, match=r"no 'log_prob\[0\]' among log_prob"):
    stats.DensityOfStates(('log_prob[0]',)).fit(known)


@pytest.mark.parametrize('method', ['gaussian', 'mahalanobis'])
def test_a_singular_covariance_is_refused(method):
  # Two examples span a line, and nothing is known of how far to shrink.
  known, _ = _layers(2, 0)
  with pytest.raises(
    ValueError, match='singular: some determine others in all 2'
  ):
    stats.DensityOfStates(_LAYERS, method).fit(known)


# ---------------------------------------------------- components of a bound


@pytest.mark.parametrize(
  'component, sign',
  [
    ('reconstruction', -1),
    ('log_prior', -1),
    ('posterior_entropy', -1),
    ('kl', 1),
  ],
)
def test_an_elbo_component_scores_what_it_takes_from_the_bound(component, sign):
  score = stats.ElboComponent(component)
  assert score.statistics == (f'elbo_{component}',)
  values = np.array([-5.0, 2.0, 90.0], np.float64)
  scores = score({f'elbo_{component}': values})
  assert scores.dtype == tf.float64
  np.testing.assert_array_equal(scores, sign * values)


def test_an_unknown_elbo_component_is_refused_where_it_is_read():
  # The model owns the names: only beside one is a component unknown.
  score = stats.ElboComponent('elbo')
  statistics = stats.Statistics(_LinearLatentModel())
  with pytest.raises(ValueError, match="there is no statistic 'elbo_elbo'"):
    statistics.check_names(score.statistics)
  with pytest.raises(KeyError, match='elbo_elbo'):
    score({'elbo': np.zeros(3)})


# ---------------------------------------------- a classifier and its renderings


_LOGITS = np.array([[2.0, -1.0, 0.5], [0.0, 0.0, 0.0], [90.0, -90.0, 89.0]])


@pytest.mark.parametrize('temperature', [1.0, 0.25, 10.0])
def test_scores_of_logits(temperature):
  powers = np.exp(_LOGITS / temperature)
  softmax = powers / powers.sum(axis=1, keepdims=True)
  score = stats.MaxSoftmax(temperature)({'logits': _LOGITS})
  np.testing.assert_allclose(score, -softmax.max(axis=1), rtol=1e-12)
  score = stats.Energy(temperature)({'logits': _LOGITS})
  expected = -temperature * np.log(powers.sum(axis=1))
  np.testing.assert_allclose(score, expected, rtol=1e-12)


def test_scores_of_logits_do_not_overflow():
  logits = np.array([[1e4, 0.0], [-1e4, -1e4]], np.float32)
  np.testing.assert_allclose(stats.max_softmax(logits), [-1.0, -0.5])
  np.testing.assert_allclose(stats.energy(logits), [-1e4, 1e4 - np.log(2)])
  # An impossible class is as good as none.
  for function in (stats.max_softmax, stats.energy):
    np.testing.assert_allclose(
      function([[1.0, 2.0, -np.inf]]), function([[1.0, 2.0]])
    )


def test_a_shift_of_the_logits_is_seen_by_the_energy_alone():
  shifted = _LOGITS + 5.0
  np.testing.assert_allclose(
    stats.max_softmax(shifted), stats.max_softmax(_LOGITS), rtol=1e-12
  )
  np.testing.assert_allclose(
    stats.energy(shifted), stats.energy(_LOGITS) - 5.0, rtol=1e-12
  )


@pytest.mark.parametrize('temperature', [0.0, -1.0, math.nan])
def test_a_temperature_must_be_positive(temperature):
  for function in (stats.max_softmax, stats.energy):
    with pytest.raises(ValueError, match='`temperature` must be positive, got'):
      function(_LOGITS, temperature)
  for score in (stats.MaxSoftmax, stats.Energy):
    with pytest.raises(ValueError, match='`temperature` must be positive, got'):
      score(temperature)


@pytest.mark.parametrize('logits', [1.0, np.zeros([5, 0])])
def test_scores_of_logits_need_classes(logits):
  for function in (stats.max_softmax, stats.energy):
    with pytest.raises(ValueError, match='`logits` must have the shape'):
      function(logits)


@pytest.mark.parametrize('mode', ['eta', 'mode_normalized', 'rpn', 'layerwise'])
def test_rendering_scores_are_minus_log_probabilities(mode):
  values = np.array([-5.7, -8.2])
  for score, name in (
    (stats.RenderingLatent(mode), f'latent_{mode}'),
    (stats.NegativeLogLikelihood(), 'log_prob'),
    (stats.NegativeLogLikelihood(f'latent_{mode}'), f'latent_{mode}'),
  ):
    assert score.statistics == (name,)
    np.testing.assert_array_equal(score({name: values}), [5.7, 8.2])
  assert stats.RenderingLatent().statistics == ('latent_mode_normalized',)


def test_a_rendering_score_of_an_unknown_mode_is_refused_where_it_is_read():
  score = stats.RenderingLatent('softmax')
  statistics = stats.Statistics(_LinearLatentModel())
  with pytest.raises(
    ValueError, match="there is no statistic 'latent_softmax'"
  ):
    statistics.check_names(score.statistics)


def test_rendering_reconstruction_is_of_the_layer_given():
  values = -np.arange(8.0).reshape([2, 4])
  for layer in range(4):
    score = stats.RenderingReconstruction(layer)
    assert score.description.endswith(f'column {layer}')
    np.testing.assert_array_equal(
      score({'layer_reconstructions': values}), [layer, 4 + layer]
    )
  with pytest.raises(ValueError, match='no column 4; it has 4, counted from 0'):
    stats.RenderingReconstruction(4)({'layer_reconstructions': values})
  with pytest.raises(ValueError, match='columns count from 0, got -1'):
    stats.RenderingReconstruction(-1)
  with pytest.raises(TypeError, match='integer'):
    stats.RenderingReconstruction(1.5)
  with pytest.raises(TypeError, match='layer'):
    stats.RenderingReconstruction()


@pytest.mark.parametrize('sign', [1, -1])
def test_a_statistic_is_a_score_with_either_sign(sign):
  values = np.array([[3.0, 5.0], [-1.0, 2.0]])
  for dtype in (np.float32, np.float64):
    score = stats.StatisticScore('mine', sign)(
      {'mine': values[0].astype(dtype)}
    )
    assert score.dtype == dtype
    np.testing.assert_array_equal(score, [3.0 * sign, 5.0 * sign])
  for column in (0, 1):
    score = stats.StatisticScore('mine', sign, column)
    np.testing.assert_array_equal(
      score({'mine': values}), sign * values[:, column]
    )
  descriptions = {
    stats.StatisticScore(name, sign, column).description
    for name in ('mine', 'yours')
    for column in (None, 0, 1)
  }
  assert len(descriptions) == 6
  # However the sign is written, a detector knows its like.
  assert (
    stats.StatisticScore('mine', float(sign)).description
    == stats.StatisticScore('mine', sign).description
  )


@pytest.mark.parametrize('function', [stats.typicality, stats.waic])
def test_booleans_are_no_log_probabilities(function):
  arguments = ([True, False],) + (
    (1.0,) if function is stats.typicality else ()
  )
  with pytest.raises(TypeError, match='must be numbers, got bool'):
    function(np.array(arguments[0]), *arguments[1:])


def test_an_impossible_example_is_infinitely_steep():
  uniform = tfd.Independent(tfd.Uniform([0.0, 0.0], [1.0, 1.0]), 1)
  norms = stats.score_norm(uniform.log_prob, [[0.5, 0.5], [2.0, 0.5]])
  np.testing.assert_array_equal(norms, [0.0, np.inf])


@pytest.mark.parametrize(
  'function', [stats.png_bits_per_dim, stats.compressed_bits_per_dim]
)
def test_compressors_refuse_what_are_no_pixels(function):
  spec = tf.TensorSpec([None, 8, 8, 3], tf.float32)
  in_graph = tf.function(function, input_signature=[spec])
  for bad in (0.5, -1.0, 256.0, 300.0, np.nan, np.inf):
    images = np.zeros([1, 8, 8, 3], np.float32)
    images[0, 0, 0, 0] = bad
    with pytest.raises(ValueError, match='whole numbers from 0 to 255.* 1 of'):
      function(images)
    # Once, a graph rounded and clipped them.
    with pytest.raises(tf.errors.InvalidArgumentError, match='raw pixels'):
      in_graph(images)


# ------------------------------------------------------------ constant columns


_METHODS = ('kde', 'one_class_svm', 'gaussian', 'mahalanobis')


def _with_constants(count, seed, value=3.0):
  """Three columns, of which the second and a statistic of one are constant."""
  known, matrix = _layers(count, seed)
  etas = np.insert(known['layer_etas'][:, :2], 1, value, axis=1)
  return {'layer_etas': etas, 'volume': np.full(count, value)}, matrix[:, :2]


@pytest.mark.parametrize('method', _METHODS)
def test_constant_columns_are_dropped_if_that_is_asked(method):
  known, matrix = _with_constants(60, 0)
  fresh, fresh_matrix = _with_constants(7, 1, value=-1e6)
  names = ('layer_etas', 'volume')
  with pytest.raises(
    ValueError, match=r'layer_etas\[1\], volume is the same.*`drop_constant`'
  ):
    stats.DensityOfStates(names, method).fit(known)
  score = stats.DensityOfStates(names, method, drop_constant=True).fit(known)
  assert score.kept.tolist() == [0, 2] and score.num_columns == 4
  plain = stats.DensityOfStates(('a', 'b'), method)
  plain.fit(dict(zip('ab', matrix.T, strict=True)))
  expected = plain(dict(zip('ab', fresh_matrix.T, strict=True)))
  np.testing.assert_array_equal(score(fresh), expected)
  # Where nothing is constant, nothing is dropped.
  names = ('layer_etas[0]', 'layer_etas[2]')
  scores = [
    stats.DensityOfStates(names, method, drop_constant=drop).fit(known)(fresh)
    for drop in (False, True)
  ]
  np.testing.assert_array_equal(*scores)
  restored = stats.DensityOfStates(('layer_etas', 'volume'), method)
  restored.set_state(score.get_state())
  np.testing.assert_array_equal(restored(fresh), expected)


@pytest.mark.parametrize('value', [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize('method', _METHODS)
def test_a_column_is_not_dropped_for_what_is_not_finite(method, value):
  names = ('layer_etas', 'volume')
  known, _ = _with_constants(60, 0)
  score = stats.DensityOfStates(names, method, drop_constant=True).fit(known)
  for rows in (slice(None), slice(1), slice(30, None)):
    broken = {name: array.copy() for name, array in known.items()}
    broken['layer_etas'][rows, 1] = value
    with pytest.raises(ValueError, match=r'not finite \(layer_etas\[1\]\)'):
      score.fit(broken)
  # In an example, what is not finite counts even where it was dropped.
  fresh, _ = _with_constants(3, 1)
  finite = score(fresh).numpy()
  fresh['layer_etas'][1, 1] = value
  scores = score(fresh).numpy()
  np.testing.assert_array_equal(scores[[0, 2]], finite[[0, 2]])
  np.testing.assert_array_equal(
    scores[1], math.nan if math.isnan(value) else math.inf
  )


@pytest.mark.parametrize('method', _METHODS)
def test_columns_that_are_all_constant_are_refused(method):
  score = stats.DensityOfStates(('volume',), method, drop_constant=True)
  with pytest.raises(ValueError, match='volume is the same for all examples'):
    score.fit({'volume': np.full(60, 3.0)})
  assert not score.is_fitted


@pytest.mark.parametrize('num_columns, method', [(8, 'kde'), (9, 'gaussian')])
def test_density_of_states_chooses_by_the_number_of_columns(
  num_columns, method
):
  known = np.random.default_rng(0).normal(size=[100, num_columns])
  chosen, same = (
    stats.DensityOfStates(('terms',), m).fit({'terms': known})
    for m in ('auto', method)
  )
  others = {'terms': known[:20] + 0.5}
  np.testing.assert_array_equal(chosen(others), same(others))
  again = stats.DensityOfStates(('terms',), 'auto')
  again.set_state(chosen.get_state())
  np.testing.assert_array_equal(again(others), same(others))
