# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests for `MarkovMixture`."""

import collections
import itertools
import math

import numpy as np
import pytest
import tensorflow as tf
from scipy import special
from scipy import stats as scipy_stats

import tfp_ood
from tfp_ood.distributions import MarkovMixture

_READS = np.array(list(itertools.product(range(3), repeat=4)), np.int32)


def _chains(number, seed=0):
  """Sequences of two Markov chains of order 2, and which of them each is of."""
  generator = np.random.default_rng(seed)
  tables = np.random.default_rng(7).dirichlet(np.ones(3), size=[2, 3, 3])
  labels = generator.choice(2, size=number, p=[0.3, 0.7])
  reads = generator.integers(0, 3, [number, 4])
  for read, label in zip(reads, labels, strict=True):
    for i in (2, 3):
      read[i] = generator.choice(3, p=tables[label, read[i - 2], read[i - 1]])
  return reads, labels, tables


def _fitted(order=2, number=300, smoothing=1.0, dtype=tf.float64, **kwargs):
  reads, labels, _ = _chains(number)
  model = MarkovMixture(4, order, 2, num_values=3, dtype=dtype, **kwargs)
  return model.fit((reads, labels), smoothing)


class _Oracle:
  """The same in plain Python, sequence by sequence."""

  def __init__(self, reads, labels, order, smoothing):
    self._order, self._smoothing = order, smoothing
    self._counts = collections.Counter()
    self._contexts = collections.Counter()
    self._labels = collections.Counter(labels.tolist())
    for read, label in zip(reads.tolist(), labels.tolist(), strict=True):
      for i, value in enumerate(read):
        context = tuple(read[max(0, i - order) : i])
        self._counts[label, context, value] += 1
        self._contexts[label, context] += 1

  def prob(self, read, label):
    """The probability of (the beginning of) a sequence, and of its class."""
    probability = self._labels[label] / sum(self._labels.values())
    for i, value in enumerate(read):
      context = tuple(read[max(0, i - self._order) : i])
      seen = self._counts[label, context, value] + self._smoothing
      probability *= seen / (
        self._contexts[label, context] + 3 * self._smoothing
      )
    return probability


@pytest.mark.parametrize('order', [0, 1, 2, 3])
def test_agrees_with_plain_python(order):
  reads, labels, _ = _chains(300)
  oracle = _Oracle(reads, labels, order, smoothing=0.5)
  values = _fitted(order, smoothing=0.5).statistics(
    _READS, ['logits', 'log_prob', 'log_prob_map']
  )
  upto = np.array(
    [
      [[oracle.prob(read[:size], k) for k in (0, 1)] for size in range(5)]
      for read in _READS.tolist()
    ]
  )
  np.testing.assert_allclose(np.exp(values['logits']), upto[:, 4], rtol=1e-10)
  upto = upto.sum(axis=-1)
  np.testing.assert_allclose(np.exp(values['log_prob']), upto[:, 4], rtol=1e-10)
  np.testing.assert_allclose(
    np.exp(values['log_prob_map']), upto[:, 1:] / upto[:, :-1], rtol=1e-10
  )


@pytest.mark.parametrize('order', [0, 1, 2, 3])
def test_probabilities_of_all_reads_sum_to_one(order):
  total = tf.reduce_sum(_fitted(order).prob(_READS))
  np.testing.assert_allclose(total, 1, atol=1e-10)


def test_the_map_sums_to_log_prob():
  model = _fitted()
  np.testing.assert_allclose(
    tf.reduce_sum(model.log_prob_map(_READS), axis=-1),
    model.log_prob(_READS),
    rtol=1e-12,
  )


def test_the_map_in_single_precision_is_close_for_long_reads():
  generator = np.random.default_rng(0)
  reads = generator.integers(0, 4, [40, 250])
  labels = np.arange(40) % 4
  exact, single = (
    MarkovMixture(250, 3, 4, dtype=dtype).fit((reads, labels))
    for dtype in (tf.float64, tf.float32)
  )
  np.testing.assert_allclose(
    single.log_prob_map(reads), exact.log_prob_map(reads), atol=2e-4
  )
  np.testing.assert_allclose(
    single.log_prob(reads), exact.log_prob(reads), rtol=1e-5
  )


@pytest.mark.slow
def test_recovers_a_known_chain():
  reads, labels, tables = _chains(20_000)
  model = MarkovMixture(4, 2, 2, num_values=3).fit((reads, labels))
  values = model.statistics(_READS, ['logits'])
  given = np.exp(special.log_softmax(values['logits'], axis=-1))
  exact = np.array(
    [
      [
        weight * tables[k, r[0], r[1], r[2]] * tables[k, r[1], r[2], r[3]]
        for k, weight in ((0, 0.3), (1, 0.7))
      ]
      for r in _READS
    ]
  )
  # 1 / 9 for the first two elements.
  np.testing.assert_allclose(np.exp(values['logits']), exact / 9, atol=3e-3)
  exact /= exact.sum(axis=-1, keepdims=True)
  assert np.mean(np.argmax(given, -1) == np.argmax(exact, -1)) > 0.95


