# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Puts every score of the library through the same checks."""

import inspect
import io
import math
import pathlib
import types

import numpy as np
import pytest
import tensorflow as tf
from conformance import registry
from conformance.score_registry import COVERED_ELSEWHERE, EXCLUDED, SCORES
from tiers import few

from tfp_ood import distributions, networks, stats, testing

every_score = pytest.mark.parametrize('name', sorted(SCORES))
_LEARNING = [name for name in SCORES if SCORES[name].build().learns]
_OF_SEVERAL = [
  name for name in SCORES if len(SCORES[name].build().statistics) > 1
]


def _with(statistics, name, index, value):
  """The statistics with one value of one example replaced."""
  changed = {key: array.copy() for key, array in statistics.items()}
  changed[name].reshape([len(changed[name]), -1])[index, 0] = value
  return changed


def _part(statistics, part):
  return {name: value[part] for name, value in statistics.items()}


def test_every_public_score_is_registered():
  assert not registry.uncovered(stats, stats.Score, SCORES, EXCLUDED)
  with pytest.raises(TypeError, match='abstract'):
    stats.Score()


def test_uncovered_reports_a_score_without_an_entry():
  fewer = {name: SCORES[name] for name in SCORES if name != 'waic'}
  assert registry.uncovered(stats, stats.Score, fewer, EXCLUDED) == ['Waic']


def test_every_other_public_class_has_a_test_file():
  others = {
    name
    for name in stats.__all__
    if inspect.isclass(member := getattr(stats, name))
    if not issubclass(member, stats.Score) and not issubclass(member, tuple)
  }
  assert others == set(COVERED_ELSEWHERE)
  tests = pathlib.Path(__file__).resolve().parents[1]
  for name, file in COVERED_ELSEWHERE.items():
    assert name in (tests / file).read_text(encoding='utf-8')


def _model_like(kind):
  """What `Statistics` asks of a model before it runs one."""
  return types.SimpleNamespace(
    log_prob=lambda x: None,
    event_shape=[8, 8, 3],
    # Those of a class: none needs an instance that was built.
    statistics_names=object.__new__(kind).statistics_names,
  )


def _available():
  """Names of all statistics of the library's models, and of a user's own."""
  names = set()
  classifier = _model_like(networks.ImageClassifier)
  for kind in (
    distributions.ImageFlow,
    distributions.VariationalAutoencoder,
    distributions.NeuralRenderingModel,
  ):
    model = _model_like(kind)
    own = dict.fromkeys(['total_variation', 'features'], tf.size)
    known = stats.Statistics(model, model, [model, model], own, classifier)
    names.update(known.names)
  return names


@every_score
def test_reads_statistics_that_there_are(name):
  score = SCORES[name].build()
  assert isinstance(score.statistics, tuple) and score.statistics
  assert set(score.statistics) <= _available()
  # It reads these and no others: a dictionary of just these is enough.
  statistics = SCORES[name].statistics(5, seed=1)
  assert SCORES[name].make(0)(statistics).shape == [5]
  for missing in score.statistics:
    fewer = {k: v for k, v in statistics.items() if k != missing}
    with pytest.raises(KeyError, match=missing):
      SCORES[name].make(0)(fewer)


@every_score
@pytest.mark.parametrize('dtype', few([np.float32, np.float64], 1))
def test_passes_the_check_that_is_there_for_scores_of_ones_own(name, dtype):
  score, statistics = SCORES[name].build(), SCORES[name].statistics(9, 1, dtype)
  if name == 'typicality_of_given_entropy':
    # Of scores that learn, the check is for those that have not.
    with pytest.raises(AssertionError, match='a score that is not fitted yet'):
      testing.check_score(score, statistics)
  else:
    testing.check_score(score, statistics)


@every_score
def test_each_example_is_scored_by_itself(name):
  entry, score = SCORES[name], SCORES[name].make(0)
  statistics = entry.statistics(8, seed=1)
  together = score(statistics)
  assert together.shape == [8] and together.dtype.is_floating
  assert np.unique(together).size == 8
  assert np.isfinite(together).all()
  for index in range(8):
    alone = score(_part(statistics, slice(index, index + 1)))
    assert alone.shape == [1]
    np.testing.assert_allclose(alone[0], together[index], rtol=1e-6)
  backwards = score(_part(statistics, slice(None, None, -1)))
  np.testing.assert_allclose(backwards[::-1], together, rtol=1e-6)


@every_score
@pytest.mark.parametrize('dtype', [np.float16, np.float32, np.float64])
def test_an_empty_batch_has_no_scores(name, dtype):
  scores = SCORES[name].make(0)(SCORES[name].statistics(0, 1, dtype))
  assert scores.shape == [0]
  assert scores.dtype in (tf.float32, tf.float64)


