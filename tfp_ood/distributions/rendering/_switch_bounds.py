# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Bounds of the exponent of the prior and of renderings, over all switches."""

import tensorflow as tf

from tfp_ood.networks.switch_layer import SwitchLayer

__all__ = ['eta_upper_bounds', 'rendering_bounds']


def eta_upper_bounds(network):
  """Bounds `eta` from above, over all switches.

  An interval for every feature is carried up the network from the zero image,

      u(l) in A_l m(l - 1) + b(l) +- |A_l| r(l - 1)

  with `m` the middle and `r` half the width of the interval below; each unit may
  be in any state. Where all kernels above the first layer are nonnegative the
  bound is attained: it is the logit of the zero image less the class bias.

  Args:
    network: `PiecewiseLinearNetwork`.

  Returns:
    `Tensor` of shape `[num_classes]`; infinite where the coefficients of a layer
    are not known, as with cubic upsampling.
  """
  if not _coefficients_are_known(network):
    return tf.fill(
      [network.num_classes], tf.constant(float('inf'), network.dtype)
    )
  zeros = network.zero_images()
  intervals = {network.input_name: (zeros, zeros)}
  for operation, inputs, output in network.steps:
    lower, upper = zip(*(intervals[name] for name in inputs), strict=True)
    if isinstance(operation, SwitchLayer):
      intervals[output] = (
        tf.reduce_min(operation.state_values(lower[0]), axis=-1),
        tf.reduce_max(operation.state_values(upper[0]), axis=-1),
      )
    else:
      pairs = list(zip(lower, upper, strict=True))
      middle = operation([(low + up) / 2 for low, up in pairs])
      radius = operation.absolute([(up - low) / 2 for low, up in pairs])
      intervals[output] = middle - radius, middle + radius
  _, class_bias = network.biases()
  return (intervals[network.output_name][1] - class_bias)[0]


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
  # Everything is linear; at zero an absolute value would have no gradient.
  images = tf.ones_like(network.zero_images(network.num_classes))
  if not _coefficients_are_known(network):
    return images * tf.constant(float('inf'), images.dtype)
  with tf.GradientTape(watch_accessed_variables=False) as tape:
    tape.watch(images)
    values = {network.input_name: images}
    for operation, inputs, output in network.steps:
      arguments = [values[name] for name in inputs]
      if isinstance(operation, SwitchLayer):
        states = operation.state_values(arguments[0])
        on = states[..., -operation.num_positions :]
        values[output] = max(1.0, operation.slope) * tf.reduce_sum(on, axis=-1)
      else:
        values[output] = operation.absolute(arguments)
    scores = tf.linalg.diag_part(values[network.output_name])
  return tape.gradient(scores, images)


def _coefficients_are_known(network):
  return all(
    isinstance(operation, SwitchLayer) or operation.absolute
    for operation, _, _ in network.steps
  )
