# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Value and log-determinant at once, for any bijector."""

import tensorflow as tf
from tensorflow_probability.python.bijectors import chain as tfp_chain
from tensorflow_probability.python.bijectors import invert as tfp_invert

from tfp_ood.bijectors import _shapes
from tfp_ood.bijectors.bijector import Bijector

__all__ = ['forward_and_log_det', 'inverse_and_log_det', 'is_chain']


def is_chain(bijector):
  """Whether a bijector is a `tfp.bijectors.Chain`.

  `tfp.bijectors.Chain(...)` is an instance of that class only if all of its
  parts are composite tensors; otherwise TFP makes a `_Chain`, the base of both.

  Args:
    bijector: any `tfp.bijectors.Bijector`.

  Returns:
    Python `bool`.
  """
  return isinstance(bijector, tfp_chain._Chain)


def forward_and_log_det(bijector, x, event_ndims=None):
  """Returns `bijector.forward(x)` and its log-determinant, at once.

  Reaches through `tfp.bijectors.Chain` and `tfp.bijectors.Invert`, so that in
  a flow made of the library's bijectors and TFP's, each network runs once.

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
  return _apply(bijector, x, event_ndims, forward=True)


def inverse_and_log_det(bijector, y, event_ndims=None):
  """Returns `bijector.inverse(y)` and its log-determinant, at once.

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
  return _apply(bijector, y, event_ndims, forward=False)


def _apply(bijector, value, event_ndims, forward):
  """Runs a bijector in one direction, through chains and inversions."""
  min_event_ndims = (
    bijector.forward_min_event_ndims
    if forward
    else bijector.inverse_min_event_ndims
  )
  if event_ndims is None:
    event_ndims = min_event_ndims
  if is_chain(bijector):
    return _through_chain(bijector, value, event_ndims, forward)
  if isinstance(bijector, tfp_invert._Invert):
    return _apply(bijector.bijector, value, event_ndims, not forward)
  if isinstance(bijector, Bijector):
    result, log_det = (
      bijector.forward_and_log_det(value)
      if forward
      else bijector.inverse_and_log_det(value)
    )
    return result, _sum_extra_dimensions(log_det, event_ndims - min_event_ndims)
  value = _shapes.as_tensor(value)
  result = bijector.forward(value) if forward else bijector.inverse(value)
  log_det = (
    bijector.forward_log_det_jacobian(value, event_ndims=event_ndims)
    if forward
    else bijector.inverse_log_det_jacobian(value, event_ndims=event_ndims)
  )
  # TFP gives a scalar where the log-determinant is constant.
  return result, _shapes.broadcast_to_batch(log_det, value, event_ndims)


def _through_chain(chain, value, event_ndims, forward):
  """Applies the parts of a chain one by one and adds their log-determinants."""
  total = None
  for part in reversed(chain.bijectors) if forward else chain.bijectors:
    value, log_det = _apply(part, value, event_ndims, forward)
    total = log_det if total is None else total + log_det
    event_ndims = (
      part.forward_event_ndims(event_ndims)
      if forward
      else part.inverse_event_ndims(event_ndims)
    )
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
