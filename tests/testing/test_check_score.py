# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""check_score passes scores that keep the contract, and catches others."""

import numpy as np
import pytest
import tensorflow as tf

from tfp_ood import stats, testing


def _statistics(count=7, dtype=np.float64):
  random = np.random.default_rng(0)
  return {
    'log_prob': random.normal(-100.0, 5.0, count).astype(dtype),
    'columns': random.normal(size=[count, 3]).astype(dtype),
  }


class _Good(stats.Score):
  """The distance from what was known, and it keeps every rule."""

  statistics = ('log_prob', 'columns')
  learned = ('mean', 'scales')
  mean = scales = None

  def fit(self, statistics):
    self.mean = float(np.mean(statistics['log_prob']))
    self.scales = np.std(statistics['columns'], axis=0)
    return self

  def __call__(self, statistics):
    self.check_is_fitted()
    log_prob = tf.convert_to_tensor(statistics['log_prob'])
    columns = tf.convert_to_tensor(statistics['columns']) / self.scales
    return tf.abs(log_prob - self.mean) + tf.reduce_sum(columns**2, axis=1)


class _Plain(stats.Score):
  """One with nothing to learn, for others to break."""

  statistics = ('log_prob',)

  def __call__(self, statistics):
    return -tf.convert_to_tensor(statistics['log_prob'])


@pytest.mark.parametrize('kind', [_Good, _Plain])
@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_a_score_that_keeps_the_contract_passes(kind, dtype):
  score, statistics = kind(), _statistics(dtype=dtype)
  before = {name: values.copy() for name, values in statistics.items()}
  assert testing.check_score(score, statistics) is None
  # What was given is as it was.
  assert score.is_fitted == (kind is _Plain)
  for name, values in statistics.items():
    np.testing.assert_array_equal(values, before[name])


def test_the_example_of_the_base_class_passes():
  class BitsAbove(stats.Score):
    statistics = ('bits_per_dim',)
    learned = ('worst',)
    worst = None

    def fit(self, statistics):
      self.worst = max(statistics['bits_per_dim'])
      return self

    def __call__(self, statistics):
      self.check_is_fitted()
      bits = tf.convert_to_tensor(statistics['bits_per_dim'])
      return bits - self.worst

  for dtype in (np.float32, np.float64):
    statistics = {'bits_per_dim': np.linspace(3.0, 4.0, 5, dtype=dtype)}
    testing.check_score(BitsAbove(), statistics)


# Scores of which each breaks one rule.


class _LooksAtTheBatch(_Plain):
  def __call__(self, statistics):
    log_prob = super().__call__(statistics)
    return log_prob - tf.reduce_mean(log_prob)


class _LooksAtItsNeighbor(_Plain):
  def __call__(self, statistics):
    log_prob = super().__call__(statistics)
    return log_prob + 0.1 * tf.roll(log_prob, 1, axis=0)


class _LooksAtItsPlace(_Plain):
  def __call__(self, statistics):
    log_prob = super().__call__(statistics)
    return log_prob + tf.cast(tf.range(tf.size(log_prob)), log_prob.dtype)


class _ReadsWhatItDoesNotName(_Plain):
  def __call__(self, statistics):
    return super().__call__(statistics) + statistics['columns'][:, 0]


class _FitReadsWhatItDoesNotName(_Good):
  statistics = ('log_prob',)


class _NamesAString(_Plain):
  statistics = 'log_prob'


class _NamesNothing(_Plain):
  statistics = ()


class _ChangesStatistics(_Plain):
  def __call__(self, statistics):
    score = super().__call__(dict(statistics))
    if isinstance(statistics['log_prob'], np.ndarray):
      statistics['log_prob'] *= 2.0
    return score


class _AddsStatistics(_Plain):
  def __call__(self, statistics):
    statistics['mine'] = super().__call__(statistics)
    return statistics['mine']


class _ForgetsToListAll(_Good):
  learned = ('mean',)


class _ForgetsToListAny(_Good):
  learned = ()


class _ForgetsWhatHasADefault(_Good):
  learned = ('scales',)
  mean = 0.0


class _IsFittedFromTheStart(_Good):
  mean = 0.0
  scales = 1.0


class _NeverFailsUnfitted(_Good):
  def __call__(self, statistics):
    if not self.is_fitted:
      return tf.zeros_like(statistics['log_prob'])
    return super().__call__(statistics)


class _FailsUnfittedByAccident(_Good):
  def check_is_fitted(self):
    pass


class _ReturnsAScalar(_Plain):
  def __call__(self, statistics):
    return tf.reduce_sum(super().__call__(statistics))


class _ReturnsAColumn(_Plain):
  def __call__(self, statistics):
    return super().__call__(statistics)[:, tf.newaxis]


class _ReturnsIntegers(_Plain):
  def __call__(self, statistics):
    return tf.cast(super().__call__(statistics), tf.int32)


class _ReturnsAnArray(_Plain):
  def __call__(self, statistics):
    return -np.asarray(statistics['log_prob'])


