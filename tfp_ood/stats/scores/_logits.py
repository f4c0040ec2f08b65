# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""What the scores of a classifier's logits share."""

from tfp_ood.stats.scores import _tensors
from tfp_ood.stats.scores.score import Score

__all__ = ['ScoreOfLogits', 'tempered']


def tempered(logits, temperature):
  """Divides logits by a temperature.

  Args:
    logits: `Tensor` of shape `[..., classes]`.
    temperature: positive Python `float`.

  Returns:
    `Tensor` of the same shape; half precision becomes float32.

  Raises:
    ValueError: if `temperature` is not positive, or there are no classes.
  """
  _check_temperature(temperature)
  logits = _tensors.as_float(logits, 'logits')
  if logits.shape.rank == 0 or logits.shape[-1] == 0:
    raise ValueError(
      '`logits` must have the shape [..., classes] with at least one class, got '
      f'{logits.shape}.'
    )
  return logits / temperature


class ScoreOfLogits(Score):
  """Base class of scores that are a function of tempered logits alone."""

  def __init__(self, temperature=1.0, statistic='logits'):
    """Instantiates the score.

    Args:
      temperature: positive Python `float`, what the logits are divided by.
      statistic: `str`, the name of the logits: `'classifier_logits'` are those of a
        classifier beside the model.

    Raises:
      ValueError: if it is not positive.
    """
    _check_temperature(temperature)
    self._temperature = float(temperature)
    self.statistics = (statistic,)

  @property
  def temperature(self):
    """Python `float`, what the logits are divided by."""
    return self._temperature

  @property
  def description(self):
    """What the score is, a `str`; a `Detector` loads its like alone."""
    return f'{super().description} at temperature {self.temperature}'


def _check_temperature(temperature):
  if not temperature > 0:
    raise ValueError(f'`temperature` must be positive, got {temperature}.')
