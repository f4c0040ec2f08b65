# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Checks of class priors, labels and switches that users give."""

import numpy as np
import tensorflow as tf

__all__ = [
  'assert_labels',
  'check_class_probs',
  'check_labels',
  'check_switches',
]


def check_class_probs(name, class_probs, network):
  """Returns the class prior of a network's classes.

  Args:
    name: Python `str`, what the message starts with.
    class_probs: array-like of shape `[num_classes]`, or `None`: uniform.
    network: `PiecewiseLinearNetwork`.

  Returns:
    `Tensor` of shape `[num_classes]`.

  Raises:
    ValueError: if they are not positive, do not add up to one, or are not as many
      as there are classes.
  """
  num_classes = network.num_classes
  if class_probs is None:
    class_probs = [1 / num_classes] * num_classes
  probs = np.asarray(class_probs, np.float64)
  if probs.shape != (num_classes,):
    raise ValueError(
      f'{name}: `class_probs` must be the probabilities of the {num_classes} '
      f'classes; got shape {probs.shape}.'
    )
  # Of float32 probabilities, the sum is one so far.
  if not (probs > 0).all() or abs(probs.sum() - 1) > 1e-5:
    raise ValueError(
      f'{name}: `class_probs` must be positive and add up to one; got {probs}, '
      f'which add up to {probs.sum()}.'
    )
  return tf.constant(probs, network.dtype)


def check_labels(name, labels, num_classes, minimum=0):
  """Raises if labels are known not to be classes.

  Args:
    name: Python `str`, what the message starts with.
    labels: `Tensor`.
    num_classes: Python `int`.
    minimum: Python `int`, the smallest allowed.

  Raises:
    ValueError: if they are not integers, or one is out of range.
  """
  if not labels.dtype.is_integer:
    raise ValueError(
      f'{name}: `labels` must be integers; they are {labels.dtype.name}.'
    )
  static = tf.get_static_value(labels)
  if static is None:
    return
  wrong = (static < minimum) | (static >= num_classes)
  if wrong.any():
    raise ValueError(
      f'{name}: `labels` must be at least {minimum} and less than the number of '
      f'classes, {num_classes}; got {np.unique(static[wrong]).tolist()}.'
    )


def assert_labels(name, labels, num_classes, minimum=0):
  """Returns assertions that labels are classes, for when a graph runs.

  Args:
    name: Python `str`, what the message starts with.
    labels: integer `Tensor`.
    num_classes: Python `int`.
    minimum: Python `int`, the smallest allowed.

  Returns:
    List of operations.
  """
  message = (
    f'{name}: `labels` must be at least {minimum} and less than the number of '
    f'classes, {num_classes}.'
  )
  return [
    tf.debugging.assert_greater_equal(
      labels, tf.cast(minimum, labels.dtype), message=message
    ),
    tf.debugging.assert_less(
      labels, tf.cast(num_classes, labels.dtype), message=message
    ),
  ]


def check_switches(name, network, switches):
  """Checks that switches are those of a network's layers.

  Args:
    name: Python `str`, what the message starts with.
    network: `PiecewiseLinearNetwork`.
    switches: list of the layers' switches, `[sample..., batch..., ...]`.

  Returns:
    List of the layers' switches, as `Tensor`s.

  Raises:
    ValueError: if there are more or fewer than layers, an entry is not a `dict`
      of the layer's switches, or one has another shape or dtype.
  """
  is_list = isinstance(switches, list | tuple)
  if not is_list or len(switches) != network.num_layers:
    got = f'{len(switches)} entries' if is_list else f'{type(switches)}'
    raise ValueError(
      f'{name}: `switches` must be a list with an entry for each of the '
      f'{network.num_layers} layers; got {got}.'
    )
  return [
    _check_layer(f'{name}: `switches[{index}]`', layer, switch)
    for index, (layer, switch) in enumerate(
      zip(network.layers, switches, strict=True)
    )
  ]


def _check_layer(name, layer, switch):
  dtypes = layer.switch_dtypes
  if not isinstance(switch, dict) or set(switch) != set(dtypes):
    keys = sorted(switch) if isinstance(switch, dict) else type(switch)
    raise ValueError(
      f'{name} must be a dict of {", ".join(sorted(dtypes))}; got {keys}.'
    )
  return {
    key: _check_tensor(f"{name}['{key}']", layer, switch[key], dtype)
    for key, dtype in dtypes.items()
  }


def _check_tensor(name, layer, values, dtype):
  values = tf.convert_to_tensor(values)
  if values.dtype != dtype:
    raise ValueError(
      f'{name} must be of dtype {dtype.name}; it is {values.dtype.name}.'
    )
  shape, event_shape = values.shape, layer.feature_shape
  if shape.rank is not None and (
    shape.rank < event_shape.rank
    or not shape[shape.rank - event_shape.rank :].is_compatible_with(
      event_shape
    )
  ):
    raise ValueError(
      f'{name} must end in the shape of the features of the layer '
      f'{layer.name}, {event_shape}; it has shape {shape}.'
    )
  return values
