# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""A prior of switches that is normalized layer by layer."""

import tensorflow as tf

from tfp_ood._seeds import stateless_seed
from tfp_ood.distributions.rendering import _switch_states
from tfp_ood.distributions.rendering._layerwise_terms import (
  layerwise_terms,
  state_logits,
)
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
    flat, labels, shape = self._flattened(switches)
    renderings = self.network.render(labels, flat).features
    biases, _ = self.network.biases()
    terms = layerwise_terms(
      self.network, self.variance, renderings, flat, biases
    )
    return tuple(tf.reshape(term, shape) for term in terms)

  def _sample_n(self, n, seed=None):
    labels = self._tile_labels(n)
    switches = _switch_states.numbered_switches(self.network, [0])
    switches = tf.nest.map_structure(
      lambda t: tf.repeat(t, tf.shape(labels)[0], axis=0), switches
    )
    biases, _ = self.network.biases()
    seeds = tf.random.experimental.stateless_split(
      stateless_seed(seed), self.network.num_layers
    )
    # A rendering depends only on the switches above, which are drawn already.
    for index in reversed(range(self.network.num_layers)):
      layer = self.network.layers[index]
      h = self.network.render(labels, switches).features[index]
      logits = state_logits(layer, h, biases[index], self.variance)
      switches[index] = _switch_states.draw_states(layer, logits, seeds[index])
    return self._unflattened(switches, n)
