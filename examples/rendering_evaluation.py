# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""What trained neural rendering models make of data sets."""

import os

import experiment_data
import experiment_scores
import numpy as np
import tensorflow as tf

import tfp_ood

__all__ = ['datasets', 'evaluate', 'over_runs']

stats = tfp_ood.stats

_LATENT_MODES = ('mode_normalised', 'eta', 'rpn', 'layerwise')
_BASELINES = ('max_softmax', 'energy')
_SCALE = 0.8
_NUM_DETAILED = 2_000
_NUM_EXTREMES = 25
_NUM_WRONG_LABELS = 8
_NUM_FEATURES = 3
_NUM_EXCITING = 9


def datasets(evaluation, config, data_dir):
  """Loads all data sets to score, in the images' shape, test data first.

  Beside those asked for there is the first of them with less variance, and there
  are constant images and noise.

  Args:
    evaluation: `dict`, the part of the settings that names the data sets.
    config: `dict`, the model's settings.
    data_dir: folder of prepared TFDS data sets.

  Returns:
    `dict` from display names to `tf.data.Dataset`s.
  """
  limit = evaluation['num_evaluated']
  first, *others = evaluation['out_of_distribution']

  def load(names, **kwargs):
    return experiment_data.out_of_distribution(
      names, config, data_dir, limit, **kwargs
    )

  (scaled,) = load([first], transformation=_scale).values()
  return {
    **experiment_data.in_distribution(config, data_dir, limit),
    **load([first]),
    f'{first} test x {_SCALE:g}': scaled,
    **load(others),
    **experiment_data.controls(config, data_dir, limit),
  }


def _scale(images):
  """Multiplies by .8 in [-1, 1], and so the variance by .64."""
  return 127.5 + _SCALE * (tf.cast(images, tf.float32) - 127.5)


def evaluate(models, datasets, evaluation, config, output_dir):
  """Scores all data sets under each model and puts the runs together.

  Args:
    models: `dict` of `NeuralRenderingModel`s by folder, one for each run.
    datasets: `dict`, as `datasets` returns it.
    evaluation: `dict` of settings.
    config: `dict` of the models' settings.
    output_dir: folder of the run.

  Returns:
    A part of the contents of results.json, and the arrays of scores.npz: those
    of the first run, and the scores of all.
  """
  runs, arrays = {}, {}
  for name, nrm in models.items():
    print(f'{name}:')
    run = _Run(nrm, datasets, evaluation, config, output_dir, name)
    runs[name] = run.results()
    arrays |= run.score_arrays()
    if len(runs) == 1:
      arrays |= run.arrays()
      run.export_detector()
  parts = list(runs.values())
  return {
    'runs': runs,
    **{
      key: over_runs([part[key] for part in parts])
      for key in ('accuracy', 'means', 'layers', 'wrong_labels')
    },
    'auroc': over_runs(
      [
        {
          score: {name: found['auroc'] for name, found in aurocs.items()}
          for score, aurocs in part['auroc'].items()
        }
        for part in parts
      ]
    ),
  }, arrays


def over_runs(parts):
  """Replaces each number of nested results by what it is over the runs.

  Args:
    parts: list of numbers, or of `dict`s or lists of the same form.

  Returns:
    The same form, with `mean`, `standard_deviation` (`None` of a single run) and
    `num_runs` for each number.
  """
  first = parts[0]
  if isinstance(first, dict):
    return {key: over_runs([part[key] for part in parts]) for key in first}
  if isinstance(first, list):
    return [over_runs(list(values)) for values in zip(*parts, strict=True)]
  deviation = float(np.std(parts, ddof=1)) if len(parts) > 1 else None
  return {
    'mean': float(np.mean(parts)),
    'standard_deviation': deviation,
    'num_runs': len(parts),
  }


