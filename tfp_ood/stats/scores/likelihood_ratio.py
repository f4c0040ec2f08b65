# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Likelihood ratio of two models, one of them of the background."""

from tfp_ood.stats.scores import _tensors
from tfp_ood.stats.scores.score import Score

__all__ = ['LikelihoodRatio', 'likelihood_ratio']


def likelihood_ratio(log_prob, background_log_prob):
  """Log-likelihood under a background model less that under the model.

      score = log p_background(x) - log p(x)

  What both models say of an image cancels. The background model may be one of
  the same images mutated (`tfp_ood.datasets.mutate`), so that the ratio speaks
  of what mutation destroys [1], or a model of images in general, so that it
  speaks of what is particular to the training data [2, 3].

  An example that the model holds impossible (`log_prob` -inf) scores +inf,
  whatever the background model says; one that the background model alone holds
  impossible scores -inf.

  Args:
    log_prob: `Tensor` of any shape, in nats.
    background_log_prob: `Tensor` of the same shape, in nats.

  Returns:
    `Tensor` of the same shape, in nats; half precision becomes float32.

  Raises:
    ValueError: if the shapes differ.

  #### Example

  >>> likelihood_ratio([-90., -100.], [-100., -95.]).numpy().tolist()
  [-10.0, 5.0]

  #### References

  [1]: Jie Ren et al. Likelihood Ratios for Out-of-Distribution Detection.
       _Neural Information Processing Systems_, 2019.
       https://arxiv.org/abs/1906.02845
  [2]: Joan Serra et al. Input complexity and out-of-distribution detection with
       likelihood-based generative models. _International Conference on Learning
       Representations_, 2020. https://arxiv.org/abs/1909.11480
  [3]: Robin Schirrmeister et al. Understanding anomaly detection with deep
       invertible networks through hierarchies of distributions and features.
       _Neural Information Processing Systems_, 2020.
       https://arxiv.org/abs/2006.10848
  """
  return _tensors.excess_log_prob(
    log_prob, background_log_prob=background_log_prob
  )


class LikelihoodRatio(Score):
  """`likelihood_ratio` of `log_prob` and `background_log_prob`, or of others.

  #### Example

  >>> score = LikelihoodRatio()
  >>> score({'log_prob': [-90., -100.],
  ...        'background_log_prob': [-100., -95.]}).numpy().tolist()
  [-10.0, 5.0]
  """

  def __init__(
    self, log_prob='log_prob', background_log_prob='background_log_prob'
  ):
    """Instantiates the score.

    Args:
      log_prob: `str`, the name of a statistic, in nats.
      background_log_prob: `str`, likewise of the background.
    """
    self.statistics = (log_prob, background_log_prob)

  def __call__(self, statistics):
    return likelihood_ratio(*(statistics[name] for name in self.statistics))
