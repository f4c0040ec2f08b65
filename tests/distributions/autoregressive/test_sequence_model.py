# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests for `SequenceModel`."""

import functools
import itertools

import keras
import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from scipy import special
from scipy import stats as scipy_stats

import tfp_ood
from tfp_ood.distributions import SequenceModel, sequence_model
from tfp_ood.networks import FunctionNetwork, RecurrentNetwork

_READS = np.array(list(itertools.product(range(4), repeat=4)), np.int32)


@functools.cache
def _recurrent(num_context=2, dtype=tf.float64):
  """A tiny network that depends on everything that it may; no test changes it."""
  network = RecurrentNetwork(
    4, num_units=4, num_context=num_context, seed=1, dtype=dtype
  )
  for number, variable in enumerate(network.trainable_variables):
    noise = tf.random.stateless_normal(variable.shape, [number, 0], dtype=dtype)
    variable.assign_add(0.5 * noise)
  return network


@functools.cache
def _model(length=4, num_context=2, dtype=tf.float64):
  return SequenceModel(length, 4, _recurrent(num_context, dtype))


def _convolution(padding='causal', dtype='float64'):
  k = tf_keras.layers
  return tf_keras.Sequential(
    [
      k.Input([4], dtype=tf.int32),
      k.Embedding(5, 3, dtype=dtype),
      k.Conv1D(
        4,
        3,
        padding=padding,
        kernel_initializer=tf_keras.initializers.GlorotUniform(seed=1),
        dtype=dtype,
      ),
    ]
  )


@pytest.mark.parametrize('num_context', [0, 2])
def test_probabilities_of_all_reads_sum_to_one(num_context):
  probabilities = _model(num_context=num_context).prob(_READS).numpy()
  np.testing.assert_allclose(probabilities.sum(), 1, atol=1e-10)
  assert np.ptp(probabilities) > 1e-3


def test_the_map_sums_to_log_prob_and_is_of_what_came_before():
  model = _model()
  by_element = model.log_prob_map(_READS)
  np.testing.assert_allclose(
    tf.reduce_sum(by_element, -1), model.log_prob(_READS), rtol=1e-12
  )
  probabilities = model.prob(_READS).numpy().reshape([4] * 4)
  # The probability of what is up to an element, of what is before it.
  for position in range(4):
    upto = probabilities.sum(axis=tuple(range(position + 1, 4)), keepdims=True)
    before = upto.sum(axis=position, keepdims=True)
    expected = np.broadcast_to(upto / before, [4] * 4).reshape(-1)
    np.testing.assert_allclose(
      np.exp(by_element[:, position]), expected, rtol=1e-9
    )


def test_the_network_is_given_nothing_and_then_the_elements():
  network = _recurrent()
  model = SequenceModel(4, 4, network)
  tokens = np.pad(_READS[:, :-1], [[0, 0], [1, 0]], constant_values=4)
  all_log_probs = special.log_softmax(network(tokens), axis=-1)
  expected = np.take_along_axis(all_log_probs, _READS[..., np.newaxis], -1)
  np.testing.assert_allclose(
    model.log_prob_map(_READS), expected[..., 0], rtol=1e-12
  )


@pytest.mark.parametrize('kind', ['steps', 'whole passes'])
def test_samples_are_of_the_distribution(kind):
  """The seed is fixed; one seed in a thousand would fail."""
  network = _recurrent(dtype=tf.float32)
  if kind == 'whole passes':
    network = FunctionNetwork(network.__call__, modules=[network])
  model = SequenceModel(4, 4, network)
  number = 20_000
  samples = model.sample(number, seed=7)
  assert samples.dtype == tf.int32 and samples.shape == [number, 4]
  places = 4 ** np.arange(3, -1, -1)
  found = np.bincount(samples.numpy() @ places, minlength=256)
  expected = np.float64(model.prob(_READS))
  expected *= number / expected.sum()
  # Reads so rare that they say nothing by themselves count as one with another.
  order = np.argsort(expected)
  start = np.searchsorted(np.cumsum(expected[order]), 5)
  groups = [0, *range(start + 1, len(order))]
  found, expected = (
    np.add.reduceat(counts[order], groups) for counts in (found, expected)
  )
  assert scipy_stats.chisquare(found, expected).pvalue > 1e-3


