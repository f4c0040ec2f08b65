# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The score to use for want of a better reason."""

from tfp_ood import _protocol
from tfp_ood.stats.scores.combination import Combination
from tfp_ood.stats.scores.density_of_states import DensityOfStates
from tfp_ood.stats.scores.energy import Energy
from tfp_ood.stats.scores.feature_neighbors import FeatureNeighbors
from tfp_ood.stats.statistics import Statistics

__all__ = ['default_score']

_OF_ANY_MODEL = ('png_bits_per_dim', 'score_norm')


def default_score(model, classifier=None):
  """Returns the score that was the best on many kinds of data, for a kind of model.

  No single statistic is good everywhere: each has data sets that it finds more usual
  than the training data. This asks how common all of them are together, by a kernel
  density (`DensityOfStates`; of more than eight numbers, a normal density): the
  model's own `default_statistics` (of a flow, density and volume; of a neural
  rendering model, the terms of its layers), the size of the image as PNG, and the
  norm of the score where the model is differentiable by the example. It takes one
  pass of the model and its gradient, and runs in a graph.

  With a classifier, which is wrong in other places, Fisher's `Combination` adds up
  the evidence of that density, of the energy of the logits, and of the distance to
  the 50th neighbor among the features.

  The score learns from training examples; see `Detector.fit`. How it was chosen, and
  what it is worth on which data, is in docs/results.

  Args:
    model: any object with `log_prob(x)`; see `Statistics`.
    classifier: a classifier with the statistics `logits` and `features`, such as
      `tfp_ood.networks.ImageClassifier(network)`; or `None`.

  Returns:
    `Score`, not fitted.

  Raises:
    ValueError: if the classifier has not these statistics.

  #### Example

  >>> import tfp_ood
  >>> flow = tfp_ood.distributions.glow([8, 8, 3], num_levels=1, num_steps=1)
  >>> default_score(flow).statistics
  ('density', 'volume', 'png_bits_per_dim', 'score_norm')
  """
  known = Statistics(model, classifier=classifier)
  names = [
    *_protocol.default_statistics(model),
    *(name for name in _OF_ANY_MODEL if name in known.names),
  ]
  # The volume of a constant-volume flow tells nothing of an image.
  score = DensityOfStates(tuple(names), 'auto', drop_constant=True)
  if classifier is not None:
    score = Combination(
      [
        score,
        Energy(statistic='classifier_logits'),
        FeatureNeighbors('classifier_features'),
      ]
    )
  known.check_names(score.statistics)
  return score
