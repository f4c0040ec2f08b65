# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""What one model says of examples, whatever kind of model it is."""

from tfp_ood import _protocol
from tfp_ood.stats.metrics.bits_per_dim import bits_per_dim
from tfp_ood.stats.scores.score_norm import log_prob_and_score_norm

__all__ = ['ModelStatistics']

_OF_LOG_PROB = ('log_prob', 'bits_per_dim', 'score_norm')


class ModelStatistics:
  """The statistics of one model: its own, and those that follow from `log_prob`."""

  def __init__(self, model):
    """Instantiates the statistics of `model`."""
    self._model = model
    self._own_names = _protocol.statistics_names(model)

  @property
  def names(self):
    """Names of the statistics, a tuple."""
    names = ['log_prob']
    if self.event_shape.is_fully_defined():
      names.append('bits_per_dim')
    if _protocol.is_differentiable(self._model):
      names.append('score_norm')
    return tuple(dict.fromkeys([*names, *self._own_names]))

  @property
  def event_shape(self):
    """`TensorShape` of one example; of unknown rank if the model has none."""
    return _protocol.event_shape(self._model)

  def __call__(self, x, names):
    """Computes statistics.

    Args:
      x: `Tensor` of examples, `[batch, ...event]`, as `_protocol.check` returns
        them.
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
