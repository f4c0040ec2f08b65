# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""A distribution over sequences, by a network that sees what came before."""

import numpy as np
import tensorflow as tf

from tfp_ood.distributions.autoregressive.sequence_distribution import (
  SequenceDistribution,
)
from tfp_ood.networks.recurrent_network import RecurrentNetwork
from tfp_ood.networks.tracking import trackable_parts
from tfp_ood.pretrained.factories import with_weights

__all__ = ['SequenceModel', 'sequence_model']


class SequenceModel(SequenceDistribution):
  """A distribution over sequences, by a network that sees what came before.

      log_prob_map(x)[i] = log p(x[i] | x[0], ..., x[i - 1])
      log_prob(x) = sum_i log_prob_map(x)[i]

  One pass of the network gives the logits of all elements. Its tokens are the
  elements, one place later: `[nothing, x[0], ..., x[length - 2]]`, where nothing is
  the number `num_values`.

  Beyond `log_prob`, the statistics of the model are

  | name | what it is |
  |---|---|
  | `log_prob_map` | log-probability of each element, nats, `[length]` |

  #### Examples

  >>> import tensorflow as tf
  >>> import tfp_ood
  >>> network = tfp_ood.networks.RecurrentNetwork(
  ...     num_values=4, num_units=8, num_context=2)
  >>> model = tfp_ood.distributions.SequenceModel(20, 4, network)
  >>> reads = model.sample(5, seed=1)
  >>> model.log_prob(reads).shape, model.log_prob_map(reads).shape
  (TensorShape([5]), TensorShape([5, 20]))

  Any causal network does, here one of Keras:

  >>> import tf_keras
  >>> network = tf_keras.Sequential([
  ...     tf_keras.layers.Input([20], dtype=tf.int32),
  ...     tf_keras.layers.Embedding(5, 8),
  ...     tf_keras.layers.Conv1D(4, 3, padding='causal')])
  >>> model = tfp_ood.distributions.SequenceModel(20, 4, network)

  #### References

  [1]: Jie Ren et al. Likelihood Ratios for Out-of-Distribution Detection. _Neural
       Information Processing Systems_, 2019. https://arxiv.org/abs/1906.02845
  """

  def __init__(
    self,
    length,
    num_values,
    network,
    validate_args=False,
    allow_nan_stats=True,
    name='sequence_model',
  ):
    """Instantiates the distribution.

    Args:
      length: positive Python `int`, how many elements a sequence has.
      num_values: Python `int`, at least 2: elements are `0 .. num_values - 1`.
      network: tf_keras or Keras 3 network or callable `tf.Module`, such as a
        `FunctionNetwork`, from int32 tokens `[batch, length]`, from 0 to
        `num_values`, to logits `[batch, length, num_values]`, those at `i` of tokens
        up to `i` alone. If it has `initial_state(batch_size)` and `step(token,
        state)`, as `RecurrentNetwork` has, samples take a step for each element,
        else a pass over the whole for each.
      validate_args: Python `bool`, as in TFP; sequences are checked in any case.
      allow_nan_stats: Python `bool`, as in TFP.
      name: Python `str` given to the operations.

    Raises:
      TypeError: if the variables of the network cannot be found.
      ValueError: if `length` or `num_values` is too small, or the network returns
        another shape, or its logits depend on later tokens. (That is tried with the
        weights as they are: what they multiply by zero does not show.)
    """
    parameters = dict(locals())
    super().__init__(
      length, num_values, parameters, validate_args, allow_nan_stats, name
    )
    self._network = network
    self._parts = trackable_parts(network)
    with tf.init_scope():
      self._check_network()
    has_steps = hasattr(network, 'initial_state') and hasattr(network, 'step')
    self._steps = network if has_steps else _WholePasses(network, length)

  def _statistics(self, x, names):
    del names  # Both come from one pass.
    nothing = tf.fill([tf.shape(x)[0], 1], self.num_values)
    tokens = tf.concat([nothing, x[:, :-1]], axis=1)
    by_element = -tf.nn.sparse_softmax_cross_entropy_with_logits(
      x, _at_least_single(self._network(tokens))
    )
    return {
      'log_prob': tf.reduce_sum(by_element, axis=-1),
      'log_prob_map': by_element,
    }

  def _initial_state(self, number, seed):
    del seed
    return self._steps.initial_state(number)

  def _step(self, token, state):
    logits, state = self._steps.step(token, state)
    return _at_least_single(logits), state

  def _check_network(self):
    tokens, starts = self._tokens_changed_from_starts()
    logits = tf.convert_to_tensor(self._network(tf.constant(tokens)))
    expected = [*tokens.shape, self.num_values]
    if logits.shape != expected:
      raise ValueError(
        f'{self.name}: `network` must map tokens of shape {list(tokens.shape)} to '
        f'logits of shape {expected}, got {logits.shape}.'
      )
    logits = _at_least_single(logits)
    # In batches, the same sums may be taken in another order.
    tolerance = 100 * np.finfo(logits.dtype.as_numpy_dtype).eps
    tolerance *= max(1.0, float(tf.reduce_max(tf.abs(logits))))
    for start, changed in zip(starts, logits[1:].numpy(), strict=True):
      distance = np.abs(changed - logits[0].numpy())[:start].max(axis=-1)
      if (distance > tolerance).any():
        position = int(np.argmax(distance > tolerance))
        raise ValueError(
          f'{self.name}: `network` must be causal, but its logits at {position} '
          f'change with the tokens from {start} on. Make every layer see earlier '
          'positions alone.'
        )

  def _tokens_changed_from_starts(self):
    """Returns tokens, then the same with other tokens from each start on."""
    starts = {*(2**power for power in range(32)), self.length - 1}
    starts = sorted(start for start in starts if 0 < start < self.length)
    generator = np.random.default_rng(0)
    shape = [1 + len(starts), self.length]
    tokens = generator.integers(self.num_values, size=self.length)
    others = tokens + generator.integers(1, self.num_values, size=shape)
    first_changed = np.array([self.length, *starts])[:, np.newaxis]
    is_changed = np.arange(self.length) >= first_changed
    tokens = np.where(is_changed, others % self.num_values, tokens)
    tokens[:, 0] = self.num_values
    return tokens.astype(np.int32), starts


