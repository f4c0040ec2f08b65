# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Several scores as one."""

import copy

import numpy as np
import tensorflow as tf

from tfp_ood.stats.scores import _tensors
from tfp_ood.stats.scores.density_of_states import DensityOfStates
from tfp_ood.stats.scores.score import Score

__all__ = ['Combination']

_METHODS = ('fisher', 'smallest', 'density')
# The share of known scores that the tail is fitted to.
_TAIL = 0.05


class Combination(Score):
  """Several scores, of one model or of several, as one.

  With `p_i(x)` the share of known in-distribution examples whose i-th score is at
  least that of `x`, the combined score is one of

      fisher:    sum_i -log p_i(x)
      smallest:  max_i -log p_i(x)
      density:   -log(kernel density of all -log p_i(x) together)

  The first adds evidence up, the second goes by the one score that finds the example
  strangest, and the third finds unusual combinations too. Scores are seldom
  independent, so that these are no p-values: a `Detector` calibrates the result as
  it does any score, and the false-alarm rate that it promises holds whatever the
  dependence.

  In between known scores `-log p_i` is linear, and above all of them it goes on as
  that of an exponential tail like the one of the highest twentieth: what is far out
  is told apart from what is farther.

  `fit` lets scores that learn learn from every second example, and takes the shares
  from the others: an example is never as strange to a score that learned from it.

  A score of +inf makes the result +inf, and one of NaN, NaN.

  #### Example

  >>> import numpy as np
  >>> from tfp_ood import stats
  >>> generator = np.random.default_rng(0)
  >>> known = {'log_prob': generator.normal(size=500),
  ...          'png_bits_per_dim': generator.normal(size=500)}
  >>> score = Combination(
  ...     [stats.Typicality(), stats.StatisticScore('png_bits_per_dim')]).fit(known)
  >>> usual, strange = score(
  ...     {'log_prob': [0., 3.], 'png_bits_per_dim': [0., 3.]}).numpy()
  >>> bool(usual < 3 < 9 < strange)
  True

  #### References

  [1]: Ronald Fisher. _Statistical Methods for Research Workers_. Oliver and Boyd,
       1925, section 21.1.
  [2]: Leonard Tippett. _The Methods of Statistics_. Williams and Norgate, 1931.
  """

  def __init__(self, scores, method='fisher'):
    """Instantiates the score.

    Args:
      scores: sequence of at least two `Score`s. Those that have learned keep it.
      method: `'fisher'`, `'smallest'` or `'density'`.

    Raises:
      ValueError: if `method` is unknown or there are fewer than two scores.
    """
    if method not in _METHODS:
      raise ValueError(
        f'Combination: `method` must be one of {", ".join(_METHODS)}; got '
        f'{method!r}.'
      )
    if len(scores) < 2:
      raise ValueError(
        f'Combination: needs at least two scores, got {len(scores)}.'
      )
    # Copies: what these learn is no other's business.
    self._scores = [copy.deepcopy(score) for score in scores]
    self._learning = [score.learns and not score.is_fitted for score in scores]
    self._method = method
    self._surprises = [_Surprise() for _ in scores]
    self._density = None
    if method == 'density':
      self._density = DensityOfStates(('surprises',), 'kde')
    names = (name for score in scores for name in score.statistics)
    self.statistics = tuple(dict.fromkeys(names))

  @property
  def description(self):
    """What the score is, a `str`; a `Detector` loads its like alone."""
    parts = '; '.join(score.description for score in self._scores)
    return f'{type(self).__name__}({parts}), {self._method}'

  @property
  def learned(self):
    """Names of what `fit` learns, of each score and of its shares."""
    return tuple(
      f'{prefix}{name}'
      for prefix, part in self._parts()
      for name in part.learned
    )

  @property
  def is_fitted(self):
    """Whether all that is to be learned has been."""
    return all(part.is_fitted for _, part in self._parts())

  def get_state(self):
    """Returns what was learned, a `dict` of arrays."""
    return {
      f'{prefix}{name}': value
      for prefix, part in self._parts()
      for name, value in part.get_state().items()
    }

  def set_state(self, state):
    """Takes over what another score of the same kind has learned."""
    for prefix, part in self._parts():
      part.set_state({name: state[f'{prefix}{name}'] for name in part.learned})

  def fit(self, statistics):
    """Learns from in-distribution examples.

    Args:
      statistics: `dict` from the names in `self.statistics` to arrays whose first
        axis is the examples.

    Returns:
      The score itself.

    Raises:
      ValueError: if there are fewer than four examples, or a score is not finite or
        the same for all.
    """
    before = self.get_state()
    try:
      self._fit(statistics)
    except BaseException as error:
      self.set_state(before)
      if isinstance(error, ValueError):
        raise ValueError(f'Combination: {error}') from error
      raise
    return self

  def __call__(self, statistics):
    self.check_is_fitted()
    surprises, dtype = self._surprises_of(statistics)
    if self._method == 'fisher':
      result = tf.reduce_sum(surprises, axis=-1)
    elif self._method == 'smallest':
      result = tf.reduce_max(surprises, axis=-1)
    else:
      result = self._density({'surprises': surprises})
    is_nan = tf.reduce_any(tf.math.is_nan(surprises), axis=-1)
    result = tf.where(is_nan, tf.constant(np.nan, result.dtype), result)
    return tf.cast(result, dtype)

  def _parts(self):
    """All that learns, and by what its learned attributes are told apart."""
    parts = [
      (f'{kind}_{index}_', part)
      for kind, those in (
        ('score', self._scores),
        ('surprise', self._surprises),
      )
      for index, part in enumerate(those)
    ]
    if self._density is not None:
      parts.append(('density_', self._density))
    return parts

  def _fit(self, statistics):
    count = len(next(iter(statistics.values())))
    if count < 4:
      raise ValueError(
        f'needs at least four examples of finite scores, got {count}.'
      )
    rest = statistics
    if any(self._learning):
      some = {name: values[::2] for name, values in statistics.items()}
      rest = {name: values[1::2] for name, values in statistics.items()}
      for score, is_learning in zip(self._scores, self._learning, strict=True):
        if is_learning:
          score.fit({name: some[name] for name in score.statistics})
    for surprise, values in zip(self._surprises, self._each(rest), strict=True):
      surprise.fit({'score': tf.cast(values, tf.float64).numpy()})
    if self._density is not None:
      surprises, _ = self._surprises_of(rest)
      self._density.fit({'surprises': surprises.numpy()})

  def _each(self, statistics):
    """Each score by itself, as a list of `Tensor`s."""
    values = [
      score({name: statistics[name] for name in score.statistics})
      for score in self._scores
    ]
    for index, value in enumerate(values):
      _tensors.check_same_shape(
        **{'the first score': values[0], f'score {index}': value}
      )
    return values

  def _surprises_of(self, statistics):
    """`-log p_i` as a float64 matrix, and the dtype of the result."""
    values = self._each(statistics)
    surprises = [
      surprise({'score': tf.cast(value, tf.float64)})
      for surprise, value in zip(self._surprises, values, strict=True)
    ]
    in_double = any(value.dtype == tf.float64 for value in values)
    dtype = tf.float64 if in_double else tf.float32
    return tf.stack(surprises, axis=-1), dtype


