# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the images that a subcommand is given, and how it knows them again."""

import shutil

import numpy as np
import pytest
from cli.pictures import damage, write_pictures

from tfp_ood.cli._errors import CommandError
from tfp_ood.cli._images import Images, decoded_digests, encoded_digests


@pytest.fixture(scope='module', name='folder')
def _folder(tmp_path_factory):
  folder = tmp_path_factory.mktemp('images') / 'photos'
  write_pictures(folder, 'sample_photographs/train', 0, 100)
  return folder


def _pixels(images, **kwargs):
  return np.concatenate(list(images.batches(32, **kwargs)))


def test_a_folder(folder, capsys):
  images = Images(f'folder:{folder}')
  assert len(images) == 100 and images.image_shape == (32, 32, 3)
  assert images.label == 'photos'
  assert images.batches(32).cardinality() == 4
  expected = Images('sample_photographs/train[:100]')
  np.testing.assert_array_equal(_pixels(images), _pixels(expected))
  np.testing.assert_array_equal(images.digests, expected.digests)
  assert len(set(images.digests)) == 100
  assert 'reading photos: 100%' in capsys.readouterr().err


def test_images_are_known_by_their_pixels_alone(folder, tmp_path):
  for number, path in enumerate(sorted(folder.iterdir(), reverse=True)):
    shutil.copy(path, tmp_path / f'{number:03}.png')
  images, copies = Images(f'folder:{folder}'), Images(f'folder:{tmp_path}')
  np.testing.assert_array_equal(copies.digests[::-1], images.digests)
  np.testing.assert_array_equal(
    copies.is_held_out(0.3)[::-1], images.is_held_out(0.3)
  )


def test_parts(folder):
  images = Images(f'folder:{folder}')
  held_out = images.is_held_out(0.4)
  # Binomial: five standard deviations.
  assert 40 - 25 < np.count_nonzero(held_out) < 40 + 25
  assert not images.is_held_out(0.0).any()
  # A larger share holds out the same ones, and more.
  assert images.is_held_out(0.7)[held_out].all()
  learned, rest = images.where(~held_out), images.where(held_out)
  assert len(learned) + len(rest) == 100
  np.testing.assert_array_equal(_pixels(rest), _pixels(images)[held_out])
  some = rest.some(7)
  assert len(some) == 7 and set(some.digests) < set(rest.digests)
  np.testing.assert_array_equal(
    _pixels(some), _pixels(images)[np.isin(images.digests, some.digests)]
  )
  assert rest.some(1_000) is rest


def test_an_epoch_of_several_passes(folder):
  images = Images(f'folder:{folder}').some(10)
  batches = images.batches(4, shuffle_seed=0, repeats=3)
  assert batches.cardinality() == 8
  first, second = (np.concatenate(list(batches)) for _ in range(2))
  assert len(first) == 30 and not np.array_equal(first, second)
  for start in (0, 10, 20):  # Each pass has each image.
    one = {image.tobytes() for image in first[start : start + 10]}
    assert one == {image.tobytes() for image in _pixels(images)}


def test_any_data_set_comes_in_the_shape_asked_for():
  for name in ('sample_digits/test[:50]', 'constant/7'):
    images = Images(name, (28, 28, 1))
    assert images.label == name
    assert _pixels(images).shape[1:] == images.image_shape == (28, 28, 1)


def test_damaged_files_are_named_and_left_out(folder, tmp_path, capsys):
  shutil.copytree(folder, tmp_path / 'damaged')
  names = damage(tmp_path / 'damaged')
  assert len(Images(f'folder:{tmp_path}/damaged')) == 100
  warning, *_ = capsys.readouterr().err.splitlines()
  assert warning.startswith('warning: ') and '3 files' in warning
  assert all(name in warning for name in names)


@pytest.mark.parametrize(
  'name, message',
  [
    ('folder:/nowhere', 'no folder'),
    ('photos', "no folder 'photos' here.*No split is given"),
    ('sample_digits/best', 'sample_digits.*Splits available'),
    ('no_such_data_set/test', 'is no data set'),
  ],
)
def test_what_is_not_there_is_told(name, message):
  with pytest.raises(CommandError, match=f'(?s){message}'):
    Images(name)


def test_digests_go_into_text_and_back():
  digests = np.array([2**48 - 1, 0, 5, 2**47], np.int64)
  text = encoded_digests(digests)
  assert len(text) == 32
  np.testing.assert_array_equal(decoded_digests(text), np.sort(digests))
  assert not len(decoded_digests(encoded_digests(digests[:0])))
