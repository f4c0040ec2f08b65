# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of evaluations that find some of their statistics in a folder."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import tfp_ood
from tfp_ood import stats
from tfp_ood.evaluation import evaluate
from tfp_ood.evaluation._store import StatisticsStore

tfd = tfp.distributions

_SCORES = {
  'likelihood': stats.NegativeLogLikelihood,
  'norm': stats.ScoreNorm,
  'ratio': stats.LikelihoodRatio,
  'waic': stats.Waic,
  'largest': lambda: stats.StatisticScore('largest'),
  'of_other': lambda: stats.StatisticScore('of_other'),
}


def _model(loc=0.0):
  return tfd.Independent(tfd.Normal(tf.Variable([loc] * 3), 1.0), 1)


def _examples(count, seed):
  return np.random.default_rng(seed).normal(size=[count, 3]).astype(np.float32)


class _Runs:
  """Evaluations in one folder, and what each had to compute."""

  def __init__(self, folder, monkeypatch):
    self.folder = folder
    self.model = _model()
    self.options = {
      'background': _model(1.0),
      'ensemble': [_model(0.1), _model(0.2)],
      'statistics': {
        'largest': lambda x: tf.reduce_max(x, axis=-1),
        'of_other': (_model(3.0), 'log_prob'),
      },
    }
    self.data = {'inside': _examples(20, 0), 'far': _examples(12, 1)}
    self.computed = {}
    compute = StatisticsStore._compute

    def watched(store, dataset_name, dataset, names):
      self.computed[dataset_name] = sorted(names)
      return compute(store, dataset_name, dataset, names)

    monkeypatch.setattr(StatisticsStore, '_compute', watched)

  def __call__(self, *scores, **kwargs):
    """Returns the evaluation; `computed` says what was not there."""
    self.computed = {}
    return evaluate(
      self.model,
      {name: _SCORES[name]() for name in scores},
      {'inside': self.data['inside']},
      {'far': self.data['far']},
      folder=self.folder,
      verbose=False,
      **{**self.options, **kwargs},
    )

  def expect(self, **computed):
    """Checks that this, and no more, was computed in the last run."""
    assert self.computed == computed


@pytest.fixture(name='runs')
def _runs(tmp_path, monkeypatch):
  return _Runs(tmp_path, monkeypatch)


def _same(first, second):
  for score, by_dataset in first.scores.items():
    for name, values in by_dataset.items():
      np.testing.assert_array_equal(values, second.scores[score][name])


def test_a_second_run_computes_nothing(runs):
  first = runs('likelihood', 'norm')
  assert runs.computed.keys() == {'inside', 'far'}
  second = runs('likelihood', 'norm')
  runs.expect()
  _same(first, second)


def test_what_was_interrupted_is_computed_for_the_rest(runs):
  first = runs('likelihood')
  (runs.folder / 'statistics' / 'far.npz').unlink()
  second = runs('likelihood')
  runs.expect(far=['log_prob'])
  _same(first, second)


def test_one_more_score_computes_what_it_reads(runs):
  runs('likelihood')
  before = _files(runs.folder)
  runs('likelihood', 'ratio', 'waic')
  new = ['background_log_prob', 'ensemble_log_probs']
  runs.expect(inside=new, far=new)
  for path, arrays in before.items():
    after = _files(runs.folder)[path]
    for name, values in arrays.items():
      np.testing.assert_array_equal(after[name], values)
  # Fewer scores forget nothing.
  runs('likelihood')
  runs('ratio', 'waic')
  runs.expect()


def _files(folder):
  return {
    path.name: tfp_ood.reporting.read_arrays(path)
    for path in (folder / 'statistics').iterdir()
  }


def test_statistics_of_other_weights_are_computed_anew(runs):
  runs('likelihood', 'ratio', 'of_other')
  runs.options['background'].trainable_variables[0].assign([2.0] * 3)
  found = runs('likelihood', 'ratio', 'of_other')
  runs.expect(inside=['background_log_prob'], far=['background_log_prob'])
  np.testing.assert_allclose(
    found.statistics['far']['background_log_prob'],
    runs.options['background'].log_prob(runs.data['far']),
    rtol=1e-6,
  )
  runs.options['statistics']['of_other'][0].trainable_variables[0].assign(
    [0.5] * 3
  )
  runs('likelihood', 'ratio', 'of_other')
  runs.expect(inside=['of_other'], far=['of_other'])
  runs.model.trainable_variables[0].assign([0.5] * 3)
  runs('likelihood', 'ratio', 'of_other')
  runs.expect(inside=['log_prob'], far=['log_prob'])


