# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""A neural rendering model layer by layer, label by label, feature by feature."""

import numpy as np
import tensorflow as tf

from tfp_ood import reporting, stats
from tfp_ood._one_trace import OneTrace
from tfp_ood.evaluation import _data
from tfp_ood.evaluation._text import with_deviation

__all__ = [
  'exciting_features',
  'rendered_pixels',
  'rendering_labels',
  'rendering_layers',
]

_LABELS = {
  'inferred': 'the label inferred',
  'second': 'the second best label',
  'random': 'another label at random',
}
_NUM_SHOWN = 8
_NUM_FEATURES = 3
_NUM_EXCITING = 9


def rendered_pixels(model, images, labels=None):
  """Renders images by their own switches.

  Args:
    model: `NeuralRenderingModel`.
    images: array of raw pixels, `[batch, height, width, channels]`.
    labels: where to start; `None` for the classes inferred.

  Returns:
    `uint8` array of the shape of `images`.

  #### Example

  >>> import numpy as np
  >>> import tf_keras
  >>> import tfp_ood
  >>> layers = tf_keras.layers
  >>> classifier = tf_keras.Sequential([
  ...     layers.Input([4, 4, 3]),
  ...     layers.Conv2D(2, 3, activation='relu'),
  ...     layers.Flatten(),
  ...     layers.Dense(3)])
  >>> model = tfp_ood.distributions.NeuralRenderingModel.from_keras(classifier)
  >>> images = np.random.default_rng(0).integers(0, 256, [5, 4, 4, 3], np.uint8)
  >>> rendered = rendered_pixels(model, images)
  >>> rendered.shape, rendered.dtype
  ((5, 4, 4, 3), dtype('uint8'))
  """
  _, _, rendered, _ = model.infer_and_render(images, labels)
  # From the units of the network.
  return _data.as_pixels(127.5 * (rendered.image.numpy() + 1))


def rendering_layers(models, evaluations, datasets, max_examples=2_000):
  """Looks at each layer by itself: an ablation, not a choice.

  Args:
    models: `dict` of `NeuralRenderingModel`s by run.
    evaluations: `dict` of their `Evaluation`s, that have the statistics
      `layer_etas` and `layer_reconstructions`.
    datasets: `dict` of all data sets by name.
    max_examples: Python `int`, how many of each to see the switches of.

  Returns:
    `tfp_ood.reporting.Section`; its results have lists by layer, for each quantity
    and data set, of one list by run each.

  #### Example

  >>> import numpy as np
  >>> import tensorflow as tf
  >>> import tf_keras
  >>> import tfp_ood
  >>> layers = tf_keras.layers
  >>> classifier = tf_keras.Sequential([
  ...     layers.Input([4, 4, 3]),
  ...     layers.Conv2D(2, 3, activation='relu', kernel_initializer='ones'),
  ...     layers.Flatten(),
  ...     layers.Dense(3)])
  >>> model = tfp_ood.distributions.NeuralRenderingModel.from_keras(classifier)
  >>> datasets = {
  ...     name: tf.data.Dataset.from_tensors(np.full([5, 4, 4, 3], level, np.uint8))
  ...     for name, level in (('bright', 200), ('dark', 50))}
  >>> bright, dark = ({name: data} for name, data in datasets.items())
  >>> evaluation = tfp_ood.evaluation.evaluate(
  ...     model, [tfp_ood.stats.RenderingLatent('mode_normalized')], bright, dark,
  ...     keep=['layer_etas', 'layer_reconstructions'], verbose=False)
  >>> section = rendering_layers({'run': model}, {'run': evaluation}, datasets)
  >>> section.results['switches']  # The layer sums up the pixels.
  {'bright': [[1.0]], 'dark': [[0.0]]}
  """
  first = next(iter(evaluations.values()))
  inside = first.in_distribution
  section = reporting.Section('Each layer by itself')
  section.add_text(
    'The AUROC is of a score that is one term of one layer, low values being out '
    'of distribution. Layer 0 is the image.'
  )
  tables = {}

  def add(key, names, words, ylabel, of_run, first_layer, log=False):
    values = {
      name: np.array([of_run(run, name) for run in evaluations])
      for name in names
    }
    tables[key] = {name: v.T.tolist() for name, v in values.items()}
    drawn = {
      name: np.log10(np.maximum(-v, 1e-12)) if log else v
      for name, v in values.items()
    }
    section.add_figure(
      key,
      reporting.curve,
      f'{words}. Bands are one standard deviation over runs to each side.',
      x=np.arange(len(values[names[0]][0])) + first_layer,
      series_by_name={name: v.mean(axis=0) for name, v in drawn.items()},
      xlabel='layer',
      ylabel=ylabel,
      intervals_by_name={
        name: tuple(v.mean(axis=0) + s * v.std(axis=0, ddof=1) for s in (-1, 1))
        for name, v in drawn.items()
        if len(v) > 1
      },
    )
    section.add_table(
      ['layer', *names],
      [
        [
          str(layer + first_layer),
          *(with_deviation(values[name][:, layer]) for name in names),
        ]
        for layer in range(len(values[names[0]][0]))
      ],
      caption=f'{words}.',
    )

  def layers(run, name, key):
    return evaluations[run].statistics[name][f'layer_{key}'].astype(np.float64)

  def auroc(run, name, key):
    pairs = zip(
      layers(run, inside, key).T, layers(run, name, key).T, strict=True
    )
    return [stats.auroc(-ours, -theirs) for ours, theirs in pairs]

  add(
    'reconstruction_by_layer',
    first.datasets,
    'Minus the squared error of the rendering of each layer, mean over examples',
    'log10 of the squared error',
    lambda run, name: layers(run, name, 'reconstructions').mean(axis=0),
    first_layer=0,
    log=True,
  )
  for key, first_layer, words in (
    ('etas', 1, 'share in eta'),
    ('reconstructions', 0, 'reconstruction'),
  ):
    add(
      f'auroc_of_{key}',
      first.others,
      f'AUROC of the {words} of each layer',
      'AUROC',
      lambda run, name, key=key: auroc(run, name, key),
      first_layer,
    )
  switches = {
    run: _mean_switches(model, datasets, max_examples)
    for run, model in models.items()
  }
  add(
    'switches',
    first.datasets,
    'Mean of the switches by layer and data set',
    'share of rectifiers that are on',
    lambda run, name: switches[run][name],
    first_layer=1,
  )
  section.results = tables
  return section


