# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of tfp_ood.datasets.transformations."""

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


@pytest.mark.parametrize('name', _FUNCTIONS)
def test_wrong_rank(name):
  with pytest.raises(ValueError, match=r'`images` must have the shape \[\.\.'):
    _FUNCTIONS[name](_images('uint8', (6, 3)))


@pytest.mark.parametrize('name', _FUNCTIONS)
def test_wrong_dtype(name):
  with pytest.raises(ValueError, match='must be uint8 or floating, got int32'):
    _FUNCTIONS[name](_images('int32'))
