# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Results on disk, figures, and reports. Knows nothing of models."""

from tfp_ood._arrays import read_arrays, write_arrays
from tfp_ood._files import atomic_write
from tfp_ood._results import read_results, write_results
from tfp_ood.reporting.curve_figure import curve
from tfp_ood.reporting.heat_map_figure import heat_maps
from tfp_ood.reporting.histogram_figure import histogram_panels, histograms
from tfp_ood.reporting.image_grid_figure import image_grid
from tfp_ood.reporting.report import Report
from tfp_ood.reporting.roc_figure import roc_curves
from tfp_ood.reporting.scatter_figure import scatter
from tfp_ood.reporting.section import Section
from tfp_ood.reporting.tree import read_tree, write_tree

__all__ = [
  'Report',
  'Section',
  'atomic_write',
  'curve',
  'heat_maps',
  'histogram_panels',
  'histograms',
  'image_grid',
  'read_arrays',
  'read_results',
  'read_tree',
  'roc_curves',
  'scatter',
  'write_arrays',
  'write_results',
  'write_tree',
]
