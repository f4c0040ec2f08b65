# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Layers that make a posterior of the outputs of an encoder network."""

import functools

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras

from tfp_ood.distributions.variational.conditional_couplings import (
  ConditionalCouplings,
)
from tfp_ood.networks.masked_network import masked_network

__all__ = [
  'POSTERIORS',
  'ConditionalCouplingNormal',
  'InverseAutoregressiveNormal',
  'posterior_layer',
]

tfb = tfp.bijectors
tfd = tfp.distributions

POSTERIORS = (
  'diagonal',
  'full',
  'inverse_autoregressive',
  'conditional_coupling',
)

_MIN_SCALE = 1e-4


def posterior_layer(kind, latent_size, seed=0, dtype='float32'):
  """Returns a layer whose outputs are posteriors of latent vectors.

  | kind | posterior |
  |---|---|
  | `diagonal` | normal, with independent components |
  | `full` | normal, with a full covariance matrix |
  | `inverse_autoregressive` | `InverseAutoregressiveNormal` |
  | `conditional_coupling` | `ConditionalCouplingNormal` |

  Args:
    kind: one of `POSTERIORS`.
    latent_size: Python `int`.
    seed: Python `int`, of weights, if any.
    dtype: floating dtype.

  Returns:
    num_inputs: Python `int`, how many numbers the layer takes for each example.
    layer: `tf_keras` layer from `[batch, num_inputs]` to `tfd.Distribution`.

  Raises:
    ValueError: if `kind` is unknown.

  #### Example

  >>> import tensorflow as tf
  >>> num_inputs, layer = posterior_layer('full', latent_size=4)
  >>> layer(tf.zeros([5, num_inputs])).event_shape
  TensorShape([4])
  """
  if kind not in POSTERIORS:
    raise ValueError(
      f'The posterior must be one of {", ".join(POSTERIORS)}, got {kind!r}.'
    )
  if kind == 'diagonal':
    layer = tfp.layers.DistributionLambda(
      _diagonal, convert_to_tensor_fn=tfd.Distribution.mean, dtype=dtype
    )
    return 2 * latent_size, layer
  if kind == 'full':
    layer = tfp.layers.MultivariateNormalTriL(
      latent_size, convert_to_tensor_fn=tfd.Distribution.mean, dtype=dtype
    )
    return layer.params_size(latent_size), layer
  if kind == 'conditional_coupling':
    layer = ConditionalCouplingNormal(latent_size, seed=seed, dtype=dtype)
    return layer.num_inputs, layer
  return 2 * latent_size, InverseAutoregressiveNormal(
    latent_size, seed=seed, dtype=dtype
  )


class InverseAutoregressiveNormal(tfp.layers.DistributionLambda):
  """A diagonal normal distribution, bent by an inverse autoregressive flow.

      z = shift(e) + exp(log_scale(e)) * e,   e ~ normal

  where component `i` of `shift` and `log_scale` depends on the first `i` of `e`
  by a masked network: samples and their densities take a single pass. The flow
  is the same for all images and starts near the identity.

  #### Examples

  >>> import tensorflow as tf
  >>> layer = InverseAutoregressiveNormal(4, hidden_units=[8], seed=1)
  >>> layer(tf.zeros([5, 8])).event_shape
  TensorShape([4])
  >>> len(layer.trainable_variables)
  4

  #### References

  [1]: Diederik P Kingma, Tim Salimans, Rafal Jozefowicz, Xi Chen, Ilya
       Sutskever, Max Welling. Improving Variational Inference with Inverse
       Autoregressive Flow. In _Neural Information Processing Systems_, 2016.
       https://arxiv.org/abs/1606.04934
  """

  def __init__(self, latent_size, hidden_units=(64,), seed=0, **kwargs):
    """Instantiates the layer.

    Args:
      latent_size: Python `int`; the layer takes twice as many inputs.
      hidden_units: Python `int`s, the widths of the masked network.
      seed: Python `int`, of its weights.
      **kwargs: passed to the Keras layer.
    """
    network = masked_network(
      latent_size, hidden_units, seed, kwargs.get('dtype')
    )
    flow = tfb.Invert(tfb.MaskedAutoregressiveFlow(network))
    super().__init__(
      lambda inputs: tfd.TransformedDistribution(_diagonal(inputs), flow),
      convert_to_tensor_fn=lambda d: d.bijector.forward(d.distribution.mean()),
      **kwargs,
    )
    # Keras finds variables in attributes.
    self._network = network


