# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""How sure a classifier is of its class, as a score."""

import tensorflow as tf

from tfp_ood.stats.scores import _logits

__all__ = ['MaxSoftmax', 'max_softmax']


def max_softmax(logits, temperature=1.0):
  """Minus the probability of a classifier's most probable class.

      score = -max_c softmax(logits / temperature)_c

  The usual baseline for classifiers [1]. Where a classifier is sure of nearly
  all images, all score -1 within rounding: a higher temperature spreads them.

  A logit of +inf scores NaN; a class whose logit is -inf has probability zero.

  Args:
    logits: `Tensor` of shape `[..., classes]`.
    temperature: positive Python `float`, in units of the logits. Those of a
      neural rendering model are of the scale of its variance.

  Returns:
    `Tensor` of shape `[...]`, between -1 and 0; half precision becomes float32.

  Raises:
    ValueError: if `temperature` is not positive.

  #### Example

  >>> import numpy as np
  >>> logits = np.log([[0.75, 0.25], [0.5, 0.5]])
  >>> max_softmax(logits).numpy().round(6).tolist()
  [-0.75, -0.5]

  #### References

  [1]: Dan Hendrycks, Kevin Gimpel. A Baseline for Detecting Misclassified and
       Out-of-Distribution Examples in Neural Networks. _International Conference
       on Learning Representations_, 2017. https://arxiv.org/abs/1610.02136
  """
  logits = _logits.tempered(logits, temperature)
  return -tf.reduce_max(tf.nn.softmax(logits, axis=-1), axis=-1)


class MaxSoftmax(_logits.ScoreOfLogits):
  """`max_softmax` of the statistic `logits`.

  Of the statistic `classifier_perturbed_logits`, it is the score of ODIN [1], whose
  step and temperature are arguments of `ImageClassifier` and `SequenceClassifier` in
  `tfp_ood.networks`:

      classifier = ImageClassifier(network, perturbation=0.0014, temperature=1000.0)
      score = MaxSoftmax(1000.0, statistic='classifier_perturbed_logits')
      Detector(model, score, classifier=classifier)

  #### Example

  >>> MaxSoftmax()({'logits': [[2.0, 2.0], [-1.0, -1.0]]}).numpy().tolist()
  [-0.5, -0.5]

  #### References

  [1]: Shiyu Liang, Yixuan Li, R. Srikant. Enhancing The Reliability of
       Out-of-distribution Image Detection in Neural Networks. _International
       Conference on Learning Representations_, 2018.
       https://arxiv.org/abs/1706.02690
  """

  def __call__(self, statistics):
    return max_softmax(statistics[self.statistics[0]], self.temperature)
