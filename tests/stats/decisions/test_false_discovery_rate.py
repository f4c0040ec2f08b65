# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the procedures that bound the false discovery rate."""

import math

import numpy as np
import pytest
import tensorflow as tf
from scipy import stats as scipy_stats

from tfp_ood import stats


def _p_values(seed, shape):
  random = np.random.default_rng(seed)
  # Some small ones, and ties: as from conformal_p_values.
  return np.ceil(100 * random.beta(0.5, 1.0, shape)) / 100


def _step_up(p_values, rate):
  """The procedure as its authors state it, one set of p-values."""
  ascending = np.sort(p_values)
  largest = 0.0
  for i, p_value in enumerate(ascending, start=1):
    if p_value <= rate * i / len(p_values):
      largest = p_value
  return p_values <= largest


def _one_by_one(p_values, rate):
  """LOND as its authors state it."""
  levels, num_discoveries = [], 0
  for t, p_value in enumerate(p_values, start=1):
    gamma = 1 / (1 + math.log(t)) - 1 / (1 + math.log(t + 1))
    levels.append(rate * gamma * (num_discoveries + 1))
    num_discoveries += p_value <= levels[-1]
  return levels, num_discoveries


# ------------------------------------------------------- Benjamini-Hochberg


def test_golden_benjamini_hochberg():
  # Ascending .01 .02 .04 .5, times 4/1 4/2 4/3 4/4: .04 .04 .0533 .5.
  result = stats.benjamini_hochberg([0.01, 0.5, 0.02, 0.04], 0.05)
  assert result.adjusted_p_value.dtype == tf.float64
  np.testing.assert_allclose(
    result.adjusted_p_value, [0.04, 0.5, 0.04, 0.16 / 3], rtol=1e-6
  )
  np.testing.assert_array_equal(result.reject, [True, False, True, False])


def test_a_larger_p_value_may_carry_smaller_ones():
  # .03 is above .05 * 1/2; .04 is not above .05 * 2/2, and takes it along.
  result = stats.benjamini_hochberg([0.03, 0.04], 0.05)
  np.testing.assert_array_equal(result.reject, [True, True])


@pytest.mark.parametrize('shape', [(1,), (2,), (7,), (64,), (1001,), (3, 1, 9)])
def test_benjamini_hochberg_agrees_with_scipy(shape):
  p_values = _p_values(0, shape)
  result = stats.benjamini_hochberg(p_values, 0.3)
  np.testing.assert_allclose(
    result.adjusted_p_value,
    scipy_stats.false_discovery_control(p_values, axis=-1),
    rtol=1e-14,
  )


def test_benjamini_hochberg_agrees_with_its_definition():
  # A rate that no p_value * n / i hits exactly, where rounding would decide.
  rate = 0.2345678
  p_values = _p_values(1, (200, 23))
  result = stats.benjamini_hochberg(p_values, rate)
  expected = np.stack([_step_up(row, rate) for row in p_values])
  np.testing.assert_array_equal(result.reject, expected)
  assert 0 < expected.mean() < 1
  np.testing.assert_array_equal(
    result.reject, result.adjusted_p_value.numpy() <= rate
  )


@pytest.mark.parametrize('dtype', [tf.float16, tf.bfloat16, tf.float32])
def test_benjamini_hochberg_computes_in_double_precision(dtype):
  p_values = tf.cast(_p_values(2, (500,)), dtype)
  result = stats.benjamini_hochberg(p_values, 0.1)
  expected = scipy_stats.false_discovery_control(
    tf.cast(p_values, tf.float64).numpy()
  )
  np.testing.assert_allclose(result.adjusted_p_value, expected, rtol=1e-14)


def test_benjamini_hochberg_in_a_graph_of_unknown_sizes():
  in_graph = tf.function(
    lambda p_values: stats.benjamini_hochberg(p_values, 0.2),
    input_signature=[tf.TensorSpec([None, None], tf.float64)],
  )
  for shape in [(0, 3), (3, 0), (1, 1), (2, 5), (1, 8)]:
    p_values = _p_values(3, shape)
    result = in_graph(p_values)
    expected = stats.benjamini_hochberg(p_values, 0.2)
    assert result.reject.shape == expected.reject.shape == shape
    np.testing.assert_array_equal(result.reject, expected.reject)
    np.testing.assert_array_equal(
      result.adjusted_p_value, expected.adjusted_p_value
    )


