# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tables of an evaluation, as arguments of `Section.add_table`."""

from tfp_ood.evaluation._text import estimate, interval, title

__all__ = ['auroc_table', 'comparison_table']


def auroc_table(evaluation, names=None, column='score'):
  """Returns header, rows and caption of the AUROCs.

  Args:
    evaluation: `Evaluation`.
    names: `dict` from what to call them to the scores to show. Default: all, by
      their titles.
    column: `str`, the header of the names.
  """
  names = names or {title(score): score for score in evaluation.scores}
  aurocs = evaluation.aurocs()
  return (
    [column, *evaluation.others],
    [
      [
        name,
        *(estimate(found.auroc, found) for found in aurocs[score].values()),
      ]
      for name, score in names.items()
    ],
    'AUROC by score and data set.',
  )


def comparison_table(evaluation):
  """Returns header, rows and caption of the AUROCs less that of the baseline."""
  return (
    ['score', *evaluation.out_of_distribution],
    [
      [
        title(score),
        *(
          f'{test.difference:+.3f} {interval(test)}' for test in tests.values()
        ),
      ]
      for score, tests in evaluation.comparisons().items()
    ],
    f'AUROC less that of the {title(evaluation.baseline)} on the same examples, '
    "with the 95 % interval of DeLong's paired test.",
  )
