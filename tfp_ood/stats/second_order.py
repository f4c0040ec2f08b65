# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""What the moments of two data sets say about their log-probabilities."""

import math
import operator
import typing

import numpy as np
import tensorflow as tf

from tfp_ood._batches import images_of
from tfp_ood._seeds import stateless_seed

__all__ = [
  'ImageMoments',
  'SecondOrderDifference',
  'SecondOrderExpansion',
  'SecondOrderTerms',
  'image_moments',
  'second_order_difference',
  'second_order_difference_from_examples',
]

# Images of an array that are converted to float64 at once.
_ARRAY_CHUNK = 256


class ImageMoments(typing.NamedTuple):
  """The first two moments of a data set, by pixel and channel.

  Attributes:
    mean: `float64` array `[height, width, channels]`.
    variance: `float64` array of the same shape, about `mean`, of the data set
      itself: divided by `num_examples`.
    num_examples: `int`.
  """

  mean: np.ndarray
  variance: np.ndarray
  num_examples: int


class SecondOrderTerms(typing.NamedTuple):
  """A second-order expansion, term by term, in nats.

  Attributes:
    gradient: `float`, from the mean, to first order.
    mean: `float`, from the mean, to second order.
    covariance: `float`, from the spread about the mean; the term of [1].
    covariance_standard_error: `float`, of `covariance`.
    total: `float`, the sum of the three.
    total_standard_error: `float`, of `total`.
  """

  gradient: float
  mean: float
  covariance: float
  covariance_standard_error: float
  total: float
  total_standard_error: float


class SecondOrderDifference(typing.NamedTuple):
  """How the log-probabilities of two data sets should differ, in nats.

  Attributes:
    difference: `SecondOrderTerms` of `out_of_distribution - in_distribution`.
    in_distribution: `SecondOrderTerms` of the in-distribution mean
      log-probability, relative to `log_prob_at_point`.
    out_of_distribution: likewise.
    log_prob_at_point: `float`, where the expansion starts.
  """

  difference: SecondOrderTerms
  in_distribution: SecondOrderTerms
  out_of_distribution: SecondOrderTerms
  log_prob_at_point: float


def image_moments(images):
  """Mean and variance of a data set, by pixel and channel, in one pass.

  Batches are merged by the update of Chan, Golub and LeVeque in float64, which
  subtracts no large sums of squares from each other.

  Args:
    images: `tf.data.Dataset` of batches `[batch, height, width, channels]`, or
      of tuples that start with one; or an array of that shape.

  Returns:
    `ImageMoments`.

  Raises:
    ValueError: If there are no images, the data set never ends, or the images
      are not of rank 3, differ in shape or hold NaN or infinity.

  #### Example

  >>> import numpy as np
  >>> images = np.arange(12.0).reshape([3, 1, 2, 2])  # 4 apart
  >>> moments = image_moments(images)
  >>> moments.mean.ravel().tolist()
  [4.0, 5.0, 6.0, 7.0]
  >>> moments.variance.ravel().round(4).tolist(), moments.num_examples
  ([10.6667, 10.6667, 10.6667, 10.6667], 3)

  #### References

  [1]: Tony Chan, Gene Golub, and Randall LeVeque. Algorithms for computing the
       sample variance: analysis and recommendations. _The American
       Statistician_, 37(3):242-247, 1983.
  """
  return _moments(images, 'images')