def _mean_switches(model, datasets, max_examples):
  def of_images(images):
    features = model.infer(images).features
    return tf.stack(
      [_mean_event(tf.cast(g > 0, g.dtype)) for g in features], axis=-1
    )

  traced = OneTrace(of_images)
  return {
    name: _data.in_batches(
      traced, _data.first_examples(dataset, max_examples)
    ).mean(axis=0)
    for name, dataset in datasets.items()
  }


def rendering_labels(models, datasets, shown, seed=0, max_examples=2_000):
  """Renders from the label inferred, and from two others.

  Args:
    models: `dict` of `NeuralRenderingModel`s by run.
    datasets: `dict` of data sets by name.
    shown: names of those whose renderings are shown, the in-distribution one first.
    seed: Python `int`, of the labels drawn.
    max_examples: Python `int`, how many of each data set.

  Returns:
    `tfp_ood.reporting.Section`; its results are means and AUROCs of the latent
    log-probability by label and data set, as lists by run.

  #### Example

  >>> import numpy as np
  >>> import tensorflow as tf
  >>> import tf_keras
  >>> import tfp_ood
  >>> layers = tf_keras.layers
  >>> classifier = tf_keras.Sequential([
  ...     layers.Input([4, 4, 3]),
  ...     layers.Conv2D(2, 3, activation='relu'),
  ...     layers.Flatten(),
  ...     layers.Dense(3)])
  >>> model = tfp_ood.distributions.NeuralRenderingModel.from_keras(classifier)
  >>> images = np.random.default_rng(0).integers(0, 256, [5, 4, 4, 3], np.uint8)
  >>> datasets = {
  ...     'noise': tf.data.Dataset.from_tensors(images),
  ...     'dark': tf.data.Dataset.from_tensors(images // 8)}
  >>> section = rendering_labels({'run': model}, datasets, ['noise', 'dark'])
  >>> list(section.results['mean']), list(section.results['auroc']['second'])
  (['inferred', 'second', 'random'], ['dark'])
  """
  images = {
    name: _data.first_examples(dataset, max_examples)
    for name, dataset in datasets.items()
  }
  values = {}
  for run, model in models.items():
    latents = _latents_by_label(model, seed)
    values[run] = {
      name: _data.in_batches(latents, x) for name, x in images.items()
    }
  in_distribution = shown[0]
  others = [name for name in datasets if name != in_distribution]

  def over_runs(of_run):
    return np.array([of_run(by_name) for by_name in values.values()])

  means = {
    which: {
      name: over_runs(lambda v, n=name, w=which: v[n][w].mean())
      for name in datasets
    }
    for which in _LABELS
  }
  aurocs = {
    which: {
      name: over_runs(
        lambda v, n=name, w=which: stats.auroc(-v[in_distribution][w], -v[n][w])
      )
      for name in others
    }
    for which in _LABELS
  }
  section = reporting.Section(
    'The wrong label', {'mean': means, 'auroc': aurocs}
  )
  for table, names, digits, caption in (
    (means, list(datasets), 2, 'Latent log-likelihood, mode normalized: mean.'),
    (aurocs, others, 3, 'AUROC of the latent score, an ablation.'),
  ):
    section.add_table(
      ['label', *names],
      [
        [words, *(with_deviation(table[which][n], digits) for n in names)]
        for which, words in _LABELS.items()
      ],
      caption=caption,
    )
  model = next(iter(models.values()))
  for name in shown:
    some = images[name][:_NUM_SHOWN]
    _, _, _, propagated = model.infer_and_render(some)
    rows = [
      rendered_pixels(model, some, labels)
      for labels in _labels(propagated.logits, seed).values()
    ]
    section.add_figure(
      f'wrong_labels_{name}',
      reporting.image_grid,
      f'{name}: the images; rendered from '
      + ', from '.join(_LABELS.values())
      + ', all through the switches of the image.',
      images=np.concatenate([some, *rows]),
      num_columns=len(some),
    )
  return section


