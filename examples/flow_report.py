# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The report of a flow: what the example scripts print, draw and write.

Draws the report of a finished run again, without training:

  python examples/flow_report.py OUTPUT_DIR
"""

import csv
import io
import os
import sys

import numpy as np

import tfp_ood

__all__ = ['mean_and_error', 'print_summary', 'read_epochs', 'write_report']

reporting = tfp_ood.reporting


def mean_and_error(values):
  """Returns mean, standard error and number of some values, for results.json."""
  values = np.asarray(values, np.float64)
  error = np.std(values, ddof=1) / np.sqrt(len(values))
  return {
    'mean': float(np.mean(values)),
    'standard_error': float(error),
    'num_examples': len(values),
  }


def read_epochs(path):
  """Reads the epochs' losses that Keras's CSVLogger wrote.

  An interrupted run repeats the end of an epoch: the last word on it counts.
  """
  if not os.path.exists(path):
    return []
  with open(path, newline='') as file:
    rows = {row['epoch']: row for row in csv.DictReader(file)}
  return [
    {
      'epoch': int(row['epoch']) + 1,
      'bits_per_dim': float(row['bits_per_dim']),
      'validation_bits_per_dim': float(row['val_bits_per_dim']),
    }
    for row in rows.values()
    if row['val_bits_per_dim']
  ]


def print_summary(results):
  """Prints the table of bits per dimension and AUROC."""
  print(f'{"data set":26}{"bits/dim":>12}{"+-":>11}{"AUROC":>8}  95 % interval')
  for row in _table(results):
    print(f'{row[0]:26}{row[1]:>12}{row[2]:>11}{row[3]:>8}  {row[4]}')


def write_report(output_dir, results, arrays):
  """Writes report.html, and each of its figures as a PNG file.

  Args:
    output_dir: the folder to write to.
    results: `dict`, the contents of results.json.
    arrays: `dict` of arrays, the contents of scores.npz.

  Returns:
    The path of the report.
  """
  config = results['configuration']
  names = list(results['bits_per_dim'])
  title = {'glow': 'Glow', 'cv_glow': 'Constant-volume Glow'}[config['model']]
  report = _Report(
    output_dir, f'{title} trained on {config["in_distribution"]}'
  )
  _add_summary(report, results, names)
  _add_likelihoods(report, results, arrays, names)
  _add_images(report, results, arrays, names)
  _add_graying(report, results)
  _add_training(report, results)
  _add_reproduction(report, results)
  path = os.path.join(output_dir, 'report.html')
  report.write(path)
  return path


class _Report(reporting.Report):
  """A report that also keeps its figures as files."""

  def __init__(self, output_dir, title):
    super().__init__(title)
    self._folder = os.path.join(output_dir, 'figures')

  def add_figure_and_file(self, name, figure, caption):
    self.add_figure(figure, caption)
    buffer = io.BytesIO()
    figure.savefig(buffer, format='png', dpi=120)
    path = os.path.join(self._folder, f'{name}.png')
    reporting.atomic_write(path, buffer.getvalue())


def _table(results):
  rows = []
  for name, bits in results['bits_per_dim'].items():
    auroc = results['auroc'].get(name)
    rows.append(
      [
        name,
        f'{bits["mean"]:.3f}',
        f'{bits["standard_error"]:.3f}',
        f'{auroc["auroc"]:.3f}' if auroc else '-',
        f'[{auroc["lower"]:.3f}, {auroc["upper"]:.3f}]' if auroc else '-',
      ]
    )
  return rows


def _add_summary(report, results, names):
  report.add_heading('Does the likelihood tell the data sets apart?')
  report.add_text(
    f'The model saw only {names[1]}. A lower number of bits per dimension is a '
    'higher likelihood. The AUROC is that of the negative log-likelihood as a '
    f'score, {names[0]} against each other data set: above .5 the model finds '
    'the other data set less likely, as one would hope; below .5 it prefers '
    'what it has never seen.'
  )
  report.add_table(
    ['data set', 'bits/dim', 'standard error', 'AUROC', '95 % interval'],
    _table(results),
  )


def _add_likelihoods(report, results, arrays, names):
  report.add_heading('Log-likelihood, and where it comes from')
  density = {name: arrays[f'{name}/density'] for name in names}
  volume = {name: arrays[f'{name}/volume'] for name in names}
  both = {name: density[name] + volume[name] for name in names}
  report.add_figure_and_file(
    'log_likelihood',
    reporting.histograms(both, 'log-likelihood (nats)'),
    'Log-likelihood of all data sets.',
  )
  report.add_figure_and_file(
    'density',
    reporting.histograms(density, 'density term (nats)'),
    'The density term: the log-density of the latent under the base.',
  )
  report.add_figure_and_file(
    'volume',
    reporting.histograms(volume, 'volume term (nats)'),
    'The volume term: the log-determinant of the map from pixels to latent. '
    'The two terms add up to the log-likelihood.',
  )
  report.add_table(
    ['data set', 'density (nats)', 'volume (nats)'],
    [
      [
        name,
        f'{results["density"][name]["mean"]:.1f}',
        f'{results["volume"][name]["mean"]:.1f}',
      ]
      for name in names
    ],
    caption='Means by data set.',
  )


def _add_images(report, results, arrays, names):
  report.add_heading('Images')
  report.add_figure_and_file(
    'samples',
    reporting.image_grid(arrays['samples'], num_columns=16),
    'Samples from the model.',
  )
  event_size = arrays['samples'][0].size
  for name in (n for n in names if n.endswith(' test')):
    log_prob = arrays[f'{name}/density'] + arrays[f'{name}/volume']
    for extreme in ('most_likely', 'least_likely'):
      bits = tfp_ood.stats.bits_per_dim(
        log_prob[arrays[f'{name}/{extreme}_indices']], event_size
      )
      report.add_figure_and_file(
        f'{name}_{extreme}'.replace(' ', '_').replace('/', '_'),
        reporting.image_grid(
          arrays[f'{name}/{extreme}'],
          num_columns=8,
          captions=[f'{value:.2f}' for value in np.asarray(bits)],
        ),
        f'{name}: the {extreme.replace("_", " ")}, with bits per dimension.',
      )


def _add_graying(report, results):
  report.add_heading('Graying: one weird trick to raise the likelihood')
  graying = results['graying']
  means = np.array([point['mean'] for point in graying['bits_per_dim']])
  errors = np.array(
    [point['standard_error'] for point in graying['bits_per_dim']]
  )
  series = 'test images'
  report.add_figure_and_file(
    'graying',
    reporting.curve(
      graying['factor'],
      {series: means},
      'graying factor (0: the image, 1: its mean colour)',
      'bits per dimension',
      intervals_by_name={series: (means - 2 * errors, means + 2 * errors)},
    ),
    'Moving the pixels of each test image towards their mean. The band is two '
    'standard errors to each side.',
  )


def _add_training(report, results):
  report.add_heading('Training')
  training = results['training']
  report.add_text(
    f'{training["steps"]} steps, {training["images"]} images, '
    f'{training["seconds"] / 60:.1f} minutes '
    f'({training["images"] / max(training["seconds"], 1e-9):.0f} images/s).'
  )
  epochs = training['epochs']
  if not epochs:
    report.add_text('No whole epoch was trained.')
    return
  report.add_figure_and_file(
    'training',
    reporting.curve(
      [row['epoch'] for row in epochs],
      {
        'training (mean over the epoch)': [r['bits_per_dim'] for r in epochs],
        'first 1,000 test images': [
          r['validation_bits_per_dim'] for r in epochs
        ],
      },
      'epoch',
      'bits per dimension',
    ),
    'Both curves are of the weights in training; the results above are of '
    'their moving average.',
  )


def _add_reproduction(report, results):
  report.add_heading('To run this again')
  report.add_command(results['command'])
  report.add_table(
    ['setting', 'value'],
    [[key, str(value)] for key, value in results['configuration'].items()],
  )
  report.add_table(
    ['package', 'version'], [list(row) for row in results['versions'].items()]
  )


def main(output_dir):
  results = reporting.read_results(os.path.join(output_dir, 'results.json'))
  arrays = reporting.read_arrays(os.path.join(output_dir, 'scores.npz'))
  print(write_report(output_dir, results, arrays))


if __name__ == '__main__':
  if len(sys.argv) != 2:
    sys.exit(__doc__)
  main(sys.argv[1])
