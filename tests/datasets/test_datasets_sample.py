# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of tfp_ood.datasets._sample."""

import hashlib

import numpy as np
import pytest
import sklearn.datasets

from tfp_ood.datasets import _sample


@pytest.mark.parametrize(
  'name, num_train, num_test',
  [('sample_photographs', 2810, 774), ('sample_digits', 1297, 500)],
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
      '1bb4b2f4c9835a53e1409e1945778c212845852d6ee7a1cc1c6599913847a740',
      [31.4, 38.2, 90.7, 50.1, 143.0],
      [39.7, 68.2, 25.9, 130.4, 135.0],
    ),
    (
      'sample_digits',
      '368bbe7bf5acf6d1d10bbfeb1596b341a4e2030e52c2c386cb7165a366b6f369',
      [95.2, 75.4, 88.2, 191.8, 41.0],
      [72.1, 93.0, 103.7, 81.3, 93.0],
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


@pytest.fixture(name='blocks', scope='module')
def _blocks():
  """All blocks, as pairs of a split and the patches before any light."""
  photographs = sklearn.datasets.load_sample_images().images
  return [
    (split, _sample._patches(block))
    for label, photograph in enumerate(photographs)
    for split, block in _sample._blocks(photograph, label)
  ]


@pytest.mark.parametrize('label', [0, 1])
def test_photographs_train_and_test_share_no_pixel(monkeypatch, label):
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
    return np.zeros((32, 32, 1), np.float32)

  monkeypatch.setattr(_sample, '_shrunk', shrunk)
  for split, block in _sample._blocks(numbers, label):
    patches.clear()
    _sample._patches(block)
    for scale, pixels in patches:
      used[split][pixels] = True
      scales[split].add(scale)
  assert not np.any(used['train'] & used['test'])
  assert used['train'].mean() > 0.6
  assert used['test'].mean() > 0.3
  assert scales['train'] == scales['test'] == {1, 2, 3}


def test_shrunk_takes_the_mean_of_cells():
  pixels = np.arange(64 * 64 * 3).reshape(64, 64, 3) % 251
  small = _sample._shrunk(pixels, 2)
  assert small[3, 5, 1] == pixels[6:8, 10:12, 1].mean()


def test_photographs_show_something(blocks):
  deviations = {'train': [], 'test': []}
  for split, patches in blocks:
    deviations[split].extend(patches.std(axis=(1, 2)).mean(axis=1))
  for split, (images, _) in _sample.sample_arrays('sample_photographs').items():
    kept = np.count_nonzero(np.array(deviations[split]) >= 21.4)
    assert 0.4 < kept / len(deviations[split]) < 0.6
    assert len(images) == kept * (2 if split == 'train' else 1)
    # In the dimmest light.
    assert images.std(axis=(1, 2)).mean(axis=1).min() > 21.4 * 0.5 * 0.65


def test_decoders_of_jpeg_do_not_decide_what_is_kept(blocks):
  # A level more or less in every pixel at random.
  generator = np.random.default_rng(0)
  for _, patches in blocks:
    noisy = patches + generator.integers(-1, 2, size=patches.shape)
    np.testing.assert_array_equal(
      _sample._deviations(noisy) >= _sample._MIN_DEVIATION,
      _sample._deviations(patches) >= _sample._MIN_DEVIATION,
    )


def test_train_photographs_have_their_mirror_images(monkeypatch):
  monkeypatch.setattr(_sample, '_lit', lambda patches, generator: patches)
  images, labels = _sample._photographs()['train']
  seen = {image.tobytes() for image in images}
  assert all(image[:, ::-1].tobytes() in seen for image in images)
  assert np.bincount(labels).tolist() == [1790, 1020]


def test_light_changes_brightness_and_color_alone():
  generator = np.random.default_rng(0)
  patches = generator.uniform(50, 100, size=(300, 32, 32, 3))
  ratios = _sample._lit(patches, np.random.default_rng(1)) / patches
  # One factor for each channel of a patch, but for rounding.
  assert ratios.std(axis=(1, 2)).max() < 0.01
  factors = ratios.mean(axis=(1, 2))
  assert factors.min() == pytest.approx(0.5 * 0.65, abs=0.05)
  assert factors.max() == pytest.approx(1.5, abs=0.05)
  tints = factors.min(axis=1) / factors.max(axis=1)
  assert tints.min() == pytest.approx(0.65, abs=0.05)
  bright = _sample._lit(np.full([300, 1, 1, 3], 255.0), generator)
  assert bright.max() == 255
  assert np.all(bright > 255 * 0.5 * 0.65 - 1)


@pytest.mark.parametrize('name', _sample.SAMPLES)
def test_train_and_test_are_alike(name):
  splits = _sample.sample_arrays(name)
  train, test = (splits[split][0].astype(float) for split in ('train', 'test'))
  assert abs(train.mean() - test.mean()) < 6
  assert abs(train.std() - test.std()) < 3


def test_digits_are_smoother_than_photographs_of_similar_colors():
  photographs, digits = (
    _sample.sample_arrays(name)['train'][0].astype(float)
    for name in ('sample_photographs', 'sample_digits')
  )
  assert abs(photographs.mean() - digits.mean()) < 15
  within_image = [
    images.std(axis=(1, 2)).mean() for images in (digits, photographs)
  ]
  assert within_image[0] < 0.7 * within_image[1]
  between_neighbors = [
    np.abs(np.diff(images, axis=2)).mean() for images in (digits, photographs)
  ]
  assert between_neighbors[0] < 0.33 * between_neighbors[1]


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
