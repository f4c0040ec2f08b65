# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the example scripts, as a person would run them."""

import collections
import html.parser
import itertools
import re
import shutil

import conftest
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds
from absl import app
from sklearn import metrics as sklearn_metrics

import tfp_ood

_IN, _TRAIN, *_OTHERS = _NAMES = [
  'sample_photographs test',
  'sample_photographs train',
  'sample_digits test',
  'sample_photographs upside down',
  'constant',
  'uniform_noise',
]
_FLAGS = [
  'augmentation',
  'background_dataset',
  'background_minutes',
  'beta',
  'beta_negative',
  'beta_reconstruction',
  'class_variance',
  'classifier_epochs',
  'classifier_learning_rate',
  'data',
  'data_dir',
  'decoder',
  'decoder_scale',
  'dropout',
  'ensemble_minutes',
  'ensemble_size',
  'epochs',
  'features_dir',
  'free_bits',
  'in_distribution',
  'kl_warmup_steps',
  'label_entropy_weight',
  'latent_size',
  'learning_rate',
  'model',
  'mutation_rate',
  'negativity_weight',
  'network',
  'normalization',
  'num_evaluated',
  'num_importance_samples',
  'num_labelled',
  'num_regret',
  'num_runs',
  'num_vae_steps',
  'out_of_distribution',
  'output_dir',
  'precision',
  'preset',
  'reconstruction_weight',
  'regret_steps',
  'rendering_path_weight',
  'scores',
  'seed',
  'strategy',
  'tensorboard',
  'test_split',
  'train_minutes',
  'train_split',
  'vae_width',
  'weight_decay',
  'width',
]


def test_compose_a_flow(tmp_path):
  path = conftest.EXAMPLES / 'compose_a_flow.py'
  assert len(path.read_text().splitlines()) < 60
  result = conftest.run_python([path], tmp_path)
  assert result.returncode == 0, result.stderr[-4000:]
  lines = result.stdout.splitlines()
  assert any('bits_per_dim' in line for line in lines)
  scores = [float(line.split()[1]) for line in lines if 'digits:' in line]
  assert len(scores) == 5
  assert all(0 < score < 20 for score in scores)


@pytest.mark.parametrize('script', ['cifar_svhn', 'fashion_mnist_mnist'])
def test_help_lists_the_flags(tmp_path, script):
  path = conftest.EXAMPLES / f'{script}.py'
  result = conftest.run_python([path, '--help'], tmp_path)
  assert result.returncode in (0, 1)  # absl's --help ends with 1.
  assert 'Traceback' not in result.stderr
  for flag in _FLAGS:
    assert f'--{flag}:' in result.stdout or f']{flag}:' in result.stdout, flag
  assert f'python examples/{script}.py --data' in result.stdout
  for score in conftest.ALL_SCORES:
    assert score in result.stdout
  assert list(tmp_path.iterdir()) == []


def test_the_list_of_flags_is_complete():
  defined = [
    flag
    for path in conftest.EXAMPLES.glob('*experiment*.py')
    for flag in re.findall(r"flags\.DEFINE_\w+\(\s*'(\w+)'", path.read_text())
  ]
  assert sorted(defined) == _FLAGS


def test_unknown_values_of_flags_are_refused(tmp_path):
  path = conftest.EXAMPLES / 'cifar_svhn.py'
  result = conftest.run_python([path, '--model=pixelcnn'], tmp_path)
  assert result.returncode != 0
  assert 'Traceback' not in result.stderr
  for model in ('cv_glow', 'glow', 'nrm', 'vae'):
    assert re.search(rf'\b{model}\b', result.stderr), model
  assert list(tmp_path.iterdir()) == []


def test_flags_that_contradict_each_other_are_refused(tmp_path, run_example):
  with pytest.raises(app.UsageError, match='not both'):
    run_example(
      '--data=sample',
      '--epochs=1',
      '--train_minutes=1',
      f'--output_dir={tmp_path / "run"}',
    )
  assert not (tmp_path / 'run').exists()


def test_unknown_scores_are_refused(tmp_path, run_example):
  with pytest.raises(app.UsageError, match='telepathy') as error:
    run_example(
      '--data=sample',
      '--scores=typicality,telepathy',
      f'--output_dir={tmp_path / "run"}',
    )
  for score in conftest.ALL_SCORES:
    assert score in str(error.value)
  assert not (tmp_path / 'run').exists()


def test_all_scores_are_tested(example_modules):
  scores = example_modules('flow_evaluation').SCORES
  assert set(scores) == set(conftest.ALL_SCORES)


@pytest.mark.parametrize(
  'flag', ['in_distribution', 'out_of_distribution', 'background_dataset']
)
def test_unknown_data_sets_are_named(tmp_path, run_example, flag):
  with pytest.raises((ValueError, FileNotFoundError), match='no_such_data_set'):
    run_example(
      '--data=sample',
      '--preset=tiny',
      '--scores=likelihood_ratio',
      f'--data_dir={tmp_path}',
      f'--{flag}=no_such_data_set',
      f'--output_dir={tmp_path / "run"}',
    )
  # Before anything is trained.
  assert not (tmp_path / 'run').exists()


def test_data_sets_that_are_not_prepared_are_named(tmp_path, run_example):
  for script, name in (
    ('cifar_svhn', 'cifar10'),
    ('fashion_mnist_mnist', 'fashion_mnist'),
  ):
    with pytest.raises(FileNotFoundError, match=name) as error:
      run_example(
        f'--data_dir={tmp_path}',
        f'--output_dir={tmp_path / "run"}',
        script=script,
      )
    assert str(tmp_path) in str(error.value)


# ------------------------------------------------- data sets of other shapes


@pytest.mark.parametrize('side', [28, 32, 40])
def test_grey_images_become_colour_ones(example_modules, side):
  experiment_data = example_modules('experiment_data')
  images = np.random.default_rng(0).integers(0, 256, [2, side, side, 1])
  images = images.astype(np.uint8)
  fitted = experiment_data.fit_to_shape(
    tf.constant(images), tf.TensorShape([32, 32, 3])
  ).numpy()
  assert fitted.dtype == np.uint8
  assert fitted.shape == (2, 32, 32, 3)
  margin = abs(side - 32) // 2
  if side < 32:
    images = np.pad(images, [[0, 0], [margin] * 2, [margin] * 2, [0, 0]])
  elif side > 32:
    images = images[:, margin:-margin, margin:-margin]
  np.testing.assert_array_equal(fitted, np.repeat(images, 3, axis=-1))


