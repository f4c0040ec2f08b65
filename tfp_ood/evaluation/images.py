# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Images that a model draws, and those that it finds most and least likely."""

import numpy as np

from tfp_ood import reporting
from tfp_ood.evaluation import _data
from tfp_ood.evaluation._text import title

__all__ = ['extreme_images', 'samples']

_COLUMNS = 8
_COLUMNS_BESIDE = 5


def samples(distribution, num_samples=64, seed=0):
  """Shows samples of a model.

  Args:
    distribution: model of images with `sample`.
    num_samples: Python `int`.
    seed: Python `int`.

  Returns:
    `tfp_ood.reporting.Section`.

  #### Example

  >>> import tensorflow_probability as tfp
  >>> tfd = tfp.distributions
  >>> model = tfd.Sample(tfd.Normal(128., 20.), [8, 8, 3])
  >>> section = samples(model, num_samples=4)
  >>> _, figure = section.tree()['parts'][0]
  >>> images = figure['arguments']['images']
  >>> images.shape, images.dtype
  ((4, 8, 8, 3), dtype('uint8'))
  """
  section = reporting.Section('Samples')
  images = np.asarray(distribution.sample(num_samples, seed=[seed, 0]))
  section.add_figure(
    'samples',
    reporting.image_grid,
    'Samples from the model.',
    images=_data.as_pixels(images),
    num_columns=16,
  )
  return section


def extreme_images(
  evaluation, datasets, statistic='log_prob', count=16, beside=None
):
  """Shows the images of data sets that have the highest and lowest statistic.

  Args:
    evaluation: `Evaluation` that has the statistic.
    datasets: `dict` of the evaluation's data sets by name, in the same order.
    statistic: `str`, one that is higher for what is more likely.
    count: Python `int`, how many of each.
    beside: function from images to images that are shown beside them, such as
      their reconstructions; `None` for nothing.

  Returns:
    `tfp_ood.reporting.Section`.

  #### Example

  >>> import numpy as np
  >>> import tensorflow as tf
  >>> import tensorflow_probability as tfp
  >>> import tfp_ood
  >>> tfd = tfp.distributions
  >>> model = tfd.Sample(tfd.Normal(128., 20.), [4, 4, 3])
  >>> levels = np.array([0, 60, 120, 180, 240], np.uint8)  # One for each image.
  >>> images = np.ones([5, 4, 4, 3], np.uint8) * levels[:, None, None, None]
  >>> data = {'gray': tf.data.Dataset.from_tensor_slices(images).batch(2)}
  >>> evaluation = tfp_ood.evaluation.evaluate(
  ...     model, [tfp_ood.stats.NegativeLogLikelihood()], data, {}, verbose=False)
  >>> section = extreme_images(evaluation, data, count=2)
  >>> for _, figure in section.tree()['parts']:
  ...   print(figure['caption'], figure['arguments']['images'][:, 0, 0, 0])
  gray: the 2 most likely by log prob. [120 180]
  gray: the 2 least likely by log prob. [  0 240]
  """
  section = reporting.Section(
    f'Most and least likely images, by {title(statistic)}'
  )
  for name, dataset in datasets.items():
    values = evaluation.statistics[name][statistic]
    order = np.argsort(-values, kind='stable')
    for extreme, indices in (
      ('most likely', order[:count]),
      ('least likely', order[::-1][:count]),
    ):
      images = _data.select_examples(dataset, indices)
      arguments = {
        'images': images,
        'num_columns': _COLUMNS,
        'captions': [_short(value) for value in values[indices]],
      }
      caption = f'{name}: the {len(images)} {extreme} by {title(statistic)}'
      if beside is not None:
        arguments = _side_by_side(images, _data.as_pixels(beside(images)))
        caption += ', and to the right what the model makes of them'
      section.add_figure(
        f'{name}_{statistic}_{extreme}',
        reporting.image_grid,
        f'{caption}.',
        **arguments,
      )
  return section


def _short(value):
  return f'{value:.0f}' if abs(value) >= 1_000 else f'{value:.4g}'


def _side_by_side(first, second):
  """Rows of five images and, beside them, the five that belong to them."""
  rows = [
    np.split(images, range(_COLUMNS_BESIDE, len(images), _COLUMNS_BESIDE))
    for images in (first, second)
  ]
  pairs = [np.concatenate(pair) for pair in zip(*rows, strict=True)]
  return {'images': np.concatenate(pairs), 'num_columns': 2 * _COLUMNS_BESIDE}
