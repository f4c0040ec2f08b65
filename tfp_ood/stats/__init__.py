# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""From log-probabilities to decisions: scores, metrics, tests."""

from tfp_ood.stats.compression import (
  COMPRESSORS,
  compressed_bits_per_dim,
  png_bits_per_dim,
)
from tfp_ood.stats.decisions.conformal import (
  conformal_p_values,
  conformal_threshold,
)
from tfp_ood.stats.decisions.detector import Detector
from tfp_ood.stats.decisions.explanation import Explanation
from tfp_ood.stats.decisions.false_discovery_rate import (
  BenjaminiHochbergResult,
  LondResult,
  benjamini_hochberg,
  lond,
)
from tfp_ood.stats.decisions.typicality_curve import (
  TypicalityCurve,
  typicality_curve,
)
from tfp_ood.stats.decisions.typicality_test import (
  TypicalityTest,
  TypicalityTestResult,
)
from tfp_ood.stats.latent_traversal import traverse
from tfp_ood.stats.metrics.bits_per_dim import bits_per_dim
from tfp_ood.stats.metrics.bootstrap import (
  BootstrapConfidenceInterval,
  bootstrap_confidence_interval,
)
from tfp_ood.stats.metrics.delong import (
  AurocConfidenceInterval,
  DelongTest,
  auroc_confidence_interval,
  delong_test,
)
from tfp_ood.stats.metrics.frechet_distance import frechet_distance
from tfp_ood.stats.metrics.latent_separation import (
  LatentSeparation,
  latent_separation,
)
from tfp_ood.stats.metrics.over_seeds import MeanOverSeeds, mean_over_seeds
from tfp_ood.stats.metrics.ranking_metrics import (
  RocCurve,
  auroc,
  average_precision_in,
  average_precision_out,
  detection_error,
  false_positive_rate_at_95_tpr_in,
  false_positive_rate_at_95_tpr_out,
  roc_curve,
)
from tfp_ood.stats.scores.combination import Combination
from tfp_ood.stats.scores.default_score import default_score
from tfp_ood.stats.scores.density_of_states import DensityOfStates
from tfp_ood.stats.scores.elbo_component import ElboComponent
from tfp_ood.stats.scores.energy import Energy, energy
from tfp_ood.stats.scores.feature_neighbors import FeatureNeighbors
from tfp_ood.stats.scores.input_complexity import (
  InputComplexity,
  input_complexity,
)
from tfp_ood.stats.scores.likelihood_ratio import (
  LikelihoodRatio,
  likelihood_ratio,
)
from tfp_ood.stats.scores.likelihood_regret import (
  LikelihoodRegret,
  likelihood_regret,
)
from tfp_ood.stats.scores.mahalanobis_distance import MahalanobisDistance
from tfp_ood.stats.scores.max_softmax import MaxSoftmax, max_softmax
from tfp_ood.stats.scores.negative_log_likelihood import (
  NegativeLogLikelihood,
  negative_log_likelihood,
)
from tfp_ood.stats.scores.predictive_entropy import (
  PredictiveEntropy,
  predictive_entropy,
)
from tfp_ood.stats.scores.rendering_latent import RenderingLatent
from tfp_ood.stats.scores.rendering_reconstruction import (
  RenderingReconstruction,
)
from tfp_ood.stats.scores.score import Score
from tfp_ood.stats.scores.score_norm import (
  LogProbAndScoreNorm,
  ScoreNorm,
  log_prob_and_score_norm,
  score_norm,
)
from tfp_ood.stats.scores.statistic_score import StatisticScore
from tfp_ood.stats.scores.typicality import Typicality, typicality
from tfp_ood.stats.scores.waic import Waic, WaicTerms, waic
from tfp_ood.stats.second_order import (
  ImageMoments,
  SecondOrderDifference,
  SecondOrderExpansion,
  SecondOrderTerms,
  image_moments,
  second_order_difference,
  second_order_difference_from_examples,
)
from tfp_ood.stats.statistics import Statistics

__all__ = [
  'COMPRESSORS',
  'AurocConfidenceInterval',
  'BenjaminiHochbergResult',
  'BootstrapConfidenceInterval',
  'Combination',
  'DelongTest',
  'DensityOfStates',
  'Detector',
  'ElboComponent',
  'Energy',
  'Explanation',
  'FeatureNeighbors',
  'ImageMoments',
  'InputComplexity',
  'LatentSeparation',
  'LikelihoodRatio',
  'LikelihoodRegret',
  'LogProbAndScoreNorm',
  'LondResult',
  'MahalanobisDistance',
  'MaxSoftmax',
  'MeanOverSeeds',
  'NegativeLogLikelihood',
  'PredictiveEntropy',
  'RenderingLatent',
  'RenderingReconstruction',
  'RocCurve',
  'Score',
  'ScoreNorm',
  'SecondOrderDifference',
  'SecondOrderExpansion',
  'SecondOrderTerms',
  'StatisticScore',
  'Statistics',
  'Typicality',
  'TypicalityCurve',
  'TypicalityTest',
  'TypicalityTestResult',
  'Waic',
  'WaicTerms',
  'auroc',
  'auroc_confidence_interval',
  'average_precision_in',
  'average_precision_out',
  'benjamini_hochberg',
  'bits_per_dim',
  'bootstrap_confidence_interval',
  'compressed_bits_per_dim',
  'conformal_p_values',
  'conformal_threshold',
  'default_score',
  'delong_test',
  'detection_error',
  'energy',
  'false_positive_rate_at_95_tpr_in',
  'false_positive_rate_at_95_tpr_out',
  'frechet_distance',
  'image_moments',
  'input_complexity',
  'latent_separation',
  'likelihood_ratio',
  'likelihood_regret',
  'log_prob_and_score_norm',
  'lond',
  'max_softmax',
  'mean_over_seeds',
  'negative_log_likelihood',
  'png_bits_per_dim',
  'predictive_entropy',
  'roc_curve',
  'score_norm',
  'second_order_difference',
  'second_order_difference_from_examples',
  'traverse',
  'typicality',
  'typicality_curve',
  'waic',
]
