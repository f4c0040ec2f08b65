# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Whether a model or a score of one's own keeps what the library relies on."""

from tfp_ood.testing.check_model import check_model
from tfp_ood.testing.check_score import check_score

__all__ = ['check_model', 'check_score']
