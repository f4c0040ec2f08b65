# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Affine coupling."""

import tensorflow as tf

from tfp_ood.bijectors.coupling import Coupling

__all__ = ['AffineCoupling']


class AffineCoupling(Coupling):
  """Compute `Y_a = exp(log_scale) * X_a + shift`, `Y_b = X_b`.

  `a` is the first half of the channels (`channels // 2` of them), `b` is the rest
  and `shift, raw = split(network(X_b))`. The scale is bounded on both sides,

      log_scale = bound * tanh(raw / bound),

  so that neither direction can underflow or overflow. While the network returns
  zero, the coupling is the identity.

  #### Examples

  >>> import tensorflow as tf
  >>> import tfp_ood
  >>> network = tfp_ood.networks.CouplingNetwork(6, 12, hidden_channels=8)
  >>> bijector = tfp_ood.bijectors.AffineCoupling(network)
  >>> x, log_det = bijector.inverse_and_log_det(tf.ones([5, 16, 16, 12]))
  >>> x.shape, log_det.shape
  (TensorShape([5, 16, 16, 12]), TensorShape([5]))

  #### References

  [1]: Laurent Dinh, Jascha Sohl-Dickstein, Samy Bengio. Density Estimation using
       Real NVP. In _International Conference on Learning Representations_, 2017.
       https://arxiv.org/abs/1605.08803
  """

  outputs_per_channel = 2  # The shift and the raw log-scale.

  def __init__(
    self,
    network,
    log_scale_bound=2.0,
    validate_args=False,
    name='affine_coupling',
  ):
    """Instantiates the `AffineCoupling` bijector.

    Args:
      network: built tf_keras or Keras 3 network, or callable `tf.Module`, that
        maps images of `channels - channels // 2` channels, `[batch, height,
        width, ...]`, to `2 * (channels // 2)` channels, first the shifts, then
        the raw log-scales; a function as a `tfp_ood.networks.FunctionNetwork`.
      log_scale_bound: positive Python `float`; scales stay between
        `exp(-log_scale_bound)` and `exp(log_scale_bound)`.
      validate_args: Python `bool`, whether to check values in graphs.
      name: Python `str` given to the operations.

    Raises:
      ValueError: if a Keras network has no weights yet, or the bound is not
        positive.
      TypeError: if `network` is something else, such as a plain function.
    """
    parameters = dict(locals())
    if not log_scale_bound > 0:
      raise ValueError(
        'AffineCoupling: `log_scale_bound` must be positive, got '
        f'{log_scale_bound}.'
      )
    with tf.name_scope(name) as name:
      self._log_scale_bound = log_scale_bound
      super().__init__(
        network,
        is_constant_jacobian=False,
        parameters=parameters,
        validate_args=validate_args,
        name=name,
      )

  @property
  def log_scale_bound(self):
    """Python `float`, the largest magnitude of a log-scale."""
    return self._log_scale_bound

  def _transform(self, x, outputs):
    shift, log_scale = self._shift_and_log_scale(outputs)
    return x * tf.exp(log_scale) + shift, _sum_event(log_scale)

  def _undo_transform(self, y, outputs):
    shift, negative_log_scale = self._shift_and_log_scale(outputs, sign=-1)
    x = (y - shift) * tf.exp(negative_log_scale)
    return x, _sum_event(negative_log_scale)

  def _shift_and_log_scale(self, outputs, sign=1):
    """Returns the shift, and the sign times the log-scale."""
    shift, raw = tf.split(outputs, 2, axis=-1)
    bound = self.log_scale_bound
    # A negation of the result would be one more pass over the array.
    log_scale = tf.constant(sign * bound, raw.dtype) * tf.tanh(
      raw / tf.constant(bound, raw.dtype)
    )
    return shift, log_scale


def _sum_event(log_scale):
  return tf.reduce_sum(log_scale, axis=[-3, -2, -1])
