# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""A Markov chain for each class, of tables that are counted."""

import numpy as np
import tensorflow as tf

from tfp_ood._batches import as_dataset
from tfp_ood._checks import check_values
from tfp_ood.distributions.autoregressive.sequence_distribution import (
  SequenceDistribution,
)
from tfp_ood.distributions.categorical import Categorical

__all__ = ['MarkovMixture']


class MarkovMixture(SequenceDistribution):
  """A mixture of Markov chains, one for each class, counted instead of trained.

      log p(x, k) = log p(k) + sum_i log p_k(x[i] | x[i - order], ..., x[i - 1])
      log_prob(x) = log sum_k p(x, k)
      log_prob_map(x)[i] = log sum_k p(k | x[:i]) p_k(x[i] | x[i - order : i])

  The first `order` elements are given all that are before them: they have tables of
  their own, counted at the beginnings of sequences. So the probabilities of all
  sequences sum to one. The posterior of the class makes the model a classifier too.

  Beyond `log_prob`, the statistics of the model are

  | name | what it is |
  |---|---|
  | `log_prob_map` | log-probability of each element, nats, `[length]` |
  | `logits` | `log p(x, k)`, nats, `[num_components]` |

  The tables are variables, so a checkpoint has them, but none that trains.

  #### Example

  >>> import numpy as np
  >>> import tfp_ood
  >>> model = tfp_ood.distributions.MarkovMixture(
  ...     length=6, order=1, num_components=2)
  >>> reads = np.array([[0, 1, 0, 1, 0, 1], [2, 2, 2, 3, 3, 3]])
  >>> model = model.fit((reads, [0, 1]))
  >>> logits = model.statistics(reads, ['logits'])['logits']
  >>> np.argmax(logits, axis=1).tolist()
  [0, 1]
  """

  def __init__(
    self,
    length,
    order,
    num_components,
    num_values=4,
    dtype=tf.float32,
    validate_args=False,
    allow_nan_stats=True,
    name='markov_mixture',
  ):
    """Instantiates the distribution, to be fitted or restored.

    Args:
      length: positive Python `int`, how many elements a sequence has.
      order: Python `int` from 0 to `length - 1`, how many elements decide on the
        next. The tables have about `num_values**(order + 1) * num_components`
        entries.
      num_components: positive Python `int`, how many classes there are.
      num_values: Python `int`, at least 2: elements are `0 .. num_values - 1`.
      dtype: floating dtype of the tables and of log-probabilities.
      validate_args: Python `bool`, as in TFP; sequences are checked in any case.
      allow_nan_stats: Python `bool`, as in TFP.
      name: Python `str` given to the operations.

    Raises:
      ValueError: if `length`, `order`, `num_components` or `num_values` is out of
        range.
    """
    parameters = dict(locals())
    super().__init__(
      length, num_values, parameters, validate_args, allow_nan_stats, name
    )
    if not 0 <= order < length:
      raise ValueError(
        f'{name}: `order` must be from 0 to {length - 1}, one less than `length`; '
        f'got {order}.'
      )
    if num_components < 1:
      raise ValueError(
        f'{name}: `num_components` must be at least 1, got {num_components}.'
      )
    # How many contexts are shorter than 0, 1, ..., order, order + 1 elements.
    self._num_shorter = np.cumsum(
      [0, *(num_values**size for size in range(order + 1))]
    )
    num_rows = num_values * int(self._num_shorter[-1])
    if num_rows > tf.int32.max:
      raise ValueError(
        f'{name}: contexts of `order` {order} and `num_values` {num_values} make '
        f'tables of {num_rows} rows; there can be {tf.int32.max}. Take a lower '
        'order.'
      )
    self._order = order
    self._log_tables = tf.Variable(
      tf.zeros([num_rows, num_components], dtype),
      trainable=False,
      name='log_tables',
    )
    self._log_weights = tf.Variable(
      tf.zeros([num_components], dtype), trainable=False, name='log_weights'
    )
    self._fitted = tf.Variable(False, trainable=False, name='fitted')

  @property
  def statistics_names(self):
    """Names of what `statistics` can compute, a tuple of `str`."""
    return ('log_prob', 'log_prob_map', 'logits')

  @property
  def is_fitted(self):
    """Python `bool`, whether there are tables, fitted or restored."""
    with tf.init_scope():
      return bool(tf.convert_to_tensor(self._fitted))

  def fit(self, dataset, smoothing=1.0):
    """Counts the tables, in one pass.

    Args:
      dataset: `tf.data.Dataset` of batches of pairs, or one pair of arrays: of
        sequences, `[batch, length]`, and of labels, whole numbers `0 ..
        num_components - 1`, `[batch]`. The weight of a component is how frequent its
        label is.
      smoothing: positive Python `float`, what is added to every count.

    Returns:
      The distribution itself.

    Raises:
      ValueError: if `smoothing` is not positive, sequences or labels are out of
        range, or a class has no sequence; then the distribution is as before.
    """
    if not smoothing > 0:
      raise ValueError(
        f'{self.name}: `smoothing` must be positive, got {smoothing}: what was '
        'never seen would have the probability zero.'
      )
    num_components = self._log_weights.shape[0]
    counts = np.zeros(self._log_tables.shape.num_elements(), np.int64)
    for x, labels in as_dataset(dataset):
      x = self.check(x)
      labels = self._check_labels(labels, x.shape[:1])
      rows = self._rows(x).numpy().astype(np.int64)
      np.add.at(counts, num_components * rows + labels[:, np.newaxis], 1)
    counts = counts.reshape([-1, self.num_values, num_components])
    # Every sequence has one first element, in the only context of length zero.
    by_class = counts[0].sum(axis=0)
    if not by_class.all():
      raise ValueError(
        f'{self.name}: `dataset` must have sequences of every class from 0 to '
        f'{num_components - 1}, but has none of '
        f'{np.flatnonzero(by_class == 0).tolist()}.'
      )
    smoothed = counts + smoothing
    log_tables = np.log(smoothed) - np.log(smoothed.sum(axis=1, keepdims=True))
    self._log_tables.assign(log_tables.reshape(self._log_tables.shape))
    self._log_weights.assign(np.log(by_class / by_class.sum()))
    self._fitted.assign(True)
    return self

  def _check_labels(self, labels, shape):
    """Returns labels as an array of integers."""
    labels = tf.convert_to_tensor(labels, name='labels')
    if labels.shape != shape:
      raise ValueError(
        f'{self.name}: `dataset` must have a label for each sequence, shape '
        f'{shape}, got {labels.shape}.'
      )
    whole = tf.cast(labels, tf.int32)
    num_components = self._log_weights.shape[0]
    is_valid = (whole >= 0) & (whole < num_components)
    check_values(
      labels,
      is_valid & (tf.cast(whole, labels.dtype) == labels),
      f'{self.name}: the labels of `dataset` must be whole numbers from 0 to '
      f'{num_components - 1}.',
    )
    return whole.numpy()

  def _rows(self, x):
    """Numbers each element together with its context, `[batch, length]`."""
    order, length = self._order, self.length
    padded = tf.pad(x, [[0, 0], [order, 0]])
    rows = tf.zeros_like(x)
    for start in range(order + 1):
      rows = self.num_values * rows + padded[:, start : start + length]
    return rows + self._first_rows(np.arange(length))

  def _first_rows(self, positions):
    """The row where the tables of contexts of a position begin."""
    size = tf.minimum(positions, self._order)
    shorter = tf.constant(self._num_shorter, tf.int32)
    return self.num_values * tf.gather(shorter, size)

  def _statistics(self, x, names):
    self._check_is_fitted()
    by_element = tf.gather(self._log_tables, self._rows(x))
    logits = self._log_weights + tf.reduce_sum(by_element, axis=1)
    values = {
      'log_prob': tf.reduce_logsumexp(logits, axis=-1),
      'logits': logits,
    }
    if 'log_prob_map' in names:
      # Of all elements up to each; what one adds is its own.
      so_far = tf.reduce_logsumexp(
        self._log_weights + tf.cumsum(by_element, axis=1), axis=-1
      )
      values['log_prob_map'] = so_far - tf.pad(so_far, [[0, 0], [1, 0]])[:, :-1]
    return values

  def _initial_state(self, number, seed):
    """Returns the position, the number of the context, and the component."""
    self._check_is_fitted()
    components = Categorical(self._log_weights).sample(number, seed=seed)
    return tf.constant(0), tf.zeros([number], tf.int32), components

  def _step(self, token, state):
    position, context, components = state
    # The first token says that there is nothing before.
    context = tf.where(position > 0, self.num_values * context + token, 0)
    context %= self.num_values**self._order
    first = self._first_rows(position) + self.num_values * context
    rows = first[:, tf.newaxis] + tf.range(self.num_values)
    columns = tf.broadcast_to(components[:, tf.newaxis], tf.shape(rows))
    logits = tf.gather_nd(self._log_tables, tf.stack([rows, columns], axis=-1))
    return logits, (position + 1, context, components)

  def _check_is_fitted(self):
    if not self.is_fitted:
      raise ValueError(
        f'{self.name} is not fitted: call `fit(dataset)` with sequences and their '
        'labels, or restore a checkpoint, before the first use.'
      )
