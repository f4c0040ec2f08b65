# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Many tests at once: decisions that bound the false discovery rate."""

import typing

import numpy as np
import tensorflow as tf

from tfp_ood.stats import _fractions

__all__ = [
  'BenjaminiHochbergResult',
  'LondResult',
  'benjamini_hochberg',
  'lond',
]


class BenjaminiHochbergResult(typing.NamedTuple):
  """Decisions on a set of p-values.

  Attributes:
    reject: `bool` `Tensor` of the shape of the p-values.
    adjusted_p_value: `float64` `Tensor` of the same shape, the smallest false
      discovery rate at which the example would be rejected.
  """

  reject: tf.Tensor
  adjusted_p_value: tf.Tensor


class LondResult(typing.NamedTuple):
  """Decisions on a piece of a stream of p-values, and how to go on.

  Attributes:
    reject: `bool` `Tensor` of the shape of the p-values.
    level: `float64` `Tensor` of the same shape, what each p-value was compared
      with.
    num_tests: `int64` scalar `Tensor`, the p-values seen so far.
    num_discoveries: `int64` scalar `Tensor`, the rejections so far.
  """

  reject: tf.Tensor
  level: tf.Tensor
  num_tests: tf.Tensor
  num_discoveries: tf.Tensor


def benjamini_hochberg(p_values, false_discovery_rate):
  """Benjamini and Hochberg's step-up procedure.

  Of the rejected examples, the fraction that is in-distribution (zero where
  none is rejected) has an expectation of at most `false_discovery_rate`, times
  the share of in-distribution examples among all. This holds for p-values that
  are independent or positively dependent, as those of `conformal_p_values`
  are where all examples, for calibration and for test, are drawn independently.
  With the `n` p-values in ascending order,

  ```none
  adjusted_i = min over j >= i of p_j n / j
  reject_i   = adjusted_i <= false_discovery_rate
  ```

  A conformal p-value is at least `1 / (m + 1)` with `m` calibration scores: a
  single rejection among `n` tests takes `m + 1 >= n / false_discovery_rate`,
  1,280 for a batch of 128 at 0.1.

  Args:
    p_values: Floating-point `Tensor` of shape `[..., n]`; each set along the
      last axis is one family of tests.
    false_discovery_rate: Python `float` strictly between 0 and 1.

  Returns:
    `BenjaminiHochbergResult`.

  Raises:
    TypeError: If `p_values` is not floating point.
    ValueError: If `p_values` is a scalar, or if `false_discovery_rate` is not
      between 0 and 1.
    ValueError: If a p-value is NaN or outside [0, 1]; in a graph, where the
      values are not yet known, `tf.errors.InvalidArgumentError`.

  #### Example

  >>> result = benjamini_hochberg([0.01, 0.5, 0.02, 0.04], 0.05)
  >>> result.reject.numpy().tolist()
  [True, False, True, False]
  >>> result.adjusted_p_value.numpy().round(3).tolist()
  [0.04, 0.5, 0.04, 0.053]

  #### References

  [1]: Yoav Benjamini and Yosef Hochberg. Controlling the false discovery rate:
       a practical and powerful approach to multiple testing. _Journal of the
       Royal Statistical Society B_, 57(1):289-300, 1995.
  [2]: Stephen Bates, Emmanuel Candes, Lihua Lei, Yaniv Romano, and Matteo
       Sesia. Testing for outliers with conformal p-values. _The Annals of
       Statistics_, 51(1):149-178, 2023.
  """
  false_discovery_rate = _checked_rate(false_discovery_rate)
  p_values = _checked_p_values(p_values)
  if p_values.shape.rank == 0:
    raise ValueError(
      '`p_values` must have at least rank 1, the last axis running over the '
      'tests; got a scalar.'
    )
  num_tests = tf.shape(p_values)[-1]
  order = tf.argsort(p_values, axis=-1, stable=True)
  rank = tf.cast(tf.range(1, num_tests + 1), tf.float64)
  scaled = tf.gather(p_values, order, axis=-1, batch_dims=-1) * tf.cast(
    num_tests, tf.float64
  )
  # A graph would replace another division by a product that rounds otherwise.
  scaled = tf.math.divide_no_nan(scaled, rank)
  adjusted = _minimum_from_here_on(scaled)
  # Sorting the order of a permutation inverts it.
  original_order = tf.argsort(order, axis=-1)
  adjusted = tf.gather(adjusted, original_order, axis=-1, batch_dims=-1)
  return BenjaminiHochbergResult(
    reject=adjusted <= false_discovery_rate, adjusted_p_value=adjusted
  )


