# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of distances to the classes of a classifier."""

import numpy as np
import pytest
import tensorflow as tf
from scipy.spatial import distance
from sklearn import covariance

from tfp_ood import stats

_NUM_CLASSES = 3
_LOGITS, _FEATURES = 'classifier_logits', 'classifier_features'


def _statistics(count, seed=0, columns=4, num_classes=_NUM_CLASSES):
  """Correlated features around a mean of each class, and the class's logits."""
  generator = np.random.default_rng(seed)
  shared = np.random.default_rng(99)
  means = shared.normal(0, 4, [num_classes, columns])
  mixing = shared.normal(size=[columns, columns])
  classes = generator.integers(0, num_classes, count)
  features = means[classes] + generator.normal(size=[count, columns]) @ mixing
  logits = generator.normal(size=[count, num_classes])
  logits += 20 * np.eye(num_classes)[classes]
  return {_LOGITS: logits, _FEATURES: features}


def _covariances(known):
  """The class means, and scikit-learn's estimates around those and around one."""
  features, classes = known[_FEATURES], known[_LOGITS].argmax(axis=1)
  means = {c: features[classes == c].mean(axis=0) for c in np.unique(classes)}
  deviations = features - np.stack([means[c] for c in classes])
  within = covariance.EmpiricalCovariance(assume_centered=True).fit(deviations)
  return means, within, covariance.EmpiricalCovariance().fit(features)


def _expected(known, others, relative):
  means, within, overall = _covariances(known)
  nearest = np.min(
    [within.mahalanobis(others - mean) for mean in means.values()], axis=0
  )
  return nearest - (overall.mahalanobis(others) if relative else 0.0)


@pytest.mark.parametrize('relative', [False, True])
def test_agrees_with_scikit_learn(relative):
  known, others = _statistics(200), _statistics(30, 1)
  score = stats.MahalanobisDistance(relative=relative).fit(known)
  np.testing.assert_allclose(
    score(others), _expected(known, others[_FEATURES], relative), rtol=1e-9
  )


def test_agrees_with_scipy():
  known, others = _statistics(200), _statistics(10, 1)
  means, within, _ = _covariances(known)
  found = stats.MahalanobisDistance().fit(known)(others)
  for features, squared in zip(others[_FEATURES], found, strict=True):
    nearest = min(
      distance.mahalanobis(features, mean, within.precision_)
      for mean in means.values()
    )
    np.testing.assert_allclose(squared, nearest**2, rtol=1e-9)


@pytest.mark.parametrize('relative', [False, True])
def test_any_linear_map_of_the_features_leaves_the_distance(relative):
  known, others = _statistics(200), _statistics(30, 1)
  score = stats.MahalanobisDistance(relative=relative)
  expected = score.fit(known)(others).numpy()
  mixing = np.random.default_rng(5).normal(size=[4, 4])
  for values in (known, others):
    values[_FEATURES] = values[_FEATURES] @ mixing + 30.0
  np.testing.assert_allclose(score.fit(known)(others), expected, rtol=1e-7)


def test_of_the_training_examples_it_is_about_the_number_of_features():
  known = _statistics(500)
  # The distances to the own class have exactly this mean; the nearest is less.
  score = stats.MahalanobisDistance().fit(known)(known).numpy()
  assert 3.5 < score.mean() <= 4.0 + 1e-9


def test_the_class_is_the_decision_of_the_classifier():
  known = _statistics(200)
  swapped = {**known, _LOGITS: np.roll(known[_LOGITS], 1, axis=1)}
  others = _statistics(20, 1)
  score = stats.MahalanobisDistance()
  expected = score.fit(known)(others).numpy()
  # Other names of the classes change nothing, other classes do.
  np.testing.assert_allclose(score.fit(swapped)(others), expected, rtol=1e-9)
  shuffled = {**known, _LOGITS: known[_LOGITS][::-1]}
  assert np.abs(score.fit(shuffled)(others) - expected).max() > 1.0


def test_a_class_without_examples_does_not_count():
  known, others = _statistics(200), _statistics(20, 1)
  expected = stats.MahalanobisDistance().fit(known)(others)
  more = np.full([200, 1], -100.0)
  known[_LOGITS] = np.hstack([more, known[_LOGITS], more])
  score = stats.MahalanobisDistance().fit(known)
  assert score.means.shape == (_NUM_CLASSES, 4)
  np.testing.assert_allclose(score(others), expected, rtol=1e-12)


