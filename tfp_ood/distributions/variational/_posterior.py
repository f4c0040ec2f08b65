# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a variational autoencoder asks of an approximate posterior.

A posterior is normal, diagonal or not, or a bijector's image of such a one:

* `tfd.Independent` of `tfd.Normal`, `tfd.MultivariateNormalDiag`,
  `tfd.MultivariateNormalTriL` and their relatives;
* `tfd.TransformedDistribution` of one of these, such as an inverse
  autoregressive flow;
* any of them as a layer of `tfp.layers` returns it.
"""

import tensorflow as tf
import tensorflow_probability as tfp

from tfp_ood.bijectors.fused import forward_and_log_det

__all__ = [
  'closed_form_entropy',
  'closed_form_kl',
  'is_independent',
  'moved',
  'plain',
  'sample_and_log_prob',
]

tfd = tfp.distributions


def plain(distribution):
  """Returns the distribution in what a layer of `tfp.layers` returns.

  Args:
    distribution: `tfd.Distribution`.

  Returns:
    `tfd.Distribution`, without the conversion to a `Tensor`.
  """
  return getattr(distribution, 'tensor_distribution', distribution)


def is_independent(distribution):
  """Whether a distribution is `tfd.Independent`, of which TFP has two classes."""
  return hasattr(distribution, 'reinterpreted_batch_ndims')


def sample_and_log_prob(posterior, noise):
  """Maps standard normal noise to samples.

  Args:
    posterior: `tfd.Distribution` of batch shape `[batch]`.
    noise: `Tensor` of shape `[samples, batch or 1, ...event]`.

  Returns:
    samples: `[samples, batch, ...event]`.
    log_prob: of the samples, `[samples, batch]`.

  Raises:
    ValueError: if the posterior does not derive from a normal distribution.
  """
  diagonal = _diagonal_normal(posterior)
  if diagonal is not None:
    normal = diagonal.distribution
    samples = normal.loc + normal.scale * noise
    return samples, diagonal.log_prob(samples)
  if isinstance(posterior, tfd.MultivariateNormalLinearOperator):
    samples = _loc(posterior) + posterior.scale.matvec(noise)
    return samples, posterior.log_prob(samples)
  if hasattr(posterior, 'bijector'):  # TFP has two such classes.
    base_samples, log_prob = sample_and_log_prob(
      plain(posterior.distribution), noise
    )
    event_ndims = posterior.distribution.event_shape.rank
    # Not `posterior.log_prob`: an autoregressive flow is fast one way only.
    samples, log_det = forward_and_log_det(
      posterior.bijector, base_samples, event_ndims
    )
    return samples, log_prob - log_det
  raise ValueError(
    f'The posterior {posterior} is neither normal nor a transformed normal '
    'distribution. End the encoder in tfp.layers.IndependentNormal or '
    'tfp.layers.MultivariateNormalTriL, or in a tfd.TransformedDistribution of '
    'such a one.'
  )


def moved(posterior, shift, log_scale):
  """Moves the location of a posterior and scales its deviations.

  Of a transformed distribution the base is moved.

  Args:
    posterior: `tfd.Distribution` of batch shape `[batch]`.
    shift: `[batch, ...event]`, added to the location.
    log_scale: `[batch, ...event]`, added to the logarithm of the scale.

  Returns:
    `tfd.Distribution` of the same family.
  """
  diagonal = _diagonal_normal(posterior)
  if diagonal is not None:
    normal = diagonal.distribution
    return tfd.Independent(
      tfd.Normal(normal.loc + shift, normal.scale * tf.exp(log_scale)),
      diagonal.reinterpreted_batch_ndims,
    )
  if isinstance(posterior, tfd.MultivariateNormalLinearOperator):
    scale = tf.exp(log_scale)[..., tf.newaxis] * posterior.scale.to_dense()
    return tfd.MultivariateNormalTriL(_loc(posterior) + shift, scale)
  return tfd.TransformedDistribution(
    moved(plain(posterior.distribution), shift, log_scale), posterior.bijector
  )


def closed_form_entropy(posterior):
  """Returns the entropy, `[batch]` in nats, or `None` where none is known."""
  try:
    return posterior.entropy()
  except NotImplementedError:
    return None


def closed_form_kl(posterior, prior):
  """Returns the Kullback-Leibler divergence from prior to posterior, if known.

  Args:
    posterior: `tfd.Distribution` of batch shape `[batch]`.
    prior: `tfd.Distribution` of batch shape `[]`.

  Returns:
    `Tensor` of shape `[batch]` in nats, or `None` where TFP has no formula.
  """
  diagonals = _diagonal_normal(posterior), _diagonal_normal(prior)
  if diagonals[1] is not None:
    # The elementwise formula where it holds; else that of matrices.
    posterior, prior = (
      diagonals
      if diagonals[0] is not None
      else (
        posterior,
        _multivariate(diagonals[1]),
      )
    )
  elif diagonals[0] is not None:
    posterior = _multivariate(diagonals[0])
  try:
    return tfd.kl_divergence(posterior, prior)
  except NotImplementedError:
    return None


def _loc(multivariate):
  # TFP keeps no zeros.
  return 0.0 if multivariate.loc is None else multivariate.loc


def _diagonal_normal(distribution):
  """Returns a diagonal normal as `tfd.Independent`; `None` if it is none."""
  if is_independent(distribution) and isinstance(
    distribution.distribution, tfd.Normal
  ):
    return distribution
  if isinstance(distribution, tfd.MultivariateNormalDiag):
    scale = distribution.scale.diag_part()
    loc = _loc(distribution) + tf.zeros_like(scale)
    return tfd.Independent(tfd.Normal(loc, scale), 1)
  if isinstance(distribution, tfd.Sample) and isinstance(
    distribution.distribution, tfd.Normal
  ):
    if distribution.batch_shape != []:
      return None
    zeros = tf.zeros(distribution.event_shape, distribution.dtype)
    normal = distribution.distribution
    return tfd.Independent(
      tfd.Normal(normal.loc + zeros, normal.scale + zeros),
      distribution.event_shape.rank,
    )
  return None


def _multivariate(diagonal):
  """Returns a diagonal normal of vectors with matrices, others as they are."""
  if diagonal.event_shape.rank != 1:
    return diagonal
  normal = diagonal.distribution
  return tfd.MultivariateNormalDiag(normal.loc, normal.scale)
