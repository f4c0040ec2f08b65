# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the analyses that add sections to a report."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras
from tiers import few

import tfp_ood
from tfp_ood import evaluation as analyses
from tfp_ood import reporting, stats

tfd = tfp.distributions

_SHAPE = (8, 8, 3)
_NAMES = ['test', 'train', 'far', 'near']


def _images(count, seed, low=0, high=256):
  generator = np.random.default_rng(seed)
  return generator.integers(low, high, [count, *_SHAPE]).astype(np.uint8)


_DATA = {
  'test': _images(40, 0),
  'train': _images(40, 1),
  'far': _images(40, 2, low=100, high=120),
  'near': _images(30, 3, low=10),
}


def _datasets(labels=False):
  return {
    name: tf.data.Dataset.from_tensor_slices(
      (images, np.arange(len(images)) % 3)
    ).batch(16)
    for name, images in _DATA.items()
  }


def _evaluation(statistics, scores=None):
  """An evaluation with given statistics of every data set."""
  found = analyses.Evaluation(
    'test', 'train', ['far', 'near'], statistics, scores or {}, {}, []
  )
  found.kept = [name for name, v in statistics['test'].items() if v.ndim == 1]
  return found


def _random_evaluation(seed=0, **shapes):
  generator = np.random.default_rng(seed)
  statistics = {
    name: {
      key: generator.normal(size=[len(images), *shape])
      for key, shape in shapes.items()
    }
    for name, images in _DATA.items()
  }
  scores = {
    key: {name: -values[key] for name, values in statistics.items()}
    for key, shape in shapes.items()
    if not shape
  }
  return _evaluation(statistics, scores)


def _parts(section, kind):
  return [part for name, part in section.tree()['parts'] if name == kind]


def _figures(section):
  return {part['name']: part['arguments'] for part in _parts(section, 'figure')}


def _draw(section):
  """Draws it, and keeps it in a file and draws that."""
  pages = []
  for one in (section, reporting.Section.from_tree(section.tree())):
    report = reporting.Report('Analyses')
    one.add_to(report)
    pages.append(report.to_html())
  assert pages[0] == pages[1]
  return pages[0]


@dataclasses.dataclass
class _Quadratic:
  """A model of images whose log-probability is a parabola."""

  weights: np.ndarray
  event_shape = tf.TensorShape(_SHAPE)
  dtype = tf.float32

  def log_prob(self, images):
    return self.continuous_log_prob(tf.cast(images, tf.float32))

  def continuous_log_prob(self, x):
    weights = tf.cast(self.weights, x.dtype)
    return -0.5 * tf.reduce_sum(weights * (x - 100.0) ** 2, [-3, -2, -1])


@pytest.fixture(scope='module', name='quadratic')
def _quadratic():
  generator = np.random.default_rng(4)
  return _Quadratic(generator.uniform(0.5, 1.5, _SHAPE) / 1e4)


# -------------------------------------------------------------------------- maps


@pytest.mark.parametrize('with_background', few([True, False], 1))
def test_likelihood_maps_sum_to_what_the_images_are_sorted_by(with_background):
  model, background = (
    tfp_ood.distributions.pixel_cnn(
      _SHAPE, num_filters=4, num_blocks=1, num_levels=1, seed=seed
    )
    for seed in (0, 1)
  )
  datasets = _datasets()
  others = {'background': background} if with_background else {}
  scores = {'likelihood': tfp_ood.stats.NegativeLogLikelihood()}
  if with_background:
    scores['ratio'] = tfp_ood.stats.LikelihoodRatio()
  found = analyses.evaluate(
    model,
    scores,
    {'test': datasets['test']},
    {'far': datasets['far']},
    verbose=False,
    **others,
  )
  shown = {name: datasets[name] for name in ('test', 'far')}
  section = analyses.likelihood_maps(found, model, shown, count=3, **others)
  figures = _figures(section)
  assert list(figures) == [
    f'{name}_maps_{extreme}_likely'
    for name in shown
    for extreme in ('most', 'least')
  ]
  for name in shown:
    score = found.scores['ratio' if with_background else 'likelihood'][name]
    for extreme, expected in (
      ('most', np.sort(-score)[::-1][:3]),
      ('least', np.sort(-score)[:3]),
    ):
      arguments = figures[f'{name}_maps_{extreme}_likely']
      maps = arguments['maps_by_name']
      assert len(maps) == (3 if with_background else 1)
      last = list(maps.values())[-1]
      np.testing.assert_allclose(
        last.sum((1, 2)), expected, rtol=1e-3, atol=0.1
      )
      np.testing.assert_allclose(
        model.log_prob_map(arguments['images']),
        maps['log-probability'],
        rtol=1e-4,
        atol=1e-4,
      )
  _draw(section)


