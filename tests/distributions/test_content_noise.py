# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the noise that is a function of the image that it goes with."""

import functools
import math

import numpy as np
import pytest
import tensorflow as tf
from conformance.distribution_registry import images
from scipy import stats

from tfp_ood import _content_noise

_SHAPE = [8, 8, 3]
_SIZE = 192


def _one_hot():
  """Images that differ in the places of two pixel values."""
  return np.eye(_SIZE, dtype=np.uint8).reshape([_SIZE, *_SHAPE])


def _constant():
  values = np.arange(256, dtype=np.uint8)
  return np.broadcast_to(values[:, None, None, None], [256, *_SHAPE])


def _one_pixel():
  result = np.zeros([256, *_SHAPE], np.uint8)
  result[:, 4, 4, 1] = np.arange(256)
  return result


# Images that are as much alike as images can be.
_SETS = {
  'smooth': functools.partial(images, 256),
  'constant, of consecutive values': _constant,
  'alike but for one pixel': _one_pixel,
  'alike but for two pixels': _one_hot,
}


def _uniform(x, seed=0, purpose=0, dtype=tf.float32):
  keys = _content_noise.content_keys(tf.convert_to_tensor(x), seed)
  return _content_noise.content_uniform(keys, _SHAPE, dtype, purpose)


def _normal(x, seed=0, purpose=0, dtype=tf.float32):
  keys = _content_noise.content_keys(tf.convert_to_tensor(x), seed)
  return _content_noise.content_normal(keys, _SHAPE, dtype, purpose)


def _rows(noise):
  return np.reshape(noise, [len(noise), -1]).astype(np.float64)


def _assert_uncorrelated(rows):
  """Correlations of all pairs of rows: small, and normal as those of noise are."""
  correlations = np.corrcoef(rows)
  pairs = correlations[np.triu_indices(len(rows), 1)]
  deviations = pairs * math.sqrt(rows.shape[1])
  # Of 30,000 pairs one is beyond 5.5 in 1,000 trials; the seeds are fixed.
  assert np.abs(deviations).max() < 5.5
  if deviations.size > 1000:
    assert stats.kstest(deviations, 'norm').pvalue > 1e-3


# ----------------------------------------------------------- a function


@pytest.mark.parametrize('draw', [_uniform, _normal])
@pytest.mark.parametrize('dtype', [tf.float32, tf.float64])
def test_an_image_has_the_same_noise_in_any_batch_graph_and_compiler(
  draw, dtype
):
  x = images(37)
  draw = functools.partial(draw, dtype=dtype)
  noise = draw(x).numpy()
  assert noise.shape == (37, *_SHAPE) and noise.dtype == dtype
  spec = [tf.TensorSpec([None, *_SHAPE], tf.uint8)]
  for function in (
    draw,
    tf.function(draw, input_signature=spec),
    tf.function(draw, jit_compile=True),
  ):
    np.testing.assert_array_equal(function(x), noise)
    np.testing.assert_array_equal(function(x[::-1]), noise[::-1])
    alone = [function(x[i : i + 1]) for i in (0, 5, 36)]
    np.testing.assert_array_equal(np.concatenate(alone), noise[[0, 5, 36]])
    same = function(np.repeat(x[:1], 37, axis=0))
    np.testing.assert_array_equal(same, np.repeat(noise[:1], 37, axis=0))


@pytest.mark.parametrize(
  'dtype', [np.float16, np.float32, np.float64, np.int32]
)
def test_the_dtype_of_an_image_does_not_matter(dtype):
  x = images(5)
  np.testing.assert_array_equal(_uniform(x.astype(dtype)), _uniform(x))


def test_fractions_of_pixels_do_not_matter():
  x = images(5)
  between = x + np.random.default_rng(0).uniform(0, 0.999, x.shape)
  np.testing.assert_array_equal(_uniform(between), _uniform(x))
  assert np.all(_uniform(x + 1) != _uniform(x))


def test_no_gradient_goes_through_the_noise():
  x = tf.constant(images(2), tf.float32)
  with tf.GradientTape() as tape:
    tape.watch(x)
    noise = _normal(x)
  assert tape.gradient(noise, x) is None


def test_the_numbers_are_those_of_the_first_release():
  # A calibrated detector that was stored relies on them.
  x = tf.reshape(tf.range(8), [2, 2, 2, 1])
  keys = _content_noise.content_keys(x, seed=3)
  assert keys.numpy().tolist() == [3047960226, 440538732]
  uniform = _content_noise.content_uniform(keys, [2], tf.float32, purpose=1)
  np.testing.assert_array_equal(
    uniform, np.float32([[0.018496573, 0.113630354], [0.62655228, 0.33802789]])
  )
  normal = _content_noise.content_normal(keys, [2], tf.float64)
  np.testing.assert_array_equal(
    normal, np.float32([[0.83426565, -0.7759099], [0.83861673, 0.55379283]])
  )


