# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""What trained flows make of data sets: statistics, scores, tests, analysis."""

import functools
import os

import experiment_data
import experiment_scores
import flow_training
import numpy as np
import tensorflow as tf

import tfp_ood

__all__ = ['SCORES', 'datasets', 'evaluate']

stats = tfp_ood.stats
_compute = experiment_scores.compute

SCORES = {
  'negative_log_likelihood': lambda config: stats.NegativeLogLikelihood(),
  'typicality': lambda config: stats.Typicality(),
  'likelihood_ratio': lambda config: stats.LikelihoodRatio(),
  'waic': lambda config: stats.Waic(),
  'input_complexity': lambda config: stats.InputComplexity(),
  'input_complexity_best': lambda config: stats.InputComplexity(
    'compressed_bits_per_dim'
  ),
  'score_norm': lambda config: stats.ScoreNorm(),
  'density_of_states_kde': lambda config: stats.DensityOfStates(
    _states(config), 'kde'
  ),
  'density_of_states_svm': lambda config: stats.DensityOfStates(
    _states(config), 'one_class_svm'
  ),
}
_EXPORTED_SCORE = 'typicality'
_BATCH_SIZES = (1, 2, 5, 10, 25)
_GRAYING_FACTORS = np.linspace(0.0, 1.0, 11)
_NUM_GRAYED = 500
_NUM_EXTREMES = 16
_NUM_NEAR = 2_000
_NUM_PROBES = 100
_NUM_EXPANDED = 200


def datasets(evaluation, config, data_dir):
  """Loads all data sets to score, in the images' shape, test data first.

  Beside the data sets asked for there are near ones (the test images upside
  down) and far ones (constant images, noise).

  Args:
    evaluation: `dict`, the part of the settings that names the data sets.
    config: `dict`, the model's settings.
    data_dir: folder of prepared TFDS data sets.

  Returns:
    `dict` from display names to `tf.data.Dataset`s.
  """
  limit = evaluation['num_evaluated']
  upside_down = experiment_data.load(
    experiment_data.test_name(config),
    config,
    data_dir,
    limit=min(limit, _NUM_NEAR),
    transformation=tf.image.flip_up_down,
  )
  return {
    **experiment_data.in_distribution(config, data_dir, limit),
    **experiment_data.out_of_distribution(
      evaluation['out_of_distribution'], config, data_dir, limit
    ),
    f'{config["in_distribution"]} upside down': upside_down,
    **experiment_data.controls(config, data_dir, limit),
  }


def evaluate(models, datasets, evaluation, config, output_dir):
  """Scores all data sets and analyses the scores.

  The scores that learn something learn it from training images. The AUROCs are
  of all test images; p-values and typicality tests are calibrated with every
  second test image and evaluated on the others.

  Args:
    models: `dict` of flows by folder, as trained.
    datasets: `dict`, as `datasets` returns it.
    evaluation: `dict` of settings.
    config: `dict` of the model's settings.
    output_dir: folder of the run.

  Returns:
    A part of the contents of results.json, and the arrays of scores.npz.
  """
  flow = models['']
  scores = {name: SCORES[name](config) for name in evaluation['scores']}
  statistics = _statistics(models, datasets, scores, output_dir)
  names = list(datasets)
  training = statistics[names[1]]
  for score in scores.values():
    score.fit({name: training[name] for name in score.statistics})
  scored = {
    score_name: {
      name: experiment_scores.in_pieces(score, statistics[name])
      for name in names
    }
    for score_name, score in scores.items()
  }
  _export_detector(flow, datasets[names[0]], training, output_dir)
  arrays = {
    f'{name}/{part}': statistics[name][part].astype(np.float64)
    for name in names
    for part in ('density', 'volume')
  }
  arrays |= {
    f'{name}/scores/{score_name}': scored[score_name][name]
    for name in names
    for score_name in scores
  }
  arrays['samples'] = flow.sample(64, seed=[config['seed'], 1]).numpy()
  event_size = flow.event_shape.num_elements()
  log_prob = {name: statistics[name]['log_prob'] for name in names}
  arrays |= experiment_scores.extremes(datasets, log_prob, _NUM_EXTREMES)
  graying, grayed = _graying(flow, datasets[names[0]], event_size)
  arrays['graying'] = grayed
  results = {
    'bits_per_dim': {
      name: experiment_scores.mean_and_error(
        stats.bits_per_dim(log_prob[name], event_size)
      )
      for name in names
    },
    'density': _means(statistics, 'density'),
    'volume': _means(statistics, 'volume'),
    'auroc': experiment_scores.aurocs(scored, names),
    'metrics': experiment_scores.metrics(scored, names),
    'compared_with_likelihood': experiment_scores.comparisons(
      scored, names, 'negative_log_likelihood'
    ),
    'typicality': _typicality(log_prob, names, config['seed']),
    'p_values': experiment_scores.p_values(scored, names),
    'graying': graying,
    'second_order': _second_order(
      datasets, log_prob, grayed, config, output_dir
    ),
  }
  if 'ensemble_log_probs' in training:
    results['ensemble'] = _ensemble(statistics, names)
  return results, arrays


