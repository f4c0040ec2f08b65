# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the entropy of a classifier's prediction."""

import numpy as np
import pytest
from scipy import special
from scipy import stats as scipy_stats

from tfp_ood import stats

_LOGITS = np.random.default_rng(0).normal(0, 3, size=[2, 7, 5])


@pytest.mark.parametrize('temperature', [1.0, 0.25, 10.0])
def test_agrees_with_scipy(temperature):
  probabilities = special.softmax(_LOGITS / temperature, axis=-1)
  expected = scipy_stats.entropy(probabilities, axis=-1)
  found = stats.predictive_entropy(_LOGITS, temperature)
  np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-14)
  score = stats.PredictiveEntropy(temperature, 'classifier_logits')
  np.testing.assert_array_equal(
    score({'classifier_logits': _LOGITS[0]}), found[0]
  )


def test_lies_between_certainty_and_ignorance():
  found = stats.predictive_entropy([[1e4, 0.0, 0.0], [3.0, 3.0, 3.0]])
  np.testing.assert_allclose(found, [0.0, np.log(3)], rtol=1e-6)


def test_single_precision_tells_sure_from_surer():
  # The largest probability of both is one to within rounding, and so its share, a
  # twentieth, is lost; by probabilities alone, their order would be too.
  logits = np.array([[20.0, 0.0], [25.0, 0.0]], np.float32)
  p = np.exp(-logits[:, 0].astype(np.float64))
  expected = p * (1 - np.log(p))  # To the first order in p.
  np.testing.assert_allclose(
    stats.predictive_entropy(logits), expected, rtol=0.06
  )


def test_impossible_classes_are_as_good_as_none():
  np.testing.assert_allclose(
    stats.predictive_entropy([[1.0, 2.0, -np.inf]]),
    stats.predictive_entropy([[1.0, 2.0]]),
  )


@pytest.mark.parametrize('temperature', [0.0, -1.0, np.nan])
def test_a_temperature_must_be_positive(temperature):
  for function in (
    lambda: stats.predictive_entropy(_LOGITS, temperature),
    lambda: stats.PredictiveEntropy(temperature),
  ):
    with pytest.raises(ValueError, match='`temperature` must be positive, got'):
      function()
