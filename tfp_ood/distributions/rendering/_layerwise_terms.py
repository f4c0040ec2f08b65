# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The log-probability of switches, normalized unit by unit."""

import tensorflow as tf

from tfp_ood.distributions.rendering._reductions import sum_event

__all__ = ['layerwise_terms', 'state_logits']


def layerwise_terms(network, variance, renderings, switches, biases):
  """Returns what the layerwise prior makes of given renderings.

  Args:
    network: `PiecewiseLinearNetwork`.
    variance: scalar.
    renderings: list of the renderings of the layers' features, `[batch, ...]`.
    switches: list of the layers' switches, `[batch, ...]`.
    biases: list of the layers' biases, as `network.biases` returns it.

  Returns:
    log_prob: `Tensor` of shape `[batch]`, the log-probability of the switches.
    log_normalizer: `Tensor` of shape `[batch]`, the sum of the log-normalizers of
      all units.
  """
  log_prob, log_normalizer = 0.0, 0.0
  for layer, h, bias, switch in zip(
    network.layers, renderings, biases, switches, strict=True
  ):
    logits = state_logits(layer, h, bias, variance)
    normalizers = tf.reduce_logsumexp(logits, axis=-1)
    chosen = tf.gather(logits, layer.states(switch), batch_dims=h.shape.rank)
    log_prob += sum_event(chosen - normalizers)
    log_normalizer += sum_event(normalizers)
  return log_prob, log_normalizer


def state_logits(layer, h, bias, variance):
  """Log-odds of the states of a layer's units, `[batch, ..., num_states]`."""
  return h[..., tf.newaxis] * layer.state_values(bias) / variance
