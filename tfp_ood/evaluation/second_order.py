# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Differences of mean log-probability, predicted from second moments."""

import numpy as np

from tfp_ood import _protocol, reporting, stats
from tfp_ood._one_trace import OneTrace
from tfp_ood.evaluation import _data
from tfp_ood.evaluation.constant_volume import (
  constant_volume_second_order_difference,
)
from tfp_ood.evaluation.evaluation import mean_and_error

__all__ = ['second_order']

_GRAYED_BY = 0.5
_NUM_GRAYED = 500


def second_order(
  distribution,
  evaluation,
  datasets,
  num_probes=100,
  num_expanded=200,
  closed_form=False,
  seed=0,
):
  """Predicts how the likelihoods of data sets differ, beside what was measured.

  The log-probability is expanded about the mean training image, with the diagonal
  and with the full covariance of each data set; see
  `tfp_ood.stats.second_order_difference`. To the data sets come in-distribution
  images that are grayed by half.

  Args:
    distribution: model of images with `continuous_log_prob`, in full precision.
    evaluation: `Evaluation` of the model that has the statistic `log_prob`.
    datasets: `dict` of all data sets of the evaluation by name.
    num_probes: Python `int`, random probes of the diagonal covariances.
    num_expanded: Python `int`, images of each data set for the full ones.
    closed_form: Python `bool`, whether the model is a constant-volume flow, whose
      weights give the prediction too.
    seed: Python `int`, of the probes.

  Returns:
    `tfp_ood.reporting.Section`; its results are `dict`s by data set.

  Raises:
    ValueError: if the evaluation has no training data.

  #### Example

  >>> import numpy as np
  >>> import tensorflow as tf
  >>> import tensorflow_probability as tfp
  >>> import tfp_ood
  >>> tfd = tfp.distributions
  >>> model = tfd.Sample(tfd.Normal(128., 20.), [4, 4, 3])
  >>> model.continuous_log_prob = model.log_prob
  >>> x = 255 * np.random.default_rng(0).random([60, 4, 4, 3], np.float32)
  >>> images = {'test': x[:30], 'train': x[30:], 'faint': 128 + x / 9}
  >>> datasets = {n: tf.data.Dataset.from_tensors(x) for n, x in images.items()}
  >>> test, train, faint = ({name: data} for name, data in datasets.items())
  >>> evaluation = tfp_ood.evaluation.evaluate(
  ...     model, [tfp_ood.stats.NegativeLogLikelihood()], test, faint, train,
  ...     verbose=False)
  >>> section = second_order(model, evaluation, datasets, num_probes=2)
  second-order analysis of test, grayed by 0.5
  second-order analysis of faint
  >>> found = section.results['faint']  # A normal has no higher derivatives.
  >>> round(found['full']['total'] / found['measured']['difference'], 2)
  1.0
  """
  if evaluation.training is None:
    raise ValueError(
      'second_order: the log-probability is expanded about the mean training '
      'image; give `evaluate` the data of `training` too.'
    )
  log_prob = {
    name: evaluation.statistics[name]['log_prob']
    for name in [evaluation.training, *evaluation.out_of_distribution]
  }
  grayed = f'{evaluation.in_distribution}, grayed by {_GRAYED_BY:g}'
  inside = datasets[evaluation.in_distribution].map(
    lambda x, *_: _data.grayed(x, _GRAYED_BY)
  )
  some = _data.first_examples(inside, _NUM_GRAYED)
  log_prob[grayed] = _data.in_batches(
    OneTrace(lambda x: _protocol.log_prob(distribution, x)), some
  )
  others = {grayed: inside} | {
    name: datasets[name] for name in evaluation.out_of_distribution
  }
  moments = stats.image_moments(datasets[evaluation.training])
  examples = _data.first_examples(datasets[evaluation.training], num_expanded)
  expansion = stats.SecondOrderExpansion(
    distribution.continuous_log_prob, moments.mean
  )
  results = {}
  for name, dataset in others.items():
    print(f'second-order analysis of {name}', flush=True)
    out_moments = stats.image_moments(dataset)
    found = results[name] = {
      'measured': _difference(log_prob[evaluation.training], log_prob[name]),
      'mean_variance': float(np.mean(out_moments.variance)),
      'mean_variance_of_training': float(np.mean(moments.variance)),
      'diagonal': stats.second_order_difference(
        expansion, moments, out_moments, num_probes=num_probes, seed=seed
      ).difference._asdict(),
      'full': stats.second_order_difference_from_examples(
        expansion, examples, _data.first_examples(dataset, num_expanded)
      ).difference._asdict(),
    }
    if closed_form:
      found['closed_form'] = constant_volume_second_order_difference(
        distribution, moments.variance, out_moments.variance
      ).difference
  return _section(results)


def _difference(first, second):
  """Difference of two means and its standard error."""
  first, second = mean_and_error(first), mean_and_error(second)
  return {
    'difference': second['mean'] - first['mean'],
    'standard_error': float(
      np.hypot(first['standard_error'], second['standard_error'])
    ),
  }


def _section(results):
  section = reporting.Section('The second-order analysis', results)
  section.add_text(
    'The mean log-probability of each data set less that of the training images, '
    'in nats: as measured, and as the second derivative at the mean training image '
    'predicts it from the second moments of the data. The prediction from diagonal '
    'covariances is the one of the paper; the one from full covariances uses fewer '
    'images. Errors are standard errors.'
  )

  def with_error(value, error):
    return f'{value:.0f} +-\u00a0{error:.0f}'

  def term(terms, key):
    return with_error(terms[key], terms[f'{key}_standard_error'])

  section.add_table(
    [
      'data set',
      'variance of a pixel',
      'measured',
      'closed form',
      'diagonal covariance',
      'full covariance',
      'full, with the means',
    ],
    [
      [
        name,
        f'{found["mean_variance"]:.0f}',
        with_error(*found['measured'].values()),
        f'{found["closed_form"]:.0f}' if 'closed_form' in found else None,
        term(found['diagonal'], 'covariance'),
        term(found['full'], 'covariance'),
        term(found['full'], 'total'),
      ]
      for name, found in results.items()
    ],
    caption='The variance of a pixel of the training images is '
    f'{next(iter(results.values()))["mean_variance_of_training"]:.0f}.',
  )
  return section
