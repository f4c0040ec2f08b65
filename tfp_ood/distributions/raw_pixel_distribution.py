# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""What distributions over images of whole pixel values share."""

import tensorflow as tf
import tensorflow_probability as tfp

__all__ = ['RawPixelDistribution']


class RawPixelDistribution(tfp.distributions.Distribution):
  """A distribution over images of pixels `0 .. num_values - 1`.

  The event is `[height, width, channels]`, the dtype `uint8`. Arguments may also
  be of other dtypes as long as they hold whole numbers in the range: eager calls
  check that, graphs do under `validate_args`. A subclass implements `_log_prob`,
  which gets a `Tensor` of the right shape.
  """

  def __init__(
    self,
    image_shape,
    num_values,
    compute_dtype,
    parameters,
    validate_args=False,
    allow_nan_stats=True,
    name='raw_pixel_distribution',
  ):
    """Instantiates the distribution.

    Args:
      image_shape: `[height, width, channels]`, Python `int`s.
      num_values: Python `int`, from 2 to 256.
      compute_dtype: floating dtype, of log-probabilities.
      parameters: `dict` of the arguments of the subclass.
      validate_args: Python `bool`, whether graphs check the values of pixels.
      allow_nan_stats: Python `bool`, as in TFP.
      name: Python `str` given to the operations.

    Raises:
      ValueError: if `image_shape` or `num_values` is none such.
    """
    self._image_shape = tf.TensorShape(image_shape)
    if self._image_shape.rank != 3 or not self._image_shape.is_fully_defined():
      raise ValueError(
        f'{name}: `image_shape` must be [height, width, channels], got '
        f'{image_shape}.'
      )
    if num_values not in range(2, 257):
      raise ValueError(
        f'{name}: `num_values` must be a whole number from 2 to 256, got '
        f'{num_values}.'
      )
    self._num_values = num_values
    self._compute_dtype = tf.as_dtype(compute_dtype)
    super().__init__(
      dtype=tf.uint8,
      reparameterization_type=tfp.distributions.NOT_REPARAMETERIZED,
      validate_args=validate_args,
      allow_nan_stats=allow_nan_stats,
      parameters=parameters,
      name=name,
    )

  @property
  def num_values(self):
    """Python `int`; pixels are `0 .. num_values - 1`."""
    return self._num_values

  def _call_log_prob(self, value, name, **kwargs):
    # TFP would refuse floats where the dtype of samples is uint8.
    return super()._call_log_prob(self._as_pixels(value), name, **kwargs)

  def _call_prob(self, value, name, **kwargs):
    return super()._call_prob(self._as_pixels(value), name, **kwargs)

  def _as_pixels(self, images):
    """Converts to a tensor of the right shape and checks the values."""
    images = tf.convert_to_tensor(images, name='images')
    if images.dtype != tf.uint8 and not images.dtype.is_floating:
      images = tf.cast(images, self._compute_dtype)
    if images.shape.rank is None or not images.shape[-3:].is_compatible_with(
      self._image_shape
    ):
      raise ValueError(
        f'{self.name}: `images` must have shape [batch..., '
        f'{", ".join(map(str, self._image_shape))}], got {images.shape}.'
      )
    # Where a graph does not know the shape, no pixel may stand for several.
    images = tf.ensure_shape(
      images, images.shape[:-3].concatenate(self._image_shape)
    )
    if images.dtype == tf.uint8 and self.num_values == 256:
      return images  # Cannot be out of range.
    if tf.executing_eagerly():
      self._check_pixels(images)
    elif self.validate_args:
      with tf.control_dependencies([self._assert_pixels(images)]):
        images = tf.identity(images)
    return images

  def _valid_pixels(self, images):
    # NaN compares false.
    is_in_range = (images >= 0) & (images <= self.num_values - 1)
    if images.dtype == tf.uint8:
      return is_in_range
    return is_in_range & (tf.round(images) == images)

  def _check_pixels(self, images):
    invalid = tf.boolean_mask(images, ~self._valid_pixels(images))
    if tf.size(invalid) > 0:
      raise ValueError(
        f'{self._pixels_message()} {int(tf.size(invalid))} of '
        f'{int(tf.size(images))} are not, the first is {float(invalid[0])}.'
      )

  def _assert_pixels(self, images):
    return tf.debugging.Assert(
      tf.reduce_all(self._valid_pixels(images)),
      [self._pixels_message(), tf.reduce_min(images), tf.reduce_max(images)],
    )

  def _pixels_message(self):
    return (
      f'{self.name}: `images` must hold raw pixels, whole numbers from 0 to '
      f'{self.num_values - 1} (not scaled, not dequantized).'
    )

  def _event_shape(self):
    return self._image_shape

  def _event_shape_tensor(self):
    return tf.constant(self._image_shape.as_list())

  def _batch_shape(self):
    return tf.TensorShape([])

  def _batch_shape_tensor(self):
    return tf.constant([], tf.int32)

  @classmethod
  def _parameter_properties(cls, dtype, num_classes=None):
    return {}

  def _default_event_space_bijector(self):
    return None  # Discrete.
