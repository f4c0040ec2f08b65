# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of folders of image files."""

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfp_ood import datasets


def _pixels(seed, height=32, width=32, channels=3):
  generator = np.random.default_rng(seed)
  return generator.integers(0, 256, [height, width, channels]).astype(np.uint8)


def _save(path, pixels, **kwargs):
  path.parent.mkdir(parents=True, exist_ok=True)
  Image.fromarray(np.squeeze(pixels)).save(path, **kwargs)


def _load(folder, **kwargs):
  batches = list(datasets.load(f'folder:{folder}', **kwargs))
  images, labels = zip(*batches, strict=True)
  return np.concatenate(images), np.concatenate(labels).tolist()


@pytest.fixture(name='folder')
def _folder(tmp_path):
  """Images of two classes, one beside them, and what is no image."""
  for number, name in enumerate(['cat/b', 'cat/a', 'ant/deep/c', 'z']):
    _save(tmp_path / f'{name}.png', _pixels(number))
  (tmp_path / 'cat' / 'notes.txt').write_text('no image')
  (tmp_path / '.hidden.png').write_text('no image')
  return tmp_path


def test_images_are_in_the_order_of_their_paths_with_their_classes(folder):
  images, labels = _load(folder)
  np.testing.assert_array_equal(
    images, [_pixels(number) for number in (2, 1, 0, 3)]
  )
  assert labels == [0, 1, 1, -1]
  assert datasets.num_examples(f'folder:{folder}') == 4


def test_it_is_a_data_set_like_the_others(folder):
  dataset = datasets.load(
    f'folder:{folder}',
    batch_size=3,
    transformation=lambda images: 255 - images,
  )
  assert dataset.cardinality() == 2
  assert dataset.element_spec[0] == tf.TensorSpec([None, 32, 32, 3], tf.uint8)
  assert dataset.element_spec[1] == tf.TensorSpec([None], tf.int64)
  (images, _), _ = dataset
  np.testing.assert_array_equal(images[0], 255 - _pixels(2))
  some, labels = _load(folder, limit=2, shuffle=True)
  assert len(some) == 2 and sorted(labels) == [0, 1]


@pytest.mark.parametrize(
  'extension, tolerance',
  [('png', 0), ('bmp', 0), ('tiff', 0), ('webp', 9), ('jpg', 9), ('JPEG', 9)],
)
def test_formats(tmp_path, extension, tolerance):
  # Smooth, as compressors that lose something like it.
  ramp = np.linspace(0, 255, 32)[:, np.newaxis, np.newaxis]
  pixels = np.broadcast_to(ramp, [32, 32, 3]).astype(np.uint8)
  _save(tmp_path / f'image.{extension}', pixels, quality=95)
  images, _ = _load(tmp_path)
  difference = images[0].astype(int) - pixels
  assert np.max(np.abs(difference)) <= tolerance


def test_the_middle_is_cropped_and_resized(tmp_path):
  pixels = np.zeros([40, 120, 3], np.uint8)
  pixels[:, 40:80] = 200
  _save(tmp_path / 'wide.png', pixels)
  _save(tmp_path / 'tall.png', pixels.transpose(1, 0, 2))
  images, _ = _load(tmp_path, image_shape=(8, 8, 3))
  assert images.shape == (2, 8, 8, 3)
  # (Pixels at the edge have some of what lies beyond it.)
  inside = images[:, 1:-1, 1:-1]
  np.testing.assert_array_equal(inside, np.full_like(inside, 200))


def test_large_images_are_averaged(tmp_path):
  pixels = np.zeros([64, 64, 1], np.uint8)
  pixels[::2, ::2] = pixels[1::2, 1::2] = 200  # A chessboard.
  _save(tmp_path / 'board.png', pixels)
  images, _ = _load(tmp_path, image_shape=(8, 8, 1))
  np.testing.assert_allclose(images[:, 1:-1, 1:-1], 100, atol=1)


def test_gray_and_color_become_what_is_asked_for(tmp_path):
  _save(tmp_path / 'gray.png', np.full([32, 32, 1], 90, np.uint8))
  _save(tmp_path / 'red.png', np.full([32, 32, 3], [200, 0, 0], np.uint8))
  color, _ = _load(tmp_path)
  assert color[0, 0, 0].tolist() == [90, 90, 90]
  gray, _ = _load(tmp_path, image_shape=(32, 32, 1))
  assert gray[0, 0, 0, 0] == 90
  assert gray[1, 0, 0, 0] == round(0.299 * 200)


def test_transparent_parts_are_black(tmp_path):
  pixels = np.full([32, 32, 4], 255, np.uint8)
  pixels[:16, :, 3] = 0
  _save(tmp_path / 'half.png', pixels)
  (image,), _ = _load(tmp_path)
  assert np.all(image[:16] == 0) and np.all(image[16:] == 255)


