# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Conformal p-values: false-alarm rates that hold for any score."""

import numpy as np
import tensorflow as tf

from tfp_ood.stats import _fractions

__all__ = [
  'conformal_p_values',
  'conformal_threshold',
]


def conformal_p_values(calibration_scores, scores):
  """P-values of scores against scores known to be in-distribution.

  ```none
  p_value = (1 + #{calibration_scores >= score}) / (n + 1)
  ```

  for `n` calibration scores. If the calibration examples and an
  in-distribution example are exchangeable (drawn independently from one
  distribution, say), then, whatever the score and for every finite `n`,

  ```none
  P(p_value <= a) <= a    for every a in [0, 1]
  ```

  The probability is over both: over the draw of the calibration set and over
  that of the example. For one given calibration set the false-alarm rate
  varies around `a` with a standard deviation of about `sqrt(a (1 - a) / n)`.
  Examples that the model was trained on score unlike fresh ones and must not
  serve for calibration.

  P-values that share a calibration set are positively dependent, which
  `benjamini_hochberg` and `lond` allow.

  Args:
    calibration_scores: Floating-point `Tensor` of rank 1, the scores of
      in-distribution examples, larger = more out-of-distribution.
    scores: Floating-point `Tensor` of any shape, on the same scale. An infinite
      score ranks beyond all finite ones and ties with its like: `-inf` has
      p-value 1, `inf` the smallest possible one, `1 / (n + 1)`, unless the
      calibration scores hold `inf` too.

  Returns:
    `float64` `Tensor` of the shape of `scores`. Scores of any precision are
    compared exactly, in float64. In a graph, the p-value of a NaN score is NaN,
    and so is every p-value if a calibration score is NaN.

  Raises:
    TypeError: If either input is not floating point.
    ValueError: If `calibration_scores` is empty or not of rank 1, or if either
      input is known (eagerly it always is) and holds NaN.

  #### Example

  >>> conformal_p_values([0.1, 0.2, 0.3, 0.4], [0.0, 0.3, 9.0]).numpy().tolist()
  [1.0, 0.6, 0.2]

  #### References

  [1]: Vladimir Vovk, Alexander Gammerman, and Glenn Shafer. _Algorithmic
       Learning in a Random World_. Springer, 2005.
  [2]: Stephen Bates, Emmanuel Candes, Lihua Lei, Yaniv Romano, and Matteo
       Sesia. Testing for outliers with conformal p-values. _The Annals of
       Statistics_, 51(1):149-178, 2023.
  """
  calibration_scores = _checked_calibration_scores(calibration_scores)
  scores = tf.cast(checked_scores(scores, 'scores'), tf.float64)
  num_calibration = tf.size(calibration_scores, out_type=tf.int64)
  num_below = tf.searchsorted(
    tf.sort(calibration_scores),
    tf.reshape(scores, [-1]),
    side='left',
    out_type=tf.int64,
  )
  num_at_least = num_calibration - tf.reshape(num_below, tf.shape(scores))
  has_no_rank = tf.math.is_nan(scores) | _any_nan(calibration_scores)
  return tf.where(
    has_no_rank,
    tf.constant(np.nan, tf.float64),
    _p_values(num_at_least, num_calibration),
  )