# ------------------------------------------------------------------------ images


def test_graying(quadratic):
  section = analyses.graying(
    quadratic, _datasets()['test'], factors=(0.0, 0.5, 1.0), max_examples=20
  )
  assert section.results['factor'] == [0.0, 0.5, 1.0]
  images = _DATA['test'][:20].astype(np.float64)
  means = images.mean(axis=(1, 2), keepdims=True)
  for factor, found in zip(
    section.results['factor'], section.results['bits_per_dim'], strict=True
  ):
    grayed = np.round(images + factor * (means - images))
    bits = -quadratic.log_prob(grayed).numpy() / 192 / np.log(2)
    assert found['num_examples'] == 20
    assert found['mean'] == pytest.approx(bits.mean(), rel=1e-2)
  _draw(section)


@pytest.mark.parametrize(
  'dtype', [np.int64, pytest.param(np.float32, marks=pytest.mark.slow)]
)
def test_graying_of_any_model_and_dtype(dtype):
  of_pixels = tfp_ood.distributions.glow(
    _SHAPE, num_levels=1, num_steps=1, hidden_channels=2, seed=0
  )
  of_pixels.initialize(_DATA['train'])
  for model in (tfd.Sample(tfd.Normal(128.0, 100.0), _SHAPE), of_pixels):
    found, expected = (
      analyses.graying(
        model, tf.data.Dataset.from_tensors(images), factors=(0.0, 0.5)
      ).results['bits_per_dim']
      # Whole numbers stay whole, as a model of pixels needs them.
      for images in (_DATA['test'].astype(dtype), _DATA['test'])
    )
    assert found == expected
    assert found[1]['mean'] < found[0]['mean']


def test_graying_of_images_that_are_not_whole_is_exact():
  images = _DATA['test'] / np.float32(255)
  model = tfd.Sample(tfd.Normal(0.5, 0.1), _SHAPE)
  section = analyses.graying(
    model, tf.data.Dataset.from_tensors(images), factors=(0.3,)
  )
  grayed = tfp_ood.datasets.gray_towards_mean(images, 0.3)
  bits = -model.log_prob(grayed).numpy() / 192 / np.log(2)
  (found,) = section.results['bits_per_dim']
  assert found['mean'] == pytest.approx(bits.mean(), rel=1e-5)


def test_samples():
  model = tfd.Sample(tfd.Normal(128.0, 100.0), _SHAPE)
  section = analyses.samples(model, num_samples=20, seed=1)
  images = _figures(section)['samples']['images']
  assert images.dtype == np.uint8
  np.testing.assert_array_equal(
    images, np.clip(np.round(model.sample(20, seed=[1, 0])), 0, 255)
  )
  _draw(section)


def test_extreme_images():
  found = _random_evaluation(log_prob=())
  datasets = _datasets()
  shown = {name: datasets[name] for name in ('test', 'far')}
  section = analyses.extreme_images(found, shown, count=5)
  figures = _figures(section)
  for name in shown:
    log_prob = found.statistics[name]['log_prob']
    order = np.argsort(log_prob)
    for extreme, indices in (
      ('most likely', order[::-1][:5]),
      ('least likely', order[:5]),
    ):
      arguments = figures[f'{name}_log_prob_{extreme}']
      np.testing.assert_array_equal(arguments['images'], _DATA[name][indices])
      captions = [f'{value:.4g}' for value in log_prob[indices]]
      assert arguments['captions'] == captions
  _draw(section)


def test_extreme_images_beside_what_the_model_makes_of_them():
  found = _random_evaluation(log_prob=())
  section = analyses.extreme_images(
    found,
    {'test': _datasets()['test']},
    count=7,
    beside=lambda images: 255.0 - images,
  )
  arguments = _figures(section)['test_log_prob_most likely']
  order = np.argsort(-found.statistics['test']['log_prob'])[:7]
  first = _DATA['test'][order]
  assert arguments['num_columns'] == 10
  np.testing.assert_array_equal(
    arguments['images'],
    np.concatenate([first[:5], 255 - first[:5], first[5:], 255 - first[5:]]),
  )
  _draw(section)


# ------------------------------------------------------------------------- tables