def test_batches_count_like_one():
  reads, labels, _ = _chains(300)
  model = MarkovMixture(4, 2, 2, num_values=3, dtype=tf.float64)
  dataset = tf.data.Dataset.from_tensor_slices((reads, labels)).batch(7)
  model.fit(dataset)
  np.testing.assert_array_equal(
    model.log_prob(_READS), _fitted().log_prob(_READS)
  )


@pytest.mark.parametrize('order', [0, 2])
def test_samples_are_of_the_distribution(order):
  """The seed is fixed; one seed in a thousand would fail."""
  model = _fitted(order, dtype=tf.float32)
  number = 20_000
  samples = model.sample(number, seed=3)
  assert samples.dtype == tf.int32 and samples.shape == [number, 4]
  places = 3 ** np.arange(3, -1, -1)
  found = np.bincount(samples.numpy() @ places, minlength=81)
  expected = np.float64(model.prob(_READS))
  expected *= number / expected.sum()
  assert expected.min() > 5
  assert scipy_stats.chisquare(found, expected).pvalue > 1e-3


def test_samples_of_any_number_are_those_of_the_seed():
  model = _fitted()
  draw = tf.function(
    lambda number: model.sample(number, seed=[1, 2]),
    input_signature=[tf.TensorSpec([], tf.int32)],
  )
  for number in (0, 1, 6):
    np.testing.assert_array_equal(
      draw(number), model.sample(number, seed=[1, 2])
    )
    assert draw(number).shape == [number, 4]
  assert np.any(model.sample(9, seed=3) != model.sample(9, seed=4))


def test_samples_follow_a_new_fit():
  model = _fitted(0)
  model.sample(5, seed=1)
  ones = np.ones([200, 4], int)
  model.fit((ones, np.arange(200) % 2), smoothing=1e-6)
  np.testing.assert_array_equal(model.sample(5, seed=1), ones[:5])


@pytest.mark.slow
def test_check_model_accepts_it():
  model = _fitted(dtype=tf.float32)
  tfp_ood.testing.check_model(model, model.sample(12, seed=1))


def test_nothing_of_it_trains():
  model = _fitted()
  assert not model.trainable_variables and len(model.variables) == 3


def test_an_unfitted_one_says_so_and_a_checkpoint_fits_it(tmp_path):
  model = _fitted()
  path = tf.train.Checkpoint(model=model).save(tmp_path / 'checkpoint')
  other = MarkovMixture(4, 2, 2, num_values=3, dtype=tf.float64)
  for use in (
    lambda: other.log_prob(_READS),
    lambda: other.statistics(_READS, ['logits']),
    lambda: other.sample(2, seed=1),
    tf.function(lambda: other.log_prob(_READS), autograph=False),
  ):
    with pytest.raises(ValueError, match='is not fitted: call `fit'):
      use()
  assert not other.is_fitted
  tf.train.Checkpoint(model=other).restore(path).assert_consumed()
  assert other.is_fitted
  np.testing.assert_array_equal(other.log_prob(_READS), model.log_prob(_READS))


@pytest.mark.parametrize(
  'reads, labels, smoothing, message',
  [
    (_READS, np.zeros(81, int), 1.0, r'has none of \[1\]'),
    (_READS, np.full(81, 2), 1.0, 'must be whole numbers from 0 to 1'),
    (_READS, np.full(81, -1), 1.0, 'must be whole numbers from 0 to 1'),
    (_READS, np.full(81, 0.5), 1.0, 'must be whole numbers from 0 to 1'),
    (_READS, np.zeros([81, 2], int), 1.0, 'a label for each sequence'),
    (_READS + 1, np.arange(81) % 2, 1.0, 'whole numbers from 0 to 2'),
    (_READS, np.arange(81) % 2, 0.0, '`smoothing` must be positive, got 0.0'),
    (_READS, np.arange(81) % 2, math.nan, '`smoothing` must be positive'),
  ],
)
def test_what_cannot_be_counted_is_refused(reads, labels, smoothing, message):
  model = _fitted()
  before = [variable.numpy() for variable in model.variables]
  with pytest.raises(ValueError, match=message):
    model.fit((reads, labels), smoothing)
  for variable, value in zip(model.variables, before, strict=True):
    np.testing.assert_array_equal(variable, value)


@pytest.mark.parametrize(
  'arguments, message',
  [
    ((4, 4, 2), '`order` must be from 0 to 3, .* got 4'),
    ((4, -1, 2), '`order` must be from 0 to 3, .* got -1'),
    ((4, 1, 0), '`num_components` must be at least 1, got 0'),
    ((40, 20, 2), 'Take a lower order'),
  ],
)
def test_numbers_out_of_range_are_refused(arguments, message):
  with pytest.raises(ValueError, match=message):
    MarkovMixture(*arguments)
