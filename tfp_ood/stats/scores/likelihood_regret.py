# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Likelihood regret, for models with an encoder."""

from tfp_ood.stats.scores import _tensors
from tfp_ood.stats.scores.score import Score

__all__ = ['LikelihoodRegret', 'likelihood_regret']


def likelihood_regret(log_prob, optimized_log_prob):
  """How much an example's own best posterior improves its likelihood bound.

      score = log p(x; best posterior for x) - log p(x; encoder's posterior)

  The encoder of a variational autoencoder serves in-distribution examples well
  and leaves little to gain. A model takes part by a method
  `optimized_log_prob(images)`, beside `log_prob(images)`: the same bound after
  the approximate posterior was fitted to each image by itself.

  An example whose `log_prob` is -inf scores +inf.

  Args:
    log_prob: `Tensor` of any shape, in nats: the bound with the posterior that
      the encoder gives.
    optimized_log_prob: `Tensor` of the same shape, in nats.

  Returns:
    `Tensor` of the same shape, in nats; half precision becomes float32.

  Raises:
    ValueError: if the shapes differ.

  #### Example

  >>> likelihood_regret([-90., -100.], [-80., -99.]).numpy().tolist()
  [10.0, 1.0]

  #### References

  [1]: Zhisheng Xiao, Qing Yan, Yali Amit. Likelihood Regret: An
       Out-of-Distribution Detection Score For Variational Auto-encoder. _Neural
       Information Processing Systems_, 2020. https://arxiv.org/abs/2003.02977
  """
  return _tensors.excess_log_prob(
    log_prob, optimized_log_prob=optimized_log_prob
  )


class LikelihoodRegret(Score):
  """`likelihood_regret` of `log_prob` and `optimized_log_prob`.

  #### Example

  >>> score = LikelihoodRegret()
  >>> score({'log_prob': [-90., -100.],
  ...        'optimized_log_prob': [-80., -99.]}).numpy().tolist()
  [10.0, 1.0]
  """

  statistics = ('log_prob', 'optimized_log_prob')

  def __call__(self, statistics):
    return likelihood_regret(
      statistics['log_prob'], statistics['optimized_log_prob']
    )
