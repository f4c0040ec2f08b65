# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""A transposed convolution whose window begins anywhere."""

import tensorflow as tf

from tfp_ood.networks._sizes import sizes

__all__ = ['ShiftedTransposedConvolution']


class ShiftedTransposedConvolution:
  """Doubles height and width by a window that need not have its center at 0.

  The input at row `i` and column `j` goes to the outputs in the rows from `2 i +
  first_row` on, as many as the kernel has, and to the columns likewise.

  #### Example

  >>> import tensorflow as tf
  >>> double = ShiftedTransposedConvolution(tf.ones([2, 2, 1, 1]))
  >>> double(tf.ones([1, 4, 4, 1])).shape
  TensorShape([1, 8, 8, 1])
  """

  def __init__(self, kernel, bias=None, first_row=0, first_column=0, name=None):
    """Instantiates the convolution.

    Args:
      kernel: `Tensor` of shape `[rows, columns, output_channels, input_channels]`;
        the window must reach to row and column 1.
      bias: `Tensor` of shape `[output_channels]`, or `None`.
      first_row: Python `int`, at most 0, the first row of the window.
      first_column: Python `int`, at most 0, likewise.
      name: Python `str`, that of the layer.
    """
    self._kernel, self._bias = kernel, bias
    self._first = (first_row, first_column)
    self.name = name

  def __call__(self, images):
    """Applies the convolution, in the dtype of the kernel.

    Args:
      images: `Tensor` of shape `[batch, height, width, input_channels]`.

    Returns:
      `Tensor` of shape `[batch, 2 height, 2 width, output_channels]`.
    """
    batch, height, width, _ = sizes(images)
    rows, columns, num_outputs, _ = self._kernel.shape
    outputs = tf.nn.conv2d_transpose(
      images,
      self._kernel,
      [batch, 2 * height + rows - 2, 2 * width + columns - 2, num_outputs],
      strides=2,
      padding='VALID',
    )
    top, left = (-first for first in self._first)
    outputs = outputs[:, top : top + 2 * height, left : left + 2 * width]
    return (
      outputs if self._bias is None else tf.nn.bias_add(outputs, self._bias)
    )
