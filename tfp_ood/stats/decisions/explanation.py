# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Maps that tell where in an example a score comes from."""

import collections

import tensorflow as tf

from tfp_ood import _protocol
from tfp_ood.stats.scores.score_norm import log_prob_and_gradient

__all__ = ['Explanation', 'explaining_map']

_MAP = 'log_prob_map'


class Explanation(collections.namedtuple('Explanation', ['map', 'kind'])):
  """What `Detector.explain` returns.

  Attributes:
    map: `Tensor` of shape `[batch, height, width]` for images, `[batch, length]` for
      sequences.
    kind: what it is of:

      | kind | the map |
      |---|---|
      | `'log_prob'` | minus the log-probability of each element given those before it, nats; the sum is `-log_prob` |
      | `'likelihood_ratio'` | that less the same under the background model; the sum is the likelihood ratio |
      | `'gradient'` | norm of the gradient of `log_prob` by the channels of each pixel: how much it would change with the pixel, which is no part of the score |
  """


def explaining_map(statistics, names):
  """Returns the function of examples that is the map of a detector's models.

  Args:
    statistics: `Statistics`.
    names: names of the statistics that the score reads.

  Returns:
    kind: `str`, as that of an `Explanation`.
    function: from examples as `statistics.check` returns them to the map; larger is
      more out of distribution.

  Raises:
    ValueError: if the models have none.
  """
  model, of_background = statistics.distribution, f'background_{_MAP}'

  def ratio(x):
    maps = statistics.of_checked(x, [of_background, _MAP])
    return maps[of_background] - maps[_MAP]

  if _MAP in statistics.names:
    if 'background_log_prob' not in names:
      return 'log_prob', lambda x: -statistics.of_checked(x, [_MAP])[_MAP]
    if of_background in statistics.names:
      return 'likelihood_ratio', ratio
  if not _protocol.is_differentiable(model):
    raise ValueError(
      f'Detector: {type(model).__name__} has no map of its likelihood to explain '
      'scores by: neither a statistic `log_prob_map` nor a gradient by the example.'
    )

  def steepness(x):
    _, gradient = log_prob_and_gradient(
      lambda y: _protocol.log_prob(model, y), x
    )
    # Of images, the channels together.
    is_image = gradient.shape.rank == 4
    return tf.norm(gradient, axis=-1) if is_image else tf.abs(gradient)

  return 'gradient', steepness