class _Run:
  """One trained model and all that it says of the data sets."""

  def __init__(self, nrm, datasets, evaluation, config, output_dir, name):
    self._nrm = nrm
    self._datasets = datasets
    self._names = list(datasets)
    self._evaluation = evaluation
    self._config = config
    self._output_dir = output_dir
    self._name = name
    # Networks with fewer layers have their last one.
    self._layer = min(evaluation['layer'], nrm.network.num_layers)
    self._statistics = self._compute_statistics()
    self._details = _details(nrm, datasets, config['seed'])
    self._scored = self._score()

  def results(self):
    """Returns what the run adds to results.json."""
    scored, names = self._scored, self._names
    return {
      'accuracy': self._accuracy(),
      'means': {name: self._means(name) for name in names},
      'auroc': experiment_scores.aurocs(scored, names),
      'metrics': experiment_scores.metrics(scored, names),
      'compared': {
        baseline: experiment_scores.comparisons(scored, names, baseline)
        for baseline in _BASELINES
      },
      'p_values': experiment_scores.p_values(scored, names),
      'layers': self._layers(),
      'wrong_labels': self._wrong_labels(),
    }

  def score_arrays(self):
    """Returns the scores, image by image."""
    return {
      f'{name}/scores/{self._name}/{score}': by_dataset[name]
      for score, by_dataset in self._scored.items()
      for name in self._names
    }

  def arrays(self):
    """Returns statistics, and the images of the report."""
    statistics, names = self._statistics, self._names
    arrays = {
      f'{name}/{key}': values.astype(np.float64)
      for name in names
      for key, values in statistics[name].items()
    }
    for kind, key in (
      ('latent', f'nrm_latent_{self._evaluation["latent"]}'),
      ('log_prob', 'nrm_log_prob'),
    ):
      found = experiment_scores.extremes(
        self._datasets,
        {name: statistics[name][key] for name in names},
        _NUM_EXTREMES,
      )
      for name in names:
        for extreme in ('most_likely', 'least_likely'):
          images = found[f'{name}/{extreme}']
          prefix = f'{name}/{kind}/{extreme}'
          arrays[prefix] = images
          arrays[f'{prefix}_indices'] = found[f'{name}/{extreme}_indices']
          arrays[f'{prefix}_rendered'] = _rendered(self._nrm, images)
    arrays |= self._exciting()
    arrays |= self._rendered_with_wrong_labels()
    return arrays

  def export_detector(self):
    """Writes a calibrated detector for programs that have only TensorFlow."""
    score = stats.RenderingLatent(self._evaluation['latent'])
    detector = stats.Detector(self._nrm, score)
    detector.fit(self._datasets[self._names[0]])
    detector.export_saved_model(os.path.join(self._output_dir, 'detector'))

  def _compute_statistics(self):
    folder = os.path.join(self._output_dir, self._name)
    statistics = stats.Statistics(self._nrm)
    needed = (
      'logits',
      'nrm_log_prob',
      *(f'nrm_latent_{mode}' for mode in _LATENT_MODES),
      'nrm_layer_etas',
      'nrm_layer_reconstructions',
    )
    # All at once, for all of a few cost what one does.
    function = tf.function(
      lambda images: statistics(images, needed),
      reduce_retracing=True,
      autograph=False,
    )
    made_by = experiment_scores.fingerprint(
      [os.path.join(folder, 'training.json')]
    )
    return {
      name: experiment_scores.keep_statistics(
        experiment_scores.statistics_path(folder, name),
        needed,
        lambda missing, name=name: experiment_scores.compute(
          function, name, self._datasets[name]
        ),
        lambda key: made_by,
        _has_length(dataset),
      )
      for name, dataset in self._datasets.items()
    }

  def _score(self):
    training = self._statistics[self._names[1]]
    temperature = self._config['class_variance']
    modes = sorted(
      _LATENT_MODES, key=lambda mode: mode != self._evaluation['latent']
    )
    scores = {
      **{f'latent_{mode}': stats.RenderingLatent(mode) for mode in modes},
      'log_prob': stats.RenderingLogProb(),
      **{
        f'reconstruction_{layer}': stats.RenderingReconstruction(layer)
        for layer in dict.fromkeys([0, self._layer])
      },
      'density_of_layers': stats.DensityOfStates(
        _varying_columns(training), method='gaussian'
      ),
      'max_softmax': stats.MaxSoftmax(temperature),
      'energy': stats.Energy(temperature),
    }
    for score in scores.values():
      score.fit({name: training[name] for name in score.statistics})
    return {
      name: {
        dataset: experiment_scores.in_pieces(score, values)
        for dataset, values in self._statistics.items()
      }
      for name, score in scores.items()
    }

  def _accuracy(self):
    result = {}
    for name in self._names[:2]:
      labels = np.concatenate([labels for _, labels in self._datasets[name]])
      inferred = np.argmax(self._statistics[name]['logits'], axis=-1)
      result[name] = float(np.mean(inferred == labels))
    return result

  def _means(self, name):
    """The metrics of Table 1 and all others like them."""
    statistics = self._statistics[name]
    layers = statistics['nrm_layer_reconstructions']
    metrics = {
      'log_prob': statistics['nrm_log_prob'],
      **{
        f'latent_{mode}': statistics[f'nrm_latent_{mode}']
        for mode in _LATENT_MODES
      },
      'negative_reconstruction_0': layers[:, 0],
      f'negative_reconstruction_{self._layer}': layers[:, self._layer],
    }
    return {
      key: float(np.mean(values, dtype=np.float64))
      for key, values in metrics.items()
    }

  def _layers(self):
    """Each layer by itself: means, and AUROCs of low values as a score."""
    result = {}
    for key in ('etas', 'reconstructions'):
      values = {
        name: self._statistics[name][f'nrm_layer_{key}'] for name in self._names
      }
      result[key] = {
        name: np.mean(layers, axis=0, dtype=np.float64).tolist()
        for name, layers in values.items()
      }
      inside = values[self._names[0]].T
      result[f'auroc_of_{key}'] = {
        name: [
          stats.auroc(-first, -second)
          for first, second in zip(inside, values[name].T, strict=True)
        ]
        for name in self._names[1:]
      }
    result['switches'] = {
      name: np.mean(details['switches'], axis=0).tolist()
      for name, details in self._details.items()
    }
    return result

  def _wrong_labels(self):
    """The latent score with the label inferred, and with two others."""
    inside = self._details[self._names[0]]
    return {
      which: {
        name: {
          'mean': float(np.mean(details[which], dtype=np.float64)),
          'auroc': stats.auroc(-inside[which], -details[which]),
        }
        for name, details in self._details.items()
      }
      for which in ('inferred', 'second', 'random')
    }

  def _exciting(self):
    """The images of two data sets that excite a few features of each layer."""
    arrays = {}
    for name in (self._names[0], self._names[2]):
      images = experiment_data.first_images(self._datasets[name], _NUM_DETAILED)
      for layer in range(1, self._nrm.network.num_layers + 1):
        excitement = self._details[name][f'features_{layer}']
        # Ties, such as features that nothing excites, in the data's order.
        order = np.argsort(-excitement, axis=0, kind='stable')
        arrays[f'{name}/exciting_{layer}'] = images[order[:_NUM_EXCITING].T]
    return arrays

  def _rendered_with_wrong_labels(self):
    arrays = {}
    for name in (self._names[0], self._names[2]):
      images = experiment_data.first_images(
        self._datasets[name], _NUM_WRONG_LABELS
      )
      arrays[f'{name}/original'] = images
      _, inferred, _, propagated = self._nrm.infer_and_render(images)
      labels = _labels(inferred, propagated.logits, self._config['seed'])
      for which, chosen in labels.items():
        arrays[f'{name}/rendered_{which}'] = _rendered(
          self._nrm, images, chosen
        )
        arrays[f'{name}/labels_{which}'] = chosen.numpy()
    return arrays


