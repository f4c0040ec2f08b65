# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""A prior of switches that is normalized layer by layer."""

import tensorflow as tf

from tfp_ood._seeds import stateless_seed
from tfp_ood.distributions.rendering.switch_prior import SwitchPrior

__all__ = ['LayerwiseSwitchPrior']


class LayerwiseSwitchPrior(SwitchPrior):
  """Switches drawn from the top layer down, each given those above.

  A unit `p` of layer `l`, in a state in which it passes on the bias
  `value(state; l, p)`, has

      q(state) = softmax(value(state; l, p) h(l, p) / variance)

  where the rendering `h(l)` depends on the switches above. Density and samples
  are exact. It is *not* the structured prior of the neural rendering model,
  which is normalized once over all switches: with `L > 1` layers the two
  differ, by

      eta(y, z) / variance = log q(z | y) + log_weight(z)

  so that the mean of `exp(log_weight)` over samples estimates the normalizer of
  the structured prior without bias.

  #### Examples

  >>> import tf_keras
  >>> from tfp_ood import networks
  >>> classifier = tf_keras.Sequential([
  ...     tf_keras.layers.Input([4]),
  ...     tf_keras.layers.Dense(3, activation='relu'),
  ...     tf_keras.layers.Dense(2)])
  >>> network = networks.PiecewiseLinearNetwork(classifier)
  >>> prior = LayerwiseSwitchPrior(network, labels=[0, 1])
  >>> switches = prior.sample(5, seed=[1, 2])
  >>> prior.log_prob(switches).shape, prior.log_weight(switches).shape
  (TensorShape([5, 2]), TensorShape([5, 2]))
  """

  def __init__(
    self,
    network,
    labels,
    variance=1.0,
    validate_args=False,
    allow_nan_stats=True,
    name='layerwise_switch_prior',
  ):
    """Instantiates the prior.

    Args:
      network: `PiecewiseLinearNetwork`.
      labels: integer `Tensor` of shape `[batch...]`, the classes.
      variance: positive scalar, the variance of the pixels, `sigma^2`.
      validate_args: Python `bool`, as in TFP.
      allow_nan_stats: Python `bool`, as in TFP.
      name: Python `str` given to the operations.
    """
    parameters = dict(locals())
    super().__init__(
      network,
      labels,
      variance,
      validate_args,
      allow_nan_stats,
      parameters,
      name,
    )

  def log_weight(self, switches):
    """Log of the structured prior's unnormalized density over this one's.

    Args:
      switches: list of the layers' switches, `[sample..., batch..., ...]`.

    Returns:
      `Tensor` of shape `[sample..., batch...]`, in nats.
    """
    with self._name_and_control_scope('log_weight'):
      _, log_normalizers = self._terms(switches)
      return log_normalizers

  def _log_prob(self, switches):
    log_probs, _ = self._terms(switches)
    return log_probs

  def _terms(self, switches):
    """Returns log-probabilities, and the sums of the units' log-normalizers."""
    flat, labels, shape = self._flatten_batch(switches)
    rendered = self.network.render(labels, flat)
    log_prob, log_normalizer = self._terms_of_renderings(
      rendered.features, flat
    )
    return tf.reshape(log_prob, shape), tf.reshape(log_normalizer, shape)

  def _terms_of_renderings(self, renderings, switches):
    """Returns the same, `[batch]`, of the renderings of every layer's features."""
    biases, _ = self.network.biases()
    log_prob, log_normalizer = 0.0, 0.0
    for layer, h, bias, switch in zip(
      self.network.layers, renderings, biases, switches, strict=True
    ):
      logits = self._state_logits(layer, h, bias)
      axes = list(range(1, h.shape.rank))
      normalizers = tf.reduce_logsumexp(logits, axis=-1)
      chosen = tf.gather(logits, layer.states(switch), batch_dims=h.shape.rank)
      log_prob += tf.reduce_sum(chosen - normalizers, axis=axes)
      log_normalizer += tf.reduce_sum(normalizers, axis=axes)
    return log_prob, log_normalizer

  def _sample_n(self, n, seed=None):
    labels = self._tile_labels(n)
    switches = self._zero_switches(tf.shape(labels)[0])
    biases, _ = self.network.biases()
    seeds = tf.random.experimental.stateless_split(
      stateless_seed(seed), self.network.num_layers
    )
    # A rendering depends on the switches above alone: those are drawn already.
    for index in reversed(range(self.network.num_layers)):
      layer = self.network.layers[index]
      h = self.network.render(labels, switches).features[index]
      logits = self._state_logits(layer, h, biases[index])
      switches[index] = self._draw(layer, logits, seeds[index])
    return self._unflatten_batch(switches, n)

  def _state_logits(self, layer, h, u):
    """Log-odds of the states of a layer's units, `[batch, ..., num_states]`."""
    return h[..., tf.newaxis] * layer.state_values(u) / self.variance

  def _zero_switches(self, count):
    return [
      layer.switches_of_states(
        tf.zeros([count, *layer.feature_shape], tf.int32)
      )
      for layer in self.network.layers
    ]