def _states(config):
  # The volume of a constant-volume flow says nothing of an image.
  if config['model'] == 'cv_glow':
    return ('density', 'score_norm')
  return ('density', 'volume', 'score_norm')


def _statistics(models, datasets, scores, output_dir):
  """Computes each data set's statistics, or reads those that are there."""
  statistics = stats.Statistics(
    models[''],
    background=models.get('background'),
    ensemble=[
      flow for folder, flow in models.items() if folder.startswith('ensemble')
    ],
  )
  needed = dict.fromkeys(['log_prob', 'density', 'volume'])
  for score in scores.values():
    needed |= dict.fromkeys(score.statistics)

  @functools.cache
  def function(names):
    # All data sets share its one trace.
    return tf.function(
      lambda images: statistics(images, names), reduce_retracing=True
    )

  return {
    name: experiment_scores.keep_statistics(
      experiment_scores.statistics_path(output_dir, name),
      needed,
      lambda missing, name=name: _compute(
        function(missing), name, datasets[name]
      ),
      lambda key: _fingerprint(key, output_dir),
      _is_valid(dataset, len(statistics.ensemble)),
    )
    for name, dataset in datasets.items()
  }


def _is_valid(dataset, ensemble_size):
  """Tells statistics of another --num_evaluated or --ensemble_size."""
  count = sum(len(labels) for _, labels in dataset)
  return lambda name, values: (
    len(values) == count
    and (name != 'ensemble_log_probs' or ensemble_size in (0, values.shape[1]))
  )


def _fingerprint(name, output_dir):
  folders = {
    'background_log_prob': ['background'],
    'ensemble_log_probs': sorted(
      folder
      for folder in os.listdir(output_dir)
      if folder.startswith('ensemble_')
    ),
  }.get(name, [''])
  return experiment_scores.fingerprint(
    os.path.join(output_dir, folder, 'training.json') for folder in folders
  )


def _export_detector(flow, held_out, training, output_dir):
  """Writes a calibrated detector for programs that have only TensorFlow."""
  score = SCORES[_EXPORTED_SCORE](None).fit(training)
  detector = stats.Detector(flow, score).fit(held_out)
  detector.export_saved_model(os.path.join(output_dir, 'detector'))