def _has_length(dataset):
  """Tells statistics of another --num_evaluated."""
  count = sum(len(labels) for _, labels in dataset)
  return lambda name, values: len(values) == count


def _varying_columns(statistics):
  """Names the layers' terms, less those that are the same for all images."""
  return tuple(
    f'{name}[{index}]'
    for name in ('nrm_layer_etas', 'nrm_layer_reconstructions')
    for index, column in enumerate(statistics[name].T)
    if np.ptp(column) > 1e-6 * np.max(np.abs(column))
  )


def _rendered(nrm, images, labels=None):
  """Renders images as raw pixels."""
  _, _, rendered, _ = nrm.infer_and_render(images, labels)
  # From the units of the network.
  pixels = np.round(127.5 * (rendered.image.numpy() + 1))
  return np.clip(pixels, 0, 255).astype(np.uint8)


def _labels(inferred, logits, seed):
  """Returns the labels inferred, the second best, and others at random."""
  num_classes = logits.shape[-1]
  steps = tf.random.stateless_uniform(
    tf.shape(inferred), [seed, 0], 1, num_classes, tf.int32
  )
  return {
    'inferred': inferred,
    'second': tf.math.top_k(logits, 2).indices[:, 1],
    'random': (inferred + steps) % num_classes,
  }


