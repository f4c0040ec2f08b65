# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of tfp_ood.datasets._sample."""

import hashlib

import numpy as np
import pytest

from tfp_ood.datasets import _sample


@pytest.mark.parametrize(
  'name, num_train, num_test',
  [('sample_photographs', 4176, 696), ('sample_digits', 1297, 500)],
)
def test_sizes_and_dtypes(name, num_train, num_test):
  splits = _sample.sample_arrays(name)
  assert list(splits) == ['train', 'test']
  for split, number in [('train', num_train), ('test', num_test)]:
    images, labels = splits[split]
    assert images.shape == (number, 32, 32, 3)
    assert images.dtype == np.uint8
    assert labels.shape == (number,)
    assert labels.dtype == np.int64


@pytest.mark.parametrize(
  'name, digest_of_labels, train_means, test_means',
  [
    (
      'sample_photographs',
      '64d1e9fcd5ee47c00e7c64ebff451a68907dc830d6fea4196622577d08edff62',
      [226.2, 233.4, 38.4, 235.8, 67.4],
      [57.6, 53.4, 28.4, 186.3, 213.1],
    ),
    (
      'sample_digits',
      '368bbe7bf5acf6d1d10bbfeb1596b341a4e2030e52c2c386cb7165a366b6f369',
      [53.0, 33.7, 248.8, 251.7, 196.5],
      [179.8, 22.4, 246.7, 113.3, 95.6],
    ),
  ],
)
def test_never_changes(name, digest_of_labels, train_means, test_means):
  # Decoders of JPEG may differ by a level here and there, so no checksum of
  # the pixels: the means of the first images pin their places and order.
  splits = _sample.sample_arrays(name)
  digest = hashlib.sha256()
  for _, labels in splits.values():
    digest.update(labels.astype('<i8').tobytes())
  assert digest.hexdigest() == digest_of_labels
  for split, means in [('train', train_means), ('test', test_means)]:
    first = splits[split][0][:5].mean(axis=(1, 2, 3))
    np.testing.assert_allclose(first, means, atol=0.5)


@pytest.mark.parametrize('name', _sample.SAMPLES)
def test_built_anew_the_same(name):
  first = _sample.sample_arrays(name)
  _sample.sample_arrays.cache_clear()
  # Nothing may depend on the global generator.
  np.random.seed(1)
  second = _sample.sample_arrays(name)
  for split in first:
    assert first[split][0] is not second[split][0]
    np.testing.assert_array_equal(first[split][0], second[split][0])
    np.testing.assert_array_equal(first[split][1], second[split][1])


def test_photographs_train_and_test_share_no_pixel(monkeypatch):
  # A photograph whose pixels are their own numbers, and a scaling that notes
  # which numbers a patch is made of.
  height, width = 427, 640
  numbers = np.arange(height * width).reshape(height, width, 1)
  used = {split: np.zeros(height * width, bool) for split in ('train', 'test')}
  patches = []
  scales = {'train': set(), 'test': set()}

  def shrunk(pixels, scale):
    assert pixels.shape == (32 * scale, 32 * scale, 1)
    patches.append((scale, pixels))
    return np.zeros((32, 32, 1), np.uint8)

  monkeypatch.setattr(_sample, '_shrunk', shrunk)
  for split, block in _sample._blocks(numbers):
    patches.clear()
    _sample._patches(block)
    for scale, pixels in patches:
      used[split][pixels] = True
      scales[split].add(scale)
  assert not np.any(used['train'] & used['test'])
  assert used['train'].mean() > 0.6
  assert used['test'].mean() > 0.2
  assert scales['train'] == scales['test'] == {2, 3}


def test_shrunk_takes_the_mean_of_cells():
  pixels = np.arange(64 * 64 * 3).reshape(64, 64, 3) % 251
  small = _sample._shrunk(pixels, 2)
  assert small[3, 5, 1] == np.rint(pixels[6:8, 10:12, 1].mean())


def test_train_photographs_have_their_mirror_images():
  images, labels = _sample.sample_arrays('sample_photographs')['train']
  seen = {image.tobytes() for image in images}
  assert all(image[:, ::-1].tobytes() in seen for image in images)
  assert np.bincount(labels).tolist() == [2088, 2088]


@pytest.mark.parametrize('name', _sample.SAMPLES)
def test_train_and_test_are_alike(name):
  splits = _sample.sample_arrays(name)
  train, test = (splits[split][0].astype(float) for split in ('train', 'test'))
  assert abs(train.mean() - test.mean()) < 6
  assert abs(train.std() - test.std()) < 3


def test_digits_vary_less_than_photographs_about_a_similar_mean():
  photographs, digits = (
    _sample.sample_arrays(name)['train'][0].astype(float)
    for name in ('sample_photographs', 'sample_digits')
  )
  assert abs(photographs.mean() - digits.mean()) < 10
  within_image = [
    images.std(axis=(1, 2)).mean() for images in (digits, photographs)
  ]
  assert within_image[0] < 0.4 * within_image[1]


def test_digits_have_every_class_in_both_splits():
  for _, labels in _sample.sample_arrays('sample_digits').values():
    counts = np.bincount(labels)
    assert len(counts) == 10
    assert counts.min() > 0.08 * len(labels)


def test_digits_show_their_label():
  # The same painting for every image: a nearest neighbour reads it, if the
  # labels were mixed together with the images.
  splits = _sample.sample_arrays('sample_digits')

  def standardized(images):
    gray = images.mean(axis=-1)[:, 2::4, 2::4].reshape(len(images), -1)
    gray = gray - gray.mean(axis=1, keepdims=True)
    return gray / np.linalg.norm(gray, axis=1, keepdims=True)

  train, test = (standardized(splits[split][0]) for split in ('train', 'test'))
  # Digits are darker or lighter than their plate, hence the absolute value.
  nearest = np.argmax(np.abs(test @ train.T), axis=1)
  correct = splits['train'][1][nearest] == splits['test'][1]
  assert correct.mean() > 0.7


@pytest.mark.parametrize('name', _sample.SAMPLES)
def test_arrays_are_read_only(name):
  for images, labels in _sample.sample_arrays(name).values():
    with pytest.raises(ValueError, match='read-only'):
      images[0] = 0
    with pytest.raises(ValueError, match='read-only'):
      labels[0] = 0


def test_unknown_sample():
  with pytest.raises(ValueError, match='`name` must be one of sample_digits'):
    _sample.sample_arrays('sample_paintings')