def second_order_difference(
  log_prob,
  in_distribution,
  out_of_distribution,
  point=None,
  num_probes=100,
  batch_size=8,
  dtype=tf.float32,
  seed=None,
):
  """Predicts a difference of mean log-probabilities from means and variances.

  With `g` and `H` the gradient and the Hessian of `log_prob` at `point`, a set
  of mean `m` and covariance `S` has, to second order, the mean log-probability

  ```none
  log_prob(point) + gradient + mean + covariance
  gradient = g . (m - point)
  mean = 1/2 (m - point)' H (m - point)
  covariance = 1/2 Tr(H S)
  ```

  [1] expands about the training mean and takes both sets to have that mean, so
  its prediction is `difference.covariance`; the other two terms say what a
  difference between the means would add.

  `S` is taken as diagonal here, as in [1]: pixels are treated as uncorrelated.
  `second_order_difference_from_examples` keeps the correlations. The trace is
  estimated from products of `H` with random signs `r`, one set of them for both
  data sets, which makes their difference far more certain than either:

  ```none
  Tr(H S) = E[v' H v],  v = sqrt(diag(S)) * r
  ```

  `log_prob` is called inside a `tf.function` on floats that are not whole
  numbers, which a distribution over raw pixels refuses; its method
  `continuous_log_prob` takes them, if it is differentiable at all. It must treat each image of a batch on its own, and be twice differentiable;
  with rectified networks inside it is so piece by piece, and `H` knows only the
  piece around `point`.

  Args:
    log_prob: Callable from images `[batch, ...]` to `[batch]`, in nats, or a
      `SecondOrderExpansion`, whose `point`, `batch_size` and `dtype` then count.
    in_distribution: `ImageMoments`, or a pair of arrays `(mean, variance)`.
    out_of_distribution: `ImageMoments` or pair of arrays of the same shapes.
    point: Array of the shape of an image, where `log_prob` is expanded.
      Default: the in-distribution mean.
    num_probes: Python `int`, at least 2, the number of draws of random signs.
    batch_size: Python `int`, how many products with the Hessian to take at
      once. The result does not depend on it, memory does.
    dtype: `tf.float32` or `tf.float64`, of the images that `log_prob` gets.
    seed: Python `int` or stateless seed of the random signs.

  Returns:
    `SecondOrderDifference`. The standard errors are those of the estimated
    trace; the moments are taken as given.

  Raises:
    ValueError: If shapes differ, a mean, variance or `point` is not finite, a
      variance is negative, `log_prob` is not differentiable or does not return
      one finite number an image, or another argument is out of range.

  #### Example

  A normal distribution whose variance is 4, which is exactly of second order:

  >>> import numpy as np
  >>> def log_prob(images):
  ...   return -0.5 * tf.reduce_sum(images**2, axis=[1, 2, 3]) / 4.0
  >>> zeros, ones = np.zeros([4, 4, 1]), np.ones([4, 4, 1])
  >>> result = second_order_difference(
  ...     log_prob, (zeros, 4.0 * ones), (zeros, ones), seed=1)
  >>> round(result.difference.covariance, 4)  # 16 pixels, (4 - 1) / 8 each
  6.0

  #### References

  [1]: Eric Nalisnick, Akihiro Matsukawa, Yee Whye Teh, Dilan Gorur, Balaji
       Lakshminarayanan. Do Deep Generative Models Know What They Don't Know? In
       _International Conference on Learning Representations_, 2019.
       https://arxiv.org/abs/1810.09136
  [2]: Michael Hutchinson. A stochastic estimator of the trace of the influence
       matrix for Laplacian smoothing splines. _Communications in Statistics -
       Simulation and Computation_, 19(2):433-450, 1990.
  """
  num_probes = _checked_count(num_probes, 'num_probes', 2)
  sets = [
    _checked_moments(in_distribution, 'in_distribution'),
    _checked_moments(out_of_distribution, 'out_of_distribution'),
  ]
  means = [mean for mean, _ in sets]
  deviations = [np.sqrt(variance) for _, variance in sets]
  displaced = _Displaced(log_prob, means, point, batch_size, dtype)
  expansion = displaced.expansion

  # Drawn one by one, so that memory stays bounded and the result does not
  # depend on how the probes are cut into batches.
  seed = stateless_seed(seed)
  num_at_once = max(1, expansion.batch_size // len(sets))
  values = []
  for start in range(0, num_probes, num_at_once):
    indices = range(start, min(start + num_at_once, num_probes))
    signs = np.stack([_signs(means[0].shape, seed, i) for i in indices])
    probes = np.concatenate([deviation * signs for deviation in deviations])
    products = expansion.hessian_products(probes)
    values.append(0.5 * _inner_products(probes, products).reshape([2, -1]))
  in_values, out_values = np.concatenate(values, axis=1)
  # The signs are the same for both sets: their difference is far more certain
  # than the two standard errors would have it.
  standard_error = _standard_error(out_values - in_values)
  return _difference(
    expansion,
    _set_terms(displaced, 0, in_values, _standard_error(in_values)),
    _set_terms(displaced, 1, out_values, _standard_error(out_values)),
    covariance_standard_error=standard_error,
    total_standard_error=standard_error,
  )


def second_order_difference_from_examples(
  log_prob,
  in_distribution,
  out_of_distribution,
  point=None,
  batch_size=8,
  dtype=tf.float32,
):
  """Predicts a difference of mean log-probabilities from two sets of examples.

  The expansion of `second_order_difference`, with the full covariance of the
  examples in place of its diagonal: correlations between pixels count. For a
  set with examples `x` and mean `m`,

  ```none
  covariance = 1/2 Tr(H S) = 1/2 mean_x[(x - m)' H (x - m)]
  ```

  with one product of `H` an example. If `log_prob` is exactly quadratic,
  `difference.total` is exactly the difference of its means over the examples.

  Args:
    log_prob: Callable from images `[batch, ...]` to `[batch]`, in nats, or a
      `SecondOrderExpansion`; see `second_order_difference`.
    in_distribution: `tf.data.Dataset` of batches `[batch, height, width,
      channels]`, or of tuples that start with one, or an array of that shape;
      at least 2 images. It is read twice.
    out_of_distribution: Likewise.
    point: Array of the shape of an image, where `log_prob` is expanded.
      Default: the in-distribution mean.
    batch_size: Python `int`, how many products with the Hessian to take at
      once. The result does not depend on it, memory does.
    dtype: `tf.float32` or `tf.float64`, of the images that `log_prob` gets.

  Returns:
    `SecondOrderDifference`. The standard errors are those of drawing the
    examples, with the means (for `covariance`) and `point` taken as given.

  Raises:
    ValueError: If a data set is empty, endless, of one image or not the same
      when it is read again, shapes differ, images or `point` are not finite,
      `log_prob` is not differentiable or does not return one finite number an
      image, or another argument is out of range.

  #### Example

  >>> import numpy as np
  >>> def log_prob(images):
  ...   return -0.5 * tf.reduce_sum(images, axis=[1, 2, 3])**2
  >>> random = np.random.default_rng(0)
  >>> wide, narrow = random.normal(size=[2, 50, 2, 2, 1])
  >>> narrow *= 0.1
  >>> result = second_order_difference_from_examples(log_prob, wide, narrow)
  >>> measured = log_prob(narrow).numpy().mean() - log_prob(wide).numpy().mean()
  >>> bool(abs(result.difference.total - measured) < 1e-5)
  True

  #### References

  [1]: Eric Nalisnick, Akihiro Matsukawa, Yee Whye Teh, Dilan Gorur, Balaji
       Lakshminarayanan. Do Deep Generative Models Know What They Don't Know? In
       _International Conference on Learning Representations_, 2019.
       https://arxiv.org/abs/1810.09136
  """
  sets = {
    'in_distribution': in_distribution,
    'out_of_distribution': out_of_distribution,
  }
  moments = {name: _moments(images, name) for name, images in sets.items()}
  for name, (_, _, num_examples) in moments.items():
    if num_examples < 2:
      raise ValueError(
        f'`{name}` holds one image; a covariance needs at least two.'
      )
  means = [mean for mean, _, _ in moments.values()]
  displaced = _Displaced(log_prob, means, point, batch_size, dtype)
  expansion = displaced.expansion

  terms = []
  for index, (name, images) in enumerate(sets.items()):
    # (x - point)' H (x - point) splits about the mean m of the set into
    # (x - m)' H (x - m) + 2 (x - m)' H (m - point) + the mean's own term.
    mean, _, num_examples = moments[name]
    slope = expansion.gradient + displaced.hessian_displacements[index]
    covariances, linear = [], []
    for batch in _image_batches(images, name):
      centred = batch - mean
      products = expansion.hessian_products(centred)
      covariances.append(0.5 * _inner_products(centred, products))
      linear.append(_inner_products(centred, slope))
    covariances, linear = np.concatenate(covariances), np.concatenate(linear)
    if covariances.size != num_examples:
      raise ValueError(
        f'`{name}` gave {num_examples} images when first read and '
        f'{covariances.size} when read again; it must be the same each time.'
      )
    terms.append(
      _set_terms(
        displaced, index, covariances, _standard_error(covariances + linear)
      )
    )
  in_terms, out_terms = terms
  return _difference(
    expansion,
    in_terms,
    out_terms,
    covariance_standard_error=math.hypot(
      in_terms.covariance_standard_error, out_terms.covariance_standard_error
    ),
    total_standard_error=math.hypot(
      in_terms.total_standard_error, out_terms.total_standard_error
    ),
  )


# ---------------------------------------------------------------- expansion


class SecondOrderExpansion:
  """A log-probability expanded about a point, for any number of data sets.

  `second_order_difference` and `second_order_difference_from_examples` take one in
  the place of `log_prob`, and then trace no derivative anew.

  #### Example

  >>> import numpy as np
  >>> def log_prob(images):
  ...   return -0.5 * tf.reduce_sum(images**2, axis=[1, 2, 3]) / 4.0
  >>> expansion = SecondOrderExpansion(log_prob, np.ones([4, 4, 1]))
  >>> expansion.log_prob_at_point
  -2.0
  >>> float(expansion.gradient[0, 0, 0])
  -0.25
  """

  def __init__(self, log_prob, point, batch_size=8, dtype=tf.float32):
    """Expands a log-probability.

    Args:
      log_prob: Callable from images `[batch, ...]` to `[batch]`, in nats; see
        `second_order_difference`.
      point: Array of the shape of an image.
      batch_size: Python `int`, how many products with the Hessian to take at
        once.
      dtype: `tf.float32` or `tf.float64`, of the images that `log_prob` gets.

    Raises:
      ValueError: If `point` is not finite, `log_prob` is not differentiable or
        does not return one finite number an image, or an argument is out of range.
    """
    self.point = _finite_array(point, '`point`')
    self.batch_size = _checked_count(batch_size, 'batch_size', 1)
    self._dtype = tf.as_dtype(dtype)
    if self._dtype not in (tf.float32, tf.float64):
      raise ValueError(
        '`dtype` must be tf.float32 or tf.float64; got '
        f'{self._dtype.name}, too coarse for second derivatives.'
      )
    self._derivatives = _derivatives_at(log_prob, self.point, self._dtype)
    values, gradients, _ = self._call(np.zeros_like(self.point)[np.newaxis])
    self.log_prob_at_point = float(values[0])
    self.gradient = gradients[0]

  def hessian_products(self, directions):
    """Returns the products of the Hessian with directions, `[n, ...]`, in float64."""
    return np.concatenate(
      [
        self._call(directions[start : start + self.batch_size])[2]
        for start in range(0, len(directions), self.batch_size)
      ]
    )

  def _call(self, directions):
    directions = tf.constant(directions.astype(self._dtype.as_numpy_dtype))
    results = [
      result.numpy().astype(np.float64)
      for result in self._derivatives(directions)
    ]
    names = 'value', 'gradient', 'Hessian'
    for name, result in zip(names, results, strict=True):
      if not np.isfinite(result).all():
        raise ValueError(
          f'`log_prob` has a {name} at `point` that is not finite.'
        )
    return results


class _Displaced:
  """An expansion, and the means of two sets seen from its point."""

  def __init__(self, log_prob, means, point, batch_size, dtype):
    in_mean, out_mean = means
    if in_mean.shape != out_mean.shape:
      raise ValueError(
        '`in_distribution` and `out_of_distribution` must hold images of one '
        f'shape; got {in_mean.shape} and {out_mean.shape}.'
      )
    is_expansion = isinstance(log_prob, SecondOrderExpansion)
    if is_expansion:
      point = log_prob.point
    point = _finite_array(in_mean if point is None else point, '`point`')
    if point.shape != in_mean.shape:
      raise ValueError(
        f'`point` must have the shape of an image, {in_mean.shape}; got '
        f'{point.shape}.'
      )
    self.expansion = (
      log_prob
      if is_expansion
      else SecondOrderExpansion(log_prob, point, batch_size, dtype)
    )
    self.displacements = np.stack([in_mean - point, out_mean - point])
    self.hessian_displacements = self.expansion.hessian_products(
      self.displacements
    )


def _derivatives_at(log_prob, point, dtype):
  """Compiles the value, gradient and Hessian-vector products at a point."""
  point = tf.constant(point, dtype)

  @tf.function(input_signature=[tf.TensorSpec([None, *point.shape], dtype)])
  def derivatives(directions):
    images = tf.broadcast_to(point, tf.shape(directions))
    images = tf.ensure_shape(images, directions.shape)
    # The gradient of the weights is of no use here.
    with tf.GradientTape(watch_accessed_variables=False) as outer:
      outer.watch(images)
      with tf.GradientTape(watch_accessed_variables=False) as inner:
        inner.watch(images)
        log_probs = _checked_log_probs(log_prob(images))
      gradient = inner.gradient(log_probs, images)
      if gradient is None:
        raise ValueError(
          '`log_prob` is not differentiable: its result does not depend on the '
          'images through TensorFlow operations that have gradients.'
        )
      slopes = tf.reduce_sum(gradient * directions)
    products = outer.gradient(
      slopes, images, unconnected_gradients=tf.UnconnectedGradients.ZERO
    )
    return log_probs, gradient, products

  return derivatives


def _checked_log_probs(log_probs):
  log_probs = tf.convert_to_tensor(log_probs)
  if log_probs.shape.rank != 1 or not log_probs.dtype.is_floating:
    raise ValueError(
      '`log_prob` must return one floating-point number an image, shape '
      f'[batch]; got {log_probs.dtype.name} of shape {log_probs.shape}.'
    )
  return log_probs


def _signs(shape, seed, index):
  """Draws one image of random signs."""
  bits = tf.random.stateless_uniform(
    shape,
    tf.random.experimental.stateless_fold_in(seed, index),
    maxval=2,
    dtype=tf.int32,
    alg='philox',
  )
  return 2.0 * bits.numpy() - 1.0


# -------------------------------------------------------------------- terms


def _inner_products(images, others):
  """Sums the products of images `[n, ...]` with others over all but `n`."""
  return (images * others).reshape([len(images), -1]).sum(axis=1)


def _standard_error(values):
  return float(np.std(values, ddof=1) / math.sqrt(values.size))


def _set_terms(displaced, index, covariances, total_standard_error):
  """Returns the terms of one set, of which `covariances` is a sample."""
  displacement = displaced.displacements[index]
  hessian_displacement = displaced.hessian_displacements[index]
  gradient = float(np.vdot(displaced.expansion.gradient, displacement))
  mean = 0.5 * float(np.vdot(displacement, hessian_displacement))
  covariance = float(np.mean(covariances))
  return SecondOrderTerms(
    gradient=gradient,
    mean=mean,
    covariance=covariance,
    covariance_standard_error=_standard_error(covariances),
    total=gradient + mean + covariance,
    total_standard_error=total_standard_error,
  )


def _difference(
  expansion,
  in_terms,
  out_terms,
  covariance_standard_error,
  total_standard_error,
):
  return SecondOrderDifference(
    difference=SecondOrderTerms(
      gradient=out_terms.gradient - in_terms.gradient,
      mean=out_terms.mean - in_terms.mean,
      covariance=out_terms.covariance - in_terms.covariance,
      covariance_standard_error=covariance_standard_error,
      total=out_terms.total - in_terms.total,
      total_standard_error=total_standard_error,
    ),
    in_distribution=in_terms,
    out_of_distribution=out_terms,
    log_prob_at_point=expansion.log_prob_at_point,
  )


# ------------------------------------------------------------------ moments


def _moments(images, name):
  mean = squared_deviations = 0.0
  count = 0
  for batch in _image_batches(images, name):
    batch_mean = batch.mean(axis=0)
    total = count + len(batch)
    shift = batch_mean - mean
    squared_deviations = (
      squared_deviations
      + np.sum((batch - batch_mean) ** 2, axis=0)
      + shift**2 * (count * len(batch) / total)
    )
    mean = mean + shift * (len(batch) / total)
    count = total
  if not count:
    raise ValueError(f'`{name}` is empty; it needs at least one image.')
  return ImageMoments(mean, squared_deviations / count, count)


def _image_batches(images, name):
  """Yields the images of a data set or an array, batch by batch, in float64."""
  if isinstance(images, tf.data.Dataset):
    if images.cardinality() == tf.data.INFINITE_CARDINALITY:
      raise ValueError(
        f'`{name}` never ends; drop `repeat()` or limit it with `take(n)`.'
      )
    batches = images.as_numpy_iterator()
  else:
    array = np.asarray(images)
    # At least one batch, whose shape is checked even if it holds no image.
    count = len(array) if array.ndim else 1
    batches = (
      array[start : start + _ARRAY_CHUNK] if array.ndim else array
      for start in range(0, max(count, 1), _ARRAY_CHUNK)
    )
  shape = None
  for batch in batches:
    if isinstance(batch, dict):
      raise ValueError(
        f'`{name}` must hold batches of images, or tuples that start with one; '
        f'got dictionaries with keys {sorted(batch)}. Select the images with '
        '`map`.'
      )
    batch = np.asarray(images_of(batch))
    if batch.ndim != 4:
      raise ValueError(
        f'`{name}` must hold batches of images, [batch, height, width, '
        f'channels]; got shape {batch.shape}.'
      )
    shape = shape or batch.shape[1:]
    if batch.shape[1:] != shape:
      raise ValueError(
        f'`{name}` must hold images of one shape; got {shape} and '
        f'{batch.shape[1:]}.'
      )
    if len(batch):
      yield _finite_array(batch, f'`{name}`')


# ------------------------------------------------------------------- checks


def _checked_moments(moments, name):
  """Returns mean and variance as float64 arrays of one shape."""
  if not isinstance(moments, tuple | list) or len(moments) < 2:
    raise ValueError(
      f'`{name}` must be `ImageMoments` or a pair (mean, variance); got '
      f'{type(moments).__name__}. For data sets, see `image_moments` and '
      '`second_order_difference_from_examples`.'
    )
  mean = _finite_array(moments[0], f'the mean of `{name}`')
  variance = _finite_array(moments[1], f'the variance of `{name}`')
  if mean.shape != variance.shape:
    raise ValueError(
      f'the mean and the variance of `{name}` must have one shape, that of an '
      f'image; got {mean.shape} and {variance.shape}.'
    )
  if variance.size and variance.min() < 0.0:
    raise ValueError(
      f'the variance of `{name}` must not be negative; its smallest value is '
      f'{variance.min()}.'
    )
  return mean, variance


def _finite_array(values, name):
  array = np.asarray(values, np.float64)
  num_invalid = array.size - np.count_nonzero(np.isfinite(array))
  if num_invalid:
    raise ValueError(
      f'{name} must be finite; {num_invalid} of {array.size} values are NaN or '
      'infinite.'
    )
  return array


def _checked_count(value, name, minimum):
  try:
    count = operator.index(value)
  except TypeError:
    count = None
  if count is None or count < minimum:
    raise ValueError(
      f'`{name}` must be a whole number of at least {minimum}; got {value!r}.'
    )
  return count
