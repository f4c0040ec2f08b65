# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Additive coupling."""

import tensorflow as tf

from tfp_ood.bijectors.coupling import Coupling

__all__ = ['AdditiveCoupling']


class AdditiveCoupling(Coupling):
  """Compute `Y_a = X_a + network(X_b)`, `Y_b = X_b` over halves of the channels.

  `a` is the first half of the channels (`channels // 2` of them) and `b` the
  rest. The volume never changes: the log-determinant is zero for every image.

  #### Examples

  >>> import tensorflow as tf
  >>> import tfp_ood
  >>> network = tfp_ood.networks.FunctionNetwork(lambda x: 10.0 * x, modules=[])
  >>> bijector = tfp_ood.bijectors.AdditiveCoupling(network)
  >>> bijector.forward([[[1.0, 2.0]]]).numpy().tolist()
  [[[21.0, 2.0]]]
  >>> bijector.inverse([[[21.0, 2.0]]]).numpy().tolist()
  [[[1.0, 2.0]]]

  #### References

  [1]: Laurent Dinh, David Krueger, Yoshua Bengio. NICE: Non-linear Independent
       Components Estimation. 2014. https://arxiv.org/abs/1410.8516
  """

  outputs_per_channel = 1  # The shift.

  def __init__(self, network, validate_args=False, name='additive_coupling'):
    """Instantiates the `AdditiveCoupling` bijector.

    Args:
      network: built tf_keras or Keras 3 network, or callable `tf.Module`, that
        maps images of `channels - channels // 2` channels, `[batch, height,
        width, ...]`, to `channels // 2` channels; a function as a
        `tfp_ood.networks.FunctionNetwork`.
      validate_args: Python `bool`, whether to check values in graphs.
      name: Python `str` given to the operations.

    Raises:
      ValueError: if a Keras network has no weights yet.
      TypeError: if `network` is something else, such as a plain function.
    """
    parameters = dict(locals())
    with tf.name_scope(name) as name:
      super().__init__(
        network,
        is_constant_jacobian=True,
        parameters=parameters,
        validate_args=validate_args,
        name=name,
      )

  def _inverse_linear_part(self, images):
    return images

  def _transform(self, x, outputs):
    return x + outputs, tf.zeros([], x.dtype)

  def _undo_transform(self, y, outputs):
    return y - outputs, tf.zeros([], y.dtype)
