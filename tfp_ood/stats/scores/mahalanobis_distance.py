# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""How far an example's features are from those of every class."""

import numpy as np
import tensorflow as tf

from tfp_ood.stats.scores import _tensors
from tfp_ood.stats.scores.score import Score

__all__ = ['MahalanobisDistance']

# How many roundings of a feature are taken for one.
_ROUNDINGS = 10


class MahalanobisDistance(Score):
  """The squared Mahalanobis distance to the nearest class.

      score = min_c (f(x) - m_c)^T S^-1 (f(x) - m_c)

  with `f` the features of a classifier, `m_c` their mean over the training examples
  of class `c`, and `S` their covariance around the mean of their own class, the same
  for all classes [1]. The class of a training example is the classifier's decision,
  that of the largest logit: `fit` needs no labels. Of in-distribution examples the
  score is about the number of features.

  With `relative`, it is less the squared distance to one normal distribution of all
  training examples, whatever their class [2],

      score = min_c (f(x) - m_c)^T S^-1 (f(x) - m_c) - (f(x) - m)^T R^-1 (f(x) - m)

  which leaves out the directions that do not tell classes apart.

  A class that the classifier never decides for has no mean and does not count. Where
  features determine one another, or there are no more examples than features, a
  covariance is singular: `S^-1` and `R^-1` are pseudoinverses, so directions in which
  training examples do not differ, but for rounding, do not count either.

  Features or logits of +-inf score +inf, and of NaN, NaN.

  #### Example

  >>> import numpy as np
  >>> noise = np.random.default_rng(0).normal(size=[1000, 2])
  >>> is_second = np.arange(1000) % 2
  >>> known = {'classifier_logits': np.stack([1 - is_second, is_second], axis=1),
  ...          'classifier_features': noise + 10 * is_second[:, np.newaxis]}
  >>> score = MahalanobisDistance().fit(known)
  >>> features = [[0., 0.], [10., 10.], [5., 5.]]
  >>> near, also_near, between = score({
  ...     'classifier_logits': np.zeros([3, 2]),
  ...     'classifier_features': features}).numpy()
  >>> bool(near < 0.1), bool(also_near < 0.1), bool(between > 40)
  (True, True, True)

  #### References

  [1]: Kimin Lee, Kibok Lee, Honglak Lee, Jinwoo Shin. A Simple Unified Framework for
       Detecting Out-of-Distribution Samples and Adversarial Attacks. _Neural
       Information Processing Systems_, 2018. https://arxiv.org/abs/1807.03888

  [2]: Jie Ren, Stanislav Fort, Jeremiah Liu, Abhijit Guha Roy, Shreyas Padhy, Balaji
       Lakshminarayanan. A Simple Fix to Mahalanobis Distance for Improving Near-OOD
       Detection. 2021. https://arxiv.org/abs/2106.09022
  """

  def __init__(
    self,
    logits='classifier_logits',
    features='classifier_features',
    relative=False,
  ):
    """Instantiates the score.

    Args:
      logits: `str`, the name of a statistic `[batch, classes]`.
      features: `str`, the name of a statistic `[batch, columns]`.
      relative: Python `bool`, whether the score is less the distance to all
        training examples together.
    """
    self.statistics = tuple(dict.fromkeys([logits, features]))
    self.learned = ('means', 'whitening')
    self.means = self.whitening = None
    if relative:
      self.learned += ('overall_mean', 'overall_whitening')
      self.overall_mean = self.overall_whitening = None
    self._logits, self._features = logits, features
    self._relative = relative

  @property
  def description(self):
    """What the score is, a `str`; a `Detector` loads its like alone."""
    relative = ', relative' if self._relative else ''
    return f'MahalanobisDistance({self._logits}, {self._features}){relative}'

  def fit(self, statistics):
    """Learns means and covariances of in-distribution examples.

    Args:
      statistics: `dict` with arrays `[num_examples, classes]` of logits, and
        `[num_examples, columns]` of features.

    Returns:
      The score itself.

    Raises:
      ValueError: if there are fewer than two examples, a value is not finite, or
        the features of each class are all the same.
    """
    logits, features, dtype = self._values(statistics)
    logits, features = logits.numpy(), features.numpy()
    self._check_finite(logits, features)
    # Classes that nothing was decided for are left out.
    decided, classes = np.unique(logits.argmax(axis=1), return_inverse=True)
    means = np.stack(
      [features[classes == index].mean(axis=0) for index in range(len(decided))]
    )
    whitening = _whitening(features, means[classes], dtype)
    if not whitening.size:
      raise ValueError(
        'MahalanobisDistance: `fit` needs features that differ within a class; '
        f'{self._features!r} of the {len(features)} examples are the same for all '
        f'of a class, in each of {len(decided)}.'
      )
    if self._relative:
      mean = features.mean(axis=0, keepdims=True)
      self.overall_mean = mean
      self.overall_whitening = _whitening(features, mean, dtype)
    self.means, self.whitening = means, whitening
    return self

  def __call__(self, statistics):
    self.check_is_fitted()
    logits, features, dtype = self._values(statistics)
    columns = self.means.shape[1]
    if features.shape[1] not in (None, columns):
      raise ValueError(
        f'MahalanobisDistance: fitted to {columns} columns of '
        f'{self._features!r}, got {features.shape[1]}.'
      )
    score = _squared_distance(features, self.means, self.whitening)
    if self._relative:
      score -= _squared_distance(
        features, self.overall_mean, self.overall_whitening
      )
    # Arithmetic would make of infinite values what it likes.
    read = tf.concat([logits, features], axis=1)
    is_finite = tf.math.is_finite(score) & tf.reduce_all(
      tf.math.is_finite(read), axis=1
    )
    score = tf.where(is_finite, score, np.float64(np.inf))
    is_nan = tf.reduce_any(tf.math.is_nan(read), axis=1)
    return tf.cast(tf.where(is_nan, np.float64(np.nan), score), dtype)

  def _values(self, statistics):
    """Logits and features in double precision, and the features' own dtype."""
    logits = _matrix(statistics, self._logits, 'classes')
    features = _matrix(statistics, self._features, 'columns')
    _tensors.check_same_shape(logits=logits[:, 0], features=features[:, 0])
    return (
      tf.cast(logits, tf.float64),
      tf.cast(features, tf.float64),
      features.dtype,
    )

  def _check_finite(self, logits, features):
    is_finite = np.isfinite(logits).all(axis=1) & np.isfinite(features).all(
      axis=1
    )
    if len(is_finite) < 2 or not is_finite.all():
      raise ValueError(
        f'MahalanobisDistance: `fit` needs finite {self._logits!r} and '
        f'{self._features!r} of at least two examples; of {len(is_finite)} given, '
        f'{np.count_nonzero(~is_finite)} are not finite.'
      )


