# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Statistics of data sets, kept in files, and what scores made of them say."""

import hashlib
import os
import time

import numpy as np
from scipy import stats as scipy_stats

import tfp_ood

__all__ = [
  'SIGNIFICANCE',
  'aurocs',
  'comparisons',
  'compute',
  'extremes',
  'fingerprint',
  'in_pieces',
  'keep_statistics',
  'mean_and_error',
  'metrics',
  'p_values',
  'statistics_path',
]

stats = tfp_ood.stats

SIGNIFICANCE = 0.05
_MADE_BY = 'made_by/'
_QUANTILES = np.linspace(0.0, 1.0, 101)
_SECONDS_BETWEEN_LINES = 10.0
_METRICS = (
  stats.average_precision_out,
  stats.average_precision_in,
  stats.false_positive_rate_at_95_tpr_out,
  stats.false_positive_rate_at_95_tpr_in,
  stats.detection_error,
)


def mean_and_error(values):
  """Returns mean, standard error and number of some values, for results.json."""
  values = np.asarray(values, np.float64)
  error = np.std(values, ddof=1) / np.sqrt(len(values))
  return {
    'mean': float(np.mean(values)),
    'standard_error': float(error),
    'num_examples': len(values),
  }


# ------------------------------------------------------------------- statistics


def statistics_path(folder, dataset_name):
  """Returns the file that keeps a data set's statistics under a model."""
  name = dataset_name.replace(' ', '_').replace('/', '_')
  return os.path.join(folder, 'statistics', f'{name}.npz')


def fingerprint(paths):
  """Returns what tells the models behind a statistic from others trained here.

  Args:
    paths: the files training.json of the models; they hold the seconds of
      training, which no second run repeats.

  Returns:
    Python `str`.
  """
  digest = hashlib.sha256()
  for path in paths:
    if os.path.exists(path):
      with open(path, 'rb') as file:
        digest.update(file.read())
  return digest.hexdigest()


def keep_statistics(path, needed, compute_missing, made_by, is_valid):
  """Computes a data set's statistics, but for those that a file has already.

  Args:
    path: the file that keeps them.
    needed: names of statistics.
    compute_missing: function from a tuple of names to a `dict` of arrays.
    made_by: function from a name to the fingerprint of the models behind it.
    is_valid: function from a name and an array read to whether it may be kept,
      as far as anything but its models goes.

  Returns:
    `dict` of arrays by name, in the order of `needed`.
  """
  read = tfp_ood.reporting.read_arrays(path) if os.path.exists(path) else {}
  known = {
    name: values
    for name, values in read.items()
    if not name.startswith(_MADE_BY)
    and is_valid(name, values)
    and str(read.get(_MADE_BY + name)) == made_by(name)
  }
  missing = tuple(name for name in needed if name not in known)
  if missing:
    known |= compute_missing(missing)
    fingerprints = {_MADE_BY + name: made_by(name) for name in known}
    tfp_ood.reporting.write_arrays(path, known | fingerprints)
  return {name: known[name] for name in needed}


def compute(function, dataset_name, dataset):
  """Computes statistics of a data set, with a line of progress now and then."""
  start = last_line = time.monotonic()
  parts, count = [], 0
  for images, _ in dataset:
    parts.append(function(images))
    count += len(images)
    if time.monotonic() - last_line >= _SECONDS_BETWEEN_LINES:
      last_line = time.monotonic()
      print(f'scoring {dataset_name}: {count} images', flush=True)
  seconds = time.monotonic() - start
  print(f'scored {count} images of {dataset_name} in {seconds:.0f} s')
  return {
    name: np.concatenate([part[name] for part in parts]) for name in parts[0]
  }


def in_pieces(score, statistics):
  """Scores examples; kernel densities take memory by their number."""
  count = len(next(iter(statistics.values())))
  pieces = [
    score(
      {name: value[start : start + 1_000] for name, value in statistics.items()}
    )
    for start in range(0, count, 1_000)
  ]
  return np.concatenate(pieces)


def extremes(datasets, values, count):
  """Returns each data set's most and least likely images, and which they are.

  Args:
    datasets: `dict` of `tf.data.Dataset`s.
    values: `dict` of log-likelihoods, `[num_examples]`.
    count: how many of each.

  Returns:
    `dict` of arrays.
  """
  arrays = {}
  for name, dataset in datasets.items():
    images = np.concatenate([images for images, _ in dataset])
    order = np.argsort(-values[name])
    for extreme, indices in (
      ('most_likely', order[:count]),
      ('least_likely', order[::-1][:count]),
    ):
      arrays[f'{name}/{extreme}'] = images[indices]
      arrays[f'{name}/{extreme}_indices'] = indices
  return arrays


# ------------------------------------------------------------ tables of results
#
# `scored` is a `dict` of `dict`s: scores, then data sets, then an array; the
# first of `names` is the in-distribution test set, the second the training set.


def aurocs(scored, names):
  """Returns the AUROC of each score on each data set but the first."""
  return {
    score_name: {
      name: stats.auroc_confidence_interval(
        by_dataset[names[0]], by_dataset[name]
      )._asdict()
      for name in names[1:]
    }
    for score_name, by_dataset in scored.items()
  }


def metrics(scored, names):
  """Returns the other metrics of each score on each data set but the training's."""
  return {
    score_name: {
      name: {
        metric.__name__: metric(by_dataset[names[0]], by_dataset[name])
        for metric in _METRICS
      }
      for name in names[2:]
    }
    for score_name, by_dataset in scored.items()
  }


def comparisons(scored, names, baseline):
  """Tests each score's AUROC against that of `baseline`, on the same images."""
  return {
    score_name: {
      name: stats.delong_test(
        by_dataset[names[0]],
        by_dataset[name],
        scored[baseline][names[0]],
        scored[baseline][name],
      )._asdict()
      for name in names[2:]
    }
    for score_name, by_dataset in scored.items()
    if score_name != baseline
  }


def p_values(scored, names):
  """Checks p-values on test images that did not calibrate them."""
  results = {}
  for score_name, by_dataset in scored.items():
    calibration, fresh = by_dataset[names[0]][::2], by_dataset[names[0]][1::2]
    tested = {names[0]: fresh} | {name: by_dataset[name] for name in names[1:]}
    found = {
      name: stats.conformal_p_values(calibration, values).numpy()
      for name, values in tested.items()
    }
    in_distribution = found[names[0]]
    distance = scipy_stats.kstest(in_distribution, 'uniform').statistic
    # Of two samples: all the p-values share one finite calibration set, so that
    # even perfect ones are further from uniform than a single sample would be.
    two_samples = scipy_stats.ks_2samp(calibration, fresh)
    results[score_name] = {
      'kolmogorov_smirnov': float(distance),
      'kolmogorov_smirnov_p_value': float(two_samples.pvalue),
      'quantiles': np.quantile(in_distribution, _QUANTILES),
      'flagged': {
        name: float(np.mean(values <= SIGNIFICANCE))
        for name, values in found.items()
      },
    }
  return results