@every_score
@pytest.mark.parametrize('half', [tf.float16, tf.bfloat16])
def test_half_precision_is_computed_in_single(name, half):
  entry, score = SCORES[name], SCORES[name].make(0)
  statistics = {
    key: tf.cast(value, half) for key, value in entry.statistics(9, 1).items()
  }
  scores = score(statistics)
  assert scores.dtype == tf.float32
  single = {k: tf.cast(v, tf.float32) for k, v in statistics.items()}
  np.testing.assert_array_equal(scores, score(single))


@every_score
def test_lists_of_python_numbers_are_taken(name):
  entry, score = SCORES[name], SCORES[name].make(0)
  statistics = entry.statistics(4, 1, np.float32)
  lists = {key: value.tolist() for key, value in statistics.items()}
  scores = score(lists)
  assert isinstance(scores, tf.Tensor)
  np.testing.assert_array_equal(scores, score(statistics))


@every_score
@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_infinite_statistics_score_as_documented(name, dtype):
  entry, score = SCORES[name], SCORES[name].make(0)
  statistics = entry.statistics(4, 1, dtype)
  finite = score(statistics).numpy()
  assert {statistic for statistic, _ in entry.infinite} == set(statistics)
  for (statistic, value), expected in entry.infinite.items():
    scores = score(_with(statistics, statistic, 2, value)).numpy()
    np.testing.assert_array_equal(scores[2], expected)
    others = [0, 1, 3]
    np.testing.assert_allclose(scores[others], finite[others], rtol=1e-6)


@every_score
def test_nan_stays_nan_and_spares_the_others(name):
  entry, score = SCORES[name], SCORES[name].make(0)
  statistics = entry.statistics(4, 1)
  finite = score(statistics).numpy()
  in_graph = tf.function(score)
  for statistic in statistics:
    for function in (score, in_graph):
      scores = function(_with(statistics, statistic, 1, math.nan)).numpy()
      assert math.isnan(scores[1])
      others = [0, 2, 3]
      np.testing.assert_allclose(scores[others], finite[others], rtol=1e-6)


@every_score
def test_unknown_batch_size_is_traced_once(name):
  entry, score = SCORES[name], SCORES[name].make(0)
  statistics = entry.statistics(5, 1, np.float32)
  in_graph = tf.function(
    score,
    input_signature=[
      {
        key: tf.TensorSpec([None, *value.shape[1:]])
        for key, value in statistics.items()
      }
    ],
  )
  assert in_graph.get_concrete_function().structured_outputs.shape.rank == 1
  for size in (0, 1, 5):
    part = _part(statistics, slice(size))
    scores = in_graph({key: tf.constant(value) for key, value in part.items()})
    assert scores.shape == [size]
    np.testing.assert_allclose(scores, score(part), rtol=1e-5, atol=1e-5)
  assert in_graph.experimental_get_tracing_count() == 1


@pytest.mark.exhaustive
@every_score
def test_maps_over_a_data_set_with_a_ragged_last_batch(name):
  entry, score = SCORES[name], SCORES[name].make(0)
  statistics = entry.statistics(16, 1)
  dataset = tf.data.Dataset.from_tensor_slices(statistics).batch(7).map(score)
  parts = list(dataset)
  assert [len(part) for part in parts] == [7, 7, 2]
  np.testing.assert_allclose(
    np.concatenate(parts), score(statistics), rtol=1e-5, atol=1e-5
  )


@every_score
def test_state_round_trip_gives_the_same_scores(name):
  entry, fitted = SCORES[name], SCORES[name].make(0)
  file = io.BytesIO()
  np.savez(file, **fitted.get_state())
  file.seek(0)
  with np.load(file) as state:
    restored = entry.build()
    restored.set_state(dict(state))
  assert restored.is_fitted
  statistics = entry.statistics(6, 1)
  np.testing.assert_array_equal(restored(statistics), fitted(statistics))
  assert set(restored.get_state()) == set(fitted.get_state())
  assert bool(fitted.get_state()) == fitted.learns
  if fitted.learns:
    # The check above can fail: other examples teach another score.
    assert np.any(entry.make(5)(statistics) != fitted(statistics))


@every_score
def test_fit_returns_the_score_and_is_needed_only_to_learn(name):
  entry = SCORES[name]
  score = entry.build()
  if name == 'typicality_of_given_entropy' or not score.learns:
    assert score.is_fitted
    score(entry.statistics(2, 1))
  else:
    assert not score.is_fitted
    with pytest.raises(ValueError, match=f'{type(score).__name__}: call `fit`'):
      score(entry.statistics(2, 1))
    with pytest.raises(ValueError, match=f'{type(score).__name__}: call `fit`'):
      tf.function(score)(entry.statistics(2, 1))
  assert score.fit(entry.statistics(50, 1)) is score
  assert score.is_fitted