class _ReturnsNaN(_Plain):
  def __call__(self, statistics):
    return tf.math.log(-100.0 - tf.cast(statistics['log_prob'], tf.float32))


class _NeedsAnExample(_Plain):
  def __call__(self, statistics):
    if statistics['log_prob'].shape[0] == 0:
      raise ValueError('no examples')
    return super().__call__(statistics)


class _NeedsPython(_Plain):
  def __call__(self, statistics):
    return tf.constant([-float(x) for x in statistics['log_prob']])


class _DiffersInAGraph(_Plain):
  def __call__(self, statistics):
    return super().__call__(statistics) + float(not tf.executing_eagerly())


class _LearnsAnObject(_Good):
  learned = ('mean', 'scales', 'machine')
  machine = None

  def fit(self, statistics):
    self.machine = object()
    return super().fit(statistics)


class _LearnsAWord(_Good):
  learned = ('mean', 'scales', 'kind')
  kind = None

  def fit(self, statistics):
    self.kind = 'normal'
    return super().fit(statistics)


class _FitSetsLess(_Good):
  learned = ('mean', 'scales', 'more')
  more = None


class _FitReturnsNothing(_Good):
  def fit(self, statistics):
    super().fit(statistics)


class _FitReturnsAnother(_Good):
  def fit(self, statistics):
    return _Good().fit(statistics)


class _FitFails(_Good):
  def fit(self, statistics):
    raise RuntimeError('no time')


class _LearnsWhenItScores(_Good):
  def __call__(self, statistics):
    scores = super().__call__(statistics)
    self.mean = self.mean + 1.0
    return scores


class _KeepsAStateOfItsOwn(_Good):
  def get_state(self):
    return {'mean': self.mean}


class _ChangesItsDescription(_Good):
  @property
  def description(self):
    return f'with mean {self.mean}'


class _NoDescription(_Plain):
  description = None


_BROKEN = {
  _LooksAtTheBatch: 'An example alone differs',
  _LooksAtItsNeighbor: 'An example alone differs',
  _LooksAtItsPlace: 'An example alone differs',
  _ReadsWhatItDoesNotName: "reads the statistic 'columns', which",
  _FitReadsWhatItDoesNotName: "`fit` reads the statistic 'columns', which",
  _NamesAString: "must be a tuple of names, got 'log_prob'",
  _NamesNothing: r'must be a tuple of names, got \(\)',
  _ChangesStatistics: 'changes the statistic log_prob',
  _AddsStatistics: 'changes its statistics',
  _ForgetsToListAll: 'is something missing in `learned`?',
  _ForgetsToListAny: 'is something missing in `learned`?',
  _ForgetsWhatHasADefault: 'is all that is learned in `learned`?',
  _IsFittedFromTheStart: 'must be None; give a score that is not fitted',
  _NeverFailsUnfitted: 'that has not learned must say so by `check_is_fitted`.$',
  _FailsUnfittedByAccident: 'by `check_is_fitted`, not fail by ValueError',
  _ReturnsAScalar: r'a float for each of 7 examples, got float64 of shape \(\)',
  _ReturnsAColumn: r'for each of 7 examples, got float64 of shape \(7, 1\)',
  _ReturnsIntegers: 'a float for each of 7 examples, got int32',
  _ReturnsAnArray: 'must be a tensor, got ndarray',
  _ReturnsNaN: 'must not be NaN',
  _NeedsAnExample: 'A batch of no examples fails',
  _NeedsPython: 'A graph fails',
  _DiffersInAGraph: 'in a graph differs',
  _LearnsAnObject: 'arrays or numbers, but machine is object',
  _LearnsAWord: 'arrays or numbers, but kind is str',
  _FitSetsLess: '`fit` must set all of',
  _FitReturnsNothing: '`fit` must return the score itself, got None',
  _FitReturnsAnother: '`fit` must return the score itself, got <',
  _FitFails: r"`fit` fails: RuntimeError\('no time'\)",
  _LearnsWhenItScores: 'Scoring changes what was learned: mean',
  _KeepsAStateOfItsOwn: '`get_state` must return',
  _ChangesItsDescription: 'must be a string that `fit` does not change',
  _NoDescription: 'must be a string',
}


@pytest.mark.parametrize('kind', list(_BROKEN))
def test_a_score_that_breaks_a_rule_is_caught(kind):
  with pytest.raises(AssertionError, match=_BROKEN[kind]):
    testing.check_score(kind(), _statistics())


def test_what_is_no_score_is_caught():
  with pytest.raises(AssertionError, match='function is not a Score'):
    testing.check_score(lambda statistics: statistics, _statistics())


def test_statistics_that_were_not_given_are_named():
  statistics = _statistics()
  del statistics['columns']
  with pytest.raises(AssertionError, match='Give the statistics columns too'):
    testing.check_score(_Good(), statistics)


def test_the_tolerance_is_that_which_was_given():
  with pytest.raises(AssertionError, match='An example alone differs'):
    testing.check_score(_LooksAtItsNeighbor(), _statistics(), rtol=1e-3)
  testing.check_score(_LooksAtItsNeighbor(), _statistics(), rtol=1.0)
