# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the recipe of neural rendering models, on two small ones."""

import itertools
import pathlib
import shutil

import numpy as np
import pytest
import tensorflow as tf
from recipes.small_runs import IN, OUT, TRAIN, check_files, small_run

import tfp_ood
from tfp_ood import reporting
from tfp_ood.recipes import rendering

_NAMES = [IN, TRAIN, OUT, 'constant', 'uniform_noise', f'{OUT} x 0.8']
_SETTINGS = {
  'network': 'alexnet_like',
  'width': 0.03,
  'classifier_epochs': 1,
  'epochs': 1,
  'num_runs': 2,
}
_NUM_LAYERS = 6


def _small(folder, **settings):
  return small_run(
    folder, 'nrm', _SETTINGS | settings, train_split='train[:128]'
  )


@pytest.fixture(scope='module', name='run')
def _run(tmp_path_factory):
  """The folder of a run and its evaluation."""
  folder = pathlib.Path(tmp_path_factory.mktemp('run'))
  return folder, _small(folder).run()


@pytest.mark.slow
def test_the_files_of_a_run(run):
  folder, found = run
  assert found.datasets == _NAMES
  assert list(found.scores) == [
    'latent_mode_normalized',
    'latent_eta',
    'latent_rpn',
    'latent_layerwise',
    'log_prob',
    'reconstruction_0',
    'reconstruction_6',
    'density_of_layers',
    'max_softmax',
    'energy',
    'default',
  ]
  check_files(
    folder,
    found,
    'default',
    {
      'latent_mode_normalized_histogram',
      'log_prob_roc',
      'reconstruction_by_layer',
      'auroc_of_etas',
      'auroc_of_reconstructions',
      'switches',
      'sample_photographs_test_latent_mode_normalized_most_likely',
      'sample_digits_test_log_prob_least_likely',
      'wrong_labels_sample_digits_test',
      *(f'features_{layer}' for layer in range(1, _NUM_LAYERS + 1)),
    },
    atol=0.01,
  )


@pytest.mark.slow
def test_scores_are_those_of_the_statistics(run):
  _, found = run
  for name in _NAMES:
    values = found.statistics[name]
    layers = values['layer_reconstructions']
    assert layers.shape == (40, _NUM_LAYERS + 1)
    for score, expected in {
      'latent_eta': -values['latent_eta'],
      'log_prob': -values['log_prob'],
      'reconstruction_0': -layers[:, 0],
      'reconstruction_6': -layers[:, 6],
    }.items():
      np.testing.assert_allclose(found.scores[score][name], expected, rtol=1e-5)
    # Without normalization, the layers' shares add up.
    np.testing.assert_allclose(
      values['layer_etas'].sum(axis=1),
      values['latent_eta'],
      rtol=1e-3,
      atol=1e-2,
    )


@pytest.mark.slow
def test_training_is_recorded(run):
  folder, _ = run
  for seed, stage in itertools.product((0, 1), ('classifier', '')):
    path = folder / f'seed_{seed}' / stage
    record = reporting.read_results(path / 'training.json')
    assert record['steps'] == 2  # 128 images in batches of 64.
    assert record['seconds'] > 0
    (epoch,) = record['epochs']
    assert (epoch['reconstruction'] > 0) == (stage == '')
    for key in (
      'accuracy',
      'val_accuracy',
      'auroc_latent_eta_sample_digits test',
    ):
      assert 0 <= epoch[key] <= 1
    configuration = reporting.read_results(path / 'configuration.json')
    assert configuration['seed'] == seed
    assert ('negativity_weight' in configuration) == (stage == '')
    assert (path / 'weights.index').exists()
    assert not (path / 'backup').exists()


