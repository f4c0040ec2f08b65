# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Density of states: how common a combination of statistics is."""

import numpy as np
import tensorflow as tf
from sklearn import neighbors, svm

from tfp_ood.stats import _tensors
from tfp_ood.stats.score import Score

__all__ = ['DensityOfStates']

_METHODS = ('kde', 'one_class_svm')
# Share of in-distribution examples that the SVM leaves outside.
_NU = 0.1


class DensityOfStates(Score):
  """Density of states estimation (DoSE): the joint of several statistics.

  Each statistic is standardized by its mean and deviation over in-distribution
  examples, and a density of their joint `s(x)` is estimated:

      kde:            score = -log(1/n sum_i Normal(s(x); s_i, h^2 I))
      one_class_svm:  score = rho - sum_i alpha_i exp(-gamma |s(x) - s_i|^2)

  so that examples whose statistics are rare score high, whether they are too
  large, too small, or only unusual together. scikit-learn fits both; what it
  finds is evaluated in TensorFlow, and so inside a `tf.function`. The score of
  the support vectors ends at `rho`: beyond some distance all is equally rare.
  Choices of ours where [1] may differ: one joint kernel density, not a product
  over the statistics; Scott's bandwidth; nu = .1.

  A statistic of +-inf scores +inf.

  #### Example

  >>> import numpy as np
  >>> generator = np.random.default_rng(0)
  >>> known = {'density': generator.normal(size=500),
  ...          'volume': generator.normal(size=500)}
  >>> score = DensityOfStates(('density', 'volume')).fit(known)
  >>> typical, rare = score({'density': [0., 4.], 'volume': [0., 4.]}).numpy()
  >>> bool(typical < rare)
  True

  #### References

  [1]: Warren Morningstar et al. Density of States Estimation for
       Out-of-Distribution Detection. _International Conference on Artificial
       Intelligence and Statistics_, 2021. https://arxiv.org/abs/2006.09273
  """

  _learned = ('mean', 'deviation', 'points', 'weights', 'precision', 'offset')

  def __init__(
    self, statistics=('density', 'volume'), method='kde', max_examples=5_000
  ):
    """Instantiates the score.

    Args:
      statistics: names of the statistics, each one number per example.
      method: `'kde'`, a Gaussian kernel density with Scott's bandwidth, or
        `'one_class_svm'` with nu = .1 and scikit-learn's default width.
      max_examples: Python `int`: `fit` uses at most so many examples, every
        k-th, as the time of each later score grows with them.

    Raises:
      ValueError: if `method` is unknown or no statistics are named.
    """
    if method not in _METHODS:
      raise ValueError(
        f'DensityOfStates: `method` must be one of {", ".join(_METHODS)}; got '
        f'{method!r}.'
      )
    if not statistics or isinstance(statistics, str):
      raise ValueError(
        'DensityOfStates: `statistics` must be a tuple of at least one name; got '
        f'{statistics!r}.'
      )
    self.statistics = tuple(statistics)
    self._method = method
    self._max_examples = max_examples
    for name in self._learned:
      setattr(self, name, None)

  @property
  def description(self):
    """What the score is, a `str`; a `Detector` loads its like alone."""
    return f'{super().description} by {self._method}'

  def fit(self, statistics):
    """Fits the density of the statistics of in-distribution examples.

    Args:
      statistics: `dict` from the names in `self.statistics` to arrays of shape
        `[n]`.

    Returns:
      The score itself.

    Raises:
      ValueError: if there are fewer than two examples, a value is not finite or
        a statistic is the same for all.
    """
    values = self._stack(statistics).numpy()
    # Spread evenly: data may come in an order.
    values = values[:: -(-len(values) // self._max_examples) or 1]
    self._check(values)
    self.mean, self.deviation = values.mean(axis=0), values.std(axis=0)
    standardized = (values - self.mean) / self.deviation
    fit = _fit_kde if self._method == 'kde' else _fit_one_class_svm
    self.points, self.weights, self.precision, self.offset = fit(standardized)
    return self

  def __call__(self, statistics):
    self._check_is_fitted()
    values = (self._stack(statistics) - self.mean) / self.deviation
    exponents = -self.precision * _squared_distances(values, self.points)
    if self._method == 'kde':
      score = np.log(len(self.points)) - tf.reduce_logsumexp(exponents, axis=-1)
    else:
      score = -tf.linalg.matvec(tf.exp(exponents), self.weights)
    score += self.offset
    # The distance to an infinite value is infinite, or NaN.
    is_infinite = tf.reduce_any(tf.math.is_inf(values), axis=-1)
    score = tf.where(is_infinite, tf.constant(np.inf, tf.float64), score)
    return tf.cast(score, tf.float32)

  def _stack(self, statistics):
    columns = [
      tf.cast(statistics[name], tf.float64) for name in self.statistics
    ]
    for name, column in zip(self.statistics, columns, strict=True):
      if column.shape.rank != 1:
        raise ValueError(
          f'DensityOfStates: the statistic {name!r} must be one number per '
          f'example, got shape {column.shape}.'
        )
      _tensors.check_same_shape(
        **{f'{self.statistics[0]} (the first)': columns[0], name: column}
      )
    return tf.stack(columns, axis=-1)

  def _check(self, values):
    if len(values) < 2 or not np.all(np.isfinite(values)):
      raise ValueError(
        'DensityOfStates: `fit` needs finite statistics of at least two '
        f'examples; of {len(values)} given, '
        f'{np.count_nonzero(~np.isfinite(values).all(axis=1))} are not finite.'
      )
    constant = [
      name
      for name, column in zip(self.statistics, values.T, strict=True)
      if np.ptp(column) == 0
    ]
    if constant:
      raise ValueError(
        f'DensityOfStates: {", ".join(constant)} is the same for all examples '
        'given, and says nothing about others; leave it out of `statistics`.'
      )


def _fit_kde(points):
  """Fits a kernel density; returns points, weights, precision and offset."""
  kde = neighbors.KernelDensity(bandwidth='scott').fit(points)
  bandwidth = kde.bandwidth_
  log_normalizer = points.shape[1] * np.log(bandwidth * np.sqrt(2 * np.pi))
  weights = np.full(len(points), 1 / len(points))
  return points, weights, 1 / (2 * bandwidth**2), log_normalizer


def _fit_one_class_svm(points):
  """Fits an SVM; returns support vectors, weights, precision and offset."""
  machine = svm.OneClassSVM(nu=_NU).fit(points)
  # scikit-learn's gamma='scale'.
  gamma = 1 / (points.shape[1] * points.var())
  return (
    machine.support_vectors_,
    machine.dual_coef_[0],
    gamma,
    -machine.intercept_[0],
  )


def _squared_distances(values, points):
  """Squared distances between rows, `[batch, points]`."""
  points = tf.constant(points)
  return (
    tf.reduce_sum(values**2, axis=1, keepdims=True)
    + tf.reduce_sum(points**2, axis=1)
    - 2 * tf.linalg.matmul(values, points, transpose_b=True)
  )