def _labels(logits, seed):
  """Returns the labels inferred, the second best, and others at random."""
  num_classes = logits.shape[-1]
  best = tf.math.top_k(logits, 2).indices
  steps = tf.random.stateless_uniform(
    tf.shape(best)[:1], [seed, 0], 1, num_classes, tf.int32
  )
  return {
    'inferred': best[:, 0],
    'second': best[:, 1],
    'random': (best[:, 0] + steps) % num_classes,
  }


def _latents_by_label(model, seed):
  """Returns the function of images that is their latent term with three labels.

  The term is relative to the mode of the prior.
  """
  network = model.network
  biases, _ = network.biases()

  def etas(rendered):
    return tf.add_n(
      [
        tf.reduce_sum(bias * h, axis=range(1, h.shape.rank))
        for bias, h in zip(biases, rendered.pre_activations, strict=True)
      ]
    )

  # Of the zero image and each class: what `mode_normalized` is relative to.
  modes = etas(network.render(tf.range(network.num_classes)))

  def of_images(x):
    _, _, _, propagated = model.infer_and_render(x)
    return {
      which: etas(model.infer_and_render(x, labels)[2])
      - tf.gather(modes, labels)
      for which, labels in _labels(propagated.logits, seed).items()
    }

  return OneTrace(of_images)


def exciting_features(model, datasets, seed=0, max_examples=2_000):
  """Shows the images of two data sets that excite a few features of each layer.

  Args:
    model: `NeuralRenderingModel`.
    datasets: `dict` of two data sets by name.
    seed: Python `int`, of the features drawn.
    max_examples: Python `int`, how many images of each to look at.

  Returns:
    `tfp_ood.reporting.Section`.

  #### Example

  >>> import numpy as np
  >>> import tensorflow as tf
  >>> import tf_keras
  >>> import tfp_ood
  >>> layers = tf_keras.layers
  >>> classifier = tf_keras.Sequential([
  ...     layers.Input([4, 4, 3]),
  ...     layers.Conv2D(2, 3, activation='relu', kernel_initializer='ones'),
  ...     layers.Flatten(),
  ...     layers.Dense(3)])
  >>> model = tfp_ood.distributions.NeuralRenderingModel.from_keras(classifier)
  >>> levels = np.array([130, 250, 190], np.uint8)  # One for each image.
  >>> images = np.ones([3, 4, 4, 3], np.uint8) * levels[:, None, None, None]
  >>> datasets = {
  ...     'gray': tf.data.Dataset.from_tensors(images),
  ...     'brighter': tf.data.Dataset.from_tensors(images + 5)}
  >>> section = exciting_features(model, datasets)
  >>> _, figure = section.tree()['parts'][0]
  >>> figure['arguments']['images'][:6, 0, 0, 0].tolist()  # Rows of one feature.
  [250, 190, 130, 255, 195, 135]
  """
  generator = np.random.default_rng(seed)
  chosen = [
    generator.choice(size, min(_NUM_FEATURES, size), replace=False)
    for size in (layer.feature_shape[-1] for layer in model.network.layers)
  ]

  def excitement(images):
    features = model.infer(images).features
    return [
      _max_event(tf.gather(g, indices, axis=-1))
      for g, indices in zip(features, chosen, strict=True)
    ]

  images = {
    name: _data.first_examples(dataset, max_examples)
    for name, dataset in datasets.items()
  }
  traced = OneTrace(excitement)
  found = {name: _data.in_batches(traced, x) for name, x in images.items()}
  section = reporting.Section('What excites features')
  for layer, indices in enumerate(chosen):
    rows = []
    for feature in range(len(indices)):
      for name, x in images.items():
        # Ties, such as features that nothing excites, in the data's order.
        order = np.argsort(-found[name][layer][:, feature], kind='stable')
        rows.append(x[order[:_NUM_EXCITING]])
    section.add_figure(
      f'features_{layer + 1}',
      reporting.image_grid,
      f'Layer {layer + 1}: images that excite a feature most. Two rows for each of '
      f'{len(indices)} features drawn at random, of {" and of ".join(images)}.',
      images=np.concatenate(rows),
      num_columns=len(rows[0]),
    )
  return section


def _mean_event(values):
  return tf.reduce_mean(values, axis=range(1, values.shape.rank))


def _max_event(values):
  return tf.reduce_max(values, axis=range(1, values.shape.rank - 1))
