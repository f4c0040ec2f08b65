# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The network of PixelCNN++: features of each pixel from those before it."""

import tensorflow as tf
import tensorflow_probability as tfp

from tfp_ood._seeds import stateless_seed
from tfp_ood.networks.raster_steps import WholeImages
from tfp_ood.networks.shifted_convolution import (
  ShiftedConvolution,
  ShiftedTransposedConvolution,
)

__all__ = ['PixelCnnNetwork']

# Where a feature looks. The stream above sees its own row too, as features of that
# row have seen the rows above only.
_WINDOWS = {
  'above': {'rows': (-1, 1), 'columns': (-1, 2)},
  'left': {'rows': (-1, 1), 'columns': (-1, 1)},
}
_DOUBLING_WINDOWS = {
  'above': {'rows': (0, 2), 'columns': (-1, 2)},
  'left': {'rows': (0, 2), 'columns': (0, 2)},
}
_RESIDUAL_GAIN = 0.1


class PixelCnnNetwork(tf.Module):
  """Features of each pixel that depend on the pixels before it alone.

  Before means in the rows above, or in the same row to the left. Two streams of gated
  residual blocks, one of what is above and one that adds what is to the left, on the
  way down through `num_levels` resolutions and on the way up again, where each block
  also gets what its counterpart on the way down had.

  #### Example

  >>> import tensorflow as tf
  >>> network = PixelCnnNetwork(1, num_filters=4, num_blocks=1, num_levels=2)
  >>> network(tf.zeros([5, 8, 8, 1])).shape
  TensorShape([5, 8, 8, 4])

  #### References

  [1]: Tim Salimans, Andrej Karpathy, Xi Chen, Diederik P Kingma. PixelCNN++. In
       _International Conference on Learning Representations_, 2017.
       https://arxiv.org/abs/1701.05517
  """

  def __init__(
    self,
    input_channels,
    num_filters=32,
    num_blocks=5,
    num_levels=2,
    dropout_rate=0.0,
    seed=None,
    dtype=tf.float32,
    compute_dtype=None,
    name='pixel_cnn_network',
  ):
    """Instantiates the network.

    Args:
      input_channels: Python `int`.
      num_filters: Python `int`, the number of features.
      num_blocks: Python `int`, residual blocks of a stream at a resolution, on the way
        down; on the way up there is one more at all but the coarsest.
      num_levels: Python `int`, resolutions; height and width are halved between two.
      dropout_rate: Python `float`, of the features inside of blocks, where the network
        is called with a seed.
      seed: Python `int` or stateless PRNG seed of the weights.
      dtype: floating dtype of the variables.
      compute_dtype: the dtype of the convolutions and of what is between them, such as
        `tf.bfloat16`; the output has the dtype of the input. Default: that of the
        input.
      name: Python `str`, the name of the module.
    """
    super().__init__(name=name)
    self._compute_dtype = compute_dtype
    self._num_levels = num_levels
    seeds = tfp.random.split_seed(stateless_seed(seed), n=5)

    def first(number, rows, columns, name):
      return ShiftedConvolution(
        input_channels + 1,
        num_filters,
        rows,
        columns,
        seed=seeds[number],
        dtype=dtype,
        name=name,
      )

    self._first_above = first(0, (-2, 0), (-1, 2), 'first_above')
    self._first_row_above = first(1, (-1, 0), (-1, 2), 'first_row_above')
    self._first_left = first(2, (-1, 1), (-1, 0), 'first_left')
    self._above, self._left = (
      _Stream(
        num_filters,
        num_blocks,
        num_levels,
        dropout_rate,
        seed=seed,
        dtype=dtype,
        name=name,
      )
      for name, seed in zip(_WINDOWS, tf.unstack(seeds[3:]), strict=True)
    )

  @property
  def num_rows_at_once(self):
    """Python `int`, after how many rows all resolutions begin a new one."""
    return 2 ** (self._num_levels - 1)

  def __call__(self, images, seed=None):
    """Applies the network.

    Args:
      images: `Tensor` of shape `[batch, height, width, input_channels]`, about -1 to
        1; height and width can be halved `num_levels - 1` times.
      seed: PRNG seed of the dropout; `None` for no dropout.

    Returns:
      `Tensor` of shape `[batch, height, width, num_filters]` and the dtype of
      `images`.
    """
    steps = WholeImages(seed)
    return self.left(images, self.above(images, steps), steps)

  def above(self, images, steps):
    """Computes what features take from the rows above.

    Args:
      images: `Tensor` of images, or of one row of them.
      steps: `WholeImages` or `RowAfterRow`.

    Returns:
      List of `Tensor`s, for `left`.
    """
    inputs = self._inputs(images)
    return self._above(steps.convolve(self._first_above, inputs), steps)

  def left(self, images, above, steps):
    """Computes the features.

    Args:
      images: `Tensor` of images, or of one row of them.
      above: what `above` returned for the same.
      steps: `WholeImages` or `RowAfterRow`.

    Returns:
      `Tensor` of features.
    """
    inputs = self._inputs(images)
    start = steps.convolve(self._first_row_above, inputs)
    start += steps.convolve(self._first_left, inputs)
    features = self._left(start, steps, above)[-1]
    return tf.cast(tf.nn.elu(features), images.dtype)

  def _inputs(self, images):
    # Ones, so that the border differs from a pixel of zero.
    inputs = tf.cast(images, self._compute_dtype or images.dtype)
    return tf.concat([inputs, tf.ones_like(inputs[..., :1])], axis=-1)