def test_ensemble_parts():
  found = _random_evaluation(log_prob=(), ensemble_log_probs=(3,))
  section = analyses.ensemble_parts(found)
  assert list(section.results) == _NAMES
  inside = found.statistics['test']['ensemble_log_probs']
  for name, parts in section.results.items():
    members = found.statistics[name]['ensemble_log_probs']
    assert parts['mean']['mean'] == pytest.approx(members.mean())
    variance = members.var(axis=1)
    assert parts['variance']['mean'] == pytest.approx(variance.mean())
    if name != 'test':
      assert parts['auroc_of_variance'] == pytest.approx(
        stats.auroc(inside.var(axis=1), variance)
      )
      aurocs = [
        stats.auroc(-inside[:, member], -members[:, member])
        for member in range(3)
      ]
      assert parts['auroc_of_members']['mean'] == pytest.approx(np.mean(aurocs))
  _draw(section)


def test_score_table():
  found = _random_evaluation(log_prob=(), other=())
  section = analyses.score_table(
    found, {'none': 'log_prob', 'all': 'other'}, 'Adapted', 'By batch.', 'kind'
  )
  (table,) = _parts(section, 'table')
  assert table['header'] == ['kind', 'train', 'far', 'near']
  assert [row[0] for row in table['rows']] == ['none', 'all']
  auroc = found.aurocs()['other']['far']
  assert table['rows'][1][2].startswith(f'{auroc.auroc:.3f}')
  assert 'By batch.' in _draw(section)


def test_over_runs_are_means_and_deviations():
  runs = {
    f'seed_{seed}': _random_evaluation(seed, log_prob=(), other=())
    for seed in range(3)
  }
  section = analyses.over_runs(runs)
  for score, by_dataset in section.results['auroc'].items():
    for name, found in by_dataset.items():
      values = [run.aurocs()[score][name].auroc for run in runs.values()]
      assert found == {
        'mean': pytest.approx(np.mean(values)),
        'standard_deviation': pytest.approx(np.std(values, ddof=1)),
        'num_runs': 3,
      }
  means = [run.means()['far']['other']['mean'] for run in runs.values()]
  found = section.results['means']['far']['other']
  assert found['mean'] == pytest.approx(np.mean(means))
  # Over runs, and of each of them the scores and what they are compared with.
  assert len(_parts(section, 'table')) == 2 + 2 * 3
  _draw(section)


def test_a_single_run_has_no_deviation():
  section = analyses.over_runs({'seed_0': _random_evaluation(log_prob=())})
  found = section.results['auroc']['log_prob']['far']
  assert found['standard_deviation'] is None
  assert found['num_runs'] == 1


def test_accuracies():
  runs = {
    f'seed_{seed}': _random_evaluation(seed, logits=(3,)) for seed in (0, 1)
  }
  labels = {'test': np.arange(40) % 3, 'train': np.zeros(40, int)}
  section = analyses.accuracies(runs, labels)
  for name, true in labels.items():
    values = [
      np.mean(run.statistics[name]['logits'].argmax(axis=1) == true)
      for run in runs.values()
    ]
    assert section.results[name]['mean'] == pytest.approx(np.mean(values))
  _draw(section)


# ----------------------------------------------------------------------- training


def _record(num_epochs, **columns):
  return {
    'steps': 10 * num_epochs,
    'examples': 640 * num_epochs,
    'seconds': 32.0,
    'epochs': [
      {'epoch': epoch + 1, 'seconds': 16.0}
      | {key: values[epoch] for key, values in columns.items()}
      for epoch in range(num_epochs)
    ],
  }


def test_training_curves():
  columns = {
    'bits_per_dim': [4.0, 3.0],
    'val_bits_per_dim': [4.5, 3.5],
    'bits_per_dim of far': [3.0, 2.0],
    'auroc_likelihood_far': [0.2, 0.1],
    'loss': [9.0, float('nan')],
  }
  section = analyses.training_curves({'model': _record(2, **columns)})
  figures = _figures(section)
  assert len(figures) == 2 and 'training_auroc' in figures
  series = figures[min(figures, key=lambda name: 'bits' not in name)]
  assert list(series['x']) == [1, 2]
  np.testing.assert_array_equal(
    list(series['series_by_name'].values()),
    [[4.0, 3.0], [4.5, 3.5], [3.0, 2.0]],
  )
  text = _parts(section, 'text')[0]['text']
  assert '20 steps, 1280 examples, 0.5 minutes (40 examples/s)' in text
  _draw(section)


