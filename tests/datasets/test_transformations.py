# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of tfp_ood.datasets.transformations."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from tfp_ood import datasets

_FUNCTIONS = {
  'gray_towards_mean': lambda images: datasets.gray_towards_mean(images, 0.3),
  'adjust_contrast': lambda images: datasets.adjust_contrast(images, 1.4),
  'grayscale': datasets.grayscale,
}


def _images(dtype, shape=(4, 6, 5, 3)):
  generator = np.random.Generator(np.random.PCG64(0))
  return generator.integers(0, 256, shape).astype(dtype)


@pytest.mark.parametrize('dtype', ['uint8', 'float16', 'float32', 'float64'])
@pytest.mark.parametrize('shape', [(6, 5, 3), (4, 6, 5, 3), (2, 2, 6, 5, 3)])
@pytest.mark.parametrize('name', _FUNCTIONS)
def test_keeps_shape_and_dtype(name, shape, dtype):
  images = _images(dtype, shape)
  transformed = _FUNCTIONS[name](images)
  assert transformed.shape == shape
  assert transformed.dtype == dtype
  assert np.any(transformed.numpy() != images)


@pytest.mark.parametrize('name', _FUNCTIONS)
def test_same_in_a_map_of_unknown_batch_size(name):
  images = _images('uint8', (7, 6, 5, 3))
  dataset = tf.data.Dataset.from_tensor_slices(images).batch(4)
  mapped = np.concatenate(list(dataset.map(_FUNCTIONS[name])), axis=0)
  np.testing.assert_array_equal(mapped, _FUNCTIONS[name](images))


@pytest.mark.parametrize('name', _FUNCTIONS)
def test_uint8_is_the_rounded_float(name):
  images = _images('uint8')
  exact = _FUNCTIONS[name](images.astype('float64')).numpy()
  difference = np.abs(_FUNCTIONS[name](images).numpy() - exact)
  assert difference.max() <= 0.5 + 1e-4


def test_uint8_is_rounded_half_to_even():
  image = np.array([[[0], [1]], [[2], [3]]], 'uint8')
  # The mean is 1.5 and each pixel becomes it.
  assert np.all(datasets.gray_towards_mean(image, 1) == 2)
  # The mean is 2.5.
  assert np.all(datasets.gray_towards_mean(image + np.uint8(1), 1) == 2)


@pytest.mark.parametrize('dtype', ['uint8', 'float64'])
def test_shrink_by_nothing_is_the_identity(dtype):
  images = _images(dtype)
  shrunk = datasets.gray_towards_mean(images, 0)
  np.testing.assert_allclose(shrunk, images, rtol=0, atol=1e-12)


def test_shrink_by_all_is_the_mean_of_each_image_and_channel():
  images = _images('float64')
  shrunk = datasets.gray_towards_mean(images, 1)
  mean = images.mean(axis=(1, 2), keepdims=True)
  np.testing.assert_allclose(shrunk, np.broadcast_to(mean, images.shape))


@pytest.mark.parametrize('factor', [0.25, 0.5, 0.9])
def test_shrink_keeps_the_mean_and_scales_the_variance(factor):
  images = _images('float64')
  shrunk = datasets.gray_towards_mean(images, factor).numpy()
  np.testing.assert_allclose(shrunk.mean((1, 2)), images.mean((1, 2)))
  np.testing.assert_allclose(
    shrunk.var((1, 2)), (1 - factor) ** 2 * images.var((1, 2))
  )


@pytest.mark.parametrize('factor', [-0.1, 1.1, float('nan')])
def test_shrink_factor_out_of_range(factor):
  with pytest.raises(ValueError, match=r'`factor` must be in \[0, 1\], got'):
    datasets.gray_towards_mean(_images('uint8'), factor)


def test_lower_contrast_is_shrinking():
  images = _images('float64')
  np.testing.assert_allclose(
    datasets.adjust_contrast(images, 0.75),
    datasets.gray_towards_mean(images, 0.25),
  )


def test_higher_contrast_clips():
  images = _images('float64')
  mean = images.mean(axis=(1, 2), keepdims=True)
  unclipped = mean + 3 * (images - mean)
  assert unclipped.min() < 0 and unclipped.max() > 255
  np.testing.assert_allclose(
    datasets.adjust_contrast(images, 3),
    np.clip(unclipped, 0, 255),
    atol=1e-9,
  )