def test_relative_distances_leave_out_what_tells_no_classes_apart():
  known, others = _statistics(2000), _statistics(20, 1)
  noise = np.random.default_rng(3).normal(size=[2000, 1])
  known[_FEATURES] = np.hstack([known[_FEATURES], noise])
  common = np.full([20, 1], 30.0)
  near = {**others, _FEATURES: np.hstack([others[_FEATURES], 0 * common])}
  far = {**others, _FEATURES: np.hstack([others[_FEATURES], common])}
  moved = []
  for relative in (False, True):
    score = stats.MahalanobisDistance(relative=relative).fit(known)
    moved.append(np.median(score(far) - score(near)))
  assert moved[0] > 500
  assert abs(moved[1]) < 0.05 * moved[0]


@pytest.mark.parametrize('relative', [False, True])
@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_directions_that_never_vary_do_not_count(relative, dtype):
  known, others = _statistics(200), _statistics(30, 1)
  score = stats.MahalanobisDistance(relative=relative)
  expected = score.fit(known)(others)

  def more(values):
    """A unit that is dead, one that is twice there, and a sum of two."""
    features = values[_FEATURES]
    features = np.hstack(
      [
        features,
        np.zeros([len(features), 1]),
        features[:, :1],
        features[:, 1:2] + features[:, 2:3],
      ]
    )
    return {**values, _FEATURES: features.astype(dtype)}

  score.fit(more(known))
  assert score.whitening.shape == (7, 4)
  rtol = 1e-8 if dtype == np.float64 else 1e-3
  found = score(more(others))
  np.testing.assert_allclose(found, expected, rtol=rtol, atol=rtol)
  awake = more(others)
  awake[_FEATURES][:, 4] = 7.0
  np.testing.assert_allclose(score(awake), found, rtol=1e-6, atol=1e-6)


def test_small_variances_are_no_rounding():
  known, others = _statistics(200), _statistics(30, 1)
  score = stats.MahalanobisDistance()
  expected = score.fit(known)(others)
  scales = np.array([1.0, 1e-2, 1e2, 1e-1])
  for values in (known, others):
    values[_FEATURES] = (values[_FEATURES] * scales).astype(np.float32)
  assert score.fit(known).whitening.shape == (4, 4)
  np.testing.assert_allclose(score(others), expected, rtol=1e-2)


def test_fewer_examples_than_features_have_a_distance():
  known = _statistics(6, columns=10, num_classes=2)
  score = stats.MahalanobisDistance().fit(known)
  means, within, _ = _covariances(known)
  # Six deviations around two means.
  assert score.whitening.shape == (10, 6 - len(means))
  expected = np.min(
    [within.mahalanobis(known[_FEATURES] - m) for m in means.values()], axis=0
  )
  np.testing.assert_allclose(score(known), expected, rtol=1e-6)


def test_single_precision_is_computed_in_double():
  known, others = _statistics(200), _statistics(30, 1)
  offset = 1e3
  for values in (known, others):
    values[_FEATURES] = (values[_FEATURES] + offset).astype(np.float32)
  score = stats.MahalanobisDistance().fit(known)
  found = score(others)
  assert found.dtype == tf.float32
  exact = {k: v.astype(np.float64) for k, v in known.items()}
  expected = _expected(exact, others[_FEATURES].astype(np.float64), False)
  np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_logits_can_be_features_too():
  known = _statistics(200)
  score = stats.MahalanobisDistance(features=_LOGITS).fit(known)
  assert score.statistics == (_LOGITS,)
  assert score.description == f'MahalanobisDistance({_LOGITS}, {_LOGITS})'
  assert score({_LOGITS: known[_LOGITS]}).shape == [200]


@pytest.mark.parametrize('relative', [False, True])
def test_in_a_graph_that_does_not_know_the_columns(relative):
  known = _statistics(200)
  score = stats.MahalanobisDistance(relative=relative).fit(known)
  traced = tf.function(
    score,
    input_signature=[
      {k: tf.TensorSpec([None, None], tf.float64) for k in known}
    ],
  )
  constants = {k: tf.constant(v) for k, v in known.items()}
  np.testing.assert_allclose(traced(constants), score(known), rtol=1e-9)


def test_refuses_features_that_say_nothing():
  known = _statistics(20)
  known[_FEATURES] = np.repeat(
    known[_LOGITS].argmax(axis=1)[:, np.newaxis], 2, axis=1
  ).astype(np.float64)
  with pytest.raises(ValueError, match='differ within a class'):
    stats.MahalanobisDistance().fit(known)


@pytest.mark.parametrize(
  ('name', 'shape'), [(_LOGITS, [5]), (_FEATURES, [5, 2, 2])]
)
def test_refuses_other_shapes(name, shape):
  known = {**_statistics(5), name: np.zeros(shape)}
  with pytest.raises(ValueError, match=rf'{name}. must have the shape \[batch'):
    stats.MahalanobisDistance().fit(known)


def test_refuses_other_features_than_it_learned():
  score = stats.MahalanobisDistance().fit(_statistics(50))
  with pytest.raises(ValueError, match=r'fitted to 4 columns.*got 5'):
    score(_statistics(5, columns=5))
