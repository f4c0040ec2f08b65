# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The one figure and the one paragraph that a person wants."""

from tfp_ood import reporting
from tfp_ood.evaluation._text import title

__all__ = ['in_short']


def in_short(evaluation, heading='In short', name='in_short'):
  """Sets the first score beside the one that is recommended, in words and a figure.

  Args:
    evaluation: `Evaluation`.
    heading: `str`, the title of the section.
    name: `str`, of the figure's own file.

  Returns:
    `Section`, about the first data set out of distribution; `None` without any.
  """
  if not evaluation.out_of_distribution:
    return None
  inside = evaluation.in_distribution
  outside = evaluation.out_of_distribution[0]
  scores = dict.fromkeys([evaluation.baseline, evaluation.recommended])
  scores.pop(None, None)
  aurocs = {
    score: by_dataset[outside].auroc
    for score, by_dataset in evaluation.aurocs().items()
    if score in scores
  }
  sentences = [
    _of_pairs(score, auroc, inside, outside) for score, auroc in aurocs.items()
  ]
  *_, best = scores
  flagged = evaluation.calibration()[best]['flagged']
  sentences.append(
    f'A detector by the {title(best)} that raises 5 % false alarms flags '
    f'{100 * flagged[outside]:.0f} % of {outside}; on fresh examples of {inside} it '
    f'raised {100 * flagged[inside]:.1f} %.'
  )
  section = reporting.Section(heading)
  section.add_text(' '.join(sentences))
  section.add_figure(
    name,
    reporting.histogram_panels,
    'To the right is what a score finds stranger.',
    values_by_xlabel={
      f'score: {title(score)} (AUROC {auroc:.2f})': {
        dataset: evaluation.scores[score][dataset]
        for dataset in (inside, outside)
      }
      for score, auroc in aurocs.items()
    },
  )
  return section


def _of_pairs(score, auroc, inside, outside):
  words = f'The {title(score)}'
  if auroc < 0.5:
    return (
      f'{words} misleads: of two examples, one of {inside} and one of {outside}, '
      'which the model has never seen, it finds the latter the more ordinary one in '
      f'{100 * (1 - auroc):.0f} of 100 cases.'
    )
  return (
    f'{words} finds the example of {outside} stranger than that of {inside} in '
    f'{100 * auroc:.0f} of 100 cases.'
  )
