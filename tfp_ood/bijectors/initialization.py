# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Data-dependent initialization of a whole flow."""

import tensorflow as tf

from tfp_ood._third_party import is_chain
from tfp_ood.bijectors import _shapes
from tfp_ood.bijectors._flags import is_set
from tfp_ood.bijectors.bijector import Bijector

__all__ = ['initialize', 'inverse_and_initial_values', 'is_initialized']


def initialize(bijector, images):
  """Initializes every weight of a flow that starts from data.

  Sends the images through the flow, from image to latent, and sets each
  `ActivationNormalization` on the way from what reaches it. A bijector of your
  own takes part by overriding `Bijector._inverse_and_initial_values`. Call this
  eagerly, once, before training. An error leaves the flow unchanged.

  Args:
    bijector: a flow: any nest of `tfp.bijectors.Chain`, `Scan`, `FactorOut`,
      `Glow` and other bijectors.
    images: `Tensor` of shape `[batch, height, width, channels]`, as `bijector`
      takes them; a few hundred training images.

  Returns:
    The latents, `bijector.inverse(images)` after initialization.

  Raises:
    ValueError: if the images do not fit the flow or hold NaN or infinity, or if
      a weight that starts from data is not a variable or, inside a `Scan`, not an
      unchanged slice of a variable.

  #### Examples

  >>> import numpy as np
  >>> import tensorflow_probability as tfp
  >>> import tfp_ood
  >>> images = np.random.default_rng(0).normal(size=[64, 8, 8, 1])
  >>> flow = tfp.bijectors.Chain([
  ...     tfp_ood.bijectors.Squeeze(),
  ...     tfp_ood.bijectors.ActivationNormalization(4)])
  >>> latents = tfp_ood.bijectors.initialize(flow, images.astype(np.float32))
  >>> round(float(np.std(latents)), 4)
  1.0
  """
  images = _shapes.as_tensor(images, _dtype(bijector))
  if not tf.executing_eagerly():
    raise ValueError(
      'initialize: must run eagerly, once, before training; it was called '
      'in a tf.function.'
    )
  latents, values = inverse_and_initial_values(bijector, images)
  for weight, _ in values:
    if not isinstance(weight, tf.Variable):
      raise ValueError(
        'initialize: weights that start from data must be `tf.Variable`s, or '
        f'they cannot be set; got {type(weight).__name__}.'
      )
  for variable, value in values:
    variable.assign(value)
  return latents


def is_initialized(bijector):
  """Whether all weights of a flow that start from data have been set.

  Args:
    bijector: any `tfp.bijectors.Bijector`.

  Returns:
    Python `bool`.

  #### Examples

  >>> import tfp_ood
  >>> tfp_ood.bijectors.is_initialized(
  ...     tfp_ood.bijectors.ActivationNormalization(3))
  False
  """
  flags = (
    module.initialized
    for module in (bijector, *bijector.submodules)
    if isinstance(module, Bijector)
  )
  return all(is_set(flag) for flag in flags if flag is not None)


def inverse_and_initial_values(bijector, images):
  """Computes the weights that start from data, and the resulting latents.

  Args:
    bijector: any `tfp.bijectors.Bijector`.
    images: `Tensor`.

  Returns:
    latents: `bijector.inverse(images)` with the new weights.
    values: list of pairs of a weight and its new value.
  """
  if is_chain(bijector):
    values = []
    for part in bijector.bijectors:
      images, values_of_part = inverse_and_initial_values(part, images)
      values += values_of_part
    return images, values
  if isinstance(bijector, Bijector):
    return bijector._inverse_and_initial_values(images)
  return bijector.inverse(images), []


def _dtype(bijector):
  """Returns the dtype of a flow, or `None` if it takes any."""
  weights = {v.dtype for v in bijector.variables if v.dtype.is_floating}
  return bijector.dtype or (weights.pop() if len(weights) == 1 else None)
