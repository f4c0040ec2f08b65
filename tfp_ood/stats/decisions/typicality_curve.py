# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""How well typicality tells distributions apart, by size of the batch."""

import typing

import numpy as np
import tensorflow as tf

from tfp_ood._seeds import stateless_seed
from tfp_ood.stats.decisions import conformal, typicality_test
from tfp_ood.stats.metrics import delong

__all__ = [
  'TypicalityCurve',
  'typicality_curve',
]


class TypicalityCurve(typing.NamedTuple):
  """Typicality tests of several batch sizes, one entry each.

  Attributes:
    batch_sizes: Integer array `[k]`.
    in_distribution_rejected: Array `[k]`, the fraction of in-distribution
      batches rejected; the significance, if all is well.
    out_of_distribution_rejected: Array `[k]`, the fraction of
      out-of-distribution batches rejected: the power.
    auroc: `tuple` of `k` `AurocConfidenceInterval`, of the statistic.
  """

  batch_sizes: np.ndarray
  in_distribution_rejected: np.ndarray
  out_of_distribution_rejected: np.ndarray
  auroc: tuple


def typicality_curve(
  training_log_prob,
  held_out_log_prob,
  in_distribution_log_prob,
  out_of_distribution_log_prob,
  batch_sizes=(1, 2, 5, 10, 25),
  significance=0.05,
  num_resamples=10_000,
  confidence_level=0.95,
  seed=0,
):
  """False alarms, power and AUROC of `TypicalityTest` by size of the batch.

  For each size `M`, both test sets are shuffled and cut into batches of `M`
  that share no example; up to `M - 1` examples are left over. The batches are
  therefore independent, as the confidence interval of the AUROC takes them to
  be, but few where `M` is large.

  Args:
    training_log_prob: Floating-point array-like of rank 1, the
      log-probabilities of training examples. Finite.
    held_out_log_prob: Floating-point array-like of rank 1, those of
      in-distribution examples that the model was not trained on; the test is
      calibrated with them. Finite, and at least as many as the largest batch
      size.
    in_distribution_log_prob: Floating-point array-like of rank 1, those of
      further in-distribution examples. May hold infinite values.
    out_of_distribution_log_prob: Floating-point array-like of rank 1, those of
      out-of-distribution examples. May hold infinite values.
    batch_sizes: Sequence of Python `int`; each test set must hold at least two
      batches of every size.
    significance: Python `float` strictly between 0 and 1.
    num_resamples: Python `int`, the batches of each bootstrap.
    confidence_level: `float` strictly between 0 and 1, of the intervals.
    seed: Python `int` or stateless seed of the shuffling and the bootstrap; see
      `tfp.random.sanitize_seed`.

  Returns:
    `TypicalityCurve`.

  Raises:
    TypeError: If a batch size is not an integer or log-probabilities are not
      floating point.
    ValueError: If a test set holds fewer than two batches of some size,
      log-probabilities are not of rank 1 or hold NaN, or another argument is
      out of the range that `TypicalityTest` gives.

  #### Example

  >>> random = np.random.default_rng(0)
  >>> curve = typicality_curve(
  ...     training_log_prob=random.normal(0.0, 1.0, 5000),
  ...     held_out_log_prob=random.normal(0.0, 1.0, 5000),
  ...     in_distribution_log_prob=random.normal(0.0, 1.0, 500),
  ...     out_of_distribution_log_prob=random.normal(1.0, 1.0, 500),
  ...     batch_sizes=[1, 10])
  >>> curve.out_of_distribution_rejected.round(1).tolist()
  [0.2, 0.9]
  >>> [round(auroc.auroc, 1) for auroc in curve.auroc]
  [0.6, 1.0]

  #### References

  [1]: Eric Nalisnick, Akihiro Matsukawa, Yee Whye Teh, and Balaji
       Lakshminarayanan. Detecting out-of-distribution inputs to deep generative
       models using typicality. _arXiv preprint arXiv:1906.02994_, 2019.
  """
  batch_sizes = [
    typicality_test.checked_positive(size, 'batch_sizes')
    for size in batch_sizes
  ]
  in_seed, out_seed, bootstrap_seed = tf.unstack(
    tf.random.experimental.stateless_split(stateless_seed(seed), num=3)
  )
  in_distribution = _shuffled(
    in_distribution_log_prob, 'in_distribution_log_prob', in_seed
  )
  out_of_distribution = _shuffled(
    out_of_distribution_log_prob, 'out_of_distribution_log_prob', out_seed
  )
  in_rejected, out_rejected, aurocs = [], [], []
  for batch_size in batch_sizes:
    test = typicality_test.TypicalityTest(
      training_log_prob,
      held_out_log_prob,
      batch_size,
      significance=significance,
      num_resamples=num_resamples,
      # The point of one batch size does not depend on the others asked for.
      seed=tf.random.experimental.stateless_fold_in(bootstrap_seed, batch_size),
    )
    in_result = test(
      _batches(in_distribution, 'in_distribution_log_prob', batch_size)
    )
    out_result = test(
      _batches(out_of_distribution, 'out_of_distribution_log_prob', batch_size)
    )
    in_rejected.append(np.mean(in_result.reject))
    out_rejected.append(np.mean(out_result.reject))
    aurocs.append(
      delong.auroc_confidence_interval(
        in_result.statistic, out_result.statistic, confidence_level
      )
    )
  return TypicalityCurve(
    batch_sizes=np.array(batch_sizes, np.int64),
    in_distribution_rejected=np.array(in_rejected),
    out_of_distribution_rejected=np.array(out_rejected),
    auroc=tuple(aurocs),
  )


def _shuffled(log_prob, name, seed):
  log_prob = conformal.checked_scores(log_prob, name)
  if log_prob.shape.rank != 1:
    raise ValueError(
      f'`{name}` must have rank 1, one value per example; got shape '
      f'{log_prob.shape}.'
    )
  return tf.random.experimental.stateless_shuffle(log_prob, seed)


def _batches(log_prob, name, batch_size):
  num_batches = log_prob.shape[0] // batch_size
  if num_batches < 2:
    raise ValueError(
      f'`{name}` must hold at least two batches of {batch_size} examples, '
      f'{2 * batch_size} examples; got {log_prob.shape[0]}.'
    )
  return tf.reshape(
    log_prob[: num_batches * batch_size], [num_batches, batch_size]
  )