def test_sixteen_bits_become_eight(tmp_path):
  levels = np.linspace(0, 65535, 32 * 32).reshape(32, 32).astype(np.uint16)
  Image.fromarray(levels).save(tmp_path / 'deep.png')
  images, _ = _load(tmp_path, image_shape=(32, 32, 1))
  np.testing.assert_allclose(images[0, ..., 0], levels / 257, atol=0.51)


def test_photographs_are_turned_upright(tmp_path):
  pixels = np.zeros([32, 32, 3], np.uint8)
  pixels[:16] = 255
  exif = Image.Exif()
  exif[0x0112] = 3  # Upside down.
  _save(tmp_path / 'turned.png', pixels, exif=exif)
  (image,), _ = _load(tmp_path)
  np.testing.assert_array_equal(image, pixels[::-1])


# --------------------------------------------------------------------- damage


@pytest.fixture(name='damaged')
def _damaged(folder):
  """The folder with three files that cannot be read."""
  _save(folder / 'broken_photograph.jpg', _pixels(7, 200, 200))
  for path in (folder / 'cat' / 'a.png', folder / 'broken_photograph.jpg'):
    path.write_bytes(path.read_bytes()[:-400])
  (folder / 'text.png').write_text('no image')
  return folder


def test_damaged_files_are_named_before_anything_is_read(damaged):
  with pytest.raises(ValueError, match='3 files cannot be read') as error:
    datasets.load(f'folder:{damaged}')
  for name in ('a.png', 'broken_photograph.jpg', 'text.png'):
    assert name in str(error.value)
  assert 'b.png' not in str(error.value)
  assert 'skip_unreadable=True' in str(error.value)


def test_damaged_files_are_left_out_by_request(damaged):
  with pytest.warns(
    UserWarning, match='3 files cannot be read.*left out'
  ) as log:
    images, labels = _load(damaged, skip_unreadable=True)
  assert 'text.png' in str(log[0].message)
  np.testing.assert_array_equal(images, [_pixels(n) for n in (2, 0, 3)])
  assert labels == [0, 1, -1]


def test_of_many_damaged_files_some_are_named(tmp_path):
  for number in range(30):
    (tmp_path / f'{number:02}.png').write_text('no image')
  with pytest.raises(ValueError, match='30 files') as error:
    datasets.load(f'folder:{tmp_path}', skip_unreadable=True)
  assert '19.png' in str(error.value) and '20.png' not in str(error.value)
  assert 'and 10 more' in str(error.value)


# ------------------------------------------------------------------- refusals


def test_folders_that_are_not_there_or_empty(tmp_path):
  for function in (datasets.load, datasets.num_examples):
    with pytest.raises(FileNotFoundError, match='There is no folder'):
      function(f'folder:{tmp_path}/missing')
    with pytest.raises(FileNotFoundError, match='There are no images'):
      function(f'folder:{tmp_path}')
    with pytest.raises(ValueError, match='folders have no splits'):
      function(f'folder:{tmp_path}', 'train')


@pytest.mark.parametrize('shape', [(32, 32), (0, 8, 3), (8, 8, 2)])
def test_refuses_shapes(folder, shape):
  with pytest.raises(ValueError, match=r'must be \(height, width, 1 or 3\)'):
    datasets.load(f'folder:{folder}', image_shape=shape)


# ---------------------------------------------------------------- single files


def test_images_come_one_by_one_with_the_errors_between(damaged):
  files = datasets.image_files(damaged)
  names = [str(path.relative_to(damaged)) for path in files]
  assert names == [
    'ant/deep/c.png',
    'broken_photograph.jpg',
    'cat/a.png',
    'cat/b.png',
    'text.png',
    'z.png',
  ]
  found = list(datasets.read_images(files, (32, 32, 3)))
  errors = [error for _, error in found]
  assert [number for number in range(6) if errors[number]] == [1, 2, 4]
  assert all('truncated' in errors[number] for number in (1, 2))
  assert 'cannot identify' in errors[4]
  for number, seed in ((0, 2), (3, 0), (5, 3)):
    np.testing.assert_array_equal(found[number][0], _pixels(seed))


def test_files_are_read_a_few_hundred_ahead_and_no_more(tmp_path):
  _save(tmp_path / 'a.png', _pixels(0))
  taken = []

  def paths():
    for number in range(10_000):
      taken.append(number)
      yield tmp_path / 'a.png'

  images = datasets.read_images(paths(), (32, 32, 3))
  assert not taken
  next(images)
  assert 1 < len(taken) <= 300
  images.close()
  assert len(taken) <= 300


def test_a_file_that_is_gone_is_an_error_like_others(tmp_path):
  ((image, error),) = datasets.read_images([tmp_path / 'no.png'], (8, 8, 1))
  assert image is None and 'No such file' in error
  with pytest.raises(FileNotFoundError):
    datasets.read_image(tmp_path / 'no.png', (8, 8, 1))
  with pytest.raises(ValueError, match='height, width, 1 or 3'):
    list(datasets.read_images([], (8, 8)))