def test_training_curves_of_several_runs_end_with_the_shortest():
  records = {
    'seed_0': _record(3, loss=[3.0, 2.0, 1.0]),
    'seed_1': _record(2, loss=[4.0, 3.0]),
  }
  section = analyses.training_curves(records, 'Training: all losses')
  (arguments,) = _figures(section).values()
  assert list(arguments['x']) == [1, 2]
  assert {k: list(v) for k, v in arguments['series_by_name'].items()} == {
    'seed 0, loss': [3.0, 2.0],
    'seed 1, loss': [4.0, 3.0],
  }


def test_no_training_curves_of_no_epochs():
  section = analyses.training_curves({'model': _record(0)})
  assert _figures(section) == {}
  assert 'No whole epoch was trained.' in _draw(section)


# ------------------------------------------------------------------- second order


def test_second_order_analysis_of_a_parabola(quadratic):
  found = _evaluation(
    {
      name: {'log_prob': quadratic.log_prob(images).numpy()}
      for name, images in _DATA.items()
    }
  )
  section = analyses.second_order(
    quadratic, found, _datasets(), num_probes=2, num_expanded=40
  )
  grayed = 'test, grayed by 0.5'
  assert list(section.results) == [grayed, 'far', 'near']
  train = _DATA['train'].astype(np.float64)
  for name, parts in section.results.items():
    if name == grayed:
      assert parts['mean_variance'] < 0.5 * parts['mean_variance_of_training']
      continue
    images = _DATA[name].astype(np.float64)
    measured = (
      quadratic.log_prob(images) - 0.0
    ).numpy().mean() - quadratic.log_prob(train).numpy().mean()
    assert parts['measured']['difference'] == pytest.approx(measured, rel=1e-4)
    # A parabola has no third derivative.
    assert parts['full']['total'] == pytest.approx(measured, rel=1e-3)
    # One probe is exact where the second derivative is diagonal.
    variances = images.var(axis=0) - train.var(axis=0)
    assert parts['diagonal']['covariance'] == pytest.approx(
      -0.5 * np.sum(quadratic.weights * variances), rel=1e-3
    )
    assert parts['mean_variance'] == pytest.approx(images.var(axis=0).mean())
    assert 'closed_form' not in parts
  _draw(section)


# ------------------------------------------------------------------- latent spaces


class _LinearAutoencoder:
  """Latents are the first pixels; the others are gray."""

  latent_size = 4
  prior = tfd.MultivariateNormalDiag(128 * tf.ones([4]), 50 * tf.ones([4]))

  def encode(self, images):
    flat = tf.reshape(tf.cast(images, tf.float32), [-1, 192])
    return flat[:, : self.latent_size]

  def decode_images(self, latents):
    latents = tf.cast(latents, tf.float32)
    rest = tf.fill([tf.shape(latents)[0], 192 - self.latent_size], 128.0)
    return tf.reshape(tf.concat([latents, rest], axis=1), [-1, *_SHAPE])

  def reconstruct(self, images):
    return self.decode_images(self.encode(images))


def _latent_evaluation():
  model = _LinearAutoencoder()
  return _evaluation(
    {
      name: {'latent': model.encode(images).numpy()}
      for name, images in _DATA.items()
    }
  )


def test_reconstructions():
  model = _LinearAutoencoder()
  section = analyses.reconstructions(
    {'the model': model}, {'far': _datasets()['far']}, num_images=6
  )
  arguments = _figures(section)['reconstructions_far']
  assert arguments['num_columns'] == 6
  np.testing.assert_array_equal(
    arguments['images'],
    np.concatenate([_DATA['far'][:6], model.reconstruct(_DATA['far'][:6])]),
  )
  _draw(section)


def test_images_of_a_batch_are_reconstructed_together():
  sizes = []

  class Model(_LinearAutoencoder):
    def reconstruct(self, images):
      sizes.append(len(images))
      return super().reconstruct(images)

  analyses.reconstructions(
    {'the model': Model()}, _datasets(), num_images=6, batch_size=20
  )
  assert sizes == [20] * 4


def test_decoded_samples():
  model = _LinearAutoencoder()
  section = analyses.decoded_samples({'samples': model}, num_samples=8, seed=3)
  images = _figures(section)['samples']['images']
  latents = model.prior.sample(8, seed=[3, 0])
  np.testing.assert_array_equal(
    images.reshape([8, -1])[:, :4], np.clip(np.round(latents), 0, 255)
  )
  _draw(section)


