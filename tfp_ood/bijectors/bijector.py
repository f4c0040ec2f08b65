# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The contract that every bijector of the library keeps."""

import tensorflow_probability as tfp
from tensorflow_probability.python.internal import cache_util

from tfp_ood.bijectors import _shapes

__all__ = ['Bijector']


class Bijector(tfp.bijectors.Bijector):
  """A `tfp.bijectors.Bijector` whose value and log-determinant come together.

  `forward` maps latent to image and `inverse` image to latent, so a density
  evaluates `inverse`. A subclass implements two methods:

  * `_forward_and_log_det(x)` returns `y = g(x)` and `log|det dg/dx|`;
  * `_inverse_and_log_det(y)` returns `x = g^{-1}(y)` and `log|det dx/dy|`.

  The log-determinants are summed over the bijector's minimal event: their shape
  is the batch shape, or `[]` where they are the same for every input. The usual
  methods of a TFP bijector (`forward`, `inverse` and their log-determinants)
  follow from these two, and TFP's cache keeps a log-determinant that was
  computed on the way: `inverse(y)` followed by `inverse_log_det_jacobian(y)`
  runs each network once, eagerly too.

  Inside `Scan`, the gradient is computed without stored activations; see
  `_recompute_for_gradient`.
  """

  # TFP calls the `_augmented_*` methods through this cache and stores the
  # log-determinant that they return beside the value.
  _cache = cache_util.BijectorCacheWithGreedyAttrs(
    forward_name='_augmented_forward', inverse_name='_augmented_inverse'
  )

  def forward_and_log_det(self, x, name='forward_and_log_det'):
    """Maps a latent to an image and measures the change of volume, at once.

    Args:
      x: `Tensor` of shape `[batch..., event...]`.
      name: Python `str` given to the operations.

    Returns:
      y: `forward(x)`.
      log_det: `log|det dy/dx|` in nats, of shape `[batch...]`.
    """
    with self._name_and_control_scope(name):
      x = self._as_tensor(x, 'x')
      return self._forward_and_batch_log_det(x)

  def inverse_and_log_det(self, y, name='inverse_and_log_det'):
    """Maps an image to its latent and measures the change of volume, at once.

    Args:
      y: `Tensor` of shape `[batch..., event...]`.
      name: Python `str` given to the operations.

    Returns:
      x: `inverse(y)`.
      log_det: `log|det dx/dy|` in nats, of shape `[batch...]`.
    """
    with self._name_and_control_scope(name):
      y = self._as_tensor(y, 'y')
      return self._inverse_and_batch_log_det(y)

  def _forward_and_log_det(self, x):
    raise NotImplementedError(
      f'{type(self).__name__} must implement _forward_and_log_det.'
    )

  def _inverse_and_log_det(self, y):
    raise NotImplementedError(
      f'{type(self).__name__} must implement _inverse_and_log_det.'
    )

  def _recompute_for_gradient(self, output, undo, redo, tape):
    """Recovers the input from `output` and computes the output again on a tape.

    `Scan` calls this to differentiate a step of which it kept only the output.
    A subclass that can share work between undoing and redoing overrides it.

    Args:
      output: `Tensor`, what `redo` returned when it first ran.
      undo: `inverse_and_log_det` or `forward_and_log_det` of this bijector.
      redo: the other one.
      tape: the recording `tf.GradientTape`.

    Returns:
      inputs: tuple of watched tensors; joined along the channels, they are the
        input.
      output: the output as the tape saw it.
      log_det: its log-determinant.
    """
    with tape.stop_recording():
      x, _ = undo(output)
    tape.watch(x)
    return (x,), *redo(x)

  def _forward_and_batch_log_det(self, x):
    y, log_det = self._forward_and_log_det(x)
    return y, _shapes.broadcast_to_batch(
      log_det, x, self.forward_min_event_ndims
    )

  def _inverse_and_batch_log_det(self, y):
    x, log_det = self._inverse_and_log_det(y)
    return x, _shapes.broadcast_to_batch(
      log_det, y, self.inverse_min_event_ndims
    )

  def _augmented_forward(self, x):
    y, log_det = self._forward_and_batch_log_det(x)
    return y, {'ildj': -log_det}

  def _augmented_inverse(self, y):
    x, log_det = self._inverse_and_batch_log_det(y)
    return x, {'ildj': log_det}

  def _forward_log_det_jacobian(self, x):
    return self._forward_and_batch_log_det(x)[1]

  def _inverse_log_det_jacobian(self, y):
    return self._inverse_and_batch_log_det(y)[1]

  def _as_tensor(self, value, name):
    return _shapes.as_tensor(value, self.dtype, name)