def _graying(flow, dataset, event_size):
  """Follows the likelihood of images while they lose their contrast."""
  images = experiment_data.first_images(dataset, _NUM_GRAYED)
  log_prob = tf.function(flow.log_prob)
  batches = np.array_split(images, max(1, len(images) // 100))
  grayed = np.stack(
    [
      np.concatenate(
        [
          log_prob(tfp_ood.datasets.gray_towards_mean(tf.constant(b), factor))
          for b in batches
        ]
      )
      for factor in _GRAYING_FACTORS
    ]
  )
  curve = {
    'factor': _GRAYING_FACTORS,
    'bits_per_dim': [
      experiment_scores.mean_and_error(stats.bits_per_dim(values, event_size))
      for values in grayed
    ],
  }
  return curve, grayed


def _means(statistics, key):
  return {
    name: experiment_scores.mean_and_error(values[key])
    for name, values in statistics.items()
  }


def _typicality(log_prob, names, seed):
  """Rejected batches and AUROC of the typicality test, by size of the batch."""
  held_out, in_distribution = log_prob[names[0]][::2], log_prob[names[0]][1::2]
  results = {}
  for name in names[2:]:
    smallest = min(len(in_distribution), len(log_prob[name]))
    curve = stats.typicality_curve(
      log_prob[names[1]],
      held_out,
      in_distribution,
      log_prob[name],
      batch_sizes=[m for m in _BATCH_SIZES if 2 * m <= smallest],
      significance=experiment_scores.SIGNIFICANCE,
      seed=seed,
    )
    results[name] = curve._asdict() | {
      'auroc': [auroc._asdict() for auroc in curve.auroc]
    }
  return results


def _ensemble(statistics, names):
  """Takes the ensemble apart: WAIC's two parts, and its members by themselves.

  Returns:
    `dict` by data set: mean and variance over the members, averaged over the
    images, AUROCs of each as a score, and the mean over the members of the
    AUROC of the likelihood, with its interval over training runs.
  """
  # In float64: far from the training data, variances overflow float32.
  log_probs = {
    name: statistics[name]['ensemble_log_probs'].astype(np.float64)
    for name in names
  }
  terms = {name: stats.waic(log_probs[name]) for name in names}
  first = names[0]
  results = {}
  for name in names:
    results[name] = {
      'mean': experiment_scores.mean_and_error(terms[name].mean),
      'variance': experiment_scores.mean_and_error(terms[name].variance),
    }
    if name == first:
      continue
    results[name] |= {
      'auroc_of_mean': stats.auroc(-terms[first].mean, -terms[name].mean),
      'auroc_of_variance': stats.auroc(
        terms[first].variance, terms[name].variance
      ),
      'auroc_of_members': stats.mean_over_seeds(
        [
          stats.auroc(-inside, -outside)
          for inside, outside in zip(
            log_probs[first].T, log_probs[name].T, strict=True
          )
        ]
      )._asdict(),
    }
  return results


def _second_order(datasets, log_prob, grayed, config, output_dir):
  """Predicts differences of mean log-probability from second moments.

  Returns:
    `dict` from data sets to `dict`s of differences, in nats, from the training
    images: as measured, and as predicted by Hessian-vector products with the
    diagonal and the full covariance and, for a constant-volume flow, in closed
    form from its weights.
  """
  names = list(datasets)
  test = datasets[names[0]]
  # Second derivatives deserve full precision, however the flow was trained.
  flow = flow_training.restore(
    config | {'precision': 'float32'},
    output_dir,
    test.element_spec[0].shape[1:],
  )
  half = _GRAYING_FACTORS[len(_GRAYING_FACTORS) // 2]
  others = {
    f'{names[0]}, grayed by {half:g}': test.map(
      lambda images, label: (
        tfp_ood.datasets.gray_towards_mean(images, half),
        label,
      )
    )
  } | {name: datasets[name] for name in names[2:]}
  measured = dict(log_prob)
  measured |= {next(iter(others)): grayed[len(_GRAYING_FACTORS) // 2]}
  training = stats.image_moments(datasets[names[1]])
  training_images = experiment_data.first_images(
    datasets[names[1]], _NUM_EXPANDED
  )
  # Traced once; its derivatives are, for each expansion.
  log_prob_function = tf.function(flow.log_prob, reduce_retracing=True)
  results = {}
  for name, dataset in others.items():
    print(f'second-order analysis of {name}', flush=True)
    moments = stats.image_moments(dataset)
    diagonal = stats.second_order_difference(
      log_prob_function,
      training,
      moments,
      num_probes=_NUM_PROBES,
      seed=config['seed'],
    )
    full = stats.second_order_difference_from_examples(
      log_prob_function,
      training_images,
      experiment_data.first_images(dataset, _NUM_EXPANDED),
      point=training.mean,
    )
    results[name] = {
      'measured': _difference(measured[names[1]], measured[name]),
      'mean_variance': float(np.mean(moments.variance)),
      'mean_variance_of_training': float(np.mean(training.variance)),
      'diagonal': diagonal.difference._asdict(),
      'full': full.difference._asdict(),
    }
    if config['model'] == 'cv_glow':
      closed_form = (
        tfp_ood.distributions.constant_volume_second_order_difference(
          flow, training.variance, moments.variance
        )
      )
      results[name]['closed_form'] = closed_form.difference
  return results


def _difference(first, second):
  """Difference of two means and its standard error."""
  first, second = (
    experiment_scores.mean_and_error(first),
    experiment_scores.mean_and_error(second),
  )
  return {
    'difference': second['mean'] - first['mean'],
    'standard_error': float(
      np.hypot(first['standard_error'], second['standard_error'])
    ),
  }
