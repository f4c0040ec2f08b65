# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Value and log-determinant together, for any bijector."""

import tensorflow as tf

from tfp_ood._third_party import is_chain, is_invert
from tfp_ood.bijectors import _shapes
from tfp_ood.bijectors._direction import Direction
from tfp_ood.bijectors.bijector import Bijector

__all__ = ['forward_and_log_det', 'inverse_and_log_det', 'value_and_log_det']


def forward_and_log_det(bijector, x, event_ndims=None):
  """Returns `bijector.forward(x)` together with its log-determinant.

  Looks inside `tfp.bijectors.Chain` and `tfp.bijectors.Invert`, so that each
  network runs once in a flow that mixes the library's bijectors and TFP's.

  Args:
    bijector: any `tfp.bijectors.Bijector`.
    x: `Tensor` of shape `[batch..., event...]`.
    event_ndims: Python `int`, the rank of the event of `x`.
      Default: `bijector.forward_min_event_ndims`.

  Returns:
    y: `Tensor`, `bijector.forward(x)`.
    log_det: `Tensor` of shape `[batch...]`, `log|det dy/dx|` in nats.

  #### Examples

  >>> import tensorflow_probability as tfp
  >>> import tfp_ood
  >>> flow = tfp.bijectors.Chain([
  ...     tfp_ood.bijectors.Squeeze(), tfp.bijectors.Scale(2.0)])
  >>> y, log_det = tfp_ood.bijectors.forward_and_log_det(
  ...     flow, [[[1.0, 2.0, 3.0, 4.0]]])
  >>> y.shape, round(float(log_det), 4)  # 4 log 2
  (TensorShape([2, 2, 1]), 2.7726)
  """
  return value_and_log_det(bijector, Direction.FORWARD, x, event_ndims)


def inverse_and_log_det(bijector, y, event_ndims=None):
  """Returns `bijector.inverse(y)` together with its log-determinant.

  Args:
    bijector: any `tfp.bijectors.Bijector`.
    y: `Tensor` of shape `[batch..., event...]`.
    event_ndims: Python `int`, the rank of the event of `y`.
      Default: `bijector.inverse_min_event_ndims`.

  Returns:
    x: `Tensor`, `bijector.inverse(y)`.
    log_det: `Tensor` of shape `[batch...]`, `log|det dx/dy|` in nats.

  #### Examples

  >>> import tfp_ood
  >>> x, log_det = tfp_ood.bijectors.inverse_and_log_det(
  ...     tfp_ood.bijectors.Squeeze(), [[[1.0], [2.0]], [[3.0], [4.0]]])
  >>> x.numpy().tolist(), float(log_det)
  ([[[1.0, 2.0, 3.0, 4.0]]], 0.0)
  """
  return value_and_log_det(bijector, Direction.INVERSE, y, event_ndims)


def value_and_log_det(bijector, direction, value, event_ndims=None):
  """Runs a bijector in one direction, through chains and inversions.

  Args:
    bijector: any `tfp.bijectors.Bijector`.
    direction: `Direction`.
    value: `Tensor` of shape `[batch..., event...]`.
    event_ndims: Python `int`, the rank of the event of `value`. Default: the
      smallest that the bijector takes.

  Returns:
    The result and its log-determinant, of shape `[batch...]`.
  """
  min_event_ndims = direction.min_event_ndims(bijector)
  if event_ndims is None:
    event_ndims = min_event_ndims
  if is_chain(bijector):
    return _through_chain(bijector, direction, value, event_ndims)
  if is_invert(bijector):
    return value_and_log_det(
      bijector.bijector, direction.opposite, value, event_ndims
    )
  if isinstance(bijector, Bijector):
    result, log_det = direction.apply(bijector, value)
    return result, _sum_extra_dimensions(log_det, event_ndims - min_event_ndims)
  value = _shapes.as_tensor(value)
  result, log_det = direction.apply_separately(bijector, value, event_ndims)
  # TFP returns a scalar if the log-determinant is constant.
  return result, _shapes.broadcast_to_batch(log_det, value, event_ndims)


def _through_chain(chain, direction, value, event_ndims):
  """Applies the parts of a chain one by one and adds their log-determinants."""
  total = None
  for part in direction.in_order(chain.bijectors):
    value, log_det = value_and_log_det(part, direction, value, event_ndims)
    total = log_det if total is None else total + log_det
    event_ndims = direction.event_ndims_after(part, event_ndims)
  if total is None:  # An empty chain is the identity.
    value = _shapes.as_tensor(value)
    total = tf.zeros(
      tf.shape(value)[: value.shape.rank - event_ndims], value.dtype
    )
  return value, total


def _sum_extra_dimensions(log_det, num_dimensions):
  if num_dimensions == 0:
    return log_det
  return tf.reduce_sum(log_det, axis=list(range(-num_dimensions, 0)))
