# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""What is out of distribution, class by class."""

import numpy as np

from tfp_ood import reporting, stats
from tfp_ood.evaluation._text import capitalized, estimate, title

__all__ = ['by_class']


def by_class(evaluation, dataset, labels, names, scores=None, properties=None):
  """Says how well the classes of a data set are told from the in-distribution one.

  Args:
    evaluation: `Evaluation`.
    dataset: `str`, the name of a data set out of distribution.
    labels: integer array `[num_examples]`, the classes of its examples, in the same
      order.
    names: list of `str`, those of the classes.
    scores: list of names of scores. Default: all.
    properties: `dict` from what is known of the classes to arrays `[num_classes]`, to
      be shown beside the AUROC; or `None`.

  Returns:
    `tfp_ood.reporting.Section`; its results are a `dict` by class: `auroc` by score,
    and `properties`.

  Raises:
    ValueError: if there are more or fewer labels than examples.

  #### Example

  >>> import numpy as np
  >>> import tensorflow_probability as tfp
  >>> import tfp_ood
  >>> model = tfp.distributions.Sample(tfp.distributions.Normal(0., 1.), [3])
  >>> inside = model.sample(50, seed=1)
  >>> evaluation = tfp_ood.evaluation.evaluate(
  ...     model, {'nll': tfp_ood.stats.NegativeLogLikelihood()}, {'known': inside},
  ...     {'new': np.concatenate([inside + 9., inside])}, verbose=False)
  >>> section = by_class(
  ...     evaluation, 'new', np.repeat([0, 1], 50), ['far', 'near'])
  >>> [found['auroc']['nll']['auroc'] for found in section.results.values()]
  [1.0, 0.5]
  """
  labels = np.asarray(labels)
  scores = list(evaluation.scores) if scores is None else scores
  properties = properties or {}
  for score in scores:
    count = len(evaluation.scores[score][dataset])
    if len(labels) != count:
      raise ValueError(
        f'by_class: `labels` must be those of the {count} examples of {dataset!r} '
        f'that {score!r} scored, got {len(labels)}.'
      )
  aurocs = {
    name: {
      score: stats.auroc_confidence_interval(
        evaluation.scores[score][evaluation.in_distribution],
        evaluation.scores[score][dataset][labels == number],
      )
      for score in scores
    }
    for number, name in enumerate(names)
  }
  of_classes = {
    name: {key: float(values[number]) for key, values in properties.items()}
    for number, name in enumerate(names)
  }
  section = reporting.Section(
    f'{dataset}, class by class',
    {
      name: {
        'auroc': {s: found._asdict() for s, found in aurocs[name].items()},
        'properties': of_classes[name],
      }
      for name in names
    },
  )
  section.add_table(
    ['class', *properties, *map(title, scores)],
    [
      [
        name,
        *(f'{value:.3f}' for value in of_classes[name].values()),
        *(estimate(found.auroc, found) for found in aurocs[name].values()),
      ]
      for name in names
    ],
    caption=f'AUROC of {evaluation.in_distribution} against each class of {dataset}.',
  )
  for key, values in properties.items():
    section.add_figure(
      f'{dataset}_auroc_by_{key}',
      reporting.scatter,
      f'AUROC of each class of {dataset} by {key}.',
      points_by_name={
        title(score): np.array(
          [
            [value, aurocs[name][score].auroc]
            for value, name in zip(values, names, strict=True)
          ]
        )
        for score in scores
      },
      xlabel=capitalized(key),
      ylabel='AUROC',
    )
  return section