@pytest.mark.parametrize('name', _LEARNING)
def test_fit_refuses_what_teaches_nothing(name):
  entry = SCORES[name]
  score = entry.make(0)
  statistics = entry.statistics(6, 1)
  before = score(statistics).numpy()
  unusable = [entry.statistics(0, 1)]
  unusable += [
    _with(entry.statistics(50, 1), statistic, 7, value)
    for statistic in statistics
    for value in (math.nan, math.inf, -math.inf)
  ]
  for given in unusable:
    with pytest.raises(ValueError, match=f'{type(score).__name__}: .*finite'):
      score.fit(given)
  # A failure leaves what was learned before.
  np.testing.assert_array_equal(score(statistics), before)


@pytest.mark.parametrize('name', _OF_SEVERAL)
def test_statistics_of_different_examples_are_refused(name):
  entry, score = SCORES[name], SCORES[name].make(0)
  for changed in score.statistics:
    statistics = entry.statistics(5, 1)
    statistics[changed] = statistics[changed][:4]
    for function in (score, tf.function(score)):
      with pytest.raises(ValueError, match='must have the same shape'):
        function(statistics)


@every_score
def test_names_and_other_non_numbers_are_refused(name):
  entry, score = SCORES[name], SCORES[name].make(0)
  statistics = {
    key: np.full(value.shape, 'high')
    for key, value in entry.statistics(3, 1).items()
  }
  with pytest.raises((TypeError, ValueError, tf.errors.UnimplementedError)):
    score(statistics)


def test_descriptions_tell_scores_apart():
  descriptions = {SCORES[name].build().description for name in SCORES}
  # The two of typicality differ in what they have learned alone.
  assert len(descriptions) == len(SCORES) - 1
  for entry in SCORES.values():
    score = entry.build()
    for part in (type(score).__name__, *score.statistics):
      assert part in score.description


@pytest.mark.parametrize('shape', [[5], [], [2, 5, 3]])
def test_waic_needs_members_for_each_example(shape):
  with pytest.raises(ValueError, match=r'shape \[batch, members\], got'):
    stats.Waic()({'ensemble_log_probs': np.zeros(shape)})
  with pytest.raises(ValueError, match='at least two models'):
    stats.Waic()({'ensemble_log_probs': np.zeros([5, 1])})


@pytest.mark.parametrize('shape', [[], [5, 0], [5, 2, 1]])
def test_density_of_states_needs_numbers_for_each_example(shape):
  score = SCORES['density_of_states_kde'].make(0)
  statistics = {'density': np.zeros([5]), 'volume': np.zeros(shape)}
  for function in (score, score.fit):
    with pytest.raises(ValueError, match="statistic 'volume' must be one num"):
      function(statistics)


@pytest.mark.parametrize('columns', [1, 4])
def test_density_of_states_is_of_as_many_columns_as_it_was_fitted_to(columns):
  score = SCORES['density_of_states_gaussian'].make(0)
  statistics = SCORES['density_of_states_gaussian'].statistics(5, 1)
  statistics['layer_etas'] = np.zeros([5, columns])
  for function in (score, tf.function(score)):
    with pytest.raises(ValueError, match=f'to 7 columns, got {columns + 4}: '):
      function(statistics)


@pytest.mark.parametrize('shape', [[5], [], [2, 5, 3]])
@pytest.mark.parametrize(
  'score',
  [
    stats.RenderingReconstruction(0),
    stats.StatisticScore('layer_reconstructions', column=0),
  ],
)
def test_a_column_needs_columns_for_each_example(score, shape):
  with pytest.raises(ValueError, match=r'shape \[batch, columns\], got'):
    score({'layer_reconstructions': np.zeros(shape)})


@pytest.mark.parametrize('shape', [[], [5, 2], [5, 1]])
@pytest.mark.parametrize(
  'score',
  [
    stats.NegativeLogLikelihood('statistic'),
    stats.StatisticScore('statistic'),
  ],
)
def test_a_statistic_of_several_numbers_is_no_score(score, shape):
  with pytest.raises(
    ValueError, match=r"'statistic' must be one number.*argument `column`"
  ):
    score({'statistic': np.zeros(shape)})


@pytest.mark.parametrize(
  'arguments, error, message',
  [
    (dict(sign=0), ValueError, '`sign` must be 1 or -1, got 0'),
    (dict(sign=2), ValueError, '`sign` must be 1 or -1, got 2'),
    (dict(column=-1), ValueError, 'columns count from 0, got -1'),
    (dict(column=0.5), TypeError, 'integer'),
  ],
)
def test_a_statistic_score_refuses(arguments, error, message):
  with pytest.raises(error, match=message):
    stats.StatisticScore('statistic', **arguments)


def test_a_statistic_has_no_column_beyond_its_last():
  values = {'statistic': np.zeros([5, 2])}
  assert stats.StatisticScore('statistic', column=1)(values).shape == [5]
  with pytest.raises(ValueError, match='has no column 2; it has 2, counted'):
    stats.StatisticScore('statistic', column=2)(values)
