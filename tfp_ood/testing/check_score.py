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

  The score must read the statistics that it names and no others, and leave them
  unchanged. It must give each example a number of its own, whatever else is in the
  batch, for batches of any size, eagerly and in a graph that does not know the
  size. What it learns it must learn in `fit` alone, list in `learned` as arrays or
  numbers, and be restored from; until then it must refuse to score.

  Args:
    score: `tfp_ood.stats.Score`, not fitted.
    statistics: `dict` from the names that it reads to arrays of at least 5
      examples that differ.
    rtol: relative tolerance.

  Raises:
    AssertionError: if the score breaks the contract; it says how.

  #### Example

  >>> from tfp_ood import stats
  >>> check_score(stats.Typicality(), {'log_prob': np.arange(5.0)})
  """
  assert isinstance(score, Score), f'{type(score).__name__} is not a Score.'
  assert isinstance(score.statistics, tuple) and score.statistics, (
    f'`statistics` must be a tuple of names, got {score.statistics!r}.'
  )
  missing = [name for name in score.statistics if name not in statistics]
  assert not missing, f'Give the statistics {", ".join(missing)} too.'
  statistics = {name: np.array(statistics[name]) for name in score.statistics}
  _check_unfitted(score, statistics)
  fitted = _fitted(score, statistics)
  scores = _scores(fitted, statistics)
  _check_batches(fitted, statistics, scores, rtol)
  _check_state(score, fitted, statistics, scores, rtol)


def _check_unfitted(score, statistics):
  if not score.learns:
    return
  assert not score.is_fitted, (
    f'Before `fit`, all of {score.learned} must be None; give a score that is not '
    'fitted yet.'
  )
  message = 'A score that has not learned must say so by `check_is_fitted`'
  try:
    copy.deepcopy(score)(statistics)
  except Exception as error:
    # TensorFlow raises ValueError too, of what is still None.
    if isinstance(error, ValueError) and 'fit' in str(error):
      return
    raise AssertionError(f'{message}, not fail by {error!r}.') from error
  raise AssertionError(f'{message}.')


def _fitted(score, statistics):
  fitted = copy.deepcopy(score)
  result = _call(fitted.fit, statistics, '`fit`')
  assert result is fitted, (
    f'`fit` must return the score itself, got {result!r}.'
  )
  assert fitted.is_fitted, f'`fit` must set all of {fitted.learned}.'
  for name, value in _learned(fitted).items():
    assert np.asarray(value).dtype.kind in 'biuf', (
      f'What is learned must be arrays or numbers, but {name} is '
      f'{type(value).__name__}.'
    )
  return fitted


def _scores(fitted, statistics):
  before = _learned(fitted)
  result = _call(fitted, statistics, 'The score')
  assert isinstance(result, tf.Tensor), (
    f'A score must be a tensor, got {type(result).__name__}.'
  )
  count = len(next(iter(statistics.values())))
  assert result.shape == [count] and result.dtype.is_floating, (
    f'A score is a float for each of {count} examples, got {result.dtype.name} of '
    f'shape {result.shape}.'
  )
  scores = result.numpy()
  assert not np.isnan(scores).any(), f'Scores must not be NaN, got {scores}.'
  for name, value in _learned(fitted).items():
    np.testing.assert_array_equal(
      value, before[name], err_msg=f'Scoring changes what was learned: {name}.'
    )
  return scores


def _check_batches(fitted, statistics, scores, rtol):
  in_graph = tf.function(
    fitted,
    input_signature=[
      {
        name: tf.TensorSpec([None, *values.shape[1:]], values.dtype, name)
        for name, values in statistics.items()
      }
    ],
  )

  def part(indices):
    return {name: values[indices] for name, values in statistics.items()}

  def of_parts(function, what):
    return [
      _call(function, part(slice(i, i + 1)), what) for i in range(len(scores))
    ]

  def constants(values):
    return in_graph({k: tf.constant(v) for k, v in values.items()})

  backwards = slice(None, None, -1)
  for what, found in {
    'An example alone': of_parts(fitted, 'One example alone'),
    'An example alone in a graph': of_parts(constants, 'A graph'),
    'A graph': [_call(constants, statistics, 'A graph')],
    'A batch backwards': [
      _call(fitted, part(backwards), 'A batch backwards')[::-1]
    ],
  }.items():
    np.testing.assert_allclose(
      np.concatenate(found), scores, rtol=rtol, err_msg=f'{what} differs.'
    )
  for function in (fitted, constants):
    none = _call(function, part(slice(0)), 'A batch of no examples')
    assert none.shape == [0], f'No examples, but scores of {none.shape}.'


def _check_state(score, fitted, statistics, scores, rtol):
  description = fitted.description
  assert isinstance(description, str) and description == score.description, (
    'The description must be a string that `fit` does not change, got '
    f'{score.description!r} and {description!r}.'
  )
  restored = copy.deepcopy(score)
  # As a file holds them.
  restored.set_state({k: np.asarray(v) for k, v in _learned(fitted).items()})
  what = 'A score that was restored; is something missing in `learned`? It'
  np.testing.assert_allclose(
    _call(restored, statistics, what),
    scores,
    rtol=rtol,
    err_msg='`set_state` loses something; is all that is learned in `learned`?',
  )


def _learned(score):
  state = score.get_state()
  assert set(state) == set(score.learned), (
    f'`get_state` must return {set(score.learned)}, got {set(state)}.'
  )
  return copy.deepcopy(state)


def _call(function, statistics, what):
  """Calls a function of statistics, which must neither fail nor change them."""
  given = {name: values.copy() for name, values in statistics.items()}
  try:
    result = function(given)
  except KeyError as error:
    raise AssertionError(
      f'{what} reads the statistic {error}, which `statistics` does not name.'
    ) from error
  except Exception as error:
    raise AssertionError(f'{what} fails: {error!r}.') from error
  assert list(given) == list(statistics), f'{what} changes its statistics.'
  for name, values in statistics.items():
    np.testing.assert_array_equal(
      given[name], values, err_msg=f'{what} changes the statistic {name}.'
    )
  return result
