# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The base of distributions over images of whole pixel values."""

import tensorflow as tf
import tensorflow_probability as tfp

from tfp_ood import _pixels
from tfp_ood._batches import with_one_more_if_empty
from tfp_ood.distributions._no_parameters import NoParameters

__all__ = ['RawPixelDistribution']


class RawPixelDistribution(tfp.distributions.Distribution, NoParameters):
  """A distribution over images of pixels `0 .. num_values - 1`.

  The event is `[height, width, channels]`, the dtype `uint8`. Every public method
  that takes images also takes other dtypes, as long as they hold whole numbers in
  the range: scaled or dequantized images, NaN and infinity are refused, eagerly
  and when a graph runs. `uint8` images of 256 values need no such check.

  A subclass implements `_log_prob`, which gets a checked `Tensor` of the right
  shape. What else a model may say or decide, it overrides:

  | | default |
  |---|---|
  | `statistics_names`, `statistics(images, names)` | nothing beyond `log_prob` |
  | `default_statistics` | `('log_prob',)` |
  | `training_loss(images, seed)` | `-log_prob(images)` |
  | `is_differentiable` | `True` |
  | `_sample_n` | not implemented, as in TFP |

  #### Example

  >>> import tensorflow as tf
  >>> import tensorflow_probability as tfp
  >>> class Uniform(RawPixelDistribution):
  ...   def __init__(self, image_shape, name='uniform'):
  ...     super().__init__(image_shape, parameters=dict(locals()), name=name)
  ...   def _log_prob(self, images):
  ...     size = self.event_shape.num_elements()
  ...     return tf.fill(tf.shape(images)[:-3], -size * tf.math.log(256.0))
  >>> model = Uniform([2, 2, 1])
  >>> model.log_prob(tf.zeros([5, 2, 2, 1])).shape
  TensorShape([5])
  >>> model.log_prob(tf.fill([5, 2, 2, 1], 0.5))
  Traceback (most recent call last):
  ...
  ValueError: uniform: `images` must hold raw pixels, whole numbers from 0 to 255 ...
  """

  def __init__(
    self,
    image_shape,
    num_values=256,
    log_prob_dtype=tf.float32,
    parameters=None,
    validate_args=False,
    allow_nan_stats=True,
    name='raw_pixel_distribution',
  ):
    """Instantiates the distribution.

    Args:
      image_shape: `[height, width, channels]`, Python `int`s.
      num_values: Python `int`, from 2 to 256.
      log_prob_dtype: floating dtype, of log-probabilities.
      parameters: `dict` of the arguments of the subclass.
      validate_args: Python `bool`, as in TFP; pixels are checked in any case.
      allow_nan_stats: Python `bool`, as in TFP.
      name: Python `str` given to the operations.

    Raises:
      ValueError: if `image_shape` is not that of an image, or `num_values` is out
        of range.
    """
    self._image_shape = _pixels.check_image_shape(image_shape, name)
    if num_values not in range(2, 257):
      raise ValueError(
        f'{name}: `num_values` must be a whole number from 2 to 256, got '
        f'{num_values}.'
      )
    self._num_values = num_values
    self._log_prob_dtype = tf.as_dtype(log_prob_dtype)
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

  @property
  def is_differentiable(self):
    """Whether `log_prob` can be differentiated by the pixels.

    Not where the likelihood is of whole numbers alone, such as a categorical one:
    its gradient would leave the dependence on the observed values out.
    """
    return True

  @property
  def statistics_names(self):
    """Names of what `statistics` can compute, a tuple of `str`."""
    return ()

  def statistics(self, images, names):
    """Computes what the model says of images beyond `log_prob`.

    Args:
      images: `Tensor` of raw pixels, `[batch, height, width, channels]`.
      names: iterable of names out of `statistics_names`.

    Returns:
      `dict` from each name to a `Tensor` whose first axis is the batch.
    """
    del images
    raise NotImplementedError(f'{self.name} has no statistics {list(names)}.')

  def check(self, images):
    """Returns images as a `Tensor` of raw pixels, or raises.

    Args:
      images: array-like, `[batch..., height, width, channels]`.

    Returns:
      `Tensor`, `uint8` or floating, to be used in the place of `images`: a graph
      then checks the values before it goes on.

    Raises:
      ValueError: if the shape is another or a value is not a whole number from 0
        to `num_values - 1`. A graph raises `tf.errors.InvalidArgumentError`.
    """
    return _pixels.check_pixels(
      self._as_pixels(images), self.name, self.num_values
    )

  def training_loss(self, images, seed=None):
    """What training minimizes the mean of.

    Args:
      images: `Tensor` of raw pixels, `[batch, height, width, channels]`.
      seed: PRNG seed, another one in each step, for what is drawn.

    Returns:
      `Tensor` of shape `[batch]`, in nats.
    """
    del seed
    return -self.log_prob(images)

  def continuous_log_prob(self, images, name='continuous_log_prob'):
    """`log_prob` continued to images whose pixels are any numbers.

    For derivatives by the pixels away from whole values; see
    `tfp_ood.stats.second_order_difference`.

    Args:
      images: floating `Tensor`, `[batch..., height, width, channels]`.
      name: Python `str` given to the operations.

    Returns:
      `Tensor` of shape `[batch...]`, in nats.

    Raises:
      ValueError: if the model is not differentiable by the pixels.
    """
    if not self.is_differentiable:
      raise ValueError(
        f'{self.name}: the likelihood is of whole numbers and has no values '
        'between them, nor a gradient by the pixels.'
      )
    with self._name_and_control_scope(name):
      return self._log_prob(self._as_pixels(images))

  def _call_log_prob(self, value, name, **kwargs):
    # TFP would refuse floats where the dtype of samples is uint8.
    return super()._call_log_prob(self.check(value), name, **kwargs)

  def _call_prob(self, value, name, **kwargs):
    return super()._call_prob(self.check(value), name, **kwargs)

  def _as_pixels(self, images):
    return _pixels.as_pixels(
      images, self._image_shape, self.name, self._log_prob_dtype
    )

  def _of_batch(self, function, images):
    """Calls a function of `[batch, ...]` on images of any batch shape."""
    flat = (
      images
      if images.shape.rank == 4
      else tf.reshape(images, [-1, *self._image_shape])
    )
    results = (
      with_one_more_if_empty(function, flat)
      if flat.shape[0] in (0, None)
      else function(flat)
    )
    if images.shape.rank == 4:
      return results
    batch_shape = tf.shape(images)[:-3]
    return tf.nest.map_structure(
      lambda result: tf.ensure_shape(
        tf.reshape(
          result, tf.concat([batch_shape, tf.shape(result)[1:]], axis=0)
        ),
        images.shape[:-3].concatenate(result.shape[1:]),
      ),
      results,
    )

  def _event_shape(self):
    return self._image_shape

  def _event_shape_tensor(self):
    return tf.constant(self._image_shape.as_list())

  def _batch_shape(self):
    return tf.TensorShape([])

  def _batch_shape_tensor(self):
    return tf.constant([], tf.int32)

  def _default_event_space_bijector(self):
    return None  # Discrete.
