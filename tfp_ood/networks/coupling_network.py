# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The convolutional network inside Glow's coupling layers."""

import math

import tensorflow as tf
import tensorflow_probability as tfp

from tfp_ood._seeds import stateless_seed
from tfp_ood._variables import make_variables

__all__ = ['CouplingNetwork']


class CouplingNetwork(tf.Module):
  """Three convolutions, 3x3, 1x1 and 3x3, the last of which starts at zero.

  The hidden layers are rectified. With the last convolution at zero the coupling
  that the network feeds starts at the identity, and a deep flow at a
  well-conditioned map.

  The kernel of the last convolution is `output_gain * kernel_3`, with a constant
  `output_gain = 1 / sqrt(9 hidden_channels)`. Adam moves every weight by the rate of
  learning, whatever its gradient: without the gain its first step moves the outputs
  in proportion to `hidden_channels`, in all couplings at once, and a deep flow
  diverges that is not warmed up. Widths and rates are related so in [2].

  The weights are a flat `dict`, so that `tfp_ood.bijectors.Scan` can stack
  those of many networks: `initial_weights(..., num_steps=32)` makes the stack
  and `CouplingNetwork(..., weights=slice)` is the network of one slice.

  #### Examples

  >>> import tensorflow as tf
  >>> import tfp_ood
  >>> network = tfp_ood.networks.CouplingNetwork(6, 12, hidden_channels=8, seed=1)
  >>> network(tf.ones([5, 16, 16, 6])).shape
  TensorShape([5, 16, 16, 12])
  >>> len(network.trainable_variables)
  6

  #### References

  [1]: Diederik P Kingma, Prafulla Dhariwal. Glow: Generative Flow with
       Invertible 1x1 Convolutions. In _Neural Information Processing Systems_,
       2018. https://arxiv.org/abs/1807.03039
  [2]: Greg Yang, Edward J. Hu. Tensor Programs IV: Feature Learning in
       Infinite-Width Neural Networks. In _International Conference on Machine
       Learning_, 2021. https://arxiv.org/abs/2011.14522
  """

  # Which of the weights are not trained.
  constant_weights = ('output_gain',)

  def __init__(
    self,
    input_channels,
    output_channels,
    hidden_channels=512,
    seed=None,
    weights=None,
    dtype=tf.float32,
    compute_dtype=None,
    name='coupling_network',
  ):
    """Instantiates the network.

    Args:
      input_channels: Python `int`.
      output_channels: Python `int`.
      hidden_channels: Python `int`, the width of both hidden layers.
      seed: Python `int` or stateless PRNG seed of the weights.
      weights: `dict` as `initial_weights` or `prepare` returns it, of tensors or
        variables, to be used as they are. Default: new variables.
      dtype: the dtype of the weights made here.
      compute_dtype: the dtype of the convolutions, such as `tf.bfloat16`; the
        output has the dtype of the input. Default: that of the input.
      name: Python `str`, the name of the module.
    """
    super().__init__(name=name)
    if weights is None:
      weights = make_variables(
        self.initial_weights(
          input_channels, output_channels, hidden_channels, seed, dtype=dtype
        ),
        self.constant_weights,
      )
    self._weights = weights
    self._input_channels = input_channels
    self._compute_dtype = compute_dtype

  @staticmethod
  def initial_weights(
    input_channels,
    output_channels,
    hidden_channels=512,
    seed=None,
    num_steps=None,
    dtype=tf.float32,
  ):
    """Returns the weights of one network, or of a stack of them.

    Args:
      input_channels: Python `int`.
      output_channels: Python `int`.
      hidden_channels: Python `int`.
      seed: Python `int` or stateless PRNG seed.
      num_steps: Python `int`; if given, the weights of that many networks are
        stacked along a new first axis, as `Scan` takes them.
      dtype: floating dtype.

    Returns:
      `dict` of `kernel_1`, `bias_1`, `kernel_2`, `bias_2`, `kernel_3` and
      `bias_3`, and the constant `output_gain`, a scalar; kernels have shape `[size,
      size, input, output]`.
    """
    stack = [] if num_steps is None else [num_steps]
    seeds = tfp.random.split_seed(stateless_seed(seed), n=2)

    def he_normal(shape, seed):
      deviation = math.sqrt(2.0 / math.prod(shape[:-1]))
      # The weights start at the same values whatever their precision.
      normal = tf.random.stateless_normal(stack + shape, seed, alg='philox')
      return tf.cast(deviation * normal, dtype)

    hidden = hidden_channels
    return {
      'kernel_1': he_normal([3, 3, input_channels, hidden], seeds[0]),
      'bias_1': tf.zeros([*stack, hidden], dtype),
      'kernel_2': he_normal([1, 1, hidden, hidden], seeds[1]),
      'bias_2': tf.zeros([*stack, hidden], dtype),
      'kernel_3': tf.zeros([*stack, 3, 3, hidden, output_channels], dtype),
      'bias_3': tf.zeros([*stack, output_channels], dtype),
      'output_gain': tf.fill(
        stack, tf.cast(1.0 / math.sqrt(9 * hidden), dtype)
      ),
    }

  @staticmethod
  def prepare(weights, dtype):
    """Computes what depends on no image, for one set of weights or a stack.

    Args:
      weights: `dict` as `initial_weights` returns it.
      dtype: the dtype of the convolutions.

    Returns:
      `dict` of the kernels and biases in that dtype, with `scaled_kernel_3` in the
      place of `kernel_3` and its gain.
    """
    weights = dict(weights)
    gain = weights.pop('output_gain')[..., None, None, None, None]
    weights['scaled_kernel_3'] = gain * weights.pop('kernel_3')
    return {key: tf.cast(value, dtype) for key, value in weights.items()}

  def __call__(self, images):
    """Applies the network.

    Args:
      images: `Tensor` of shape `[batch, height, width, input_channels]`.

    Returns:
      `Tensor` of shape `[batch, height, width, output_channels]` and the dtype
      of `images`.
    """
    if images.shape[-1] != self._input_channels:
      raise ValueError(
        f'CouplingNetwork: `images` must have {self._input_channels} channels, '
        f'got {images.shape[-1]} (shape {images.shape}).'
      )
    dtype = self._compute_dtype or images.dtype
    weights = self._weights
    if 'scaled_kernel_3' not in weights:
      weights = self.prepare(weights, dtype)
    hidden = tf.cast(images, dtype)
    kernels = ('kernel_1', 'kernel_2', 'scaled_kernel_3')
    for number, kernel in enumerate(kernels, start=1):
      if number > 1:
        hidden = tf.nn.relu(hidden)
      hidden = tf.nn.bias_add(
        tf.nn.conv2d(
          hidden, tf.cast(weights[kernel], dtype), strides=1, padding='SAME'
        ),
        tf.cast(weights[f'bias_{number}'], dtype),
      )
    return tf.cast(hidden, images.dtype)