def lond(p_values, false_discovery_rate, num_tests=0, num_discoveries=0):
  """Levels based on number of discoveries: false discovery rate in a stream.

  Decides on each p-value when it arrives. The `t`-th is rejected if it is no
  larger than

  ```none
  level_t = false_discovery_rate gamma_t (1 + discoveries before t)
  gamma_t = 1 / (1 + log(t)) - 1 / (1 + log(t + 1))
  ```

  At every time, of the examples rejected so far the expected fraction that is
  in-distribution is at most `false_discovery_rate`. This holds for p-values
  that are independent or positively dependent, as those of
  `conformal_p_values` with one calibration set are.

  Any `gamma_t` that sum to one would do; their sum here telescopes. They fall
  like `1 / (t log(t)^2)`, about as slowly as can be, because a stream of which
  a fixed share is discovered needs `level_t` to stay above the smallest
  possible p-value, `1 / (n + 1)` for `n` calibration scores. Without a
  discovery `level_t` falls below it all the same, and then nothing can be
  rejected any more: at a rate of 0.1 after 43 tests for `n` = 10,000 and after
  238 for 100,000. Calibrate with many examples.

  Args:
    p_values: Floating-point `Tensor` of rank 1, in the order of arrival.
    false_discovery_rate: Python `float` strictly between 0 and 1, the same for
      the whole stream.
    num_tests: Integer scalar `Tensor`, the p-values of this stream decided on
      by earlier calls.
    num_discoveries: Integer scalar `Tensor`, those of them that were rejected.

  Returns:
    `LondResult`. Its `num_tests` and `num_discoveries` are the arguments of the
    next call; a stream cut into pieces is decided on as in one piece.

  Raises:
    TypeError: If `p_values` is not floating point.
    ValueError: If `p_values` is not of rank 1, if `false_discovery_rate` is not
      between 0 and 1, or if the counts are not
      `0 <= num_discoveries <= num_tests`.
    ValueError: If a p-value is NaN or outside [0, 1].
    tf.errors.InvalidArgumentError: In place of `ValueError`, for values that
      are not yet known in a graph.

  #### Example

  >>> first = lond([0.001, 0.9], false_discovery_rate=0.1)
  >>> first.reject.numpy().tolist(), first.level.numpy().round(4).tolist()
  ([True, False], [0.0409, 0.0228])
  >>> second = lond([0.01], 0.1, first.num_tests, first.num_discoveries)
  >>> int(second.num_tests), int(second.num_discoveries)
  (3, 2)

  In a `tf.data` pipeline the counts are the state of a scan:

  >>> def decide(state, p_values):
  ...   result = lond(p_values, 0.1, *state)
  ...   return (result.num_tests, result.num_discoveries), result.reject
  >>> stream = tf.data.Dataset.from_tensor_slices([0.001, 0.9, 0.01]).batch(2)
  >>> nothing = tf.zeros([], tf.int64)
  >>> decisions = stream.scan((nothing, nothing), decide)
  >>> [reject.tolist() for reject in decisions.as_numpy_iterator()]
  [[True, False], [True]]

  #### References

  [1]: Adel Javanmard and Andrea Montanari. On online control of false discovery
       rate. _arXiv preprint arXiv:1502.06197_, 2015.
  [2]: Tijana Zrnic, Aaditya Ramdas, and Michael Jordan. Asynchronous online
       testing of multiple hypotheses. _Journal of Machine Learning Research_,
       22(33):1-39, 2021.
  """
  false_discovery_rate = _checked_rate(false_discovery_rate)
  p_values = _checked_p_values(p_values)
  if p_values.shape.rank not in (None, 1):
    raise ValueError(
      '`p_values` must have rank 1, in the order of arrival; got shape '
      f'{p_values.shape}.'
    )
  p_values = tf.ensure_shape(p_values, [None])
  num_tests, num_discoveries = _checked_counts(num_tests, num_discoveries)
  level = _lond_levels(
    p_values,
    tf.constant(false_discovery_rate, tf.float64),
    num_tests,
    num_discoveries,
  )
  reject = p_values <= level
  return LondResult(
    reject=reject,
    level=level,
    num_tests=num_tests + tf.size(p_values, out_type=tf.int64),
    num_discoveries=num_discoveries + tf.math.count_nonzero(reject),
  )