def test_colour_images_become_grey_ones(example_modules):
  experiment_data = example_modules('experiment_data')
  grey = np.arange(4, dtype=np.uint8).reshape([4, 1, 1, 1]) * 80
  fitted = experiment_data.fit_to_shape(
    tf.constant(np.broadcast_to(grey, [4, 32, 32, 3])),
    tf.TensorShape([28, 28, 1]),
  )
  np.testing.assert_allclose(
    fitted, np.broadcast_to(grey, [4, 28, 28, 1]), atol=1
  )


def test_images_of_the_right_shape_stay_as_they_are(example_modules):
  images = tf.zeros([2, 32, 32, 3], tf.uint8)
  experiment_data = example_modules('experiment_data')
  assert experiment_data.fit_to_shape(images, images.shape[1:]) is images


class GreyTestImages(tfds.core.GeneratorBasedBuilder):
  """Few grey images of 28 x 28."""

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


class _TrainedError(Exception):
  """Stops a run when all is trained."""


def test_data_sets_of_other_shapes_are_fitted(
  tmp_path, run_example, example_modules, monkeypatch
):
  GreyTestImages(data_dir=tmp_path / 'data').download_and_prepare()
  given = {}

  def evaluate(models, datasets, *args):
    given.update(models=models, datasets=datasets)
    raise _TrainedError

  monkeypatch.setattr(example_modules('flow_evaluation'), 'evaluate', evaluate)
  with pytest.raises(_TrainedError):
    run_example(
      '--data=sample',
      '--train_split=train[:64]',
      '--epochs=1',
      '--scores=likelihood_ratio',
      # Watched in training, trained on, and scored.
      '--out_of_distribution=grey_test_images',
      '--background_dataset=grey_test_images',
      f'--data_dir={tmp_path / "data"}',
      f'--output_dir={tmp_path / "run"}',
    )
  assert given['models'].keys() == {'', 'background'}
  for model in given['models'].values():
    assert model.event_shape == [32, 32, 3]
  for dataset in given['datasets'].values():
    assert dataset.element_spec[0].shape[1:] == [32, 32, 3]
  for folder in (tmp_path / 'run', tmp_path / 'run' / 'background'):
    training = tfp_ood.reporting.read_results(folder / 'training.json')
    (watched,) = training['epochs'][-1]['watched_bits_per_dim'].items()
    assert watched[0] == 'grey_test_images'
    assert 0 < watched[1] < 20


# ------------------------------------------------ what a run with all scores says


@pytest.fixture(name='results')
def _results(all_scores_run):
  return tfp_ood.reporting.read_results(all_scores_run.folder / 'results.json')


@pytest.fixture(name='arrays')
def _arrays(all_scores_run):
  return tfp_ood.reporting.read_arrays(all_scores_run.folder / 'scores.npz')


def test_results_are_complete(results):
  assert list(results) == [
    'command',
    'configuration',
    'evaluation',
    'versions',
    'training',
    'training_of_others',
    'bits_per_dim',
    'density',
    'volume',
    'auroc',
    'metrics',
    'compared_with_likelihood',
    'typicality',
    'p_values',
    'graying',
    'second_order',
    'ensemble',
    'seconds',
  ]
  assert results['command'].startswith('python ')
  for flag in conftest.ALL_SCORES_FLAGS:
    assert flag in results['command']
  configuration = results['configuration']
  assert configuration['in_distribution'] == 'sample_photographs'
  assert configuration['epochs'] == 1
  assert configuration['train_minutes'] is None
  assert configuration['preset'] == 'tiny'
  evaluation = results['evaluation']
  assert evaluation['scores'] == list(conftest.ALL_SCORES)
  assert evaluation['out_of_distribution'] == ['sample_digits']
  assert evaluation['num_evaluated'] == 40
  assert evaluation['background']['mutation_rate'] == 0.2
  assert evaluation['ensemble']['size'] == 2
  assert {'tfp_ood', 'python', 'tensorflow', 'tensorflow-probability'} <= set(
    results['versions']
  )
  assert results['versions']['tfp_ood'] == tfp_ood.__version__
  assert results['seconds'] > 0


def test_each_model_has_its_folder_and_settings(results, all_scores_run):
  others = ['background', 'ensemble_1', 'ensemble_2']
  assert list(results['training_of_others']) == others
  for training in results['training_of_others'].values():
    assert training['steps'] == results['training']['steps'] == 4
  configuration = results['configuration']
  for folder, settings in {
    '': {},
    'background': {'mutation_rate': 0.2},
    'ensemble_1': {'seed': 1},
    'ensemble_2': {'seed': 2},
  }.items():
    path = all_scores_run.folder / folder
    assert (path / 'weights.index').exists()
    assert (
      tfp_ood.reporting.read_results(path / 'configuration.json')
      == configuration | settings
    )


def test_results_by_data_set(results):
  for key in ('bits_per_dim', 'density', 'volume'):
    assert list(results[key]) == _NAMES
    for summary in results[key].values():
      assert set(summary) == {'mean', 'standard_error', 'num_examples'}
      assert summary['num_examples'] == 40
      assert summary['standard_error'] >= 0
  for name in _NAMES:
    log_prob = (
      results['density'][name]['mean'] + results['volume'][name]['mean']
    )
    bits = -log_prob / 3072 / np.log(2)
    np.testing.assert_allclose(
      results['bits_per_dim'][name]['mean'], bits, rtol=1e-6
    )
    assert 0 < bits < 100


def test_scores_are_those_of_the_results(results, arrays):
  for name, part in itertools.product(_NAMES, ('density', 'volume')):
    values = arrays[f'{name}/{part}']
    assert values.dtype == np.float64
    np.testing.assert_allclose(values.mean(), results[part][name]['mean'])
  for name in _NAMES:
    log_prob = arrays[f'{name}/density'] + arrays[f'{name}/volume']
    np.testing.assert_allclose(
      arrays[f'{name}/scores/negative_log_likelihood'], -log_prob, rtol=1e-6
    )
    for extreme, ordered in (
      ('most_likely', np.sort(log_prob)[::-1]),
      ('least_likely', np.sort(log_prob)),
    ):
      indices = arrays[f'{name}/{extreme}_indices']
      assert len(set(indices)) == 16
      np.testing.assert_allclose(log_prob[indices], ordered[:16], rtol=1e-6)
    assert arrays[f'{name}/most_likely'].shape == (16, 32, 32, 3)
  assert arrays['samples'].shape == (64, 32, 32, 3)
  assert arrays['samples'].dtype == np.uint8


def _pairs_in_order(inside, outside):
  """The AUROC by its definition."""
  outside = outside[:, np.newaxis]
  return (outside > inside).mean() + 0.5 * (outside == inside).mean()


