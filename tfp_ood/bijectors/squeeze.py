# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Squeezing: blocks of pixels become channels."""

import tensorflow as tf

from tfp_ood.bijectors import _shapes
from tfp_ood.bijectors.bijector import Bijector

__all__ = ['Squeeze']


class Squeeze(Bijector):
  """Reorder pixels: `inverse` turns blocks of pixels into channels.

  `inverse` maps `[height, width, channels]` to `[height / b, width / b,
  channels * b**2]` with `b = block_size`, and `forward` undoes this. The channels
  of a block's upper left pixel come first, then those of the pixel to its right,
  and so on, row by row. The log-determinant is zero.

  #### Examples

  >>> import tensorflow as tf
  >>> import tfp_ood
  >>> tfp_ood.bijectors.Squeeze().inverse(tf.zeros([7, 32, 32, 3])).shape
  TensorShape([7, 16, 16, 12])
  """

  def __init__(self, block_size=2, validate_args=False, name='squeeze'):
    """Instantiates the `Squeeze` bijector.

    Args:
      block_size: Python `int`, at least 2: the side of a block, in pixels.
      validate_args: Python `bool`, whether to check values in graphs.
      name: Python `str` given to the operations.
    """
    parameters = dict(locals())
    if int(block_size) != block_size or block_size < 2:
      raise ValueError(
        f'Squeeze: `block_size` must be a whole number >= 2, got {block_size}.'
      )
    with tf.name_scope(name) as name:
      self._block_size = int(block_size)
      super().__init__(
        forward_min_event_ndims=3,
        is_constant_jacobian=True,
        validate_args=validate_args,
        parameters=parameters,
        name=name,
      )

  @property
  def block_size(self):
    """Python `int`, the side of a block, in pixels."""
    return self._block_size

  def _forward_and_log_det(self, x):
    self._forward_event_shape(x.shape)
    flat = tf.nn.depth_to_space(_shapes.flatten_batch(x), self.block_size)
    return _shapes.unflatten_batch(flat, x), tf.zeros([], x.dtype)

  def _inverse_and_log_det(self, y):
    self._inverse_event_shape(y.shape)
    flat = tf.nn.space_to_depth(_shapes.flatten_batch(y), self.block_size)
    return _shapes.unflatten_batch(flat, y), tf.zeros([], y.dtype)

  def _inverse_linear_part(self, images):
    return tf.nn.space_to_depth(images, self.block_size).numpy()

  def _forward_event_shape(self, input_shape):
    _check_rank(input_shape)
    *batch, height, width, channels = input_shape
    size = self.block_size
    if channels is not None and channels % size**2:
      raise ValueError(
        f'Squeeze.forward: the number of channels must be divisible by '
        f'block_size**2 = {size**2}, got {channels}.'
      )
    return tf.TensorShape(
      [*batch, _times(height, size), _times(width, size)]
      + [None if channels is None else channels // size**2]
    )

  def _inverse_event_shape(self, output_shape):
    _check_rank(output_shape)
    *batch, height, width, channels = output_shape
    size = self.block_size
    for axis, length in (('height', height), ('width', width)):
      if length is not None and length % size:
        raise ValueError(
          f'Squeeze.inverse: the {axis} of the images must be divisible by '
          f'block_size = {size}, got {length}.'
        )
    return tf.TensorShape(
      [*batch]
      + [None if n is None else n // size for n in (height, width)]
      + [_times(channels, size**2)]
    )

  def _forward_event_shape_tensor(self, input_shape):
    size = self.block_size
    return tf.concat(
      [
        input_shape[:-3],
        input_shape[-3:-1] * size,
        input_shape[-1:] // size**2,
      ],
      axis=0,
    )

  def _inverse_event_shape_tensor(self, output_shape):
    size = self.block_size
    return tf.concat(
      [
        output_shape[:-3],
        output_shape[-3:-1] // size,
        output_shape[-1:] * size**2,
      ],
      axis=0,
    )


def _check_rank(shape):
  if shape.rank is None or shape.rank < 3:
    raise ValueError(
      'Squeeze: images must have shape [batch..., height, width, channels], '
      f'got {shape}.'
    )


def _times(length, factor):
  return None if length is None else length * factor
