# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of how often a model is traced, which can take seconds each time."""

import collections

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tfp_ood import evaluation, stats

tfd = tfp.distributions

_SHAPE = [4, 4, 3]
_SIZES = (1, 7, 3, 64, 1, 5)


class _Counting(tfd.Sample):
  """A normal of images; `runs` counts what Python ran: in graphs, traces."""

  def __init__(self, loc=128.0):
    super().__init__(tfd.Normal(loc, 20.0), _SHAPE)
    self.runs = collections.Counter()

  def continuous_log_prob(self, images):
    self.runs['continuous_log_prob'] += 1
    return super()._log_prob(images)

  def _log_prob(self, images):
    self.runs['log_prob'] += 1
    return super()._log_prob(images)


class _WithMap(_Counting):
  """One that has statistics of its own."""

  statistics_names = ('log_prob', 'log_prob_map')

  def statistics(self, images, names):
    self.runs[tuple(names)] += 1
    by_value = self.distribution.log_prob(images)
    values = {
      'log_prob': tf.reduce_sum(by_value, axis=[1, 2, 3]),
      'log_prob_map': tf.reduce_sum(by_value, axis=3),
    }
    return {name: values[name] for name in names}


class _CountingPasses:
  """A normal of images that counts how often it runs, both ways."""

  event_shape = tf.TensorShape(_SHAPE)
  dtype = tf.float32

  def __init__(self):
    self.forwards = tf.Variable(0, trainable=False)
    self.backwards = tf.Variable(0, trainable=False)

  def log_prob(self, images):
    @tf.custom_gradient
    def run(x):
      self.forwards.assign_add(1)

      def gradient(upstream):
        self.backwards.assign_add(1)
        return -x * upstream[:, None, None, None]

      return -tf.reduce_sum(x**2, axis=[1, 2, 3]) / 2, gradient

    return run(images)

  def passes(self):
    return int(self.forwards), int(self.backwards)


def _images(count, seed=0):
  random = np.random.default_rng(seed)
  return random.integers(0, 256, [count, *_SHAPE]).astype(np.float32)


def _dataset(count, seed=0, batch_size=16):
  images = tf.data.Dataset.from_tensor_slices(_images(count, seed))
  return images.batch(batch_size)


def _datasets():
  """Data sets of which no two end with a batch of one size, `count` images."""
  counts = {'test': 40, 'train': 37, 'a': 7, 'b': 64, 'c': 35, 'd': 17}
  return {
    name: _dataset(count, seed)
    for seed, (name, count) in enumerate(counts.items())
  }


def _evaluated(model, scores, datasets, **options):
  inside, training, *others = ({n: d} for n, d in datasets.items())
  return evaluation.evaluate(
    model,
    scores,
    inside,
    {name: data for other in others for name, data in other.items()},
    training,
    verbose=False,
    **options,
  )


# --------------------------------------------------------------------- scoring


@pytest.mark.parametrize(
  'names',
  [
    ['log_prob'],
    ['log_prob', 'score_norm', 'bits_per_dim'],
    ['png_bits_per_dim', 'log_prob', 'mean', 'score_norm'],
  ],
)
def test_statistics_of_batches_of_any_size(names):
  model, images = _Counting(), _images(64)
  # A function that is not made for graphs, where nobody knows `len(x)`.
  statistics = stats.Statistics(
    model, statistics={'mean': lambda x: [np.mean(x[i]) for i in range(len(x))]}
  )
  together = statistics(images, names)
  for size in _SIZES:
    values = statistics(images[:size], names)
    assert list(values) == names
    for name, value in values.items():
      np.testing.assert_allclose(value, together[name][:size], rtol=1e-5)
  assert model.runs == {'log_prob': 1}


@pytest.mark.parametrize(
  'names, passes',
  [
    (['log_prob', 'bits_per_dim'], (1, 0)),
    (['score_norm'], (1, 1)),
    (['log_prob', 'score_norm', 'bits_per_dim'], (1, 1)),
    (['background_log_prob', 'score_norm', 'log_prob'], (1, 1)),
  ],
)
@pytest.mark.parametrize('in_graph', [False, True])
def test_the_score_norm_takes_one_pass_each_way(names, passes, in_graph):
  model, images = _CountingPasses(), _images(5)
  statistics = stats.Statistics(model, background=_Counting())

  def compute(x):
    return statistics(x, names)

  values = (tf.function(compute) if in_graph else compute)(images)
  assert model.passes() == passes
  if 'score_norm' in names:
    np.testing.assert_allclose(
      values['score_norm'], np.linalg.norm(images.reshape([5, -1]), axis=1)
    )


def test_a_detector_of_batches_of_any_size():
  model, background, images = _Counting(), _Counting(100.0), _images(64)
  detector = stats.Detector(
    model,
    stats.DensityOfStates(
      ('log_prob', 'score_norm', 'background_log_prob'), 'gaussian'
    ),
    background=background,
  )
  detector.fit(_dataset(45), training=_dataset(39, batch_size=10))
  for size in _SIZES:
    detector.score(images[:size])
    detector.p_value(images[:size])
    detector.predict(images[:size])
  assert model.runs == background.runs == {'log_prob': 1}


# ------------------------------------------------------------------ evaluation


@pytest.mark.parametrize('in_folder', [False, True])
def test_an_evaluation_of_data_sets_of_any_size(in_folder, tmp_path):
  model, background = _Counting(), _Counting(100.0)
  _evaluated(
    model,
    [
      stats.NegativeLogLikelihood(),
      stats.Typicality(),
      stats.ScoreNorm(),
      stats.LikelihoodRatio(),
    ],
    _datasets(),
    background=background,
    statistics={'contrast': tf.image.total_variation},
    keep=['log_prob', 'contrast'],
    folder=str(tmp_path) if in_folder else None,
  )
  assert model.runs == background.runs == {'log_prob': 1}


def test_an_evaluation_of_some_statistics_for_fewer_examples():
  model = _WithMap()
  _evaluated(
    model,
    [stats.NegativeLogLikelihood()],
    _datasets(),
    keep=['log_prob_map'],
    limits={'log_prob_map': 20},
  )
  assert model.runs == {('log_prob',): 1, ('log_prob_map',): 1}


def test_the_second_order_analysis_of_five_data_sets():
  model, datasets = _Counting(), _datasets()
  found = _evaluated(model, [stats.NegativeLogLikelihood()], datasets)
  model.runs.clear()
  section = evaluation.second_order(
    model, found, datasets, num_probes=5, num_expanded=21
  )
  assert len(section.results) == 5
  # The likelihood of the grayed images, and the expansion.
  assert model.runs == {'log_prob': 1, 'continuous_log_prob': 1}


def test_analyses_of_several_data_sets():
  model, background, datasets = _WithMap(), _WithMap(100.0), _datasets()
  evaluation.graying(model, _dataset(107), factors=[0.0, 0.5, 1.0])
  assert model.runs == {('log_prob',): 1}
  found = _evaluated(
    model,
    [stats.NegativeLogLikelihood(), stats.LikelihoodRatio()],
    datasets,
    background=background,
  )
  for one in (model, background):
    one.runs.clear()
  evaluation.likelihood_maps(found, model, datasets, background, count=9)
  assert model.runs == background.runs == {('log_prob_map',): 1}
  for one in (model, background):
    one.runs.clear()
  others = {name: datasets[name] for name in 'abcd'}
  evaluation.choose_background(
    model, {'mine': background}, datasets['test'], others
  )
  assert model.runs == background.runs == {('log_prob',): 1}
