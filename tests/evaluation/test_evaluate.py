# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the evaluation of any model, by any scores, on any data."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp

import tfp_ood
from tfp_ood import stats
from tfp_ood.evaluation import evaluate

tfd = tfp.distributions

_SIZE = 3


def _model(loc=0.0):
  return tfd.Independent(
    tfd.Normal(tf.Variable([loc] * _SIZE), 1.0), 1, name='normal'
  )


def _examples(count, mean=0.0, seed=0):
  generator = np.random.default_rng(seed)
  return generator.normal(mean, 1.0, [count, _SIZE]).astype(np.float32)


_INSIDE = _examples(60)
_TRAINING = _examples(80, seed=1)
_FAR = _examples(40, mean=2.0, seed=2)
_NEAR = _examples(30, mean=0.5, seed=3)


def _evaluate(scores, model=None, **kwargs):
  kwargs = {
    'in_distribution': {'test': _INSIDE},
    'out_of_distribution': {'far': _FAR, 'near': _NEAR},
    'training': {'train': _TRAINING},
    'verbose': False,
    **kwargs,
  }
  return evaluate(model or _model(), scores, **kwargs)


class LargestValue(stats.Score):
  """A score of a statistic that no model has."""

  statistics = ('largest',)

  def __call__(self, statistics):
    return statistics['largest']


def _largest(x):
  return tf.reduce_max(x, axis=-1)


# ------------------------------------------------------------------- what it says


def test_scores_and_statistics_of_every_data_set():
  model = _model()
  found = _evaluate(
    {'likelihood': stats.NegativeLogLikelihood(), 'largest': LargestValue()},
    model,
    statistics={'largest': _largest},
  )
  assert found.in_distribution == 'test'
  assert found.training == 'train'
  assert found.out_of_distribution == ['far', 'near']
  assert found.datasets == ['test', 'train', 'far', 'near']
  assert found.baseline == 'likelihood'
  assert found.kept == ['log_prob']
  assert found.event_size == _SIZE
  for name, x in (
    ('test', _INSIDE),
    ('train', _TRAINING),
    ('far', _FAR),
    ('near', _NEAR),
  ):
    np.testing.assert_allclose(
      found.statistics[name]['log_prob'], model.log_prob(x), rtol=1e-6
    )
    np.testing.assert_allclose(
      found.scores['likelihood'][name], -model.log_prob(x), rtol=1e-6
    )
    np.testing.assert_array_equal(found.scores['largest'][name], x.max(axis=-1))


def test_p_values_are_those_of_a_detector():
  model = _model(0.1)
  score = stats.Typicality()
  found = _evaluate({'typicality': score}, model)
  assert not score.is_fitted  # A copy of it learned.
  detector = stats.Detector(
    model, score.fit({'log_prob': model.log_prob(_TRAINING)})
  )
  detector.fit(_INSIDE[::2])
  p_values = found.p_values['typicality']
  np.testing.assert_allclose(p_values['test'], detector.p_value(_INSIDE[1::2]))
  for name, x in (('train', _TRAINING), ('far', _FAR), ('near', _NEAR)):
    np.testing.assert_allclose(p_values[name], detector.p_value(x))
    np.testing.assert_allclose(
      found.scores['typicality'][name], detector.score(x), rtol=1e-5
    )


def test_its_detector_is_calibrated_with_all_examples():
  found = _evaluate([stats.NegativeLogLikelihood()])
  detector = found.detector('negative_log_likelihood')
  expected = stats.Detector(_model(), stats.NegativeLogLikelihood())
  expected.fit(_INSIDE)
  np.testing.assert_allclose(detector.p_value(_FAR), expected.p_value(_FAR))


def test_detectors_of_a_user_s_statistic():
  found = _evaluate([LargestValue()], statistics={'largest': _largest})
  p_values = found.detector('largest_value').p_value(_FAR).numpy()
  at_least = _INSIDE.max(axis=1) >= _FAR.max(axis=1)[:, np.newaxis]
  np.testing.assert_allclose(p_values, (1 + at_least.sum(axis=1)) / 61)


def test_background_and_ensemble():
  background, ensemble = _model(1.0), [_model(0.1), _model(-0.2)]
  found = _evaluate(
    [stats.LikelihoodRatio(), stats.Waic()],
    background=background,
    ensemble=ensemble,
  )
  log_prob = _model().log_prob(_FAR)
  np.testing.assert_allclose(
    found.scores['likelihood_ratio']['far'],
    background.log_prob(_FAR) - log_prob,
    rtol=1e-5,
  )
  members = np.stack([member.log_prob(_FAR) for member in ensemble], axis=-1)
  np.testing.assert_allclose(
    found.statistics['far']['ensemble_log_probs'], members, rtol=1e-6
  )
  np.testing.assert_allclose(
    found.scores['waic']['far'], stats.waic(members).score, rtol=1e-5
  )


