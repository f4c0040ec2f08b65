# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The base class of the library's bijectors."""

import tensorflow_probability as tfp

from tfp_ood._third_party import bijector_cache
from tfp_ood.bijectors import _shapes

__all__ = ['Bijector']


class Bijector(tfp.bijectors.Bijector):
  """A `tfp.bijectors.Bijector` that computes value and log-determinant together.

  `forward` maps latent to image and `inverse` maps image to latent, so a density
  evaluates `inverse`. A subclass implements two methods:

  * `_forward_and_log_det(x)` returns `y = g(x)` and `log|det dg/dx|`;
  * `_inverse_and_log_det(y)` returns `x = g^{-1}(y)` and `log|det dx/dy|`.

  The log-determinants are summed over the bijector's minimal event: their shape
  is the batch shape, or `[]` where they are the same for every input. The usual
  methods of a TFP bijector (`forward`, `inverse` and their log-determinants)
  follow from these two. TFP's cache keeps the log-determinant that comes with a
  value, so `inverse(y)` followed by `inverse_log_det_jacobian(y)` runs each
  network once, even eagerly.

  Three more methods have defaults that a subclass may override:

  * `_inverse_and_initial_values(images)`, if its weights start from data;
  * `_inverse_linear_part(images)`, for the second-order analysis in closed form;
  * `_recompute_for_gradient(...)`, to save work in the gradient of a `Scan`.
  """

  # Through this cache TFP calls the `_augmented_*` methods and keeps the
  # log-determinant that they return with the value.
  _cache = bijector_cache(
    forward_name='_augmented_forward', inverse_name='_augmented_inverse'
  )

  @classmethod
  def _parameter_properties(cls, dtype):
    # No argument has a batch shape: weights belong to a single transformation.
    return {}

  @property
  def initialized(self):
    """`tf.Variable`, whether the weights have been set from data, or `None`.

    `None` means that no weight starts from data, or that the caller owns it.
    """
    return None

  def forward_and_log_det(self, x, name='forward_and_log_det'):
    """Maps a latent to an image and returns the log-determinant as well.

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
    """Maps an image to its latent and returns the log-determinant as well.

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

  def _inverse_and_initial_values(self, images):
    """Computes the weights that start from data, and the resulting latents.

    `tfp_ood.bijectors.initialize` calls this on the parts of a flow in turn, from
    image to latent, and assigns all values at the end. Nothing is assigned here,
    so that `Scan` can stack the values of its steps.

    Args:
      images: `Tensor`, what reaches this bijector.

    Returns:
      latents: `inverse(images)` with the new weights.
      values: list of pairs of a weight and its new value. The weight is a
        variable, or the very object that was given to the constructor.
    """
    return self.inverse(images), []

  def _inverse_linear_part(self, images):
    """Applies the linear part of `inverse`, in float64.

    Whatever depends on the image in another way, such as a coupling's shift,
    counts as constant. `constant_volume_second_order_difference` in
    `tfp_ood.distributions` sends the unit vectors of a block of pixels through it.

    Args:
      images: `float64` NumPy array `[number, height, width, channels]`.

    Returns:
      `float64` NumPy array.

    Raises:
      NotImplementedError: unless a subclass overrides it.
    """
    raise NotImplementedError(
      f'{type(self).__name__} must implement _inverse_linear_part to be part of '
      'a flow that is analyzed in closed form.'
    )

  def _recompute_for_gradient(self, direction, output, tape):
    """Recovers the input from `output` and recomputes the output on a tape.

    `Scan` calls this to differentiate a step of which only the output is known. A
    subclass overrides it if undoing and redoing can share work.

    Args:
      direction: `Direction` in which the bijector first ran.
      output: `Tensor`, what it returned.
      tape: the recording `tf.GradientTape`.

    Returns:
      inputs: tuple of watched tensors; joined along the channels, they are the
        input.
      output: the output as the tape saw it.
      log_det: its log-determinant.
    """
    with tape.stop_recording():
      x, _ = direction.opposite.apply(self, output)
    tape.watch(x)
    return (x,), *direction.apply(self, x)

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
