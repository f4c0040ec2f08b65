# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""A test of whether a batch of examples is typical of a model."""

import math
import operator
import typing

import numpy as np
import tensorflow as tf

from tfp_ood._seeds import stateless_seed
from tfp_ood.stats import _fractions
from tfp_ood.stats.decisions import conformal

__all__ = [
  'TypicalityTest',
  'TypicalityTestResult',
]

# What one round of the bootstrap draws: 32 MiB of indices.
_MAX_DRAWS = 2**22


class TypicalityTestResult(typing.NamedTuple):
  """What a typicality test says of some batches.

  Attributes:
    statistic: `float64` `Tensor`, one per batch, larger = less typical.
    threshold: `float64` scalar `Tensor`; a larger statistic is rejected.
    p_value: `float64` `Tensor` of the shape of `statistic`.
    reject: `bool` `Tensor` of the same shape, `p_value <= significance`.
  """

  statistic: tf.Tensor
  threshold: tf.Tensor
  p_value: tf.Tensor
  reject: tf.Tensor


class TypicalityTest:
  """Nalisnick et al.'s test for typicality.

  In many dimensions a model's most probable points are none that it would
  generate: samples lie where their negative log-probability is close to the
  entropy. So a batch of `M` examples is rejected if its mean is far from the
  entropy, on either side:

  ```none
  entropy   = mean of -log_prob over the training examples
  statistic = |mean of -log_prob over the batch - entropy|
  p_value   = (1 + #{bootstrap statistics >= statistic}) / (1 + num_resamples)
  reject    = p_value <= significance  (the same as statistic > threshold)
  ```

  The bootstrap draws `num_resamples` batches of `M` from held-out
  in-distribution examples, with replacement.

  Two things to know before trusting the false-alarm rate:

  - The bootstrap takes the held-out set for the whole distribution. It is
    approximate if `M` is not small beside its size: the mean of `N` held-out
    examples is itself uncertain by `sqrt(M / N)` of the spread of a batch's
    mean, and the false-alarm rate is off accordingly. For `M = 1`,
    `conformal_p_values` of `|-log_prob - entropy|` hold exactly.
  - A model that overfits gives fresh in-distribution examples a lower mean
    log-probability than training examples, and so a larger statistic. Held-out
    examples share that gap, so the threshold allows for it, at the cost of
    power: what differs from training by less than the gap passes. Held-out
    examples that the model was trained on do not share it, and more fresh
    batches are then rejected than `significance` says.

  A test is made eagerly, once. It may then be called anywhere, also in a
  `tf.function`, a `tf.data` pipeline or a `SavedModel`.

  #### Example

  >>> random = np.random.default_rng(0)
  >>> def log_prob(images):  # A Gaussian of 100 dimensions.
  ...   return -0.5 * np.sum(images**2 + np.log(2 * np.pi), axis=-1)
  >>> test = TypicalityTest(
  ...     training_log_prob=log_prob(random.normal(size=[5000, 100])),
  ...     held_out_log_prob=log_prob(random.normal(size=[5000, 100])),
  ...     batch_size=2)
  >>> samples = random.normal(size=[3, 2, 100])  # Three batches of two.
  >>> test(log_prob(samples)).reject.numpy().tolist()
  [False, False, False]
  >>> mode = np.zeros([2, 100])  # More probable than any sample.
  >>> bool(test(log_prob(mode)).reject)
  True

  #### References

  [1]: Eric Nalisnick, Akihiro Matsukawa, Yee Whye Teh, and Balaji
       Lakshminarayanan. Detecting out-of-distribution inputs to deep generative
       models using typicality. _arXiv preprint arXiv:1906.02994_, 2019.
  """

  def __init__(
    self,
    training_log_prob,
    held_out_log_prob,
    batch_size,
    significance=0.05,
    num_resamples=10_000,
    seed=0,
  ):
    """Calibrates the test.

    Args:
      training_log_prob: Floating-point array-like of rank 1, the
        log-probabilities of training examples. Finite.
      held_out_log_prob: Floating-point array-like of rank 1, those of
        in-distribution examples that the model was not trained on. Finite, and
        at least `batch_size` of them.
      batch_size: Python `int`, the examples `M` judged together.
      significance: Python `float` strictly between 0 and 1, the false-alarm
        rate.
      num_resamples: Python `int`, the bootstrap's batches; at least
        `1 / significance - 1`.
      seed: Python `int` or stateless seed of the bootstrap; see
        `tfp.random.sanitize_seed`.

    Raises:
      TypeError: If `batch_size` or `num_resamples` is not an integer, or the
        log-probabilities are not floating point.
      ValueError: If log-probabilities are not of rank 1, are too few, or not
        finite, or another argument is out of its range.
    """
    training_log_prob = _checked_log_prob(
      training_log_prob, 'training_log_prob', min_size=1
    )
    batch_size = checked_positive(batch_size, 'batch_size')
    held_out_log_prob = _checked_log_prob(
      held_out_log_prob, 'held_out_log_prob', min_size=batch_size
    )
    num_resamples = checked_positive(num_resamples, 'num_resamples')
    entropy = -np.mean(training_log_prob)
    statistics = _bootstrap_statistics(
      held_out_log_prob, entropy, batch_size, num_resamples, seed
    )
    self._restore(entropy, statistics, batch_size, significance)

  @classmethod
  def from_state(cls, state):
    """Makes a test from what `get_state` returned.

    Args:
      state: `dict` of arrays, or what `np.load` gives for a file that
        `np.savez(file, **test.get_state())` wrote.

    Returns:
      `TypicalityTest`.
    """
    test = cls.__new__(cls)
    test._restore(
      entropy=state['entropy'],
      bootstrap_statistics=state['bootstrap_statistics'],
      batch_size=state['batch_size'],
      significance=state['significance'],
    )
    return test

  def get_state(self):
    """Returns all that the test consists of, as a `dict` of NumPy arrays."""
    return {
      'entropy': np.array(self.entropy),
      'bootstrap_statistics': np.array(self._bootstrap_statistics),
      'batch_size': np.array(self.batch_size),
      'significance': np.array(self.significance),
    }

  def _restore(self, entropy, bootstrap_statistics, batch_size, significance):
    self._entropy = float(entropy)
    self._bootstrap_statistics = np.array(bootstrap_statistics, np.float64)
    self._batch_size = int(batch_size)
    self._significance = float(significance)
    _fractions.check_fraction(self._significance, 'significance', 0.05)
    self._threshold = float(
      conformal.conformal_threshold(
        self._bootstrap_statistics, self._significance
      )
    )
    if math.isinf(self._threshold):
      raise ValueError(
        '`num_resamples` must be at least 1 / significance - 1 = '
        f'{1 / self._significance - 1:.6g}, or no p-value could be as small as '
        f'{self._significance}; got {self._bootstrap_statistics.size}.'
      )

  @property
  def entropy(self):
    """Python `float`, the mean of `-log_prob` over the training examples."""
    return self._entropy

  @property
  def threshold(self):
    """Python `float`; a statistic larger than it is rejected."""
    return self._threshold

  @property
  def batch_size(self):
    """Python `int`, the number of examples judged together."""
    return self._batch_size

  @property
  def significance(self):
    """Python `float`, the false-alarm rate."""
    return self._significance

  def __call__(self, log_prob):
    """Tests whether batches are typical.

    Args:
      log_prob: Floating-point `Tensor` of shape `[..., batch_size]`, the
        log-probabilities of a batch along the last axis. A batch that holds an
        infinite value, of either sign, has an infinite statistic and is
        rejected.

    Returns:
      `TypicalityTestResult` of shape `[...]`, computed in float64. In a graph,
      a batch that holds NaN has a statistic and a p-value of NaN and is
      rejected.

    Raises:
      TypeError: If `log_prob` is not floating point.
      ValueError: If the last axis of `log_prob` is not of size `batch_size`, or
        `log_prob` is known (eagerly it always is) and holds NaN.
      tf.errors.InvalidArgumentError: If, in a graph, the last axis turns out
        not to be of size `batch_size`.
    """
    log_prob = conformal.checked_scores(log_prob, 'log_prob')
    if log_prob.shape.rank == 0 or (
      log_prob.shape.rank is not None
      and log_prob.shape[-1] not in (None, self.batch_size)
    ):
      raise ValueError(
        f'`log_prob` must have shape [..., {self.batch_size}], the '
        '`batch_size` examples of a batch along the last axis; got shape '
        f'{log_prob.shape}.'
      )
    tf.debugging.assert_equal(
      tf.shape(log_prob)[-1],
      self.batch_size,
      'The last axis of `log_prob` must hold the `batch_size` examples of a '
      'batch.',
    )
    statistic = _statistic(tf.cast(log_prob, tf.float64), self.entropy)
    return TypicalityTestResult(
      statistic=statistic,
      threshold=tf.constant(self.threshold, tf.float64),
      p_value=conformal.conformal_p_values(
        self._bootstrap_statistics, statistic
      ),
      reject=tf.math.is_nan(statistic) | (statistic > self.threshold),
    )


