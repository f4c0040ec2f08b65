# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""What every metric of two sets of scores asks of its input."""

import numpy as np

__all__ = [
  'ranked_scores',
]


def ranked_scores(in_distribution_scores, out_of_distribution_scores):
  """Checks two sets of scores and replaces each score by its rank.

  Ranking metrics depend on order and ties alone, so ranks leave them unchanged
  and make infinite scores as good as any.

  Args:
    in_distribution_scores: Rank-1 array-like of at least one number.
    out_of_distribution_scores: Rank-1 array-like of at least one number.

  Returns:
    in_distribution_ranks: Integer array. Ranks run over both sets together,
      from 0; equal scores have equal ranks.
    out_of_distribution_ranks: Integer array.

  Raises:
    ValueError: If either is not of rank 1, is empty or holds NaN.

  #### Example

  >>> [ranks.tolist() for ranks in ranked_scores([0.5, 2.0], [2.0, 7.0])]
  [[0, 1], [1, 2]]
  """
  in_distribution = _checked_scores(
    in_distribution_scores, 'in_distribution_scores'
  )
  out_of_distribution = _checked_scores(
    out_of_distribution_scores, 'out_of_distribution_scores'
  )
  _, ranks = np.unique(
    np.concatenate([in_distribution, out_of_distribution]), return_inverse=True
  )
  return np.split(ranks, [in_distribution.size])


def _checked_scores(scores, name):
  scores = np.asarray(scores, dtype=np.float64)
  if scores.ndim != 1:
    raise ValueError(
      f'`{name}` must have rank 1, one score per example; got shape '
      f'{scores.shape}.'
    )
  if scores.size == 0:
    raise ValueError(f'`{name}` is empty; it needs at least one score.')
  num_nan = np.count_nonzero(np.isnan(scores))
  if num_nan:
    raise ValueError(
      f'`{name}` holds {num_nan} NaN among {scores.size} scores; NaN has no '
      'rank. Find where they arise before scoring.'
    )
  return scores
