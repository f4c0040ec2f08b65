# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""How the likelihood of images changes while they lose their contrast."""

import numpy as np
import tensorflow as tf

from tfp_ood import _protocol, reporting, stats
from tfp_ood._one_trace import OneTrace
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

  #### Example

  >>> import numpy as np
  >>> import tensorflow as tf
  >>> import tensorflow_probability as tfp
  >>> tfd = tfp.distributions
  >>> model = tfd.Sample(tfd.Normal(128., 20.), [4, 4, 3])
  >>> images = np.full([10, 4, 4, 3], 108, np.float32)
  >>> images[:, :2] = 148  # The mean is 128.
  >>> dataset = tf.data.Dataset.from_tensor_slices(images).batch(5)
  >>> section = graying(model, dataset, factors=[0., 0.5, 1.])
  >>> [round(bits['mean'], 2) for bits in section.results['bits_per_dim']]
  [6.37, 5.83, 5.65]
  """
  images = _data.first_examples(dataset, max_examples)
  size = _protocol.event_shape(distribution).num_elements()

  log_prob = OneTrace(lambda x: _protocol.log_prob(distribution, x))
  means = []
  for factor in factors:
    gray = np.asarray(_data.grayed(tf.constant(images), factor))
    values = _data.in_batches(log_prob, gray).astype(np.float64)
    means.append(mean_and_error(stats.bits_per_dim(values, size)))
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
