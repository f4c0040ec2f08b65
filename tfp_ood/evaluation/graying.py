# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""How the likelihood of images changes while they lose their contrast."""

import numpy as np

from tfp_ood import _protocol, datasets, reporting, stats
from tfp_ood.evaluation import _data
from tfp_ood.evaluation.evaluation import mean_and_error

__all__ = ['graying']


_FACTORS = tuple(np.linspace(0.0, 1.0, 11).tolist())


def graying(distribution, dataset, factors=_FACTORS, max_examples=500):
  """Follows the likelihood of images on their way to their mean color.

  Args:
    distribution: model of images with `log_prob`.
    dataset: `tf.data.Dataset` of batches of images, or of tuples that start with
      them.
    factors: increasing numbers in [0, 1]; see `tfp_ood.datasets.gray_towards_mean`.
    max_examples: Python `int`; the first so many images are taken.

  Returns:
    `tfp_ood.reporting.Section`, with `factor` and `bits_per_dim` for results.
  """
  images = _data.first_examples(dataset, max_examples)
  size = _protocol.event_shape(distribution).num_elements()

  def log_probs(images):
    return [
      _protocol.log_prob(
        distribution, datasets.gray_towards_mean(images, factor)
      )
      for factor in factors
    ]

  means = [
    mean_and_error(stats.bits_per_dim(values.astype(np.float64), size))
    for values in _data.in_batches(log_probs, images)
  ]
  section = reporting.Section(
    'Graying: one weird trick to raise the likelihood',
    {'factor': list(factors), 'bits_per_dim': means},
  )
  values = np.array([mean['mean'] for mean in means])
  errors = np.array([mean['standard_error'] for mean in means])
  name = f'{len(images)} images'
  section.add_figure(
    'graying',
    reporting.curve,
    'Moving the pixels of each image towards their mean. The band is two standard '
    'errors to each side.',
    x=np.asarray(factors),
    series_by_name={name: values},
    xlabel='graying factor (0: the image, 1: its mean color)',
    ylabel='bits per dimension',
    intervals_by_name={name: (values - 2 * errors, values + 2 * errors)},
  )
  return section
