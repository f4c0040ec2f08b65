# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of several classifiers as one."""

import types

import numpy as np
import pytest
import tensorflow as tf
import tf_keras
from conformance import classifier_registry as registry
from scipy import special

from tfp_ood import networks, stats

_LENGTH = 5
_SEQUENCES = np.random.default_rng(0).integers(0, 4, [6, _LENGTH], np.int32)


def _member(seed, num_classes=3, length=_LENGTH):
  k = tf_keras.layers
  with registry.double_precision():
    network = tf_keras.Sequential(
      [
        k.Input([length, 4]),
        k.Flatten(),
        k.Dense(4, activation='relu'),
        k.Dense(num_classes),
      ]
    )
    registry.perturb_weights(network, seed, scale=2.0)
    return networks.SequenceClassifier(network, 4)


@pytest.fixture(scope='module')
def members():
  return [_member(seed) for seed in range(3)]


def test_logits_are_the_logarithm_of_the_mean_probability(members):
  ensemble = networks.ClassifierEnsemble(members)
  found = ensemble.statistics(_SEQUENCES, ['logits'])['logits']
  probabilities = [
    special.softmax(member.statistics(_SEQUENCES, ['logits'])['logits'], axis=1)
    for member in members
  ]
  expected = np.log(np.mean(probabilities, axis=0))
  np.testing.assert_allclose(found, expected, rtol=1e-10)
  # As documented: those are normalized.
  np.testing.assert_allclose(stats.energy(found), 0.0, atol=1e-12)


def test_one_member_has_its_own_probabilities(members):
  alone = networks.ClassifierEnsemble(members[:1])
  np.testing.assert_allclose(
    alone.statistics(_SEQUENCES, ['logits'])['logits'],
    special.log_softmax(
      members[0].statistics(_SEQUENCES, ['logits'])['logits'], axis=1
    ),
    rtol=1e-10,
  )


def test_impossible_classes_are_no_obstacle():
  def member(logits):
    return types.SimpleNamespace(
      statistics_names=('logits',),
      dtype=tf.float64,
      statistics=lambda x, names: {'logits': tf.constant(logits, tf.float64)},
    )

  ensemble = networks.ClassifierEnsemble(
    [member([[0.0, -np.inf, -np.inf]]), member([[0.0, -2000.0, 0.0]])]
  )
  found = ensemble.statistics(np.zeros([1, 2]), ['logits'])['logits']
  np.testing.assert_allclose(np.exp(found), [[0.75, 0.0, 0.25]], rtol=1e-12)
  assert not np.isnan(found).any()


def test_it_is_a_classifier_as_its_members(members):
  ensemble = networks.ClassifierEnsemble(iter(members))
  assert ensemble.event_shape == [_LENGTH]
  assert len(ensemble.variables) == sum(len(m.variables) for m in members)
  twice = networks.ClassifierEnsemble([members[0], members[0]])
  assert len(twice.variables) == len(members[0].variables)
  np.testing.assert_array_equal(ensemble.check(_SEQUENCES), _SEQUENCES)
  with pytest.raises(ValueError, match='whole numbers from 0 to 3'):
    ensemble.check(_SEQUENCES + 4)


def test_any_batch_size(members):
  ensemble = networks.ClassifierEnsemble(members)
  expected = ensemble.statistics(_SEQUENCES, ['logits'])['logits']
  traced = tf.function(
    lambda x: ensemble.statistics(x, ['logits'])['logits'],
    input_signature=[tf.TensorSpec([None, _LENGTH], tf.int32)],
  )
  for size in (0, 1, 6):
    np.testing.assert_allclose(
      traced(_SEQUENCES[:size]), expected[:size], rtol=1e-10
    )
  assert traced.experimental_get_tracing_count() == 1


def test_what_makes_no_ensemble_is_refused(members):
  with pytest.raises(ValueError, match='at least one'):
    networks.ClassifierEnsemble([])
  with pytest.raises(TypeError, match="statistic 'logits'.*int has none"):
    networks.ClassifierEnsemble([members[0], 3])
  with pytest.raises(ValueError, match=r'one shape, got \(5,\), \(4,\)'):
    networks.ClassifierEnsemble([members[0], _member(0, length=4)])
  different = networks.ClassifierEnsemble([members[0], _member(0, 2)])
  with pytest.raises(ValueError, match='of the same classes, got the shapes'):
    different.statistics(_SEQUENCES, ['logits'])