@pytest.mark.parametrize('factor', [-1, float('inf'), float('nan')])
def test_contrast_factor_out_of_range(factor):
  with pytest.raises(ValueError, match='`factor` must be finite and not'):
    datasets.adjust_contrast(_images('uint8'), factor)


def test_grayscale_is_the_luma_on_every_channel():
  images = _images('float64')
  luma = images @ [0.299, 0.587, 0.114]
  gray = datasets.grayscale(images)
  np.testing.assert_allclose(gray, np.stack([luma] * 3, axis=-1))


@pytest.mark.parametrize('dtype', ['uint8', 'float32'])
def test_grayscale_of_gray_images_is_the_identity(dtype):
  one_channel = _images(dtype, (4, 6, 5, 1))
  np.testing.assert_array_equal(datasets.grayscale(one_channel), one_channel)
  three_channels = np.repeat(one_channel, 3, axis=-1)
  np.testing.assert_allclose(
    datasets.grayscale(three_channels), three_channels, rtol=1e-6
  )


def test_grayscale_needs_one_or_three_channels():
  with pytest.raises(ValueError, match='`images` must have 1 or 3 channels'):
    datasets.grayscale(_images('uint8', (4, 6, 5, 2)))


def _mutated(rate, seed, shape=(50, 20, 20, 3), dtype='uint8', value=100):
  images = np.full(shape, value, dtype)
  return datasets.mutate(images, rate, seed).numpy()


@pytest.mark.parametrize('rate', [0.05, 0.3, 0.9])
def test_mutation_has_its_rate(rate):
  mutated = _mutated(rate, seed=1)
  # One in 256 of the new values is the old one.
  expected = rate * 255 / 256
  changed = mutated != 100
  deviation = np.sqrt(expected * (1 - expected) / mutated.size)
  assert abs(changed.mean() - expected) < 5 * deviation
  # In each channel, and independently of one another.
  shares = changed.mean(axis=(0, 1, 2))
  np.testing.assert_allclose(shares, expected, atol=9 * deviation)
  both = (changed[..., 0] & changed[..., 1]).mean()
  assert both == pytest.approx(expected**2, abs=9 * deviation)


@pytest.mark.parametrize('dtype', ['uint8', 'float32'])
def test_mutated_values_are_uniform(dtype):
  values = _mutated(1, seed=2, dtype=dtype)
  assert np.all(values == np.floor(values))
  counts = np.bincount(values.astype(int).ravel(), minlength=256)
  assert counts.size == 256
  expected = values.size / 256
  # Chi-square of 255 degrees of freedom: five deviations.
  chi_square = np.sum((counts - expected) ** 2 / expected)
  assert abs(chi_square - 255) < 5 * np.sqrt(2 * 255)
  # Which values change says nothing of what they become.
  changed = _mutated(0.2, seed=2, dtype=dtype)
  assert changed[changed != 100].mean() == pytest.approx(127.6, abs=2)


def test_mutation_at_the_ends_of_the_rate():
  images = _images('uint8')
  np.testing.assert_array_equal(datasets.mutate(images, 0, seed=1), images)
  np.testing.assert_array_equal(datasets.mutate(images, 0.0, seed=1), images)
  noise = datasets.mutate(images, 1, seed=1)
  np.testing.assert_array_equal(
    noise, datasets.mutate(np.zeros_like(images), 1.0, seed=1)
  )


def test_mutation_follows_the_seed():
  first, again, other = (_mutated(0.5, seed) for seed in (1, 1, 2))
  np.testing.assert_array_equal(first, again)
  # Both keep a quarter of the values.
  assert np.mean(first == other) == pytest.approx(0.25, abs=0.02)
  pair = _mutated(0.5, (3, 4))
  np.testing.assert_array_equal(pair, _mutated(0.5, tf.constant([3, 4])))
  tf.random.set_seed(7)
  np.testing.assert_array_equal(pair, _mutated(0.5, (3, 4)))
  in_graph = tf.function(lambda images: datasets.mutate(images, 0.5, (3, 4)))
  images = np.full((50, 20, 20, 3), 100, 'uint8')
  np.testing.assert_array_equal(pair, in_graph(images))


