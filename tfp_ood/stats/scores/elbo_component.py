# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Components of the evidence lower bound, as scores."""

from tfp_ood.stats.scores.statistic_score import StatisticScore

__all__ = ['ElboComponent']


class ElboComponent(StatisticScore):
  """One component of a variational autoencoder's evidence lower bound.

      reconstruction:     score = -E[log p(x | z)],   z ~ q(z | x)
      log_prior:          score = -E[log p(z)]
      posterior_entropy:  score = -H[q(z | x)] = E[log q(z | x)]
      kl:                 score = KL(q(z | x) || p(z))

  The bound is the sum of the first three expectations, or the first less the
  divergence. Each score is what its component takes from the bound: an image is
  out-of-distribution if it is reconstructed badly, its latent is improbable under
  the prior, its posterior is narrow, or its posterior is far from the prior. The
  scores are one-sided: an image of the opposite kind, such as one reconstructed
  better than any known, scores low. `DensityOfStates` of the same statistics is
  two-sided. Which component misleads differs between models [1].

  A statistic of -inf scores +inf, but for `kl`: an infinite divergence does.

  #### Example

  >>> score = ElboComponent('reconstruction')
  >>> score({'elbo_reconstruction': [-90., -100.]}).numpy().tolist()
  [90.0, 100.0]
  >>> ElboComponent('kl')({'elbo_kl': [10., 30.]}).numpy().tolist()
  [10.0, 30.0]

  #### References

  [1]: Rongyu Chen. Towards Understanding In-Distribution and Out-of-Distribution
       of Deep Learning with Deep Generative Models. Qualifying examination
       paper, National University of Singapore, 2021. Section 3.3.6.
  """

  def __init__(self, component):
    """Instantiates the score.

    Args:
      component: `'reconstruction'`, `'log_prior'`, `'posterior_entropy'` or
        `'kl'`.
    """
    # The divergence alone is subtracted in the bound.
    super().__init__(f'elbo_{component}', sign=1 if component == 'kl' else -1)
