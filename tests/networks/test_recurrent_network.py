# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests for `RecurrentNetwork`."""

import functools
import itertools

import numpy as np
import pytest
import tensorflow as tf
from scipy import special

from tfp_ood.networks import RecurrentNetwork

_LENGTH = 4
# All sequences of tokens, of three values and of nothing.
_TOKENS = np.array(list(itertools.product(range(4), repeat=_LENGTH)), np.int32)


@functools.cache
def _network(num_context, dtype=tf.float64):
  network = RecurrentNetwork(
    3,
    num_units=5,
    num_context=num_context,
    embedding_size=4,
    seed=1,
    dtype=dtype,
  )
  for number, variable in enumerate(network.trainable_variables):
    noise = tf.random.stateless_normal(variable.shape, [number, 0], dtype=dtype)
    variable.assign_add(0.3 * noise)
  return network


def _value(network, name):
  (value,) = (
    variable.numpy()
    for variable in network.variables
    if variable.name == f'{name}:0'
  )
  return value


def _oracle(network, num_context, tokens):
  """Logits of one sequence and hidden states, in plain NumPy."""
  embedding = _value(network, 'embedding_kernel')
  table = _value(network, 'context_kernel') if num_context else None
  of_input = _value(network, 'lstm_cell/kernel')
  of_hidden = _value(network, 'lstm_cell/recurrent_kernel')
  bias = _value(network, 'lstm_cell/bias')
  hidden = cell = np.zeros(5)
  all_logits, all_hidden = [], []
  for position in range(len(tokens)):
    context = 0
    for back in range(max(num_context, 1) - 1, -1, -1):
      token = tokens[position - back] if position >= back else 3
      context = 4 * context + token
    gates = embedding[context] @ of_input + hidden @ of_hidden + bias
    keep, forget, new, out = np.split(gates, 4)
    cell = special.expit(forget) * cell + special.expit(keep) * np.tanh(new)
    hidden = special.expit(out) * np.tanh(cell)
    logits = hidden @ _value(network, 'kernel')
    logits = logits + _value(network, 'bias')
    all_logits.append(logits + (table[context] if num_context else 0))
    all_hidden.append(hidden)
  return np.stack(all_logits), np.stack(all_hidden)


@pytest.mark.parametrize('num_context', [0, 1, 3])
def test_agrees_with_plain_numpy(num_context):
  network = _network(num_context)
  tokens = _TOKENS[::17]
  logits, hidden = zip(
    *(_oracle(network, num_context, row) for row in tokens), strict=True
  )
  np.testing.assert_allclose(network(tokens), logits, rtol=1e-10)
  np.testing.assert_allclose(network.features(tokens), hidden, rtol=1e-10)


@pytest.mark.parametrize('num_context', [0, 3])
def test_logits_are_of_tokens_up_to_there(num_context):
  logits = _network(num_context)(_TOKENS).numpy()
  logits = logits.reshape([4] * _LENGTH + [_LENGTH, 3])
  for position in range(_LENGTH):
    here = logits[..., position, :]
    later = tuple(range(position + 1, _LENGTH))
    if later:
      assert np.ptp(here, axis=later).max() < 1e-12
    for axis in range(position + 1):
      # Each token up to there has a say.
      assert np.ptp(here, axis=axis).min(axis=-1).max() > 1e-6


@pytest.mark.parametrize('num_context', [0, 1, 3])
def test_steps_agree_with_the_whole_pass(num_context):
  network = _network(num_context)
  expected = network(_TOKENS)
  state = network.initial_state(len(_TOKENS))
  for position in range(_LENGTH):
    logits, state = network.step(_TOKENS[:, position], state)
    np.testing.assert_allclose(logits, expected[:, position], rtol=1e-10)


@pytest.mark.parametrize('dtype', [tf.float32, tf.float64])
def test_any_batch_size(dtype):
  network = _network(2, dtype)
  expected = network(_TOKENS)
  assert expected.dtype == dtype
  traced = tf.function(
    network, input_signature=[tf.TensorSpec([None, None], tf.int32)]
  )
  for size in (0, 1, 7):
    np.testing.assert_allclose(
      traced(_TOKENS[:size]), expected[:size], rtol=1e-5, atol=1e-6
    )
  assert traced.experimental_get_tracing_count() == 1
  mapped = (
    tf.data.Dataset.from_tensor_slices(_TOKENS[:10]).batch(7).map(network)
  )
  np.testing.assert_allclose(
    np.concatenate(list(mapped)), expected[:10], rtol=1e-5, atol=1e-6
  )


@pytest.mark.parametrize('num_context', [0, 2])
def test_every_variable_trains_and_kernels_say_so(num_context):
  network = _network(num_context)
  with tf.GradientTape() as tape:
    loss = tf.reduce_sum(network(_TOKENS) ** 2)
  variables = network.trainable_variables
  assert {id(v) for v in tape.watched_variables()} == {id(v) for v in variables}
  assert len(network.variables) == len(variables) == (7 if num_context else 6)
  for gradient in tape.gradient(loss, variables):
    assert np.any(tf.convert_to_tensor(gradient) != 0)
  others = [v.name for v in variables if 'kernel' not in v.name]
  assert len(others) == 2 and all('bias' in name for name in others)


def test_starts_as_keras_has_it():
  network = RecurrentNetwork(3, num_units=5, num_context=2, seed=1)
  assert not _value(network, 'context_kernel').any()
  bias = _value(network, 'lstm_cell/bias')
  np.testing.assert_array_equal(bias, [0] * 5 + [1] * 5 + [0] * 10)
  kernel = _value(network, 'lstm_cell/recurrent_kernel')
  np.testing.assert_allclose(kernel @ kernel.T, np.eye(5), atol=1e-5)


def test_the_seed_decides_the_weights():
  def weights(seed, dtype=tf.float32):
    network = RecurrentNetwork(3, 5, num_context=1, seed=seed, dtype=dtype)
    return [v.numpy() for v in network.variables]

  for first, again, other in zip(
    weights(1), weights(1), weights(2), strict=True
  ):
    np.testing.assert_array_equal(first, again)
    is_constant = np.ptp(first) == 0 or first.ndim == 1
    assert is_constant or np.all(first != other)
  stateless = weights(tf.constant([3, 4]))
  for first, again in zip(stateless, weights(tf.constant([3, 4])), strict=True):
    np.testing.assert_array_equal(first, again)


@pytest.mark.parametrize('num_context', [-1, 16])
def test_contexts_that_cannot_be_are_refused(num_context):
  with pytest.raises(ValueError, match=f'`num_context` .* got {num_context}'):
    RecurrentNetwork(3, num_context=num_context)
