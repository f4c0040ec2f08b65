# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""An ensemble taken apart: WAIC's two parts, and its members by themselves."""

import numpy as np

from tfp_ood import reporting, stats
from tfp_ood.evaluation._text import estimate
from tfp_ood.evaluation.evaluation import mean_and_error

__all__ = ['ensemble_parts']


def ensemble_parts(evaluation):
  """Compares mean and variance over the members, and each member's likelihood.

  Args:
    evaluation: `Evaluation` that has the statistic `ensemble_log_probs`.

  Returns:
    `tfp_ood.reporting.Section`; its results are a `dict` by data set of means,
    AUROCs of each part as a score, and the mean over the members of the AUROC of
    the likelihood, with its interval over training runs.

  #### Example

  >>> import tensorflow_probability as tfp
  >>> import tfp_ood
  >>> tfd = tfp.distributions
  >>> members = [tfd.Sample(tfd.Normal(loc, 1.), [3]) for loc in (-0.1, 0., 0.1)]
  >>> data = members[1].sample(50, seed=1)
  >>> evaluation = tfp_ood.evaluation.evaluate(
  ...     members[1], [tfp_ood.stats.Waic()], {'near': data}, {'far': data + 20.},
  ...     ensemble=members, verbose=False)
  >>> section = ensemble_parts(evaluation)
  >>> section.results['far']['auroc_of_variance']
  1.0
  """
  # In float64: far from the training data, variances overflow float32.
  log_probs = {
    name: evaluation.statistics[name]['ensemble_log_probs'].astype(np.float64)
    for name in evaluation.datasets
  }
  terms = {name: stats.waic(values) for name, values in log_probs.items()}
  first = evaluation.in_distribution
  results, rows = {}, []
  for name in evaluation.datasets:
    found = results[name] = {
      'mean': mean_and_error(terms[name].mean),
      'variance': mean_and_error(terms[name].variance),
    }
    row = [
      name,
      f'{found["mean"]["mean"]:.0f}',
      f'{found["variance"]["mean"]:.0f}',
    ]
    if name == first:
      rows.append([*row, None, None, None])
      continue
    members = stats.mean_over_seeds(
      [
        stats.auroc(-inside, -outside)
        for inside, outside in zip(
          log_probs[first].T, log_probs[name].T, strict=True
        )
      ]
    )
    of_mean = stats.auroc(-terms[first].mean, -terms[name].mean)
    of_variance = stats.auroc(terms[first].variance, terms[name].variance)
    found |= {
      'auroc_of_mean': of_mean,
      'auroc_of_variance': of_variance,
      'auroc_of_members': members._asdict(),
    }
    rows.append(
      [
        *row,
        f'{of_mean:.3f}',
        f'{of_variance:.3f}',
        estimate(members.mean, members),
      ]
    )
  section = reporting.Section('The ensemble', results)
  section.add_table(
    [
      'data set',
      'mean (nats)',
      'variance (nats squared)',
      'AUROC of minus the mean',
      'AUROC of the variance',
      "AUROC of the members' likelihoods",
    ],
    rows,
    caption='The two parts of WAIC, of log-probabilities over the members, and '
    'the mean over the members of the AUROC of the negative log-likelihood, '
    'with its 95 % interval over training runs.',
  )
  return section