def test_steps_and_whole_passes_draw_the_same():
  network = _recurrent()
  whole = FunctionNetwork(network.__call__, modules=[network])
  one, other = (
    SequenceModel(4, 4, n).sample([3, 5], seed=[1, 2]) for n in (network, whole)
  )
  assert one.shape == [3, 5, 4]
  np.testing.assert_array_equal(one, other)


def test_samples_of_any_number_are_those_of_the_seed():
  model = _model()

  @tf.function(input_signature=[tf.TensorSpec([], tf.int32)])
  def draw(number):
    return model.sample(number, seed=[1, 2])

  for number in (0, 1, 6):
    np.testing.assert_array_equal(
      draw(number), model.sample(number, seed=[1, 2])
    )
    assert draw(number).shape == [number, 4]
  assert np.any(model.sample(9, seed=3) != model.sample(9, seed=4))
  np.testing.assert_array_equal(
    model.sample(9, seed=3), model.sample(9, seed=3)
  )
  assert model.sample(seed=1).shape == [4]


def test_any_batch_shape_and_unknown_batch_size():
  model = _model()
  expected = model.log_prob(_READS)
  in_two = model.log_prob(_READS.reshape([2, 128, 4]))
  np.testing.assert_allclose(in_two, np.reshape(expected, [2, 128]))
  assert model.log_prob_map(_READS[0]).shape == [4]
  names = model.statistics_names
  traced = tf.function(
    lambda x: model.statistics(x, names),
    input_signature=[tf.TensorSpec([None, 4], tf.int32)],
    autograph=False,
  )
  for size in (0, 1, 9):
    found = traced(_READS[:size])
    np.testing.assert_allclose(found['log_prob'], expected[:size])
    assert found['log_prob_map'].shape == [size, 4]
  assert traced.experimental_get_tracing_count() == 1
  mapped = tf.data.Dataset.from_tensor_slices(_READS[:10]).batch(7)
  np.testing.assert_allclose(
    np.concatenate(list(mapped.map(model.log_prob))), expected[:10]
  )


@pytest.mark.slow
def test_a_detector_is_calibrated_and_exported(tmp_path):
  model = _model(dtype=tf.float32)
  score = tfp_ood.stats.NegativeLogLikelihood()
  detector = tfp_ood.stats.Detector(model, score).fit(model.sample(99, seed=1))
  np.testing.assert_allclose(
    detector.score(_READS), -model.log_prob(_READS), rtol=1e-5
  )
  detector.export_saved_model(tmp_path / 'detector')
  loaded = tf.saved_model.load(str(tmp_path / 'detector'))
  for size in (1, 256):
    np.testing.assert_allclose(
      loaded.score(_READS[:size]), detector.score(_READS[:size]), rtol=1e-5
    )


@pytest.mark.slow
def test_training_lowers_the_loss():
  generator = np.random.default_rng(0)
  reads = np.cumsum(generator.integers(0, 2, [256, 8]), axis=1) % 4
  model = sequence_model(8, num_units=8, num_context=1, seed=1)
  trained = tfp_ood.training.DistributionModel(model)
  trained.compile(tfp_ood.training.adam(0.02, weight_decay=1e-4))
  history = trained.fit(reads, epochs=6, batch_size=32, verbose=0).history
  # At first, two bits for each element; what is to be known leaves little over one.
  assert history['bits_per_dim'][0] > 1.6 and history['bits_per_dim'][-1] < 1.2


@pytest.mark.parametrize('dtype', [np.uint8, np.int64, np.float32, np.float64])
def test_whole_numbers_of_any_type_are_taken(dtype):
  model = _model()
  np.testing.assert_array_equal(
    model.log_prob(_READS.astype(dtype)), model.log_prob(_READS)
  )


@pytest.mark.parametrize('value', [-1, 4, 0.5, np.nan, np.inf, 2.0**32])
def test_other_values_are_refused(value):
  model = _model()
  wrong = _READS.astype(np.float64)
  wrong[2, 3] = value
  for function in (model.log_prob, model.prob, model.log_prob_map):
    with pytest.raises(ValueError, match='whole numbers from 0 to 3'):
      function(wrong)
  traced = tf.function(model.log_prob, autograph=False)
  with pytest.raises(tf.errors.InvalidArgumentError, match='from 0 to 3'):
    traced(tf.constant(wrong))