def test_benjamini_hochberg_in_a_data_pipeline():
  p_values = _p_values(4, (10,))
  dataset = tf.data.Dataset.from_tensor_slices(p_values).batch(4)
  dataset = dataset.map(lambda batch: stats.benjamini_hochberg(batch, 0.2))
  for start, result in zip([0, 4, 8], dataset, strict=True):
    expected = stats.benjamini_hochberg(p_values[start : start + 4], 0.2)
    np.testing.assert_array_equal(result.reject, expected.reject)


def _conformal_families(num_families, num_in, num_out):
  """P-values of families with a calibration set each, the outliers last."""
  random = np.random.default_rng(5)
  calibration = random.normal(size=(num_families, 999))
  scores = random.normal(size=(num_families, num_in + num_out))
  scores[:, num_in:] += 3.5
  return tf.map_fn(
    tf.function(lambda pair: stats.conformal_p_values(*pair)),
    (calibration, scores),
    fn_output_signature=tf.float64,
  )


def _false_discovery_proportion(reject, num_in):
  reject = np.asarray(reject)
  num_false = reject[:, :num_in].sum(axis=-1)
  return num_false / np.maximum(1, reject.sum(axis=-1))


def test_benjamini_hochberg_bounds_the_false_discovery_rate():
  num_in, num_out, rate = 80, 20, 0.2
  p_values = _conformal_families(500, num_in, num_out)
  result = stats.benjamini_hochberg(p_values, rate)
  proportion = _false_discovery_proportion(result.reject, num_in)
  standard_error = proportion.std() / math.sqrt(500)
  # The theory: rate * 80 / 100, from above and below.
  assert proportion.mean() == pytest.approx(0.16, abs=4 * standard_error)
  assert standard_error < 0.01
  assert np.mean(result.reject[:, num_in:]) > 0.8
  # Without a correction the rate is exceeded: the simulation can fail.
  naive = _false_discovery_proportion(p_values <= rate, num_in)
  assert naive.mean() > 0.4


# --------------------------------------------------------------------- LOND


def test_golden_lond():
  # gamma_1 = 1 - 1 / (1 + log 2) and so on; the first is a discovery.
  gamma = [0.409384, 0.114111, 0.057445]
  result = stats.lond([0.04, 0.5, 0.011], 0.1)
  np.testing.assert_allclose(
    result.level, [0.1 * gamma[0], 0.2 * gamma[1], 0.2 * gamma[2]], rtol=1e-5
  )
  np.testing.assert_array_equal(result.reject, [True, False, True])
  assert (int(result.num_tests), int(result.num_discoveries)) == (3, 2)


def test_weights_of_lond_sum_to_one():
  num_tests = 20_000
  # Without a discovery, the levels are rate * gamma_t.
  gamma = stats.lond(tf.ones([num_tests]), 0.5).level.numpy() / 0.5
  assert (gamma > 0).all()
  # What is left is the tail, 1 / (1 + log(num_tests + 1)).
  assert gamma.sum() + 1 / (1 + math.log(num_tests + 1)) == pytest.approx(
    1.0, abs=1e-12
  )


@pytest.mark.parametrize('seed', range(5))
def test_lond_agrees_with_its_definition(seed):
  p_values = _p_values(seed, 300) * 0.1
  result = stats.lond(p_values, 0.4)
  levels, num_discoveries = _one_by_one(p_values, 0.4)
  np.testing.assert_allclose(result.level, levels, rtol=1e-10)
  np.testing.assert_array_equal(result.reject, p_values <= levels)
  assert int(result.num_discoveries) == num_discoveries
  assert 0 < num_discoveries < 300


def test_pieces_of_a_stream_equal_the_whole():
  p_values = _p_values(6, 100) * 0.1
  whole = stats.lond(p_values, 0.3)
  assert 0 < int(whole.num_discoveries) < 100
  num_tests = num_discoveries = 0
  rejects, levels = [], []
  for piece in np.split(p_values, [0, 1, 2, 30, 30, 64]):
    result = stats.lond(piece, 0.3, num_tests, num_discoveries)
    num_tests, num_discoveries = result.num_tests, result.num_discoveries
    rejects.append(result.reject)
    levels.append(result.level)
  np.testing.assert_array_equal(np.concatenate(rejects), whole.reject)
  np.testing.assert_array_equal(np.concatenate(levels), whole.level)
  assert int(num_tests) == 100
  assert int(num_discoveries) == int(whole.num_discoveries)