@pytest.mark.parametrize('score', conftest.ALL_SCORES)
def test_every_score_has_an_auroc_on_every_data_set(results, arrays, score):
  assert list(results['auroc']) == list(conftest.ALL_SCORES)
  aurocs = results['auroc'][score]
  assert list(aurocs) == _NAMES[1:]
  inside = arrays[f'{_IN}/scores/{score}']
  assert inside.shape == (40,)
  for name, auroc in aurocs.items():
    outside = arrays[f'{name}/scores/{score}']
    assert 0 <= auroc['lower'] <= auroc['auroc'] <= auroc['upper'] <= 1
    np.testing.assert_allclose(
      auroc['auroc'], _pairs_in_order(inside, outside), rtol=1e-9
    )
    expected = tfp_ood.stats.auroc_confidence_interval(inside, outside)
    assert auroc == pytest.approx(expected._asdict())
  # Its own training data look like the test data.
  assert 0.1 < aurocs[_TRAIN]['auroc'] < 0.9


@pytest.mark.parametrize('score', conftest.ALL_SCORES)
def test_metrics_count_either_side_as_positive(results, arrays, score):
  metrics = results['metrics'][score]
  assert list(metrics) == _OTHERS
  inside = arrays[f'{_IN}/scores/{score}']
  for name, values in metrics.items():
    scores = np.concatenate([inside, arrays[f'{name}/scores/{score}']])
    is_out = np.repeat([False, True], 40)
    assert values['average_precision_out'] == pytest.approx(
      sklearn_metrics.average_precision_score(is_out, scores)
    )
    assert values['average_precision_in'] == pytest.approx(
      sklearn_metrics.average_precision_score(~is_out, -scores)
    )
    for key in ('out', 'in'):
      assert 0 <= values[f'false_positive_rate_at_95_tpr_{key}'] <= 1
    assert 0 <= values['detection_error'] <= 0.5


def test_scores_are_compared_with_the_likelihood(results):
  aurocs = results['auroc']
  compared = results['compared_with_likelihood']
  assert list(compared) == list(conftest.ALL_SCORES[1:])
  for score, name in itertools.product(compared, _OTHERS):
    test = compared[score][name]
    assert test['difference'] == pytest.approx(
      aurocs[score][name]['auroc']
      - aurocs['negative_log_likelihood'][name]['auroc'],
      abs=1e-9,
    )
    assert test['lower'] <= test['difference'] <= test['upper']
    assert 0 <= test['p_value'] <= 1


@pytest.mark.parametrize('score', conftest.ALL_SCORES)
def test_p_values_are_calibrated_on_every_second_image(results, arrays, score):
  calibration = arrays[f'{_IN}/scores/{score}'][::2]

  def p_values(scores):
    at_least = (calibration >= scores[:, np.newaxis]).sum(axis=1)
    return (1 + at_least) / (len(calibration) + 1)

  inside = p_values(arrays[f'{_IN}/scores/{score}'][1::2])
  found = results['p_values'][score]
  np.testing.assert_allclose(
    found['quantiles'], np.quantile(inside, np.linspace(0, 1, 101))
  )
  assert list(found['flagged']) == [_IN, _TRAIN, *_OTHERS]
  assert found['flagged'][_IN] == np.mean(inside <= 0.05)
  for name in _NAMES[1:]:
    outside = p_values(arrays[f'{name}/scores/{score}'])
    assert found['flagged'][name] == pytest.approx(np.mean(outside <= 0.05))
  steps = np.sort(inside)
  distance = max(
    np.max(np.arange(1, 21) / 20 - steps), np.max(steps - np.arange(20) / 20)
  )
  assert found['kolmogorov_smirnov'] == pytest.approx(distance)
  assert 0 <= found['kolmogorov_smirnov_p_value'] <= 1


def test_typicality_by_size_of_the_batch(results, arrays):
  assert list(results['typicality']) == _OTHERS
  for name, curve in results['typicality'].items():
    # Two batches of the 20 test images that did not calibrate.
    assert curve['batch_sizes'] == [1, 2, 5, 10]
    for side in ('in', 'out_of'):
      rejected = curve[f'{side}_distribution_rejected']
      assert len(rejected) == 4
      assert all(0 <= fraction <= 1 for fraction in rejected)
    # A batch of one is the score.
    assert curve['auroc'][0]['auroc'] == pytest.approx(
      _pairs_in_order(
        arrays[f'{_IN}/scores/typicality'][1::2],
        arrays[f'{name}/scores/typicality'],
      ),
      abs=0.02,
    )
    for auroc in curve['auroc']:
      assert 0 <= auroc['lower'] <= auroc['auroc'] <= auroc['upper'] <= 1


def test_results_of_graying(results, arrays):
  graying = results['graying']
  np.testing.assert_allclose(graying['factor'], np.linspace(0, 1, 11))
  assert len(graying['bits_per_dim']) == 11
  assert arrays['graying'].shape == (11, 40)
  # Nothing is grayed at factor 0.
  np.testing.assert_allclose(
    graying['bits_per_dim'][0]['mean'],
    results['bits_per_dim'][_IN]['mean'],
    rtol=1e-5,
  )


def test_the_second_order_analysis(results, arrays):
  grayed = f'{_IN}, grayed by 0.5'
  # All have one; the driver stops after the first.
  assert list(results['second_order']) == [grayed, 'sample_digits test']
  log_prob = {
    name: arrays[f'{name}/density'] + arrays[f'{name}/volume']
    for name in _NAMES
  } | {grayed: arrays['graying'][5]}
  for name, found in results['second_order'].items():
    assert found['measured']['difference'] == pytest.approx(
      log_prob[name].mean() - log_prob[_TRAIN].mean(), rel=1e-4, abs=0.01
    )
    assert found['measured']['standard_error'] > 0
    for covariances in ('diagonal', 'full'):
      terms = found[covariances]
      assert np.all(np.isfinite(list(terms.values())))
      assert terms['total'] == pytest.approx(
        terms['gradient'] + terms['mean'] + terms['covariance'], rel=1e-4
      )
    # One step mixes the channels alone: Hutchinson's probes are exact.
    assert found['closed_form'] == pytest.approx(
      found['diagonal']['covariance'], rel=1e-2, abs=0.1
    )
    assert found['mean_variance'] > 0
    assert found['mean_variance_of_training'] > 0
  graying = results['second_order'][grayed]
  assert graying['mean_variance'] < graying['mean_variance_of_training']


