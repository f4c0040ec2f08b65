# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""A layer of switches: a max pool and a rectifier, or one of the two."""

import collections
import math

import numpy as np
import tensorflow as tf

__all__ = ['MaxPool', 'Rectifier', 'SwitchLayer']

# Lets through what is above a threshold, and multiplies the rest by a slope.
Rectifier = collections.namedtuple(
  'Rectifier', ['slope', 'name', 'threshold'], defaults=[0.0]
)
# A `size` of `None` is that of the whole image.
MaxPool = collections.namedtuple(
  'MaxPool', ['size', 'strides', 'padding', 'name']
)


class SwitchLayer:
  """Takes pre-activations `u` through a max pool and a rectifier.

  Its switches say what the two do to each unit of the features. They are a
  `dict` of `Tensor`s of shape `[batch, *feature_shape]`:

  - `is_on`, where there is a rectifier: boolean, whether it lets the unit
    through, `u > threshold`, which is zero as a rule; a unit that is off is
    multiplied by the slope of the rectifier, zero for a ReLU.
  - `position`, where there is a pool: int32, which of the pool's window, row by
    row, has the maximum, the first of equals.

  With the switches given, the layer is linear in `u`.

  #### Examples

  >>> import tensorflow as tf
  >>> layer = SwitchLayer([Rectifier(slope=0.0, name='relu')])
  >>> layer.set_shape([3])
  >>> switches = layer.switches(tf.constant([[-1.0, 2.0, 3.0]]))
  >>> switches['is_on'].numpy().tolist()
  [[False, True, True]]
  >>> layer.apply_frozen(tf.ones([1, 3]), switches).numpy().tolist()
  [[0.0, 1.0, 1.0]]
  """

  def __init__(self, operations):
    """Instantiates the layer.

    Args:
      operations: list of a `Rectifier`, a `MaxPool`, or both, in either order.
    """
    self._rectifier = _only(operations, Rectifier)
    self._pool = _only(operations, MaxPool)
    self.name = operations[0].name
    self.pre_activation_shape = None
    self.feature_shape = None

  def set_shape(self, shape):
    """Tells the layer the shape of its pre-activations, without the batch."""
    self.pre_activation_shape = tf.TensorShape(shape)
    if self._pool and self._pool.size is None:
      # A global pool: its window is all there is.
      size = tuple(shape[:2])
      self._pool = self._pool._replace(size=size, strides=size)
    u = tf.zeros([1, *shape])
    self.feature_shape = self.apply(u).shape[1:]

  @property
  def has_rectifier(self):
    """Whether units are on or off."""
    return self._rectifier is not None

  @property
  def has_pool(self):
    """Whether units come from one of several positions."""
    return self._pool is not None

  @property
  def num_positions(self):
    """Python `int`, the size of the pool's window; 1 without a pool."""
    return math.prod(self._pool.size) if self._pool else 1

  @property
  def slope(self):
    """The factor of a unit that is off; 1 without a rectifier."""
    # TensorFlow keeps the slope of a leaky ReLU in float32, whatever the dtype.
    return float(np.float32(self._rectifier.slope)) if self._rectifier else 1.0

  def apply(self, u):
    """Pools and rectifies pre-activations."""
    g = self._max(u) if self._pool else u
    if self._rectifier is None:
      return g
    if self._rectifier.threshold:
      return tf.where(g > self._rectifier.threshold, g, tf.zeros_like(g))
    return tf.nn.leaky_relu(g, self.slope) if self.slope else tf.nn.relu(g)

  def switches(self, u):
    """Returns the switches that pre-activations set."""
    switches = {}
    if self._pool:
      # Padding never holds the maximum.
      windows = self._windows(u, u.dtype.min)
      switches['position'] = tf.argmax(windows, axis=-2, output_type=tf.int32)
      u = self._max(u)
    if self._rectifier:
      switches['is_on'] = u > self._rectifier.threshold
    return switches

  def apply_frozen(self, u, switches):
    """Applies given switches to pre-activations.

    Args:
      u: `Tensor` of shape `[batch, *pre_activation_shape]`.
      switches: `dict`; see the class.

    Returns:
      `Tensor` of shape `[batch, *feature_shape]`, linear in `u`.
    """
    if self._pool:
      chosen = tf.one_hot(
        switches['position'], self.num_positions, axis=3, dtype=u.dtype
      )
      u = tf.reduce_sum(chosen * self._windows(u, 0), axis=-2)
    if self._rectifier is None:
      return u
    slope = tf.constant(self.slope, u.dtype)
    return u * tf.where(switches['is_on'], tf.ones([], u.dtype), slope)

  @property
  def num_states(self):
    """Python `int`, the number of states of one unit's switches."""
    return self.num_positions * (2 if self.has_rectifier else 1)

  def state_values(self, u):
    """Returns what a unit's features would be in each state.

    Args:
      u: `Tensor` of shape `[batch, *pre_activation_shape]`.

    Returns:
      `Tensor` of shape `[batch, *feature_shape, num_states]`, in the order of
      `states`. A position beyond the edge of the image has the value zero.
    """
    values = u[..., tf.newaxis]
    if self._pool:
      windows = self._windows(u, 0)
      rank = windows.shape.rank
      values = tf.transpose(windows, [*range(rank - 2), rank - 1, rank - 2])
    if self._rectifier is None:
      return values
    return tf.concat([self.slope * values, values], axis=-1)

  def states(self, switches):
    """Numbers the states: off at each position, then on at each position.

    Args:
      switches: `dict`; see the class.

    Returns:
      int32 `Tensor` of shape `[batch, *feature_shape]`, `0 .. num_states - 1`.
    """
    states = 0
    if self._rectifier is not None:
      states = self.num_positions * tf.cast(switches['is_on'], tf.int32)
    return states if self._pool is None else states + switches['position']

  def switches_of_states(self, states):
    """Returns the switches of numbered states; the inverse of `states`."""
    switches = {}
    if self._pool:
      switches['position'] = states % self.num_positions
    if self._rectifier:
      switches['is_on'] = states >= self.num_positions
    return switches

  @property
  def switch_dtypes(self):
    """`dict` of the dtypes of the switches."""
    dtypes = {'position': tf.int32} if self._pool else {}
    return dtypes | ({'is_on': tf.bool} if self._rectifier else {})

  def _max(self, u):
    return tf.nn.max_pool2d(
      u, self._pool.size, self._pool.strides, self._pool.padding.upper()
    )

  def _windows(self, u, beyond):
    """Returns the pool's windows, `[batch, height, width, window, channels]`."""
    size, strides = self._pool.size, self._pool.strides
    if self._pool.padding == 'same':
      paddings = [
        _same_padding(u.shape[axis + 1], size[axis], strides[axis])
        for axis in range(2)
      ]
      u = tf.pad(u, [[0, 0], *paddings, [0, 0]], constant_values=beyond)
    channels = u.shape[-1]
    patches = tf.image.extract_patches(
      u, [1, *size, 1], [1, *strides, 1], [1, 1, 1, 1], 'VALID'
    )
    shape = tf.concat(
      [tf.shape(patches)[:3], [self.num_positions, channels]], axis=0
    )
    return tf.reshape(patches, shape)


def _same_padding(length, size, stride):
  """How TensorFlow pads one axis for the padding SAME."""
  num_windows = -(-length // stride)
  total = max((num_windows - 1) * stride + size - length, 0)
  return [total // 2, total - total // 2]


def _only(operations, kind):
  return next((o for o in operations if isinstance(o, kind)), None)
