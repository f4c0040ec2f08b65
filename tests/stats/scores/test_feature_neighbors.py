# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of distances to neighbors among known features."""

import numpy as np
import pytest
import tensorflow as tf
from sklearn import neighbors, preprocessing

from tfp_ood import stats


def _features(count, seed, columns=5):
  generator = np.random.default_rng(seed)
  return generator.normal(1.0, 2.0, size=[count, columns])


@pytest.mark.parametrize('normalize', [True, False])
@pytest.mark.parametrize('num_neighbors', [1, 7, 60])
def test_agrees_with_scikit_learn(normalize, num_neighbors):
  known, others = _features(60, 0), _features(30, 1)
  score = stats.FeatureNeighbors(
    num_neighbors=num_neighbors, normalize=normalize
  ).fit({'features': known})
  found = score({'features': others})
  if normalize:
    known, others = (
      preprocessing.normalize(known),
      preprocessing.normalize(others),
    )
  tree = neighbors.NearestNeighbors(n_neighbors=num_neighbors).fit(known)
  np.testing.assert_allclose(
    found, tree.kneighbors(others)[0][:, -1], rtol=1e-9, atol=1e-12
  )


def test_single_precision_keeps_small_distances():
  known = _features(60, 0).astype(np.float32)
  score = stats.FeatureNeighbors(num_neighbors=1, normalize=False)
  score.fit({'features': known})
  near = known + np.float32(1e-4)
  distance = np.linalg.norm(near.astype(np.float64) - known, axis=1)
  np.testing.assert_allclose(score({'features': near}), distance, rtol=1e-4)
  assert np.max(score({'features': known})) < 1e-6


def test_length_counts_only_if_asked():
  score = stats.FeatureNeighbors(num_neighbors=1).fit(
    {'features': [[1.0, 0.0], [0.0, 2.0]]}
  )
  np.testing.assert_allclose(
    score({'features': [[50.0, 0.0], [-3.0, 0.0]]}),
    [0.0, np.sqrt(2)],
    atol=1e-7,
  )


def test_features_of_no_length_have_a_distance():
  score = stats.FeatureNeighbors(num_neighbors=1)
  score.fit({'features': [[1.0, 0.0], [0.0, 2.0]]})
  assert score({'features': [[0.0, 0.0]]}).numpy() == 1.0


def test_keeps_as_many_as_it_may():
  known = _features(100, 0)
  score = stats.FeatureNeighbors(num_neighbors=28, max_examples=30)
  score.fit({'features': known})
  assert score.known.shape == (30, 5)
  np.testing.assert_allclose(
    score.known[[0, -1]], preprocessing.normalize(known[[0, -1]]), rtol=1e-6
  )
  assert np.isfinite(score({'features': _features(5, 1)})).all()


def test_not_a_number_stays_none():
  score = stats.FeatureNeighbors(num_neighbors=1).fit({'features': np.eye(3)})
  found = score({'features': [[np.nan, 1.0, 1.0], [1.0, 1.0, 1.0]]}).numpy()
  assert np.isnan(found).tolist() == [True, False]


def test_in_a_graph_that_does_not_know_the_columns():
  known = _features(60, 0)
  score = stats.FeatureNeighbors(num_neighbors=2).fit({'features': known})
  traced = tf.function(
    lambda x: score({'features': x}),
    input_signature=[tf.TensorSpec([None, None], tf.float64)],
  )
  np.testing.assert_allclose(
    traced(known), score({'features': known}), atol=1e-12
  )


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ({'num_neighbors': 0}, 'at least 1'),
    ({'num_neighbors': 6, 'max_examples': 5}, 'at most `max_examples`, 5'),
  ],
)
def test_refuses_numbers_of_neighbors(arguments, message):
  with pytest.raises(ValueError, match=message):
    stats.FeatureNeighbors(**arguments)


@pytest.mark.parametrize(
  ('features', 'message'),
  [
    (np.eye(2), 'at least 3 examples.*got 2'),
    (np.diag([np.nan, 1, np.inf, 1]), 'of 2 examples is not finite'),
    (np.ones([9]), r'\[batch, columns\]'),
  ],
)
def test_refuses_what_it_cannot_learn_from(features, message):
  with pytest.raises(ValueError, match=message):
    stats.FeatureNeighbors(num_neighbors=3).fit({'features': features})


def test_refuses_other_features_than_it_learned():
  score = stats.FeatureNeighbors(num_neighbors=1).fit({'features': np.eye(3)})
  with pytest.raises(ValueError, match='fitted to 3 columns.*got 2'):
    score({'features': np.eye(2)})