@pytest.mark.slow
def test_results_over_runs(run):
  _, found = run
  sections = found.results()['sections']
  over = sections['Over training runs']
  assert over['auroc'].keys() == found.scores.keys()
  for by_dataset in over['auroc'].values():
    for values in by_dataset.values():
      assert values['num_runs'] == 2
      assert values['standard_deviation'] >= 0
  accuracy = sections['Accuracy']
  assert list(accuracy) == [IN, TRAIN]
  assert all(0 <= value['mean'] <= 1 for value in accuracy.values())
  wrong = sections['The wrong label']['mean']
  assert list(wrong) == ['inferred', 'second', 'random']
  for name in _NAMES:
    assert wrong['inferred'][name][0] == pytest.approx(
      found.statistics[name]['latent_mode_normalized'].mean(),
      rel=1e-3,
      abs=1e-2,
    )
    # There are two classes: another at random is the second best.
    assert wrong['random'][name] == pytest.approx(
      wrong['second'][name], rel=1e-4, abs=1e-4
    )


@pytest.mark.exhaustive
def test_what_is_trained_is_not_trained_again(run, tmp_path, capsys):
  finished, _ = run
  folder = tmp_path / 'run'
  shutil.copytree(finished, folder)
  assert _small(folder).is_complete()
  with pytest.raises(tfp_ood.training.OtherSettingsError, match='negativity'):
    _small(folder, negativity_weight=0.0).is_complete()
  # As if it had been killed between the stages of its second run.
  for name in ('weights.index', 'training.json', 'epochs.csv'):
    (folder / 'seed_1' / name).unlink()
  (folder / 'results.json').unlink()
  again = _small(folder)
  assert not again.is_complete()
  capsys.readouterr()
  for seed in (0, 1):
    config = again.model | {'seed': seed, 'normalization': 'none'}
    rendering._trained(again, f'seed_{seed}', config)
  output = capsys.readouterr().out
  assert output.count('The model is trained already') == 3
  then, now = (
    tf.train.load_checkpoint(str(path / 'seed_1' / 'weights'))
    for path in (finished, folder)
  )
  for name in then.get_variable_to_shape_map():
    if not name.startswith('_'):  # The object graph is no number.
      np.testing.assert_allclose(
        now.get_tensor(name), then.get_tensor(name), rtol=1e-4, atol=1e-5
      )


# ------------------------------------------------------------------------ its parts


def test_data_of_less_variance():
  images = np.arange(256, dtype=np.uint8).reshape([1, 16, 16, 1])
  scaled = rendering._scaled(images).numpy()
  assert scaled.dtype == np.uint8
  np.testing.assert_allclose(scaled - 127.5, 0.8 * (images - 127.5), atol=0.501)


def test_few_labels_are_shared_out(tmp_path):
  run = tfp_ood.recipes.Run(
    tfp_ood.recipes.RECIPES['nrm'],
    str(tmp_path),
    'sample_digits',
    ['sample_photographs'],
    preset='tiny',
    settings={'num_labelled': 15, 'batch_size': 20, 'augmentation': False},
    train_split='train[:100]',
    num_evaluated=10,
  )
  labelled, _ = next(
    iter(tfp_ood.datasets.load('sample_digits/train[:15]', batch_size=15))
  )
  known = {image.numpy().tobytes() for image in labelled}
  count = 0
  for images, labels in rendering._labelled_and_other_images(run, run.model):
    assert np.count_nonzero(labels >= 0) == 10
    for image, label in zip(images.numpy(), labels.numpy(), strict=True):
      count += label < 0
      assert label < 0 or image.tobytes() in known
  assert count == 100
  only = rendering._labelled_images(run, run.model)
  labels = np.concatenate([labels for _, labels in only])
  assert len(labels) == 15
  assert np.all(labels >= 0)


@pytest.mark.slow
@pytest.mark.parametrize('network', list(rendering._NORMALIZATIONS))
def test_networks_and_their_normalizations(tmp_path, network):
  for normalization in rendering._NORMALIZATIONS[network]:
    run = small_run(
      tmp_path, 'nrm', {'network': network, 'width': 0.02}, num_evaluated=4
    )
    config = run.model | {'normalization': normalization}
    classifier = rendering._classifier(run, config)
    names = {type(layer).__name__ for layer in classifier.submodules}
    has = network == 'small_resnet' or (
      network == 'all_conv13' and normalization != 'none'
    )
    assert ('BatchNormalization' in names) == has
    assert classifier.output_shape == (None, 2)
