# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""From a model, scores and data sets to tables, analyses and a report."""

from tfp_ood.evaluation.against import scores_against
from tfp_ood.evaluation.background_choice import (
  BackgroundChoice,
  choose_background,
)
from tfp_ood.evaluation.classes import by_class
from tfp_ood.evaluation.constant_volume import (
  constant_volume_second_order_difference,
)
from tfp_ood.evaluation.ensembles import ensemble_parts
from tfp_ood.evaluation.evaluate import evaluate
from tfp_ood.evaluation.evaluation import Evaluation
from tfp_ood.evaluation.feature_distances import (
  feature_classifier,
  feature_distances,
)
from tfp_ood.evaluation.graying import graying
from tfp_ood.evaluation.images import extreme_images, samples
from tfp_ood.evaluation.latent_space import (
  decoded_samples,
  latent_space,
  reconstructions,
)
from tfp_ood.evaluation.likelihood_maps import (
  likelihood_maps,
  sequence_maps,
)
from tfp_ood.evaluation.other_model import other_model
from tfp_ood.evaluation.rendering import (
  exciting_features,
  rendered_pixels,
  rendering_labels,
  rendering_layers,
)
from tfp_ood.evaluation.score_tables import accuracies, over_runs, score_table
from tfp_ood.evaluation.second_order import second_order
from tfp_ood.evaluation.training_curves import training_curves

__all__ = [
  'BackgroundChoice',
  'Evaluation',
  'accuracies',
  'by_class',
  'choose_background',
  'constant_volume_second_order_difference',
  'decoded_samples',
  'ensemble_parts',
  'evaluate',
  'exciting_features',
  'extreme_images',
  'feature_classifier',
  'feature_distances',
  'graying',
  'latent_space',
  'likelihood_maps',
  'other_model',
  'over_runs',
  'reconstructions',
  'rendered_pixels',
  'rendering_labels',
  'rendering_layers',
  'samples',
  'score_table',
  'scores_against',
  'second_order',
  'sequence_maps',
  'training_curves',
]