def conformal_threshold(calibration_scores, false_alarm_rate):
  """Threshold on scores that keeps to a false-alarm rate.

  It is the `k`-th smallest of the `n` calibration scores,

  ```none
  k = ceil((n + 1) (1 - false_alarm_rate))
  ```

  so that `score > threshold` and `p_value <= false_alarm_rate`, with the
  p-value of `conformal_p_values`, are the same decision for every score, ties
  and infinite scores included (under XLA, which rounds divisions otherwise,
  go by the threshold). An in-distribution example exceeds the threshold
  with a probability of at most `false_alarm_rate`, under the conditions given
  there.

  If `k > n` the calibration scores are too few for such a rate: the threshold
  is `inf`, and nothing is flagged. It takes
  `n >= 1 / false_alarm_rate - 1` of them, 19 for a rate of 0.05.

  Args:
    calibration_scores: Floating-point `Tensor` of rank 1, the scores of
      in-distribution examples, larger = more out-of-distribution. May hold
      infinite scores, and the threshold may be one.
    false_alarm_rate: Python `float` strictly between 0 and 1.

  Returns:
    Scalar `Tensor` of the dtype of `calibration_scores`; in a graph NaN, which
    no score exceeds, if a calibration score is NaN.

  Raises:
    TypeError: If `calibration_scores` is not floating point.
    ValueError: If `calibration_scores` is empty, not of rank 1, or known
      (eagerly it always is) and holds NaN, or if `false_alarm_rate` is not
      between 0 and 1.

  #### Example

  >>> calibration_scores = [0.5, 4.0, 1.0, 3.0, 2.0]
  >>> float(conformal_threshold(calibration_scores, false_alarm_rate=0.4))
  3.0
  >>> float(conformal_threshold(calibration_scores, false_alarm_rate=0.1))
  inf

  #### References

  [1]: Vladimir Vovk, Alexander Gammerman, and Glenn Shafer. _Algorithmic
       Learning in a Random World_. Springer, 2005.
  """
  _fractions.check_fraction(false_alarm_rate, 'false_alarm_rate', 0.05)
  dtype = tf.convert_to_tensor(calibration_scores).dtype
  calibration_scores = _checked_calibration_scores(calibration_scores)
  num_calibration = tf.size(calibration_scores, out_type=tf.int64)
  # (n + 1) * false_alarm_rate may round across a whole number. Comparing the
  # p-values themselves takes the same decisions as their user will.
  possible_p_values = _p_values(
    tf.range(num_calibration + 1, dtype=tf.int64), num_calibration
  )
  num_flagged = tf.math.count_nonzero(
    possible_p_values <= float(false_alarm_rate)
  )
  # k counts from 1; the score after the last one is infinite.
  k = num_calibration + 1 - num_flagged
  infinity = tf.constant([np.inf], tf.float64)
  threshold = tf.concat([tf.sort(calibration_scores), infinity], axis=0)[k - 1]
  return tf.cast(
    tf.where(
      _any_nan(calibration_scores), tf.constant(np.nan, tf.float64), threshold
    ),
    dtype,
  )


def checked_scores(scores, name):
  """Converts to a `Tensor`; refuses other than floats, and NaN where known.

  Args:
    scores: Floating-point `Tensor` or array-like.
    name: Python `str`, what to call it in an error.

  Returns:
    Floating-point `Tensor`.

  Raises:
    TypeError: If `scores` is not floating point.
    ValueError: If the values are known, as they are eagerly and for constants,
      and hold NaN.
  """
  # Python's numbers are float64; by way of float32 they would compare otherwise.
  hint = None if hasattr(scores, 'dtype') else tf.float64
  scores = tf.convert_to_tensor(scores, dtype_hint=hint, name=name)
  if not scores.dtype.is_floating:
    raise TypeError(
      f'`{name}` must be floating point, got {scores.dtype.name}; cast it to '
      'float32 or float64.'
    )
  values = tf.get_static_value(scores)
  if values is not None:
    num_nan = np.count_nonzero(np.isnan(values))
    if num_nan:
      raise ValueError(
        f'`{name}` holds {num_nan} NaN among {values.size} values; NaN has no '
        'rank. Find where they arise before testing.'
      )
  return scores


def _checked_calibration_scores(calibration_scores):
  scores = checked_scores(calibration_scores, 'calibration_scores')
  if scores.shape.rank not in (None, 1):
    raise ValueError(
      '`calibration_scores` must have rank 1, one score per example; got shape '
      f'{scores.shape}.'
    )
  if scores.shape.num_elements() == 0:
    raise ValueError(
      '`calibration_scores` is empty; it needs at least one score.'
    )
  return tf.cast(tf.ensure_shape(scores, [None]), tf.float64)


def _p_values(num_at_least, num_calibration):
  # A graph replaces a division by a constant by a product with its rounded
  # reciprocal, and 1 / 20 might come out above 0.05. It leaves this one alone.
  return tf.math.divide_no_nan(
    tf.cast(1 + num_at_least, tf.float64),
    tf.cast(1 + num_calibration, tf.float64),
  )


def _any_nan(scores):
  return tf.reduce_any(tf.math.is_nan(scores))
