# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The base class of scores."""

import abc

__all__ = ['Score']


class Score(abc.ABC):
  """A number for each example, from its statistics: larger = more OOD.

  `Statistics` computes statistics of images, each once; a score says in
  `statistics` which of them it reads, may learn something from those of
  in-distribution examples in `fit`, and is then a function of them. Its
  formula is also there as a plain function of tensors, such as
  `tfp_ood.stats.typicality`.

  Subclasses set `statistics` and define `__call__`. What `fit` learns is listed
  in `_learned`, names of attributes which are arrays, and `None` before.

  #### Example

  >>> import tensorflow as tf
  >>> class BitsAbove(Score):
  ...   '''Bits per dimension above those of the worst image known.'''
  ...   statistics = ('bits_per_dim',)
  ...   _learned = ('worst',)
  ...   worst = None
  ...   def fit(self, statistics):
  ...     self.worst = max(statistics['bits_per_dim'])
  ...     return self
  ...   def __call__(self, statistics):
  ...     self._check_is_fitted()
  ...     return tf.constant(statistics['bits_per_dim']) - self.worst
  >>> score = BitsAbove().fit({'bits_per_dim': [3.0, 3.5]})
  >>> score({'bits_per_dim': [3.25, 4.0]}).numpy().tolist()
  [-0.25, 0.5]
  """

  statistics = ()
  _learned = ()

  def fit(self, statistics):
    """Learns from in-distribution examples; most scores have nothing to learn.

    Args:
      statistics: `dict` from the names in `self.statistics` to arrays whose
        first axis is the examples.

    Returns:
      The score itself.
    """
    del statistics
    return self

  @abc.abstractmethod
  def __call__(self, statistics):
    """Scores examples.

    Args:
      statistics: `dict` from the names in `self.statistics` to `Tensor`s whose
        first axis is the examples.

    Returns:
      Floating-point `Tensor` of shape `[batch]`.
    """

  @property
  def description(self):
    """What the score is, a `str`; a `Detector` loads its like alone."""
    return f'{type(self).__name__}({", ".join(self.statistics)})'

  @property
  def learns(self):
    """Whether `fit` has anything to learn."""
    return bool(self._learned)

  @property
  def is_fitted(self):
    """Whether all that is to be learned has been."""
    return all(getattr(self, name) is not None for name in self._learned)

  def get_state(self):
    """Returns what was learned, a `dict` of arrays."""
    return {name: getattr(self, name) for name in self._learned}

  def set_state(self, state):
    """Takes over what another score of the same kind has learned."""
    for name in self._learned:
      setattr(self, name, state[name])

  def _check_is_fitted(self):
    if not self.is_fitted:
      raise ValueError(
        f'{type(self).__name__}: call `fit` with statistics of in-distribution '
        'examples first.'
      )
