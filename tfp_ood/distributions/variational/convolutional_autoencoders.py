# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Convolutional autoencoders of raw pixels, ready to train."""

import tensorflow_probability as tfp
import tf_keras

from tfp_ood.distributions.variational.autoencoder import Autoencoder
from tfp_ood.distributions.variational.flow_decoder_layer import (
  FlowDecoderLayer,
)
from tfp_ood.distributions.variational.flow_variational_autoencoder import (
  FlowVariationalAutoencoder,
)
from tfp_ood.distributions.variational.latent_priors import (
  autoregressive_flow_prior,
  normal_mixture_prior,
)
from tfp_ood.distributions.variational.pixel_likelihoods import pixel_likelihood
from tfp_ood.distributions.variational.posterior_layers import posterior_layer
from tfp_ood.distributions.variational.vamp_prior import VampPrior
from tfp_ood.distributions.variational.variational_autoencoder import (
  VariationalAutoencoder,
)
from tfp_ood.networks.convolutional_autoencoder import (
  convolutional_decoder,
  convolutional_encoder,
)
from tfp_ood.pretrained.factories import with_weights

__all__ = [
  'PRIORS',
  'autoencoder',
  'flow_variational_autoencoder',
  'variational_autoencoder',
]

tfd = tfp.distributions

PRIORS = ('standard_normal', 'mixture', 'vamp', 'flow')


@with_weights
def variational_autoencoder(
  image_shape,
  latent_size,
  likelihood='gaussian',
  likelihood_scale=25.5,
  posterior='diagonal',
  prior='standard_normal',
  hidden_channels=64,
  batch_normalization=True,
  num_values=256,
  seed=0,
  name='variational_autoencoder',
  **kwargs,
):
  """Returns a `VariationalAutoencoder` of networks as in DCGAN.

  Args:
    image_shape: `[height, width, channels]`, Python `int`s; the sides must be
      even and above four.
    latent_size: Python `int`.
    likelihood: the distribution of a pixel; one of `gaussian`,
      `learned_gaussian`, `categorical` and `discretized_logistic`. By a Gaussian
      one, `log_prob` is a density over pixel values.
    likelihood_scale: Python `float`, the deviation of `gaussian` in pixel values.
    posterior: `diagonal`, `full`, `inverse_autoregressive` or
      `conditional_coupling`.
    prior: `standard_normal`, `mixture`, `vamp` or `flow`, the last three
      trainable.
    hidden_channels: Python `int`, the channels of the largest feature maps.
    batch_normalization: Python `bool`.
    num_values: Python `int`; pixels are `0 .. num_values - 1`.
    seed: Python `int`, of all weights.
    name: Python `str`, the name of the distribution.
    weights: the name of bundled weights, such as `'cifar10'`, for a trained model, or
      the path of a file of `tfp_ood.pretrained.write_weights`. The other arguments,
      but for those of `VariationalAutoencoder`, are then to be left out.
    **kwargs: passed to `VariationalAutoencoder`.

  Returns:
    `VariationalAutoencoder` over raw pixels.

  Raises:
    ValueError: if a name is unknown or images are too small.

  #### Examples

  >>> import tfp_ood
  >>> vae = tfp_ood.distributions.variational_autoencoder(
  ...     [32, 32, 3], latent_size=8, hidden_channels=4)
  >>> vae.event_shape
  TensorShape([32, 32, 3])
  """
  encoder = _encoder(
    posterior,
    image_shape,
    latent_size,
    hidden_channels,
    batch_normalization,
    seed,
  )
  return VariationalAutoencoder(
    encoder,
    _decoder(
      likelihood,
      likelihood_scale,
      image_shape,
      latent_size,
      hidden_channels=hidden_channels,
      batch_normalization=batch_normalization,
      num_values=num_values,
      seed=seed,
    ),
    image_shape,
    prior=_prior(prior, encoder, image_shape, latent_size, seed),
    num_values=num_values,
    name=name,
    **kwargs,
  )


