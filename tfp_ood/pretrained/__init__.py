# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Weights of trained models, bundled or in files of one's own."""

from tfp_ood.pretrained.factories import factory, load_model, with_weights
from tfp_ood.pretrained.weights_file import (
  WeightsFile,
  available,
  read_weights,
  write_weights,
)

__all__ = [
  'WeightsFile',
  'available',
  'factory',
  'load_model',
  'read_weights',
  'with_weights',
  'write_weights',
]
