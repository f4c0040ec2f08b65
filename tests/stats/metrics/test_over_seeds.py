# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of mean_over_seeds."""

import math

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats as scipy_stats

from tfp_ood import stats


@pytest.mark.parametrize('confidence_level', [0.5, 0.9, 0.95, 0.999])
@pytest.mark.parametrize('num_seeds', [2, 3, 5, 20])
def test_agrees_with_scipy(num_seeds, confidence_level):
  values = np.random.default_rng(num_seeds).normal(0.9, 0.02, num_seeds)
  result = stats.mean_over_seeds(values, confidence_level)
  lower, upper = scipy_stats.t.interval(
    confidence_level,
    df=num_seeds - 1,
    loc=values.mean(),
    scale=scipy_stats.sem(values),
  )
  assert result.mean == pytest.approx(values.mean(), rel=1e-14)
  assert result.lower == pytest.approx(lower, rel=1e-12)
  assert result.upper == pytest.approx(upper, rel=1e-12)
  assert result.standard_deviation == pytest.approx(scipy_stats.tstd(values))
  assert result.num_seeds == num_seeds


def test_golden_value():
  # The 97.5th percentile of Student's t with two degrees of freedom is 4.30265.
  result = stats.mean_over_seeds([1, 2, 3])
  assert result.mean == 2.0
  assert result.standard_deviation == 1.0
  assert result.upper == pytest.approx(2 + 4.30265 / math.sqrt(3), abs=1e-5)
  assert result.lower == pytest.approx(2 - 4.30265 / math.sqrt(3), abs=1e-5)
  assert [type(value) for value in result] == [float] * 4 + [int]


def test_covers_the_truth_as_often_as_it_says():
  random = np.random.default_rng(0)
  covered = 0
  for _ in range(500):
    result = stats.mean_over_seeds(random.normal(7.0, 3.0, 3), 0.8)
    covered += result.lower <= 7.0 <= result.upper
  # Binomial(500, 0.8) has standard deviation 8.9; with the quantiles of the
  # normal distribution the expectation would be 336.
  assert 373 <= covered <= 427


def test_takes_tensors():
  result = stats.mean_over_seeds(tf.constant([1.0, 2.0, 3.0]))
  assert result == stats.mean_over_seeds([1, 2, 3])


@pytest.mark.parametrize('values', [[], [0.93]])
def test_fewer_than_two_runs_have_no_interval(values):
  with pytest.raises(
    ValueError, match=f'`values` holds {len(values)} of.*Train with another'
  ):
    stats.mean_over_seeds(values)


@pytest.mark.parametrize('value', [math.nan, math.inf, -math.inf])
def test_refuses_runs_that_failed(value):
  with pytest.raises(
    ValueError, match='`values` holds 1 NaN or infinite among 3 numbers'
  ):
    stats.mean_over_seeds([0.9, value, 0.8])


@pytest.mark.parametrize(
  'values, shape', [(0.9, r'\(\)'), ([[0.9, 0.8]], r'\(1, 2\)')]
)
def test_values_must_have_rank_1(values, shape):
  with pytest.raises(
    ValueError, match=f'`values` must have rank 1.*got shape {shape}'
  ):
    stats.mean_over_seeds(values)


@pytest.mark.parametrize('confidence_level', [0.0, 1.0, 95, math.nan])
def test_confidence_level_must_be_a_probability(confidence_level):
  with pytest.raises(ValueError, match='`confidence_level` must lie strictly'):
    stats.mean_over_seeds([1.0, 2.0], confidence_level)
