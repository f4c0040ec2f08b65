# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The network of PixelCNN++: features of each pixel from those before it."""

import itertools
import math

import tensorflow as tf

from tfp_ood.networks.gated_blocks import GatedBlocks, Signal
from tfp_ood.networks.normalized_kernels import KernelGroup, NormalizedKernels
from tfp_ood.networks.raster_steps import WholeImages
from tfp_ood.networks.shifted_convolution import ShiftedConvolution
from tfp_ood.networks.shifted_transposed_convolution import (
  ShiftedTransposedConvolution,
)

__all__ = ['PixelCnnNetwork']

# Where a feature looks: the shape of the window, its first row and its first column.
# The stream above sees its own row too, as features of that row have seen the rows
# above only.
_WINDOWS = {'above': ((2, 3), -1, -1), 'left': ((2, 2), -1, -1)}
_DOUBLING_WINDOWS = {'above': ((2, 3), 0, -1), 'left': ((2, 2), 0, 0)}
_FIRST_WINDOWS = {
  'first_above': ((2, 3), -2, -1),
  'first_row_above': ((1, 3), -1, -1),
  'first_left': ((2, 1), -1, -1),
}


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
    self._has_dropout = bool(dropout_rate)
    self._streams = {
      name: _Stream(num_filters, num_blocks, num_levels, dropout_rate, name)
      for name in _WINDOWS
    }
    groups = {
      name: KernelGroup(1, (*shape, input_channels + 1, num_filters))
      for name, (shape, _, _) in _FIRST_WINDOWS.items()
    }
    for stream in self._streams.values():
      groups |= stream.groups
    self._kernels = NormalizedKernels(groups, seed=seed, dtype=dtype)

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
    layers = self.layers(images.dtype)
    steps = WholeImages(seed if self._has_dropout else None)
    return layers.left(images, layers.above(images, steps), steps)

  def layers(self, dtype):
    """Makes the layers, for one pass or for all passes of a loop.

    Args:
      dtype: that of the images.

    Returns:
      `_Layers`, with kernels that are tensors: what is done with it does not
      normalize them anew.
    """
    dtype = tf.as_dtype(self._compute_dtype or dtype)
    kernels = self._kernels(dtype)
    first = {
      name: ShiftedConvolution(*kernels[name][0], *window, name=name)
      for name, (_, *window) in _FIRST_WINDOWS.items()
    }
    streams = {name: s.layers(kernels) for name, s in self._streams.items()}
    return _Layers(first, streams, dtype)


class _Layers:
  """The layers of the network: what is above, then what is to the left."""

  def __init__(self, first, streams, dtype):
    self._first, self._streams = first, streams
    self._dtype = dtype

  def above(self, images, steps):
    """Computes what features take from the rows above.

    Args:
      images: `Tensor` of images, or of one row of them.
      steps: `WholeImages` or `RowAfterRow`.

    Returns:
      List of `Signal`s, for `left`.
    """
    start = steps.convolve(self._first['first_above'], self._inputs(images))
    return self._streams['above'](Signal.of(start), steps)

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
    start = steps.convolve(self._first['first_row_above'], inputs)
    start += steps.convolve(self._first['first_left'], inputs)
    last = self._streams['left'](Signal.of(start), steps, above)[-1]
    return tf.nn.elu(tf.cast(last.values, images.dtype))

  def _inputs(self, images):
    # Ones, so that the border differs from a pixel of zero.
    inputs = tf.cast(images, self._dtype)
    return tf.concat([inputs, tf.ones_like(inputs[..., :1])], axis=-1)


class _Stream:
  """One of the two streams, at all resolutions.

  Attributes:
    groups: `dict` from `str` to `KernelGroup`, the kernels that it needs.
  """

  def __init__(self, num_filters, num_blocks, num_levels, dropout_rate, name):
    shape, *self._window = _WINDOWS[name]
    doubling_shape, *self._doubling_window = _DOUBLING_WINDOWS[name]
    self._halve, self._double = f'{name}_halve', f'{name}_double'
    num_beside = 1 if name == 'left' else 0
    # How many blocks there are at each level.
    self._num_down = [num_blocks] * num_levels
    self._num_up = [num_blocks + 1] * (num_levels - 1) + [num_blocks]
    self._down, self._up = (
      GatedBlocks(
        sum(numbers),
        num_filters,
        num_others,
        shape,
        *self._window,
        dropout_rate,
        name=f'{name}_{way}',
      )
      for way, numbers, num_others in (
        ('down', self._num_down, num_beside),
        ('up', self._num_up, num_beside + 1),
      )
    )
    self.groups = self._down.groups | self._up.groups
    if num_levels > 1:
      self.groups[self._halve] = KernelGroup(
        num_levels - 1, (*shape, num_filters, num_filters)
      )
      self.groups[self._double] = KernelGroup(
        num_levels - 1,
        (*doubling_shape, num_filters, num_filters),
        output_axis=2,
        # The window adds to each output at every second place.
        gain=2.0 / math.sqrt(math.prod(doubling_shape)),
      )

  def layers(self, kernels):
    """Returns the `_StreamLayers`, of the kernels of all groups."""

    def by_level(blocks, numbers):
      layers = iter(blocks.layers(kernels))
      return [list(itertools.islice(layers, number)) for number in numbers]

    def between(kind, name, window, **kwargs):
      return [
        kind(kernel, bias, *window, **kwargs, name=f'{name}_{level}')
        for level, (kernel, bias) in enumerate(kernels.get(name, []))
      ]

    return _StreamLayers(
      by_level(self._down, self._num_down),
      by_level(self._up, self._num_up),
      between(ShiftedConvolution, self._halve, self._window, stride=2),
      between(
        ShiftedTransposedConvolution, self._double, self._doubling_window
      ),
    )


class _StreamLayers:
  """The layers of one of the two streams, by level."""

  def __init__(self, down, up, halve, double):
    self._down, self._up = down, up
    self._halve, self._double = halve, double

  def __call__(self, start, steps, beside=None):
    """Returns what each block has made, in order.

    Args:
      start: `Signal`.
      steps: `WholeImages` or `RowAfterRow`.
      beside: what the other stream returned, for the blocks to see; or `None`.

    Returns:
      List of `Signal`s.
    """
    made = []

    def apply(block, signal, steps, *skipped):
      others = [beside[len(made)]] if beside else []
      made.append(block(signal, [*others, *skipped], steps))
      return made[-1]

    def at_level(level, signal, steps):
      passed = [signal]
      for block in self._down[level]:
        passed.append(apply(block, passed[-1], steps))
      if level == len(self._halve):
        signal = passed.pop()
      else:
        signal = Signal.of(
          steps.at_half_resolution(
            self._halve[level],
            self._double[level],
            passed[-1].values,
            lambda x, steps: at_level(level + 1, Signal.of(x), steps).values,
          )
        )
      for block in self._up[level]:
        signal = apply(block, signal, steps, passed.pop())
      return signal

    at_level(0, start, steps)
    return made
