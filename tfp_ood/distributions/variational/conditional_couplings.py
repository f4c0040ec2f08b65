# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Steps of a flow whose couplings also see a context."""

import numpy as np
import tensorflow as tf

from tfp_ood.bijectors.affine_coupling import AffineCoupling
from tfp_ood.bijectors.bijector import Bijector
from tfp_ood.bijectors.invertible_conv_1x1 import InvertibleConv1x1
from tfp_ood.networks.function_network import FunctionNetwork

__all__ = ['ConditionalCouplings']


class ConditionalCouplings(tf.Module):
  """Invertible 1x1 convolutions and affine couplings, given a context.

  The weights are the same for all examples. The network of each
  `tfp_ood.bijectors.AffineCoupling` sees, beside the channels that pass through,
  a context of each example. Networks whose last layer starts at zero start the
  steps at rotations of the channels.

  #### Examples

  >>> import tensorflow as tf
  >>> import tensorflow_probability as tfp
  >>> import tfp_ood
  >>> couplings = ConditionalCouplings(
  ...     tfp_ood.networks.CouplingNetwork, 4, context_channels=2, num_steps=3)
  >>> flow = tfp.bijectors.Chain(couplings.bijectors(tf.ones([5, 8, 8, 2])))
  >>> flow.inverse(tf.ones([5, 8, 8, 4])).shape
  TensorShape([5, 8, 8, 4])
  """

  def __init__(
    self,
    make_network,
    num_channels,
    context_channels,
    num_steps,
    seed=0,
    dtype=tf.float32,
    name='conditional_couplings',
  ):
    """Instantiates the steps.

    Args:
      make_network: callable from the keyword arguments `input_channels`,
        `output_channels`, `seed` (Python `int`) and `dtype` to a network of
        images.
      num_channels: Python `int`, at least two, of the images.
      context_channels: Python `int`.
      num_steps: Python `int`, how many convolutions and couplings.
      seed: Python `int`, or a sequence of them, of all weights.
      dtype: floating dtype.
      name: Python `str`, the name of the module.
    """
    super().__init__(name=name)
    generator = np.random.default_rng(seed)
    transformed = num_channels // 2
    self._rotations, self._networks = [], []
    for _ in range(num_steps):
      rotation_seed, network_seed = map(int, generator.integers(2**31, size=2))
      self._rotations.append(
        InvertibleConv1x1(num_channels, rotation_seed, dtype=dtype)
      )
      self._networks.append(
        make_network(
          input_channels=num_channels - transformed + context_channels,
          output_channels=2 * transformed,
          seed=network_seed,
          dtype=dtype,
        )
      )

  def bijectors(self, context):
    """Returns the steps as a list for `tfp.bijectors.Chain`.

    Args:
      context: `Tensor` of shape `[batch, height, width, context_channels]`, the
        sides those of the images. Images have a batch shape that broadcasts with
        `[batch]`, such as `[samples, batch]` or `[samples, 1]`.

    Returns:
      List of `tfp.bijectors.Bijector`s, that nearest to the image first.
    """
    # At both ends, as images may come in at either.
    broadcast = _Broadcast(tf.shape(context)[:1])
    steps = [broadcast]
    for rotation, network in zip(self._rotations, self._networks, strict=True):
      steps += [rotation, AffineCoupling(_given(network, context))]
    return [*steps, broadcast]


class _Broadcast(Bijector):
  """Repeats images until there is one for each context."""

  def __init__(self, batch_shape):
    self._contexts = batch_shape
    super().__init__(
      forward_min_event_ndims=3, is_constant_jacobian=True, name='broadcast'
    )

  def _forward_and_log_det(self, x):
    batch_shape = tf.broadcast_dynamic_shape(tf.shape(x)[:-3], self._contexts)
    shape = tf.concat([batch_shape, tf.shape(x)[-3:]], axis=0)
    result = tf.broadcast_to(x, shape)
    rank = max(x.shape.rank, 4)
    result.set_shape([*[None] * (rank - 3), *x.shape[-3:]])
    return result, tf.zeros([], x.dtype)

  def _inverse_and_log_det(self, y):
    return self._forward_and_log_det(y)


def _given(network, context):
  def conditioned(images):
    # There are as many images as contexts, or a multiple of them.
    copies = tf.shape(images)[0] // tf.shape(context)[0]
    tiled = tf.tile(context, [copies, 1, 1, 1])
    return network(tf.concat([images, tiled], axis=-1))

  return FunctionNetwork(conditioned, modules=[network])