@pytest.mark.exhaustive
def test_other_settings_are_other_models(runs):
  images = np.random.default_rng(0).integers(0, 256, [8, 4, 4, 3])
  runs.data = {'inside': images.astype(np.uint8), 'far': 255 - images}
  runs.options = {}
  glow = tfp_ood.distributions.glow(
    [4, 4, 3], num_levels=1, num_steps=1, hidden_channels=2, seed=1
  )
  glow.initialize(runs.data['inside'])
  runs.model = glow
  runs('likelihood')
  runs.model = glow.copy(noise_seed=7)
  runs('likelihood')
  assert runs.computed.keys() == {'inside', 'far'}


def test_another_ensemble_is_another_statistic(runs):
  runs('likelihood', 'waic')
  runs.options['ensemble'].append(_model(0.3))
  found = runs('likelihood', 'waic')
  runs.expect(inside=['ensemble_log_probs'], far=['ensemble_log_probs'])
  assert found.statistics['far']['ensemble_log_probs'].shape == (12, 3)


def test_other_examples_are_computed_anew(runs):
  runs('likelihood')
  runs.data['far'] = runs.data['far'] + 1
  runs('likelihood')
  runs.expect(far=['log_prob'])
  runs.data['far'] = runs.data['far'][:7]
  assert len(runs('likelihood').scores['likelihood']['far']) == 7
  runs.expect(far=['log_prob'])
  # Examples are what counts, and not how they are batched.
  x = runs.data['far']
  runs.data['far'] = tf.data.Dataset.from_tensor_slices(x).batch(2)
  runs('likelihood')
  runs.expect()


def test_other_limits_are_computed_anew(runs):
  runs('likelihood', 'norm', limits={'score_norm': 5})
  runs('likelihood', 'norm', limits={'score_norm': 5})
  runs.expect()
  found = runs('likelihood', 'norm', limits={'score_norm': 8})
  runs.expect(inside=['score_norm'], far=['score_norm'])
  assert len(found.scores['norm']['far']) == 8
  assert len(found.scores['likelihood']['far']) == 12
  assert len(runs('norm').scores['norm']['inside']) == 20


def test_nothing_tells_functions_apart(runs):
  runs('likelihood', 'largest')
  runs.options['statistics']['largest'] = lambda x: x[:, 0]
  found = runs('likelihood', 'largest')
  runs.expect(inside=['largest'], far=['largest'])
  np.testing.assert_array_equal(
    found.scores['largest']['far'], runs.data['far'][:, 0]
  )
  assert 'largest' not in _files(runs.folder)['far.npz']


def test_models_without_weights_are_asked_anew(runs):
  runs.model = tfd.Independent(tfd.Normal([0.0, 0.0, 0.0], 1.0), 1)
  runs('likelihood')
  runs('likelihood')
  runs.expect(inside=['log_prob'], far=['log_prob'])
  assert not (runs.folder / 'statistics').exists()


def test_damaged_files_are_refused(runs):
  runs('likelihood')
  path = runs.folder / 'statistics' / 'far.npz'
  content = path.read_bytes()
  path.write_bytes(content[: int(0.6 * len(content))])
  with pytest.raises(ValueError, match='not a whole file') as error:
    runs('likelihood')
  assert str(path) in str(error.value)


def test_names_of_data_sets_become_names_of_files(runs):
  evaluate(
    runs.model,
    [stats.NegativeLogLikelihood()],
    {'a/b: c': runs.data['inside']},
    {'..': runs.data['far']},
    folder=runs.folder,
    verbose=False,
  )
  assert {path.name for path in (runs.folder / 'statistics').iterdir()} == {
    'a_b_c.npz',
    '...npz',
  }
