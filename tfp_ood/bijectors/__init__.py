# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Invertible image transformations, beside `tfp.bijectors`."""

from tfp_ood.bijectors.activation_normalization import ActivationNormalization
from tfp_ood.bijectors.additive_coupling import AdditiveCoupling
from tfp_ood.bijectors.affine_coupling import AffineCoupling
from tfp_ood.bijectors.bijector import Bijector
from tfp_ood.bijectors.coupling import Coupling
from tfp_ood.bijectors.factor_out import FactorOut
from tfp_ood.bijectors.fused import forward_and_log_det, inverse_and_log_det
from tfp_ood.bijectors.glow import Glow
from tfp_ood.bijectors.initialization import initialize, is_initialized
from tfp_ood.bijectors.invertible_conv_1x1 import InvertibleConv1x1
from tfp_ood.bijectors.scan import Scan
from tfp_ood.bijectors.squeeze import Squeeze

__all__ = [
  'ActivationNormalization',
  'AdditiveCoupling',
  'AffineCoupling',
  'Bijector',
  'Coupling',
  'FactorOut',
  'Glow',
  'InvertibleConv1x1',
  'Scan',
  'Squeeze',
  'forward_and_log_det',
  'initialize',
  'inverse_and_log_det',
  'is_initialized',
]
