# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Where data sets lie in the latent space of an autoencoder."""

import numpy as np
import threadpoolctl
from sklearn import manifold

from tfp_ood import reporting, stats
from tfp_ood.evaluation import _data
from tfp_ood.evaluation._text import estimate

__all__ = ['decoded_samples', 'latent_space', 'reconstructions']

_NUM_SEPARATED = 2_000
_NUM_EMBEDDED = 500
_PERPLEXITY = 30
_NUM_TRAVERSED = 6
_NUM_STEPS = 9


def reconstructions(models, datasets, num_images=10, batch_size=64):
  """Shows images and what models make of them.

  Args:
    models: `dict` of models with `reconstruct` by what to call them.
    datasets: `dict` of `tf.data.Dataset`s of images by name.
    num_images: Python `int`, how many of each data set.
    batch_size: Python `int`: that many images of one data set go through together,
      which counts for networks that normalize by the batch.

  Returns:
    `tfp_ood.reporting.Section`.

  #### Example

  >>> import numpy as np
  >>> import tensorflow as tf
  >>> import tfp_ood
  >>> model = tfp_ood.distributions.autoencoder(
  ...     [8, 8, 3], latent_size=2, hidden_channels=2, seed=1)
  >>> images = np.random.default_rng(0).integers(0, 256, [6, 8, 8, 3], np.uint8)
  >>> noise = tf.data.Dataset.from_tensor_slices(images).batch(6)
  >>> section = reconstructions({'a model': model}, {'noise': noise}, num_images=4)
  >>> _, figure = section.tree()['parts'][0]
  >>> figure['caption']
  'noise: the first images; row by row what comes back from a model.'
  >>> figure['arguments']['images'].shape  # Four, and four that come back.
  (8, 8, 8, 3)
  """
  section = reporting.Section('Reconstructions')
  for name, dataset in datasets.items():
    images = _data.first_examples(dataset, batch_size)
    rows = [images] + [
      _data.as_pixels(np.asarray(model.reconstruct(images)))
      for model in models.values()
    ]
    rows = [row[:num_images] for row in rows]
    section.add_figure(
      f'reconstructions_{name}',
      reporting.image_grid,
      f'{name}: the first images; row by row what comes back from '
      f'{", ".join(models)}.',
      images=np.concatenate(rows),
      num_columns=len(rows[0]),
    )
  return section


def decoded_samples(models, num_samples=64, seed=0):
  """Shows samples of the prior, decoded without the decoder's noise.

  Args:
    models: `dict` of variational autoencoders by what to call their samples.
    num_samples: Python `int`.
    seed: Python `int`; all models decode the same latents.

  Returns:
    `tfp_ood.reporting.Section`.

  #### Example

  >>> import tfp_ood
  >>> vae = tfp_ood.distributions.variational_autoencoder(
  ...     [8, 8, 3], latent_size=2, hidden_channels=2, seed=1)
  >>> section = decoded_samples({'VAE': vae}, num_samples=4)
  >>> _, figure = section.tree()['parts'][0]
  >>> figure['arguments']['images'].shape
  (4, 8, 8, 3)
  >>> figure['caption']
  "VAE: decoded from draws of the prior, without the decoder's noise."
  """
  section = reporting.Section('Samples')
  for name, model in models.items():
    latents = model.prior.sample(num_samples, seed=[seed, 0])
    section.add_figure(
      name,
      reporting.image_grid,
      f"{name}: decoded from draws of the prior, without the decoder's noise.",
      images=_data.as_pixels(model.decode_images(latents)),
      num_columns=16,
    )
  return section