def test_the_hash_is_the_finalizer_of_murmur_hash_3():
  def mixed(word):
    word ^= word >> 16
    word = word * 0x85EBCA6B % 2**32
    word ^= word >> 13
    word = word * 0xC2B2AE35 % 2**32
    return word ^ word >> 16

  words = [0, 1, 2, 0xDEADBEEF, 2**32 - 1]
  actual = _content_noise._mixed(tf.constant(words, tf.uint32))
  assert actual.numpy().tolist() == [mixed(word) for word in words]


def test_fewer_numbers_are_the_first_of_more():
  keys = _content_noise.content_keys(tf.constant(images(3)), 0)
  few = _content_noise.content_normal(keys, [2, 5], tf.float32)
  many = _content_noise.content_normal(keys, [7, 5], tf.float32)
  np.testing.assert_array_equal(many[:, :2], few)


@pytest.mark.parametrize('shape', [[1, 1, 1], [1, 2, 3], [64, 64, 3]])
def test_images_of_any_size_have_keys_of_their_own(shape):
  x = np.random.default_rng(0).integers(0, 256, [50, *shape]).astype(np.uint8)
  x[1] = x[0]
  x[1, -1, -1, -1] ^= 1
  keys = _content_noise.content_keys(tf.constant(x), 0).numpy()
  distinct = {image.tobytes() for image in x}
  assert len(set(keys)) == len(distinct)
  assert _content_noise.content_keys(tf.constant(x[:0]), 0).shape == [0]


# ------------------------------------------------------------- as good as noise


@pytest.mark.parametrize('kind', list(_SETS))
def test_noise_is_uniform_and_normal(kind):
  x = _SETS[kind]()
  uniform, normal = _rows(_uniform(x)), _rows(_normal(x))
  assert 0 < uniform.min() and uniform.max() < 1
  for noise, distribution in ((uniform, 'uniform'), (normal, 'norm')):
    assert stats.kstest(noise.ravel(), distribution).pvalue > 1e-3
    # Of each image, and of each pixel: p-values are uniform themselves.
    for rows in (noise, noise.T):
      p_values = stats.kstest(rows, distribution, axis=1).pvalue
      assert stats.kstest(p_values, 'uniform').pvalue > 1e-3
  # The quantiles of the same numbers.
  np.testing.assert_allclose(
    normal, stats.norm.ppf(uniform), rtol=1e-6, atol=1e-7
  )


@pytest.mark.parametrize('kind', list(_SETS))
def test_noise_of_images_and_of_pixels_is_uncorrelated(kind):
  noise = _rows(_uniform(_SETS[kind]()))
  _assert_uncorrelated(noise)
  _assert_uncorrelated(noise.T)
  # Also that of neighbors, all pairs together.
  for rows in (noise, noise.T):
    rows = stats.zscore(rows, axis=1)
    products = rows[:-1] * rows[1:]
    assert abs(products.mean()) * math.sqrt(products.size) < 4.5


@pytest.mark.parametrize('kind', list(_SETS))
def test_noise_of_seeds_and_purposes_is_uncorrelated(kind):
  x = _SETS[kind]()
  draws = [_uniform(x, seed) for seed in (0, 1, 2, 3, 2**31, 2**33, [5, 6])]
  draws += [_uniform(x, purpose=purpose) for purpose in (1, 2, 3, 101)]
  draws += [_uniform(x, seed=1, purpose=purpose) for purpose in (1, 2)]
  _assert_uncorrelated(np.stack([np.ravel(d) for d in draws]).astype(float))


def test_distances_from_the_mean_are_uncorrelated_too():
  noise = np.abs(_rows(_uniform(images(256))) - 0.5)
  _assert_uncorrelated(noise)
  _assert_uncorrelated(noise.T)


def test_purposes_may_be_tensors():
  x = images(2)
  np.testing.assert_array_equal(
    _uniform(x, purpose=tf.constant(3)), _uniform(x, purpose=3)
  )


def test_all_numbers_of_an_image_differ():
  noise = _rows(_uniform(images(8)))
  for row in noise:
    # Places are hashed apart; 23 bits of the hash are kept.
    assert np.unique(row).size >= _SIZE - 1