@with_weights
def flow_variational_autoencoder(
  image_shape,
  latent_size,
  posterior='conditional_coupling',
  prior='standard_normal',
  num_levels=2,
  num_steps=4,
  coupling_hidden_channels=64,
  hidden_channels=64,
  batch_normalization=True,
  num_values=256,
  seed=0,
  name='flow_variational_autoencoder',
  **kwargs,
):
  """Returns a `FlowVariationalAutoencoder`: the f-VAE.

  The decoder's network, as in DCGAN, gives the location and the scale of each
  pixel and an embedding; what is left between them and the image is a flow of
  couplings that see the embedding.

  Args:
    image_shape: `[height, width, channels]`, Python `int`s; the sides must be
      above four and divisible by `2**num_levels`.
    latent_size: Python `int`.
    posterior: as in `variational_autoencoder`.
    prior: as in `variational_autoencoder`.
    num_levels: Python `int`, how often the decoder's flow halves the sides.
    num_steps: Python `int`, the couplings of each level.
    coupling_hidden_channels: Python `int`, the width of their networks.
    hidden_channels: Python `int`, the channels of the largest feature maps.
    batch_normalization: Python `bool`.
    num_values: Python `int`; pixels are `0 .. num_values - 1`.
    seed: Python `int`, of all weights.
    name: Python `str`, the name of the distribution.
    weights: the path of a file of `tfp_ood.pretrained.write_weights`, for a trained
      model. The other arguments, but for those of `FlowVariationalAutoencoder`, are then
      to be left out.
    **kwargs: passed to `FlowVariationalAutoencoder`.

  Returns:
    `FlowVariationalAutoencoder` over raw pixels.

  Raises:
    ValueError: if a name is unknown or images do not fit.

  #### Examples

  >>> import tfp_ood
  >>> model = tfp_ood.distributions.flow_variational_autoencoder(
  ...     [28, 28, 1], latent_size=8, num_steps=2, hidden_channels=4)
  >>> model.event_shape
  TensorShape([28, 28, 1])
  """
  encoder = _encoder(
    posterior,
    image_shape,
    latent_size,
    hidden_channels,
    batch_normalization,
    seed,
  )
  # With one seed the networks would share random numbers.
  layer = FlowDecoderLayer(
    image_shape,
    num_levels,
    num_steps,
    coupling_hidden_channels,
    num_values=num_values,
    seed=[seed, 2],
  )
  decoder_network = convolutional_decoder(
    image_shape,
    latent_size,
    layer.outputs_per_channel,
    hidden_channels,
    batch_normalization,
    seed=[seed, 1],
  )
  return FlowVariationalAutoencoder(
    encoder,
    _joined([latent_size], decoder_network, layer, 'decoder'),
    image_shape,
    prior=_prior(prior, encoder, image_shape, latent_size, seed),
    num_values=num_values,
    name=name,
    **kwargs,
  )


@with_weights
def autoencoder(
  image_shape,
  latent_size,
  likelihood='gaussian',
  likelihood_scale=25.5,
  hidden_channels=64,
  batch_normalization=True,
  num_values=256,
  seed=0,
  name='autoencoder',
  **kwargs,
):
  """Returns an `Autoencoder` of the networks of `variational_autoencoder`.

  Args:
    image_shape: `[height, width, channels]`, Python `int`s.
    latent_size: Python `int`.
    likelihood: as in `variational_autoencoder`.
    likelihood_scale: Python `float`, the deviation of `gaussian` in pixel values.
    hidden_channels: Python `int`, the channels of the largest feature maps.
    batch_normalization: Python `bool`.
    num_values: Python `int`; pixels are `0 .. num_values - 1`.
    seed: Python `int`, of all weights.
    name: Python `str`, the name of the model.
    weights: the path of a file of `tfp_ood.pretrained.write_weights`, for a trained
      model. The other arguments, but for those of `Autoencoder`, are then
      to be left out.
    **kwargs: passed to `Autoencoder`.

  Returns:
    `Autoencoder` over raw pixels.

  #### Examples

  >>> import tfp_ood
  >>> model = tfp_ood.distributions.autoencoder(
  ...     [32, 32, 3], latent_size=8, hidden_channels=4)
  >>> model.event_shape
  TensorShape([32, 32, 3])
  """
  encoder_network = convolutional_encoder(
    image_shape, latent_size, hidden_channels, batch_normalization, seed
  )
  layer = tfp.layers.DistributionLambda(
    tfd.VectorDeterministic, convert_to_tensor_fn=tfd.Distribution.mean
  )
  encoder = _joined(image_shape, encoder_network, layer, 'encoder')
  return Autoencoder(
    encoder,
    _decoder(
      likelihood,
      likelihood_scale,
      image_shape,
      latent_size,
      hidden_channels=hidden_channels,
      batch_normalization=batch_normalization,
      num_values=num_values,
      seed=seed,
    ),
    image_shape,
    num_values=num_values,
    name=name,
    **kwargs,
  )


def _encoder(
  posterior,
  image_shape,
  latent_size,
  hidden_channels,
  batch_normalization,
  seed,
):
  num_inputs, layer = posterior_layer(posterior, latent_size, seed)
  network = convolutional_encoder(
    image_shape, num_inputs, hidden_channels, batch_normalization, seed
  )
  return _joined(image_shape, network, layer, 'encoder')


def _decoder(
  kind, scale, image_shape, latent_size, num_values, seed, **options
):
  number, make_distribution = pixel_likelihood(kind, scale, num_values)
  # With one seed, encoder and decoder would share random numbers.
  network = convolutional_decoder(
    image_shape, latent_size, number, seed=[seed, 1], **options
  )
  # Keras wants a tensor beside: the mode costs least.
  layer = tfp.layers.DistributionLambda(
    make_distribution, convert_to_tensor_fn=tfd.Distribution.mode
  )
  return _joined([latent_size], network, layer, 'decoder')


def _joined(input_shape, network, layer, name):
  parts = [tf_keras.layers.Input(input_shape), network, layer]
  return tf_keras.Sequential(parts, name=name)


def _prior(kind, encoder, image_shape, latent_size, seed):
  if kind not in PRIORS:
    raise ValueError(
      f'The prior must be one of {", ".join(PRIORS)}, got {kind!r}.'
    )
  if kind == 'mixture':
    return normal_mixture_prior(latent_size, seed=seed)
  if kind == 'flow':
    return autoregressive_flow_prior(latent_size, seed=seed)
  if kind == 'vamp':
    return VampPrior(encoder, image_shape, seed=seed)
  return None  # The default of the distribution.
