# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The variational autoencoder whose decoder is a flow."""

import tensorflow as tf

from tfp_ood import _content_noise
from tfp_ood._seeds import stateless_seed
from tfp_ood.bijectors.fused import forward_and_log_det
from tfp_ood.distributions.variational.variational_autoencoder import (
  VariationalAutoencoder,
)

__all__ = ['FlowVariationalAutoencoder']

# The noise of an image's latent is for another purpose.
_OF_PIXELS = 1


class FlowVariationalAutoencoder(VariationalAutoencoder):
  """A variational autoencoder of dequantized pixels: the f-VAE.

  The decoder is a conditional flow, `p(y | z)`, a density of continuous pixels.
  As a flow, it has to see continuous values: pixels `x` in `0 .. num_values - 1`
  are dequantized with uniform noise `u` in `[0, 1)`, and

      log_prob(x) = the bound of `VariationalAutoencoder` on log p(y),   y = x + u

  in nats. The density is per pixel value: averaged over `u`, this is a lower
  bound on the log-probability of the discrete image, as that of `ImageFlow`.
  Encoder and decoder both see `y`.

  In `log_prob(x)` the image and `noise_seed` determine `u`;
  `elbo_terms(x, seed=...)` draws it afresh.

  Where the decoder is invertible and the posterior its inverse, blurred as the
  decoder blurs,

      x = g(z) + sigma e,   q(z | x): z = g^{-1}(x - sigma e),   e ~ normal

  the bound is the exact log-likelihood of the flow `g` at `x - sigma e` [1].

  `reconstruct` sends the mean of the decoder's base through the flow: that is no
  mean of images, where the flow bends. `pixel_log_probs` does not exist: pixels
  depend on each other.

  #### Examples

  >>> import tensorflow as tf
  >>> import tfp_ood
  >>> model = tfp_ood.distributions.flow_variational_autoencoder(
  ...     [8, 8, 3], latent_size=4, num_steps=2, coupling_hidden_channels=4, hidden_channels=4)
  >>> images = tf.zeros([5, 8, 8, 3], tf.uint8)
  >>> model.log_prob(images).shape
  TensorShape([5])
  >>> model.sample(2, seed=[1, 2]).dtype
  tf.uint8

  #### References

  [1]: Jianlin Su, Guang Wu. f-VAEs: Improve VAEs with Conditional Flows.
       _arXiv preprint_, 2018. https://arxiv.org/abs/1809.05861
  """

  def _observed(self, images, seed):
    if seed is None:
      keys = _content_noise.content_keys(images, self._noise_seed)
      noise = _content_noise.content_uniform(
        keys, self._image_shape, self._log_prob_dtype, _OF_PIXELS
      )
    else:
      # The latent takes the seed as it is.
      noise = tf.random.stateless_uniform(
        tf.shape(images),
        tf.random.experimental.stateless_fold_in(stateless_seed(seed), 1),
        dtype=self._log_prob_dtype,
        alg='philox',
      )
    return tf.cast(images, self._log_prob_dtype) + noise

  def _center(self, likelihood):
    center, _ = forward_and_log_det(
      likelihood.bijector, likelihood.distribution.mean()
    )
    # A pixel value stands for the interval of length one above it.
    return center - 0.5

  def _quantized(self, pixels):
    return super()._quantized(tf.floor(pixels))
