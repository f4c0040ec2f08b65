# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Results on disk, figures, and reports. Knows nothing of models."""

from tfp_ood._arrays import read_arrays, write_arrays
from tfp_ood._files import atomic_write
from tfp_ood.reporting.curve_figure import curve
from tfp_ood.reporting.histogram_figure import histograms
from tfp_ood.reporting.image_grid_figure import image_grid
from tfp_ood.reporting.report import Report
from tfp_ood.reporting.results import read_results, write_results
from tfp_ood.reporting.roc_figure import roc_curves

__all__ = [
  'Report',
  'atomic_write',
  'curve',
  'histograms',
  'image_grid',
  'read_arrays',
  'read_results',
  'roc_curves',
  'write_arrays',
  'write_results',
]
