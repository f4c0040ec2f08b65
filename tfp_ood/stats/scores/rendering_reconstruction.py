# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""How badly a layer of a classifier is rendered, as a score."""

from tfp_ood.stats.scores.statistic_score import StatisticScore

__all__ = ['RenderingReconstruction']


class RenderingReconstruction(StatisticScore):
  """Squared error of a neural rendering model's rendering of one layer.

      score = |g(l) - h(l)|^2

  of the features `g(l)` that a classifier computes for an image, and the
  rendering `h(l)` from the class it infers. Which layer tells data sets apart
  differs between networks: choose it without looking at the data you report on.

  #### Example

  >>> score = RenderingReconstruction(layer=1)
  >>> layers = [[-8., -2.], [-7., -5.]]
  >>> score({'layer_reconstructions': layers}).numpy().tolist()
  [2.0, 5.0]
  """

  def __init__(self, layer):
    """Instantiates the score.

    Args:
      layer: Python `int`, 0 for the image, 1 for the first layer with switches.
    """
    super().__init__('layer_reconstructions', sign=-1, column=layer)