def test_the_ensemble_is_taken_apart(results, arrays):
  ensemble = results['ensemble']
  assert list(ensemble) == _NAMES
  for name, parts in ensemble.items():
    # WAIC is the mean less the variance, the score its negative.
    assert parts['variance']['mean'] - parts['mean']['mean'] == pytest.approx(
      arrays[f'{name}/scores/waic'].mean(), rel=1e-4
    )


# -------------------------------------------------------------- its other files


class _Page(html.parser.HTMLParser):
  """Collects all that a page asks a browser to load, and its tables."""

  def __init__(self, page):
    super().__init__()
    self.images, self.others, self.tables = [], [], []
    self._in_cell = False
    self.feed(page)

  def handle_starttag(self, tag, attrs):
    attrs = dict(attrs)
    if tag == 'img':
      self.images.append(attrs['src'])
    elif tag in ('script', 'link', 'iframe', 'object', 'embed', 'source'):
      self.others.append((tag, attrs))
    elif tag == 'table':
      self.tables.append([])
    elif tag == 'tr':
      self.tables[-1].append([])
    elif tag in ('td', 'th'):
      self.tables[-1][-1].append('')
      self._in_cell = True

  def handle_endtag(self, tag):
    if tag in ('td', 'th'):
      self._in_cell = False

  def handle_data(self, data):
    if self._in_cell:
      self.tables[-1][-1][-1] += data


@pytest.fixture(name='page')
def _page(all_scores_run):
  return (all_scores_run.folder / 'report.html').read_text(encoding='utf-8')


def test_the_report_stands_alone(page):
  references = _Page(page)
  assert len(references.images) >= 9
  assert all(source.startswith('data:image/') for source in references.images)
  assert references.others == []
  assert 'url(' not in page.replace('url(data:', '')
  for name in _NAMES:
    assert name in page
  for flag in conftest.ALL_SCORES_FLAGS:
    assert flag in page


def test_the_report_has_a_table_of_every_score(page, results, example_modules):
  flow_report = example_modules('flow_report')
  table = next(t for t in _Page(page).tables if t[0] == ['score', *_NAMES[1:]])
  assert [row[0] for row in table[1:]] == [
    flow_report._title(score) for score in conftest.ALL_SCORES
  ]
  assert len({row[0] for row in table[1:]}) == len(conftest.ALL_SCORES)
  for row, aurocs in zip(table[1:], results['auroc'].values(), strict=True):
    for cell, auroc in zip(row[1:], aurocs.values(), strict=True):
      for key in ('auroc', 'lower', 'upper'):
        assert f'{auroc[key]:.3f}' in cell


def test_the_figures_of_the_report_are_files_too(all_scores_run, page):
  paths = list((all_scores_run.folder / 'figures').iterdir())
  assert len(paths) == len(_Page(page).images)
  for path in paths:
    assert path.suffix == '.png'
    assert path.read_bytes().startswith(b'\x89PNG')
  assert {path.stem for path in paths} >= {
    f'{score}_{figure}'
    for score in conftest.ALL_SCORES
    for figure in ('histogram', 'roc')
  } | {'graying', 'log_likelihood', 'p_values', 'samples', 'training'}


def test_the_exported_model_of_the_run_scores_alike(all_scores_run, arrays):
  model = tf.saved_model.load(all_scores_run.folder / 'saved_model')
  log_prob = arrays[f'{_IN}/density'] + arrays[f'{_IN}/volume']
  np.testing.assert_allclose(
    model.log_prob(arrays[f'{_IN}/most_likely']),
    log_prob[arrays[f'{_IN}/most_likely_indices']],
    rtol=1e-4,
  )


_SCORE_WITH_TENSORFLOW = """
import sys

import numpy as np
import tensorflow as tf

detector = tf.saved_model.load(sys.argv[1])
arrays = np.load(sys.argv[2])
p_value = detector.signatures['p_value']
np.savez(
  sys.argv[3],
  **{
    name: p_value(images=tf.constant(images))['p_value']
    for name, images in arrays.items()
  },
)
assert not {'tfp_ood', 'tensorflow_probability', 'tf_keras'} & set(sys.modules)
"""


def test_the_detector_of_the_run_works_with_tensorflow_alone(
  all_scores_run, arrays, tmp_path
):
  extremes = ('most_likely', 'least_likely')
  images = {
    f'{name} {extreme}': arrays[f'{name}/{extreme}']
    for name, extreme in itertools.product(_NAMES, extremes)
  }
  np.savez(tmp_path / 'images.npz', **images)
  process = conftest.run_python(
    [
      '-c',
      _SCORE_WITH_TENSORFLOW,
      all_scores_run.folder / 'detector',
      tmp_path / 'images.npz',
      tmp_path / 'p_values.npz',
    ],
    tmp_path,
  )
  assert process.returncode == 0, process.stderr[-4000:]
  p_values = np.load(tmp_path / 'p_values.npz')
  # All test images calibrated it.
  calibration = arrays[f'{_IN}/scores/typicality']
  for name, extreme in itertools.product(_NAMES, extremes):
    indices = arrays[f'{name}/{extreme}_indices']
    expected = tfp_ood.stats.conformal_p_values(
      calibration, arrays[f'{name}/scores/typicality'][indices]
    )
    # The same score may round to the other side of one of 40 others.
    np.testing.assert_allclose(
      p_values[f'{name} {extreme}'], expected, atol=1.01 / 41
    )


def test_the_summary_is_printed(all_scores_run, results):
  lines = all_scores_run.process.stdout.splitlines()
  for name in _NAMES:
    mean = results['bits_per_dim'][name]['mean']
    assert any(
      line.startswith(name) and f'{mean:.3f}' in line for line in lines
    ), name
  for aurocs in results['auroc'].values():
    for name, auroc in aurocs.items():
      assert any(
        line.startswith(name) and f'{auroc["auroc"]:.3f}' in line
        for line in lines
      ), name


# -------------------------------------------------------- a neural rendering model

_NRM_FLAGS = (
  '--data=sample',
  '--model=nrm',
  '--network=alexnet_like',
  '--width=0.03',
  '--train_split=train[:128]',
  '--classifier_epochs=1',
  '--epochs=1',
  '--num_evaluated=40',
  '--num_runs=2',
)
_NRM_NAMES = [_IN, _TRAIN, _OTHERS[0], f'{_OTHERS[0]} x 0.8', *_OTHERS[2:]]
_NRM_SCORES = [
  'latent_mode_normalised',
  'latent_eta',
  'latent_rpn',
  'latent_layerwise',
  'log_prob',
  'reconstruction_0',
  'reconstruction_6',
  'density_of_layers',
  'max_softmax',
  'energy',
]
_NUM_LAYERS = 6