def test_scores_that_were_fitted_learn_nothing():
  typicality = stats.Typicality().fit({'log_prob': np.array([-100.0, -50.0])})
  found = _evaluate([typicality], training=None)
  assert found.training is None
  assert found.typicality() == {}
  log_prob = _model().log_prob(_FAR).numpy()
  np.testing.assert_allclose(
    found.scores['typicality']['far'], np.abs(log_prob + 75), rtol=1e-5
  )


def test_statistics_to_keep_that_a_model_does_not_have_are_left_out():
  found = _evaluate(
    [stats.NegativeLogLikelihood()], keep=('bits_per_dim', 'density')
  )
  assert found.kept == ['bits_per_dim']
  assert set(found.statistics['far']) == {'log_prob', 'bits_per_dim'}


# -------------------------------------------------------------------- what it takes


def _as_tuples(x):
  return tf.data.Dataset.from_tensor_slices((x, np.arange(len(x)))).batch(7)


def test_any_form_of_data():
  scores = [stats.NegativeLogLikelihood(), stats.Typicality()]
  expected = _evaluate(scores)
  forms = [
    lambda x: tf.data.Dataset.from_tensor_slices(x).batch(16),
    _as_tuples,
    tf.constant,
  ]
  for form in forms:
    found = evaluate(
      _model(),
      scores,
      form(_INSIDE),
      {'far': form(_FAR)},
      form(_TRAINING),
      verbose=False,
    )
    assert found.datasets == ['in-distribution', 'training', 'far']
    for score, by_dataset in found.scores.items():
      np.testing.assert_allclose(
        by_dataset['far'], expected.scores[score]['far'], rtol=1e-6
      )


def test_sequences_of_integers():
  logits = np.random.default_rng(0).normal(size=[5, 4]).astype(np.float32)
  model = tfd.Independent(tfd.Categorical(tf.Variable(logits)), 1)
  inside = model.sample(50, seed=1)
  outside = np.random.default_rng(2).integers(0, 4, [40, 5])
  found = evaluate(
    model,
    [stats.NegativeLogLikelihood(), stats.Typicality()],
    inside,
    {'uniform': outside},
    model.sample(60, seed=3),
    verbose=False,
  )
  assert found.event_size == 5
  np.testing.assert_allclose(
    found.scores['negative_log_likelihood']['uniform'],
    -model.log_prob(outside),
    rtol=1e-5,
  )
  assert found.aurocs()['negative_log_likelihood']['uniform'].auroc > 0.6


def test_a_model_that_is_no_distribution():
  class Bowl:
    """Has nothing but a log-probability."""

    def log_prob(self, x):
      return -tf.reduce_sum(x**2, axis=-1)

  found = evaluate(
    Bowl(),
    [stats.NegativeLogLikelihood()],
    _INSIDE,
    {'far': _FAR},
    verbose=False,
  )
  assert found.event_size is None
  assert found.bits_per_dim() == {}
  np.testing.assert_allclose(
    found.scores['negative_log_likelihood']['far'],
    np.sum(_FAR**2, axis=1),
    rtol=1e-5,
  )
  assert 'bits/dim' not in found.summary()


class _Counting(tfd.Distribution):
  """Counts the examples that it is asked about."""

  def __init__(self):
    parameters = dict(locals())
    self.count = tf.Variable(0, trainable=False)
    super().__init__(
      tf.float32,
      tfd.FULLY_REPARAMETERIZED,
      validate_args=False,
      allow_nan_stats=False,
      parameters=parameters,
    )

  def _event_shape(self):
    return tf.TensorShape([_SIZE])

  def _batch_shape(self):
    return tf.TensorShape([])

  def _log_prob(self, x):
    with tf.control_dependencies([self.count.assign_add(tf.shape(x)[0])]):
      return -tf.reduce_sum(x**2, axis=-1)


def test_each_statistic_is_computed_once():
  model = _Counting()
  _evaluate(
    {
      'likelihood': stats.NegativeLogLikelihood(),
      'typicality': stats.Typicality(),
      'states': stats.DensityOfStates(('log_prob',)),
    },
    model,
    keep=('log_prob', 'bits_per_dim'),
  )
  assert int(model.count) == sum(map(len, (_INSIDE, _TRAINING, _FAR, _NEAR)))


