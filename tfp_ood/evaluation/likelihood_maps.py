# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Where in an example its likelihood comes from, and what a background leaves of it."""

import collections

import numpy as np

from tfp_ood import reporting, stats
from tfp_ood.evaluation import _data

__all__ = ['likelihood_maps', 'sequence_maps']

_MAP = 'log_prob_map'
_ROW_HEIGHT = 4


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
  section = _section(
    'Where the likelihood comes from',
    'Maps of log p(pixel | pixels before it), in nats, brighter where the model finds '
    'the pixel more likely. They sum to the number above the image',
    background,
  )
  for name, extreme, kind, found in _extremes(
    evaluation, distribution, datasets, background, count
  ):
    section.add_figure(
      f'{name}_maps_{extreme}_likely',
      reporting.heat_maps,
      f'{name}: the {len(found.examples)} {kind}.',
      images=found.examples,
      maps_by_name=found.maps,
      captions=[f'{value:.0f}' for value in found.values],
    )
  return section


def sequence_maps(evaluation, distribution, datasets, background=None, count=8):
  """Shows the most and least likely sequences with their log-probability by position.

  As `likelihood_maps`, of sequences: each is a row.

  Args:
    evaluation: `Evaluation` that has `log_prob`, and `background_log_prob` if there
      is a background model.
    distribution: model of sequences of whole numbers that has the statistic
      `log_prob_map`, `[length]` in nats.
    datasets: `dict` of the evaluation's data sets by name, in the same order.
    background: the model of the background, of the same kind, or `None`.
    count: Python `int`, how many sequences at each end.

  Returns:
    `tfp_ood.reporting.Section`.

  #### Example

  >>> import numpy as np
  >>> import tensorflow as tf
  >>> import tfp_ood
  >>> model = tfp_ood.distributions.sequence_model(8, num_units=4, num_context=1)
  >>> reads = np.random.default_rng(0).integers(0, 4, [6, 8], np.int32)
  >>> data = {'random': tf.data.Dataset.from_tensors(reads)}
  >>> evaluation = tfp_ood.evaluation.evaluate(
  ...     model, [tfp_ood.stats.NegativeLogLikelihood()], data, {}, verbose=False)
  >>> section = sequence_maps(evaluation, model, data, count=2)
  >>> _, figure = section.tree()['parts'][-1]
  >>> figure['caption']
  'random: the 2 least likely, one in a row.'
  """
  section = _section(
    'Where the likelihood of a sequence comes from',
    'Each row is a sequence. Above, a gray level for each of its values; below, '
    'log p(element | elements before it), in nats, brighter where the model finds it '
    'more likely; its sum over the row is what the rows are ordered by',
    background,
  )
  for name, extreme, kind, found in _extremes(
    evaluation, distribution, datasets, background, count
  ):
    levels = found.examples - found.examples.min()
    gray = 255 * levels // max(levels.max(), 1)
    section.add_figure(
      f'{name}_maps_{extreme}_likely',
      reporting.heat_maps,
      f'{name}: the {len(found.examples)} {kind}, one in a row.',
      images=_as_image(gray)[..., np.newaxis].astype(np.uint8),
      maps_by_name={n: _as_image(values) for n, values in found.maps.items()},
    )
  return section


class _Extreme(
  collections.namedtuple('_Extreme', ['examples', 'values', 'maps'])
):
  """Examples, what they are ordered by, and their maps by name."""


def _section(title, text, background):
  section = reporting.Section(title)
  section.add_text(
    text
    + (
      '.'
      if background is None
      else ', which is that of the ratio: log p(x) - log p_background(x).'
    )
  )
  return section


def _extremes(evaluation, distribution, datasets, background, count):
  """Yields names of data sets, `'most'` or `'least'`, in words, an `_Extreme`."""
  by_what = 'likely' if background is None else 'likely by the ratio'
  models = {'log-probability': distribution}
  if background is not None:
    models['of the background'] = background
  functions = {name: _maps_of(model) for name, model in models.items()}
  for name, dataset in datasets.items():
    values = evaluation.statistics[name]['log_prob'].astype(np.float64)
    if background is not None:
      values = values - evaluation.statistics[name]['background_log_prob']
    order = np.argsort(-values, kind='stable')
    for extreme, indices in (
      ('most', order[:count]),
      ('least', order[::-1][:count]),
    ):
      examples = _data.select_examples(dataset, indices)
      maps = {n: _data.in_batches(f, examples) for n, f in functions.items()}
      if background is not None:
        maps['the ratio'] = maps['log-probability'] - maps['of the background']
      yield (
        name,
        extreme,
        f'{extreme} {by_what}',
        _Extreme(examples, values[indices], maps),
      )


def _as_image(rows):
  """Rows of numbers as one image, high enough to be seen: `[1, height, width]`."""
  return np.repeat(rows, _ROW_HEIGHT, axis=0)[np.newaxis]


def _maps_of(distribution):
  """Returns the function from examples to maps of their log-probability."""
  statistics = stats.Statistics(distribution)
  return lambda x: statistics(x, [_MAP])[_MAP]
