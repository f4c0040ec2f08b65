# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Fitting a distribution to a data set with Keras."""

from tfp_ood._parts import divide_batches
from tfp_ood.training.distribution_model import DistributionModel
from tfp_ood.training.export import export_saved_model
from tfp_ood.training.lost_workers import LostWorkerError
from tfp_ood.training.optimizers import adam, one_cycle
from tfp_ood.training.progress import Progress
from tfp_ood.training.rendering_model import (
  RenderingLossWeights,
  RenderingModel,
)
from tfp_ood.training.soft_introspective_model import SoftIntrospectiveModel
from tfp_ood.training.stop_on_nan import StopOnNaN
from tfp_ood.training.strategies import STRATEGIES, make_strategy
from tfp_ood.training.time_limit import TimeLimit
from tfp_ood.training.train_or_restore import (
  OtherSettingsError,
  check_settings,
  keep_settings,
  train_or_restore,
)
from tfp_ood.training.variational_model import VariationalModel
from tfp_ood.training.watch import Watch
from tfp_ood.training.weights import load_weights, save_weights

__all__ = [
  'STRATEGIES',
  'DistributionModel',
  'LostWorkerError',
  'OtherSettingsError',
  'Progress',
  'RenderingLossWeights',
  'RenderingModel',
  'SoftIntrospectiveModel',
  'StopOnNaN',
  'TimeLimit',
  'VariationalModel',
  'Watch',
  'adam',
  'check_settings',
  'divide_batches',
  'export_saved_model',
  'keep_settings',
  'load_weights',
  'make_strategy',
  'one_cycle',
  'save_weights',
  'train_or_restore',
]