# A graph, because an eager loop takes a millisecond a test.
@tf.function(
  input_signature=[
    tf.TensorSpec([None], tf.float64),
    tf.TensorSpec([], tf.float64),
    tf.TensorSpec([], tf.int64),
    tf.TensorSpec([], tf.int64),
  ]
)
def _lond_levels(p_values, false_discovery_rate, num_tests, num_discoveries):
  def step(state, p_value):
    num_tests, num_discoveries, _ = state
    num_tests += 1
    # From scalars: the logarithm of a vector may differ in the last bit with
    # the place in the vector, and so with the pieces that a stream comes in.
    level = (
      false_discovery_rate
      * _lond_gamma(tf.cast(num_tests, tf.float64))
      * tf.cast(1 + num_discoveries, tf.float64)
    )
    num_discoveries += tf.cast(p_value <= level, tf.int64)
    return num_tests, num_discoveries, level

  start = (num_tests, num_discoveries, tf.zeros([], tf.float64))
  _, _, levels = tf.scan(step, p_values, initializer=start)
  return levels


def _lond_gamma(time):
  # The difference of the two fractions without its cancellation.
  return tf.math.log1p(1.0 / time) / (
    (1.0 + tf.math.log(time)) * (1.0 + tf.math.log(time + 1.0))
  )


def _minimum_from_here_on(values):
  """Minimum of each value and all after it, along the last axis."""
  size = tf.shape(values)[-1]

  def double(reach, minimum):
    # Each entry is the minimum of `reach` values, hereafter of twice as many.
    # Past the end the last value stands in, which belongs to every minimum.
    later = tf.minimum(tf.range(size) + reach, size - 1)
    return 2 * reach, tf.minimum(minimum, tf.gather(minimum, later, axis=-1))

  return tf.while_loop(
    lambda reach, _: reach < size,
    double,
    (tf.constant(1), values),
    shape_invariants=(tf.TensorShape([]), values.shape),
  )[1]


def _checked_rate(false_discovery_rate):
  _fractions.check_fraction(false_discovery_rate, 'false_discovery_rate', 0.1)
  return float(false_discovery_rate)


def _checked_p_values(p_values):
  # Python's 0.05, by way of float32, would be more than the rate 0.05.
  hint = None if hasattr(p_values, 'dtype') else tf.float64
  p_values = tf.convert_to_tensor(p_values, dtype_hint=hint, name='p_values')
  if not p_values.dtype.is_floating:
    raise TypeError(
      f'`p_values` must be floating point, got {p_values.dtype.name}; cast '
      'them to float32 or float64.'
    )
  message = '`p_values` must lie between 0 and 1, and NaN does not'
  values = tf.get_static_value(p_values)
  if values is not None:
    is_p_value = (values >= 0) & (values <= 1)
    if not np.all(is_p_value):
      raise ValueError(f'{message}; got {values[~is_p_value][:5]}.')
    return tf.cast(p_values, tf.float64)
  p_values = tf.cast(p_values, tf.float64)
  tf.debugging.Assert(
    tf.reduce_all((p_values >= 0.0) & (p_values <= 1.0)),
    [f'{message}; got', p_values],
  )
  return p_values


def _checked_counts(num_tests, num_discoveries):
  num_tests = tf.cast(num_tests, tf.int64)
  num_discoveries = tf.cast(num_discoveries, tf.int64)
  message = '`num_discoveries` must lie between 0 and `num_tests`'
  static_tests = tf.get_static_value(num_tests)
  static_discoveries = tf.get_static_value(num_discoveries)
  if static_tests is None or static_discoveries is None:
    tf.debugging.Assert(
      (0 <= num_discoveries) & (num_discoveries <= num_tests),
      [f'{message}; got', num_discoveries, num_tests],
    )
  elif not 0 <= static_discoveries <= static_tests:
    raise ValueError(f'{message} = {static_tests}; got {static_discoveries}.')
  return num_tests, num_discoveries
