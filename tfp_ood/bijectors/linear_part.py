# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The linear part of a flow, for the second-order analysis."""

import tensorflow_probability as tfp

from tfp_ood._third_party import is_chain
from tfp_ood.bijectors.bijector import Bijector

__all__ = ['inverse_linear_part']


def inverse_linear_part(bijector, images):
  """Applies the linear part of a bijector's `inverse`, in float64.

  Args:
    bijector: any `tfp.bijectors.Bijector`. One of the library's says itself what
      its linear part is, in `_inverse_linear_part`.
    images: `float64` NumPy array `[number, height, width, channels]`. Height and
      width may be those of one block of pixels instead of the whole image.

  Returns:
    `float64` NumPy array; a latent `[number, size]` where a level ends.

  Raises:
    NotImplementedError: if a linear part is not known.
  """
  if is_chain(bijector):
    for part in bijector.bijectors:
      images = inverse_linear_part(part, images)
    return images
  if isinstance(bijector, Bijector):
    return bijector._inverse_linear_part(images)
  if isinstance(bijector, tfp.bijectors.Reshape):
    # Its own shape is that of the whole image; what matters is the end of a level.
    return images.reshape([len(images), -1])
  raise NotImplementedError(
    f'The linear part of {type(bijector).__name__} is not known. A bijector of '
    'your own, a subclass of tfp_ood.bijectors.Bijector, says what it is in '
    '_inverse_linear_part.'
  )