def test_limits_of_expensive_statistics():
  found = _evaluate(
    {'likelihood': stats.NegativeLogLikelihood(), 'largest': LargestValue()},
    statistics={'largest': _largest},
    limits={'largest': 20},
  )
  for name, x in (('test', _INSIDE), ('train', _TRAINING), ('near', _NEAR)):
    assert len(found.scores['likelihood'][name]) == len(x)
    np.testing.assert_array_equal(
      found.scores['largest'][name], x[:20].max(axis=-1)
    )
  # Comparisons are of the examples that both have scored.
  test = found.comparisons()['largest']['far']
  inside, outside = (
    found.scores['likelihood'][name][:20] for name in ('test', 'far')
  )
  assert test.second_auroc == pytest.approx(stats.auroc(inside, outside))


class Difference(stats.Score):
  """Nothing, if both statistics are of the same example."""

  statistics = ('largest', 'again')

  def __call__(self, statistics):
    return statistics['largest'] - statistics['again']


def test_limited_statistics_of_shuffled_data_are_of_the_same_examples():
  shuffled = tf.data.Dataset.from_tensor_slices(_TRAINING).shuffle(80).batch(9)
  found = _evaluate(
    [Difference()],
    training={'train': shuffled},
    statistics={'largest': _largest, 'again': _largest},
    limits={'again': 50},
  )
  scores = found.scores['difference']['train']
  np.testing.assert_array_equal(scores, np.zeros(50))


def test_progress_is_printed_unless_asked_otherwise(capsys):
  scores = [stats.NegativeLogLikelihood()]
  _evaluate(scores)
  assert capsys.readouterr().out == ''
  _evaluate(scores, verbose=True)
  lines = capsys.readouterr().out.splitlines()
  assert [line.split(' in ')[0] for line in lines] == [
    'scored 60 examples of test',
    'scored 80 examples of train',
    'scored 40 examples of far',
    'scored 30 examples of near',
  ]


# ------------------------------------------------------------------- what it refuses


def test_statistics_that_do_not_exist_are_named():
  with pytest.raises(ValueError, match="'largest'") as error:
    _evaluate([LargestValue()])
  assert 'log_prob' in str(error.value)


def test_scores_that_learn_need_training_data():
  with pytest.raises(ValueError, match="'typicality' learns.*`training`"):
    _evaluate([stats.Typicality()], training=None)


@pytest.mark.parametrize(
  'data',
  [
    {'out_of_distribution': {'test': _FAR}},
    {'training': {'far': _TRAINING}},
  ],
)
def test_names_of_data_sets_are_unique(data):
  with pytest.raises(ValueError, match='two data sets have the name'):
    _evaluate([stats.NegativeLogLikelihood()], **data)


def test_scores_of_one_class_need_names():
  scores = [stats.NegativeLogLikelihood(), stats.NegativeLogLikelihood()]
  with pytest.raises(ValueError, match='`scores` as a dict'):
    _evaluate(scores)


def test_data_are_read_once_where_nothing_is_kept(tmp_path):
  passes = []

  def batches():
    passes.append(1)
    yield np.ones([5, 2], np.float32)

  data = tf.data.Dataset.from_generator(
    batches, output_signature=tf.TensorSpec([None, 2], tf.float32)
  )
  for folder, count in ((None, 1), (tmp_path, 2)):
    passes.clear()
    tfp_ood.evaluation.evaluate(
      tfd.Sample(tfd.Normal(0.0, 1.0), 2),
      [stats.NegativeLogLikelihood()],
      np.zeros([8, 2], np.float32),
      {'counted': data},
      folder=folder,
      verbose=False,
    )
    assert len(passes) == count


def test_empty_data_are_refused():
  with pytest.raises(ValueError, match="'far' has no examples"):
    _evaluate(
      [stats.NegativeLogLikelihood()], out_of_distribution={'far': _FAR[:0]}
    )


@pytest.mark.parametrize('name', ['in_distribution', 'training', 'far'])
def test_scaled_images_are_refused(name):
  images = np.random.default_rng(0).integers(0, 256, [20, 4, 4, 3])
  model = tfp_ood.distributions.glow(
    [4, 4, 3], num_levels=1, num_steps=1, hidden_channels=2, seed=1
  )
  model.initialize(images.astype(np.uint8))
  data = {
    key: images.astype(np.uint8)
    for key in ('in_distribution', 'training', 'far')
  }
  data[name] = images / 255.0
  with pytest.raises((ValueError, tf.errors.InvalidArgumentError), match='255'):
    evaluate(
      model,
      [stats.NegativeLogLikelihood()],
      data['in_distribution'],
      {'far': data['far']},
      data['training'],
      verbose=False,
    )
