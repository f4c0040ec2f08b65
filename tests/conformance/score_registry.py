# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Every public score, the variants of it worth a test, and what it reads."""

import dataclasses
import math
from collections.abc import Callable

import numpy as np

from tfp_ood import stats

__all__ = ['COVERED_ELSEWHERE', 'EXCLUDED', 'SCORES', 'Entry']

_INF = math.inf
_NAN = math.nan
# Of the statistics that are several numbers: members, classes, layers.
_NUM_COLUMNS = 3

# As of images of 3072 dimensions: half precision has steps of 4 nats there.
_MEANS = {
  'log_prob': (-7000.0, 200.0),
  'bits_per_dim': (3.3, 0.3),
  'density': (-4000.0, 100.0),
  'volume': (-3000.0, 150.0),
  'score_norm': (700.0, 60.0),
  'optimized_log_prob': (-6900.0, 200.0),
  'elbo': (-7100.0, 200.0),
  'elbo_reconstruction': (-7000.0, 200.0),
  'elbo_log_prior': (-180.0, 20.0),
  'elbo_posterior_entropy': (60.0, 9.0),
  'elbo_kl': (120.0, 15.0),
  'latent': (0.0, 1.0),
  'background_log_prob': (-7100.0, 200.0),
  'logits': (0.0, 2.0),
  'latent_eta': (30.0, 5.0),
  'latent_mode_normalized': (-6.0, 1.0),
  'latent_rpn': (-200.0, 40.0),
  'latent_layerwise': (-4000.0, 90.0),
  'layer_etas': (3.0, 0.5),
  'layer_reconstructions': (-50.0, 7.0),
  'ensemble_log_probs': (-7000.0, 30.0),
  'png_bits_per_dim': (5.0, 0.5),
  'compressed_bits_per_dim': (4.5, 0.5),
  'total_variation': (40.0, 4.0),
  'features': (1.0, 3.0),
  'classifier_logits': (0.0, 2.0),
  'classifier_features': (1.0, 3.0),
  'classifier_perturbed_logits': (0.0, 2.0),
}
_HAVE_COLUMNS = (
  'classifier_features',
  'classifier_logits',
  'classifier_perturbed_logits',
  'ensemble_log_probs',
  'features',
  'latent',
  'logits',
  'layer_etas',
  'layer_reconstructions',
)


@dataclasses.dataclass(frozen=True)
class Entry:
  """How to make one score, and what its docstring says of infinite values.

  Attributes:
    build: callable without arguments that returns a new score, not fitted.
    infinite: `dict` from `(statistic, value)` to the score of an example whose
      statistic is that infinite value, in the first column if it has several,
      the others being finite.
  """

  build: Callable
  infinite: dict

  def make(self, seed):
    """Returns a new score, fitted if it learns."""
    return self.build().fit(self.statistics(60, seed))

  def statistics(self, count, seed, dtype=np.float64):
    """Returns random statistics of as many examples."""
    random = np.random.default_rng([seed, 2026])
    values = {}
    for name in self.build().statistics:
      shape = [count, _NUM_COLUMNS] if name in _HAVE_COLUMNS else [count]
      values[name] = random.normal(*_MEANS[name], size=shape).astype(dtype)
    return values


def _difference(subtrahend, minuend):
  """What infinite statistics do to `subtrahend - minuend`."""
  return {
    (subtrahend, -_INF): -_INF,
    (subtrahend, _INF): _INF,
    (minuend, -_INF): _INF,
    (minuend, _INF): -_INF,
  }


def _negated(name):
  """What infinite values do to a score that is minus a statistic."""
  return {(name, -_INF): _INF, (name, _INF): -_INF}


def _kept(name):
  """What infinite values do to a score that is a statistic."""
  return {(name, -_INF): -_INF, (name, _INF): _INF}


def _always_infinite(*names):
  return {(name, value): _INF for name in names for value in (-_INF, _INF)}