def latent_space(model, evaluation, datasets, statistics=('latent',), seed=0):
  """Separates data sets by planes in latent space, and looks at their latents.

  Args:
    model: autoencoder with `decode_images`.
    evaluation: `Evaluation` that has the statistics.
    datasets: `dict` of all data sets of the evaluation by name.
    statistics: names of statistics that are latents, `[num_examples, size]`; the
      first are the model's own.
    seed: Python `int`, of what is drawn.

  Returns:
    `tfp_ood.reporting.Section`; its results are accuracies and AUROCs by space and
    data set.

  #### Example

  >>> import numpy as np
  >>> import tensorflow as tf
  >>> import tfp_ood
  >>> model = tfp_ood.distributions.autoencoder(
  ...     [8, 8, 3], latent_size=2, hidden_channels=4, seed=1)
  >>> x = np.random.default_rng(0).integers(0, 8, [20, 8, 8, 3], np.uint8)
  >>> images = {'dark': x, 'bright': x + 240}
  >>> datasets = {n: tf.data.Dataset.from_tensors(x) for n, x in images.items()}
  >>> dark, bright = ({name: data} for name, data in datasets.items())
  >>> evaluation = tfp_ood.evaluation.evaluate(
  ...     model, [tfp_ood.stats.NegativeLogLikelihood()], dark, bright,
  ...     keep=['latent'], verbose=False)
  >>> section = latent_space(model, evaluation, datasets)
  >>> section.results['latent']['bright']['auroc']['auroc']
  1.0
  """
  points = {
    space: {name: v[space] for name, v in evaluation.statistics.items()}
    for space in statistics
  }
  latents = points[statistics[0]]
  inside, outside = (
    evaluation.in_distribution,
    evaluation.out_of_distribution[0],
  )
  points['random projections of the pixels'] = _projected(
    datasets, latents[inside].shape[1], seed
  )
  planes = {
    space: {
      name: stats.latent_separation(
        by_dataset[inside][:_NUM_SEPARATED], by_dataset[name][:_NUM_SEPARATED]
      )
      for name in evaluation.others
    }
    for space, by_dataset in points.items()
  }
  section = reporting.Section(
    'In- and out-of-distribution in latent space',
    {
      space: {
        name: {
          'accuracy_in': plane.accuracy_in._asdict(),
          'accuracy_out': plane.accuracy_out._asdict(),
          'auroc': plane.auroc._asdict(),
        }
        for name, plane in by_dataset.items()
      }
      for space, by_dataset in planes.items()
    },
  )
  _add_separation(section, planes, inside)
  plane = planes[statistics[0]][outside]
  shown = [inside, *evaluation.others[:2]]
  section.add_figure(
    'distance',
    reporting.histograms,
    f'Distance of latents from the plane between {inside} and {outside}, positive '
    'on the side of the latter.',
    values_by_name={
      name: latents[name] @ plane.direction + plane.offset for name in shown
    },
    xlabel='signed distance from the plane',
  )
  section.add_figure(
    'embedding',
    reporting.scatter,
    "Latents of the first examples in a plane, by scikit-learn's t-SNE. It keeps "
    'neighbors together; distances and sizes mean little.',
    points_by_name=_embedded({name: latents[name] for name in shown}, seed),
  )
  for name in (inside, outside):
    images = _data.first_examples(datasets[name], _NUM_TRAVERSED)
    way = stats.traverse(
      model,
      latents[name][: len(images)],
      plane.direction,
      plane.offset,
      _NUM_STEPS,
    )
    rows = np.concatenate([images[:, None], _data.as_pixels(way)], axis=1)
    section.add_figure(
      f'traversal_{name}',
      reporting.image_grid,
      f'{name}: images, and to the right what is decoded on the way from their '
      'latent (first) straight through the plane (middle) to as far beyond it '
      '(last).',
      images=np.concatenate(rows),
      num_columns=rows.shape[1],
    )
  return section


def _add_separation(section, planes, inside):
  section.add_text(
    'A plane, found by a linear support vector machine, between the latents of '
    f'{inside} and those of another data set: which share of each lies on its '
    f'side, out of fold, of at most {_NUM_SEPARATED:,} examples each. This takes '
    'examples out of distribution to learn from, and is no detector of what nobody '
    f'has seen. Of {inside} and the training data nothing should tell the sides: .5 '
    'is chance.'
  )
  section.add_table(
    ['points', 'against', 'accuracy in', 'accuracy out', 'AUROC'],
    [
      [
        space.replace('_', ' '),
        name,
        estimate(plane.accuracy_in.estimate, plane.accuracy_in),
        estimate(plane.accuracy_out.estimate, plane.accuracy_out),
        estimate(plane.auroc.auroc, plane.auroc),
      ]
      for space, by_dataset in planes.items()
      for name, plane in by_dataset.items()
    ],
    caption=f'Accuracy on {inside} (in) and on the data set (out), and AUROC of '
    'the distances from the plane, with 95 % intervals.',
  )


def _projected(datasets, size, seed):
  """Projects the pixels of images at random, for comparison with latents."""
  generator = np.random.default_rng(seed)
  images = {
    name: _data.first_examples(dataset, _NUM_SEPARATED)
    for name, dataset in datasets.items()
  }
  num_pixels = next(iter(images.values()))[0].size
  projection = generator.normal(size=[num_pixels, size])
  return {
    name: np.reshape(x, [len(x), num_pixels]) / 255.0 @ projection
    for name, x in images.items()
  }


def _embedded(latents, seed):
  """Lays latents of a few data sets out in a plane."""
  parts = [points[:_NUM_EMBEDDED] for points in latents.values()]
  together = np.concatenate(parts)
  embedding = manifold.TSNE(
    perplexity=min(_PERPLEXITY, (len(together) - 1) / 3), random_state=seed
  )
  # On a busy machine, its threads would wait for one another most of the time.
  with threadpoolctl.threadpool_limits(1):
    points = embedding.fit_transform(together)
  ends = np.cumsum([len(part) for part in parts])
  return dict(zip(latents, np.split(points, ends[:-1]), strict=True))
