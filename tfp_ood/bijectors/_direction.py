# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The two directions of a bijector."""

import enum

__all__ = ['Direction']


class Direction(enum.Enum):
  """Latent to image or image to latent, and what differs between the two."""

  FORWARD = 'forward'
  INVERSE = 'inverse'

  @property
  def opposite(self):
    """The other direction."""
    return Direction.INVERSE if self is Direction.FORWARD else Direction.FORWARD

  def apply(self, bijector, value):
    """Runs one of the library's bijectors.

    Args:
      bijector: `tfp_ood.bijectors.Bijector`.
      value: `Tensor`.

    Returns:
      The result and its log-determinant, summed over the minimal event.
    """
    if self is Direction.FORWARD:
      return bijector.forward_and_log_det(value)
    return bijector.inverse_and_log_det(value)

  def apply_separately(self, bijector, value, event_ndims):
    """Runs a bijector that computes value and log-determinant separately.

    Args:
      bijector: any `tfp.bijectors.Bijector`.
      value: `Tensor`.
      event_ndims: Python `int`, the rank of the event of `value`.

    Returns:
      The result and its log-determinant.
    """
    if self is Direction.FORWARD:
      return (
        bijector.forward(value),
        bijector.forward_log_det_jacobian(value, event_ndims=event_ndims),
      )
    return (
      bijector.inverse(value),
      bijector.inverse_log_det_jacobian(value, event_ndims=event_ndims),
    )

  def min_event_ndims(self, bijector):
    """Returns the smallest rank of an event that goes into a bijector."""
    if self is Direction.FORWARD:
      return bijector.forward_min_event_ndims
    return bijector.inverse_min_event_ndims

  def event_ndims_after(self, bijector, event_ndims):
    """Returns the rank of the event that an event of `event_ndims` becomes."""
    if self is Direction.FORWARD:
      return bijector.forward_event_ndims(event_ndims)
    return bijector.inverse_event_ndims(event_ndims)

  def in_order(self, parts):
    """Lists the parts of a chain in the order in which they run."""
    return list(parts) if self is Direction.INVERSE else list(reversed(parts))

  def index_of(self, iteration, num_parts):
    """Returns the index of the part that is the `iteration`-th to run."""
    if self is Direction.INVERSE:
      return iteration
    return num_parts - 1 - iteration