@pytest.fixture(scope='module', name='nrm_run')
def _nrm_run(tmp_path_factory):
  """Two small neural rendering models, and their folder."""
  workplace = tmp_path_factory.mktemp('nrm_run')
  process = conftest.run_python(
    [conftest.EXAMPLES / 'cifar_svhn.py', *_NRM_FLAGS], workplace
  )
  assert process.returncode == 0, process.stderr[-4000:]
  folder = workplace / 'outputs' / 'nrm_tiny_sample_photographs'
  return conftest.AllScoresRun(folder, process)


@pytest.fixture(name='nrm_results')
def _nrm_results(nrm_run):
  return tfp_ood.reporting.read_results(nrm_run.folder / 'results.json')


@pytest.fixture(name='nrm_arrays')
def _nrm_arrays(nrm_run):
  return tfp_ood.reporting.read_arrays(nrm_run.folder / 'scores.npz')


def test_results_of_neural_rendering_models_are_complete(nrm_results):
  assert list(nrm_results) == [
    'command',
    'configuration',
    'evaluation',
    'versions',
    'training',
    'runs',
    'accuracy',
    'means',
    'layers',
    'wrong_labels',
    'auroc',
    'seconds',
  ]
  assert nrm_results['configuration']['num_classes'] == 2
  assert nrm_results['evaluation']['latent'] == 'mode_normalised'
  assert nrm_results['evaluation']['layer'] == 6
  assert list(nrm_results['means']) == _NRM_NAMES
  assert list(nrm_results['auroc']) == _NRM_SCORES
  for key in ('etas', 'reconstructions', 'switches'):
    layers = nrm_results['layers'][key]
    assert list(layers) == _NRM_NAMES
    for by_layer in layers.values():
      assert len(by_layer) == _NUM_LAYERS + (key == 'reconstructions')
  for by_layer in nrm_results['layers']['switches'].values():
    assert all(0 <= share['mean'] <= 1 for share in by_layer)


def test_the_training_of_neural_rendering_models_is_recorded(
  nrm_run, nrm_results
):
  seeds = ['seed_0', 'seed_1']
  assert list(nrm_results['training']) == list(nrm_results['runs']) == seeds
  for seed, stages in nrm_results['training'].items():
    assert list(stages) == ['classifier', 'all_losses']
    for stage, record in stages.items():
      assert record['steps'] == 2  # 128 images in batches of 64.
      assert record['seconds'] > 0
      (epoch,) = record['epochs']
      assert (epoch['reconstruction'] > 0) == (stage == 'all_losses')
      for key in ('accuracy', 'val_accuracy', 'watched_latent_eta'):
        assert 0 <= epoch[key] <= 1
    for folder in (seed, f'{seed}/classifier'):
      assert (nrm_run.folder / folder / 'weights.index').exists()
      assert not (nrm_run.folder / folder / 'backup').exists()


def test_results_over_runs_are_means_and_deviations(nrm_results):
  runs = nrm_results['runs'].values()
  for score, aurocs in nrm_results['auroc'].items():
    for name, found in aurocs.items():
      values = [run['auroc'][score][name]['auroc'] for run in runs]
      assert found['mean'] == pytest.approx(np.mean(values))
      deviation = np.std(values, ddof=1)
      assert found['standard_deviation'] == pytest.approx(deviation)
      assert found['num_runs'] == 2
  for name, found in nrm_results['accuracy'].items():
    values = [run['accuracy'][name] for run in runs]
    assert found['mean'] == pytest.approx(np.mean(values))


@pytest.mark.parametrize('score', _NRM_SCORES)
def test_every_score_of_neural_rendering_models_is_kept(
  nrm_results, nrm_arrays, score
):
  for seed, run in nrm_results['runs'].items():
    inside = nrm_arrays[f'{_IN}/scores/{seed}/{score}']
    assert inside.shape == (40,)
    assert list(run['auroc'][score]) == _NRM_NAMES[1:]
    for name, auroc in run['auroc'][score].items():
      outside = nrm_arrays[f'{name}/scores/{seed}/{score}']
      assert auroc['auroc'] == pytest.approx(_pairs_in_order(inside, outside))
      assert auroc['lower'] <= auroc['auroc'] <= auroc['upper']


def test_scores_are_those_of_the_statistics(nrm_results, nrm_arrays):
  for name in _NRM_NAMES:
    layers = nrm_arrays[f'{name}/nrm_layer_reconstructions']
    assert layers.shape == (40, _NUM_LAYERS + 1)
    for score, expected in {
      'latent_eta': -nrm_arrays[f'{name}/nrm_latent_eta'],
      'log_prob': -nrm_arrays[f'{name}/nrm_log_prob'],
      'reconstruction_0': -layers[:, 0],
      'reconstruction_6': -layers[:, 6],
    }.items():
      np.testing.assert_allclose(
        nrm_arrays[f'{name}/scores/seed_0/{score}'], expected, rtol=1e-5
      )
    # Without normalization, the layers' shares add up.
    np.testing.assert_allclose(
      nrm_arrays[f'{name}/nrm_layer_etas'].sum(axis=1),
      nrm_arrays[f'{name}/nrm_latent_eta'],
      rtol=1e-3,
      atol=1e-2,
    )


def test_data_of_less_variance(example_modules):
  rendering_evaluation = example_modules('rendering_evaluation')
  config = {
    'in_distribution': 'sample_photographs',
    'train_split': 'train',
    'test_split': 'test',
    'batch_size': 50,
    'seed': 0,
  }
  evaluation = {
    'out_of_distribution': ['sample_digits', 'sample_photographs'],
    'num_evaluated': 50,
  }
  datasets = rendering_evaluation.datasets(evaluation, config, None)
  first, scaled = (
    np.concatenate([images for images, _ in datasets[name]]).astype(np.float64)
    for name in (_OTHERS[0], f'{_OTHERS[0]} x 0.8')
  )
  np.testing.assert_allclose(scaled - 127.5, 0.8 * (first - 127.5), atol=0.51)
  assert scaled.var() == pytest.approx(0.64 * first.var(), rel=0.01)


