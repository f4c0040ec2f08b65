# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of typicality_curve."""

import math

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats as scipy_stats

from tfp_ood import stats


def _curve(out_log_prob, **kwargs):
  random = np.random.default_rng(0)
  return stats.typicality_curve(
    training_log_prob=random.normal(-100.0, 5.0, 20_000),
    held_out_log_prob=random.normal(-100.0, 5.0, 20_000),
    in_distribution_log_prob=random.normal(-100.0, 5.0, 4000),
    out_of_distribution_log_prob=out_log_prob,
    **kwargs,
  )


# Half a standard deviation more probable than what the model was trained on.
_OUT = np.random.default_rng(1).normal(-97.5, 5.0, 4000)


def test_agrees_with_the_gaussian_closed_form():
  batch_sizes = [1, 4, 16]
  curve = _curve(_OUT, batch_sizes=batch_sizes)
  np.testing.assert_array_equal(curve.batch_sizes, batch_sizes)
  assert len(curve.auroc) == 3
  for i, batch_size in enumerate(batch_sizes):
    num_batches = 4000 // batch_size
    false_alarms = round(curve.in_distribution_rejected[i] * num_batches)
    assert scipy_stats.binomtest(false_alarms, num_batches, 0.05).pvalue > 1e-3
    # In units of a batch's mean the shift is sqrt(batch_size) / 2.
    shift = 0.5 * math.sqrt(batch_size)
    power = scipy_stats.norm.sf(1.96 - shift) + scipy_stats.norm.cdf(
      -1.96 - shift
    )
    caught = round(curve.out_of_distribution_rejected[i] * num_batches)
    assert scipy_stats.binomtest(caught, num_batches, power).pvalue > 1e-3
    # P(|out| > |in|): both out - in and out + in have the variance 2.
    beats = scipy_stats.norm.cdf(shift / math.sqrt(2))
    auroc = beats**2 + (1 - beats) ** 2
    interval = curve.auroc[i]
    assert interval.auroc == pytest.approx(
      auroc, abs=4 * interval.standard_error
    )
    assert interval.lower < interval.auroc < interval.upper


def test_batches_share_no_example():
  # Each example its own power of two: the sums tell who is in which batch.
  examples = 2.0 ** np.arange(20)
  training = np.array([-1.0, 1.0])  # Entropy 0.
  statistics = []

  def remember(in_scores, out_scores, confidence_level):
    del confidence_level
    statistics.append((in_scores.numpy(), out_scores.numpy()))

  with pytest.MonkeyPatch.context() as patch:
    patch.setattr(
      'tfp_ood.stats.metrics.delong.auroc_confidence_interval', remember
    )
    stats.typicality_curve(
      training,
      np.tile(training, 5),
      examples,
      examples,
      batch_sizes=[1, 3, 10],
    )
  for batch_size, pair in zip([1, 3, 10], statistics, strict=True):
    sums = [np.rint(batch_size * statistic).astype(int) for statistic in pair]
    for batches in sums:
      assert len(batches) == 20 // batch_size
      assert all(int(total).bit_count() == batch_size for total in batches)
      # No bit twice: the union has as many as the batches together.
      union = int(np.bitwise_or.reduce(batches))
      assert union.bit_count() == batch_size * len(batches)
    # Shuffled, and the two sets each their own way.
    assert not np.array_equal(sums[0], np.sort(sums[0]))
    assert not np.array_equal(sums[0], sums[1])


def test_same_seed_same_curve_whatever_other_sizes():
  first = _curve(_OUT, batch_sizes=[2, 5], num_resamples=999, seed=3)
  again = _curve(_OUT, batch_sizes=(5,), num_resamples=999, seed=3)
  other = _curve(_OUT, batch_sizes=[5], num_resamples=999, seed=4)
  assert first.auroc[1] == again.auroc[0] != other.auroc[0]
  assert first.in_distribution_rejected[1] == again.in_distribution_rejected[0]


def test_options_reach_where_they_belong():
  narrow = _curve(_OUT, batch_sizes=[2], significance=0.2, confidence_level=0.5)
  wide = _curve(_OUT, batch_sizes=[2], significance=0.01)
  assert narrow.in_distribution_rejected == pytest.approx(0.2, abs=0.04)
  assert wide.in_distribution_rejected == pytest.approx(0.01, abs=0.01)
  assert narrow.auroc[0].auroc == wide.auroc[0].auroc
  assert narrow.auroc[0].lower > wide.auroc[0].lower


def test_takes_half_precision_and_infinite_values():
  out = tf.constant([-math.inf, math.inf] * 20, tf.float16)
  curve = _curve(out, batch_sizes=[1, 4])
  np.testing.assert_array_equal(curve.out_of_distribution_rejected, [1.0, 1.0])
  assert [interval.auroc for interval in curve.auroc] == [1.0, 1.0]


def test_refuses_sets_too_small_for_two_batches():
  _curve(_OUT[:50], batch_sizes=[25], num_resamples=99)
  with pytest.raises(
    ValueError,
    match='`out_of_distribution_log_prob` must hold at least two batches of 25 '
    'examples, 50 examples; got 49',
  ):
    _curve(_OUT[:49], batch_sizes=[1, 25], num_resamples=99)


def test_refuses_unusable_arguments():
  with pytest.raises(
    ValueError, match=r'`out_of_distribution_log_prob` must have rank 1.*\(2, 1'
  ):
    _curve([[0.0], [1.0]])
  with pytest.raises(
    ValueError, match='`out_of_distribution_log_prob` holds 1 NaN'
  ):
    _curve([0.0, math.nan])
  with pytest.raises(TypeError, match='`batch_sizes` must be an integer'):
    _curve(_OUT, batch_sizes=[2.0])
  with pytest.raises(ValueError, match='`batch_sizes` must be positive'):
    _curve(_OUT, batch_sizes=[0])
