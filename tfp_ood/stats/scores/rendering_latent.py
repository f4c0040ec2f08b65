# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""How probable the latents of an image are, as a score."""

from tfp_ood.stats.scores.statistic_score import StatisticScore

__all__ = ['RenderingLatent']


class RenderingLatent(StatisticScore):
  """Minus the log-probability of the latents of a neural rendering model.

      score = -log p(switches | label)

  of the label and the switches that a classifier infers for an image. What the
  image looks like beyond them, the pixels, is left out [1].

  #### Example

  >>> RenderingLatent()({'latent_mode_normalized': [-5.5, -8.0]}).numpy().tolist()
  [5.5, 8.0]

  #### References

  [1]: Yujia Huang, Sihui Dai, Tan Nguyen, Richard Baraniuk, Anima Anandkumar.
       Out-of-Distribution Detection Using Neural Rendering Generative Models.
       2019. https://arxiv.org/abs/1907.04572
  """

  def __init__(self, mode='mode_normalized'):
    """Instantiates the score.

    Args:
      mode: how the latents are normalized; the statistics of
        `tfp_ood.distributions.NeuralRenderingModel` that start with `latent_`.
    """
    super().__init__(f'latent_{mode}', sign=-1)
