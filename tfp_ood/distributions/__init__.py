# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Whole models of an image: everything here has `log_prob` and `sample`."""

from tfp_ood.distributions.glow import constant_volume_glow, glow
from tfp_ood.distributions.image_flow import ImageFlow, LogProbTerms
from tfp_ood.distributions.layerwise_switch_prior import LayerwiseSwitchPrior
from tfp_ood.distributions.learned_normal import learned_normal
from tfp_ood.distributions.neural_rendering_model import (
  LATENT_MODES,
  NeuralRenderingModel,
  RenderingInference,
  RenderingTerms,
)
from tfp_ood.distributions.second_order import (
  ConstantVolumeSecondOrderDifference,
  constant_volume_second_order_difference,
)
from tfp_ood.distributions.structured_switch_prior import (
  LogNormalizer,
  StructuredSwitchPrior,
)

__all__ = [
  'LATENT_MODES',
  'ConstantVolumeSecondOrderDifference',
  'ImageFlow',
  'LayerwiseSwitchPrior',
  'LogNormalizer',
  'LogProbTerms',
  'NeuralRenderingModel',
  'RenderingInference',
  'RenderingTerms',
  'StructuredSwitchPrior',
  'constant_volume_glow',
  'constant_volume_second_order_difference',
  'glow',
  'learned_normal',
]