class _Surprise(Score):
  """Minus the logarithm of the share of known scores that are as large."""

  statistics = ('score',)
  learned = ('values', 'surprises', 'slope')
  values = surprises = slope = None

  def fit(self, statistics):
    """Learns a curve that is linear between the known scores, and its last slope."""
    scores = statistics['score']
    if not np.isfinite(scores).all():
      raise ValueError(
        f'{np.sum(~np.isfinite(scores))} scores of in-distribution examples are '
        'not finite.'
      )
    values, counts = np.unique(scores, return_counts=True)
    if len(values) < 2:
      raise ValueError('a score is the same for all examples; leave it out.')
    shares = np.cumsum(counts[::-1])[::-1] / len(scores)
    start = values[:-1][shares[:-1] >= _TAIL][-1]
    self.values, self.surprises = values, -np.log(shares)
    # An exponential tail has this hazard.
    self.slope = 1.0 / np.mean(scores[scores > start] - start)
    return self

  def __call__(self, statistics):
    scores = statistics['score']
    values, surprises = tf.constant(self.values), tf.constant(self.surprises)
    inside = tf.clip_by_value(scores, values[0], values[-1])
    above = tf.searchsorted(values, inside, side='right')
    above = tf.clip_by_value(above, 1, len(self.values) - 1)
    ends, heights = (
      [tf.gather(numbers, above - 1), tf.gather(numbers, above)]
      for numbers in (values, surprises)
    )
    share = (inside - ends[0]) / (ends[1] - ends[0])
    height = heights[0] + share * (heights[1] - heights[0])
    beyond = self.slope * tf.maximum(scores - values[-1], 0.0)
    return tf.where(tf.math.is_nan(scores), scores, height + beyond)
