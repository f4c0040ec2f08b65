# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The networks inside the models."""

from tfp_ood.networks.coupling_network import CouplingNetwork
from tfp_ood.networks.tracking import trackable_parts
from tfp_ood.networks.zero_convolution import ZeroConvolution

__all__ = ['CouplingNetwork', 'ZeroConvolution', 'trackable_parts']
