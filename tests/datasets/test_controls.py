# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of tfp_ood.datasets._controls."""

import numpy as np
import pytest

from tfp_ood.datasets import _controls


def _arrays(*arguments, **keywords):
  examples = _controls.control_examples(*arguments, **keywords)
  images, labels = zip(*examples.as_numpy_iterator(), strict=True)
  return np.stack(images), np.stack(labels)


@pytest.mark.parametrize('name', ['constant', 'constant/0', 'uniform_noise'])
def test_static_shapes_and_cardinality(name):
  examples = _controls.control_examples(name, (4, 5, 2), 7, seed=0)
  image, label = examples.element_spec
  assert (image.shape, image.dtype) == ((4, 5, 2), 'uint8')
  assert (label.shape, label.dtype) == ((), 'int64')
  assert examples.cardinality() == 7
  assert len(list(examples)) == 7


@pytest.mark.parametrize('level', [0, 128, 255])
def test_one_level(level):
  images, labels = _arrays(f'constant/{level}', (4, 5, 2), 3, seed=0)
  assert np.all(images == level)
  assert labels.tolist() == [level] * 3


def test_levels_spread_evenly():
  images, labels = _arrays('constant', (4, 5, 2), 256, seed=0)
  assert labels.tolist() == list(range(256))
  assert np.all(images == labels[:, np.newaxis, np.newaxis, np.newaxis])


@pytest.mark.parametrize(
  'number, levels', [(1, [0]), (2, [0, 255]), (4, [0, 85, 170, 255])]
)
def test_few_levels_reach_both_ends(number, levels):
  _, labels = _arrays('constant', (2, 2, 1), number, seed=0)
  assert labels.tolist() == levels


def test_noise_is_uniform_and_independent():
  images, labels = _arrays('uniform_noise', (32, 32, 3), 100, seed=3)
  assert np.all(labels == -1)
  pixels = images.reshape(-1).astype(float)
  counts = np.bincount(images.reshape(-1), minlength=256)
  expected = pixels.size / 256
  # Chi-squared with 255 degrees of freedom: mean 255, standard deviation 22.6;
  # the seed is fixed, so this cannot fail by chance.
  assert np.sum((counts - expected) ** 2 / expected) < 255 + 4 * 22.6
  assert abs(pixels.mean() - 127.5) < 4 * 73.9 / np.sqrt(pixels.size)
  neighbours = np.corrcoef(pixels[:-1], pixels[1:])[0, 1]
  between_images = np.corrcoef(pixels[:-3072], pixels[3072:])[0, 1]
  assert abs(neighbours) < 4 / np.sqrt(pixels.size)
  assert abs(between_images) < 4 / np.sqrt(pixels.size)


def test_noise_follows_the_seed():
  first, _ = _arrays('uniform_noise', (8, 8, 3), 10, seed=1)
  again, _ = _arrays('uniform_noise', (8, 8, 3), 10, seed=1)
  other, _ = _arrays('uniform_noise', (8, 8, 3), 10, seed=2)
  np.testing.assert_array_equal(first, again)
  assert np.mean(first == other) < 0.05


def test_noise_does_not_depend_on_the_number():
  few, _ = _arrays('uniform_noise', (8, 8, 3), 3, seed=1)
  many, _ = _arrays('uniform_noise', (8, 8, 3), 10, seed=1)
  np.testing.assert_array_equal(few, many[:3])


@pytest.mark.parametrize(
  'name, message',
  [
    ('constant/256', "whole gray level in 0..255, got '256'"),
    ('constant/-1', "whole gray level in 0..255, got '-1'"),
    ('constant/gray', "whole gray level in 0..255, got 'gray'"),
    ('constant/1/test', 'Controls have no splits'),
    ('uniform_noise/test', 'Controls have no splits'),
  ],
)
def test_wrong_name(name, message):
  with pytest.raises(ValueError, match=message):
    _controls.control_examples(name, (4, 4, 1), 2, seed=0)


@pytest.mark.parametrize('shape', [(4, 4), (4, 0, 1), (4, None, 1)])
def test_wrong_shape(shape):
  with pytest.raises(ValueError, match='`image_shape` must be three positive'):
    _controls.control_examples('constant', shape, 2, seed=0)


@pytest.mark.parametrize('number', [0, -1, 2.5, None])
def test_wrong_number(number):
  with pytest.raises(ValueError, match='`num_examples` must be a positive int'):
    _controls.control_examples('constant', (4, 4, 1), number, seed=0)
