# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The free energy of a classifier's logits, as a score."""

import tensorflow as tf

from tfp_ood.stats.scores import _logits

__all__ = ['Energy', 'energy']


def energy(logits, temperature=1.0):
  """Free energy: minus the logarithm of a classifier's unnormalized density.

      score = -temperature logsumexp(logits / temperature)

  With `exp(logit_c)` for the joint density of image and class, this is, up to a
  constant, minus the log-density of the image [1]. Unlike the softmax it does
  not saturate where the classifier is sure.

  A logit of +inf scores -inf.

  Args:
    logits: `Tensor` of shape `[..., classes]`.
    temperature: positive Python `float`, in units of the logits. Those of a
      neural rendering model are of the scale of its variance.

  Returns:
    `Tensor` of shape `[...]`, in units of the logits; half precision becomes
    float32.

  Raises:
    ValueError: if `temperature` is not positive.

  #### Example

  >>> import numpy as np
  >>> energy(np.log([[1.0, 3.0], [0.5, 1.5]])).numpy().round(4).tolist()
  [-1.3863, -0.6931]

  #### References

  [1]: Weitang Liu, Xiaoyun Wang, John Owens, Yixuan Li. Energy-based
       Out-of-distribution Detection. _Neural Information Processing Systems_,
       2020. https://arxiv.org/abs/2010.03759
  """
  logits = _logits.tempered(logits, temperature)
  return -temperature * tf.reduce_logsumexp(logits, axis=-1)


class Energy(_logits.ScoreOfLogits):
  """`energy` of the statistic `logits`.

  #### Example

  >>> Energy()({'logits': [[0.0, -100.0], [5.0, -100.0]]}).numpy().tolist()
  [-0.0, -5.0]
  """

  def __call__(self, statistics):
    return energy(statistics[self.statistics[0]], self.temperature)
