# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""How far an example's features are from those that are known."""

import numpy as np
import tensorflow as tf

from tfp_ood.stats.scores import _tensors
from tfp_ood.stats.scores.score import Score

__all__ = ['FeatureNeighbors']


class FeatureNeighbors(Score):
  """The distance to the k-th nearest neighbor among known features.

      score = |f(x) - f(x_(k))|

  with `f` a statistic of several numbers, such as the features of a classifier or
  the latent of an autoencoder, scaled to length 1 as [1] advises, and `x_(k)` the
  in-distribution example whose `f` is the k-th nearest. The neighbors are found by
  comparing with all known examples: a product of matrices, which runs in a graph
  and is exported with them.

  Features of +-inf score +inf, and of NaN, NaN.

  #### Example

  >>> import numpy as np
  >>> known = {'features': np.random.default_rng(0).normal([5., 0.], size=[99, 2])}
  >>> score = FeatureNeighbors(num_neighbors=3).fit(known)
  >>> near, opposite = score({'features': [[9., 0.], [-9., 0.]]}).numpy()
  >>> bool(near < 0.1), round(float(opposite), 1)
  (True, 2.0)

  #### References

  [1]: Yiyou Sun, Yifei Ming, Xiaojin Zhu, Yixuan Li. Out-of-Distribution Detection
       with Deep Nearest Neighbors. _International Conference on Machine Learning_,
       2022. https://arxiv.org/abs/2204.06507
  """

  learned = ('known',)

  def __init__(
    self,
    statistic='features',
    num_neighbors=50,
    normalize=True,
    max_examples=10_000,
  ):
    """Instantiates the score.

    Args:
      statistic: `str`, the name of a statistic `[batch, columns]`.
      num_neighbors: Python `int`, `k`.
      normalize: Python `bool`, whether features are scaled to length 1.
      max_examples: Python `int`: `fit` keeps at most so many examples, evenly spread
        over those given; each later one is compared with all of them.

    Raises:
      ValueError: if `num_neighbors` is not in 1 to `max_examples`.
    """
    if not 1 <= num_neighbors <= max_examples:
      raise ValueError(
        'FeatureNeighbors: `num_neighbors` must be at least 1 and at most '
        f'`max_examples`, {max_examples}; got {num_neighbors}.'
      )
    self.statistics = (statistic,)
    self.known = None
    self._num_neighbors = num_neighbors
    self._normalize = normalize
    self._max_examples = max_examples

  @property
  def description(self):
    """What the score is, a `str`; a `Detector` loads its like alone."""
    scaled = ', of length 1' if self._normalize else ''
    return f'{super().description}, neighbor {self._num_neighbors}{scaled}'

  def fit(self, statistics):
    """Keeps the features of in-distribution examples.

    Args:
      statistics: `dict` with an array `[num_examples, columns]`.

    Returns:
      The score itself.

    Raises:
      ValueError: if there are fewer examples than neighbors, or a feature is not
        finite.
    """
    features, _ = self._features(statistics)
    features = features.numpy()
    if len(features) < self._num_neighbors:
      raise ValueError(
        f'FeatureNeighbors: needs at least {self._num_neighbors} examples of '
        f'finite features, as many as neighbors; got {len(features)}.'
      )
    if not np.isfinite(features).all():
      raise ValueError(
        f'FeatureNeighbors: the statistic {self.statistics[0]!r} of '
        f'{np.sum(~np.isfinite(features).all(axis=1))} examples is not finite.'
      )
    kept = np.linspace(
      0, len(features) - 1, min(len(features), self._max_examples)
    )
    self.known = features[kept.round().astype(int)]
    return self

  def __call__(self, statistics):
    self.check_is_fitted()
    features, dtype = self._features(statistics)
    if features.shape[1] not in (None, self.known.shape[1]):
      raise ValueError(
        f'FeatureNeighbors: fitted to {self.known.shape[1]} columns of '
        f'{self.statistics[0]!r}, got {features.shape[1]}.'
      )
    known = tf.constant(self.known)
    squared = (
      tf.reduce_sum(features**2, axis=1, keepdims=True)
      - 2 * tf.matmul(features, known, transpose_b=True)
      + tf.reduce_sum(known**2, axis=1)
    )
    nearest = tf.math.top_k(-squared, self._num_neighbors).indices[:, -1]
    # By their difference, a small distance is exact.
    distance = tf.norm(features - tf.gather(known, nearest), axis=1)
    # Arithmetic would make of infinite features what it likes.
    is_infinite = tf.reduce_any(tf.math.is_inf(features), axis=1)
    distance = tf.where(is_infinite, np.float64(np.inf), distance)
    is_nan = tf.reduce_any(tf.math.is_nan(features), axis=1)
    return tf.cast(tf.where(is_nan, np.float64(np.nan), distance), dtype)

  def _features(self, statistics):
    """Features in double precision, for small differences, and their own dtype."""
    (name,) = self.statistics
    values = _tensors.as_float(statistics[name], name)
    _tensors.check_is_matrix(values, name, 'columns')
    features = tf.cast(values, tf.float64)
    if not self._normalize:
      return features, values.dtype
    length = tf.norm(features, axis=1, keepdims=True)
    is_ordinary = tf.math.is_finite(length) & (length > 0.0)
    # Features of no length, or of an infinite one, have no direction.
    scaled = tf.where(is_ordinary, features / length, features)
    return scaled, values.dtype
