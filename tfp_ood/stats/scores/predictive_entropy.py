# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The entropy of a classifier's prediction, as a score."""

import tensorflow as tf

from tfp_ood.stats.scores import _logits

__all__ = ['PredictiveEntropy', 'predictive_entropy']


def predictive_entropy(logits, temperature=1.0):
  """Entropy of a classifier's probabilities.

      score = -sum_c p_c log p_c,    p = softmax(logits / temperature)

  Unlike `max_softmax` it tells a doubt between two classes from one between all.
  Of the logits of an ensemble (`tfp_ood.networks.ClassifierEnsemble`) it is the
  entropy of the mean prediction [1].

  A logit of +inf scores NaN; a class whose logit is -inf has probability zero.

  Args:
    logits: `Tensor` of shape `[..., classes]`.
    temperature: positive Python `float`, in units of the logits. Those of a
      neural rendering model are of the scale of its variance.

  Returns:
    `Tensor` of shape `[...]`, in nats, between 0 and the logarithm of the number
    of classes; half precision becomes float32.

  Raises:
    ValueError: if `temperature` is not positive.

  #### Example

  >>> import numpy as np
  >>> logits = np.log([[0.75, 0.25], [0.5, 0.5]])
  >>> predictive_entropy(logits).numpy().round(4).tolist()
  [0.5623, 0.6931]

  #### References

  [1]: Balaji Lakshminarayanan, Alexander Pritzel, Charles Blundell. Simple and
       Scalable Predictive Uncertainty Estimation using Deep Ensembles. _Neural
       Information Processing Systems_, 2017. https://arxiv.org/abs/1612.01474
  """
  logits = _logits.tempered(logits, temperature)
  log_probs = tf.nn.log_softmax(logits, axis=-1)
  # An impossible class has the logarithm -inf, and no share.
  terms = tf.math.multiply_no_nan(log_probs, tf.exp(log_probs))
  return -tf.reduce_sum(terms, axis=-1)


class PredictiveEntropy(_logits.ScoreOfLogits):
  """`predictive_entropy` of the statistic `logits`.

  #### Example

  >>> import numpy as np
  >>> logits = np.array([[2.0, 2.0], [9.0, -9.0]])
  >>> PredictiveEntropy()({'logits': logits}).numpy().round(4).tolist()
  [0.6931, 0.0]
  """

  def __call__(self, statistics):
    return predictive_entropy(statistics[self.statistics[0]], self.temperature)