def test_wrong_labels_are_wrong(nrm_results, nrm_arrays):
  for name in (_IN, _OTHERS[0]):
    inferred = nrm_arrays[f'{name}/labels_inferred']
    for which in ('second', 'random'):
      # Of two classes, only one is wrong.
      np.testing.assert_array_equal(
        nrm_arrays[f'{name}/labels_{which}'], 1 - inferred
      )
  wrong = nrm_results['wrong_labels']
  assert list(wrong) == ['inferred', 'second', 'random']
  for name, found in wrong['inferred'].items():
    assert found['mean']['mean'] == pytest.approx(
      nrm_results['means'][name]['latent_mode_normalised']['mean'],
      rel=1e-3,
      abs=1e-2,
    )
    assert found['mean']['mean'] != wrong['second'][name]['mean']['mean']
    assert wrong['random'][name]['mean']['mean'] == pytest.approx(
      wrong['second'][name]['mean']['mean'], rel=1e-4, abs=1e-4
    )


def test_extreme_images_of_neural_rendering_models(nrm_arrays):
  for name in _NRM_NAMES:
    for kind in ('latent_mode_normalised', 'log_prob'):
      values = nrm_arrays[f'{name}/nrm_{kind}']
      key = f'{name}/{kind.partition("_mode")[0]}'
      for extreme, expected in (
        ('most_likely', np.sort(values)[::-1]),
        ('least_likely', np.sort(values)),
      ):
        indices = nrm_arrays[f'{key}/{extreme}_indices']
        np.testing.assert_allclose(values[indices], expected[:25])
        for images in (f'{extreme}', f'{extreme}_rendered'):
          assert nrm_arrays[f'{key}/{images}'].shape == (25, 32, 32, 3)
          assert nrm_arrays[f'{key}/{images}'].dtype == np.uint8


def test_the_report_of_neural_rendering_models(nrm_run, nrm_results):
  page = _Page((nrm_run.folder / 'report.html').read_text(encoding='utf-8'))
  paths = list((nrm_run.folder / 'figures').iterdir())
  assert len(paths) == len(page.images)
  assert page.others == []
  assert {path.stem for path in paths} >= {
    'latent_mode_normalised',
    'log_prob',
    'reconstruction_by_layer',
    'auroc_of_etas',
    'auroc_of_reconstructions',
    'switches',
    'latent_most_likely_sample_photographs_test',
    'latent_least_likely_sample_digits_test',
    'wrong_labels_sample_digits_test',
    'classifier_watched',
    'all_losses_losses',
    *(f'features_{layer}' for layer in range(1, _NUM_LAYERS + 1)),
  }
  table = next(
    t for t in page.tables if t[0][0] == 'data set' and len(t[0]) == 4
  )
  assert [row[0] for row in table[1:]] == _NRM_NAMES
  for row in table[1:]:
    value = nrm_results['means'][row[0]]['log_prob']
    assert row[1].startswith(f'{value["mean"]:.3f}')
    assert row[1].endswith(f'{value["standard_deviation"]:.3f}')


def test_the_detector_of_neural_rendering_models(nrm_run, nrm_arrays):
  detector = tf.saved_model.load(nrm_run.folder / 'detector')
  images = nrm_arrays[f'{_OTHERS[0]}/latent/most_likely']
  indices = nrm_arrays[f'{_OTHERS[0]}/latent/most_likely_indices']
  scores = nrm_arrays[f'{_OTHERS[0]}/scores/seed_0/latent_mode_normalised']
  np.testing.assert_allclose(
    detector.score(images), scores[indices], rtol=1e-3, atol=1e-2
  )


def test_more_runs_are_added_to_those_there(
  nrm_run, nrm_results, tmp_path, run_example, capsys
):
  folder = tmp_path / 'run'
  shutil.copytree(nrm_run.folder, folder)
  flags = (*_NRM_FLAGS, f'--output_dir={folder}')
  run_example(*flags, script='cifar_svhn')
  assert 'The run is complete' in capsys.readouterr().out
  with pytest.raises(app.UsageError, match='negativity'):
    run_example(*flags, '--negativity_weight=0', script='cifar_svhn')
  # As if it had been killed between the stages of its second run.
  for name in ('weights.index', 'training.json', 'epochs.csv'):
    (folder / 'seed_1' / name).unlink()
  (folder / 'results.json').unlink()
  run_example(*flags, script='cifar_svhn')
  output = capsys.readouterr().out
  assert output.count('The model is trained already') == 3
  results = tfp_ood.reporting.read_results(folder / 'results.json')
  assert results['runs']['seed_0'] == nrm_results['runs']['seed_0']
  stages = results['training']['seed_1']
  expected = nrm_results['training']['seed_1']
  assert stages['classifier'] == expected['classifier']
  assert stages['all_losses']['steps'] == expected['all_losses']['steps']


@pytest.mark.parametrize(
  ('flags', 'match'),
  [
    (['--network=all_cnn_c', '--normalization=folded'], 'none|untied'),
    (['--network=small_resnet', '--normalization=none'], 'folded|untied'),
  ],
)
def test_normalizations_that_a_network_does_not_have_are_refused(
  tmp_path, run_example, flags, match
):
  with pytest.raises(app.UsageError, match=re.escape(match)):
    run_example(
      '--data=sample',
      '--model=nrm',
      *flags,
      f'--output_dir={tmp_path / "run"}',
      script='cifar_svhn',
    )
  assert not (tmp_path / 'run').exists()


def test_training_images_are_shifted_and_mirrored(example_modules):
  rendering_training = example_modules('rendering_training')
  images = np.random.default_rng(0).integers(0, 256, [64, 8, 8, 3])
  images = images.astype(np.uint8)
  found = rendering_training._crop_and_flip(
    tf.constant(images), tf.constant([1, 2])
  ).numpy()
  padded = np.pad(images, [[0, 0], [4, 4], [4, 4], [0, 0]])
  moves = set()
  for image, wide in zip(found, padded, strict=True):
    for y, x, step in itertools.product(range(9), range(9), (1, -1)):
      if np.array_equal(image, wide[y : y + 8, x : x + 8][:, ::step]):
        moves.add((y, x, step))
        break
    else:
      pytest.fail('An image is neither shifted nor mirrored.')
  assert {step for _, _, step in moves} == {1, -1}
  for axis in (0, 1):
    assert len({move[axis] for move in moves}) >= 8


def test_few_labels_are_shared_out(example_modules):
  rendering_training = example_modules('rendering_training')
  config = {
    'in_distribution': 'sample_digits',
    'train_split': 'train[:100]',
    'batch_size': 20,
    'seed': 0,
    'augmentation': False,
    'num_labelled': 15,
  }
  labelled, _ = next(
    iter(tfp_ood.datasets.load('sample_digits/train[:15]', batch_size=15))
  )
  known = {image.numpy().tobytes() for image in labelled}
  count = 0
  for images, labels in rendering_training._training_images(
    config, None, only_labelled=False
  ):
    assert np.count_nonzero(labels >= 0) == 10
    for image, label in zip(images.numpy(), labels.numpy(), strict=True):
      count += label < 0
      assert label < 0 or image.tobytes() in known
  assert count == 100
  only = rendering_training._training_images(config, None, only_labelled=True)
  labels = np.concatenate([labels for _, labels in only])
  assert len(labels) == 15
  assert np.all(labels >= 0)


