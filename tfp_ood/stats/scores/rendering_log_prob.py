# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The log-probability under a neural rendering model, as a score."""

from tfp_ood.stats.scores.negative_log_likelihood import negative_log_likelihood
from tfp_ood.stats.scores.score import Score

__all__ = ['RenderingLogProb']


class RenderingLogProb(Score):
  """`negative_log_likelihood` of an image under a neural rendering model.

      score = -(reconstruction + latent + label)

  the terms of `NeuralRenderingModel.image_log_prob_terms`, the latent one with the
  mode `'mode_normalized'`. The pixels of the first term outnumber the others:
  `RenderingLatent` leaves them out.

  #### Example

  >>> RenderingLogProb()({'nrm_log_prob': [-55.0, -59.0]}).numpy().tolist()
  [55.0, 59.0]
  """

  statistics = ('nrm_log_prob',)

  def __call__(self, statistics):
    return negative_log_likelihood(statistics['nrm_log_prob'])