def test_latent_space():
  model, found = _LinearAutoencoder(), _latent_evaluation()
  section = analyses.latent_space(model, found, _datasets())
  assert list(section.results) == ['latent', 'random projections of the pixels']
  for by_dataset in section.results.values():
    assert list(by_dataset) == ['train', 'far', 'near']
    for parts in by_dataset.values():
      for key, estimate in (
        ('accuracy_in', 'estimate'),
        ('accuracy_out', 'estimate'),
        ('auroc', 'auroc'),
      ):
        values = parts[key]
        assert 0 <= values['lower'] <= values[estimate] <= values['upper'] <= 1
  latents = {name: v['latent'] for name, v in found.statistics.items()}
  expected = stats.latent_separation(latents['test'], latents['far'])
  assert section.results['latent']['far']['auroc'] == expected.auroc._asdict()
  figures = _figures(section)
  distances = figures['distance']['values_by_name']
  assert list(distances) == ['test', 'train', 'far']
  np.testing.assert_allclose(
    distances['far'], latents['far'] @ expected.direction + expected.offset
  )
  points = figures['embedding']['points_by_name']
  assert {name: v.shape for name, v in points.items()} == {
    'test': (40, 2),
    'train': (40, 2),
    'far': (40, 2),
  }
  for name in ('test', 'far'):
    traversal = figures[f'traversal_{name}']
    # The image, what its latent decodes to, and eight steps more.
    assert traversal['num_columns'] == 10
    rows = traversal['images'].reshape([6, 10, *_SHAPE])
    np.testing.assert_array_equal(rows[:, 0], _DATA[name][:6])
    np.testing.assert_array_equal(
      rows[:, 1], model.reconstruct(_DATA[name][:6])
    )
  _draw(section)


# ------------------------------------------------------------------ feature spaces


def _classifier():
  tf_keras.utils.set_random_seed(0)
  return tf_keras.Sequential(
    [
      tf_keras.layers.Input(_SHAPE),
      tf_keras.layers.Conv2D(4, 3, activation='relu'),
      tf_keras.layers.GlobalAveragePooling2D(),
      tf_keras.layers.Dense(3),
    ]
  )


def test_feature_distances():
  classifier = _classifier()
  section = analyses.feature_distances(
    classifier,
    0.8,
    _datasets()['train'],
    {'far': _datasets()['far'], 'few': [_DATA['far'][:4]]},
  )
  network = tf_keras.Model(classifier.input, classifier.layers[-2].output)

  def features(name):
    return network(_DATA[name] / 127.5 - 1.0).numpy()

  expected = stats.frechet_distance(features('train'), features('far'))
  # Four images have no covariance of four features.
  assert section.results == {
    'distances': {'far': pytest.approx(expected, rel=1e-3)},
    'accuracy': 0.8,
  }
  assert 'right on 80.0% of the test images' in _draw(section)


def test_no_feature_distances_without_labels():
  unlabelled = tf.data.Dataset.from_tensor_slices(
    (_DATA['test'], np.zeros(40, int))
  ).batch(8)
  classifier, accuracy = analyses.feature_classifier(unlabelled, unlabelled)
  assert classifier is None
  section = analyses.feature_distances(
    classifier, accuracy, unlabelled, {'far': _datasets()['far']}
  )
  assert section.results == {}
  assert 'no labels' in _draw(section)


@pytest.mark.exhaustive
def test_the_classifier_is_kept(tmp_path):
  train = tfp_ood.datasets.load('sample_digits/train[:256]', shuffle=True)
  test = tfp_ood.datasets.load('sample_digits/test[:100]')
  first, accuracy = analyses.feature_classifier(train, test, tmp_path, seed=1)
  images, labels = next(iter(test.unbatch().batch(100)))
  logits = first(tf.cast(images, tf.float32) / 127.5 - 1.0)
  assert accuracy == pytest.approx(np.mean(np.argmax(logits, 1) == labels))
  second, again = analyses.feature_classifier(train, test, tmp_path, seed=1)
  assert again == pytest.approx(accuracy)
  for value, other in zip(
    first.get_weights(), second.get_weights(), strict=True
  ):
    np.testing.assert_array_equal(value, other)
  with pytest.raises(tfp_ood.training.OtherSettingsError, match='seed'):
    analyses.feature_classifier(train, test, tmp_path, seed=2)


def test_second_order_analysis_needs_training_data(quadratic):
  found = _evaluation({'test': {'log_prob': np.zeros([40])}})
  found.training = None
  with pytest.raises(ValueError, match='data of `training`'):
    analyses.second_order(quadratic, found, _datasets())
