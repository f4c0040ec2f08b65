# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of tfp_ood.datasets._prepared, on a tiny TFDS data set made here."""

import os
import socket

import numpy as np
import pytest
import tensorflow_datasets as tfds

from tfp_ood import datasets
from tfp_ood.datasets import _prepared

_SHAPES = {
  'labelled': (8, 6, 3),
  'unlabelled': (8, 6, 1),
  'sizes': (None, 6, 3),
}


class TinyTestImages(tfds.core.GeneratorBasedBuilder):
  """Image `i` is constant `i`; a configuration for each kind of features."""

  VERSION = tfds.core.Version('1.0.0')
  BUILDER_CONFIGS = [tfds.core.BuilderConfig(name=name) for name in _SHAPES]

  def _info(self):
    name = self.builder_config.name
    features = {'image': tfds.features.Image(shape=_SHAPES[name])}
    if name == 'labelled':
      features['label'] = tfds.features.ClassLabel(num_classes=3)
    return tfds.core.DatasetInfo(
      builder=self, features=tfds.features.FeaturesDict(features)
    )

  def _split_generators(self, dl_manager):
    return {'test': self._generate_examples()}

  def _generate_examples(self):
    name = self.builder_config.name
    shape = tuple(size or 8 for size in _SHAPES[name])
    for index in range(10):
      example = {'image': np.full(shape, index, np.uint8)}
      if name == 'labelled':
        example['label'] = index % 3
      yield index, example


@pytest.fixture(scope='module')
def data_dir(tmp_path_factory):
  directory = tmp_path_factory.mktemp('tensorflow_datasets')
  for name in _SHAPES:
    TinyTestImages(config=name, data_dir=directory).download_and_prepare()
  return directory


def test_images_and_labels(data_dir):
  dataset = datasets.load('tiny_test_images/labelled/test', data_dir=data_dir)
  images, labels = next(iter(dataset))
  assert images.shape == (10, 8, 6, 3)
  assert sorted(images[:, 0, 0, 0].numpy()) == list(range(10))
  np.testing.assert_array_equal(images[:, 0, 0, 0] % 3, labels)


def test_static_shapes_and_cardinality(data_dir):
  dataset = datasets.load(
    'tiny_test_images/labelled', 'test[:7]', data_dir, batch_size=3
  )
  images, labels = dataset.element_spec
  assert (images.shape.as_list(), images.dtype) == ([None, 8, 6, 3], 'uint8')
  assert (labels.shape.as_list(), labels.dtype) == ([None], 'int64')
  assert dataset.cardinality() == 3
  assert [len(labels) for _, labels in dataset] == [3, 3, 1]


def test_num_examples(data_dir):
  name = 'tiny_test_images/labelled/test[:70%]'
  assert datasets.num_examples(name, data_dir=data_dir) == 7


def test_without_labels_they_are_minus_one(data_dir):
  dataset = datasets.load('tiny_test_images/unlabelled/test', data_dir=data_dir)
  images, labels = next(iter(dataset))
  assert images.shape == (10, 8, 6, 1)
  assert labels.numpy().tolist() == [-1] * 10


def test_images_of_many_sizes(data_dir):
  with pytest.raises(ValueError, match='uint8 images of one size'):
    datasets.load('tiny_test_images/sizes/test', data_dir=data_dir)


def test_absent_split_names_those_available(data_dir):
  with pytest.raises(
    ValueError, match="Unknown split 'train'(.|\n)*test \\(10 examples\\)"
  ):
    datasets.load('tiny_test_images/labelled/train', data_dir=data_dir)


def test_absent_data_set_says_what_to_run_without_network(
  tmp_path, monkeypatch
):
  calls = []
  monkeypatch.setattr(socket, 'getaddrinfo', lambda *_, **__: calls.append(1))
  with pytest.raises(FileNotFoundError) as caught:
    datasets.load('imagenet_resized/32x32/validation', data_dir=tmp_path)
  message = str(caught.value)
  folder = tmp_path / 'imagenet_resized' / '32x32'
  assert f"Data set 'imagenet_resized/32x32' is not in {folder}" in message
  assert f'tfds build imagenet_resized/32x32 --data_dir={tmp_path}`' in message
  for way_out in ('download=True', '--data_dir;', 'sample_photographs'):
    assert way_out in message
  assert 'download failed' not in message
  assert not calls
  assert not list(tmp_path.iterdir())


def test_default_directory_is_that_of_tfds():
  # TFDS reads its environment variable when it is imported, so only compare.
  with pytest.raises(FileNotFoundError) as caught:
    datasets.load('tiny_test_images/labelled/test')
  assert tfds.core.constants.DATA_DIR in str(caught.value)


def test_failed_download_says_why_and_what_to_run(tmp_path, monkeypatch):
  def fail(self, **_):
    raise ConnectionError('no route to host')

  monkeypatch.setattr(TinyTestImages, 'download_and_prepare', fail)
  with pytest.raises(FileNotFoundError) as caught:
    datasets.load(
      'tiny_test_images/labelled/test', data_dir=tmp_path, download=True
    )
  message = str(caught.value)
  assert "download failed (ConnectionError('no route to host'))" in message
  assert f'tfds build tiny_test_images/labelled --data_dir={tmp_path}`' in (
    message
  )
  assert isinstance(caught.value.__cause__, ConnectionError)


def test_download_prepares_what_is_absent(tmp_path):
  dataset = datasets.load(
    'tiny_test_images/labelled/test', data_dir=tmp_path, download=True
  )
  assert len(next(iter(dataset))[0]) == 10


@pytest.mark.parametrize(
  'name, message',
  [
    ('cifar11/test', "'cifar11' is no data set. Did you mean .*'cifar10'"),
    ('svhn/test', "Did you mean 'svhn_cropped'"),
    ('sample_digit/test', "Did you mean 'sample_digits'"),
    ('uniform_noises/test', "Did you mean 'uniform_noise'"),
    ('qqqqqqqq/test', "'qqqqqqqq' is no data set. Known are 'sample_digits'"),
    ('huggingface:mnist/test', 'without a namespace'),
    ('imagenet_resized/33x33/test', 'cannot be loaded(.|\n)*32x32'),
    ('mnist:9.9.9/test', 'cannot be loaded.*only: 3.0.1'),
    ('mnist/a/b/test', '`name` must be'),
  ],
)
def test_unknown_name(name, message, tmp_path):
  with pytest.raises(ValueError, match=message):
    datasets.load(name, data_dir=tmp_path)


@pytest.mark.skipif(
  'TFP_OOD_DATA_DIR' not in os.environ,
  reason='TFP_OOD_DATA_DIR does not name a TFDS directory with real data.',
)
@pytest.mark.parametrize(
  'name, shape',
  [
    ('cifar10', (32, 32, 3)),
    ('svhn_cropped', (32, 32, 3)),
    ('fashion_mnist', (28, 28, 1)),
    ('mnist', (28, 28, 1)),
  ],
)
def test_real_data(name, shape):
  directory = os.environ['TFP_OOD_DATA_DIR']
  if not os.path.isdir(os.path.join(directory, name)):
    pytest.skip(f'{name} is not in {directory}.')
  examples = _prepared.prepared_examples(name, 'test[:200]', directory)
  images, labels = next(examples.batch(200).as_numpy_iterator())
  assert images.shape == (200, *shape)
  assert images.min() < 50 and images.max() > 200
  assert set(labels) == set(range(10))
  assert datasets.num_examples(f'{name}/test', data_dir=directory) >= 10000
