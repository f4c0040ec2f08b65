# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Draws of classes that are the same with any number of threads."""

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tfp_ood._seeds import stateless_seed

__all__ = ['Categorical']


class Categorical(tfp.distributions.Categorical):
  """`tfd.Categorical`, whose draws do not depend on the number of threads.

  TensorFlow's own draws depend on the number of threads when there are many draws, and
  differ under XLA. Here a draw is the class with the largest sum of its logit and Gumbel
  noise.

  #### Example

  >>> Categorical(probs=[0., 1.]).sample(3, seed=1).numpy()
  array([1, 1, 1], dtype=int32)

  #### References

  [1]: Chris J. Maddison, Daniel Tarlow, Tom Minka. A* Sampling. In _Neural Information
       Processing Systems_, 2014. https://arxiv.org/abs/1411.0030
  """

  def _sample_n(self, n, seed=None):
    logits = self.logits_parameter()
    if logits.dtype.size < tf.float32.size:
      # Noise of few bits has ties, which always go to the first class.
      logits = tf.cast(logits, tf.float32)
    uniform = tf.random.stateless_uniform(
      tf.concat([[n], tf.shape(logits)], axis=0),
      stateless_seed(seed),
      # Not 0, whose logarithm is infinite.
      minval=np.finfo(logits.dtype.as_numpy_dtype).tiny,
      dtype=logits.dtype,
      alg='philox',
    )
    noise = -tf.math.log(-tf.math.log(uniform))
    return tf.cast(tf.argmax(logits + noise, axis=-1), self.dtype)
