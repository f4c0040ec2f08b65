# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Where in an image its likelihood comes from, and what a background leaves of it."""

import numpy as np

from tfp_ood import reporting, stats
from tfp_ood._one_trace import OneTrace
from tfp_ood.evaluation import _data

__all__ = ['likelihood_maps']

_MAP = 'log_prob_map'


def likelihood_maps(
  evaluation, distribution, datasets, background=None, count=8
):
  """Shows the most and least likely images with maps of their log-probability.

  With a background model, the images are the most and least likely by the ratio, and
  the difference of the maps shows what the ratio is made of.

  Args:
    evaluation: `Evaluation` that has `log_prob`, and `background_log_prob` if there
      is a background model.
    distribution: model of images that has the statistic `log_prob_map`, `[height,
      width]` in nats.
    datasets: `dict` of the evaluation's data sets by name, in the same order.
    background: the model of the background, of the same kind, or `None`.
    count: Python `int`, how many images at each end.

  Returns:
    `tfp_ood.reporting.Section`.

  #### Example

  >>> import numpy as np
  >>> import tensorflow as tf
  >>> import tfp_ood
  >>> model = tfp_ood.distributions.pixel_cnn(
  ...     [4, 4, 1], num_filters=4, num_blocks=1, num_levels=1)
  >>> images = np.random.default_rng(0).integers(0, 256, [6, 4, 4, 1], np.uint8)
  >>> data = {'noise': tf.data.Dataset.from_tensors(images)}
  >>> evaluation = tfp_ood.evaluation.evaluate(
  ...     model, [tfp_ood.stats.NegativeLogLikelihood()], data, {}, verbose=False)
  >>> section = likelihood_maps(evaluation, model, data, count=2)
  >>> _, figure = section.tree()['parts'][-1]
  >>> figure['caption']
  'noise: the 2 least likely.'
  """
  by_what = 'likely' if background is None else 'likely by the ratio'
  models = {'log-probability': distribution}
  if background is not None:
    models['of the background'] = background
  functions = {name: _maps_of(model) for name, model in models.items()}
  section = reporting.Section('Where the likelihood comes from')
  section.add_text(
    'Maps of log p(pixel | pixels before it), in nats, brighter where the model finds '
    'the pixel more likely. They sum to the number above the image'
    + (
      '.'
      if background is None
      else ', which is that of the ratio: log p(x) - log p_background(x).'
    )
  )
  for name, dataset in datasets.items():
    values = evaluation.statistics[name]['log_prob'].astype(np.float64)
    if background is not None:
      values = values - evaluation.statistics[name]['background_log_prob']
    order = np.argsort(-values, kind='stable')
    for extreme, indices in (
      ('most', order[:count]),
      ('least', order[::-1][:count]),
    ):
      images = _data.select_examples(dataset, indices)
      maps = {n: _data.in_batches(f, images) for n, f in functions.items()}
      if background is not None:
        maps['the ratio'] = maps['log-probability'] - maps['of the background']
      section.add_figure(
        f'{name}_maps_{extreme}_likely',
        reporting.heat_maps,
        f'{name}: the {len(images)} {extreme} {by_what}.',
        images=images,
        maps_by_name=maps,
        captions=[f'{value:.0f}' for value in values[indices]],
      )
  return section


def _maps_of(distribution):
  """Returns the function from images to maps of their log-probability."""
  statistics = stats.Statistics(distribution)
  return OneTrace(lambda x: statistics(x, [_MAP])[_MAP])
