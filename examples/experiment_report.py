# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""What the reports of all families of models have in common."""

import csv
import io
import os

import tfp_ood

__all__ = [
  'NO_BREAK_SPACE',
  'FigureFilesReport',
  'add_aurocs',
  'add_metrics',
  'add_reproduction',
  'interval',
  'print_aurocs',
  'read_epochs',
]

reporting = tfp_ood.reporting

NO_BREAK_SPACE = '\u00a0'
_METRICS = {
  'average_precision_out': 'average precision, OOD positive',
  'average_precision_in': 'average precision, in-distribution positive',
  'false_positive_rate_at_95_tpr_out': 'FPR at 95 % TPR, OOD positive',
  'false_positive_rate_at_95_tpr_in': (
    'FPR at 95 % TPR, in-distribution positive'
  ),
  'detection_error': 'detection error',
}


class FigureFilesReport(reporting.Report):
  """A report that also keeps its figures as files."""

  def __init__(self, output_dir, title):
    super().__init__(title)
    self._folder = os.path.join(output_dir, 'figures')

  def add_figure_and_file(self, name, figure, caption):
    """Adds a figure, and writes it to figures/NAME.png."""
    self.add_figure(figure, caption)
    buffer = io.BytesIO()
    figure.savefig(buffer, format='png', dpi=120)
    path = os.path.join(self._folder, f'{name}.png')
    reporting.atomic_write(path, buffer.getvalue())


def read_epochs(path):
  """Reads the epochs' records that Keras's CSVLogger wrote, as numbers.

  An interrupted run repeats the end of an epoch: the last word on it counts.
  """
  with open(path, newline='') as file:
    rows = {row['epoch']: row for row in csv.DictReader(file)}
  return [
    {key: float(value) for key, value in row.items()}
    | {'epoch': int(row['epoch']) + 1}
    for row in rows.values()
  ]


def interval(auroc):
  """Returns the interval of a result, without line breaks within."""
  return f'[{auroc["lower"]:.3f},{NO_BREAK_SPACE}{auroc["upper"]:.3f}]'


def print_aurocs(aurocs_by_score):
  """Prints the AUROCs of one model, score by score."""
  for score, aurocs in aurocs_by_score.items():
    print(f'\n{score:28}{"AUROC":>12}  95 % interval')
    for name, auroc in aurocs.items():
      print(f'{name:28}{auroc["auroc"]:>12.3f}  {interval(auroc)}')


def add_aurocs(report, aurocs_by_score, names, title):
  """Adds the table of the AUROCs of one model.

  Args:
    report: `Report`.
    aurocs_by_score: `dict` by score of `dict`s by data set.
    names: the data sets to show.
    title: function from the name of a score to its title.
  """
  report.add_table(
    ['score', *names],
    [
      [
        title(score),
        *(
          f'{aurocs[name]["auroc"]:.3f} {interval(aurocs[name])}'
          for name in names
        ),
      ]
      for score, aurocs in aurocs_by_score.items()
    ],
    caption='AUROC by score and data set.',
  )


def add_metrics(report, metrics):
  """Adds the table of a score's other metrics, a `dict` by data set."""
  report.add_table(
    ['data set', *_METRICS.values()],
    [
      [name, *(f'{values[key]:.3f}' for key in _METRICS)]
      for name, values in metrics.items()
    ],
  )


def add_reproduction(report, results):
  """Adds how to run this again: the command, the settings, the versions."""
  report.add_heading('To run this again')
  report.add_command(results['command'])
  report.add_table(
    ['setting', 'value'],
    [
      [key, str(value)]
      for part in ('configuration', 'evaluation')
      for key, value in results[part].items()
    ],
  )
  report.add_table(
    ['package', 'version'], [list(row) for row in results['versions'].items()]
  )
