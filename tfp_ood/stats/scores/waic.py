# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The Watanabe-Akaike information criterion of an ensemble, as a score."""

import collections

import numpy as np
import tensorflow as tf

from tfp_ood.stats.scores import _tensors
from tfp_ood.stats.scores.score import Score

__all__ = ['Waic', 'WaicTerms', 'waic']

WaicTerms = collections.namedtuple('WaicTerms', ['score', 'mean', 'variance'])


def waic(log_probs, axis=-1):
  """Watanabe-Akaike information criterion of an ensemble of models.

      score = variance - mean

  of `log p_k(x)` over the models `k`, the variance without Bessel's correction
  (divided by the number of models). This is `mean - variance` as Choi et al. [1]
  use it, with the sign turned so that larger is more out-of-distribution;
  Watanabe's criterion has `log mean_k p_k(x)` in place of the mean [2]. The mean
  grows with the dimension of `x` and the variance up to its square: which of
  the two decides depends on how far apart the models are, so look at both parts.

  An example that one of the models holds impossible (-inf) scores +inf.

  Args:
    log_probs: `Tensor` of rank at least 1, in nats, with one entry per model
      along `axis`.
    axis: Python `int`, the axis of the models.

  Returns:
    `WaicTerms`, each without `axis` (half precision becomes float32):
    score: in nats, `variance - mean` as numbers.
    mean: of `log p_k(x)`, in nats.
    variance: of `log p_k(x)`, in nats squared.

  Raises:
    ValueError: if there are fewer than two models.

  #### Example

  >>> waic([[-10., -14.], [-9., -9.]]).score.numpy().tolist()
  [16.0, 9.0]

  #### References

  [1]: Hyunsun Choi, Eric Jang, Alexander Alemi. WAIC, but Why? Generative
       Ensembles for Robust Anomaly Detection. 2018.
       https://arxiv.org/abs/1810.01392
  [2]: Sumio Watanabe. Asymptotic Equivalence of Bayes Cross Validation and Widely
       Applicable Information Criterion in Singular Learning Theory. _Journal of
       Machine Learning Research_, 11:3571-3594, 2010.
  """
  log_probs = _tensors.as_float(log_probs, 'log_probs')
  if log_probs.shape.rank == 0 or (log_probs.shape[axis] or 2) < 2:
    raise ValueError(
      'waic: `log_probs` must hold at least two models along axis '
      f'{axis}, got shape {log_probs.shape}; one model has no variance.'
    )
  mean, variance = tf.nn.moments(log_probs, axes=[axis])
  is_impossible = tf.reduce_any(log_probs == -np.inf, axis=axis)
  infinity = tf.constant(np.inf, log_probs.dtype)
  score = tf.where(is_impossible, infinity, variance - mean)
  return WaicTerms(score, mean, variance)


class Waic(Score):
  """The score of `waic`, of the statistic `ensemble_log_probs`.

  #### Example

  >>> log_probs = [[-10., -14.], [-9., -9.]]  # Two examples, two models.
  >>> Waic()({'ensemble_log_probs': log_probs}).numpy().tolist()
  [16.0, 9.0]
  """

  statistics = ('ensemble_log_probs',)

  def __call__(self, statistics):
    log_probs = tf.convert_to_tensor(statistics['ensemble_log_probs'])
    _tensors.check_is_matrix(log_probs, 'ensemble_log_probs', 'members')
    return waic(log_probs).score