def test_lond_scans_a_data_pipeline():
  p_values = (_p_values(7, 50) * 0.1).astype(np.float32)
  whole = stats.lond(p_values, 0.3)

  def decide(state, p_values):
    result = stats.lond(p_values, 0.3, *state)
    return (result.num_tests, result.num_discoveries), result.level

  zero = tf.zeros([], tf.int64)
  dataset = tf.data.Dataset.from_tensor_slices(p_values).batch(7)
  levels = list(dataset.scan((zero, zero), decide).as_numpy_iterator())
  np.testing.assert_array_equal(np.concatenate(levels), whole.level)


def test_lond_of_nothing_changes_nothing():
  result = stats.lond(tf.zeros([0]), 0.1, num_tests=7, num_discoveries=2)
  assert result.reject.shape == result.level.shape == (0,)
  assert (int(result.num_tests), int(result.num_discoveries)) == (7, 2)


def test_lond_bounds_the_false_discovery_rate():
  num_in, num_out, rate = 80, 20, 0.2
  p_values = _conformal_families(300, num_in, num_out).numpy()
  order = np.random.default_rng(8).permuted(
    np.tile(np.arange(100), (300, 1)), axis=-1
  )
  streams = np.take_along_axis(p_values, order, axis=-1)
  in_graph = tf.function(
    lambda streams: tf.map_fn(
      lambda stream: stats.lond(stream, rate).reject,
      streams,
      fn_output_signature=tf.bool,
    )
  )
  reject = in_graph(streams).numpy()
  is_false = order < num_in
  proportion = (reject & is_false).sum(axis=-1) / np.maximum(
    1, reject.sum(axis=-1)
  )
  assert 0.0 < proportion.mean() < rate
  # It discovers something, and more than the sum of levels spent alone would.
  assert np.mean(reject[~is_false]) > 0.2
  alone = rate * stats.lond(tf.ones([100]), 0.5).level.numpy() / 0.5
  assert np.mean(reject[~is_false]) > np.mean((streams <= alone)[~is_false])


# ------------------------------------------------------------------- errors


@pytest.mark.parametrize('procedure', [stats.benjamini_hochberg, stats.lond])
@pytest.mark.parametrize('bad', [math.nan, -0.1, 1.5, math.inf])
def test_refuses_what_is_no_p_value(procedure, bad):
  with pytest.raises(ValueError, match='`p_values` must lie between 0 and 1'):
    procedure([0.5, bad], 0.1)
  in_graph = tf.function(
    lambda p_values: procedure(p_values, 0.1).reject,
    input_signature=[tf.TensorSpec([None])],
  )
  np.testing.assert_array_equal(in_graph([0.5, 1.0]), [False, False])
  with pytest.raises(
    tf.errors.InvalidArgumentError, match='`p_values` must lie between'
  ):
    in_graph([0.5, bad])


@pytest.mark.parametrize('procedure', [stats.benjamini_hochberg, stats.lond])
def test_refuses_wrong_rates_types_and_ranks(procedure):
  for rate in [0.0, 1.0, -0.1, 5, math.nan]:
    with pytest.raises(
      ValueError, match='`false_discovery_rate` must lie strictly between'
    ):
      procedure([0.5], rate)
  with pytest.raises(TypeError, match='`p_values` must be floating.*int32'):
    procedure(np.array([1, 0], np.int32), 0.1)
  with pytest.raises(ValueError, match='`p_values` must have .*rank 1'):
    procedure(0.5, 0.1)


def test_p_values_of_python_are_not_rounded_to_single_precision():
  p_values = [0.01, 0.02, 0.03, 0.04, 0.05]
  assert stats.benjamini_hochberg([0.05], 0.05).reject.numpy().all()
  for given in (p_values, np.array(p_values)):
    assert stats.benjamini_hochberg(given, 0.05).reject.numpy().all()


def test_lond_refuses_two_dimensions_and_impossible_counts():
  with pytest.raises(ValueError, match=r'must have rank 1.*got shape \(1, 1\)'):
    stats.lond([[0.5]], 0.1)
  for num_tests, num_discoveries in [(1, 2), (5, -1), (-2, -3)]:
    with pytest.raises(ValueError, match='`num_discoveries` must lie between'):
      stats.lond([0.5], 0.1, num_tests, num_discoveries)
  in_graph = tf.function(
    lambda count: stats.lond([0.5], 0.1, 1, count).reject,
    input_signature=[tf.TensorSpec([], tf.int64)],
  )
  np.testing.assert_array_equal(in_graph(1), [False])
  with pytest.raises(
    tf.errors.InvalidArgumentError, match='`num_discoveries` must lie between'
  ):
    in_graph(2)
