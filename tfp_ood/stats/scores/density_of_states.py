# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Density of states: how common a combination of statistics is."""

import numpy as np
import tensorflow as tf
from sklearn import covariance, neighbors, preprocessing, svm

from tfp_ood.stats.scores import _tensors
from tfp_ood.stats.scores.score import Score

__all__ = ['DensityOfStates']

# Share of in-distribution examples that the SVM leaves outside.
_NU = 0.1
# Methods whose score is a sum over the examples that `fit` uses.
_OF_EXAMPLES = ('kde', 'one_class_svm')
# The condition number at which a covariance counts as singular.
_MAX_CONDITION = 1e10
# The most columns of which a kernel density is estimated by default.
_MAX_KDE_COLUMNS = 8
_AUTO = 'auto'


class DensityOfStates(Score):
  """Density of states estimation (DoSE): the joint of several statistics.

  Each statistic is standardized by its mean and deviation over in-distribution
  examples, and a density of their joint `s(x)` is estimated:

      kde:            score = -log(1/n sum_i Normal(s(x); s_i, h^2 I))
      one_class_svm:  score = rho - sum_i alpha_i exp(-gamma |s(x) - s_i|^2)
      gaussian:       score = -log Normal(t(s(x)); mean, covariance)
      mahalanobis:    score = (s(x) - mean)^T covariance^-1 (s(x) - mean)

  so that examples whose statistics are rare score high, whether they are too
  large, too small, or only unusual together. scikit-learn fits all; what it
  finds is evaluated in TensorFlow, and so inside a `tf.function`. The score of
  the support vectors ends at `rho`: beyond some distance all is equally rare.
  Choices of ours where [1] may differ: one joint kernel density, not a product
  over the statistics; Scott's bandwidth; nu = .1.

  A statistic may be several numbers, such as one for each layer of a network;
  each is then a column like a statistic by itself. A kernel density of more than
  a few columns needs more examples than there are: the normal, with its full
  covariance, is for those. Its score is half the squared Mahalanobis distance,
  and a constant, after a power transformation `t` of each column by itself, that
  of Yeo and Johnson [3], which brings it nearest to a normal; beyond the range of
  the examples, where the power may level off, `t` goes on as a straight line.
  `mahalanobis` is
  the squared distance itself, of the columns as they are: for those that are
  about normal already, such as the latent of a variational autoencoder. The
  covariance of both is that of Ledoit and Wolf [2], shrunk towards the identity
  as far as the number of examples demands, so that columns which nearly determine
  one another do no harm; one that is singular all the same is refused, and so is
  a column that is the same for all examples within single precision.

  A statistic of +-inf scores +inf, and one of NaN scores NaN, even in a column
  that was left out.

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
  [2]: Olivier Ledoit, Michael Wolf. A well-conditioned estimator for
       large-dimensional covariance matrices. _Journal of Multivariate Analysis_,
       88(2):365-411, 2004.
  [3]: In-Kwon Yeo, Richard Johnson. A new family of power transformations to
       improve normality or symmetry. _Biometrika_, 87(4):954-959, 2000.
  """

  learned = (
    'num_columns',
    'kept',
    'mean',
    'deviation',
    'powers',
    'lowest',
    'highest',
    'points',
    'weights',
    'precision',
    'offset',
  )

  def __init__(
    self,
    statistics=('density', 'volume'),
    method='kde',
    max_examples=5_000,
    drop_constant=False,
  ):
    """Instantiates the score.

    Args:
      statistics: names of the statistics, each one number per example or
        several. A column of one is named like `'layer_etas[0]'`.
      method: `'kde'`, a Gaussian kernel density with Scott's bandwidth,
        `'one_class_svm'` with nu = .1 and scikit-learn's default width,
        `'gaussian'`, a normal with Ledoit and Wolf's covariance,
        `'mahalanobis'`, the squared distance by that covariance, or `'auto'`,
        `'kde'` for up to eight columns and `'gaussian'` for more.
      max_examples: Python `int`: `fit` uses at most so many examples, every
        k-th, as the time of each later score grows with them; the last two
        methods use all.
      drop_constant: Python `bool`, whether columns that are the same for all
        examples of `fit` are left out, and not refused.

    Raises:
      ValueError: if `method` is unknown or no statistics are named.
    """
    if method not in (*_FITS, _AUTO):
      raise ValueError(
        f'DensityOfStates: `method` must be one of {", ".join((*_FITS, _AUTO))}; got '
        f'{method!r}.'
      )
    if not statistics or isinstance(statistics, str):
      raise ValueError(
        'DensityOfStates: `statistics` must be a tuple of at least one name; got '
        f'{statistics!r}.'
      )
    self._names = tuple(statistics)
    # A statistic of which several columns are named is read once.
    self.statistics = tuple(dict.fromkeys(map(_statistic_of, self._names)))
    self._method = method
    self._max_examples = max_examples
    self._drop_constant = drop_constant
    for name in self.learned:
      setattr(self, name, None)

  @property
  def description(self):
    """What the score is, a `str`; a `Detector` loads its like alone."""
    names = ', '.join(self._names)
    return f'{type(self).__name__}({names}) by {self._method}'

  def fit(self, statistics):
    """Fits the density of the statistics of in-distribution examples.

    Args:
      statistics: `dict` from the names in `self.statistics` to arrays of shape
        `[n]` or `[n, columns]`.

    Returns:
      The score itself.

    Raises:
      ValueError: if there are fewer than two examples, a value is not finite, a
        column is the same for all (with `drop_constant`, every column), or the
        covariance is singular.
    """
    columns = self._columns(statistics)
    values = _stack(columns).numpy()
    method = self._method
    if method == _AUTO:
      method = 'kde' if len(columns) <= _MAX_KDE_COLUMNS else 'gaussian'
    if method in _OF_EXAMPLES:
      # Spread evenly: data may come in an order.
      values = values[:: -(-len(values) // self._max_examples) or 1]
    _check_finite(values, list(columns))
    varying = _varying(values)
    if not (self._drop_constant and varying.any()):
      _check_varying(varying, list(columns))
    kept = np.flatnonzero(varying)
    values = values[:, kept]
    mean, deviation = values.mean(axis=0), values.std(axis=0)
    values = (values - mean) / deviation
    powers = np.ones_like(mean)  # Those that change nothing.
    lowest, highest = values.min(axis=0), values.max(axis=0)
    if method == 'gaussian':
      transformer = preprocessing.PowerTransformer(standardize=False)
      values = transformer.fit_transform(values)
      powers = transformer.lambdas_
    fitted = _FITS[method](values)
    self.mean, self.deviation, self.powers = mean, deviation, powers
    self.lowest, self.highest = lowest, highest
    self.kept, self.num_columns = kept, len(columns)
    self.points, self.weights, self.precision, self.offset = fitted
    return self

  def __call__(self, statistics):
    self.check_is_fitted()
    columns = self._columns(statistics)
    if len(columns) != self.num_columns:
      raise ValueError(
        f'DensityOfStates: fitted to {self.num_columns} columns, got '
        f'{len(columns)}: {", ".join(columns)}.'
      )
    stacked = _stack(columns)
    values = tf.gather(stacked, self.kept, axis=1)
    values = (values - self.mean) / self.deviation
    within = tf.clip_by_value(values, self.lowest, self.highest)
    transformed = _yeo_johnson(within, self.powers)
    transformed += _yeo_johnson_slope(within, self.powers) * (values - within)
    exponents = -_squared_distances(transformed, self.points, self.precision)
    if self._method == 'one_class_svm':
      score = -tf.linalg.matvec(tf.exp(exponents), self.weights)
    else:
      # A normal or a distance is a kernel density of one point.
      score = np.log(len(self.points)) - tf.reduce_logsumexp(exponents, axis=-1)
    score += self.offset
    # Also in a column left out, and where arithmetic would make infinity NaN.
    for is_special, special in (
      (tf.math.is_nan(stacked), np.nan),
      (tf.math.is_inf(stacked), np.inf),
    ):
      is_special = tf.reduce_any(is_special, axis=-1)
      score = tf.where(is_special, tf.constant(special, tf.float64), score)
    return tf.cast(score, tf.float32)

  def _columns(self, statistics):
    """Returns the columns named, in order, as a `dict` to `[batch]` tensors."""
    known = {}
    for name in self.statistics:
      known.update(_columns_of(name, statistics[name]))
    chosen = {}
    for name in self._names:
      columns = {
        column: values
        for column, values in known.items()
        if name in (column, _statistic_of(column))
      }
      if not columns:
        raise ValueError(
          f'DensityOfStates: there is no {name!r} among {", ".join(known)}.'
        )
      chosen.update(columns)
    first_name, first = next(iter(chosen.items()))
    for name, values in chosen.items():
      _tensors.check_same_shape(
        **{f'{first_name} (the first)': first, name: values}
      )
    return chosen


def _statistic_of(name):
  """Returns the name of the statistic that a column belongs to."""
  return name.partition('[')[0]


def _columns_of(name, values):
  """Takes a statistic apart, into a `dict` of tensors of shape `[batch]`."""
  values = tf.cast(values, tf.float64)
  if values.shape.rank == 1:
    return {name: values}
  if values.shape.rank != 2 or not values.shape[1]:
    raise ValueError(
      f'DensityOfStates: the statistic {name!r} must be one number per example, '
      f'[batch], or a known number of them, [batch, columns]; got shape '
      f'{values.shape}.'
    )
  columns = tf.unstack(values, axis=1)
  return {f'{name}[{index}]': column for index, column in enumerate(columns)}


def _stack(columns):
  return tf.stack(list(columns.values()), axis=-1)


def _check_finite(values, names):
  is_finite = np.isfinite(values)
  if len(values) < 2 or not np.all(is_finite):
    not_finite = np.count_nonzero(~is_finite.all(axis=1))
    where = ', '.join(_where(names, ~is_finite.all(axis=0)))
    raise ValueError(
      'DensityOfStates: `fit` needs finite statistics of at least two '
      f'examples; of {len(values)} given, {not_finite} are not finite'
      f'{f" ({where})" if where else ""}.'
    )


def _check_varying(varying, names):
  constant = _where(names, ~varying)
  if constant:
    raise ValueError(
      f'DensityOfStates: {", ".join(constant)} is the same for all examples '
      'given, and says nothing about others; leave it out of `statistics`, '
      "which takes the columns to keep by name, such as 'layer_etas[0]', or set "
      '`drop_constant`.'
    )


def _varying(values):
  """Whether each column varies, by more than rounding in single precision."""
  resolution = np.finfo(np.float32).eps * np.max(np.abs(values), axis=0)
  return np.ptp(values, axis=0) > resolution


def _where(names, condition):
  return [name for name, holds in zip(names, condition, strict=True) if holds]


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


def _fit_gaussian(points):
  """Fits a normal; returns its mean, a weight, half its precision and offset."""
  mean, matrix = _mean_and_covariance(points)
  _, log_determinant = np.linalg.slogdet(matrix)
  offset = (points.shape[1] * np.log(2 * np.pi) + log_determinant) / 2
  return mean, np.ones(1), np.linalg.inv(matrix) / 2, offset


def _fit_mahalanobis(points):
  """Fits a covariance; returns mean, a weight, precision and no offset."""
  mean, matrix = _mean_and_covariance(points)
  return mean, np.ones(1), np.linalg.inv(matrix), 0.0


def _mean_and_covariance(points):
  """Returns the mean, `[1, columns]`, and Ledoit and Wolf's covariance."""
  estimate = covariance.LedoitWolf().fit(points)
  if np.linalg.cond(estimate.covariance_) > _MAX_CONDITION:
    raise ValueError(
      'DensityOfStates: the covariance of the statistics is singular: some '
      f'determine others in all {len(points)} examples given. Give `fit` more '
      'examples, or leave statistics out.'
    )
  return estimate.location_[np.newaxis], estimate.covariance_


def _yeo_johnson(values, powers):
  """Yeo and Johnson's transformation of each column; a power of 1 is none."""

  def power(base, exponents):
    """(base + 1)^exponent - 1 over the exponent; at zero, its limit."""
    is_zero = np.abs(exponents) < 1e-12
    safe = np.where(is_zero, 1.0, exponents)
    log = tf.math.log1p(base)
    return tf.where(is_zero, log, tf.math.expm1(safe * log) / safe)

  powers = np.asarray(powers)
  return power(tf.maximum(values, 0.0), powers) - power(
    tf.maximum(-values, 0.0), 2.0 - powers
  )


def _yeo_johnson_slope(values, powers):
  """The derivative of `_yeo_johnson`."""
  exponents = tf.where(values >= 0, powers - 1.0, 1.0 - np.asarray(powers))
  return tf.exp(exponents * tf.math.log1p(tf.abs(values)))


_FITS = {
  'kde': _fit_kde,
  'one_class_svm': _fit_one_class_svm,
  'gaussian': _fit_gaussian,
  'mahalanobis': _fit_mahalanobis,
}


def _squared_distances(values, points, precision):
  """Squared distances between rows, `[batch, points]`, times the precision.

  A precision that is a matrix is that of the rows' quadratic form.
  """
  if np.ndim(precision) == 2:
    root = np.linalg.cholesky(precision)
    values, points, precision = tf.linalg.matmul(values, root), points @ root, 1
  points = tf.constant(points)
  return precision * (
    tf.reduce_sum(values**2, axis=1, keepdims=True)
    + tf.reduce_sum(points**2, axis=1)
    - 2 * tf.linalg.matmul(values, points, transpose_b=True)
  )