class _WholePasses:
  """Steps of a network that has none: a pass over the whole for each."""

  def __init__(self, network, length):
    self._network, self._length = network, length

  def initial_state(self, batch_size):
    """Returns the position, and the tokens so far."""
    return tf.constant(0), tf.zeros([batch_size, self._length], tf.int32)

  def step(self, token, state):
    """Puts a token in its place, and returns the logits there and the state."""
    position, tokens = state
    is_here = tf.range(self._length) == position
    tokens = tf.where(is_here, token[:, tf.newaxis], tokens)
    return self._network(tokens)[:, position], (position + 1, tokens)


def _at_least_single(logits):
  """Casts those of half precision: log-probabilities are sums of many."""
  return logits if logits.dtype.size >= 4 else tf.cast(logits, tf.float32)


@with_weights
def sequence_model(
  length,
  num_values=4,
  num_units=128,
  num_context=6,
  embedding_size=32,
  seed=None,
  name='sequence_model',
):
  """Returns a `SequenceModel` of a `RecurrentNetwork`.

  Args:
    length: positive Python `int`, how many elements a sequence has.
    num_values: Python `int`: elements are `0 .. num_values - 1`.
    num_units: Python `int`, the width of the recurrence.
    num_context: nonnegative Python `int`, how many elements it looks up together.
    embedding_size: Python `int`, what the recurrence sees of them.
    seed: Python `int` or stateless PRNG seed of the weights.
    name: Python `str`, the name of the distribution.
    weights: the path of a file of `tfp_ood.pretrained.write_weights`, for a trained
      model. What decides the variables, the length included, is then to be left out.

  Returns:
    `SequenceModel`.

  #### Example

  >>> import tfp_ood
  >>> model = tfp_ood.distributions.sequence_model(
  ...     250, num_units=8, num_context=3)
  >>> model.event_shape
  TensorShape([250])
  """
  network = RecurrentNetwork(
    num_values, num_units, num_context, embedding_size, seed=seed
  )
  return SequenceModel(length, num_values, network, name=name)
