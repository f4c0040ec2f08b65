# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The report of an autoencoder: what the example scripts print, draw and write.

Draws the report of a finished run again, without training:

  python examples/vae_report.py OUTPUT_DIR
"""

import os
import sys

import experiment_report
import numpy as np
from matplotlib.figure import Figure

import tfp_ood

__all__ = ['print_summary', 'write_report']

reporting = tfp_ood.reporting

_MODELS = {
  'autoencoder': 'Autoencoder',
  'beta_vae': 'beta-VAE',
  'f_vae': 'f-VAE',
  'soft_intro_vae': 'Soft-IntroVAE',
  'vae': 'Variational autoencoder',
}
_DECODERS = {
  'gaussian': 'Gaussian decoder',
  'learned_gaussian': 'Gaussian decoder with learned deviations',
  'categorical': 'categorical decoder',
  'discretized_logistic': 'discretized logistic decoder',
  'flow': 'flow decoder',
}
_OF_A_DENSITY = ' By a Gaussian decoder it is of a density over pixel values.'
_UNITS = {
  'gaussian': _OF_A_DENSITY,
  'learned_gaussian': _OF_A_DENSITY,
  'flow': " By a flow it is of a density over dequantized pixels, as a Glow's.",
}
_TITLES = {
  'elbo': 'ELBO',
  'reconstruction': 'reconstruction E[log p(x | z)]',
  'log_prior': 'log-prior E[log p(z)]',
  'posterior_entropy': 'entropy of the posterior',
  'kl': 'KL divergence of the posterior from the prior',
  'typicality': 'typicality of the bound',
  'input_complexity': 'input complexity (PNG) of the bound',
  'elbo_adapted_encoder': 'ELBO, encoder adapted to the batch',
  'elbo_adapted_decoder': 'ELBO, decoder adapted to the batch',
  'elbo_adapted_both': 'ELBO, both adapted to the batch',
  'latent_one_class_svm': 'latent mean, one-class SVM',
  'latent_mahalanobis': 'latent mean, Mahalanobis distance',
}
_DIVERGENCES = {
  'kl': 'training images',
  'kl_fake': 'samples',
  'kl_reconstructed': 'reconstructions',
}
_SPACES = {
  'latent': 'means of posteriors',
  'latent_adapted': 'means of posteriors, encoder adapted to the batch',
  'projected_pixels': 'random projections of pixels',
}
_FRECHET_TITLES = {
  'samples_adapted': 'samples, decoder adapted to the batch',
}
_COLORS = ('#0072B2', '#56B4E9', '#D55E00')
# Rows of the table of batch normalization.
_ADAPTATIONS = {
  'none': 'elbo',
  'encoder': 'elbo_adapted_encoder',
  'decoder': 'elbo_adapted_decoder',
  'both': 'elbo_adapted_both',
}


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
  report = experiment_report.FigureFilesReport(
    output_dir,
    f'{_MODELS[config["model"]]} ({_DECODERS[config["decoder"]]}) trained on '
    f'{config["in_distribution"]}',
  )
  _add_summary(report, results, names)
  _add_adaptation(report, results, names)
  _add_components(report, results, arrays, names)
  _add_reconstructions(report, results, arrays, names)
  _add_samples(report, results, arrays)
  _add_frechet(report, results, names)
  _add_latents(report, results, arrays, names)
  _add_scores(report, results, arrays, names)
  _add_images(report, results, arrays, names)
  _add_training(report, results)
  experiment_report.add_reproduction(report, results)
  path = os.path.join(output_dir, 'report.html')
  report.write(path)
  return path


def _is_variational(results):
  return results['configuration']['model'] != 'autoencoder'


def _title(score):
  if score.startswith('importance_weighted_'):
    return f'bound of {score.rpartition("_")[2]} samples'
  return _TITLES.get(score, score.replace('_', ' '))


def _title_of_bound(results):
  """What the scores 'elbo' and those made of a bound are of."""
  if not _is_variational(results):
    return (
      'The ELBO of an autoencoder, which has no prior, is the log-probability of '
      'the image given its own code: a score of reconstruction, and no bound.'
    )
  number = results['evaluation']['num_importance_samples'][0]
  return (
    'The ELBO takes one sample of the posterior, and the divergence from the '
    'prior in closed form where there is one. Typicality, input complexity, '
    'likelihood regret and bits per dimension are of the importance-weighted '
    f'bound of {number} samples.'
  )


# ------------------------------------------------------------------------ tables


def _add_summary(report, results, names):
  report.add_heading('Which score tells the data sets apart?')
  report.add_text(
    f'The model saw only {names[1]}. A score is larger for what is more out of '
    'distribution: log-probabilities, and the entropy of the posterior, count '
    'negatively, the divergence positively. The AUROC is the probability that '
    f'the score ranks an image of the data set above one of {names[0]}: .5 is '
    'chance, and below .5 the score prefers what the model has never seen. 95 % '
    'intervals are those of DeLong, over the images; the model is taken as fixed.'
  )
  report.add_text(_title_of_bound(results))
  if _is_variational(results):
    evaluation = results['evaluation']
    report.add_text(
      f'Likelihood regret is of the first {evaluation["num_regret"]} images of '
      f'each data set, after {evaluation["regret_steps"]} steps that fit the '
      'posterior to each image by itself.'
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
    caption='A lower number of bits per dimension is a higher likelihood.'
    + _UNITS.get(results['configuration']['decoder'], ''),
  )
  report.add_heading('Beside the ELBO', level=3)
  report.add_table(
    ['score', *names[2:]],
    [
      [
        _title(score),
        *(
          f'{tests[name]["difference"]:+.3f} '
          + experiment_report.interval(tests[name])
          for name in names[2:]
        ),
      ]
      for score, tests in results['compared_with_elbo'].items()
    ],
    caption='AUROC less that of the ELBO on the same images, with the 95 % '
    "interval of DeLong's paired test.",
  )


def _add_adaptation(report, results, names):
  report.add_heading('Batch normalization adapted to the batch')
  report.add_text(
    'The networks normalize by the statistics gathered in training (none), or '
    'the encoder, the decoder or both by those of the batch that is evaluated, '
    f'here {results["configuration"]["batch_size"]} images of one data set, or '
    'fewer at its end. What a model so adapted says of an image depends on the '
    'images beside it: batches of other sizes, or that mix data sets, give other scores, and an image by '
    'itself has none. That all images of a batch come from one data set is '
    'knowledge that no detector of single images has.'
  )
  aurocs = results['auroc']
  report.add_table(
    ['adapted', *names[1:]],
    [
      [
        which,
        *(
          f'{aurocs[score][name]["auroc"]:.3f} '
          + experiment_report.interval(aurocs[score][name])
          for name in names[1:]
        ),
      ]
      for which, score in _ADAPTATIONS.items()
    ],
    caption='AUROC of the ELBO.',
  )


def _add_components(report, results, arrays, names):
  report.add_heading('The bound and its components')
  components = list(results['components'][names[0]])
  for component in components:
    title = _title(component.removeprefix('elbo_'))
    report.add_figure_and_file(
      f'component_{component}',
      reporting.histograms(
        {name: arrays[f'{name}/{component}'] for name in names},
        f'{title} (nats)',
      ),
      f'{title[0].upper()}{title[1:]} of all data sets.',
    )
  report.add_table(
    ['data set', *(_title(c.removeprefix('elbo_')) for c in components)],
    [
      [
        name,
        *(
          _with_error(results['components'][name][component])
          for component in components
        ),
      ]
      for name in names
    ],
    caption='Means in nats, with their standard errors. The ELBO is '
    'reconstruction, log-prior and entropy together, or reconstruction less the '
    'divergence.'
    if len(components) > 1
    else 'Means in nats, with their standard errors.',
  )


def _with_error(value):
  space = experiment_report.NO_BREAK_SPACE
  return f'{value["mean"]:.1f} +-{space}{value["standard_error"]:.1f}'


# ----------------------------------------------------------------------- figures


def _add_reconstructions(report, results, arrays, names):
  report.add_heading('Reconstructions')
  for name in (n for n in names if n != names[1]):
    keys = ('original', 'reconstruction', 'reconstruction_adapted')
    rows = [arrays[f'{name}/{key}'] for key in keys]
    _add_grid(
      report,
      f'reconstructions_{name}',
      np.concatenate(rows),
      len(rows[0]),
      f'{name}: the first images; their reconstructions; and those by an encoder '
      'whose batch normalization is adapted to the batch.',
    )


def _add_samples(report, results, arrays):
  if not _is_variational(results):
    return
  report.add_heading('Samples')
  _add_grid(
    report,
    'samples',
    arrays['samples'],
    16,
    "Samples of the prior, decoded, without the decoder's noise.",
  )
  _add_grid(
    report,
    'samples_adapted',
    arrays['samples_adapted'],
    16,
    'The same samples by a decoder whose batch normalization is adapted to the '
    'batch.',
  )


def _add_latents(report, results, arrays, names):
  report.add_heading('In- and out-of-distribution in latent space')
  report.add_text(
    'A plane, found by a linear support vector machine, between the means of the '
    f'posteriors of {names[0]} and those of another data set: which share of each '
    'lies on its side, out of fold, of at most 2,000 images each. This takes '
    'images out of distribution to learn from, and is no detector of what nobody '
    f'has seen. Of {names[0]} and {names[1]} nothing should tell the sides: .5 is '
    'chance. Beside the means: those by an encoder adapted to the batch, and as '
    'many random projections of the pixels.'
  )
  report.add_table(
    ['points', 'against', 'accuracy in', 'accuracy out', 'AUROC'],
    [
      [
        _SPACES[space],
        name,
        *(
          f'{found[key][estimate]:.3f} {experiment_report.interval(found[key])}'
          for key, estimate in (
            ('accuracy_in', 'estimate'),
            ('accuracy_out', 'estimate'),
            ('auroc', 'auroc'),
          )
        ),
      ]
      for space, by_dataset in results['separation'].items()
      for name, found in by_dataset.items()
    ],
    caption=f'Accuracy on {names[0]} (in) and on the data set (out), and AUROC of '
    'the distances from the plane, with 95 % intervals.',
  )
  report.add_figure_and_file(
    'distance',
    reporting.histograms(
      {name: arrays[f'{name}/distance'] for name in names[:3]},
      'signed distance from the plane',
    ),
    f'Distance of latents from the plane between {names[0]} and {names[2]}, '
    'positive on the side of the latter.',
  )
  report.add_figure_and_file(
    'embedding',
    _scatter({name: arrays[f'{name}/embedded'] for name in names[:3]}),
    "Latents of the first images in a plane, by scikit-learn's t-SNE. It keeps "
    'neighbours together; distances and sizes mean little.',
  )
  for name in (names[0], names[2]):
    rows = arrays[f'{name}/traversal']
    _add_grid(
      report,
      f'traversal_{name}',
      np.concatenate(rows),
      rows.shape[1],
      f'{name}: images, and to the right what is decoded on the way from their '
      'latent (first) straight through the plane (middle) to as far beyond it '
      '(last).',
    )


def _scatter(points_by_name):
  """Draws points of several data sets in one plane without units."""
  figure = Figure(figsize=(7.2, 6.4), layout='constrained')
  axes = figure.subplots()
  axes.set(xticks=[], yticks=[])
  for color, (name, points) in zip(
    _COLORS, points_by_name.items(), strict=True
  ):
    axes.scatter(*points.T, s=8, alpha=0.6, color=color, label=name)
  figure.legend(loc='outside lower center', ncols=3, frameon=False)
  return figure


def _add_frechet(report, results, names):
  report.add_heading('How good are samples?')
  frechet = results['frechet']
  if frechet is None:
    report.add_text(
      'There are no Frechet distances: the images have no labels to train a '
      'classifier by.'
    )
    return
  report.add_table(
    ['images', 'number', 'Frechet distance'],
    [
      [
        _FRECHET_TITLES.get(name, name),
        str(number),
        f'{frechet["distances"][name]:.3f}'
        if name in frechet['distances']
        else '-',
      ]
      for name, number in frechet['num_images'].items()
    ],
    caption=f'Distance from {names[1]} in the {frechet["num_features"]} features '
    'before the last layer of a small classifier of ours, which is right on '
    f'{frechet["accuracy"]:.1%} of the test images. Lower is better, down to that '
    'of the test images; fewer images have larger distances, and fewer than '
    'features none. The weights of Inception are not used: these are no FIDs, and '
    'compare only runs of the same --features_dir.',
  )


def _add_scores(report, results, arrays, names):
  report.add_heading('Score by score')
  # Drawn above as what they are, or told in a table of their own.
  undrawn = {
    *(key.removeprefix('elbo_') for key in results['components'][names[0]]),
    *_ADAPTATIONS.values(),
  } - {'elbo'}
  for score, metrics in results['metrics'].items():
    title = _title(score)
    report.add_heading(title[0].upper() + title[1:], level=3)
    scores = {name: arrays[f'{name}/scores/{score}'] for name in names}
    if score not in undrawn:
      _add_score_figures(report, results, scores, score)
    experiment_report.add_metrics(report, metrics)


def _add_score_figures(report, results, scores, score):
  title = _title(score)
  first, _, *others = scores
  report.add_figure_and_file(
    f'{score}_histogram',
    reporting.histograms(scores, f'score by the {title}'),
    f'{title} of all data sets: larger is more out of distribution.',
  )
  report.add_figure_and_file(
    f'{score}_roc',
    reporting.roc_curves(
      {
        name: (
          *tfp_ood.stats.roc_curve(scores[first], scores[name]),
          results['auroc'][score][name]['auroc'],
        )
        for name in others
      }
    ),
    f'{title}: {first} against the others.',
  )


def _add_images(report, results, arrays, names):
  report.add_heading('Most and least likely images')
  for name in (n for n in names if n.endswith(' test')):
    for extreme in ('most_likely', 'least_likely'):
      elbo = arrays[f'{name}/elbo'][arrays[f'{name}/{extreme}_indices']]
      _add_grid(
        report,
        f'{name}_{extreme}',
        arrays[f'{name}/{extreme}'],
        8,
        f'{name}: the {extreme.replace("_", " ")} by the ELBO, with it in nats.',
        captions=[f'{value:.0f}' for value in elbo],
      )


def _add_grid(report, file_name, images, num_columns, caption, captions=None):
  report.add_figure_and_file(
    file_name.replace(' ', '_').replace('/', '_'),
    reporting.image_grid(images, num_columns=num_columns, captions=captions),
    caption,
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
  x = [row['epoch'] for row in epochs]
  report.add_figure_and_file(
    'training',
    reporting.curve(
      x,
      {
        'training (mean over the epoch)': [r['bits_per_dim'] for r in epochs],
        'first 1,000 test images': [r['val_bits_per_dim'] for r in epochs],
      },
      'epoch',
      'ELBO, bits per dimension',
    ),
    'The ELBO in training.',
  )
  if _is_variational(results):
    divergences = [key for key in _DIVERGENCES if key in epochs[0]]
    report.add_figure_and_file(
      'training_kl',
      reporting.curve(
        x,
        {
          _DIVERGENCES[key]: [row[key] for row in epochs] for key in divergences
        },
        'epoch',
        'divergence from the prior (nats)',
      ),
      'The divergence of the posterior from the prior in training, mean over each '
      'epoch.',
    )
  watched = [key for key in epochs[0] if key.startswith('watched_')]
  report.add_figure_and_file(
    'watched',
    reporting.curve(
      x,
      {
        key.removeprefix('watched_'): [row[key] for row in epochs]
        for key in watched
      },
      'epoch',
      'AUROC of the ELBO',
    ),
    'AUROC on the first images of the test data and of '
    f'{", ".join(key.removeprefix("watched_") for key in watched)}. Watched, and '
    'never chosen by.',
  )


def main(output_dir):
  results = reporting.read_results(os.path.join(output_dir, 'results.json'))
  arrays = reporting.read_arrays(os.path.join(output_dir, 'scores.npz'))
  print(write_report(output_dir, results, arrays))


if __name__ == '__main__':
  if len(sys.argv) != 2:
    sys.exit(__doc__)
  main(sys.argv[1])
