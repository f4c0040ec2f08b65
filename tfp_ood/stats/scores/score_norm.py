# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Norm of the gradient of the log-probability with respect to the input."""

import collections

import numpy as np
import tensorflow as tf

from tfp_ood.stats.scores.statistic_score import StatisticScore

__all__ = [
  'LogProbAndScoreNorm',
  'ScoreNorm',
  'log_prob_and_gradient',
  'log_prob_and_score_norm',
  'score_norm',
]

LogProbAndScoreNorm = collections.namedtuple(
  'LogProbAndScoreNorm', ['log_prob', 'score_norm']
)


def score_norm(log_prob, x):
  """Norm of the score function: how steep the log-probability is at `x`.

      score = || d log p(x) / dx ||_2

  over all dimensions of an example. Small at a mode, large where a small step
  would change much; the distribution's own samples lie in between. An example
  that the model holds impossible (`log_prob` -inf) scores +inf. (Known as
  approximate mass too, with the opposite sign [1].)

  Args:
    log_prob: callable from a batch of examples to their log-probabilities,
      `[batch]`, differentiable, each depending on its own example alone.
    x: `Tensor` of shape `[batch, ...]`; integers are cast to float32.

  Returns:
    `Tensor` of shape `[batch]`, in nats per unit of `x` (nats per gray level
    for raw pixels).

  Raises:
    ValueError: if `log_prob(x)` does not depend on `x`.

  #### Example

  >>> import tensorflow as tf
  >>> normal = lambda x: -tf.reduce_sum(x**2, axis=1) / 2
  >>> score_norm(normal, tf.constant([[3., 4.], [0., 0.]])).numpy().tolist()
  [5.0, 0.0]

  #### References

  [1]: Will Grathwohl et al. Your Classifier is Secretly an Energy Based Model and
       You Should Treat it Like One. _International Conference on Learning
       Representations_, 2020. https://arxiv.org/abs/1912.03263
  """
  return log_prob_and_score_norm(log_prob, x).score_norm


def log_prob_and_score_norm(log_prob, x):
  """`score_norm` and the log-probabilities it comes with.

  Args:
    log_prob: as for `score_norm`. It may also return a `dict` of what comes with
      the log-probability in the same pass, that itself under `'log_prob'`.
    x: as for `score_norm`.

  Returns:
    `LogProbAndScoreNorm`: `log_prob` as the callable returned it, and
    `score_norm` of shape `[batch]`, +inf where the log-probability is -inf.

  Raises:
    ValueError: if `log_prob(x)` does not depend on `x`.

  #### Example

  >>> import tensorflow as tf
  >>> normal = lambda x: -tf.reduce_sum(x**2, axis=1) / 2
  >>> log_prob_and_score_norm(normal, tf.constant([[3., 4.]]))[0].numpy()
  array([-12.5], dtype=float32)
  """
  result, gradient = log_prob_and_gradient(log_prob, x)
  total = result['log_prob'] if isinstance(result, dict) else result
  squares = tf.reduce_sum(gradient**2, axis=range(1, gradient.shape.rank))
  # Where the log-probability is -inf it may be flat, or its gradient NaN.
  is_impossible = total == tf.constant(-np.inf, total.dtype)
  norm = tf.where(
    is_impossible, tf.constant(np.inf, squares.dtype), tf.sqrt(squares)
  )
  return LogProbAndScoreNorm(result, norm)


def log_prob_and_gradient(log_prob, x):
  """Log-probabilities and their gradients by the examples.

  Args:
    log_prob: as for `log_prob_and_score_norm`.
    x: as for `score_norm`.

  Returns:
    result: what the callable returned.
    gradient: `Tensor` of the shape of `x`, float32 or float64.

  Raises:
    ValueError: if `log_prob(x)` does not depend on `x`.
  """
  x = tf.convert_to_tensor(x, name='x')
  if not x.dtype.is_floating:
    x = tf.cast(x, tf.float32)
  with tf.GradientTape(watch_accessed_variables=False) as tape:
    tape.watch(x)
    result = log_prob(x)
    total = result['log_prob'] if isinstance(result, dict) else result
  gradient = tape.gradient(total, x)
  if gradient is None:
    raise ValueError('score_norm: `log_prob(x)` does not depend on `x`.')
  # In float32 at least: sums of squares overflow half precision.
  dtype = tf.float64 if x.dtype == tf.float64 else tf.float32
  return result, tf.cast(gradient, dtype)


class ScoreNorm(StatisticScore):
  """The statistic `score_norm` as it is.

  There is one for models whose `log_prob` is differentiable by its argument: not
  for those of whole numbers alone, such as an autoencoder with a categorical
  decoder. (A distribution of TFP's over whole numbers kept as floats does not say
  so: the gradient of a `tfp.distributions.PixelCNN` is that of its network alone.)

  #### Example

  >>> ScoreNorm()({'score_norm': [5.0, 0.0]}).numpy().tolist()
  [5.0, 0.0]
  """

  def __init__(self):
    """Instantiates the score."""
    super().__init__('score_norm')
