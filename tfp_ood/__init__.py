# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Out-of-distribution detection with deep generative models."""

from tfp_ood import (
  bijectors,
  datasets,
  distributions,
  evaluation,
  networks,
  pretrained,
  recipes,
  reporting,
  stats,
  testing,
  training,
)

__version__ = '0.1.0'

__all__ = [
  '__version__',
  'bijectors',
  'datasets',
  'distributions',
  'evaluation',
  'networks',
  'pretrained',
  'recipes',
  'reporting',
  'stats',
  'testing',
  'training',
]
