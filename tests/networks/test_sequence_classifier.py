# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of classifiers of sequences, beside models."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from conformance import classifier_registry as registry
from scipy import special

from tfp_ood import networks

_LENGTH = 6
_SEQUENCES = np.random.default_rng(0).integers(0, 4, [5, _LENGTH], np.int32)


def _network(seed=1, length=_LENGTH):
  """A smooth network of few weights."""
  k = tf_keras.layers
  network = tf_keras.Sequential(
    [
      k.Input([length, 4]),
      k.Conv1D(3, 3, activation='tanh', name='maps'),
      k.GlobalAveragePooling1D(),
      k.Dense(4, activation='tanh', name='units'),
      k.Dense(3),
    ]
  )
  return registry.perturb_weights(network, seed)


@pytest.fixture(scope='module')
def network():
  with registry.double_precision():
    return _network()


def _classifier(network, *args, **kwargs):
  with registry.double_precision():
    return networks.SequenceClassifier(network, 4, *args, **kwargs)


def _one_hot(sequences):
  return np.eye(4)[sequences]


def test_logits_and_features_are_those_of_the_network(network):
  classifier = _classifier(network)
  values = classifier.statistics(_SEQUENCES, ['logits', 'features'])
  inputs = _one_hot(_SEQUENCES)
  np.testing.assert_allclose(values['logits'], network(inputs), rtol=1e-12)
  units = tf_keras.Model(network.inputs, network.get_layer('units').output)
  np.testing.assert_allclose(values['features'], units(inputs), rtol=1e-12)
  assert set(classifier.statistics(_SEQUENCES, ['logits'])) == {'logits'}
  assert classifier.event_shape == [_LENGTH]


def test_features_of_every_position_are_averaged(network):
  found = _classifier(network, 'maps').statistics(_SEQUENCES, ['features'])
  maps = tf_keras.Model(network.inputs, network.get_layer('maps').output)
  expected = np.mean(maps(_one_hot(_SEQUENCES)), axis=1)
  np.testing.assert_allclose(found['features'], expected, rtol=1e-12)


def _sureness(network, inputs, temperature):
  logits = network(inputs).numpy() / temperature
  return special.log_softmax(logits, axis=-1).max(axis=-1)


@pytest.mark.parametrize('temperature', [1.0, 50.0])
def test_the_perturbation_has_the_sign_of_finite_differences(
  network, temperature
):
  inputs, step = _one_hot(_SEQUENCES), 1e-5
  slopes = np.zeros_like(inputs)
  for index in np.ndindex(inputs.shape[1:]):
    move = np.zeros_like(inputs)
    move[(slice(None), *index)] = step
    slopes[(slice(None), *index)] = _sureness(
      network, inputs + move, temperature
    ) - _sureness(network, inputs - move, temperature)
  assert np.abs(slopes).min() > 1e-12  # All signs are certain.
  assert (slopes < 0).any() and (slopes > 0).any()
  found = _classifier(
    network, perturbation=0.3, temperature=temperature
  ).statistics(_SEQUENCES, ['perturbed_logits', 'logits'])
  expected = network(inputs + 0.3 * np.sign(slopes))
  np.testing.assert_allclose(found['perturbed_logits'], expected, rtol=1e-12)
  np.testing.assert_allclose(found['logits'], network(inputs), rtol=1e-12)


def test_a_small_perturbation_makes_all_surer(network):
  values = _classifier(network, perturbation=1e-3).statistics(
    _SEQUENCES, ['perturbed_logits', 'logits']
  )
  before, after = (
    special.log_softmax(values[name], axis=-1).max(axis=-1)
    for name in ('logits', 'perturbed_logits')
  )
  assert (after > before).all()


def test_without_perturbation_the_logits_stay(network):
  values = _classifier(network).statistics(
    _SEQUENCES, ['logits', 'perturbed_logits']
  )
  np.testing.assert_array_equal(values['perturbed_logits'], values['logits'])


def test_each_sequence_counts_by_itself_for_any_batch_size(network):
  classifier = _classifier(network, perturbation=0.1)
  names = classifier.statistics_names
  expected = classifier.statistics(_SEQUENCES, names)
  traced = tf.function(
    lambda x: classifier.statistics(x, names),
    input_signature=[tf.TensorSpec([None, _LENGTH], tf.int32)],
  )
  for size in (0, 1, 5):
    found = traced(_SEQUENCES[:size])
    for name in names:
      np.testing.assert_allclose(
        found[name], expected[name][:size], rtol=1e-10, atol=1e-12
      )
  assert traced.experimental_get_tracing_count() == 1
  mapped = (
    tf.data.Dataset.from_tensor_slices(_SEQUENCES)
    .batch(2)
    .map(lambda x: classifier.statistics(x, names)['perturbed_logits'])
  )
  np.testing.assert_allclose(
    np.concatenate(list(mapped)), expected['perturbed_logits'], rtol=1e-10
  )


@pytest.mark.parametrize(
  'dtype', [np.uint8, np.int64, np.float32, np.float64, np.float16]
)
def test_whole_numbers_of_any_type_are_taken(network, dtype):
  checked = _classifier(network).check(_SEQUENCES.astype(dtype))
  assert checked.dtype == tf.int32
  np.testing.assert_array_equal(checked, _SEQUENCES)


@pytest.mark.parametrize('value', [-1, 4, 0.5, np.nan, np.inf, 2.0**32])
def test_other_values_are_refused(network, value):
  classifier = _classifier(network)
  wrong = _SEQUENCES.astype(np.float64)
  wrong[2, 3] = value
  with pytest.raises(ValueError, match='whole numbers from 0 to 3'):
    classifier.statistics(wrong, ['logits'])
  traced = tf.function(lambda x: classifier.statistics(x, ['logits']))
  with pytest.raises(tf.errors.InvalidArgumentError, match='from 0 to 3'):
    traced(tf.constant(wrong))


def test_large_integers_do_not_wrap_around(network):
  wrong = _SEQUENCES.astype(np.int64) + 2**32
  with pytest.raises(ValueError, match='whole numbers from 0 to 3'):
    _classifier(network).check(wrong)


@pytest.mark.parametrize('shape', [[_LENGTH], [5, _LENGTH + 1], [5, 6, 4]])
def test_other_shapes_are_refused(network, shape):
  with pytest.raises(ValueError, match=r'\[batch, 6\], got'):
    _classifier(network).check(np.zeros(shape, np.int32))


def test_variables_are_those_of_the_network(network):
  assert {id(v) for v in _classifier(network).variables} == {
    id(v) for v in network.variables
  }


def test_what_is_no_network_of_sequences_is_refused():
  with pytest.raises(TypeError, match=r'SequenceClassifier: .*got function'):
    networks.SequenceClassifier(lambda x: x, 4)
  with pytest.raises(ValueError, match=r'length, 5\].*takes \(None, 6, 4\)'):
    networks.SequenceClassifier(_network(), 5)
  with pytest.raises(ValueError, match='a length that is known'):
    networks.SequenceClassifier(_network(length=None), 4)


@pytest.mark.parametrize(
  ('arguments', 'message'),
  [
    ({'perturbation': -0.1}, '`perturbation` must not be negative, got -0.1'),
    ({'temperature': 0.0}, '`temperature` must be positive, got 0.0'),
  ],
)
def test_numbers_out_of_range_are_refused(network, arguments, message):
  with pytest.raises(ValueError, match=f'SequenceClassifier: {message}'):
    networks.SequenceClassifier(network, 4, **arguments)
