# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""What one model says of examples, whatever kind of model it is."""

import tensorflow as tf

from tfp_ood._checks import check_finite
from tfp_ood.stats.metrics.bits_per_dim import bits_per_dim
from tfp_ood.stats.scores.score_norm import log_prob_and_score_norm

__all__ = ['ModelStatistics']

_OF_LOG_PROB = ('log_prob', 'bits_per_dim', 'score_norm')


class ModelStatistics:
  """The statistics of one model: its own, and those that follow from `log_prob`.

  Every model has `log_prob(x)`. One with `statistics_names` and
  `statistics(x, names)` has more; if it names `'log_prob'` among them it gives that
  too, in the same pass or in the place of a `log_prob` that means something else.
  """

  def __init__(self, model):
    """Instantiates the statistics of `model`."""
    self._model = model
    self._own_names = tuple(getattr(model, 'statistics_names', ()))

  @property
  def names(self):
    """Names of the statistics, a tuple."""
    has_size = self.event_shape.is_fully_defined()
    return tuple(
      dict.fromkeys(
        [
          'log_prob',
          *(['bits_per_dim'] if has_size else []),
          *(['score_norm'] if self._is_differentiable else []),
          *self._own_names,
        ]
      )
    )

  @property
  def event_shape(self):
    """`TensorShape` of one example; of unknown rank if the model has none."""
    # That of a joint distribution would be of all its parts.
    shape = getattr(self._model, 'image_shape', None)
    if shape is None:
      shape = getattr(self._model, 'event_shape', None)
    return tf.TensorShape(shape)

  @property
  def dtypes(self):
    """The dtypes of examples that an exported model has to take, a tuple."""
    dtype = getattr(self._model, 'dtype', None)
    if isinstance(dtype, tf.DType) and dtype.is_integer and dtype != tf.uint8:
      return (dtype,)
    return (tf.uint8, tf.float32)

  def check(self, x):
    """Returns examples as a batch that the model takes, or raises.

    A model says itself what it takes by a method `check`; of another, floating
    examples must be finite, and are cast to the dtype of the model.

    Args:
      x: `Tensor` of shape `[batch, ...event]`.

    Returns:
      `Tensor`, to be used in the place of `x`.
    """
    if hasattr(self._model, 'check'):
      return self._model.check(x)
    x = check_finite(x, 'Statistics: the examples')
    dtype = getattr(self._model, 'dtype', None)
    return tf.cast(x, dtype) if isinstance(dtype, tf.DType) else x

  def __call__(self, x, names):
    """Computes statistics.

    Args:
      x: what `check` returned.
      names: collection of names.

    Returns:
      `dict` of `Tensor`s.
    """
    own = [name for name in names if name in self._own_names]
    values = {}
    if not set(names).isdisjoint(_OF_LOG_PROB):
      values, own = self._of_log_prob(x, own, 'score_norm' in names)
    if own:
      values.update(self._model.statistics(x, own))
    if 'bits_per_dim' in names:
      values['bits_per_dim'] = bits_per_dim(
        values['log_prob'], self.event_shape.num_elements()
      )
    return {name: values[name] for name in names}

  def _of_log_prob(self, x, own, with_norm):
    """Returns the log-probability, what comes with it, and what is still left."""
    if 'log_prob' in self._own_names:
      together, own = list(dict.fromkeys(['log_prob', *own])), []

      def function(x):
        return self._model.statistics(x, together)
    else:

      def function(x):
        return {'log_prob': self._model.log_prob(x)}

    if not with_norm:
      return function(x), own
    values, norm = log_prob_and_score_norm(function, x)
    return {**values, 'score_norm': norm}, own

  @property
  def _is_differentiable(self):
    if hasattr(self._model, 'is_differentiable'):
      return self._model.is_differentiable
    # One that does not say what it is over is taken at its word.
    dtype = getattr(self._model, 'dtype', tf.float32)
    return isinstance(dtype, tf.DType) and dtype.is_floating
