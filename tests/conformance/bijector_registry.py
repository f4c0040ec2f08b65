# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Every public bijector, and the variants of it worth a test."""

import dataclasses
import functools
from collections.abc import Callable

import keras
import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras
from conformance import registry

from tfp_ood import bijectors, networks

__all__ = ['BIJECTORS', 'EXCLUDED', 'Entry']

tfb = tfp.bijectors
_F64 = tf.float64


@dataclasses.dataclass(frozen=True)
class Entry:
  """How to make one bijector, in float64 and away from its start.

  Attributes:
    build: callable that takes a seed and returns a new bijector.
    image_shape: the event shape of what `forward` returns.
    network_calls: how often one pass through the bijector runs a network.
  """

  build: Callable
  image_shape: tuple
  network_calls: int = 0

  def make(self, seed):
    """Returns an initialized bijector with perturbed weights.

    It is made once for all tests, which must not change it.
    """
    return _make(self, seed)


@functools.cache
def _make(entry, seed):
  bijector = entry.build(seed)
  images = registry.normal((16, *entry.image_shape), seed=seed + 100)
  bijectors.initialize(bijector, images)
  return registry.perturb(bijector, seed)


def _network(input_channels, output_channels, seed):
  return networks.CouplingNetwork(
    input_channels, output_channels, hidden_channels=4, seed=seed, dtype=_F64
  )


def _tf_keras_network(input_channels, output_channels):
  return tf_keras.Sequential(
    [
      tf_keras.layers.Input([None, None, input_channels], dtype=_F64),
      tf_keras.layers.Conv2D(
        4, 3, padding='same', activation='tanh', dtype='float64'
      ),
      tf_keras.layers.Conv2D(
        output_channels, 3, padding='same', dtype='float64'
      ),
    ]
  )


def _keras_3_network(input_channels, output_channels):
  return keras.Sequential(
    [
      keras.Input([None, None, input_channels], dtype='float64'),
      keras.layers.Conv2D(
        4, 3, padding='same', activation='tanh', dtype='float64'
      ),
      keras.layers.Conv2D(output_channels, 3, padding='same', dtype='float64'),
    ]
  )


def _function_network(input_channels, output_channels, seed):
  network = _network(input_channels, output_channels, seed)
  return networks.FunctionNetwork(
    lambda images: tf.tanh(network(images)), [network]
  )


def _stack(part, *args, **kwargs):
  weights = part.initial_weights(*args, num_steps=2, dtype=_F64, **kwargs)
  return {
    key: tf.Variable(
      value, trainable=key not in part.constant_weights, name=key
    )
    for key, value in weights.items()
  }


def _scan_of_glow_steps(seed, coupling, outputs, recompute):
  """Builds a scan of two of Glow's steps, for five channels."""
  weights = {
    'normalization': _stack(bijectors.ActivationNormalization, 5),
    'convolution': _stack(bijectors.InvertibleConv1x1, 5, seed=seed),
    'network': _stack(networks.CouplingNetwork, 3, outputs, 4, seed=seed),
  }

  def step(weights):
    return tfb.Chain(
      [
        bijectors.ActivationNormalization(5, weights=weights['normalization']),
        bijectors.InvertibleConv1x1(5, weights=weights['convolution']),
        coupling(
          networks.CouplingNetwork(3, outputs, weights=weights['network'])
        ),
      ]
    )

  return bijectors.Scan(step, weights, recompute=recompute)


def _scan_of_tfp_chain(seed, recompute):
  """Builds a scan whose steps are TFP's own bijectors only."""
  weights = {
    'scale': tf.Variable(1.5 + 0.1 * registry.normal([2, 3], seed)),
    'shift': tf.Variable(registry.normal([2, 3], seed + 1)),
    'skewness': tf.Variable(0.1 * registry.normal([2], seed + 2)),
  }

  def step(weights):
    return tfb.Chain(
      [
        tfb.Scale(weights['scale']),
        tfb.Shift(weights['shift']),
        tfb.SinhArcsinh(weights['skewness']),
      ]
    )

  return bijectors.Scan(step, weights, recompute=recompute)


def _factor_out(image_shape, prior):
  height, width, channels = image_shape
  rest = channels - channels // 2
  return bijectors.FactorOut(
    tfb.Chain(
      [
        bijectors.ActivationNormalization(rest, dtype=_F64),
        tfb.Reshape(
          event_shape_in=[height * width * rest],
          event_shape_out=[height, width, rest],
        ),
      ]
    ),
    image_shape,
    prior,
  )


def _zero_convolution(input_channels, output_channels):
  return networks.ZeroConvolution(input_channels, output_channels, dtype=_F64)


def _glow(seed, image_shape, num_steps=2, **kwargs):
  return bijectors.Glow(
    image_shape,
    num_levels=2,
    num_steps=num_steps,
    hidden_channels=4,
    seed=seed,
    dtype=_F64,
    **kwargs,
  )


