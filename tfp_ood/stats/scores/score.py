# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The base class of scores."""

import abc

__all__ = ['Score']


class Score(abc.ABC):
  """A number for each example, from its statistics: larger = more OOD.

  `Statistics` computes statistics of examples, each once. A score names those
  that it reads, may learn something from those of in-distribution examples, and is
  then a function of them. A subclass

  * sets `statistics`, a tuple of names: of the model's own statistics, of those
    that every model has (see `Statistics`), or of a user's;
  * defines `__call__`, from a `dict` of them to a tensor `[batch]`, by TensorFlow
    operations if it is to run in a graph and to be exported. Each example counts by
    itself, whatever else is in the batch;
  * if it learns, defines `fit` and lists in `learned` the attributes that `fit`
    sets: arrays or numbers, `None` before. They are all that is saved. `__call__`
    begins with `self.check_is_fitted()`;
  * if its arguments change what it computes, overrides `description`, by which a
    `Detector` knows its like when it loads.

  `tfp_ood.testing.check_score` puts a subclass to the test.

  #### Example

  >>> import tensorflow as tf
  >>> class BitsAbove(Score):
  ...   '''Bits per dimension above those of the worst image known.'''
  ...   statistics = ('bits_per_dim',)
  ...   learned = ('worst',)
  ...   worst = None
  ...   def fit(self, statistics):
  ...     self.worst = max(statistics['bits_per_dim'])
  ...     return self
  ...   def __call__(self, statistics):
  ...     self.check_is_fitted()
  ...     bits = tf.convert_to_tensor(statistics['bits_per_dim'])
  ...     return bits - self.worst
  >>> score = BitsAbove().fit({'bits_per_dim': [3.0, 3.5]})
  >>> score({'bits_per_dim': [3.25, 4.0]}).numpy().tolist()
  [-0.25, 0.5]
  """

  statistics = ()
  learned = ()

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
    return bool(self.learned)

  @property
  def is_fitted(self):
    """Whether all that is to be learned has been."""
    return all(getattr(self, name) is not None for name in self.learned)

  def get_state(self):
    """Returns what was learned, a `dict` of arrays."""
    return {name: getattr(self, name) for name in self.learned}

  def set_state(self, state):
    """Takes over what another score of the same kind has learned."""
    for name in self.learned:
      setattr(self, name, state[name])

  def check_is_fitted(self):
    """Raises `ValueError` if there is something left to learn."""
    if not self.is_fitted:
      raise ValueError(
        f'{type(self).__name__}: call `fit` with statistics of in-distribution '
        'examples first.'
      )
