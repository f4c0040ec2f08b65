# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""How well scores rank out-of-distribution above in-distribution examples.

A score is larger the more out-of-distribution an example is, and
out-of-distribution is the positive class. Every metric here depends on the
order of the scores alone, so infinite scores are allowed; NaN is not.
"""

import typing

import numpy as np
from sklearn import metrics

from tfp_ood.stats import _scores

__all__ = [
  'RocCurve',
  'auroc',
  'average_precision',
  'false_positive_rate_at_95_tpr',
  'roc_curve',
]


class RocCurve(typing.NamedTuple):
  """A receiver operating characteristic, from (0, 0) to (1, 1).

  Attributes:
    false_positive_rate: Array `[n]`, the fraction of in-distribution examples
      flagged at each threshold, from the strictest to the loosest.
    true_positive_rate: Array `[n]`, the fraction of out-of-distribution
      examples flagged at the same thresholds.
  """

  false_positive_rate: np.ndarray
  true_positive_rate: np.ndarray


def auroc(in_distribution_scores, out_of_distribution_scores):
  """Area under the receiver operating characteristic.

  ```none
  auroc = P(out > in) + P(out = in) / 2
  ```

  for one score drawn from either set. 0.5 is chance, and less than 0.5 means
  that the out-of-distribution examples score as *more* typical.

  Args:
    in_distribution_scores: Rank-1 array-like, larger = more
      out-of-distribution. Infinite scores are allowed.
    out_of_distribution_scores: Rank-1 array-like, on the same scale.

  Returns:
    `float` in [0, 1].

  Raises:
    ValueError: If either input is not of rank 1, is empty or holds NaN.

  #### Example

  >>> auroc([0.1, 0.2, 0.3], [0.25, 0.3, 0.9, 1.5])
  0.875
  """
  return float(
    metrics.roc_auc_score(
      *_labels_and_ranks(in_distribution_scores, out_of_distribution_scores)
    )
  )


def average_precision(in_distribution_scores, out_of_distribution_scores):
  """Area under the precision-recall curve, out-of-distribution positive.

  ```none
  average_precision = sum_k (recall_k - recall_(k - 1)) precision_k
  ```

  over the thresholds from the strictest to the loosest, without
  interpolation. Chance is the out-of-distribution share of all examples, so
  values are comparable only between sets of the same sizes.

  Args:
    in_distribution_scores: Rank-1 array-like, larger = more
      out-of-distribution. Infinite scores are allowed.
    out_of_distribution_scores: Rank-1 array-like, on the same scale.

  Returns:
    `float` in (0, 1].

  Raises:
    ValueError: If either input is not of rank 1, is empty or holds NaN.

  #### Example

  >>> round(average_precision([0.1, 0.8], [0.4, 0.9]), 4)
  0.8333
  """
  return float(
    metrics.average_precision_score(
      *_labels_and_ranks(in_distribution_scores, out_of_distribution_scores)
    )
  )


def false_positive_rate_at_95_tpr(
  in_distribution_scores, out_of_distribution_scores
):
  """In-distribution examples flagged when 95 % of the others are caught.

  Precisely: a threshold flags the examples that score at least as high. Among
  the thresholds that flag at least 95 % of the out-of-distribution examples
  (true positive rate >= 0.95) this is the smallest fraction of in-distribution
  examples flagged. 0 is perfect, 0.95 is chance. Nothing is interpolated.

  Args:
    in_distribution_scores: Rank-1 array-like, larger = more
      out-of-distribution. Infinite scores are allowed.
    out_of_distribution_scores: Rank-1 array-like, on the same scale.

  Returns:
    `float` in [0, 1].

  Raises:
    ValueError: If either input is not of rank 1, is empty or holds NaN.

  #### Example

  >>> false_positive_rate_at_95_tpr([0.1, 0.2, 0.3, 0.8], [0.25, 0.5, 0.9])
  0.5
  """
  curve = roc_curve(in_distribution_scores, out_of_distribution_scores)
  caught_enough = curve.true_positive_rate >= 0.95
  return float(curve.false_positive_rate[caught_enough].min())


def roc_curve(in_distribution_scores, out_of_distribution_scores):
  """Receiver operating characteristic, out-of-distribution positive.

  Args:
    in_distribution_scores: Rank-1 array-like, larger = more
      out-of-distribution. Infinite scores are allowed.
    out_of_distribution_scores: Rank-1 array-like, on the same scale.

  Returns:
    `RocCurve` with one point per distinct score, after the point (0, 0).

  Raises:
    ValueError: If either input is not of rank 1, is empty or holds NaN.

  #### Example

  >>> curve = roc_curve([0.1, 0.8], [0.4, 0.9])
  >>> curve.false_positive_rate.tolist()
  [0.0, 0.0, 0.5, 0.5, 1.0]
  >>> curve.true_positive_rate.tolist()
  [0.0, 0.5, 0.5, 1.0, 1.0]
  """
  false_positive_rate, true_positive_rate, _ = metrics.roc_curve(
    *_labels_and_ranks(in_distribution_scores, out_of_distribution_scores),
    drop_intermediate=False,
  )
  return RocCurve(false_positive_rate, true_positive_rate)


def _labels_and_ranks(in_distribution_scores, out_of_distribution_scores):
  # scikit-learn refuses infinite scores; ranks are finite and rank the same.
  in_ranks, out_ranks = _scores.ranked_scores(
    in_distribution_scores, out_of_distribution_scores
  )
  labels = np.repeat([0, 1], [in_ranks.size, out_ranks.size])
  return labels, np.concatenate([in_ranks, out_ranks])
