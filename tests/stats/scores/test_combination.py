# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of several scores as one."""

import numpy as np
import pytest
import tensorflow_probability as tfp
from scipy import stats as scipy_stats

from tfp_ood import stats

tfd = tfp.distributions

_A, _B = stats.StatisticScore('a'), stats.StatisticScore('b')


def _known(count=400, seed=0, correlation=0.0):
  generator = np.random.default_rng(seed)
  covariance = [[1.0, correlation], [correlation, 1.0]]
  values = generator.multivariate_normal([0.0, 0.0], covariance, size=count)
  return {'a': values[:, 0], 'b': 10 * values[:, 1] + 3}


def _shares(known, values):
  """By brute force, at values that are known."""
  return np.array([np.mean(known >= value) for value in values])


@pytest.mark.parametrize(
  ('method', 'combined'),
  [
    ('fisher', lambda p, q: -np.log(p) - np.log(q)),
    ('smallest', lambda p, q: np.maximum(-np.log(p), -np.log(q))),
  ],
)
def test_at_known_scores_it_is_what_the_formula_says(method, combined):
  known = _known()
  # Scores with ties, too.
  known['b'] = np.round(known['b'])
  score = stats.Combination([_A, _B], method).fit(known)
  expected = combined(
    *(_shares(known[name], known[name]) for name in ('a', 'b'))
  )
  np.testing.assert_allclose(score(known), expected, rtol=1e-12, atol=1e-12)


def test_in_between_and_beyond_it_goes_on():
  known = {'a': np.arange(100.0), 'b': np.arange(100.0)}
  score = stats.Combination([_A, _B]).fit(known)

  def at(value):
    return score({'a': np.array([value]), 'b': np.array([0.0])}).numpy()[0]

  assert at(-5.0) == at(0.0) == 0.0
  assert at(96.5) == pytest.approx(-0.5 * (np.log(0.04) + np.log(0.03)))
  # The highest twentieth starts at 95; the mean excess of 96 to 99 is 2.5.
  assert at(99.0) == pytest.approx(np.log(100))
  assert at(104.0) == pytest.approx(np.log(100) + 5.0 / 2.5)


def test_an_exponential_tail_is_recognized():
  generator = np.random.default_rng(0)
  known = {name: generator.exponential(3.0, size=20_000) for name in 'ab'}
  score = stats.Combination([_A, _B], 'smallest').fit(known)
  far = np.array([20.0, 60.0, 200.0])
  found = score({'a': far, 'b': np.zeros([3])})
  np.testing.assert_allclose(found, far / 3.0, rtol=0.05)


def test_of_independent_scores_fisher_is_chi_squared():
  score = stats.Combination([_A, _B]).fit(_known(20_000))
  fresh = 2 * score(_known(5_000, seed=1)).numpy()
  p_value = scipy_stats.kstest(fresh, scipy_stats.chi2(df=4).cdf).pvalue
  assert p_value > 1e-3


@pytest.mark.parametrize('method', ['fisher', 'smallest', 'density'])
@pytest.mark.parametrize('correlation', [-0.9, 0.0, 0.9])
def test_a_detector_keeps_its_promise_whatever_the_dependence(
  method, correlation
):
  score = stats.Combination([_A, _B], method)
  model = tfd.Sample(tfd.Normal(0.0, 1.0), [2])
  detector = stats.Detector(
    model, score, statistics={name: len for name in 'ab'}
  )
  detector.fit_statistics(
    _known(2_000, 1, correlation), _known(500, 0, correlation)
  )
  fresh = detector.p_value_of_statistics(_known(4_000, 2, correlation))
  for rate in (0.01, 0.05, 0.2):
    flagged = np.count_nonzero(fresh <= rate)
    # Over the calibration examples too, the number is beta-binomial.
    of_rate = scipy_stats.betabinom(4_000, 2_001 * rate, 2_001 * (1 - rate))
    assert of_rate.cdf(flagged) > 1e-3 and of_rate.sf(flagged) > 1e-3


