# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Puts a score to the test that every score of the library passes."""

import copy

import numpy as np
import tensorflow as tf

from tfp_ood.stats.scores.score import Score

__all__ = ['check_score']


def check_score(score, statistics, rtol=1e-5):
  """Raises `AssertionError` unless a score keeps the contract of `Score`.

  It must read the statistics that it names and no others, give each example a
  number of its own whatever else is in the batch, eagerly and in a graph, learn in
  `fit` alone what it lists in `learned`, and be restored from that.

  Args:
    score: `tfp_ood.stats.Score`, not fitted.
    statistics: `dict` from the names that it reads to arrays of at least 5
      examples that differ.
    rtol: relative tolerance.

  #### Example

  >>> from tfp_ood import stats
  >>> check_score(stats.Typicality(), {'log_prob': np.arange(5.0)})
  """
  assert isinstance(score, Score), f'{type(score).__name__} is not a Score.'
  assert isinstance(score.statistics, tuple) and score.statistics, (
    f'`statistics` must be a tuple of names, got {score.statistics!r}.'
  )
  statistics = {name: np.asarray(statistics[name]) for name in score.statistics}
  unfitted = copy.deepcopy(score)
  if score.learns:
    assert not score.is_fitted, 'Give a score that is not fitted yet.'
    try:
      score(statistics)
    except ValueError:
      pass
    else:
      raise AssertionError(
        'A score that has not learned must raise ValueError.'
      )
  fitted = copy.deepcopy(score).fit(statistics)
  assert isinstance(fitted, type(score)), '`fit` must return the score.'
  assert fitted.is_fitted, f'`fit` must set {fitted.learned}.'
  scores = np.asarray(fitted(statistics))
  count = len(next(iter(statistics.values())))
  assert scores.shape == (count,) and np.issubdtype(
    scores.dtype, np.floating
  ), (
    f'A score is a float for each of {count} examples, got {scores.dtype} of shape '
    f'{scores.shape}.'
  )
  graph = tf.function(fitted, reduce_retracing=True)
  alone = np.concatenate(
    [
      graph({name: tf.constant(v[i : i + 1]) for name, v in statistics.items()})
      for i in range(count)
    ]
  )
  np.testing.assert_allclose(
    alone, scores, rtol=rtol, err_msg='An example alone scores differently.'
  )
  unfitted.set_state(fitted.get_state())
  np.testing.assert_allclose(
    unfitted(statistics),
    scores,
    rtol=rtol,
    err_msg='`set_state` loses something.',
  )
