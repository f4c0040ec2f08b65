# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""A recurrent network that foretells the next element of a sequence."""

import math

import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras

from tfp_ood._seeds import stateless_seed

__all__ = ['RecurrentNetwork']


class RecurrentNetwork(tf.Module):
  """A long short-term memory over tokens, beside a Markov chain.

      logits[i] = kernel h[i] + bias + table[context[i]]
      h[i] = LSTM(embedding[context[i]], h[i - 1])
      context[i] = (tokens[i - k + 1], ..., tokens[i]),   k = num_context

  The table makes it a Markov chain of order `k`, whose logits start at zero; the
  recurrence learns what else the past tells, such as which genome it is. Without
  context, `k = 0`, there is no table, and the embedding is of `tokens[i]` alone.
  What is before the first token counts as `num_values`, "nothing".

  The embedding and the table have `(num_values + 1)**k` rows each. They are kernels
  of dense layers whose inputs would be one-hot contexts, and their names say so:
  weight decay is of them too.

  #### Example

  >>> import tensorflow as tf
  >>> network = RecurrentNetwork(num_values=4, num_units=8, num_context=2, seed=1)
  >>> tokens = tf.constant([[4, 0, 1, 3, 2]])
  >>> logits = network(tokens)
  >>> logits.shape
  TensorShape([1, 5, 4])

  The same, token after token:

  >>> state = network.initial_state(batch_size=1)
  >>> for number in range(5):
  ...   last, state = network.step(tokens[:, number], state)
  >>> bool(tf.reduce_all(tf.abs(last - logits[:, -1]) < 1e-5))
  True

  #### References

  [1]: Sepp Hochreiter, Juergen Schmidhuber. Long Short-Term Memory. _Neural
       Computation_, 9(8), 1997.
  """

  def __init__(
    self,
    num_values,
    num_units=128,
    num_context=0,
    embedding_size=32,
    seed=None,
    dtype=tf.float32,
    name='recurrent_network',
  ):
    """Instantiates the network.

    Args:
      num_values: Python `int`: tokens are `0 .. num_values - 1`, and `num_values`
        for "nothing before".
      num_units: Python `int`, the width of the recurrence.
      num_context: nonnegative Python `int`, how many tokens the embedding and the
        table are of.
      embedding_size: Python `int`, what the recurrence sees of a context.
      seed: Python `int` or stateless PRNG seed of the weights.
      dtype: floating dtype of the weights and of what is computed.
      name: Python `str`, the name of the module.

    Raises:
      ValueError: if `num_context` is negative, or there are too many contexts.
    """
    super().__init__(name=name)
    num_rows = (num_values + 1) ** max(num_context, 1)
    if num_context < 0 or num_rows > tf.int32.max:
      raise ValueError(
        f'{name}: `num_context` must be at least 0, with at most {tf.int32.max} '
        f'different contexts; got {num_context}, of {num_values + 1} tokens.'
      )
    self._num_values = num_values
    self._window = max(num_context, 1)
    dtype = tf.as_dtype(dtype)
    seeds = tfp.random.split_seed(stateless_seed(seed), n=2)
    self._embedding = tf.Variable(
      _uniform([num_rows, embedding_size], seeds[0], dtype),
      name='embedding_kernel',
    )
    self._table = None
    if num_context:
      self._table = tf.Variable(
        tf.zeros([num_rows, num_values], dtype), name='context_kernel'
      )
    # Keras takes Python integers.
    of_inputs, of_recurrence, of_outputs = tf.random.stateless_uniform(
      [3], seeds[1], 0, tf.int32.max, tf.int32
    ).numpy()
    initializers = tf_keras.initializers
    self._recurrence = tf_keras.layers.LSTM(
      num_units,
      return_sequences=True,
      kernel_initializer=initializers.GlorotUniform(int(of_inputs)),
      recurrent_initializer=initializers.Orthogonal(seed=int(of_recurrence)),
      dtype=dtype.name,
      name='recurrence',
    )
    self._recurrence.build((None, None, embedding_size))
    self._outputs = tf_keras.layers.Dense(
      num_values,
      kernel_initializer=initializers.GlorotUniform(int(of_outputs)),
      dtype=dtype.name,
      name='outputs',
    )
    self._outputs.build((None, num_units))

  # Eagerly, each operation of each step would be one of its own.
  @tf.function(reduce_retracing=True, autograph=False)
  def __call__(self, tokens):
    """Applies the network.

    Args:
      tokens: int32 `Tensor` of shape `[batch, length]`, from 0 to `num_values`.

    Returns:
      `Tensor` of shape `[batch, length, num_values]`: logits of what follows each
      token, given it and those before it.
    """
    contexts = self._contexts(tokens)
    return self._logits(self._features(contexts), contexts)

  @tf.function(reduce_retracing=True, autograph=False)
  def features(self, tokens):
    """Returns the hidden states.

    Args:
      tokens: int32 `Tensor` of shape `[batch, length]`, from 0 to `num_values`.

    Returns:
      `Tensor` of shape `[batch, length, num_units]`, each of the tokens up to there.
    """
    return self._features(self._contexts(tokens))

  def initial_state(self, batch_size):
    """Returns the state before the first token, for `step`.

    Args:
      batch_size: Python `int` or scalar int32 `Tensor`.

    Returns:
      Tuple of `Tensor`s: the last tokens, `[batch, max(num_context, 1) - 1]`, and
      the two states of the recurrence, `[batch, num_units]` each.
    """
    before = tf.fill([batch_size, self._window - 1], self._num_values)
    zeros = tf.zeros(
      [batch_size, self._recurrence.units], self._embedding.dtype
    )
    return before, zeros, zeros

  def step(self, token, state):
    """Goes on by one token.

    Args:
      token: int32 `Tensor` of shape `[batch]`.
      state: what `initial_state` or the last `step` returned.

    Returns:
      logits: `Tensor` of shape `[batch, num_values]`, of what follows.
      state: that after the token, for the next `step`.
    """
    before, *states = state
    tokens = tf.concat([before, token[:, tf.newaxis]], axis=1)
    contexts = self._contexts(tokens)[:, -1]
    hidden, states = self._recurrence.cell(self._embedded(contexts), states)
    return self._logits(hidden, contexts), (tokens[:, 1:], *states)

  def _contexts(self, tokens):
    """Numbers the context that ends at each token, `[batch, length]`."""
    window, base = self._window, self._num_values + 1
    length = tf.shape(tokens)[1]
    padded = tf.pad(
      tokens, [[0, 0], [window - 1, 0]], constant_values=self._num_values
    )
    contexts = tf.zeros_like(tokens)
    for start in range(window):
      contexts = base * contexts + padded[:, start : start + length]
    return contexts

  def _embedded(self, contexts):
    return tf.gather(self._embedding, contexts)

  def _features(self, contexts):
    return self._recurrence(self._embedded(contexts))

  def _logits(self, features, contexts):
    logits = self._outputs(features)
    if self._table is None:
      return logits
    return logits + tf.gather(self._table, contexts)


def _uniform(shape, seed, dtype):
  """Rows of about unit length."""
  limit = math.sqrt(3.0 / shape[-1])
  # The weights start at the same values whatever their precision.
  values = tf.random.stateless_uniform(shape, seed, -limit, limit, alg='philox')
  return tf.cast(values, dtype)
