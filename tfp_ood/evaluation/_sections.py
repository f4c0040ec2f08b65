# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The sections that the report of any evaluation has."""

import numpy as np

from tfp_ood import reporting, stats
from tfp_ood.evaluation._in_short import in_short
from tfp_ood.evaluation._tables import auroc_table, comparison_table
from tfp_ood.evaluation._text import (
  capitalized,
  estimate,
  title,
  with_error,
)

__all__ = ['all_sections']

_METRICS = {
  'average_precision_out': 'average precision, OOD positive',
  'average_precision_in': 'average precision, in-distribution positive',
  'false_positive_rate_at_95_tpr_out': 'FPR at 95 % TPR, OOD positive',
  'false_positive_rate_at_95_tpr_in': (
    'FPR at 95 % TPR, in-distribution positive'
  ),
  'detection_error': 'detection error',
}


def all_sections(evaluation):
  """Returns the sections of a report, analyses that were added among them.

  Args:
    evaluation: `Evaluation`.

  Returns:
    List of `Section`s.
  """
  makers = [
    in_short,
    _summary,
    _scores,
    _comparisons,
    _typicality,
    _p_values,
    _statistics,
  ]
  sections = [make(evaluation) for make in makers]
  sections += [*evaluation.sections, _reproduction(evaluation)]
  return [section for section in sections if section is not None]


def _summary(evaluation):
  section = reporting.Section('Which score tells the data sets apart?')
  seen = (
    f'The model saw only {evaluation.training}. ' if evaluation.training else ''
  )
  section.add_text(
    f'{seen}A score is larger for what is more out of distribution, and the AUROC '
    'is the probability that it ranks an example of the data set above one of '
    f'{evaluation.in_distribution}: .5 is chance, and below .5 the score prefers '
    'what the model has never seen. 95 % intervals are those of DeLong, over the '
    'examples; the model is taken as fixed.'
  )
  section.add_table(*auroc_table(evaluation))
  bits = evaluation.bits_per_dim()
  if bits:
    section.add_table(
      ['data set', 'examples', 'bits/dim', 'standard error'],
      [
        [
          name,
          str(value['num_examples']),
          f'{value["mean"]:.3f}',
          f'{value["standard_error"]:.3f}',
        ]
        for name, value in bits.items()
      ],
      caption='A lower number of bits per dimension is a higher likelihood.',
    )
  for text in evaluation.information.get('notes', []):
    section.add_text(text)
  return section


def _scores(evaluation):
  section = reporting.Section('Score by score')
  aurocs = evaluation.aurocs()
  for score, metrics in evaluation.metrics().items():
    values = evaluation.scores[score]
    inside = values[evaluation.in_distribution]
    words = capitalized(title(score))
    section.add_heading(words)
    section.add_figure(
      f'{score}_histogram',
      reporting.histograms,
      f'{words} of all data sets: larger is more out of distribution.',
      values_by_name={name: values[name] for name in evaluation.datasets},
      xlabel=f'score: {title(score)}',
    )
    if not evaluation.out_of_distribution:
      continue
    section.add_figure(
      f'{score}_roc',
      reporting.roc_curves,
      f'{words}: {evaluation.in_distribution} against the others.',
      curves_by_name={
        name: (
          *stats.roc_curve(inside, values[name]),
          aurocs[score][name].auroc,
        )
        for name in evaluation.out_of_distribution
      },
    )
    section.add_table(
      ['data set', *_METRICS.values()],
      [
        [name, *(f'{found[key]:.3f}' for key in _METRICS)]
        for name, found in metrics.items()
      ],
    )
  return section


def _comparisons(evaluation):
  if len(evaluation.scores) < 2 or not evaluation.out_of_distribution:
    return None
  section = reporting.Section(f'Beside the {title(evaluation.baseline)}')
  section.add_table(*comparison_table(evaluation))
  return section


def _typicality(evaluation):
  curves = evaluation.typicality()
  if not curves:
    return None
  section = reporting.Section('Typicality of batches')
  first = next(iter(curves.values()))
  # Data sets of fewer examples have fewer sizes of batches.
  count = min(len(curve.batch_sizes) for curve in curves.values())
  rejected = {
    'false alarms (in-distribution)': first.in_distribution_rejected,
    **{
      name: curve.out_of_distribution_rejected for name, curve in curves.items()
    },
  }
  section.add_figure(
    'typicality_rejected',
    reporting.curve,
    'Batches that the typicality test rejects at a significance of 5 %.',
    x=first.batch_sizes[:count],
    series_by_name={name: values[:count] for name, values in rejected.items()},
    xlabel='examples in a batch, M',
    ylabel='fraction of batches rejected',
  )
  section.add_table(
    ['data set', *(f'M = {size}' for size in first.batch_sizes[:count])],
    [
      [name, *(estimate(a.auroc, a) for a in curve.auroc[:count])]
      for name, curve in curves.items()
    ],
    caption='AUROC of the test statistic by size of the batch.',
  )
  return section


def _p_values(evaluation):
  section = reporting.Section('Are the p-values what they say?')
  calibration = evaluation.calibration()
  first = next(iter(calibration.values()))
  levels = np.linspace(0.0, 1.0, len(first['quantiles']))
  section.add_figure(
    'p_values',
    reporting.curve,
    'Quantiles of the conformal p-values of in-distribution examples, calibrated '
    'on others of them: uniform if all is well.',
    x=levels,
    series_by_name={'uniform': levels}
    | {title(s): found['quantiles'] for s, found in calibration.items()},
    xlabel='fraction of in-distribution examples',
    ylabel='p-value',
  )
  section.add_table(
    ['score', 'Kolmogorov-Smirnov', 'its p-value', *evaluation.datasets],
    [
      [
        title(score),
        f'{found["kolmogorov_smirnov"]:.4f}',
        f'{found["p_value"]:.2f}',
        *(f'{found["flagged"][name]:.3f}' for name in evaluation.datasets),
      ]
      for score, found in calibration.items()
    ],
    caption='Distance of the in-distribution p-values from uniform, with the '
    'p-value of the test of two samples (calibration and test scores), and the '
    'fraction of each data set that is flagged at a false-alarm rate of 5 %.',
  )
  return section


def _statistics(evaluation):
  means = evaluation.means()
  names = list(means[evaluation.in_distribution])
  if not names:
    return None
  section = reporting.Section('What the model says of the data sets')
  for name in names:
    section.add_figure(
      f'statistic_{name}',
      reporting.histograms,
      f'{capitalized(title(name))} of all data sets.',
      values_by_name={
        dataset: evaluation.statistics[dataset][name]
        for dataset in evaluation.datasets
      },
      xlabel=title(name),
    )
  section.add_table(
    ['data set', *map(title, names)],
    [
      [dataset, *(with_error(means[dataset][name], 2) for name in names)]
      for dataset in evaluation.datasets
    ],
    caption='Means by data set, with their standard errors.',
  )
  return section


def _reproduction(evaluation):
  information = evaluation.information
  if not information.keys() & {'command', 'configuration', 'versions'}:
    return None
  section = reporting.Section('To run this again')
  if 'command' in information:
    section.add_command(information['command'])
  for key, header in (
    ('configuration', ['setting', 'value']),
    ('versions', ['package', 'version']),
  ):
    if key in information:
      section.add_table(
        header, [[name, str(v)] for name, v in information[key].items()]
      )
  return section
