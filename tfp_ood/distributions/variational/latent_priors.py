# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Trainable priors of latent vectors."""

import tensorflow as tf
import tensorflow_probability as tfp

from tfp_ood._seeds import stateless_seed
from tfp_ood.distributions.categorical import Categorical
from tfp_ood.networks.masked_network import masked_network

__all__ = ['autoregressive_flow_prior', 'normal_mixture_prior']

tfb = tfp.bijectors
tfd = tfp.distributions


def normal_mixture_prior(
  latent_size,
  num_components=10,
  seed=None,
  dtype=tf.float32,
  name='normal_mixture_prior',
):
  """Returns a mixture of diagonal normal distributions, all of it trainable.

  Args:
    latent_size: Python `int`.
    num_components: Python `int`.
    seed: Python `int` or stateless PRNG seed; locations start at draws from a
      standard normal distribution.
    dtype: floating dtype.
    name: Python `str`, the name of the distribution.

  Returns:
    `tfd.MixtureSameFamily` over vectors.

  #### Example

  >>> prior = normal_mixture_prior(4, num_components=3, seed=1)
  >>> prior.event_shape, len(prior.trainable_variables)
  (TensorShape([4]), 3)
  """
  shape = [num_components, latent_size]
  locations = tf.random.stateless_normal(
    shape, stateless_seed(seed), dtype=dtype, alg='philox'
  )
  loc = tf.Variable(locations, name='loc')
  log_scale = tf.Variable(tf.zeros(shape, dtype), name='log_scale')
  logits = tf.Variable(tf.zeros([num_components], dtype), name='logits')
  scale = tfp.util.DeferredTensor(log_scale, tf.exp)
  return tfd.MixtureSameFamily(
    Categorical(logits=logits),
    tfd.Independent(tfd.Normal(loc, scale), 1),
    name=name,
  )


def autoregressive_flow_prior(
  latent_size,
  hidden_units=(64,),
  seed=0,
  dtype=tf.float32,
  name='autoregressive_flow_prior',
):
  """Returns a standard normal bent by a masked autoregressive flow.

  Densities take one pass of the network, samples as many as there are
  dimensions.

  Args:
    latent_size: Python `int`.
    hidden_units: Python `int`s, the widths of the masked network.
    seed: Python `int`, of its weights.
    dtype: floating dtype.
    name: Python `str`, the name of the distribution.

  Returns:
    `tfd.TransformedDistribution` over vectors.

  #### Example

  >>> prior = autoregressive_flow_prior(4, hidden_units=[8], seed=1)
  >>> prior.event_shape, len(prior.trainable_variables)
  (TensorShape([4]), 4)
  """
  network = masked_network(latent_size, hidden_units, seed, dtype)
  base = tfd.Sample(
    tfd.Normal(tf.zeros([], dtype), tf.ones([], dtype)), [latent_size]
  )
  return tfd.TransformedDistribution(
    base, tfb.MaskedAutoregressiveFlow(network), name=name
  )
