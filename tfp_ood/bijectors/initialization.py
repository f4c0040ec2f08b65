# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Data-dependent initialization of a whole flow."""

import tensorflow as tf

from tfp_ood.bijectors import _shapes
from tfp_ood.bijectors._flags import is_set
from tfp_ood.bijectors.activation_normalization import ActivationNormalization
from tfp_ood.bijectors.factor_out import FactorOut
from tfp_ood.bijectors.fused import is_chain
from tfp_ood.bijectors.glow import Glow
from tfp_ood.bijectors.scan import Scan

__all__ = ['initialize', 'is_initialized']


def initialize(bijector, images):
  """Initializes every `ActivationNormalization` in a flow from data.

  Sends the images through the flow, image to latent, and sets each
  `ActivationNormalization` on the way from what arrives at it. Runs eagerly,
  once, before training.

  Args:
    bijector: a flow: any nest of `tfp.bijectors.Chain`, `Scan`, `FactorOut`,
      `Glow` and other bijectors.
    images: `Tensor` of shape `[batch, height, width, channels]`, as `bijector`
      takes them; a few hundred training images.

  Returns:
    The latents, `bijector.inverse(images)` after initialization.

  Raises:
    ValueError: if the images do not fit the flow, hold NaN or infinity, or if
      the weights of an `ActivationNormalization` inside a `Scan` are not slices
      of variables, passed on as they are.

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
      'inside a tf.function.'
    )
  return _initialize(bijector, images)


def is_initialized(bijector):
  """Whether every part of a flow that starts from data has seen data.

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
    getattr(module, 'initialized', None)
    for module in (bijector, *bijector.submodules)
  )
  return all(is_set(flag) for flag in flags if flag is not None)


def _dtype(bijector):
  """Returns the dtype of a flow, or `None` if it takes any."""
  weights = {v.dtype for v in bijector.variables if v.dtype.is_floating}
  return bijector.dtype or (weights.pop() if len(weights) == 1 else None)


def _initialize(bijector, images):
  if is_chain(bijector):
    for part in bijector.bijectors:
      images = _initialize(part, images)
    return images
  if isinstance(bijector, Glow):
    return _initialize_glow(bijector, images)
  if isinstance(bijector, FactorOut):
    return _initialize_factor_out(bijector, images)
  if isinstance(bijector, Scan):
    return _initialize_scan(bijector, images)
  if isinstance(bijector, ActivationNormalization):
    bijector.initialize(images)
  return bijector.inverse(images)


def _initialize_glow(bijector, images):
  latents = _initialize(bijector.flow, images)
  bijector.initialized.assign(True)
  return latents


def _initialize_factor_out(bijector, images):
  images = _initialize(bijector.prior, images)
  leaving, rest = _shapes.split_channels(images)
  rest = _initialize(bijector.bijector, rest)
  leaving = tf.reshape(leaving, [-1, bijector.latent_sizes[1]])
  return tf.concat([rest, leaving], axis=-1)


def _initialize_scan(scan, images):
  """Initializes a scan step by step, then assigns each parameter once."""
  parameters = tf.nest.flatten(scan.stacked_parameters)
  slices_by_step = []
  replaced = set()
  for index in range(scan.num_steps):
    slices = [tf.convert_to_tensor(x)[index] for x in parameters]
    before = list(slices)
    images = _initialize_step(scan, slices, images)
    replaced.update(i for i, x in enumerate(slices) if x is not before[i])
    slices_by_step.append(slices)
  for i in replaced:
    if not isinstance(parameters[i], tf.Variable):
      raise ValueError(
        'initialize: the weights of an ActivationNormalization inside Scan '
        'must be `tf.Variable`s, or they cannot be set from data; got '
        f'{type(parameters[i]).__name__}.'
      )
    parameters[i].assign(tf.stack([slices[i] for slices in slices_by_step]))
  return images


def _initialize_step(scan, slices, images):
  """Initializes one step; replaces the slices that it sets, in place."""

  def parts():
    step = scan.bijector_fn(
      tf.nest.pack_sequence_as(scan.stacked_parameters, slices)
    )
    return step.bijectors if is_chain(step) else [step]

  for part_index, part in enumerate(parts()):
    if isinstance(part, ActivationNormalization):
      _replace_weights(part, part.data_dependent_weights(images), slices)
    # Made again: the part's weights may just have been replaced.
    images = parts()[part_index].inverse(images)
  return images


def _replace_weights(part, new_weights, slices):
  for key, new_value in new_weights.items():
    positions = [i for i, x in enumerate(slices) if x is part.weights[key]]
    if not positions:
      raise ValueError(
        f'initialize: the `{key}` of an ActivationNormalization inside Scan '
        'must be a slice of `parameters` as it is, so that it can be set from '
        'data; bijector_fn changes it first.'
      )
    slices[positions[0]] = new_value
