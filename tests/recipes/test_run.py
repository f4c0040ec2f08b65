# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of runs of recipes: their data, their folders, what they resume."""

import shutil

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
import tensorflow_probability as tfp

import tfp_ood
from tfp_ood import recipes, reporting, stats, training

tfd = tfp.distributions

_SCORES = {
  'likelihood': stats.NegativeLogLikelihood,
  'typicality': stats.Typicality,
  'complexity': stats.InputComplexity,
}


def _train_and_score(run):
  """The recipe: a normal distribution of every pixel."""
  size = run.image_shape.num_elements()
  normal = tfd.Independent(
    tfd.Normal(tf.Variable(tf.fill([size], 100.0)), run.model['scale']), 1
  )
  distribution = tfd.TransformedDistribution(
    normal, tfp.bijectors.Reshape(run.image_shape)
  )
  model = training.DistributionModel(distribution)
  model.compile(training.adam(1.0))
  run.fit(
    model,
    '',
    run.model,
    {'likelihood': stats.NegativeLogLikelihood()},
    epochs=run.model['epochs'],
  )
  names = run.evaluation['scores']
  return run.evaluate(distribution, {n: _SCORES[n]() for n in names}), names[0]


_RECIPE = recipes.Recipe(
  'Normal pixels',
  _train_and_score,
  {
    'scale': recipes.Setting((50.0, 60.0, 70.0), 'The deviation.'),
    'epochs': recipes.Setting(1, 'Epochs.'),
    'batch_size': recipes.Setting(32, 'Examples of a batch.'),
    'seed': recipes.Setting(0, 'The seed.'),
  },
  {'scores': recipes.Setting(['likelihood', 'typicality'], 'The scores.')},
)


def _run(folder, settings=None, **kwargs):
  return recipes.Run(
    _RECIPE,
    str(folder),
    kwargs.pop('in_distribution', 'sample_photographs'),
    kwargs.pop('out_of_distribution', ['sample_digits']),
    settings=settings,
    **{
      'preset': 'tiny',
      'num_evaluated': 30,
      'train_split': 'train[:96]',
      'name': 'normal',
      **kwargs,
    },
  )


@pytest.fixture(scope='module', name='finished')
def _finished(tmp_path_factory):
  """A folder with a finished run, to be copied and not changed."""
  folder = tmp_path_factory.mktemp('finished') / 'run'
  _run(folder).run({'command': 'python normal.py'})
  return folder


@pytest.fixture(name='folder')
def _folder(finished, tmp_path):
  """A copy of a finished run."""
  shutil.copytree(finished, tmp_path / 'run')
  return tmp_path / 'run'


def _cut(path, keep=0.6):
  content = path.read_bytes()
  path.write_bytes(content[: int(len(content) * keep)])


# --------------------------------------------------------------------- what it does


def test_the_folder_of_a_finished_run(finished):
  assert {path.name for path in finished.iterdir()} == {
    'configuration.json',
    'detector',
    'epochs.csv',
    'evaluation.npz',
    'figures',
    'report.html',
    'results.json',
    'statistics',
    'training.json',
    'weights.data-00000-of-00001',
    'weights.index',
  }
  names = [path.name for path in finished.rglob('*')]
  assert not [name for name in names if name.startswith('.')]


def test_the_results_of_a_run(finished):
  results = reporting.read_results(finished / 'results.json')
  assert results['title'] == 'Normal pixels trained on sample_photographs'
  assert results['command'] == 'python normal.py'
  assert results['configuration'] == {
    'model': 'normal',
    'preset': 'tiny',
    'in_distribution': 'sample_photographs',
    'train_split': 'train[:96]',
    'test_split': 'test',
    'strategy': 'default',
    'shard_files': False,
    'scale': 50.0,
    'epochs': 1,
    'batch_size': 32,
    'seed': 0,
  }
  assert results['evaluation'] == {
    'out_of_distribution': ['sample_digits'],
    'num_evaluated': 30,
    'scores': ['likelihood', 'typicality'],
  }
  assert results['seconds'] > 0
  assert list(results['auroc']['likelihood']) == [
    'sample_photographs train',
    'sample_digits test',
    'constant',
    'uniform_noise',
  ]
  record = reporting.read_results(finished / 'training.json')
  assert record['steps'] == 3
  assert record['examples'] == 96
  (epoch,) = record['epochs']
  assert 0 <= epoch['auroc_likelihood_sample_digits test'] <= 1
  assert epoch['val_bits_per_dim'] > 0


