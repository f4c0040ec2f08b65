# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""How probable the latents of an image are, as a score."""

from tfp_ood.stats.scores.negative_log_likelihood import negative_log_likelihood
from tfp_ood.stats.scores.score import Score
from tfp_ood.stats.statistics import LATENT_MODES

__all__ = ['RenderingLatent']


class RenderingLatent(Score):
  """`negative_log_likelihood` of the latents of a neural rendering model.

      score = -log p(switches | label)

  of the label and the switches that a classifier infers for an image. What the
  image looks like beyond them, the pixels, is left out [1].

  #### Example

  >>> RenderingLatent()(
  ...     {'nrm_latent_mode_normalised': [-5.7, -8.2]}).numpy().tolist()
  [5.699999809265137, 8.199999809265137]

  #### References

  [1]: Yujia Huang, Sihui Dai, Tan Nguyen, Richard Baraniuk, Anima Anandkumar.
       Out-of-Distribution Detection Using Neural Rendering Generative Models.
       2019. https://arxiv.org/abs/1907.04572
  """

  def __init__(self, mode='mode_normalised'):
    """Instantiates the score.

    Args:
      mode: how the latents are normalized, one of
        the latent terms of `tfp_ood.distributions.NeuralRenderingModel`.

    Raises:
      ValueError: if `mode` is unknown.
    """
    if mode not in LATENT_MODES:
      raise ValueError(
        f'RenderingLatent: `mode` must be one of {", ".join(LATENT_MODES)}; got '
        f'{mode!r}.'
      )
    self.statistics = (f'nrm_latent_{mode}',)

  def __call__(self, statistics):
    return negative_log_likelihood(statistics[self.statistics[0]])