def test_the_density_finds_what_is_unusual_together():
  known = _known(2_000, correlation=0.95)
  unusual = {'a': np.array([1.5, 1.5]), 'b': np.array([18.0, -12.0])}
  for method, is_found in (('density', True), ('fisher', False)):
    together, apart = stats.Combination([_A, _B], method).fit(known)(unusual)
    assert bool(apart > together) == is_found


def test_scores_learn_from_other_examples_than_are_ranked():
  known = {'latent': np.random.default_rng(0).normal(size=[200, 3])}
  nearest = stats.FeatureNeighbors('latent', num_neighbors=1)
  # Of the examples learned from, every distance is zero.
  score = stats.Combination(
    [nearest, stats.DensityOfStates(('latent',), 'mahalanobis')]
  ).fit(known)
  fresh = {'latent': np.random.default_rng(1).normal(size=[200, 3])}
  assert score(fresh).numpy().mean() < 3.0
  assert nearest.known is None  # A copy learned.


def test_scores_that_have_learned_keep_it():
  learned = stats.Typicality(entropy=2.0)
  values = np.random.default_rng(0).normal(size=100)
  known = {'log_prob': values, 'a': values**2}
  score = stats.Combination([learned, _A]).fit(known)
  # No example is set aside for learning.
  expected = -np.log(_shares(np.abs(values + 2.0), np.abs(values + 2.0)))
  expected -= np.log(_shares(values**2, values**2))
  np.testing.assert_allclose(score(known), expected, rtol=1e-12, atol=1e-12)


def test_a_combination_of_combinations():
  inner = stats.Combination([_A, _B], 'smallest')
  score = stats.Combination([inner, stats.StatisticScore('c')])
  known = {**_known(), 'c': np.random.default_rng(1).normal(size=400)}
  assert score.statistics == ('a', 'b', 'c')
  score.fit(known)
  restored = stats.Combination([inner, stats.StatisticScore('c')])
  restored.set_state(score.get_state())
  np.testing.assert_array_equal(restored(known), score(known))


def test_two_scores_of_a_kind_are_told_apart(tmp_path):
  model = tfd.Sample(tfd.Normal(0.0, 1.0), [3])
  values = np.random.default_rng(0).normal(size=[100, 3]).astype(np.float32)

  def detector(method='fisher'):
    return stats.Detector(
      model,
      stats.Combination(
        [
          stats.Typicality(),
          stats.FeatureNeighbors('latent', 3),
          stats.FeatureNeighbors('latent', 1),
        ],
        method,
      ),
      statistics={'latent': lambda x: x},
    )

  fitted = detector().fit(values)
  fitted.save(tmp_path / 'detector.npz')
  restored = detector().load(tmp_path / 'detector.npz')
  np.testing.assert_array_equal(
    restored.p_value(values), fitted.p_value(values)
  )
  with pytest.raises(ValueError, match='another score'):
    detector('smallest').load(tmp_path / 'detector.npz')


def test_not_a_number_is_not_lost():
  for method in ('fisher', 'smallest', 'density'):
    score = stats.Combination([_A, _B], method).fit(_known())
    found = score({'a': [np.nan, 0.0], 'b': [0.0, 0.0]}).numpy()
    assert np.isnan(found).tolist() == [True, False]


@pytest.mark.parametrize(
  ('scores', 'method', 'message'),
  [
    ([_A], 'fisher', 'at least two scores, got 1'),
    ([_A, _B], 'mean', 'one of fisher, smallest, density'),
  ],
)
def test_refuses_arguments(scores, method, message):
  with pytest.raises(ValueError, match=message):
    stats.Combination(scores, method)


@pytest.mark.parametrize(
  ('changed', 'message'),
  [
    ({'a': np.full([400], 2.0)}, 'the same for all examples'),
    ({'b': np.full([400], np.inf)}, '400 scores .* are not finite'),
    (
      {'a': np.zeros([3]), 'b': np.zeros([3])},
      'at least four examples .* got 3',
    ),
  ],
)
def test_refuses_what_it_cannot_learn_from(changed, message):
  with pytest.raises(ValueError, match=message):
    stats.Combination([_A, _B]).fit({**_known(), **changed})