@pytest.mark.parametrize('dtype', ['uint8', 'float16', 'float32', 'float64'])
@pytest.mark.parametrize('shape', [(6, 5, 3), (0, 6, 5, 3), (2, 2, 6, 5, 1)])
def test_mutation_keeps_shape_and_dtype(shape, dtype):
  mutated = datasets.mutate(_images(dtype, shape), 0.5, seed=1)
  assert mutated.shape == shape
  assert mutated.dtype == dtype
  np.testing.assert_array_equal(
    mutated, datasets.mutate(_images('uint8', shape), 0.5, seed=1)
  )


def test_mutation_of_unknown_batch_size():
  in_graph = tf.function(
    lambda images: datasets.mutate(images, 0.5, seed=1),
    input_signature=[tf.TensorSpec([None, 6, 5, 3], tf.uint8)],
  )
  shape = in_graph.get_concrete_function().structured_outputs.shape
  assert shape.as_list() == [None, 6, 5, 3]
  for size in (0, 1, 4):
    images = _images('uint8', (size, 6, 5, 3))
    np.testing.assert_array_equal(
      in_graph(images), datasets.mutate(images, 0.5, seed=1)
    )


@pytest.mark.parametrize('rate', [-0.1, 1.1, 20, float('nan')])
def test_mutation_rate_out_of_range(rate):
  with pytest.raises(ValueError, match=r'`rate` must be in \[0, 1\], got'):
    datasets.mutate(_images('uint8'), rate, seed=1)


def test_mutation_of_wrong_rank_or_dtype():
  with pytest.raises(ValueError, match=r'`images` must have the shape \[\.\.'):
    datasets.mutate(_images('uint8', (6, 3)), 0.5, seed=1)
  with pytest.raises(ValueError, match='must be uint8 or floating, got int32'):
    datasets.mutate(_images('int32'), 0.5, seed=1)


@pytest.mark.parametrize(
  'dtype', ['uint8', 'int8', 'int32', 'int64', 'float32']
)
@pytest.mark.parametrize('shape', [(7,), (5, 250), (0, 250), (3, 4, 5, 2)])
def test_mutation_of_sequences_keeps_shape_and_dtype(shape, dtype):
  sequences = np.full(shape, 3, dtype)
  mutated = datasets.mutate(sequences, 0.5, seed=1, num_values=4)
  assert mutated.shape == shape
  assert mutated.dtype == dtype
  np.testing.assert_array_equal(
    mutated,
    datasets.mutate(sequences.astype('int32'), 0.5, seed=1, num_values=4),
  )


def test_mutation_of_sequences_has_its_rate_and_is_uniform():
  sequences = np.full((400, 250), 2, 'int32')
  mutated = datasets.mutate(sequences, 0.4, seed=1, num_values=4).numpy()
  counts = np.bincount(mutated.ravel(), minlength=4)
  assert counts.size == 4
  # 100,000 values: five deviations.
  np.testing.assert_allclose(
    counts / mutated.size, [0.1, 0.1, 0.7, 0.1], atol=5 * 0.5 / 100000**0.5
  )


def test_mutation_of_sequences_of_unknown_batch_size():
  in_graph = tf.function(
    lambda values, seed: datasets.mutate(values, 0.5, seed, num_values=4),
    input_signature=[
      tf.TensorSpec([None, 9], tf.int32),
      tf.TensorSpec([2], tf.int32),
    ],
  )
  for size in (0, 1, 4):
    values = np.zeros([size, 9], 'int32')
    np.testing.assert_array_equal(
      in_graph(values, [3, 4]),
      datasets.mutate(values, 0.5, (3, 4), num_values=4),
    )


def test_mutation_of_images_stays_what_it_was():
  images = np.full((1, 2, 4, 1), 100, 'uint8')
  mutated = datasets.mutate(images, 0.5, seed=1).numpy().ravel()
  # What it gave before it could mutate sequences.
  assert mutated.tolist() == [100, 100, 100, 100, 27, 13, 100, 3]


@pytest.mark.parametrize('num_values', [0, -1, 4.0])
def test_number_of_values_must_be_positive(num_values):
  with pytest.raises(ValueError, match='`num_values` must be a positive int'):
    datasets.mutate(np.zeros([2, 3], 'int32'), 0.5, 1, num_values)


