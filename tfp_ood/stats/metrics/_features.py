# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""What analyses of feature vectors ask of their input."""

import numpy as np

__all__ = ['check_same_size', 'checked_features']


def checked_features(features, name, min_examples):
  """Checks a set of feature vectors.

  Args:
    features: array-like of shape `[examples, size]`.
    name: Python `str`, the argument's name, for the error.
    min_examples: Python `int`.

  Returns:
    float64 array of the same shape.

  Raises:
    ValueError: if `features` have another rank, are too few or are not finite.

  #### Example

  >>> checked_features([[1, 2]], 'features', min_examples=1)
  array([[1., 2.]])
  """
  features = np.asarray(features, dtype=np.float64)
  if features.ndim != 2 or not features.shape[1]:
    raise ValueError(
      f'`{name}` must have the shape [examples, size]; got {features.shape}.'
    )
  if len(features) < min_examples:
    raise ValueError(
      f'`{name}` needs at least {min_examples} examples; got {len(features)}.'
    )
  is_finite = np.isfinite(features).all(axis=1)
  if not is_finite.all():
    raise ValueError(
      f'`{name}` must be finite; {np.count_nonzero(~is_finite)} of '
      f'{len(features)} examples are not. Find where they arise.'
    )
  return features


def check_same_size(**features):
  """Raises unless two sets of feature vectors have as many numbers each.

  Args:
    **features: two arrays of shape `[examples, size]` by the names of their
      arguments.

  Raises:
    ValueError: if their sizes differ.
  """
  (first_name, first), (second_name, second) = features.items()
  if first.shape[1] != second.shape[1]:
    raise ValueError(
      f'`{first_name}` and `{second_name}` must have vectors of the same size, '
      f'of the same model; got {first.shape[1]} and {second.shape[1]}.'
    )
