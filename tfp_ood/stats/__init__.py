# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""From log-probabilities to decisions: scores, metrics, tests."""

from tfp_ood.stats.bits_per_dim import bits_per_dim
from tfp_ood.stats.delong import (
  AurocConfidenceInterval,
  auroc_confidence_interval,
)
from tfp_ood.stats.ranking_metrics import (
  RocCurve,
  auroc,
  average_precision,
  false_positive_rate_at_95_tpr,
  roc_curve,
)

__all__ = [
  'AurocConfidenceInterval',
  'RocCurve',
  'auroc',
  'auroc_confidence_interval',
  'average_precision',
  'bits_per_dim',
  'false_positive_rate_at_95_tpr',
  'roc_curve',
]