def test_the_detector_of_a_run(finished):
  loaded = tfp_ood.evaluation.Evaluation.load(finished)
  scores = loaded.scores['likelihood']
  detector = tf.saved_model.load(str(finished / 'detector'))
  images = np.concatenate(
    [images for images, _ in tfp_ood.datasets.load('sample_digits/test[:30]')]
  )
  np.testing.assert_allclose(
    detector.score(images), scores['sample_digits test'], rtol=1e-4
  )


def test_data_of_a_run(tmp_path):
  run = _run(tmp_path, test_split='test[10:50]')
  assert list(run.datasets) == [
    'sample_photographs test',
    'sample_photographs train',
    'sample_digits test',
    'constant',
    'uniform_noise',
  ]
  expected = {
    'sample_photographs test': 'sample_photographs/test[10:40]',
    'sample_photographs train': 'sample_photographs/train[:30]',
  }
  for name, dataset in run.datasets.items():
    images = np.concatenate([images for images, _ in dataset])
    assert images.shape == (30, 32, 32, 3)
    if name in expected:
      (known,) = tfp_ood.datasets.load(expected[name], batch_size=30)
      np.testing.assert_array_equal(images, known[0])
  assert list(run.others) == list(run.datasets)[2:]
  assert list(run.compared) == ['sample_photographs test', 'sample_digits test']
  (known,) = tfp_ood.datasets.load('sample_digits/test[:30]', batch_size=30)
  np.testing.assert_array_equal(run.labels('sample_digits test'), known[1])
  train = np.concatenate([images for images, _ in run.load('train')])
  assert len(train) == 96
  assert list(tmp_path.iterdir()) == []


def test_controls_are_few(tmp_path):
  run = _run(tmp_path, num_evaluated=5_000)
  for name in ('constant', 'uniform_noise'):
    assert sum(len(images) for images, _ in run.datasets[name]) == 1_000


class GreyTestImages(tfds.core.GeneratorBasedBuilder):
  """Few gray images of 28 x 28."""

  VERSION = tfds.core.Version('1.0.0')

  def _info(self):
    features = {'image': tfds.features.Image(shape=(28, 28, 1))}
    return tfds.core.DatasetInfo(
      builder=self, features=tfds.features.FeaturesDict(features)
    )

  def _split_generators(self, dl_manager):
    return {split: self._generate_examples() for split in ('train', 'test')}

  def _generate_examples(self):
    random = np.random.default_rng(0)
    for index in range(70):
      images = random.integers(0, 256, (28, 28, 1)).astype(np.uint8)
      yield index, {'image': images}


@pytest.mark.slow
def test_data_sets_of_other_shapes_are_fitted(tmp_path):
  GreyTestImages(data_dir=tmp_path / 'data').download_and_prepare()
  folder = tmp_path / 'run'
  _run(
    folder,
    out_of_distribution=['grey_test_images'],
    data_dir=tmp_path / 'data',
  ).run()
  results = reporting.read_results(folder / 'results.json')
  assert 'grey_test_images test' in results['bits_per_dim']
  (epoch,) = reporting.read_results(folder / 'training.json')['epochs']
  assert epoch['bits_per_dim of grey_test_images test'] > 0
  run = _run(tmp_path, data_dir=tmp_path / 'data')
  (batch, *_) = run.load('train', 'grey_test_images')
  images = batch[0].numpy() if isinstance(batch, tuple) else batch.numpy()
  assert images.shape[1:] == (32, 32, 3)
  assert not images[:, :2].any()
  np.testing.assert_array_equal(images[..., 0], images[..., 2])


# --------------------------------------------------------------------- what is there