# Images are not square, so that height and width cannot be confused.
BIJECTORS = {
  'activation_normalization': Entry(
    lambda seed: bijectors.ActivationNormalization(3, dtype=_F64), (2, 3, 3)
  ),
  'invertible_conv_1x1_lu': Entry(
    lambda seed: bijectors.InvertibleConv1x1(5, seed=seed, dtype=_F64),
    (2, 3, 5),
  ),
  'invertible_conv_1x1_dense': Entry(
    lambda seed: bijectors.InvertibleConv1x1(
      5, seed=seed, parameterization='dense', dtype=_F64
    ),
    (2, 3, 5),
  ),
  'squeeze': Entry(lambda seed: bijectors.Squeeze(), (4, 6, 2)),
  'squeeze_3': Entry(lambda seed: bijectors.Squeeze(block_size=3), (3, 6, 1)),
  'affine_coupling': Entry(
    lambda seed: bijectors.AffineCoupling(_network(2, 4, seed)),
    (2, 3, 4),
    network_calls=1,
  ),
  'affine_coupling_odd_channels': Entry(
    lambda seed: bijectors.AffineCoupling(_network(3, 4, seed)),
    (2, 3, 5),
    network_calls=1,
  ),
  'affine_coupling_tf_keras': Entry(
    lambda seed: bijectors.AffineCoupling(_tf_keras_network(2, 2)),
    (2, 3, 3),
    network_calls=1,
  ),
  'affine_coupling_keras_3': Entry(
    lambda seed: bijectors.AffineCoupling(_keras_3_network(2, 2)),
    (2, 3, 3),
    network_calls=1,
  ),
  'affine_coupling_function': Entry(
    lambda seed: bijectors.AffineCoupling(_function_network(2, 2, seed)),
    (2, 3, 3),
    network_calls=1,
  ),
  'additive_coupling': Entry(
    lambda seed: bijectors.AdditiveCoupling(_network(2, 2, seed)),
    (2, 3, 4),
    network_calls=1,
  ),
  'additive_coupling_odd_channels': Entry(
    lambda seed: bijectors.AdditiveCoupling(_network(2, 1, seed)),
    (2, 3, 3),
    network_calls=1,
  ),
  'additive_coupling_keras_3': Entry(
    lambda seed: bijectors.AdditiveCoupling(_keras_3_network(2, 1)),
    (2, 3, 3),
    network_calls=1,
  ),
  'factor_out_affine': Entry(
    lambda seed: _factor_out(
      (2, 3, 5), bijectors.AffineCoupling(_zero_convolution(3, 4))
    ),
    (2, 3, 5),
    network_calls=1,
  ),
  'factor_out_additive': Entry(
    lambda seed: _factor_out(
      (2, 3, 4), bijectors.AdditiveCoupling(_zero_convolution(2, 2))
    ),
    (2, 3, 4),
    network_calls=1,
  ),
  'scan_affine': Entry(
    functools.partial(
      _scan_of_glow_steps,
      coupling=bijectors.AffineCoupling,
      outputs=4,
      recompute=True,
    ),
    (2, 3, 5),
    network_calls=2,
  ),
  'scan_affine_stored': Entry(
    functools.partial(
      _scan_of_glow_steps,
      coupling=bijectors.AffineCoupling,
      outputs=4,
      recompute=False,
    ),
    (2, 3, 5),
    network_calls=2,
  ),
  'scan_additive': Entry(
    functools.partial(
      _scan_of_glow_steps,
      coupling=bijectors.AdditiveCoupling,
      outputs=2,
      recompute=True,
    ),
    (2, 3, 5),
    network_calls=2,
  ),
  'scan_tfp_chain': Entry(
    functools.partial(_scan_of_tfp_chain, recompute=True), (1, 2, 3)
  ),
  'scan_tfp_chain_stored': Entry(
    functools.partial(_scan_of_tfp_chain, recompute=False), (1, 2, 3)
  ),
  'glow_affine': Entry(
    lambda seed: _glow(seed, [4, 8, 1]), (4, 8, 1), network_calls=5
  ),
  'glow_additive': Entry(
    lambda seed: _glow(seed, [8, 4, 1], coupling='additive', recompute=False),
    (8, 4, 1),
    network_calls=5,
  ),
  'glow_network_fn': Entry(
    lambda seed: _glow(
      seed,
      [4, 4, 2],
      num_steps=1,
      coupling=bijectors.AdditiveCoupling,
      network_fn=lambda *channels, seed: _keras_3_network(*channels),
    ),
    (4, 4, 2),
    network_calls=3,
  ),
}

EXCLUDED = {
  'Bijector': 'abstract: a subclass writes the two directions',
  'Coupling': 'abstract: a subclass says what the network output means',
}