@pytest.mark.parametrize('shape', [[5], [2, 5], [2, 4, 1], []])
def test_other_shapes_are_refused(shape):
  with pytest.raises(ValueError, match=r'shape \[batch..., 4\], got'):
    _model().log_prob(np.zeros(shape, np.int32))


# -------------------------------------------------------------------- networks


def _keras_3():
  return keras.Sequential(
    [
      keras.layers.Input([4], dtype='int32'),
      keras.layers.Embedding(5, 3, dtype='float64'),
      keras.layers.Conv1D(4, 3, padding='causal', dtype='float64'),
    ]
  )


@pytest.mark.parametrize('make', [_convolution, _keras_3])
def test_networks_of_keras(make):
  network = make()
  model = SequenceModel(4, 4, network)
  assert len(model.trainable_variables) == len(network.trainable_variables) == 3
  np.testing.assert_allclose(tf.reduce_sum(model.prob(_READS)), 1, atol=1e-10)
  assert model.sample(3, seed=1).shape == [3, 4]
  assert model.sample(0, seed=1).shape == [0, 4]


def test_logits_of_half_precision_make_single_log_probs():
  model = SequenceModel(4, 4, _convolution(dtype='float16'))
  assert model.log_prob(_READS).dtype == tf.float32
  assert model.sample(2, seed=1).shape == [2, 4]


@pytest.mark.parametrize('length', [2, 3, 4, 9, 250])
@pytest.mark.parametrize('ahead', [1, 2, 100])
def test_networks_that_look_ahead_are_refused(length, ahead):
  def look_ahead(tokens):
    return tf.one_hot(tf.roll(tokens, -min(ahead, length - 1), axis=1), 4)

  with pytest.raises(ValueError, match='`network` must be causal'):
    SequenceModel(length, 4, FunctionNetwork(look_ahead, modules=[]))


def test_a_symmetric_convolution_is_refused_also_in_a_graph():
  network = _convolution(padding='same')
  message = 'logits at 0 change with the tokens from 1 on'
  with pytest.raises(ValueError, match=message):
    SequenceModel(4, 4, network)
  with pytest.raises(ValueError, match=message):
    tf.function(
      lambda: SequenceModel(4, 4, network).log_prob(_READS), autograph=False
    )()


def test_networks_of_other_shapes_are_refused():
  with pytest.raises(ValueError, match=r'logits of shape \[4, 4, 3\], got'):
    SequenceModel(4, 3, _recurrent())
  with pytest.raises(TypeError, match='FunctionNetwork'):
    SequenceModel(4, 4, lambda tokens: tf.one_hot(tokens, 4))


@pytest.mark.parametrize(
  'length, num_values, message',
  [
    (0, 4, '`length` must be at least 1, got 0'),
    (4, 1, '`num_values` must be at least 2, got 1'),
  ],
)
def test_numbers_out_of_range_are_refused(length, num_values, message):
  with pytest.raises(ValueError, match=message):
    SequenceModel(length, num_values, _recurrent())


# --------------------------------------------------------------------- factory


def test_comes_back_with_its_weights(tmp_path):
  arguments = {'length': 6, 'num_units': 8, 'num_context': 2}
  model = sequence_model(**arguments, seed=5)
  path = tmp_path / 'weights.npz'
  tfp_ood.pretrained.write_weights(path, model, 'sequence_model', arguments)
  restored = sequence_model(weights=path)
  x = model.sample(5, seed=1)
  np.testing.assert_allclose(restored.log_prob(x), model.log_prob(x), rtol=1e-6)
  assert tfp_ood.pretrained.load_model(path).event_shape == [6]


@pytest.mark.slow
def test_the_seed_decides_the_weights():
  one, same, other = (
    sequence_model(4, num_units=8, num_context=1, seed=seed).log_prob(_READS)
    for seed in (1, 1, 2)
  )
  np.testing.assert_array_equal(one, same)
  assert np.all(one != other)
