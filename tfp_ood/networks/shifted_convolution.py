# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""A convolution that sees a window beside or above each pixel."""

import tensorflow as tf

__all__ = ['ShiftedConvolution']


class ShiftedConvolution:
  """A convolution of a window that need not have the pixel at its center.

  The output at row `i` and column `j` is of the inputs in the rows from `stride i +
  first_row` on, as many as the kernel has, and in the columns likewise; beyond the
  border, inputs are zero.

  #### Example

  >>> import tensorflow as tf
  >>> above = ShiftedConvolution(tf.ones([1, 1, 1, 1]), first_row=-1)
  >>> images = tf.reshape([1., 2., 3., 4.], [1, 2, 2, 1])
  >>> above(images)[0, :, :, 0].numpy()
  array([[0., 0.],
         [1., 2.]], dtype=float32)
  """

  def __init__(
    self,
    kernel,
    bias=None,
    first_row=0,
    first_column=0,
    stride=1,
    activation=None,
    name=None,
  ):
    """Instantiates the convolution.

    Args:
      kernel: `Tensor` of shape `[rows, columns, input_channels, output_channels]`.
      bias: `Tensor` of shape `[output_channels]`, or `None`.
      first_row: Python `int`, at most 0: the first row of the window, from the
        pixel's own.
      first_column: Python `int`, at most 0, likewise.
      stride: Python `int`, in both directions.
      activation: function of the images that maps 0 to 0, or `None`. It is applied
        after padding, so that only the padded outputs are stored for the gradient,
        not an unpadded copy too.
      name: Python `str`, that of the layer.
    """
    self._kernel, self._bias = kernel, bias
    self._stride = stride
    self._activation = activation
    self._first = (first_row, first_column)
    self.name = name

  @property
  def num_rows_before(self):
    """Python `int`, how many rows above a pixel's own the window begins."""
    return -self._first[0]

  def __call__(self, images, before=None):
    """Applies the convolution, in the dtype of the kernel.

    Args:
      images: `Tensor` of shape `[batch, height, width, channels]`, with the channels
        of the kernel, or those that `activation` makes the kernel's of.
      before: `Tensor` of shape `[batch, num_rows_before, width, channels]`, the rows
        above the images. Default: zeros.

    Returns:
      `Tensor` of shape `[batch, height / stride, width / stride, output_channels]`.
    """
    top, left = (-first for first in self._first)
    # How many rows and columns the window ends after the pixel's own.
    below, right = (
      size - first - 1
      for size, first in zip(self._kernel.shape[:2], (top, left), strict=True)
    )
    if before is not None:
      images = tf.concat([before, images], axis=1)
      top = 0
    # A window that ends before the pixel never gets to the last ones.
    if min(below, right) < 0:
      images = images[:, : min(below, 0) or None, : min(right, 0) or None]
    # Below the last pixel that a stride gets to, it needs fewer.
    skipped = self._stride - 1
    padding = [[top, max(below - skipped, 0)], [left, max(right - skipped, 0)]]
    # Padded here and not by `conv2d`, whose gradients with explicit padding take up to
    # twice as long on a CPU, and fifty times as long in bfloat16.
    padded = tf.pad(images, [[0, 0], *padding, [0, 0]])
    if self._activation is not None:
      padded = self._activation(padded)
    outputs = tf.nn.conv2d(padded, self._kernel, self._stride, 'VALID')
    return (
      outputs if self._bias is None else tf.nn.bias_add(outputs, self._bias)
    )
