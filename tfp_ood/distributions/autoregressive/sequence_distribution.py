# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The base of distributions over sequences of small whole numbers."""

import tensorflow as tf
import tensorflow_probability as tfp

from tfp_ood._batches import with_one_more_if_empty
from tfp_ood._checks import check_whole_numbers
from tfp_ood._seeds import stateless_seed
from tfp_ood.distributions._no_parameters import NoParameters
from tfp_ood.distributions.categorical import Categorical

__all__ = ['SequenceDistribution']


class SequenceDistribution(tfp.distributions.Distribution, NoParameters):
  """The base of distributions over sequences, element after element.

  The event is `[length]`, of whole numbers `0 .. num_values - 1`, the dtype int32.
  Every public method that takes sequences takes integers and floats of any dtype, as
  long as they hold whole numbers in the range.

  A subclass implements

  | method | what it returns |
  |---|---|
  | `_statistics(x, names)` | `dict` with those named, of checked `[batch, length]` |
  | `_initial_state(number, seed)` | the state before the first element, to sample |
  | `_step(token, state)` | logits of the next element, and the state after it |

  where a token is the element before, and `num_values` at first, `[number]`, and
  logits have shape `[number, num_values]`.
  """

  def __init__(
    self,
    length,
    num_values,
    parameters=None,
    validate_args=False,
    allow_nan_stats=True,
    name='sequence_distribution',
  ):
    """Instantiates the distribution.

    Args:
      length: positive Python `int`, how many elements a sequence has.
      num_values: Python `int`, at least 2.
      parameters: `dict` of the arguments of the subclass.
      validate_args: Python `bool`, as in TFP; sequences are checked in any case.
      allow_nan_stats: Python `bool`, as in TFP.
      name: Python `str` given to the operations.

    Raises:
      ValueError: if `length` or `num_values` is too small.
    """
    for argument, value, least in (
      ('length', length, 1),
      ('num_values', num_values, 2),
    ):
      if value < least:
        raise ValueError(
          f'{name}: `{argument}` must be at least {least}, got {value}.'
        )
    self._length, self._num_values = length, num_values
    self._draw = None
    super().__init__(
      dtype=tf.int32,
      reparameterization_type=tfp.distributions.NOT_REPARAMETERIZED,
      validate_args=validate_args,
      allow_nan_stats=allow_nan_stats,
      parameters=parameters,
      name=name,
    )

  @property
  def length(self):
    """Python `int`, how many elements a sequence has."""
    return self._length

  @property
  def num_values(self):
    """Python `int`; elements are `0 .. num_values - 1`."""
    return self._num_values

  @property
  def is_differentiable(self):
    """`False`: there is nothing between whole numbers."""
    return False

  @property
  def statistics_names(self):
    """Names of what `statistics` can compute, a tuple of `str`."""
    return ('log_prob', 'log_prob_map')

  def statistics(self, x, names):
    """Computes what the model says of sequences, in one pass.

    Args:
      x: array-like of whole numbers, `[batch, length]`.
      names: iterable of names out of `statistics_names`.

    Returns:
      `dict` from each name to a `Tensor` whose first axis is the batch, in nats.
    """
    return self._of_checked(self.check(x), tuple(names))

  def log_prob_map(self, x, name='log_prob_map'):
    """The log-probability of each element given those before it.

    Args:
      x: array-like of whole numbers, `[batch..., length]`.
      name: Python `str` given to the operations.

    Returns:
      `Tensor` of shape `[batch..., length]`, in nats; its sum is `log_prob`.
    """
    with self._name_and_control_scope(name):
      return self.statistics(x, ['log_prob_map'])['log_prob_map']

  def check(self, x):
    """Returns sequences as an int32 `Tensor`, or raises.

    Args:
      x: array-like of whole numbers `0 .. num_values - 1`, integers or floats,
        `[batch..., length]`.

    Returns:
      int32 `Tensor`, to be used in the place of `x`.

    Raises:
      ValueError: if they are not; a graph raises
        `tf.errors.InvalidArgumentError` for what it learns when it runs.
    """
    x = tf.convert_to_tensor(x, name='x')
    if x.shape.rank is None or not x.shape[-1:].is_compatible_with(
      [self.length]
    ):
      raise ValueError(
        f'{self.name}: `x` must have shape [batch..., {self.length}], got '
        f'{x.shape}.'
      )
    x = tf.ensure_shape(x, x.shape[:-1].concatenate([self.length]))
    return check_whole_numbers(x, self.num_values, f'{self.name}: `x`')

  def _of_checked(self, x, names):
    """Computes statistics of `[batch..., length]`."""
    flat = tf.reshape(x, [-1, self.length])
    found = with_one_more_if_empty(lambda x: self._statistics(x, names), flat)
    batch, dynamic_batch = x.shape[:-1], tf.shape(x)[:-1]

    def unflatten(values):
      shape = tf.concat([dynamic_batch, tf.shape(values)[1:]], axis=0)
      return tf.ensure_shape(
        tf.reshape(values, shape), batch.concatenate(values.shape[1:])
      )

    return {name: unflatten(found[name]) for name in names}

  def _call_log_prob(self, value, name, **kwargs):
    # TFP would refuse floats where the dtype of samples is int32.
    return super()._call_log_prob(self.check(value), name, **kwargs)

  def _call_prob(self, value, name, **kwargs):
    return super()._call_prob(self.check(value), name, **kwargs)

  def _log_prob(self, x):
    return self._of_checked(x, ['log_prob'])['log_prob']

  def _sample_n(self, n, seed=None):
    if self._draw is None:
      # Eagerly, each operation of each element would be one of its own.
      self._draw = tf.function(
        self._drawn, reduce_retracing=True, autograph=False
      )
    return self._draw(tf.convert_to_tensor(n, tf.int32), stateless_seed(seed))

  def _drawn(self, n, seed):
    # Some networks take no empty batches.
    number = tf.maximum(n, 1)
    of_state, of_elements = tf.unstack(tfp.random.split_seed(seed, n=2))

    def draw(position, token, state, elements):
      logits, state = self._step(token, state)
      seed = tf.random.experimental.stateless_fold_in(of_elements, position)
      token = Categorical(logits).sample(seed=seed)
      return position + 1, token, state, elements.write(position, token)

    *_, elements = tf.while_loop(
      lambda position, *_: position < self.length,
      draw,
      [
        tf.constant(0),
        tf.fill([number], self.num_values),
        self._initial_state(number, of_state),
        tf.TensorArray(tf.int32, self.length, element_shape=[None]),
      ],
    )
    return tf.ensure_shape(
      tf.transpose(elements.stack())[:n], [None, self.length]
    )

  def _event_shape(self):
    return tf.TensorShape([self.length])

  def _event_shape_tensor(self):
    return tf.constant([self.length])

  def _batch_shape(self):
    return tf.TensorShape([])

  def _batch_shape_tensor(self):
    return tf.constant([], tf.int32)

  def _default_event_space_bijector(self):
    return None  # Discrete.
