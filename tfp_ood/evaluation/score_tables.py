# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tables that put a few scores, or several training runs, side by side."""

import numpy as np

from tfp_ood import reporting
from tfp_ood.evaluation._tables import auroc_table, comparison_table
from tfp_ood.evaluation._text import capitalized, title, with_deviation

__all__ = ['accuracies', 'over_runs', 'score_table']


def score_table(evaluation, scores, heading, text, column='score'):
  """Puts a few scores side by side.

  Args:
    evaluation: `Evaluation`.
    scores: `dict` from what to call them to names of scores.
    heading: `str`, the title of the section.
    text: `str`, what the reader should know.
    column: `str`, what the names are of.

  Returns:
    `tfp_ood.reporting.Section`.

  #### Example

  >>> import tensorflow_probability as tfp
  >>> import tfp_ood
  >>> tfd = tfp.distributions
  >>> model = tfd.Sample(tfd.Normal(0., 1.), [3])
  >>> data = model.sample(50, seed=1)
  >>> evaluation = tfp_ood.evaluation.evaluate(
  ...     model,
  ...     {'nll': tfp_ood.stats.NegativeLogLikelihood(),
  ...      'norm': tfp_ood.stats.ScoreNorm()},
  ...     {'near': data}, {'far': data + 20.}, verbose=False)
  >>> section = score_table(
  ...     evaluation, {'value': 'nll', 'slope': 'norm'}, 'Slopes', 'Of one model.')
  >>> _, table = section.tree()['parts'][-1]
  >>> table['header'], [row[0] for row in table['rows']]
  (['score', 'far'], ['value', 'slope'])
  """
  section = reporting.Section(heading)
  section.add_text(text)
  section.add_table(*auroc_table(evaluation, scores, column))
  return section


def over_runs(evaluations):
  """Puts several training runs together: means and deviations over them.

  Args:
    evaluations: `dict` of `Evaluation`s by run, of the same scores and data sets.

  Returns:
    `tfp_ood.reporting.Section`; its results have `auroc`, by score and data set,
    and `means`, by data set and statistic, each `mean`, `standard_deviation`
    (`None` of a single run) and `num_runs`.

  #### Example

  >>> import tensorflow_probability as tfp
  >>> import tfp_ood
  >>> tfd = tfp.distributions
  >>> data = tfd.Sample(tfd.Normal(0., 1.), [3]).sample(50, seed=1)
  >>> evaluations = {}
  >>> for run, scale in (('first', 1.), ('second', 2.)):
  ...   evaluations[run] = tfp_ood.evaluation.evaluate(
  ...       tfd.Sample(tfd.Normal(0., scale), [3]),
  ...       {'nll': tfp_ood.stats.NegativeLogLikelihood()},
  ...       {'near': data}, {'far': data + 20.}, verbose=False)
  >>> section = over_runs(evaluations)
  >>> section.results['auroc']['nll']['far']
  {'mean': 1.0, 'standard_deviation': 0.0, 'num_runs': 2}
  """
  first = next(iter(evaluations.values()))
  aurocs = [evaluation.aurocs() for evaluation in evaluations.values()]
  by_score = {
    score: {
      name: np.array([found[score][name].auroc for found in aurocs])
      for name in first.others
    }
    for score in first.scores
  }
  means = [evaluation.means() for evaluation in evaluations.values()]
  by_dataset = {
    name: {
      key: np.array([found[name][key]['mean'] for found in means])
      for key in means[0][name]
    }
    for name in first.datasets
  }
  section = reporting.Section(
    'Over training runs',
    {'auroc': _summarized(by_score), 'means': _summarized(by_dataset)},
  )
  section.add_text(
    f'{len(evaluations)} runs that differ in nothing but their seeds: mean and '
    'standard deviation. All other sections are of the first run where they say '
    'nothing else.'
  )
  section.add_table(
    ['score', *first.others],
    [
      [title(score), *(with_deviation(found[name]) for name in first.others)]
      for score, found in by_score.items()
    ],
    caption='AUROC by score and data set.',
  )
  statistics = list(by_dataset[first.in_distribution])
  section.add_table(
    ['data set', *map(title, statistics)],
    [
      [name, *(with_deviation(found[key]) for key in statistics)]
      for name, found in by_dataset.items()
    ],
    caption='Means of what the models say.',
  )
  for run, evaluation in evaluations.items():
    section.add_heading(capitalized(title(run)))
    section.add_table(*auroc_table(evaluation))
    section.add_table(*comparison_table(evaluation))
  return section


def accuracies(evaluations, labels):
  """Says how often classifiers are right.

  Args:
    evaluations: `dict` of `Evaluation`s by run, that have the statistic `logits`.
    labels: `dict` from data sets to integer arrays `[num_examples]`.

  Returns:
    `tfp_ood.reporting.Section`, its results by data set.

  #### Example

  >>> import numpy as np
  >>> import tfp_ood
  >>> logits = np.array([[2., 1.], [0., 3.], [1., 0.], [4., 2.]])
  >>> evaluation = tfp_ood.evaluation.Evaluation(
  ...     'test', None, [], {'test': {'logits': logits}}, scores={},
  ...     p_values={}, kept=[])
  >>> section = accuracies({'run': evaluation}, {'test': np.array([0, 1, 1, 0])})
  >>> section.results['test']['mean']
  0.75
  """
  found = {
    name: np.array(
      [
        np.mean(np.argmax(run.statistics[name]['logits'], axis=-1) == true)
        for run in evaluations.values()
      ]
    )
    for name, true in labels.items()
  }
  section = reporting.Section('Accuracy', _summarized({'': found})[''])
  section.add_table(
    ['data set', 'accuracy'],
    [[name, with_deviation(values, 4)] for name, values in found.items()],
    caption='How often the classifier is right.',
  )
  return section


def _summarized(tables):
  return {
    key: {
      name: {
        'mean': float(values.mean()),
        'standard_deviation': (
          float(values.std(ddof=1)) if len(values) > 1 else None
        ),
        'num_runs': len(values),
      }
      for name, values in table.items()
    }
    for key, table in tables.items()
  }