def _details(nrm, datasets, seed):
  """Looks at the first images of each data set more closely.

  Args:
    nrm: `NeuralRenderingModel`.
    datasets: `dict` of `tf.data.Dataset`s.
    seed: Python `int`, of the features and the labels drawn.

  Returns:
    `dict` by data set of `dict`s of arrays: `switches`, the share of the
    rectifiers of each layer that are on, `[num_examples, num_layers]`;
    `features_1`, ... the largest activations of some features,
    `[num_examples, num_features]`; and `inferred`, `second` and `random`,
    `[num_examples]`, the latent log-probability with three labels.
  """
  network = nrm.network
  generator = np.random.default_rng(seed)
  chosen = []
  for layer in network.layers:
    size = layer.feature_shape[-1]
    chosen.append(
      generator.choice(size, min(_NUM_FEATURES, size), replace=False)
    )
  biases, _ = network.biases()

  def etas(rendered):
    return tf.add_n(
      [
        _sum_event(bias * gradient)
        for bias, gradient in zip(biases, rendered.pre_activations, strict=True)
      ]
    )

  # Of the zero image and each class: what `mode_normalised` is relative to.
  modes = etas(network.render(tf.range(network.num_classes)))

  @tf.function(reduce_retracing=True, autograph=False)
  def look(images):
    _, inferred, _, propagated = nrm.infer_and_render(images)
    values = {
      'switches': tf.stack(
        [_mean_event(tf.cast(g > 0, g.dtype)) for g in propagated.features],
        axis=-1,
      )
    }
    for number, (g, indices) in enumerate(
      zip(propagated.features, chosen, strict=True), start=1
    ):
      g = tf.gather(g, indices, axis=-1)
      values[f'features_{number}'] = tf.reduce_max(
        g, axis=range(1, g.shape.rank - 1)
      )
    for which, labels in _labels(inferred, propagated.logits, seed).items():
      _, _, rendered, _ = nrm.infer_and_render(images, labels)
      values[which] = etas(rendered) - tf.gather(modes, labels)
    return values

  result = {}
  for name, dataset in datasets.items():
    parts, count = [], 0
    for images, _ in dataset:
      parts.append(look(images))
      count += len(images)
      if count >= _NUM_DETAILED:
        break
    result[name] = {
      key: np.concatenate([part[key] for part in parts])[:_NUM_DETAILED]
      for key in parts[0]
    }
  return result


def _sum_event(values):
  return tf.reduce_sum(values, axis=range(1, values.shape.rank))


def _mean_event(values):
  return tf.reduce_mean(values, axis=range(1, values.shape.rank))
