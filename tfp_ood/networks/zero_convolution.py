# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""A convolution that starts at zero."""

import tensorflow as tf

__all__ = ['ZeroConvolution']


class ZeroConvolution(tf.Module):
  """A 3x3 convolution whose weights start at zero.

  The conditional prior of Glow's factored-out channels: it starts at the
  standard normal and learns where to depart from it.

  #### Examples

  >>> import tensorflow as tf
  >>> import tfp_ood
  >>> network = tfp_ood.networks.ZeroConvolution(6, 12)
  >>> float(tf.reduce_max(tf.abs(network(tf.ones([1, 8, 8, 6])))))
  0.0
  """

  def __init__(
    self,
    input_channels,
    output_channels,
    dtype=tf.float32,
    name='zero_convolution',
  ):
    """Instantiates the network.

    Args:
      input_channels: Python `int`.
      output_channels: Python `int`.
      dtype: the dtype of the weights.
      name: Python `str`, the name of the module.
    """
    super().__init__(name=name)
    self._kernel = tf.Variable(
      tf.zeros([3, 3, input_channels, output_channels], dtype), name='kernel'
    )
    self._bias = tf.Variable(tf.zeros([output_channels], dtype), name='bias')

  def __call__(self, images):
    """Applies the convolution.

    Args:
      images: `Tensor` of shape `[batch, height, width, input_channels]`.

    Returns:
      `Tensor` of shape `[batch, height, width, output_channels]`.
    """
    if images.shape[-1] != self._kernel.shape[2]:
      raise ValueError(
        f'ZeroConvolution: `images` must have {self._kernel.shape[2]} channels, '
        f'got {images.shape[-1]} (shape {images.shape}).'
      )
    return tf.nn.bias_add(
      tf.nn.conv2d(images, self._kernel, strides=1, padding='SAME'), self._bias
    )