class ConditionalCouplingNormal(tfp.layers.DistributionLambda):
  """A diagonal normal distribution, bent by couplings that see the image.

      z = f(e; context),   e ~ normal

  Couplings and rotations of all components alternate, `ConditionalCouplings`.
  The flow starts at a rotation. Unlike `InverseAutoregressiveNormal` it is
  another one for each image, and fast in both directions.

  #### Examples

  >>> import tensorflow as tf
  >>> layer = ConditionalCouplingNormal(4, context_size=3, num_steps=2)
  >>> layer(tf.zeros([5, layer.num_inputs])).event_shape
  TensorShape([4])

  #### References

  [1]: Jianlin Su, Guang Wu. f-VAEs: Improve VAEs with Conditional Flows.
       _arXiv preprint_, 2018. https://arxiv.org/abs/1809.05861
  """

  def __init__(
    self,
    latent_size,
    context_size=64,
    num_steps=4,
    hidden_units=(64, 64),
    seed=0,
    **kwargs,
  ):
    """Instantiates the layer.

    Args:
      latent_size: Python `int`, at least two.
      context_size: Python `int`, how many numbers the couplings see.
      num_steps: Python `int`, how many couplings.
      hidden_units: Python `int`s, the widths of their networks.
      seed: Python `int`, of all weights.
      **kwargs: passed to the Keras layer.

    Raises:
      ValueError: if `latent_size` is below two.
    """
    if latent_size < 2:
      raise ValueError(
        'ConditionalCouplingNormal: a coupling needs at least two components, '
        f'got `latent_size` {latent_size}.'
      )
    super().__init__(
      self._distribution,
      convert_to_tensor_fn=lambda d: d.bijector.forward(d.distribution.mean()),
      **kwargs,
    )
    self._sizes = [2 * latent_size, context_size]
    self._couplings = ConditionalCouplings(
      functools.partial(_coupling_network, hidden_units=hidden_units),
      latent_size,
      context_size,
      num_steps,
      seed=seed,
      dtype=tf.as_dtype(kwargs.get('dtype') or tf.float32),
    )
    # Keras finds variables in attributes, but not all modules.
    self._coupling_variables = list(self._couplings.variables)

  @property
  def num_inputs(self):
    """Python `int`, how many numbers the layer takes for each example."""
    return sum(self._sizes)

  def _distribution(self, inputs):
    outputs, context = tf.split(inputs, self._sizes, axis=-1)
    base = _diagonal(outputs)
    # Vectors as the channels of an image of one pixel.
    vector, image = base.event_shape, [1, 1, *base.event_shape]
    flow = tfb.Chain(
      [
        tfb.Reshape(event_shape_in=image, event_shape_out=vector),
        *self._couplings.bijectors(context[:, tf.newaxis, tf.newaxis]),
        tfb.Reshape(event_shape_in=vector, event_shape_out=image),
      ]
    )
    # Its inverse is the faster one.
    return tfd.TransformedDistribution(base, tfb.Invert(flow))


def _coupling_network(
  input_channels, output_channels, seed, dtype, hidden_units
):
  """A network of each pixel by itself, whose last layer starts at zero."""
  layers = tf_keras.layers
  generator = np.random.default_rng(seed)
  parts = [layers.Input([1, 1, input_channels], dtype=dtype)]
  for units in hidden_units:
    initializer = tf_keras.initializers.HeNormal(int(generator.integers(2**31)))
    parts.append(
      layers.Dense(
        units,
        activation='relu',
        kernel_initializer=initializer,
        dtype=dtype,
      )
    )
  parts.append(
    layers.Dense(output_channels, kernel_initializer='zeros', dtype=dtype)
  )
  return tf_keras.Sequential(parts, name='coupling_network')


def _diagonal(outputs):
  loc, raw_scale = tf.split(outputs, 2, axis=-1)
  scale = _MIN_SCALE + tf.nn.softplus(raw_scale)
  return tfd.Independent(tfd.Normal(loc, scale), 1)
