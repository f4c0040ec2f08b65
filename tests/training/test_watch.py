# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of watching scores during training."""

import math

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras
import training_helpers as helpers

import tfp_ood

tfd = tfp.distributions


def _normal():
  loc = tf.Variable([0.0, 0.0], name='loc')
  return tfd.Independent(tfd.Normal(loc, 1.0), 1)


def _examples(number, mean, seed):
  generator = np.random.default_rng(seed)
  return generator.normal(mean, 1.0, [number, 2]).astype(np.float32)


_INSIDE = _examples(23, 1.0, 0)
# The last batch of each is smaller; labels are left out.
_OUTSIDE = {'near': _examples(17, 1.5, 1), 'far': _examples(9, -2.0, 2)}


class _FirstCoordinate(tfp_ood.stats.Score):
  """A score that reads no log-probability."""

  statistics = ('first',)

  def __call__(self, statistics):
    return statistics['first']


def _watch(distribution, scores):
  return tfp_ood.training.Watch(
    distribution,
    scores,
    helpers.batches(_INSIDE, 10),
    {
      name: helpers.batches((x, np.zeros(len(x))), 10)
      for name, x in _OUTSIDE.items()
    },
  )


def _nll(x, loc):
  """Minus the log-density of a unit normal, by hand."""
  return ((x - loc) ** 2).sum(axis=1) / 2 + math.log(2 * math.pi)


def _auroc(inside, outside):
  """How often one outside scores higher than one inside, by all pairs."""
  differences = outside[:, np.newaxis] - inside
  return np.mean((differences > 0) + 0.5 * (differences == 0))


@pytest.fixture(scope='module', name='epochs')
def _epochs():
  """What two epochs recorded, and the mean of the normal after each."""
  normal = _normal()
  (loc,) = normal.trainable_variables
  locs = []

  class _Locs(tf_keras.callbacks.Callback):
    def on_epoch_end(self, epoch, logs=None):
      locs.append(loc.numpy())

  score = tfp_ood.stats.NegativeLogLikelihood()
  model = helpers.compiled(normal, tf_keras.optimizers.SGD(0.5))
  model.fit(
    _INSIDE,
    epochs=2,
    verbose=0,
    # What a record keeps must come after what adds to it.
    callbacks=[_watch(normal, {'likelihood': score}), _Locs()],
  )
  return model.history.history, locs


def test_aurocs_are_those_of_all_pairs_after_each_epoch(epochs):
  history, locs = epochs
  assert np.abs(locs[1] - locs[0]).max() > 0.05
  for name, outside in _OUTSIDE.items():
    expected = [_auroc(_nll(_INSIDE, x), _nll(outside, x)) for x in locs]
    actual = history[f'auroc_likelihood_{name}']
    np.testing.assert_allclose(actual, expected, rtol=1e-6)
  assert history['auroc_likelihood_far'] != history['auroc_likelihood_near']


def test_bits_per_dim_are_the_mean_of_examples(epochs):
  history, locs = epochs
  for name, outside in _OUTSIDE.items():
    expected = [_nll(outside, x).mean() / 2 / math.log(2) for x in locs]
    np.testing.assert_allclose(
      history[f'bits_per_dim of {name}'], expected, rtol=1e-5
    )


def test_epochs_are_timed(epochs):
  history, _ = epochs
  assert len(history['seconds']) == 2
  assert all(0 < seconds < 60 for seconds in history['seconds'])
  assert set(history) == {
    'bits_per_dim',
    'seconds',
    'auroc_likelihood_near',
    'auroc_likelihood_far',
    'bits_per_dim of near',
    'bits_per_dim of far',
  }


class _WithFirst(tfd.Distribution):
  """A unit normal that also says what the first coordinate is."""

  statistics_names = ('first',)

  def __init__(self):
    self.loc = tf.Variable([0.0, 0.0])
    super().__init__(
      dtype=tf.float32,
      reparameterization_type=tfd.NOT_REPARAMETERIZED,
      validate_args=False,
      allow_nan_stats=True,
      parameters={},
    )

  def statistics(self, x, names):
    return {name: x[:, 0] for name in names}

  def _log_prob(self, x):
    self.num_calls = getattr(self, 'num_calls', 0) + 1
    return -tf.reduce_sum((x - self.loc) ** 2, axis=-1)

  def _event_shape(self):
    return tf.TensorShape([2])

  def _batch_shape(self):
    return tf.TensorShape([])


def test_scores_of_other_statistics_are_watched_by_themselves():
  distribution = _WithFirst()
  model = helpers.compiled(distribution)
  watch = _watch(distribution, {'first': _FirstCoordinate()})
  history = model.fit(_INSIDE, verbose=0, callbacks=[watch]).history
  np.testing.assert_allclose(
    history['auroc_first_near'],
    _auroc(_INSIDE[:, 0], _OUTSIDE['near'][:, 0]),
    rtol=1e-6,
  )
  # No score reads the log-probability.
  assert 'bits_per_dim of near' not in history


def test_one_graph_does_for_batches_of_all_sizes_and_epochs():
  distribution = _WithFirst()
  score = tfp_ood.stats.NegativeLogLikelihood()
  watch = _watch(distribution, {'likelihood': score})
  for epoch in range(2):
    watch.on_epoch_begin(epoch)
    watch.on_epoch_end(epoch, {})
  assert distribution.num_calls == 1


def test_a_model_gone_wrong_has_an_auroc_of_nan():
  distribution = _WithFirst()
  score = tfp_ood.stats.NegativeLogLikelihood()
  watch = _watch(distribution, {'likelihood': score})
  distribution.loc.assign([np.nan, 0.0])
  logs = {}
  watch.on_epoch_begin(0)
  watch.on_epoch_end(0, logs)
  assert math.isnan(logs['auroc_likelihood_far'])


def test_the_record_of_a_training_has_what_was_watched(tmp_path):
  normal = _normal()
  score = tfp_ood.stats.NegativeLogLikelihood()
  record = tfp_ood.training.train_or_restore(
    helpers.compiled(normal),
    str(tmp_path),
    {},
    helpers.batches(_INSIDE, 10),
    epochs=1,
    callbacks=[_watch(normal, {'likelihood': score})],
  )
  (epoch,) = record['epochs']
  (loc,) = helpers.values(normal.trainable_variables)
  np.testing.assert_allclose(
    epoch['auroc_likelihood_far'],
    _auroc(_nll(_INSIDE, loc), _nll(_OUTSIDE['far'], loc)),
    rtol=1e-6,
  )


def test_scores_that_cannot_be_computed_are_refused_at_once():
  with pytest.raises(ValueError, match='Typicality: call `fit`'):
    _watch(_normal(), {'typicality': tfp_ood.stats.Typicality()})
  with pytest.raises(ValueError, match='first'):
    _watch(_normal(), {'first': _FirstCoordinate()})
