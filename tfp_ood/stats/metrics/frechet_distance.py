# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Frechet distance between two sets of features."""

import numpy as np

from tfp_ood.stats.metrics import _features

__all__ = ['frechet_distance']


def frechet_distance(features_a, features_b):
  """Squared Frechet distance between the normals fitted to two sets of features.

      distance = |mean_a - mean_b|^2 + Tr(C_a + C_b - 2 (C_a C_b)^(1/2))

  with sample means and covariances: how far generated images are from real ones,
  by features of a classifier. It is zero if the first two moments agree.

  Features come from a classifier of one's own, such as the layer before the
  logits. Values depend on that classifier and are comparable among its own only,
  not with published distances [1], which use one Inception network. They also
  fall as examples increase, towards the distance of the populations: compare sets
  of the same size.

  Args:
    features_a: array-like of shape `[examples, size]`, of more examples than
      `size`.
    features_b: array-like of shape `[examples, size]`, of more examples than
      `size`, not necessarily as many.

  Returns:
    Python `float`, not negative, in squared units of the features.

  Raises:
    ValueError: if either is not of rank 2, has too few examples for a covariance
      of full rank or is not finite, or the sizes differ.

  #### Example

  Of normals in one dimension, `(mean_a - mean_b)^2 + (dev_a - dev_b)^2`:

  >>> round(frechet_distance([[-1.], [0.], [1.]], [[2.], [4.], [6.]]), 6)
  17.0

  #### References

  [1]: Martin Heusel, Hubert Ramsauer, Thomas Unterthiner, Bernhard Nessler, Sepp
       Hochreiter. GANs Trained by a Two Time-Scale Update Rule Converge to a
       Local Nash Equilibrium. _Neural Information Processing Systems_, 2017.
       https://arxiv.org/abs/1706.08500
  [2]: D. C. Dowson, B. V. Landau. The Frechet distance between multivariate
       normal distributions. _Journal of Multivariate Analysis_, 12(3):450-455,
       1982.
  """
  features_a = _checked(features_a, 'features_a')
  features_b = _checked(features_b, 'features_b')
  _features.check_same_size(features_a=features_a, features_b=features_b)
  mean_a, root_a = _mean_and_root(features_a)
  mean_b, root_b = _mean_and_root(features_b)
  # With C = R^T R, the eigenvalues of C_a C_b are the squared singular values of
  # R_a R_b^T: no root of a matrix, and of no small eigenvalue, is taken.
  cross = np.sum(np.linalg.svd(root_a @ root_b.T, compute_uv=False))
  distance = (
    np.sum((mean_a - mean_b) ** 2)
    + np.sum(root_a**2)
    + np.sum(root_b**2)
    - 2 * cross
  )
  # Rounding may leave equal moments a little below zero.
  return max(0.0, float(distance))


def _checked(features, name):
  features = _features.checked_features(features, name, min_examples=2)
  count, size = features.shape
  if count <= size:
    raise ValueError(
      f'`{name}` has {count} examples of {size} features; a covariance of full '
      f'rank needs at least {size + 1}. Give more examples or fewer features.'
    )
  return features


def _mean_and_root(features):
  """Returns the mean and a root `R` of the covariance, `C = R^T R`."""
  mean = features.mean(axis=0)
  deviations = (features - mean) / np.sqrt(len(features) - 1)
  return mean, np.linalg.qr(deviations, mode='r')