def _matrix(statistics, name, columns):
  values = _tensors.as_float(statistics[name], name)
  _tensors.check_is_matrix(values, name, columns)
  return values


def _whitening(features, centers, dtype):
  """A matrix `W`, such that `W W^T` is the pseudoinverse of a covariance."""
  deviations = features - centers
  variances, directions = np.linalg.eigh(
    deviations.T @ deviations / len(features)
  )
  # The variance that rounding alone makes, of the features and in `eigh`.
  rounding = (_ROUNDINGS * np.finfo(dtype.as_numpy_dtype).eps) ** 2
  negligible = max(
    rounding * np.mean(np.sum(features**2, axis=1)),
    len(variances) * np.finfo(np.float64).eps * variances.max(initial=0.0),
  )
  kept = variances > negligible
  return directions[:, kept] / np.sqrt(variances[kept])


def _squared_distance(features, centers, whitening):
  """The smallest squared distance to one of the centers, `[batch]`."""
  # From their middle: rounding grows with the distance from the origin.
  origin = centers.mean(axis=0)
  points = tf.constant((centers - origin) @ whitening)
  values = tf.matmul(features - origin, whitening)
  squared = (
    tf.reduce_sum(values**2, axis=1, keepdims=True)
    - 2 * tf.matmul(values, points, transpose_b=True)
    + tf.reduce_sum(points**2, axis=1)
  )
  return tf.maximum(tf.reduce_min(squared, axis=1), 0.0)