def _statistic(log_prob, entropy):
  # The mean of differences: that of large numbers would round.
  statistic = tf.abs(tf.reduce_mean(log_prob + entropy, axis=-1))
  # inf and -inf in one batch add up to NaN; neither is typical.
  is_infinite = tf.reduce_any(tf.math.is_inf(log_prob), axis=-1)
  is_nan = tf.reduce_any(tf.math.is_nan(log_prob), axis=-1)
  return tf.where(
    is_infinite & ~is_nan, tf.constant(np.inf, tf.float64), statistic
  )


def _bootstrap_statistics(log_prob, entropy, batch_size, num_resamples, seed):
  log_prob = tf.constant(log_prob, tf.float64)
  seed = stateless_seed(seed)
  max_rows = max(1, _MAX_DRAWS // batch_size)
  statistics = []
  for start in range(0, num_resamples, max_rows):
    indices = tf.random.stateless_uniform(
      [min(max_rows, num_resamples - start), batch_size],
      tf.random.experimental.stateless_fold_in(seed, start),
      maxval=log_prob.shape[0],
      dtype=tf.int64,
    )
    statistics.append(_statistic(tf.gather(log_prob, indices), entropy))
  return np.sort(np.concatenate(statistics))


def _checked_log_prob(log_prob, name, min_size):
  log_prob = conformal.checked_scores(log_prob, name)
  log_prob = log_prob.numpy().astype(np.float64)
  if log_prob.ndim != 1:
    raise ValueError(
      f'`{name}` must have rank 1, one value per example; got shape '
      f'{log_prob.shape}.'
    )
  if log_prob.size < min_size:
    raise ValueError(
      f'`{name}` must hold at least {min_size} '
      f'{"values" if min_size > 1 else "value"}, got {log_prob.size}.'
    )
  num_infinite = np.count_nonzero(np.isinf(log_prob))
  if num_infinite:
    raise ValueError(
      f'`{name}` holds {num_infinite} infinite values among {log_prob.size}; '
      'the entropy and the threshold would be infinite too.'
    )
  return log_prob


def checked_positive(number, name):
  """Returns the Python `int`; raises unless it is one, and positive."""
  try:
    number = operator.index(number)
  except TypeError as error:
    raise TypeError(f'`{name}` must be an integer, got {number!r}.') from error
  if number <= 0:
    raise ValueError(f'`{name}` must be positive, got {number}.')
  return number