# ----------------------------------------------------------------- autoencoders

_VAE_FLAGS = (
  '--data=sample',
  '--train_split=train[:128]',
  '--epochs=1',
  '--latent_size=3',
  '--vae_width=4',
  '--num_evaluated=80',
  '--num_regret=10',
  '--regret_steps=2',
)
_VAE_NAMES = [_IN, _TRAIN, _OTHERS[0], *_OTHERS[2:]]
_VAE_SCORES = [
  'elbo',
  'importance_weighted_5',
  'reconstruction',
  'log_prior',
  'posterior_entropy',
  'kl',
  'likelihood_regret',
  'typicality',
  'input_complexity',
  'elbo_adapted_encoder',
  'elbo_adapted_decoder',
  'elbo_adapted_both',
  'latent_one_class_svm',
  'latent_mahalanobis',
]
# Of models that have a prior.
_VARIATIONAL_SCORES = _VAE_SCORES[1:7]
_VAE_MODELS = ('autoencoder', 'beta_vae', 'f_vae', 'soft_intro_vae', 'vae')


@pytest.fixture(scope='module', name='features_dir')
def _features_dir(tmp_path_factory):
  """A classifier that the runs share."""
  return tmp_path_factory.mktemp('features')


def test_all_autoencoders_are_tested(example_modules):
  assert example_modules('vae_experiment').MODELS == _VAE_MODELS


def _check_scores_of_autoencoders(results, arrays):
  for score, aurocs in results['auroc'].items():
    count = 10 if score == 'likelihood_regret' else 80
    inside = arrays[f'{_IN}/scores/{score}']
    assert inside.shape == (count,)
    assert list(aurocs) == _VAE_NAMES[1:]
    for name, auroc in aurocs.items():
      outside = arrays[f'{name}/scores/{score}']
      assert auroc['auroc'] == pytest.approx(_pairs_in_order(inside, outside))
      assert auroc['lower'] <= auroc['auroc'] <= auroc['upper']
  compared = results['compared_with_elbo']
  assert list(compared) == list(results['auroc'])[1:]
  for score, tests in compared.items():
    for name, test in tests.items():
      # Of the images that both have scored.
      count = len(arrays[f'{name}/scores/{score}'])
      first, second = (
        _pairs_in_order(
          arrays[f'{_IN}/scores/{key}'][:count],
          arrays[f'{name}/scores/{key}'][:count],
        )
        for key in (score, 'elbo')
      )
      assert test['difference'] == pytest.approx(first - second, abs=1e-9)


def _check_components(results, arrays, model):
  for name in _VAE_NAMES:
    elbo, reconstruction, log_prior, entropy, kl = (
      arrays[f'{name}/elbo{component}']
      for component in (
        '',
        '_reconstruction',
        '_log_prior',
        '_posterior_entropy',
        '_kl',
      )
    )
    np.testing.assert_allclose(
      reconstruction + log_prior + entropy, elbo, rtol=1e-5
    )
    np.testing.assert_allclose(log_prior + entropy, -kl, rtol=1e-3, atol=1e-3)
    # That of the flow is an estimate, by one sample.
    assert model == 'f_vae' or np.all(kl >= 0)
    for score, values in {
      'elbo': -elbo,
      'reconstruction': -reconstruction,
      'log_prior': -log_prior,
      'posterior_entropy': -entropy,
      'kl': kl,
    }.items():
      np.testing.assert_allclose(
        arrays[f'{name}/scores/{score}'], values, rtol=1e-4, atol=1e-4
      )
    # A posterior fitted to the image is never worse.
    assert np.all(arrays[f'{name}/scores/likelihood_regret'] >= -0.1)
    mean = results['components'][name]['elbo']['mean']
    assert mean == pytest.approx(elbo.mean(), rel=1e-5)


def _check_latents(results, arrays):
  assert list(results['separation']) == [
    'latent',
    'latent_adapted',
    'projected_pixels',
  ]
  for by_dataset in results['separation'].values():
    assert list(by_dataset) == _VAE_NAMES[1:]
    for found in by_dataset.values():
      for key, estimate in (
        ('accuracy_in', 'estimate'),
        ('accuracy_out', 'estimate'),
        ('auroc', 'auroc'),
      ):
        values = found[key]
        assert 0 <= values['lower'] <= values[estimate] <= values['upper'] <= 1
  for name in _VAE_NAMES[:3]:
    assert arrays[f'{name}/distance'].shape == (80,)
    assert arrays[f'{name}/embedded'].shape == (10, 2)
  # Of all images, the machine has seen those that it separates.
  inside, outside = (arrays[f'{name}/distance'] for name in (_IN, _OTHERS[0]))
  assert _pairs_in_order(inside, outside) > 0.5
  for name in (_IN, _OTHERS[0]):
    traversal = arrays[f'{name}/traversal']
    assert traversal.shape == (6, 10, 32, 32, 3)
    assert traversal.dtype == np.uint8
    np.testing.assert_array_equal(
      traversal[:, 0], arrays[f'{name}/original'][:6]
    )


def _check_frechet_distances(results, is_variational):
  frechet = results['frechet']
  samples = ['samples', 'samples_adapted'] if is_variational else []
  assert list(frechet['distances']) == [
    _IN,
    *_VAE_NAMES[2:],
    f'{_IN}, reconstructed',
    *samples,
  ]
  assert all(distance > 0 for distance in frechet['distances'].values())
  assert set(frechet['num_images'].values()) == {80}
  assert frechet['num_features'] == 64
  assert 0 <= frechet['accuracy'] <= 1


