# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of analyses class by class, and of scores against a quantity."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from tfp_ood import evaluation, reporting, stats

_NAMES = ['near', 'far', 'between']


@pytest.fixture(scope='module', name='found')
def _found():
  """An evaluation of scores that are known."""
  generator = np.random.default_rng(0)
  scores = {
    'score': {
      'inside': generator.normal(size=80),
      'outside': generator.normal(size=60) + np.repeat([0.0, 3.0, 1.0], 20),
    },
    'constant': {'inside': np.zeros(80), 'outside': np.zeros(60)},
  }
  return evaluation.Evaluation(
    'inside', None, ['outside'], {}, scores, p_values={}, kept=[]
  )


@pytest.fixture(scope='module', name='labels')
def _labels():
  return np.repeat([0, 1, 2], 20)


def test_each_class_is_set_against_all_that_is_in_distribution(found, labels):
  section = evaluation.by_class(found, 'outside', labels, _NAMES)
  assert list(section.results) == _NAMES
  for number, by_class in enumerate(section.results.values()):
    for score, values in found.scores.items():
      expected = stats.auroc(
        values['inside'], values['outside'][labels == number]
      )
      assert by_class['auroc'][score]['auroc'] == pytest.approx(expected)
  ((_, table),) = section.tree()['parts']
  assert table['header'] == ['class', 'score', 'constant']
  assert [row[0] for row in table['rows']] == _NAMES


def test_properties_of_classes_are_shown_beside_and_drawn(found, labels):
  distance = np.array([0.5, 4.0, 2.0])
  section = evaluation.by_class(
    found, 'outside', labels, _NAMES, ['score'], {'distance': distance}
  )
  (_, table), (_, figure) = section.tree()['parts']
  assert table['rows'][1][:2] == ['far', '4.000']
  points = figure['arguments']['points_by_name']['score']
  np.testing.assert_array_equal(points[:, 0], distance)
  np.testing.assert_array_equal(
    points[:, 1],
    [c['auroc']['score']['auroc'] for c in section.results.values()],
  )
  axes = reporting.scatter(**figure['arguments']).axes[0]
  assert (axes.get_xlabel(), axes.get_ylabel()) == ('Distance', 'AUROC')


def test_labels_are_those_of_the_examples(found, labels):
  with pytest.raises(ValueError, match='the 60 examples of .* got 59'):
    evaluation.by_class(found, 'outside', labels[1:], _NAMES)


def test_a_score_that_follows_a_quantity(found):
  quantity = {name: values**3 for name, values in found.scores['score'].items()}
  noise = np.random.default_rng(1).normal(size=60)
  section = evaluation.scores_against(found, quantity, 'cube')
  for name in ('inside', 'outside'):
    by_score = {
      s: f[name]['rank_correlation'] for s, f in section.results.items()
    }
    assert by_score == {'score': pytest.approx(1.0), 'constant': None}
  section = evaluation.scores_against(
    found, {'outside': noise}, 'noise', ['score']
  )
  expected = scipy_stats.spearmanr(noise, found.scores['score']['outside'])
  assert section.results['score']['outside']['rank_correlation'] == (
    pytest.approx(expected.statistic)
  )


def test_means_are_over_examples_of_like_values(found):
  values = np.repeat([0.0, 0.4, 1.0], 20)
  section = evaluation.scores_against(
    found, {'outside': values}, 'share', ['score'], num_bins=2
  )
  figure = section.tree()['parts'][0][1]['arguments']
  np.testing.assert_allclose(figure['x'], [0.25, 0.75])
  scores = found.scores['score']['outside']
  np.testing.assert_allclose(
    figure['series_by_name']['outside'],
    [scores[:40].mean(), scores[40:].mean()],
  )
