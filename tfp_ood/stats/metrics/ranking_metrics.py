# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""How well scores rank out-of-distribution above in-distribution examples.

A score is larger the more out-of-distribution an example is. Every metric here
depends on the order of the scores alone, so infinite scores are allowed; NaN is
not.

Some metrics depend on which class is called positive, and papers differ. Their
names end in the positive class:

* `_out`: out-of-distribution is positive, and large scores are flagged. The
  "AUPR-out", and the "FPR95" of Hendrycks et al. [1].
* `_in`: in-distribution is positive, and small scores are accepted. The
  "AUPR-in", and the "FPR95" of Liang et al. [2].

Exchanging the two sets and the sign of all scores turns one into the other.
`auroc` and `detection_error` are the same either way and have no suffix;
`roc_curve` takes out-of-distribution as positive.

#### References

[1]: Dan Hendrycks, Mantas Mazeika, and Thomas Dietterich. Deep anomaly
     detection with outlier exposure. _International Conference on Learning
     Representations_, 2019.
[2]: Shiyu Liang, Yixuan Li, and R. Srikant. Enhancing the reliability of
     out-of-distribution image detection in neural networks. _International
     Conference on Learning Representations_, 2018.
"""

import typing

import numpy as np
from sklearn import metrics

from tfp_ood.stats.metrics import _scores

__all__ = [
  'RocCurve',
  'auroc',
  'average_precision_in',
  'average_precision_out',
  'detection_error',
  'false_positive_rate_at_95_tpr_in',
  'false_positive_rate_at_95_tpr_out',
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
      *_out_labels_and_ranks(in_distribution_scores, out_of_distribution_scores)
    )
  )


def average_precision_in(in_distribution_scores, out_of_distribution_scores):
  """Area under the precision-recall curve, in-distribution positive.

  ```none
  average_precision = sum_k (recall_k - recall_(k - 1)) precision_k
  ```

  over the thresholds that accept the examples scoring at most as high, from the
  strictest to the loosest, without interpolation. Chance is the in-distribution
  share of all examples, so values are comparable only between sets of the same
  sizes.

  Args:
    in_distribution_scores: Rank-1 array-like, larger = more
      out-of-distribution. Infinite scores are allowed.
    out_of_distribution_scores: Rank-1 array-like, on the same scale.

  Returns:
    `float` in (0, 1].

  Raises:
    ValueError: If either input is not of rank 1, is empty or holds NaN.

  #### Example

  >>> round(average_precision_in([0.1, 0.8, 0.9], [0.4, 1.2]), 4)
  0.8056
  """
  return float(
    metrics.average_precision_score(
      *_in_labels_and_ranks(in_distribution_scores, out_of_distribution_scores)
    )
  )


def average_precision_out(in_distribution_scores, out_of_distribution_scores):
  """Area under the precision-recall curve, out-of-distribution positive.

  ```none
  average_precision = sum_k (recall_k - recall_(k - 1)) precision_k
  ```

  over the thresholds that flag the examples scoring at least as high, from the
  strictest to the loosest, without interpolation. Chance is the
  out-of-distribution share of all examples, so values are comparable only
  between sets of the same sizes.

  Args:
    in_distribution_scores: Rank-1 array-like, larger = more
      out-of-distribution. Infinite scores are allowed.
    out_of_distribution_scores: Rank-1 array-like, on the same scale.

  Returns:
    `float` in (0, 1].

  Raises:
    ValueError: If either input is not of rank 1, is empty or holds NaN.

  #### Example

  >>> round(average_precision_out([0.1, 0.8, 0.9], [0.4, 1.2]), 4)
  0.75
  """
  return float(
    metrics.average_precision_score(
      *_out_labels_and_ranks(in_distribution_scores, out_of_distribution_scores)
    )
  )


def detection_error(in_distribution_scores, out_of_distribution_scores):
  """Smallest error of a threshold, both classes equally likely.

  ```none
  detection_error = min_threshold (false_positive_rate
                                   + false_negative_rate) / 2
  ```

  whatever the sizes of the two sets, and whichever class is positive. It is one
  minus the "detection accuracy" of Lee et al. [1]. 0.5 is chance and the
  largest value: a threshold may flag nothing. The threshold is chosen on the
  same scores, so the error of a threshold fixed beforehand is larger. (Liang et
  al. [2] use the word for the error at a true positive rate of 95 %.)

  Args:
    in_distribution_scores: Rank-1 array-like, larger = more
      out-of-distribution. Infinite scores are allowed.
    out_of_distribution_scores: Rank-1 array-like, on the same scale.

  Returns:
    `float` in [0, 0.5].

  Raises:
    ValueError: If either input is not of rank 1, is empty or holds NaN.

  #### Example

  >>> detection_error([0.1, 0.2, 0.3, 0.8], [0.25, 0.5, 0.9, 1.2])
  0.25

  #### References

  [1]: Kimin Lee, Kibok Lee, Honglak Lee, and Jinwoo Shin. A simple unified
       framework for detecting out-of-distribution samples and adversarial
       attacks. _Advances in Neural Information Processing Systems_, 2018.
  [2]: Shiyu Liang, Yixuan Li, and R. Srikant. Enhancing the reliability of
       out-of-distribution image detection in neural networks. _International
       Conference on Learning Representations_, 2018.
  """
  curve = roc_curve(in_distribution_scores, out_of_distribution_scores)
  false_negative_rate = 1.0 - curve.true_positive_rate
  return float(np.min(curve.false_positive_rate + false_negative_rate) / 2.0)


def false_positive_rate_at_95_tpr_in(
  in_distribution_scores, out_of_distribution_scores
):
  """Out-of-distribution examples accepted where 95 % of the others are.

  Precisely: a threshold accepts the examples that score at most as high. Among
  the thresholds that accept at least 95 % of the in-distribution examples (true
  positive rate >= 0.95) this is the smallest fraction of out-of-distribution
  examples accepted. 0 is perfect, 0.95 is chance. Nothing is interpolated.

  Args:
    in_distribution_scores: Rank-1 array-like, larger = more
      out-of-distribution. Infinite scores are allowed.
    out_of_distribution_scores: Rank-1 array-like, on the same scale.

  Returns:
    `float` in [0, 1].

  Raises:
    ValueError: If either input is not of rank 1, is empty or holds NaN.

  #### Example

  >>> false_positive_rate_at_95_tpr_in([0.1, 0.2, 0.3, 0.8], [0.25, 0.9])
  0.5
  """
  return _false_positive_rate_at_95_tpr(
    *_in_labels_and_ranks(in_distribution_scores, out_of_distribution_scores)
  )


def false_positive_rate_at_95_tpr_out(
  in_distribution_scores, out_of_distribution_scores
):
  """In-distribution examples flagged where 95 % of the others are.

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

  >>> false_positive_rate_at_95_tpr_out([0.1, 0.2, 0.3, 0.8], [0.15, 0.9])
  0.75
  """
  return _false_positive_rate_at_95_tpr(
    *_out_labels_and_ranks(in_distribution_scores, out_of_distribution_scores)
  )


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
    *_out_labels_and_ranks(in_distribution_scores, out_of_distribution_scores),
    drop_intermediate=False,
  )
  return RocCurve(false_positive_rate, true_positive_rate)


def _out_labels_and_ranks(in_distribution_scores, out_of_distribution_scores):
  """Labels, 1 for out-of-distribution, and ranks that are large for them."""
  # scikit-learn refuses infinite scores; ranks are finite and rank the same.
  in_ranks, out_ranks = _scores.ranked_scores(
    in_distribution_scores, out_of_distribution_scores
  )
  labels = np.repeat([0, 1], [in_ranks.size, out_ranks.size])
  return labels, np.concatenate([in_ranks, out_ranks])


def _in_labels_and_ranks(in_distribution_scores, out_of_distribution_scores):
  """Labels, 1 for in-distribution, and ranks that are large for them."""
  labels, ranks = _out_labels_and_ranks(
    in_distribution_scores, out_of_distribution_scores
  )
  return 1 - labels, -ranks


def _false_positive_rate_at_95_tpr(labels, ranks):
  false_positive_rate, true_positive_rate, _ = metrics.roc_curve(
    labels, ranks, drop_intermediate=False
  )
  return float(false_positive_rate[true_positive_rate >= 0.95].min())
