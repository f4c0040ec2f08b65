# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Distance from the typical set, for one example."""

import numpy as np
import tensorflow as tf

from tfp_ood.stats.scores import _tensors
from tfp_ood.stats.scores.score import Score

__all__ = ['Typicality', 'typicality']


def typicality(log_prob, entropy):
  """Distance of an example's surprise from the entropy of the model.

      score = |-log p(x) - H|

  Samples of a high-dimensional distribution have nearly all the same
  log-probability, -H. An example much *more* likely than that is as untypical
  as one much less likely: a constant image under a Glow, or the mode of a
  Gaussian. `TypicalityTest` is the hypothesis test of this, for batches.

  `log_prob` of -inf or +inf scores +inf.

  Args:
    log_prob: `Tensor` of any shape, in nats.
    entropy: Scalar, in nats: the mean of `-log p(x)` over examples of the
      training data.

  Returns:
    `Tensor` of the shape of `log_prob`, in nats; half precision becomes
    float32.

  #### Example

  >>> typicality([-90., -100., -110.], entropy=100.).numpy().tolist()
  [10.0, 0.0, 10.0]

  #### References

  [1]: Eric Nalisnick, Akihiro Matsukawa, Yee Whye Teh, Balaji Lakshminarayanan.
       Detecting out-of-distribution inputs to deep generative models using
       typicality. 2019. https://arxiv.org/abs/1906.02994
  """
  log_prob = _tensors.as_float(log_prob, 'log_prob')
  # Without the hint a Python float would pass through float32.
  entropy = tf.convert_to_tensor(entropy, dtype_hint=log_prob.dtype)
  return tf.abs(-log_prob - tf.cast(entropy, log_prob.dtype))


class Typicality(Score):
  """`typicality` of the statistic `log_prob`; `fit` learns the entropy.

  #### Example

  >>> score = Typicality().fit({'log_prob': [-90., -110.]})
  >>> score({'log_prob': [-90., -100., -130.]}).numpy().tolist()
  [10.0, 0.0, 30.0]
  """

  statistics = ('log_prob',)
  learned = ('entropy',)

  def __init__(self, entropy=None):
    """Instantiates the score.

    Args:
      entropy: `float`, in nats; `None` for `fit` to estimate it.
    """
    self.entropy = entropy

  def fit(self, statistics):
    """Takes the mean of `-log_prob` for the entropy.

    Args:
      statistics: `dict` with `log_prob` of in-distribution examples, `[n]`.

    Returns:
      The score itself.

    Raises:
      ValueError: if there are no examples, or one has no finite `log_prob`.
    """
    log_prob = np.asarray(statistics['log_prob'], np.float64)
    if not log_prob.size or not np.all(np.isfinite(log_prob)):
      raise ValueError(
        'Typicality: the entropy is the mean of `-log_prob` over '
        f'in-distribution examples; of {log_prob.size} given, '
        f'{np.count_nonzero(~np.isfinite(log_prob))} are not finite.'
      )
    self.entropy = np.mean(-log_prob)
    return self

  def __call__(self, statistics):
    self.check_is_fitted()
    return typicality(statistics['log_prob'], self.entropy)
