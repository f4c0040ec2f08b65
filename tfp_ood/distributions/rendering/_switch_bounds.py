# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Bounds of what a network makes of the zero image, over all switches."""

import tensorflow as tf

from tfp_ood.networks import _keras_graph
from tfp_ood.networks.switch_layer import SwitchLayer

__all__ = ['eta_upper_bounds', 'rendering_bounds']


def eta_upper_bounds(network):
  """Bounds `eta` from above, over all switches.

  An interval for every feature is carried up the network from the zero image,

      u(l) in A_l m(l - 1) + b(l) +- |A_l| r(l - 1)

  with `m` the middle and `r` half the width of the interval below; each unit may
  stand in any state. Where all kernels above the first layer are nonnegative
  nothing is lost: the bound is the logit of the zero image less the class bias.

  Args:
    network: `PiecewiseLinearNetwork`.

  Returns:
    `Tensor` of shape `[num_classes]`; infinite where the coefficients of a layer
    are not known, as with cubic upsampling.
  """
  steps, input_name, output_name = _keras_graph.read_keras_graph(network.model)
  if not _coefficients_are_known(steps):
    return tf.fill(
      [network.num_classes], tf.constant(float('inf'), network.dtype)
    )
  zeros = network.zero_images()
  intervals = {input_name: (zeros, zeros)}
  for operation, inputs, output in steps:
    lower, upper = zip(*(intervals[name] for name in inputs), strict=True)
    if isinstance(operation, _keras_graph.Affine):
      pairs = list(zip(lower, upper, strict=True))
      middle = operation.function([(low + up) / 2 for low, up in pairs])
      radius = operation.absolute([(up - low) / 2 for low, up in pairs])
      intervals[output] = middle - radius, middle + radius
    else:
      layer = _switch_layer(operation, lower[0])
      intervals[output] = (
        tf.reduce_min(layer.state_values(lower[0]), axis=-1),
        tf.reduce_max(layer.state_values(upper[0]), axis=-1),
      )
  _, class_bias = network.biases()
  return (intervals[output_name][1] - class_bias)[0]


def rendering_bounds(network):
  """Bounds renderings of the image, over all switches.

      |h(y, z; 0)| <= |A_1|^T U_1 ... |A_L|^T U_L |A|^T e_y

  where `U` puts a value at every position of its window.

  Args:
    network: `PiecewiseLinearNetwork` whose renderings are exact adjoints.

  Returns:
    `Tensor` of shape `[num_classes, *input_shape]`; infinite where the
    coefficients of a layer are not known.
  """
  steps, input_name, output_name = _keras_graph.read_keras_graph(network.model)
  # Everything is linear; at zero an absolute value would have no gradient.
  images = tf.ones_like(network.zero_images(network.num_classes))
  if not _coefficients_are_known(steps):
    return images * tf.constant(float('inf'), images.dtype)
  with tf.GradientTape(watch_accessed_variables=False) as tape:
    tape.watch(images)
    values = {input_name: images}
    for operation, inputs, output in steps:
      arguments = [values[name] for name in inputs]
      if isinstance(operation, _keras_graph.Affine):
        values[output] = operation.absolute(arguments)
      else:
        layer = _switch_layer(operation, arguments[0])
        on = layer.state_values(arguments[0])[..., -layer.num_positions :]
        values[output] = max(1.0, layer.slope) * tf.reduce_sum(on, axis=-1)
    scores = tf.linalg.diag_part(values[output_name])
  return tape.gradient(scores, images)


def _coefficients_are_known(steps):
  return all(
    step.operation.absolute
    for step in steps
    if isinstance(step.operation, _keras_graph.Affine)
  )


def _switch_layer(operation, u):
  layer = SwitchLayer([operation])
  layer.set_shape(u.shape[1:])
  return layer
