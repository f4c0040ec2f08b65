# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a neural rendering model says of a batch of images."""

import functools

import tensorflow as tf

from tfp_ood.distributions.rendering._layerwise_terms import layerwise_terms
from tfp_ood.distributions.rendering._reductions import (
  sum_event,
  sum_of_squares,
)

__all__ = [
  'ImageTerms',
  'layer_etas',
  'most_likely',
  'rendering_path_normalization',
]


class ImageTerms:
  """The terms of a batch, from one pass up and one back.

  Each is computed when it is first asked for, and kept.
  """

  def __init__(self, network, variance, class_log_probs, x):
    """Goes up and back.

    Args:
      network: `PiecewiseLinearNetwork`.
      variance: scalar.
      class_log_probs: `Tensor` of shape `[num_classes]`, the class prior.
      x: `Tensor` of shape `[batch, *input_shape]`, what the network sees.
    """
    self._network = network
    self._variance = variance
    self._class_log_probs = class_log_probs
    self._x = x
    self._label, self._propagated, self._rendered = (
      network.propagate_and_render(x, most_likely)
    )

  @property
  def logits(self):
    """`[batch, num_classes]`."""
    return self._propagated.logits

  @functools.cached_property
  def reconstruction(self):
    """`-|x - h(0)|^2 / (2 variance)`, `[batch]`."""
    squares = sum_of_squares(self._x - self._rendered.image)
    return -squares / (2 * self._variance)

  @functools.cached_property
  def label_log_prob(self):
    """The log-probability of the class under its prior, `[batch]`."""
    return tf.gather(self._class_log_probs, self._label)

  @functools.cached_property
  def layer_etas(self):
    """The share of each layer in `eta`, `[batch, num_layers]`."""
    return layer_etas(self._biases, self._rendered)

  @functools.cached_property
  def latent_eta(self):
    """The exponent of the structured prior, `[batch]`."""
    return tf.reduce_sum(self.layer_etas, axis=-1) / self._variance

  @functools.cached_property
  def latent_mode_normalized(self):
    """The same relative to the zero image's own switches, `[batch]`."""
    zero = tf.gather(self._zero_image_etas(), self._label)
    return self.latent_eta - zero / self._variance

  @functools.cached_property
  def latent_rpn(self):
    """Minus the rendering path normalization, `[batch]`."""
    path = rendering_path_normalization(self._network, self._rendered)
    return -self._network.input_shape.num_elements() * path

  @functools.cached_property
  def latent_layerwise(self):
    """The log-probability under the layerwise prior, `[batch]`."""
    log_prob, _ = layerwise_terms(
      self._network,
      self._variance,
      self._rendered.features,
      self._network.switches(self._propagated.pre_activations),
      self._biases,
    )
    return log_prob

  @property
  def log_prob(self):
    """The bound on the log-probability of the image, `[batch]`."""
    return (
      self.reconstruction + self.latent_mode_normalized + self.label_log_prob
    )

  @property
  def layer_reconstructions(self):
    """See `NeuralRenderingModel.layer_reconstruction`."""
    return self.layer_reconstruction(masked=False)

  def layer_reconstruction(self, masked):
    """See `NeuralRenderingModel.layer_reconstruction`."""
    reconstructions = [sum_of_squares(self._x - self._rendered.image)]
    for layer, g, h in zip(
      self._network.layers,
      self._propagated.features,
      self._rendered.features,
      strict=True,
    ):
      if masked:
        slope = tf.constant(layer.slope, h.dtype)
        h *= tf.where(g > 0, tf.ones([], h.dtype), slope)
      reconstructions.append(sum_of_squares(g - h))
    return -tf.stack(reconstructions, axis=-1)

  @functools.cached_property
  def _biases(self):
    biases, _ = self._network.biases()
    return biases

  def _zero_image_etas(self):
    """`eta` of the zero image's own switches, `[num_classes]`."""
    network = self._network
    if network.rendering_normalizations:
      # Renderings are no gradients of the logits: every class is rendered.
      labels = tf.range(network.num_classes)
      zeros = network.zero_images(network.num_classes)
      rendered = network.render(labels, images=zeros)
      return tf.reduce_sum(layer_etas(self._biases, rendered), axis=-1)
    _, class_bias = network.biases()
    return (network.propagate(network.zero_images()).logits - class_bias)[0]


def layer_etas(biases, rendered):
  """Returns `<b(l), s(l) * h(l)>` of each layer, `[batch, num_layers]`."""
  etas = [
    sum_event(bias * gradient)
    for bias, gradient in zip(biases, rendered.pre_activations, strict=True)
  ]
  return tf.stack(etas, axis=-1)


def rendering_path_normalization(network, rendered):
  """See `NeuralRenderingModel.rendering_path_normalization`."""
  biases, _ = network.biases(rendered.batch_statistics)
  zero = network.render_zero_image(rendered.batch_statistics)
  return tf.add_n(
    [
      tf.reduce_mean(
        tf.abs(tf.stop_gradient(bias) * (gradient - path)),
        axis=range(1, bias.shape.rank),
      )
      for bias, gradient, path in zip(
        biases, rendered.pre_activations, zero.pre_activations, strict=True
      )
    ]
  )


def most_likely(logits):
  """Returns the class of the largest logit, int32."""
  return tf.argmax(logits, axis=-1, output_type=tf.int32)
