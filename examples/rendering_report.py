# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The report of neural rendering models: printed, drawn and written.

Draws the report of a finished run again, without training:

  python examples/rendering_report.py OUTPUT_DIR
"""

import os
import sys

import experiment_report
import numpy as np

import tfp_ood

__all__ = ['print_summary', 'write_report']

reporting = tfp_ood.reporting

_LABELS = {
  'inferred': 'the label inferred',
  'second': 'the second best label',
  'random': 'another label at random',
}
_LOSSES = (
  'cross_entropy',
  'reconstruction',
  'rendering_path',
  'label_entropy',
  'negativity',
)
_COLUMNS = 5
_STAGES = {
  'classifier': 'cross-entropy alone',
  'all_losses': 'all losses',
}


def print_summary(results):
  """Prints accuracies, Table 1 and the AUROCs over the runs."""
  for name, accuracy in results['accuracy'].items():
    print(f'accuracy on {name}: {_with_deviation(accuracy, 3)}')
  metrics = list(_table_metrics(results))
  print('\n' + ''.join(f'{key:>26}' for key in ['data set', *metrics]))
  for name, means in results['means'].items():
    cells = [_with_deviation(means[key], 2) for key in metrics]
    print(''.join(f'{cell:>26}' for cell in [name, *cells]))
  for score, aurocs in results['auroc'].items():
    print(f'\n{score:28}{"AUROC":>12}')
    for name, auroc in aurocs.items():
      print(f'{name:28}  {_with_deviation(auroc, 3)}')


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
  report = experiment_report.FigureFilesReport(
    output_dir,
    f'Neural rendering model ({config["network"]}) trained on '
    f'{config["in_distribution"]}',
  )
  names = list(results['means'])
  _add_summary(report, results, names)
  _add_runs(report, results)
  _add_likelihoods(report, results, arrays, names)
  _add_reconstruction(report, results, names)
  _add_layers(report, results, names)
  _add_labels(report, results, arrays, names)
  _add_images(report, arrays, names)
  _add_features(report, results, arrays, names)
  _add_training(report, results)
  experiment_report.add_reproduction(report, results)
  path = os.path.join(output_dir, 'report.html')
  report.write(path)
  return path


def _with_deviation(value, digits):
  """Formats a mean over runs, and its deviation if there are several."""
  text = f'{value["mean"]:.{digits}f}'
  if value['standard_deviation'] is None:
    return text
  space = experiment_report.NO_BREAK_SPACE
  return f'{text} +-{space}{value["standard_deviation"]:.{digits}f}'


def _title(name):
  return name.replace('_', ' ')


def _table_metrics(results):
  """Returns the metrics of Table 1 and their titles."""
  means = next(iter(results['means'].values()))
  # The last is that of the layer, which small networks may not have.
  layer = list(means)[-1]
  return {
    'log_prob': 'log p(x), bound',
    f'latent_{results["evaluation"]["latent"]}': 'latent log-likelihood',
    layer: f'minus reconstruction error, layer {layer.rpartition("_")[2]}',
  }


# ------------------------------------------------------------------------ tables


def _add_summary(report, results, names):
  report.add_heading('Which score tells the data sets apart?')
  num_runs = results['evaluation']['num_runs']
  runs = f'{num_runs} runs' if num_runs > 1 else 'one run'
  report.add_text(
    f'The models saw only {names[1]}; what follows is of {runs}, as mean and '
    'standard deviation where there are several. A score is larger for what is '
    'more out of distribution, and the AUROC is the probability that it ranks '
    f'an image of the data set above one of {names[0]}: .5 is chance, and below '
    '.5 the score prefers what the model has never seen. Latent mode and layer '
    'were fixed before any of these data were looked at: the first latent score, '
    'and the layer of the paper, are the ones to judge by. Max-softmax and energy '
    'are scores of the same classifier; the density of layers is that of the '
    'terms of all layers together, fitted to training images.'
  )
  report.add_table(
    ['score', *names[1:]],
    [
      [_title(score), *(_with_deviation(aurocs[name], 3) for name in names[1:])]
      for score, aurocs in results['auroc'].items()
    ],
    caption='AUROC by score and data set.',
  )
  report.add_table(
    ['data set', 'accuracy'],
    [
      [name, _with_deviation(accuracy, 4)]
      for name, accuracy in results['accuracy'].items()
    ],
    caption='How often the classifier is right.',
  )
  report.add_heading('Table 1: three metrics by data set', level=3)
  metrics = _table_metrics(results)
  report.add_table(
    ['data set', *metrics.values()],
    [
      [
        name,
        *(_with_deviation(results['means'][name][key], 3) for key in metrics),
      ]
      for name in names
    ],
    caption='Means over the images, higher for what is more likely.',
  )
  latents = [
    key for key in results['means'][names[0]] if key.startswith('latent_')
  ]
  report.add_table(
    ['data set', *map(_title, latents)],
    [
      [
        name,
        *(_with_deviation(results['means'][name][key], 3) for key in latents),
      ]
      for name in names
    ],
    caption='The latent log-likelihood, in all its modes.',
  )


def _add_runs(report, results):
  report.add_heading('Run by run')
  for run, found in results['runs'].items():
    report.add_heading(_title(run), level=3)
    names = list(next(iter(found['auroc'].values())))
    experiment_report.add_aurocs(report, found['auroc'], names, _title)
    latent = f'latent_{results["evaluation"]["latent"]}'
    report.add_table(
      ['latent score less', *names[1:]],
      [
        [
          _title(baseline),
          *(
            f'{tests[latent][name]["difference"]:+.3f} '
            + experiment_report.interval(tests[latent][name])
            for name in names[1:]
          ),
        ]
        for baseline, tests in found['compared'].items()
      ],
      caption='AUROC of the latent score less that of the classifier, with the '
      "95 % interval of DeLong's paired test.",
    )
    experiment_report.add_metrics(report, found['metrics'][latent])


# ----------------------------------------------------------------------- figures


def _add_likelihoods(report, results, arrays, names):
  report.add_heading('Likelihoods (Figures 1 and 3)')
  latent = results['evaluation']['latent']
  for mode in [latent] + [
    key.removeprefix('latent_')
    for key in results['means'][names[0]]
    if key.startswith('latent_') and key != f'latent_{latent}'
  ]:
    report.add_figure_and_file(
      f'latent_{mode}',
      reporting.histograms(
        {name: arrays[f'{name}/nrm_latent_{mode}'] for name in names},
        f'latent log-likelihood, {_title(mode)}',
      ),
      f'Latent log-likelihood of all data sets, {_title(mode)}; first run.',
    )
  report.add_figure_and_file(
    'log_prob',
    reporting.histograms(
      {name: arrays[f'{name}/nrm_log_prob'] for name in names},
      'log p(x), bound (nats)',
    ),
    'Log-likelihood of the data: pixels, latents and label; first run.',
  )
  report.add_figure_and_file(
    'latent_roc',
    reporting.roc_curves(
      {
        name: (
          *tfp_ood.stats.roc_curve(
            -arrays[f'{names[0]}/nrm_latent_{latent}'],
            -arrays[f'{name}/nrm_latent_{latent}'],
          ),
          _first_run(results)['auroc'][f'latent_{latent}'][name]['auroc'],
        )
        for name in names[2:]
      }
    ),
    f'The latent score: {names[0]} against the others; first run.',
  )


def _first_run(results):
  return next(iter(results['runs'].values()))


def _by_layer(values, names, first_layer):
  """Means over runs of a quantity of all layers, as `reporting.curve` has it."""
  series = {
    name: np.array([value['mean'] for value in values[name]]) for name in names
  }
  deviations = {
    name: np.array(
      [value['standard_deviation'] or 0.0 for value in values[name]]
    )
    for name in names
  }
  layers = np.arange(len(values[names[0]])) + first_layer
  intervals = {
    name: (series[name] - deviations[name], series[name] + deviations[name])
    for name in names
    if np.any(deviations[name])
  }
  return layers, series, intervals


def _add_layer_curve(report, file_name, values, names, first, ylabel, caption):
  layers, series, intervals = _by_layer(values, names, first)
  report.add_figure_and_file(
    file_name,
    reporting.curve(
      layers, series, 'layer', ylabel, intervals_by_name=intervals
    ),
    f'{caption} Bands are one standard deviation over runs to each side.'
    if intervals
    else caption,
  )


def _add_reconstruction(report, results, names):
  report.add_heading('Reconstruction by layer (Figure 5)')
  layers = results['layers']['reconstructions']
  errors = {
    name: [
      value | {'mean': np.log10(max(-value['mean'], 1e-12)), **_NO_DEVIATION}
      for value in layers[name]
    ]
    for name in names
  }
  _add_layer_curve(
    report,
    'reconstruction_by_layer',
    errors,
    names,
    0,
    'log10 of the squared error',
    'Squared error of the rendering of each layer, mean over images and runs; '
    'layer 0 is the image.',
  )
  report.add_table(
    ['layer', *names],
    [
      [str(layer), *(_with_deviation(layers[name][layer], 3) for name in names)]
      for layer in range(len(layers[names[0]]))
    ],
    caption='Minus the squared error, mean over images.',
  )


_NO_DEVIATION = {'standard_deviation': None}


def _add_layers(report, results, names):
  report.add_heading('Each layer by itself')
  report.add_text(
    'An ablation, not a choice: the AUROC of a score that is one term of one '
    'layer, low values being out of distribution.'
  )
  layers = results['layers']
  for key, first, title in (
    ('etas', 1, 'share in eta'),
    ('reconstructions', 0, 'reconstruction'),
  ):
    _add_layer_curve(
      report,
      f'auroc_of_{key}',
      layers[f'auroc_of_{key}'],
      names[1:],
      first,
      'AUROC',
      f'AUROC of the {title} of each layer.',
    )
    report.add_table(
      ['layer', *names[1:]],
      [
        [
          str(index + first),
          *(
            _with_deviation(layers[f'auroc_of_{key}'][name][index], 3)
            for name in names[1:]
          ),
        ]
        for index in range(len(layers[key][names[0]]))
      ],
      caption=f'AUROC of the {title} of each layer.',
    )
  _add_layer_curve(
    report,
    'switches',
    layers['switches'],
    names,
    1,
    'share of rectifiers that are on',
    'Mean of the switches by layer and data set (Figure E.4).',
  )


def _add_labels(report, results, arrays, names):
  report.add_heading('The wrong label (Figure D.3)')
  wrong = results['wrong_labels']
  report.add_table(
    ['label', *names],
    [
      [
        label,
        *(_with_deviation(wrong[which][name]['mean'], 2) for name in names),
      ]
      for which, label in _LABELS.items()
    ],
    caption='Latent log-likelihood, mode normalised, with three labels: mean of '
    'the first images of each data set.',
  )
  report.add_table(
    ['label', *names[1:]],
    [
      [
        label,
        *(
          _with_deviation(wrong[which][name]['auroc'], 3) for name in names[1:]
        ),
      ]
      for which, label in _LABELS.items()
    ],
    caption='AUROC of the latent score with three labels, an ablation.',
  )
  for name in (names[0], names[2]):
    _add_grid(
      report,
      f'wrong_labels_{name}',
      [
        arrays[f'{name}/original'],
        *(arrays[f'{name}/rendered_{which}'] for which in _LABELS),
      ],
      f'{name}: the images; rendered from '
      + ', from '.join(_LABELS.values())
      + ', all through the switches of the image.',
    )


def _add_images(report, arrays, names):
  report.add_heading('Most and least likely images (Figures 3 and D.2)')
  for name in (names[0], names[2]):
    for extreme in ('most_likely', 'least_likely'):
      prefix = f'{name}/latent/{extreme}'
      _add_grid(
        report,
        f'latent_{extreme}_{name}',
        _side_by_side(arrays[prefix], arrays[f'{prefix}_rendered']),
        f'{name}: the {len(arrays[prefix])} {_title(extreme)} by their latents, '
        'and to the right what is rendered of them; first run.',
      )
  for extreme in ('most_likely', 'least_likely'):
    prefix = f'{names[0]}/log_prob/{extreme}'
    _add_grid(
      report,
      f'log_prob_{extreme}',
      _side_by_side(arrays[prefix], arrays[f'{prefix}_rendered']),
      f'{names[0]}: the {len(arrays[prefix])} {_title(extreme)} by log p(x), and '
      'to the right what is rendered of them; first run.',
    )


def _side_by_side(first, second):
  """Returns rows of five images and, beside them, the five that belong to them."""
  rows = [
    np.split(images, range(_COLUMNS, len(images), _COLUMNS))
    for images in (first, second)
  ]
  return [np.concatenate(pair) for pair in zip(*rows, strict=True)]


def _add_features(report, results, arrays, names):
  report.add_heading('What excites features (Figure C.1)')
  num_layers = len(results['layers']['switches'][names[0]])
  for layer in range(1, num_layers + 1):
    inside, outside = (
      arrays[f'{name}/exciting_{layer}'] for name in (names[0], names[2])
    )
    _add_grid(
      report,
      f'features_{layer}',
      [row for pair in zip(inside, outside, strict=True) for row in pair],
      f'Layer {layer}: images that excite a feature most. Two rows for each of '
      f'{len(inside)} features drawn at random, of {names[0]} and of '
      f'{names[2]}; first run.',
    )


def _add_grid(report, file_name, rows, caption):
  """Adds a grid of images, given as rows of the same length."""
  report.add_figure_and_file(
    file_name.replace(' ', '_').replace('/', '_'),
    reporting.image_grid(np.concatenate(rows), num_columns=len(rows[0])),
    caption,
  )


def _add_training(report, results):
  report.add_heading('Training')
  for run, stages in results['training'].items():
    for stage, record in stages.items():
      report.add_text(
        f'{_title(run)}, {_STAGES[stage]}: {record["steps"]} steps, '
        f'{record["seconds"] / 60:.1f} minutes.'
      )
  for stage in next(iter(results['training'].values())):
    epochs = {
      run: stages[stage]['epochs']
      for run, stages in results['training'].items()
    }
    _add_stage(report, stage, epochs)


def _add_stage(report, stage, epochs_by_run):
  report.add_heading(f'Stage: {_STAGES[stage]}', level=3)
  first = next(iter(epochs_by_run.values()))
  x = [row['epoch'] for row in first]
  report.add_figure_and_file(
    f'{stage}_accuracy',
    reporting.curve(
      x,
      {
        f'{_title(run)}, {title}': [row[key] for row in epochs]
        for run, epochs in epochs_by_run.items()
        for key, title in (
          ('accuracy', 'training'),
          ('val_accuracy', 'first 1,000 test images'),
        )
      },
      'epoch',
      'accuracy',
    ),
    'Accuracy during training.',
  )
  losses = [part for part in _LOSSES if any(row[part] for row in first)]
  report.add_figure_and_file(
    f'{stage}_losses',
    reporting.curve(
      x,
      {
        _title(part): [np.log10(max(row[part], 1e-12)) for row in first]
        for part in losses
      },
      'epoch',
      'log10 of the loss, before its weight',
    ),
    'Losses of the first run, means over each epoch.',
  )
  _add_watched(report, stage, epochs_by_run)


def _add_watched(report, stage, epochs_by_run):
  """Adds the AUROCs watched, against the accuracy at the time."""
  rows = [row for epochs in epochs_by_run.values() for row in epochs]
  rows.sort(key=lambda row: row['val_accuracy'])
  watched = [key for key in rows[0] if key.startswith('watched_')]
  report.add_figure_and_file(
    f'{stage}_watched',
    reporting.curve(
      [row['val_accuracy'] for row in rows],
      {
        _title(key.removeprefix('watched_')): [row[key] for row in rows]
        for key in watched
      },
      'accuracy on the first 1,000 test images',
      'AUROC',
    ),
    'AUROC of three scores after each epoch of all runs, on the first images of '
    'the test data and of the first data set out of distribution, by the '
    'accuracy at the time. Watched, and never chosen by.',
  )


def main(output_dir):
  results = reporting.read_results(os.path.join(output_dir, 'results.json'))
  arrays = reporting.read_arrays(os.path.join(output_dir, 'scores.npz'))
  print(write_report(output_dir, results, arrays))


if __name__ == '__main__':
  if len(sys.argv) != 2:
    sys.exit(__doc__)
  main(sys.argv[1])
