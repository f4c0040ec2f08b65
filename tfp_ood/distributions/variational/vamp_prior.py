# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The variational mixture of posteriors as a prior."""

import math

import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras

from tfp_ood._seeds import stateless_seed
from tfp_ood.distributions._no_parameters import NoParameters
from tfp_ood.distributions.variational._posterior import plain
from tfp_ood.networks.tracking import trackable_parts

__all__ = ['VampPrior']


class VampPrior(tfp.distributions.Distribution, NoParameters):
  """A mixture of an encoder's posteriors of learned pseudo-inputs.

      p(z) = 1/P sum_i q(z | u_i)

  The `P` pseudo-inputs `u_i` are trained with the model, as images scaled to
  `[-1, 1]`, by a hyperbolic tangent. The encoder is that of the variational
  autoencoder; here its batch normalization is always in evaluation mode.

  #### Examples

  >>> import tensorflow as tf
  >>> import tensorflow_probability as tfp
  >>> import tf_keras
  >>> encoder = tf_keras.Sequential([
  ...     tf_keras.layers.Input([8, 8, 3]), tf_keras.layers.Flatten(),
  ...     tf_keras.layers.Dense(8), tfp.layers.IndependentNormal(4)])
  >>> prior = VampPrior(encoder, [8, 8, 3], num_pseudo_inputs=10, seed=1)
  >>> prior.log_prob(tf.zeros([5, 4])).shape
  TensorShape([5])

  #### References

  [1]: Jakub M. Tomczak, Max Welling. VAE with a VampPrior. In _Artificial
       Intelligence and Statistics_, 2018. https://arxiv.org/abs/1705.07120
  """

  def __init__(
    self,
    encoder,
    image_shape,
    num_pseudo_inputs=500,
    seed=None,
    raw_pseudo_inputs=None,
    dtype=tf.float32,
    validate_args=False,
    allow_nan_stats=True,
    name='vamp_prior',
  ):
    """Instantiates the prior.

    Args:
      encoder: network, from images scaled to `[-1, 1]` to distributions of
        latents; see `VariationalAutoencoder`.
      image_shape: `[height, width, channels]`, Python `int`s.
      num_pseudo_inputs: Python `int`, `P`.
      seed: Python `int` or stateless PRNG seed of the first pseudo-inputs.
      raw_pseudo_inputs: `tf.Variable`, the pseudo-inputs before the hyperbolic
        tangent, to be shared with another prior; `copy` does. Default: a new one.
      dtype: floating dtype.
      validate_args: Python `bool`, as in TFP.
      allow_nan_stats: Python `bool`, as in TFP.
      name: Python `str` given to the operations.

    Raises:
      ValueError: if `raw_pseudo_inputs` has another shape.
    """
    parameters = dict(locals())
    with tf.name_scope(name) as name:
      self._encoder = encoder
      self._encoder_parts = trackable_parts(encoder)
      if raw_pseudo_inputs is None:
        noise = tf.random.stateless_normal(
          [num_pseudo_inputs, *image_shape],
          stateless_seed(seed),
          dtype=dtype,
          alg='philox',
        )
        raw_pseudo_inputs = tf.Variable(noise, name='raw_pseudo_inputs')
        # So that a copy has the trained ones.
        parameters['raw_pseudo_inputs'] = raw_pseudo_inputs
      if raw_pseudo_inputs.shape != [num_pseudo_inputs, *image_shape]:
        raise ValueError(
          f'{name}: `raw_pseudo_inputs` must have shape [num_pseudo_inputs, '
          f'*image_shape], {[num_pseudo_inputs, *image_shape]}, got '
          f'{raw_pseudo_inputs.shape}; with `raw_pseudo_inputs=None` there are '
          'new ones.'
        )
      self._raw_pseudo_inputs = raw_pseudo_inputs
      self._latent_shape = self._posteriors().event_shape
      super().__init__(
        dtype=dtype,
        reparameterization_type=tfp.distributions.NOT_REPARAMETERIZED,
        validate_args=validate_args,
        allow_nan_stats=allow_nan_stats,
        parameters=parameters,
        name=name,
      )

  @property
  def pseudo_inputs(self):
    """`[num_pseudo_inputs, height, width, channels]`, in `[-1, 1]`."""
    return tf.tanh(self._raw_pseudo_inputs)

  def _posteriors(self):
    if isinstance(self._encoder, tf_keras.layers.Layer):
      return plain(self._encoder(self.pseudo_inputs, training=False))
    return plain(self._encoder(self.pseudo_inputs))

  def _log_prob(self, latents):
    axis = -1 - self._latent_shape.rank
    log_probs = self._posteriors().log_prob(tf.expand_dims(latents, axis))
    number = self._raw_pseudo_inputs.shape[0]
    return tf.reduce_logsumexp(log_probs, axis=-1) - math.log(number)

  def _sample_n(self, n, seed=None):
    index_seed, sample_seed = tfp.random.split_seed(stateless_seed(seed), n=2)
    number = self._raw_pseudo_inputs.shape[0]
    indices = tf.random.stateless_uniform(
      [n], index_seed, maxval=number, dtype=tf.int32
    )
    # One of each for every draw is cheap beside running the encoder.
    samples = self._posteriors().sample(n, seed=sample_seed)
    return tf.gather(samples, indices, axis=1, batch_dims=1)

  def _event_shape(self):
    return self._latent_shape

  def _event_shape_tensor(self):
    return tf.constant(self._latent_shape.as_list())

  def _batch_shape(self):
    return tf.TensorShape([])

  def _batch_shape_tensor(self):
    return tf.constant([], tf.int32)

  def _default_event_space_bijector(self):
    return tfp.bijectors.Identity()
