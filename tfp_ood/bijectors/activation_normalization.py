# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Per-channel scale and shift, initialized from data."""

import numpy as np
import tensorflow as tf

from tfp_ood._variables import make_variables
from tfp_ood.bijectors import _shapes
from tfp_ood.bijectors._flags import is_set
from tfp_ood.bijectors.bijector import Bijector

__all__ = ['ActivationNormalization']

# A channel with a smaller deviation is practically constant: dividing by it
# would only amplify noise.
MIN_STANDARD_DEVIATION = 1e-3


class ActivationNormalization(Bijector):
  """Compute `Y = exp(log_scale) * X + shift`, per channel.

  `initialize(images)` sets `shift` to the mean and `exp(log_scale)` to the
  standard deviation of the images, so that the latents start with zero mean and
  unit variance. Initialization is explicit: until then, a bijector with variables
  of its own refuses to run. Afterwards both are ordinary trainable variables, and
  the graph contains neither a condition nor an assignment.

  #### Examples

  >>> import numpy as np
  >>> import tfp_ood
  >>> images = np.random.default_rng(0).normal(5.0, 2.0, [8, 4, 4, 3])
  >>> bijector = tfp_ood.bijectors.ActivationNormalization(3)
  >>> bijector.initialize(images)
  >>> latents, log_det = bijector.inverse_and_log_det(images)
  >>> abs(round(float(np.mean(latents)), 4)), round(float(np.std(latents)), 2)
  (0.0, 1.0)

  #### References

  [1]: Diederik P Kingma, Prafulla Dhariwal. Glow: Generative Flow with
       Invertible 1x1 Convolutions. In _Neural Information Processing Systems_,
       2018. https://arxiv.org/abs/1807.03039
  """

  # Which of the weights are not trained.
  constant_weights = ()

  def __init__(
    self,
    num_channels,
    weights=None,
    dtype=tf.float32,
    validate_args=False,
    name='activation_normalization',
  ):
    """Instantiates the `ActivationNormalization` bijector.

    Args:
      num_channels: Python `int`, the number of channels of the images.
      weights: `dict` of `shift` and `log_scale`, tensors or variables of shape
        `[num_channels]`, used as they are (for `Scan`). Default: new variables,
        which `initialize` must set before the first use.
      dtype: the dtype of the weights made here.
      validate_args: Python `bool`, whether to check values in graphs.
      name: Python `str` given to the operations.
    """
    parameters = dict(locals())
    with tf.name_scope(name) as name:
      self._num_channels = num_channels
      self._initialized = None
      if weights is None:
        weights = make_variables(
          self.initial_weights(num_channels, dtype=dtype)
        )
        self._initialized = tf.Variable(
          False, trainable=False, name='initialized'
        )
      self._weights = weights
      super().__init__(
        forward_min_event_ndims=3,
        is_constant_jacobian=True,
        dtype=weights['shift'].dtype,
        validate_args=validate_args,
        parameters=parameters,
        name=name,
      )

  @staticmethod
  def initial_weights(num_channels, num_steps=None, dtype=tf.float32):
    """Returns the weights of the identity.

    Args:
      num_channels: Python `int`.
      num_steps: Python `int`; if given, the weights of that many bijectors are
        stacked along a new first axis, as `Scan` takes them.
      dtype: floating dtype.

    Returns:
      `dict` of `shift` and `log_scale`, of shape `[num_channels]` or
      `[num_steps, num_channels]`.
    """
    shape = ([] if num_steps is None else [num_steps]) + [num_channels]
    return {
      'shift': tf.zeros(shape, dtype),
      'log_scale': tf.zeros(shape, dtype),
    }

  @property
  def num_channels(self):
    """Python `int`, the number of channels."""
    return self._num_channels

  @property
  def weights(self):
    """`dict` of `shift` and `log_scale`."""
    return self._weights

  @property
  def initialized(self):
    """`tf.Variable`, or `None` where the caller owns the weights."""
    return self._initialized

  def initialize(self, images):
    """Sets the weights so that the latents of `images` are standardized.

    Args:
      images: `Tensor` of shape `[batch..., height, width, num_channels]`; mean
        and variance are taken over all axes but the last.

    Raises:
      ValueError: if the images have another shape or hold NaN or infinity, or if
        the weights were given to the constructor: the caller owns them.
    """
    if self._initialized is None:
      raise ValueError(
        'ActivationNormalization.initialize: the weights were given to the '
        'constructor; assign them there, or initialize the flow that owns '
        'them with tfp_ood.bijectors.initialize(flow, images).'
      )
    for key, value in self.data_dependent_weights(images).items():
      self._weights[key].assign(value)
    self._initialized.assign(True)

  def data_dependent_weights(self, images):
    """Returns the weights that standardize `images`, without assigning them.

    Args:
      images: `Tensor` of shape `[batch..., height, width, num_channels]`.

    Returns:
      `dict` of `shift` and `log_scale`, each of shape `[num_channels]`.
    """
    images = tf.cast(tf.convert_to_tensor(images), self.dtype)
    _shapes.check_image(images, self, self.num_channels)
    mean, variance = tf.nn.moments(
      images, axes=list(range(images.shape.rank - 1))
    )
    if tf.executing_eagerly() and not bool(
      tf.reduce_all(tf.math.is_finite(variance))
    ):
      raise ValueError(
        'ActivationNormalization: `images` must be finite, and at least one; '
        f'the mean by channel is {mean.numpy()}, the variance '
        f'{variance.numpy()}.'
      )
    floor = tf.constant(MIN_STANDARD_DEVIATION, self.dtype)
    return {
      'shift': mean,
      'log_scale': tf.math.log(tf.maximum(tf.sqrt(variance), floor)),
    }

  def _inverse_and_initial_values(self, images):
    new_weights = self.data_dependent_weights(images)
    standardizing = ActivationNormalization(
      self.num_channels, weights=new_weights
    )
    values = [(self._weights[key], new_weights[key]) for key in new_weights]
    if self._initialized is not None:
      values.append((self._initialized, True))
    return standardizing.inverse(images), values

  def _inverse_linear_part(self, images):
    return images * np.exp(-np.asarray(self._weights['log_scale'], np.float64))

  def _forward_and_log_det(self, x):
    self._check(x)
    log_scale = tf.convert_to_tensor(self._weights['log_scale'])
    y = x * tf.exp(log_scale) + self._weights['shift']
    return y, _shapes.num_pixels(x) * tf.reduce_sum(log_scale)

  def _inverse_and_log_det(self, y):
    self._check(y)
    log_scale = tf.convert_to_tensor(self._weights['log_scale'])
    x = (y - self._weights['shift']) * tf.exp(-log_scale)
    return x, -_shapes.num_pixels(y) * tf.reduce_sum(log_scale)

  def _check(self, images):
    _shapes.check_image(images, self, self.num_channels)
    if self._initialized is not None and not is_set(self._initialized):
      raise ValueError(
        'ActivationNormalization is not initialized: call '
        '`initialize(images)` with a batch of training images, or '
        '`tfp_ood.bijectors.initialize(flow, images)` for a whole flow, or '
        'restore a checkpoint, before the first use.'
      )
