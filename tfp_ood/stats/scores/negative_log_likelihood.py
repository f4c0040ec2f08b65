# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The negative log-likelihood as a score: what all others must beat."""

from tfp_ood.stats.scores import _tensors
from tfp_ood.stats.scores.statistic_score import StatisticScore

__all__ = ['NegativeLogLikelihood', 'negative_log_likelihood']


def negative_log_likelihood(log_prob):
  """Negative log-likelihood: the oldest score, and the one that misleads.

      score = -log p(x)

  An example that the model holds impossible (`log_prob` -inf) scores +inf.

  Args:
    log_prob: `Tensor` of any shape, in nats.

  Returns:
    `Tensor` of the same shape, in nats; half precision becomes float32.

  #### Example

  >>> negative_log_likelihood([-3.0, -5.0]).numpy().tolist()
  [3.0, 5.0]

  #### References

  [1]: Christopher Bishop. Novelty detection and neural network validation. _IEE
       Proceedings - Vision, Image and Signal Processing_, 141(4):217-222, 1994.
  """
  return -_tensors.as_float(log_prob, 'log_prob')


class NegativeLogLikelihood(StatisticScore):
  """`negative_log_likelihood` of the statistic `log_prob`, or another like it.

  #### Example

  >>> NegativeLogLikelihood()({'log_prob': [-3.0, -5.0]}).numpy().tolist()
  [3.0, 5.0]
  """

  def __init__(self, log_prob='log_prob'):
    """Instantiates the score.

    Args:
      log_prob: the name of the statistic, such as `'elbo'`.
    """
    super().__init__(log_prob, sign=-1)