def test_a_run_is_complete(folder):
  assert _run(folder).is_complete()
  assert not _run(folder.parent / 'other').is_complete()


def test_other_settings_in_the_same_folder_are_refused(folder):
  run = _run(folder, {'scale': 3.0})
  with pytest.raises(training.OtherSettingsError, match='50.0 there, 3.0 now'):
    run.is_complete()
  (folder / 'results.json').unlink()
  with pytest.raises(training.OtherSettingsError, match='50.0 there, 3.0 now'):
    run.run()


@pytest.mark.slow
def test_one_more_score_trains_nothing(folder, capsys):
  trained = (folder / 'weights.index').stat().st_mtime_ns
  before = reporting.read_results(folder / 'results.json')
  run = _run(folder, {'scores': ['likelihood', 'typicality', 'complexity']})
  assert not run.is_complete()
  found = run.run()
  output = capsys.readouterr().out
  assert 'trained already' in output
  assert 'epoch' not in output
  assert (folder / 'weights.index').stat().st_mtime_ns == trained
  after = reporting.read_results(folder / 'results.json')
  assert list(after['auroc']) == ['likelihood', 'typicality', 'complexity']
  for score, aurocs in before['auroc'].items():
    assert after['auroc'][score] == aurocs
  assert run.is_complete()
  assert 'complexity' in found.summary()


def test_what_is_missing_is_computed(folder, capsys):
  before = tfp_ood.evaluation.Evaluation.load(folder)
  for name in ('results.json', 'report.html', 'evaluation.npz'):
    (folder / name).unlink()
  (folder / 'statistics' / 'uniform_noise.npz').unlink()
  found = _run(folder).run()
  output = capsys.readouterr().out
  assert 'scored 30 examples of uniform_noise' in output
  assert 'of constant' not in output
  for score, by_dataset in before.scores.items():
    for name, values in by_dataset.items():
      np.testing.assert_allclose(found.scores[score][name], values, rtol=1e-6)
  for name in ('results.json', 'report.html', 'evaluation.npz'):
    assert (folder / name).exists()


@pytest.mark.parametrize('name', ['results.json', 'configuration.json'])
def test_truncated_results_are_refused(folder, name):
  _cut(folder / name)
  with pytest.raises(ValueError, match='not a whole results file') as error:
    _run(folder).is_complete()
  assert str(folder / name) in str(error.value)


@pytest.mark.parametrize(
  'name, message',
  [
    ('training.json', 'not a whole results file'),
    ('weights.index', 'absent, damaged'),
    ('weights.data-00000-of-00001', 'absent, damaged'),
    ('statistics/sample_photographs_test.npz', 'not a whole file'),
  ],
)
def test_truncated_files_are_refused(folder, name, message):
  (folder / 'results.json').unlink()
  _cut(folder / name)
  with pytest.raises(ValueError, match=message) as error:
    _run(folder).run()
  named = name.split('.')[0] if name.startswith('weights') else name
  assert str(folder / named) in str(error.value)
  assert not (folder / 'results.json').exists()


# -------------------------------------------------------------------- what is refused


@pytest.mark.parametrize(
  'names',
  [
    {'in_distribution': 'no_such_data_set'},
    {'out_of_distribution': ['no_such_data_set']},
  ],
)
def test_unknown_data_sets_are_named(tmp_path, names):
  with pytest.raises((ValueError, FileNotFoundError), match='no_such_data_set'):
    _run(tmp_path / 'run', data_dir=tmp_path, **names)
  # Before anything is trained.
  assert not (tmp_path / 'run').exists()


def test_data_sets_that_are_not_prepared_are_named(tmp_path):
  with pytest.raises(FileNotFoundError, match='cifar10') as error:
    _run(tmp_path / 'run', in_distribution='cifar10', data_dir=tmp_path)
  assert str(tmp_path) in str(error.value)


def test_unknown_settings_are_refused(tmp_path):
  with pytest.raises(recipes.SettingError, match='no setting depth'):
    _run(tmp_path / 'run', {'depth': 3})
  assert not (tmp_path / 'run').exists()