class _Stream(tf.Module):
  """One of the two streams, at all resolutions."""

  def __init__(
    self,
    num_filters,
    num_blocks,
    num_levels,
    dropout_rate,
    seed,
    dtype,
    name,
  ):
    super().__init__(name=name)
    seeds = _seeds(seed)
    num_beside = 1 if name == 'left' else 0

    def block(way, level, number, num_skips):
      return _GatedBlock(
        num_filters,
        num_skips * num_filters,
        _WINDOWS[name],
        dropout_rate,
        seed=next(seeds),
        dtype=dtype,
        name=f'{name}_{way}_{level}_{number}',
      )

    def between(kind, way, level, window, **kwargs):
      return kind(
        num_filters,
        num_filters,
        **window,
        **kwargs,
        seed=next(seeds),
        dtype=dtype,
        name=f'{name}_{way}_{level}',
      )

    levels = range(num_levels)
    self._down = [
      [block('down', level, k, num_beside) for k in range(num_blocks)]
      for level in levels
    ]
    self._halve = [
      between(ShiftedConvolution, 'halve', level, _WINDOWS[name], stride=2)
      for level in levels[:-1]
    ]
    self._double = [
      between(
        ShiftedTransposedConvolution, 'double', level, _DOUBLING_WINDOWS[name]
      )
      for level in levels[:-1]
    ]
    self._up = [
      [
        block('up', level, k, 1 + num_beside)
        for k in range(num_blocks + (level < num_levels - 1))
      ]
      for level in levels
    ]

  def __call__(self, x, steps, beside=None):
    """Returns what each block has made, in order.

    Args:
      x: `Tensor`.
      steps: `WholeImages` or `RowAfterRow`.
      beside: what the other stream returned, for the blocks to see; or `None`.

    Returns:
      List of `Tensor`s.
    """
    made = []

    def apply(block, x, steps, *skipped):
      others = [beside[len(made)]] if beside else []
      others += skipped
      made.append(block(x, others, steps))
      return made[-1]

    def at_level(level, x, steps):
      passed = [x]
      for block in self._down[level]:
        passed.append(apply(block, passed[-1], steps))
      if level == len(self._halve):
        x = passed.pop()
      else:
        x = steps.at_half_resolution(
          self._halve[level],
          self._double[level],
          passed[-1],
          lambda x, steps: at_level(level + 1, x, steps),
        )
      for block in self._up[level]:
        x = apply(block, x, steps, passed.pop())
      return x

    at_level(0, x, steps)
    return made


class _GatedBlock(tf.Module):
  """Two convolutions, the second of which is gated, beside the identity."""

  def __init__(
    self, num_filters, skip_channels, window, dropout_rate, seed, dtype, name
  ):
    super().__init__(name=name)
    self._dropout_rate = dropout_rate
    seeds = _seeds(seed)

    def convolution(inputs, outputs, window, part, gain=1.0):
      # Twice as many inputs: the activation has both signs.
      return ShiftedConvolution(
        2 * inputs,
        outputs,
        **window,
        gain=gain,
        seed=next(seeds),
        dtype=dtype,
        name=f'{name}_{part}',
      )

    self._first = convolution(num_filters, num_filters, window, 'first')
    self._second = convolution(
      num_filters, 2 * num_filters, window, 'second', _RESIDUAL_GAIN
    )
    if skip_channels:
      of_pixel = {'rows': (0, 1), 'columns': (0, 1)}
      self._skip = convolution(skip_channels, num_filters, of_pixel, 'skip')

  def __call__(self, x, others, steps):
    hidden = steps.convolve(self._first, _elu_of_both_signs(x))
    if others:
      skipped = tf.concat(others, axis=-1)
      hidden += steps.convolve(self._skip, _elu_of_both_signs(skipped))
    hidden = steps.dropout(_elu_of_both_signs(hidden), self._dropout_rate)
    values, gates = tf.split(steps.convolve(self._second, hidden), 2, axis=-1)
    return x + values * tf.sigmoid(gates)


def _elu_of_both_signs(x):
  return tf.nn.elu(tf.concat([x, -x], axis=-1))


def _seeds(seed):
  """Yields as many seeds as are asked for."""
  while True:
    now, seed = tf.unstack(tfp.random.split_seed(seed, n=2))
    yield now