def test_number_of_values_must_fit_the_dtype():
  zeros = np.zeros([2, 3], 'int8')
  assert datasets.mutate(zeros, 1, 1, num_values=128).dtype == tf.int8
  with pytest.raises(ValueError, match='at most 128 for int8, got 129'):
    datasets.mutate(zeros, 0.5, 1, num_values=129)


def test_mutation_of_what_is_no_sequence():
  with pytest.raises(ValueError, match='rank of 1 or more, got a scalar'):
    datasets.mutate(3, 0.5, seed=1, num_values=4)
  with pytest.raises(ValueError, match='must be integer or floating, got bool'):
    datasets.mutate([True], 0.5, seed=1, num_values=4)


@pytest.mark.parametrize('name', _FUNCTIONS)
def test_wrong_rank(name):
  with pytest.raises(ValueError, match=r'`images` must have the shape \[\.\.'):
    _FUNCTIONS[name](_images('uint8', (6, 3)))


@pytest.mark.parametrize('name', _FUNCTIONS)
def test_wrong_dtype(name):
  with pytest.raises(ValueError, match='must be uint8 or floating, got int32'):
    _FUNCTIONS[name](_images('int32'))


# ---------------------------------------------------- images of other shapes


@pytest.mark.parametrize('side', [28, 32, 40])
def test_gray_images_become_color_ones(side):
  images = _images('uint8', [2, side, side, 1])
  fitted = datasets.fit_to_shape(images, (32, 32, 3)).numpy()
  assert fitted.dtype == np.uint8
  assert fitted.shape == (2, 32, 32, 3)
  margin = abs(side - 32) // 2
  if side < 32:
    images = np.pad(images, [[0, 0], [margin] * 2, [margin] * 2, [0, 0]])
  elif side > 32:
    images = images[:, margin:-margin, margin:-margin]
  np.testing.assert_array_equal(fitted, np.repeat(images, 3, axis=-1))


def test_color_images_become_gray_ones():
  gray = np.arange(4, dtype=np.uint8).reshape([4, 1, 1, 1]) * 80
  fitted = datasets.fit_to_shape(
    np.broadcast_to(gray, [4, 32, 32, 3]), (28, 28, 1)
  )
  np.testing.assert_allclose(
    fitted, np.broadcast_to(gray, [4, 28, 28, 1]), atol=1
  )


def test_images_of_the_right_shape_stay_as_they_are():
  images = tf.zeros([2, 32, 32, 3], tf.uint8)
  assert datasets.fit_to_shape(images, images.shape[1:]) is images


def test_fits_in_a_map_of_unknown_batch_size():
  images = _images('uint8', (7, 6, 5, 1))
  dataset = tf.data.Dataset.from_tensor_slices(images).batch(4)
  mapped = dataset.map(lambda x: datasets.fit_to_shape(x, (4, 8, 3)))
  np.testing.assert_array_equal(
    np.concatenate(list(mapped)), datasets.fit_to_shape(images, (4, 8, 3))
  )


def test_channels_that_mean_something_else_are_refused():
  with pytest.raises(ValueError, match='of 4 channels cannot become ones of 3'):
    datasets.fit_to_shape(_images('uint8', (2, 6, 5, 4)), (6, 5, 3))


# --------------------------------------------------------------- augmentation


def test_images_are_shifted_and_mirrored():
  images = _images('uint8', [64, 8, 8, 3])
  found = datasets.crop_and_flip(images, seed=1).numpy()
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


def test_augmentation_is_decided_by_its_seed():
  images = _images('uint8', [16, 8, 8, 3])
  first = datasets.crop_and_flip(images, seed=(1, 2)).numpy()
  np.testing.assert_array_equal(
    first, datasets.crop_and_flip(images, seed=tf.constant([1, 2]))
  )
  assert np.any(first != datasets.crop_and_flip(images, seed=(1, 3)).numpy())


def test_augmentation_moves_no_further_than_the_margin():
  images = _images('uint8', [32, 8, 8, 3])
  moved = datasets.crop_and_flip(images, seed=1, margin=0).numpy()
  mirrored = images[:, :, ::-1]
  assert all(
    np.array_equal(m, a) or np.array_equal(m, b)
    for m, a, b in zip(moved, images, mirrored, strict=True)
  )
