# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""One pass up through the steps of a network, and the way back."""

import tensorflow as tf

from tfp_ood.networks._affine_map import with_transpose
from tfp_ood.networks.switch_layer import SwitchLayer

__all__ = ['NetworkPass']


class NetworkPass:
  """What a network computes for a batch of images, step by step.

  The way back takes the steps in reverse order, each by its own
  vector-Jacobian product, and adds up the cotangents of a value that several
  steps use. Random numbers and statistics of the batch are constants there, but
  not to a tape around the whole.

  `logits` is the output; `features` and `pre_activations` are lists with an entry
  for each `SwitchLayer`. After a pass that can go back, `coefficients` are those
  of the maps that have any, in the order of the steps; see
  `AffineMap.call_and_transpose`.
  """

  def __init__(
    self,
    steps,
    input_name,
    output_name,
    images,
    switch,
    training=False,
    can_go_back=False,
    coefficients=None,
  ):
    """Goes up.

    Args:
      steps: list of `_keras_graph.Step`.
      input_name: the name of the input's value.
      output_name: the name of the output's value.
      images: `Tensor` of shape `[batch, ...]`.
      switch: callable from a `SwitchLayer`, its pre-activations and its number to
        its features.
      training: Python `bool`.
      can_go_back: Python `bool`, whether `back` may be called, once.
      coefficients: iterator over those of another pass, to be used again.
    """
    self._steps = steps
    self._input_name, self._output_name = input_name, output_name
    self._values = {input_name: images}
    self._transposes = []
    self.features, self.pre_activations, self.coefficients = [], [], []
    for operation, names, output_name in steps:
      inputs = [self._values[name] for name in names]
      if isinstance(operation, SwitchLayer):
        output = self._call_switches(operation, inputs, switch, can_go_back)
      else:
        given = coefficients if operation.has_coefficients else None
        own = None if given is None else next(given)
        output = self._call_map(operation, inputs, training, own, can_go_back)
      self._values[output_name] = output
    self.logits = self._values[self._output_name]

  def _call_switches(self, layer, inputs, switch, can_go_back):
    index = len(self.features)

    def function(inputs):
      return switch(layer, inputs[0], index)

    if can_go_back:
      output, transpose = with_transpose(function, inputs)
      self._transposes.append(transpose)
    else:
      output = function(inputs)
    self.pre_activations += inputs
    self.features.append(output)
    return output

  def _call_map(self, operation, inputs, training, coefficients, can_go_back):
    if not can_go_back:
      return operation(inputs, training, coefficients)
    output, transpose, coefficients = operation.call_and_transpose(
      inputs, training, coefficients
    )
    self._transposes.append(transpose)
    if operation.has_coefficients:
      self.coefficients.append(coefficients)
    return output

  def back(self, h, normalize=lambda h, index: h):
    """Goes back from the logits.

    Args:
      h: `Tensor` of the shape of the logits, the weights of the sum of logits
        whose gradient is taken.
      normalize: callable that a rendering goes through on its way back, given
        the number of its layer, 0 for the image.

    Returns:
      image: the rendering of the image.
      features: list of the renderings of the features.
      pre_activations: list of the renderings below the switches of their own
        layer.
    """
    cotangents = {self._output_name: h}

    def take(name, index=None):
      value = self._values[name]
      h = cotangents.pop(name, None)
      h = tf.zeros_like(value) if h is None else h
      return h if index is None else tf.cast(normalize(h, index), value.dtype)

    features, pre_activations = [], []
    for operation, names, output_name in reversed(self._steps):
      is_switch = isinstance(operation, SwitchLayer)
      index = len(self.features) - len(features) if is_switch else None
      h = take(output_name, index)
      inputs = self._transposes.pop()(h)
      if is_switch:
        features.append(h)
        pre_activations += inputs
      for name, cotangent in zip(names, inputs, strict=True):
        cotangents[name] = (
          cotangents[name] + cotangent if name in cotangents else cotangent
        )
    image = take(self._input_name, 0)
    return image, features[::-1], pre_activations[::-1]
