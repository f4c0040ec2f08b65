# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""How badly a layer of a classifier is rendered, as a score."""

import operator

from tfp_ood.stats.scores import _tensors
from tfp_ood.stats.scores.score import Score

__all__ = ['RenderingReconstruction']


class RenderingReconstruction(Score):
  """Squared error of a neural rendering model's rendering of one layer.

      score = |g(l) - h(l)|^2

  of the features `g(l)` that a classifier computes for an image, and the
  rendering `h(l)` from the class it infers. Which layer tells data sets apart
  differs between networks: choose it without looking at the data you report on.

  #### Example

  >>> score = RenderingReconstruction(layer=1)
  >>> score({'nrm_layer_reconstructions': [[-8., -2.], [-7., -5.]]}
  ...     ).numpy().tolist()
  [2.0, 5.0]
  """

  statistics = ('nrm_layer_reconstructions',)

  def __init__(self, layer):
    """Instantiates the score.

    Args:
      layer: Python `int`, 0 for the image, 1 for the first layer with switches.

    Raises:
      TypeError: if `layer` is not an integer.
      ValueError: if it is negative.
    """
    self._layer = operator.index(layer)
    if self._layer < 0:
      raise ValueError(
        'RenderingReconstruction: `layer` counts from 0, the image; got '
        f'{layer}.'
      )

  @property
  def description(self):
    """What the score is, a `str`; a `Detector` loads its like alone."""
    return f'{super().description} of layer {self._layer}'

  def __call__(self, statistics):
    values = _tensors.as_float(
      statistics['nrm_layer_reconstructions'], 'nrm_layer_reconstructions'
    )
    _tensors.check_is_matrix(values, 'nrm_layer_reconstructions', 'layers + 1')
    if (values.shape[1] or self._layer + 1) <= self._layer:
      raise ValueError(
        f'RenderingReconstruction: there is no layer {self._layer}; the network '
        f'has {values.shape[1] - 1}, and layer 0 is the image.'
      )
    return -values[:, self._layer]