@pytest.mark.parametrize('model', _VAE_MODELS)
def test_autoencoders(
  tmp_path,
  run_example,
  example_modules,
  monkeypatch,
  features_dir,
  capsys,
  model,
):
  monkeypatch.setattr(example_modules('vae_latents'), '_NUM_EMBEDDED', 10)
  monkeypatch.setattr(example_modules('vae_features'), '_NUM_IMAGES', 128)
  folder = tmp_path / 'run'
  flags = (
    *_VAE_FLAGS,
    f'--model={model}',
    f'--features_dir={features_dir}',
    f'--output_dir={folder}',
  )
  run_example(*flags, script='cifar_svhn')
  output = capsys.readouterr().out
  results = tfp_ood.reporting.read_results(folder / 'results.json')
  arrays = tfp_ood.reporting.read_arrays(folder / 'scores.npz')
  is_variational = model != 'autoencoder'
  scores = [
    score
    for score in _VAE_SCORES
    if is_variational or score not in _VARIATIONAL_SCORES
  ]
  assert list(results['auroc']) == scores
  assert results['training']['steps'] == 2
  _check_scores_of_autoencoders(results, arrays)
  if is_variational:
    _check_components(results, arrays, model)
  _check_frechet_distances(results, is_variational)
  _check_latents(results, arrays)
  page = _Page((folder / 'report.html').read_text(encoding='utf-8'))
  paths = list((folder / 'figures').iterdir())
  assert len(paths) == len(page.images)
  assert page.others == []
  figures = {path.stem for path in paths}
  for name in ('samples', 'training_kl'):
    assert (name in figures) == is_variational
  assert figures >= {
    'component_elbo',
    'reconstructions_sample_photographs_test',
    'reconstructions_sample_digits_test',
    'traversal_sample_digits_test',
    'distance',
    'embedding',
    'training',
    'watched',
    *(
      f'{score}_{figure}'
      for score in ('typicality', 'latent_mahalanobis', *scores[1:2])
      for figure in ('histogram', 'roc')
    ),
  }
  for aurocs in results['auroc'].values():
    for name, auroc in aurocs.items():
      assert re.search(rf'^{name} +{auroc["auroc"]:.3f}', output, re.MULTILINE)
  assert (folder / 'saved_model').exists()
  detector = tf.saved_model.load(folder / 'detector')
  images = arrays[f'{_OTHERS[0]}/most_likely']
  indices = arrays[f'{_OTHERS[0]}/most_likely_indices']
  np.testing.assert_allclose(
    detector.score(images),
    arrays[f'{_OTHERS[0]}/scores/typicality'][indices],
    rtol=1e-3,
    atol=0.1,
  )
  run_example(*flags, script='cifar_svhn')
  assert 'The run is complete' in capsys.readouterr().out


class _InterruptedError(Exception):
  """Stops a run in the middle."""


def test_autoencoders_are_trained_on(
  tmp_path, run_example, example_modules, monkeypatch
):
  steps = []

  class Watch(tfp_ood.training.StopOnNaN):
    def on_train_batch_end(self, batch, logs=None):
      super().on_train_batch_end(batch, logs)
      steps.append(int(self.model.optimizer.iterations.numpy()))
      if len(steps) == 3:
        raise _InterruptedError

  def evaluate(*args):
    raise _TrainedError

  monkeypatch.setattr(tfp_ood.training, 'StopOnNaN', Watch)
  monkeypatch.setattr(example_modules('vae_training'), '_BACKUP_STEPS', 1)
  monkeypatch.setattr(example_modules('vae_evaluation'), 'evaluate', evaluate)
  folder = tmp_path / 'run'
  flags = (*_VAE_FLAGS, '--epochs=2', '--model=vae', f'--output_dir={folder}')
  with pytest.raises(_InterruptedError):
    run_example(*flags)
  assert (folder / 'backup').exists()
  with pytest.raises(_TrainedError):
    run_example(*flags)
  assert steps == [1, 2, 3, 3, 4]
  assert not (folder / 'backup').exists()
  training = tfp_ood.reporting.read_results(folder / 'training.json')
  assert training['steps'] == 4
  assert [row['epoch'] for row in training['epochs']] == [1, 2]
  with pytest.raises(app.UsageError, match='latent_size: 3 there, 5 now'):
    run_example(*flags, '--latent_size=5')


@pytest.mark.parametrize(
  ('flags', 'match'),
  [
    (['--model=vae', '--beta=2'], 'vae has no --beta'),
    (['--model=autoencoder', '--kl_warmup_steps=2'], 'no --kl_warmup_steps'),
    (['--model=soft_intro_vae', '--free_bits=2'], 'no --free_bits'),
    (['--model=f_vae', '--decoder=categorical'], 'f_vae has no --decoder'),
    (['--model=vae', '--num_importance_samples=1'], 'above 1'),
    (['--model=vae', '--num_importance_samples=5,many'], '5,many'),
  ],
)
def test_flags_that_autoencoders_do_not_have_are_refused(
  tmp_path, run_example, flags, match
):
  with pytest.raises(app.UsageError, match=match):
    run_example(*_VAE_FLAGS, *flags, f'--output_dir={tmp_path / "run"}')
  assert not (tmp_path / 'run').exists()


# --------------------------------------------------------------- in a pipeline


def test_score_a_pipeline(all_scores_run, tmp_path):
  path = conftest.EXAMPLES / 'score_a_pipeline.py'
  assert len(path.read_text().splitlines()) < 100
  names = ['sample_photographs/test[40:120]', 'sample_digits/test[:40]']
  result = conftest.run_python(
    [
      path,
      f'--detector={all_scores_run.folder / "detector"}',
      f'--in_distribution={names[0]}',
      f'--out_of_distribution={names[1]}',
      '--false_alarm_rate=0.2',
      '--false_discovery_rate=0.5',
    ],
    tmp_path,
  )
  assert result.returncode == 0, result.stderr[-4000:]
  rows = dict(
    (line.rsplit(maxsplit=3)[0], [int(n) for n in line.split()[-3:]])
    for line in result.stdout.splitlines()
    if line.startswith('sample_')
  )
  detector = tf.saved_model.load(all_scores_run.folder / 'detector')
  p_values = {
    name: np.concatenate(
      [
        detector.p_value(images)
        for images, _ in tfp_ood.datasets.load(name, batch_size=7)
      ]
    )
    for name in names
  }
  # All of them are one batch, in whatever order.
  together = np.concatenate(list(p_values.values()))
  reject = tfp_ood.stats.benjamini_hochberg(together, 0.5).reject.numpy()
  flagged = collections.Counter(np.repeat(names, [80, 40])[reject].tolist())
  assert list(rows) == names
  for name in names:
    passed = np.count_nonzero(p_values[name] > 0.2)
    assert rows[name] == [len(p_values[name]), passed, flagged[name]]


def test_score_a_pipeline_says_where_detectors_come_from(tmp_path):
  path = conftest.EXAMPLES / 'score_a_pipeline.py'
  result = conftest.run_python([path], tmp_path)
  assert result.returncode != 0
  assert 'Traceback' not in result.stderr
  output = ' '.join((result.stdout + result.stderr).split())
  assert 'outputs/glow_tiny_sample_photographs/detector' in output
  assert 'python examples/cifar_svhn.py --data=sample' in output
