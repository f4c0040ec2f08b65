# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Convolutions that see a window beside or above each pixel."""

import math

import tensorflow as tf

from tfp_ood._seeds import stateless_seed

__all__ = ['ShiftedConvolution', 'ShiftedTransposedConvolution']


class _Normalized(tf.Module):
  """A kernel whose length, output by output, is a variable of its own."""

  def __init__(self, shape, output_axis, gain, seed, dtype, name):
    super().__init__(name=name)
    direction = tf.random.stateless_normal(
      shape, stateless_seed(seed), alg='philox'
    )
    self._axes = [axis for axis in range(4) if axis != output_axis]
    self._direction = tf.Variable(tf.cast(direction, dtype), name='direction')
    size = shape[output_axis]
    self._shape = [size if axis == output_axis else 1 for axis in range(4)]
    self._length = tf.Variable(
      tf.fill([size], tf.cast(gain, dtype)), name='length'
    )
    self._bias = tf.Variable(tf.zeros([size], dtype), name='bias')

  def _kernel(self, dtype):
    squared = tf.reduce_sum(self._direction**2, self._axes)
    scale = tf.reshape(self._length * tf.math.rsqrt(squared), self._shape)
    return tf.cast(self._direction * scale, dtype)


class ShiftedConvolution(_Normalized):
  """A convolution of a window that need not have the pixel at its center.

  The output at row `i` and column `j` is of the inputs in rows `stride i + rows[0]`
  to `stride i + rows[1]`, the last one excluded, and in the columns likewise; beyond
  the border, inputs are zero. The kernel is normalized: a direction and a length for
  each output.

  #### Example

  >>> import tensorflow as tf
  >>> above = ShiftedConvolution(1, 1, rows=(-1, 0), columns=(0, 1), seed=1)
  >>> images = tf.reshape([1., 2., 3., 4.], [1, 2, 2, 1])
  >>> abs(above(images)[0, :, :, 0]).numpy()
  array([[0., 0.],
         [1., 2.]], dtype=float32)

  #### References

  [1]: Tim Salimans, Diederik P Kingma. Weight Normalization. In _Neural Information
       Processing Systems_, 2016. https://arxiv.org/abs/1602.07868
  """

  def __init__(
    self,
    input_channels,
    output_channels,
    rows,
    columns,
    stride=1,
    gain=1.0,
    seed=None,
    dtype=tf.float32,
    name='shifted_convolution',
  ):
    """Instantiates the convolution.

    Args:
      input_channels: Python `int`.
      output_channels: Python `int`.
      rows: pair of Python `int`s, the first row of the window, from the pixel's own,
        and the one after the last.
      columns: likewise.
      stride: Python `int`, in both directions.
      gain: Python `float`, the length of the kernels at first.
      seed: Python `int` or stateless PRNG seed of their directions.
      dtype: floating dtype of the variables.
      name: Python `str`, the name of the module.
    """
    self._window = (rows, columns)
    self._stride = stride
    size = [stop - start for start, stop in self._window]
    shape = [*size, input_channels, output_channels]
    super().__init__(shape, 3, gain, seed, dtype, name)

  @property
  def num_rows_before(self):
    """Python `int`, how many rows above a pixel's own the window begins."""
    return -self._window[0][0]

  def __call__(self, images, before=None):
    """Applies the convolution, in the dtype of the images.

    Args:
      images: `Tensor` of shape `[batch, height, width, input_channels]`.
      before: `Tensor` of shape `[batch, num_rows_before, width, input_channels]`, the
        rows above the images. Default: zeros.

    Returns:
      `Tensor` of shape `[batch, height / stride, width / stride, output_channels]`.
    """
    (top, bottom), (left, right) = self._window
    if before is not None:
      images = tf.concat([before, images], axis=1)
      top = 0
    # A window that ends before the pixel never gets to the last ones.
    images = images[
      :, : min(bottom - 1, 0) or None, : min(right - 1, 0) or None
    ]
    return tf.nn.bias_add(
      tf.nn.conv2d(
        images,
        self._kernel(images.dtype),
        strides=self._stride,
        padding=[
          [0, 0],
          [-top, max(bottom - self._stride, 0)],
          [-left, max(right - self._stride, 0)],
          [0, 0],
        ],
      ),
      tf.cast(self._bias, images.dtype),
    )


class ShiftedTransposedConvolution(_Normalized):
  """Doubles height and width by a window that need not have its center at 0.

  The input at row `i` and column `j` goes to the outputs in rows `2 i + rows[0]` to
  `2 i + rows[1]`, the last one excluded, and to the columns likewise. The kernel is
  normalized, as that of `ShiftedConvolution`.

  #### Example

  >>> import tensorflow as tf
  >>> double = ShiftedTransposedConvolution(1, 1, rows=(0, 2), columns=(0, 2))
  >>> double(tf.ones([1, 4, 4, 1])).shape
  TensorShape([1, 8, 8, 1])
  """

  def __init__(
    self,
    input_channels,
    output_channels,
    rows,
    columns,
    seed=None,
    dtype=tf.float32,
    name='shifted_transposed_convolution',
  ):
    """Instantiates the convolution.

    Args:
      input_channels: Python `int`.
      output_channels: Python `int`.
      rows: pair of Python `int`s: the first row of the window, at most 0, and the one
        after the last, at least 2.
      columns: likewise.
      seed: Python `int` or stateless PRNG seed of the directions of the kernels.
      dtype: floating dtype of the variables.
      name: Python `str`, the name of the module.
    """
    self._window = (rows, columns)
    size = [stop - start for start, stop in self._window]
    self._num_outputs = output_channels
    gain = 2.0 / math.sqrt(math.prod(size))
    shape = [*size, output_channels, input_channels]
    super().__init__(shape, 2, gain, seed, dtype, name)

  def __call__(self, images):
    """Applies the convolution, in the dtype of the images.

    Args:
      images: `Tensor` of shape `[batch, height, width, input_channels]`.

    Returns:
      `Tensor` of shape `[batch, 2 height, 2 width, output_channels]`.
    """
    batch, height, width, _ = (
      known or dynamic
      for known, dynamic in zip(
        images.shape, tf.unstack(tf.shape(images)), strict=True
      )
    )
    (top, bottom), (left, right) = self._window
    rows = 2 * height + bottom - 2 - top
    columns = 2 * width + right - 2 - left
    images = tf.nn.conv2d_transpose(
      images,
      self._kernel(images.dtype),
      [batch, rows, columns, self._num_outputs],
      strides=2,
      padding='VALID',
    )
    images = images[:, -top : -top + 2 * height, -left : -left + 2 * width]
    return tf.nn.bias_add(images, tf.cast(self._bias, images.dtype))
