# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""A logistic distribution rounded to whole numbers."""

import tensorflow as tf
import tensorflow_probability as tfp

from tfp_ood._seeds import stateless_seed

__all__ = ['DiscretizedLogistic']


class DiscretizedLogistic(tfp.distributions.Distribution):
  """A logistic variable rounded to `0 .. num_values - 1`.

  With `L` logistic of location `loc` and scale `scale`, and `s` the sigmoid,

      P(x) = P(x - 1/2 < L <= x + 1/2)
           = s(b) s(-a) (1 - exp(a - b)),   a, b = (x -+ 1/2 - loc) / scale

  a product whose logarithm is accurate everywhere. The lowest and the highest
  value get all that lies beyond.

  #### Examples

  >>> import tensorflow as tf
  >>> pixels = DiscretizedLogistic(loc=100., scale=5.)
  >>> round(float(tf.reduce_sum(pixels.prob(tf.range(256.)))), 4)
  1.0

  #### References

  [1]: Tim Salimans, Andrej Karpathy, Xi Chen, Diederik P Kingma. PixelCNN++:
       Improving the PixelCNN with Discretized Logistic Mixture Likelihood and
       Other Modifications. In _International Conference on Learning
       Representations_, 2017. https://arxiv.org/abs/1701.05517
  """

  def __init__(
    self,
    loc,
    scale,
    num_values=256,
    validate_args=False,
    allow_nan_stats=True,
    name='discretized_logistic',
  ):
    """Instantiates the distribution.

    Args:
      loc: floating `Tensor` or variable, the location before rounding.
      scale: positive floating `Tensor` or variable of the same dtype, the scale;
        the standard deviation is 1.81 times that.
      num_values: Python `int`; values are `0 .. num_values - 1`.
      validate_args: Python `bool`, as in TFP.
      allow_nan_stats: Python `bool`, as in TFP.
      name: Python `str` given to the operations.
    """
    parameters = dict(locals())
    with tf.name_scope(name) as name:
      self._loc = _tensor_or_variable(loc, 'loc')
      self._scale = _tensor_or_variable(scale, 'scale', self._loc.dtype)
      self._num_values = num_values
      super().__init__(
        dtype=self._loc.dtype,
        reparameterization_type=tfp.distributions.NOT_REPARAMETERIZED,
        validate_args=validate_args,
        allow_nan_stats=allow_nan_stats,
        parameters=parameters,
        name=name,
      )

  @property
  def loc(self):
    """The location before rounding."""
    return self._loc

  @property
  def scale(self):
    """The scale before rounding."""
    return self._scale

  @classmethod
  def _parameter_properties(cls, dtype, num_classes=None):
    return {
      'loc': tfp.util.ParameterProperties(),
      'scale': tfp.util.ParameterProperties(
        default_constraining_bijector_fn=tfp.bijectors.Softplus
      ),
    }

  def _event_shape(self):
    return tf.TensorShape([])

  def _event_shape_tensor(self):
    return tf.constant([], tf.int32)

  def _log_prob(self, x):
    above = tf.math.log_sigmoid((x + 0.5 - self.loc) / self.scale)
    below = tf.math.log_sigmoid((self.loc - x + 0.5) / self.scale)
    between = above + below + tfp.math.log1mexp(1 / self.scale)
    highest = self._num_values - 1
    return tf.where(x <= 0, above, tf.where(x >= highest, below, between))

  def _sample_n(self, n, seed=None):
    shape = tf.concat([[n], self.batch_shape_tensor()], axis=0)
    uniform = tf.random.stateless_uniform(
      shape,
      stateless_seed(seed),
      minval=self.dtype.as_numpy_dtype(1e-6),
      dtype=self.dtype,
    )
    logistic = tf.math.log(uniform) - tf.math.log1p(-uniform)
    return self._rounded(self.loc + self.scale * logistic)

  def _mean(self):
    # Value by value, as all of them would take much memory.
    def add_probability_of_at_least(value, mean):
      tail = tf.sigmoid((self.loc - value + 0.5) / self.scale)
      return value + 1, mean + tail

    _, mean = tf.while_loop(
      lambda value, _: value < self._num_values,
      add_probability_of_at_least,
      [tf.ones([], self.dtype), tf.zeros(self._shape(), self.dtype)],
    )
    return mean

  def _mode(self):
    return self._rounded(self.loc + tf.zeros(self._shape(), self.dtype))

  def _shape(self):
    return self.batch_shape_tensor()

  def _rounded(self, values):
    return tf.clip_by_value(tf.round(values), 0, self._num_values - 1)

  def _default_event_space_bijector(self):
    return None  # Discrete.


def _tensor_or_variable(value, name, dtype_hint=None):
  """Converts to a tensor what is not to be read anew at each use."""
  if isinstance(value, tf.Variable | tfp.util.DeferredTensor):
    return value
  return tf.convert_to_tensor(value, dtype_hint=dtype_hint, name=name)
