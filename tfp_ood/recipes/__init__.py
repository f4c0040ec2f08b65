# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The papers' experiments: how each model is trained, scored and analyzed."""

from tfp_ood.recipes.autoencoders import (
  autoencoder,
  beta_variational_autoencoder,
  flow_variational_autoencoder,
  soft_introspective_autoencoder,
  variational_autoencoder,
)
from tfp_ood.recipes.flows import constant_volume_glow, glow
from tfp_ood.recipes.genomes import GENOME_SETTINGS, GenomeRun
from tfp_ood.recipes.pixel_cnns import pixel_cnn
from tfp_ood.recipes.recipe import (
  PRESETS,
  Builder,
  Recipe,
  Setting,
  SettingError,
)
from tfp_ood.recipes.rendering import neural_rendering_model
from tfp_ood.recipes.run import Run

__all__ = [
  'GENOME_SETTINGS',
  'PRESETS',
  'RECIPES',
  'Builder',
  'GenomeRun',
  'Recipe',
  'Run',
  'Setting',
  'SettingError',
  'autoencoder',
  'beta_variational_autoencoder',
  'constant_volume_glow',
  'flow_variational_autoencoder',
  'glow',
  'neural_rendering_model',
  'pixel_cnn',
  'soft_introspective_autoencoder',
  'variational_autoencoder',
]

# By the short names of the command line.
RECIPES = {
  'glow': glow,
  'cv_glow': constant_volume_glow,
  'nrm': neural_rendering_model,
  'pixel_cnn': pixel_cnn,
  'autoencoder': autoencoder,
  'vae': variational_autoencoder,
  'beta_vae': beta_variational_autoencoder,
  'f_vae': flow_variational_autoencoder,
  'soft_intro_vae': soft_introspective_autoencoder,
}
