# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The report of a flow: what the example scripts print, draw and write.

Draws the report of a finished run again, without training:

  python examples/flow_report.py OUTPUT_DIR
"""

import csv
import os
import sys

import experiment_report
import numpy as np

import tfp_ood

__all__ = ['print_summary', 'read_epochs', 'write_report']

reporting = tfp_ood.reporting

_WATCHED = 'val_bits_per_dim_'


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
      'watched_bits_per_dim': {
        key.removeprefix(_WATCHED): float(value)
        for key, value in row.items()
        if key.startswith(_WATCHED)
      },
    }
    for row in rows.values()
    if row['val_bits_per_dim']
  ]


def print_summary(results):
  """Prints the tables of bits per dimension and of AUROCs by score."""
  print(f'{"data set":28}{"bits/dim":>12}{"+-":>11}')
  for name, bits in results['bits_per_dim'].items():
    print(f'{name:28}{bits["mean"]:>12.3f}{bits["standard_error"]:>11.3f}')
  experiment_report.print_aurocs(results['auroc'])


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
  report = experiment_report.FigureFilesReport(
    output_dir, f'{title} trained on {config["in_distribution"]}'
  )
  _add_summary(report, results, names)
  _add_scores(report, results, arrays, names)
  _add_typicality(report, results)
  _add_p_values(report, results)
  _add_likelihoods(report, results, arrays, names)
  _add_second_order(report, results)
  _add_images(report, results, arrays, names)
  _add_graying(report, results)
  _add_training(report, results)
  experiment_report.add_reproduction(report, results)
  path = os.path.join(output_dir, 'report.html')
  report.write(path)
  return path


_TITLES = {
  'waic': 'WAIC',
  'input_complexity': 'input complexity (PNG)',
  'input_complexity_best': 'input complexity (best compressor)',
  'density_of_states_kde': 'density of states (KDE)',
  'density_of_states_svm': 'density of states (one-class SVM)',
}


def _title(score):
  return _TITLES.get(score, score.replace('_', ' '))


def _add_summary(report, results, names):
  report.add_heading('Which score tells the data sets apart?')
  report.add_text(
    f'The model saw only {names[1]}. A score is larger for what is more out of '
    f'distribution, and the AUROC is the probability that it ranks an image of '
    f'the data set above one of {names[0]}: .5 is chance, and below .5 the score '
    'prefers what the model has never seen. 95 % intervals are those of DeLong, '
    'over the images; the model is taken as fixed.'
  )
  experiment_report.add_aurocs(report, results['auroc'], names[1:], _title)
  report.add_table(
    ['data set', 'images', 'bits/dim', 'standard error'],
    [
      [
        name,
        str(bits['num_examples']),
        f'{bits["mean"]:.3f}',
        f'{bits["standard_error"]:.3f}',
      ]
      for name, bits in results['bits_per_dim'].items()
    ],
    caption='A lower number of bits per dimension is a higher likelihood.',
  )


def _add_scores(report, results, arrays, names):
  report.add_heading('Score by score')
  for score, metrics in results['metrics'].items():
    title = _title(score)
    report.add_heading(title[0].upper() + title[1:], level=3)
    scores = {name: arrays[f'{name}/scores/{score}'] for name in names}
    report.add_figure_and_file(
      f'{score}_histogram',
      reporting.histograms(scores, _title(score)),
      f'{_title(score)} of all data sets: larger is more out of distribution.',
    )
    report.add_figure_and_file(
      f'{score}_roc',
      reporting.roc_curves(
        {
          name: (
            *tfp_ood.stats.roc_curve(scores[names[0]], scores[name]),
            results['auroc'][score][name]['auroc'],
          )
          for name in names[2:]
        }
      ),
      f'{_title(score)}: {names[0]} against the others.',
    )
    experiment_report.add_metrics(report, metrics)
  compared = results['compared_with_likelihood']
  if compared:
    report.add_heading('Beside the likelihood', level=3)
    report.add_table(
      ['score', *names[2:]],
      [
        [
          _title(score),
          *(
            f'{tests[name]["difference"]:+.3f} {experiment_report.interval(tests[name])}'
            for name in names[2:]
          ),
        ]
        for score, tests in compared.items()
      ],
      caption='AUROC less that of the negative log-likelihood on the same '
      "images, with the 95 % interval of DeLong's paired test.",
    )
  if 'ensemble' in results:
    _add_ensemble(report, results['ensemble'])


def _add_ensemble(report, ensemble):
  report.add_heading('The ensemble', level=3)
  report.add_table(
    [
      'data set',
      'mean (nats)',
      'variance (nats squared)',
      'AUROC of minus the mean',
      'AUROC of the variance',
      "AUROC of the members' likelihoods",
    ],
    [
      [
        name,
        f'{parts["mean"]["mean"]:.0f}',
        f'{parts["variance"]["mean"]:.0f}',
        *(
          f'{parts[key]:.3f}' if key in parts else '-'
          for key in ('auroc_of_mean', 'auroc_of_variance')
        ),
        f'{parts["auroc_of_members"]["mean"]:.3f} '
        + experiment_report.interval(parts['auroc_of_members'])
        if 'auroc_of_members' in parts
        else '-',
      ]
      for name, parts in ensemble.items()
    ],
    caption='The two parts of WAIC, of log-probabilities over the members, and '
    'the mean over the members of the AUROC of the negative log-likelihood, '
    'with its 95 % interval over training runs.',
  )


def _add_typicality(report, results):
  report.add_heading('Typicality of batches')
  curves = results['typicality']
  first = next(iter(curves.values()))
  # Controls have fewer images, and so fewer sizes.
  num_sizes = min(len(curve['batch_sizes']) for curve in curves.values())
  rejected = {
    'false alarms (in-distribution)': first['in_distribution_rejected'],
    **{
      name: curve['out_of_distribution_rejected']
      for name, curve in curves.items()
    },
  }
  report.add_figure_and_file(
    'typicality_rejected',
    reporting.curve(
      first['batch_sizes'][:num_sizes],
      {name: values[:num_sizes] for name, values in rejected.items()},
      'images in a batch, M',
      'fraction of batches rejected',
    ),
    'Batches that the typicality test rejects at a significance of 5 %.',
  )
  report.add_table(
    ['data set', *(f'M = {size}' for size in first['batch_sizes'][:num_sizes])],
    [
      [
        name,
        *(
          f'{auroc["auroc"]:.3f} {experiment_report.interval(auroc)}'
          for auroc in curve['auroc'][:num_sizes]
        ),
      ]
      for name, curve in curves.items()
    ],
    caption='AUROC of the test statistic by size of the batch.',
  )


def _add_p_values(report, results):
  report.add_heading('Are the p-values what they say?')
  p_values = results['p_values']
  levels = np.linspace(0.0, 1.0, 101)
  report.add_figure_and_file(
    'p_values',
    reporting.curve(
      levels,
      {'uniform': levels}
      | {
        _title(score): values['quantiles'] for score, values in p_values.items()
      },
      'fraction of in-distribution images',
      'p-value',
    ),
    'Quantiles of the conformal p-values of test images, calibrated on other '
    'test images: uniform if all is well.',
  )
  names = list(next(iter(p_values.values()))['flagged'])
  report.add_table(
    ['score', 'Kolmogorov-Smirnov', 'its p-value', *names],
    [
      [
        _title(score),
        f'{values["kolmogorov_smirnov"]:.4f}',
        f'{values["kolmogorov_smirnov_p_value"]:.2f}',
        *(f'{values["flagged"][name]:.3f}' for name in names),
      ]
      for score, values in p_values.items()
    ],
    caption='Distance of the in-distribution p-values from uniform, with the '
    'p-value of the test of two samples (calibration and test scores), and the '
    'fraction of each data set that is flagged at a false-alarm rate of 5 %.',
  )


def _add_second_order(report, results):
  report.add_heading('The second-order analysis')
  report.add_text(
    'The mean log-probability of each data set less that of the training '
    'images, in nats: as measured, and as the second derivative at the mean '
    'training image predicts it from the second moments of the data. The '
    'prediction from diagonal covariances is the one of the paper; the one from '
    'full covariances uses fewer images. Errors are standard errors.'
  )
  rows = []
  for name, found in results['second_order'].items():
    rows.append(
      [
        name,
        f'{found["mean_variance"]:.0f}',
        _with_error(
          found['measured']['difference'], found['measured']['standard_error']
        ),
        f'{found["closed_form"]:.0f}' if 'closed_form' in found else '-',
        _covariance(found['diagonal']),
        _covariance(found['full']),
        _with_error(
          found['full']['total'], found['full']['total_standard_error']
        ),
      ]
    )
  first = next(iter(results['second_order'].values()))
  report.add_table(
    [
      'data set',
      'variance of a pixel',
      'measured',
      'closed form',
      'diagonal covariance',
      'full covariance',
      'full, with the means',
    ],
    rows,
    caption='The variance of a pixel of the training images is '
    f'{first["mean_variance_of_training"]:.0f}.',
  )


def _covariance(terms):
  return _with_error(terms['covariance'], terms['covariance_standard_error'])


def _with_error(value, error):
  return f'{value:.0f} +-{experiment_report.NO_BREAK_SPACE}{error:.0f}'


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
      }
      | {
        f'first 1,000 of {name}': [
          r['watched_bits_per_dim'][name] for r in epochs
        ]
        # Runs of older versions watched none.
        for name in epochs[0].get('watched_bits_per_dim', {})
      },
      'epoch',
      'bits per dimension',
    ),
    'The curves are of the weights in training; the results above are of '
    'their moving average.',
  )


def main(output_dir):
  results = reporting.read_results(os.path.join(output_dir, 'results.json'))
  arrays = reporting.read_arrays(os.path.join(output_dir, 'scores.npz'))
  print(write_report(output_dir, results, arrays))


if __name__ == '__main__':
  if len(sys.argv) != 2:
    sys.exit(__doc__)
  main(sys.argv[1])
