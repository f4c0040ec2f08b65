# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Statistics of examples under models, from which scores are made."""

import tensorflow as tf

from tfp_ood import _protocol
from tfp_ood.stats._model_statistics import ModelStatistics
from tfp_ood.stats.compression import (
  compressed_bits_per_dim,
  png_bits_per_dim,
)

__all__ = ['Statistics']

_OF_IMAGES = {
  'png_bits_per_dim': png_bits_per_dim,
  'compressed_bits_per_dim': compressed_bits_per_dim,
}


class Statistics:
  """Named statistics of examples under models, each computed once.

  Scores are made of a few statistics and share most of them. Asked for several,
  this runs every model once:

  | name | from | what it is |
  |---|---|---|
  | `log_prob` | the model | log-probability, nats |
  | `bits_per_dim` | the model | the same in bits per dimension |
  | `score_norm` | the model | norm of its gradient by the example |
  | others | the model | those of its own `statistics_names` |
  | `background_log_prob` | `background` | log-probability, nats |
  | `ensemble_log_probs` | `ensemble` | log-probabilities, `[batch, members]` |
  | `png_bits_per_dim` | the image | size as PNG, in the graph |
  | `compressed_bits_per_dim` | the image | best of several, by Pillow |
  | others | `statistics` | a user's own |

  A model is any object with `log_prob(x)`, such as a TFP distribution over images
  or sequences. One that can say more of an example has a property
  `statistics_names` and a method `statistics(x, names)`, as the models of
  `tfp_ood.distributions` have: their docstrings list the names. A model with a
  method `check(x)` decides what it takes; without one, examples must be finite and
  are cast to its `dtype`.

  `score_norm` exists for models that are differentiable by the example: by a
  property `is_differentiable`, or else a floating `dtype`.

  #### Example

  >>> import tensorflow as tf
  >>> import tensorflow_probability as tfp
  >>> normal = tfp.distributions.Sample(
  ...     tfp.distributions.Normal(128., 50.), [8, 8, 3])
  >>> statistics = Statistics(
  ...     normal, statistics={'mean': lambda x: tf.reduce_mean(x, [1, 2, 3])})
  >>> images = tf.zeros([5, 8, 8, 3])
  >>> values = statistics(images, ['log_prob', 'png_bits_per_dim', 'mean'])
  >>> [value.shape for value in values.values()]
  [TensorShape([5]), TensorShape([5]), TensorShape([5])]
  """

  def __init__(
    self, distribution, background=None, ensemble=(), statistics=None
  ):
    """Instantiates the statistics.

    Args:
      distribution: the model of the in-distribution examples.
      background: the model of the background; see `likelihood_ratio`.
      ensemble: models of the in-distribution examples, for `waic`.
      statistics: `dict` from names to a user's own statistics: functions of a
        batch of examples to `Tensor`s whose first axis is the batch, or pairs of
        a model and the name of one of its statistics.

    Raises:
      ValueError: if a user's statistic has a name that there is already.
    """
    self.distribution = distribution
    self.background = background
    self.ensemble = tuple(ensemble)
    self._model = ModelStatistics(distribution)
    self._functions = {}
    # From names to pairs of a model and the name of its statistic.
    self._of_models = {name: (distribution, name) for name in self._model.names}
    if background is not None:
      self._of_models['background_log_prob'] = (background, 'log_prob')
    if _may_be_image(self.event_shape):
      self._functions |= _OF_IMAGES
    for name, source in (statistics or {}).items():
      if name in self.names:
        raise ValueError(
          f'Statistics: there is a statistic {name!r} already; give yours '
          'another name.'
        )
      if callable(source):
        self._functions[name] = source
      else:
        self._of_models[name] = tuple(source)

  @property
  def models(self):
    """All models, each once, in a fixed order."""
    models = [
      self.distribution,
      self.background,
      *self.ensemble,
      *(model for model, _ in self._of_models.values()),
    ]
    return list({id(m): m for m in models if m is not None}.values())

  @property
  def names(self):
    """Names of the statistics that can be computed, a tuple."""
    ensemble = ['ensemble_log_probs'] if len(self.ensemble) >= 2 else []
    return (*self._of_models, *ensemble, *self._functions)

  @property
  def event_shape(self):
    """`TensorShape` of one example; of unknown rank if the model has none."""
    return self._model.event_shape

  def models_of(self, name):
    """The models that a statistic comes from.

    Args:
      name: `str`.

    Returns:
      List of models, empty where the example alone decides; `None` for a user's
      function, of which nobody knows.
    """
    if name == 'ensemble_log_probs':
      return list(self.ensemble)
    if name in self._of_models:
      return [self._of_models[name][0]]
    return [] if name in _OF_IMAGES else None

  def check_names(self, names):
    """Raises unless all statistics named can be computed.

    Args:
      names: iterable of `str`.

    Raises:
      ValueError: if one is unknown, or its model was not given.
    """
    for name in names:
      if name not in self.names:
        hint = _HINTS.get(name, '')
        raise ValueError(
          f'Statistics: there is no statistic {name!r}{hint}. There are '
          f'{", ".join(self.names)}.'
        )

  def check(self, x):
    """Returns examples as a batch that the model takes, or raises.

    Args:
      x: array-like, `[batch, ...event]`.

    Returns:
      `Tensor` of shape `[batch, *event_shape]`, to be used in the place of `x`: a
      graph checks shape and values, as far as it does not know them, before it
      goes on.

    Raises:
      ValueError: if `x` has another shape, or values that the model does not take.
        A graph raises `tf.errors.InvalidArgumentError`.
    """
    x = tf.convert_to_tensor(x, name='x')
    shape = tf.TensorShape([None]).concatenate(self.event_shape)
    rank = x.shape.rank
    if rank is None or rank < 2 or not x.shape.is_compatible_with(shape):
      raise ValueError(
        'Statistics: the examples must be a batch, '
        f'{shape if shape.rank else "[batch, ...event]"}; got shape {x.shape}.'
      )
    if shape.rank is not None:
      x = tf.ensure_shape(x, shape)
    return _protocol.check(self.distribution, x)

  def __call__(self, x, names):
    """Computes statistics.

    Args:
      x: `Tensor` of examples, `[batch, ...event]`, such as images of raw pixels;
        the batch of any size.
      names: iterable of names of statistics.

    Returns:
      `dict` from each name to a `Tensor`, of shape `[batch]` where the name says
      nothing else.

    Raises:
      ValueError: if a statistic is unknown or its model was not given, or `x` is
        not a batch of examples. A graph raises `tf.errors.InvalidArgumentError`
        where the values are at fault.
    """
    names = tuple(names)
    self.check_names(names)
    x = self.check(x)
    values = {}
    for model in self.models:
      # Together, what one model says under one or several names.
      its_names = {
        name: self._of_models[name][1]
        for name in names
        if name in self._of_models and self._of_models[name][0] is model
      }
      if its_names:
        found = ModelStatistics(model)(x, dict.fromkeys(its_names.values()))
        values |= {name: found[its] for name, its in its_names.items()}
    if 'ensemble_log_probs' in names:
      values['ensemble_log_probs'] = tf.stack(
        [
          ModelStatistics(member)(x, ['log_prob'])['log_prob']
          for member in self.ensemble
        ],
        axis=-1,
      )
    for name in names:
      if name in self._functions:
        values[name] = tf.convert_to_tensor(self._functions[name](x), name=name)
    return {name: values[name] for name in names}


_HINTS = {
  'background_log_prob': ', which needs the argument `background`',
  'ensemble_log_probs': (
    ', which needs at least two models in the argument `ensemble`'
  ),
  'score_norm': (
    ': the log-probability of this model is not differentiable by the example'
  ),
}


def _may_be_image(shape):
  return shape.rank is None or (shape.rank == 3 and 1 <= shape[-1] <= 4)
