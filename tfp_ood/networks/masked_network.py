# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The masked network inside autoregressive flows of latent vectors."""

import tensorflow_probability as tfp
import tf_keras

__all__ = ['masked_network']

_DEVIATION = 0.05


def masked_network(size, hidden_units=(64,), seed=0, dtype='float32'):
  """A masked network whose flow starts near the identity.

  Args:
    size: Python `int`, the length of the vectors.
    hidden_units: Python `int`s, the widths of the hidden layers.
    seed: Python `int`, of the weights.
    dtype: floating dtype.

  Returns:
    Built `tfp.bijectors.AutoregressiveNetwork`, from `[..., size]` to shift and
    log-scale, `[..., size, 2]`.

  #### Examples

  >>> import tensorflow as tf
  >>> masked_network(4, hidden_units=[8])(tf.zeros([5, 4])).shape
  TensorShape([5, 4, 2])

  #### References

  [1]: Mathieu Germain, Karol Gregor, Iain Murray, Hugo Larochelle. MADE: Masked
       Autoencoder for Distribution Estimation. In _International Conference on
       Machine Learning_, 2015. https://arxiv.org/abs/1502.03509
  """
  network = tfp.bijectors.AutoregressiveNetwork(
    params=2,
    event_shape=[size],
    hidden_units=list(hidden_units),
    activation='relu',
    kernel_initializer=tf_keras.initializers.RandomNormal(
      0.0, _DEVIATION, seed
    ),
    dtype=dtype,
  )
  network.build([None, size])
  return network
