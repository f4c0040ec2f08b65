# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Data sets as `tf.data` pipelines: TFDS, a sample, controls, genomes."""

from tfp_ood.datasets.image_files import image_files, read_image, read_images
from tfp_ood.datasets.loading import load, num_examples
from tfp_ood.datasets.reads import gc_content, genome_names, reads
from tfp_ood.datasets.transformations import (
  adjust_contrast,
  crop_and_flip,
  fit_to_shape,
  gray_towards_mean,
  grayscale,
  mutate,
)

__all__ = [
  'adjust_contrast',
  'crop_and_flip',
  'fit_to_shape',
  'gc_content',
  'genome_names',
  'gray_towards_mean',
  'grayscale',
  'image_files',
  'load',
  'mutate',
  'num_examples',
  'read_image',
  'read_images',
  'reads',
]
