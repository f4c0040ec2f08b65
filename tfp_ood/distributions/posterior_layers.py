# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Layers that make a posterior of the outputs of an encoder network."""

import tensorflow as tf
import tensorflow_probability as tfp

from tfp_ood.networks.masked_network import masked_network

__all__ = ['POSTERIORS', 'InverseAutoregressiveNormal', 'posterior_layer']

tfb = tfp.bijectors
tfd = tfp.distributions

POSTERIORS = ('diagonal', 'full', 'inverse_autoregressive')

_MIN_SCALE = 1e-4


def posterior_layer(kind, latent_size, seed=0, dtype='float32'):
  """Returns a layer whose outputs are posteriors of latent vectors.

  | kind | posterior |
  |---|---|
  | `diagonal` | normal, with independent components |
  | `full` | normal, with a full covariance matrix |
  | `inverse_autoregressive` | `InverseAutoregressiveNormal` |

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


def _diagonal(outputs):
  loc, raw_scale = tf.split(outputs, 2, axis=-1)
  scale = _MIN_SCALE + tf.nn.softplus(raw_scale)
  return tfd.Independent(tfd.Normal(loc, scale), 1)