SCORES = {
  'negative_log_likelihood': Entry(
    stats.NegativeLogLikelihood, _negated('log_prob')
  ),
  'negative_log_likelihood_of_another_name': Entry(
    lambda: stats.NegativeLogLikelihood('elbo'), _negated('elbo')
  ),
  'statistic': Entry(
    lambda: stats.StatisticScore('total_variation'), _kept('total_variation')
  ),
  'minus_a_statistic': Entry(
    lambda: stats.StatisticScore('total_variation', sign=-1),
    _negated('total_variation'),
  ),
  'column_of_a_statistic': Entry(
    lambda: stats.StatisticScore('features', column=0), _kept('features')
  ),
  'typicality': Entry(stats.Typicality, _always_infinite('log_prob')),
  'typicality_of_given_entropy': Entry(
    lambda: stats.Typicality(entropy=7000.0), _always_infinite('log_prob')
  ),
  'likelihood_ratio': Entry(
    stats.LikelihoodRatio, _difference('background_log_prob', 'log_prob')
  ),
  'likelihood_ratio_of_other_names': Entry(
    lambda: stats.LikelihoodRatio('elbo', 'log_prob'),
    _difference('log_prob', 'elbo'),
  ),
  'likelihood_regret': Entry(
    stats.LikelihoodRegret, _difference('optimized_log_prob', 'log_prob')
  ),
  # An infinite density has no variance.
  'waic': Entry(
    stats.Waic,
    {('ensemble_log_probs', -_INF): _INF, ('ensemble_log_probs', _INF): _NAN},
  ),
  'feature_neighbors': Entry(
    lambda: stats.FeatureNeighbors(num_neighbors=3),
    _always_infinite('features'),
  ),
  'feature_neighbors_of_any_length': Entry(
    lambda: stats.FeatureNeighbors(
      'latent', num_neighbors=1, normalize=False, max_examples=20
    ),
    _always_infinite('latent'),
  ),
  'mahalanobis_distance': Entry(
    stats.MahalanobisDistance,
    _always_infinite('classifier_logits', 'classifier_features'),
  ),
  'mahalanobis_distance_relative': Entry(
    lambda: stats.MahalanobisDistance('logits', 'features', relative=True),
    _always_infinite('logits', 'features'),
  ),
  'combination_fisher': Entry(
    lambda: stats.Combination(
      [stats.Typicality(), stats.StatisticScore('total_variation')]
    ),
    {**_always_infinite('log_prob'), ('total_variation', _INF): _INF},
  ),
  'combination_smallest': Entry(
    lambda: stats.Combination(
      [
        stats.DensityOfStates(('density', 'score_norm')),
        stats.FeatureNeighbors(num_neighbors=3),
      ],
      'smallest',
    ),
    _always_infinite('density', 'score_norm', 'features'),
  ),
  'combination_density': Entry(
    lambda: stats.Combination(
      [stats.Typicality(), stats.ElboComponent('kl'), stats.ScoreNorm()],
      'density',
    ),
    {
      **_always_infinite('log_prob'),
      ('elbo_kl', _INF): _INF,
      ('score_norm', _INF): _INF,
    },
  ),
  'input_complexity': Entry(
    stats.InputComplexity, _difference('bits_per_dim', 'png_bits_per_dim')
  ),
  'input_complexity_of_several_compressors': Entry(
    lambda: stats.InputComplexity('compressed_bits_per_dim'),
    _difference('bits_per_dim', 'compressed_bits_per_dim'),
  ),
  'score_norm': Entry(stats.ScoreNorm, {('score_norm', _INF): _INF}),
  'density_of_states_kde': Entry(
    stats.DensityOfStates, _always_infinite('density', 'volume')
  ),
  'density_of_states_svm': Entry(
    lambda: stats.DensityOfStates(
      ('log_prob', 'score_norm', 'png_bits_per_dim'), method='one_class_svm'
    ),
    _always_infinite('log_prob', 'score_norm', 'png_bits_per_dim'),
  ),
  'density_of_states_gaussian': Entry(
    lambda: stats.DensityOfStates(
      ('layer_etas', 'log_prob', 'layer_reconstructions'),
      method='gaussian',
    ),
    _always_infinite('layer_etas', 'log_prob', 'layer_reconstructions'),
  ),
  'density_of_states_but_for_constants': Entry(
    lambda: stats.DensityOfStates(
      ('layer_etas', 'log_prob'), method='gaussian', drop_constant=True
    ),
    _always_infinite('layer_etas', 'log_prob'),
  ),
  'density_of_states_of_columns': Entry(
    lambda: stats.DensityOfStates(
      ('layer_etas[2]', 'layer_etas[0]'), method='gaussian'
    ),
    _always_infinite('layer_etas'),
  ),
  'density_of_states_svm_of_the_latent': Entry(
    lambda: stats.DensityOfStates(('latent',), method='one_class_svm'),
    _always_infinite('latent'),
  ),
  'density_of_states_mahalanobis': Entry(
    lambda: stats.DensityOfStates(('latent', 'elbo_kl'), method='mahalanobis'),
    _always_infinite('latent', 'elbo_kl'),
  ),
  'elbo_reconstruction': Entry(
    lambda: stats.ElboComponent('reconstruction'),
    _negated('elbo_reconstruction'),
  ),
  'elbo_log_prior': Entry(
    lambda: stats.ElboComponent('log_prior'), _negated('elbo_log_prior')
  ),
  'elbo_posterior_entropy': Entry(
    lambda: stats.ElboComponent('posterior_entropy'),
    _negated('elbo_posterior_entropy'),
  ),
  'elbo_kl': Entry(
    lambda: stats.ElboComponent('kl'),
    _kept('elbo_kl'),
  ),
  'rendering_latent': Entry(
    stats.RenderingLatent, _negated('latent_mode_normalized')
  ),
  'rendering_latent_eta': Entry(
    lambda: stats.RenderingLatent('eta'), _negated('latent_eta')
  ),
  'rendering_latent_rpn': Entry(
    lambda: stats.RenderingLatent('rpn'), _negated('latent_rpn')
  ),
  'rendering_latent_layerwise': Entry(
    lambda: stats.RenderingLatent('layerwise'),
    _negated('latent_layerwise'),
  ),
  'rendering_reconstruction': Entry(
    lambda: stats.RenderingReconstruction(0),
    _negated('layer_reconstructions'),
  ),
  # A class of infinite logit leaves the softmax undefined.
  'max_softmax': Entry(stats.MaxSoftmax, {('logits', _INF): _NAN}),
  'max_softmax_tempered': Entry(
    lambda: stats.MaxSoftmax(temperature=3.0), {('logits', _INF): _NAN}
  ),
  'odin': Entry(
    lambda: stats.MaxSoftmax(1000.0, 'classifier_perturbed_logits'),
    {('classifier_perturbed_logits', _INF): _NAN},
  ),
  'predictive_entropy': Entry(
    stats.PredictiveEntropy, {('logits', _INF): _NAN}
  ),
  'predictive_entropy_tempered': Entry(
    lambda: stats.PredictiveEntropy(temperature=3.0), {('logits', _INF): _NAN}
  ),
  'energy': Entry(stats.Energy, {('logits', _INF): -_INF}),
  'energy_tempered': Entry(
    lambda: stats.Energy(temperature=0.5), {('logits', _INF): -_INF}
  ),
}

EXCLUDED = {'Score': 'abstract: a subclass says how statistics make a score'}

# Public classes that are no scores, and the file that tests each.
COVERED_ELSEWHERE = {
  'Detector': 'stats/decisions/test_detector.py',
  'SecondOrderExpansion': 'stats/test_second_order.py',
  'Statistics': 'stats/test_statistics.py',
  'TypicalityTest': 'stats/decisions/test_typicality_test.py',
}
