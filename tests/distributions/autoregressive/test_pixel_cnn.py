# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests for `PixelCnn`."""

import itertools

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from scipy import stats as scipy_stats

from tfp_ood.distributions import PixelCnn
from tfp_ood.distributions.autoregressive.pixel_heads import (
  LogisticMixtureHead,
)

_LIKELIHOODS = ('logistic_mixture', 'categorical')


def _model(shape, likelihood, num_levels=1, dtype=tf.float64, **kwargs):
  """A tiny model that depends on everything that it may."""
  model = PixelCnn(
    shape,
    likelihood=likelihood,
    num_filters=4,
    num_blocks=1,
    num_levels=num_levels,
    seed=3,
    dtype=dtype,
    **kwargs,
  )
  for number, variable in enumerate(model.trainable_variables):
    noise = tf.random.stateless_normal(variable.shape, [number, 0], dtype=dtype)
    variable.assign_add(0.3 * noise)
  return model


def _all_images(shape, num_values):
  values = itertools.product(range(num_values), repeat=int(np.prod(shape)))
  return np.array(list(values), np.uint8).reshape([-1, *shape])


@pytest.mark.parametrize('likelihood', _LIKELIHOODS)
@pytest.mark.parametrize(
  'shape, num_levels', [([2, 2, 1], 2), ([1, 2, 2], 1), ([1, 1, 3], 1)]
)
def test_probabilities_of_all_images_sum_to_one(shape, num_levels, likelihood):
  model = _model(shape, likelihood, num_levels, num_values=4)
  total = tf.reduce_sum(model.prob(_all_images(shape, 4)))
  np.testing.assert_allclose(total, 1, atol=1e-10)


@pytest.mark.parametrize('likelihood', _LIKELIHOODS)
@pytest.mark.parametrize(
  'shape, num_levels',
  [
    pytest.param([2, 2, 1], 2, marks=pytest.mark.slow),
    ([1, 2, 2], 1),
  ],
)
def test_samples_are_of_the_distribution(shape, num_levels, likelihood):
  model = _model(shape, likelihood, num_levels, tf.float32, num_values=4)
  number = 10_000
  samples = tf.function(lambda: model.sample(number, seed=7))()
  assert samples.dtype == tf.uint8 and samples.shape == [number, *shape]
  places = 4 ** np.arange(3, -1, -1)
  found = np.bincount(samples.numpy().reshape([-1, 4]) @ places, minlength=256)
  expected = np.float64(model.prob(_all_images(shape, 4)))
  expected *= number / expected.sum()
  # Images so rare that they say nothing by themselves count as one with another.
  order = np.argsort(expected)
  start = np.searchsorted(np.cumsum(expected[order]), 5)
  groups = [0, *range(start + 1, len(order))]
  found, expected = (
    np.add.reduceat(counts[order], groups) for counts in (found, expected)
  )
  assert scipy_stats.chisquare(found, expected).pvalue > 1e-3


@pytest.mark.parametrize('likelihood', _LIKELIHOODS)
def test_only_pixels_from_it_on_see_a_channel(likelihood):
  model = _model([2, 2, 3], likelihood, num_values=256)
  images = np.random.default_rng(0).integers(0, 256, [2, 2, 3], np.uint8)
  for channel in range(3):
    changed = images.copy()
    changed[1, 1, channel] ^= 1
    maps = model.log_prob_map(np.stack([images, changed])).numpy()
    np.testing.assert_array_equal(maps[0, 0], maps[1, 0])
    assert maps[0, 1, 0] == maps[1, 1, 0] and maps[0, 1, 1] != maps[1, 1, 1]


@pytest.mark.parametrize('likelihood', _LIKELIHOODS)
def test_the_map_sums_to_log_prob(likelihood):
  model = _model([4, 4, 3], likelihood, num_levels=2)
  images = np.random.default_rng(0).integers(0, 256, [2, 3, 4, 4, 3], np.uint8)
  by_pixel = model.log_prob_map(images)
  assert by_pixel.shape == [2, 3, 4, 4]
  np.testing.assert_allclose(
    tf.reduce_sum(by_pixel, [-2, -1]), model.log_prob(images), rtol=1e-12
  )


def test_the_mixture_is_that_of_tfp():
  """Whose network gives the parameters here."""
  theirs = tfp.distributions.PixelCNN(
    [4, 4, 3],
    num_resnet=1,
    num_hierarchies=1,
    num_filters=4,
    num_logistic_mix=3,
    dtype=tf.float32,
  )
  images = np.random.default_rng(0).integers(0, 256, [5, 4, 4, 3])
  images = images.astype(np.float32)
  expected = theirs.log_prob(images)
  parameters = theirs.network(2 * images / 255 - 1)
  head = LogisticMixtureHead(4, 3, 256, num_components=3)
  by_pixel = head.mixture_log_prob(parameters, tf.constant(images))
  np.testing.assert_allclose(
    tf.reduce_sum(by_pixel, [1, 2]), expected, rtol=1e-5
  )


@pytest.mark.parametrize('likelihood', _LIKELIHOODS)
def test_given_pixels_stay_and_the_rest_is_drawn(likelihood):
  model = _model([4, 4, 1], likelihood, 2, tf.float32, num_values=4)
  images = np.full([50, 4, 4, 1], 3, np.uint8)
  is_given = np.zeros([4, 4], bool)
  is_given[:2] = True
  drawn = model.complete(images, is_given, seed=1).numpy()
  np.testing.assert_array_equal(drawn[:, :2], 3)
  assert len(np.unique(drawn[:, 2:])) == 4
  np.testing.assert_array_equal(model.complete(images, is_given, seed=1), drawn)
  everything = model.complete(images, np.ones([4, 4], bool), seed=1)
  np.testing.assert_array_equal(everything, images)


def test_drawing_is_traced_once():
  model = _model([2, 3, 1], 'categorical', num_values=4)
  images = model.sample(3, seed=1)
  for number in (2, 0, 5):
    assert model.sample(number, seed=1).shape == [number, 2, 3, 1]
  model.complete(images, np.eye(2, 3) > 0, seed=2)
  assert model._draw.experimental_get_tracing_count() == 1


@pytest.mark.parametrize(
  'arguments, message',
  [
    ({'likelihood': 'normal'}, 'must be one of logistic_mixture, categorical'),
    ({'num_levels': 4}, 'cannot be halved 3 times'),
  ],
)
def test_what_cannot_be_is_refused(arguments, message):
  with pytest.raises(ValueError, match=message):
    PixelCnn([4, 4, 1], **arguments)


def test_given_pixels_are_of_one_image():
  model = _model([4, 4, 1], 'categorical', num_values=4)
  images = np.zeros([2, 4, 4, 1], np.uint8)
  with pytest.raises(
    ValueError, match=r'must have shape \(4, 4\), got \(1, 4\)'
  ):
    model.complete(images, np.ones([1, 4], bool), seed=1)


@pytest.mark.exhaustive
@pytest.mark.parametrize('place', ['graph', 'loop', 'xla'])
def test_gradients_in_graph_loop_and_xla_are_the_eager_ones(place):
  model = _model([4, 4, 1], 'logistic_mixture', num_levels=2)
  images = tf.constant(
    np.random.default_rng(0).integers(0, 256, [3, 4, 4, 1]), tf.float64
  )

  def gradients():
    with tf.GradientTape() as tape:
      loss = tf.reduce_sum(model.log_prob(images))
    return tape.gradient(loss, model.trainable_variables)

  def in_loop():
    totals = [tf.zeros_like(v) for v in model.trainable_variables]
    _, *totals = tf.while_loop(
      lambda step, *_: step < 2,
      lambda step, *totals: (
        step + 1,
        *(a + b for a, b in zip(totals, gradients(), strict=True)),
      ),
      (tf.constant(0), *totals),
    )
    return [total / 2 for total in totals]

  computed = tf.function(
    in_loop if place == 'loop' else gradients,
    jit_compile=place == 'xla',
    autograph=False,
  )()
  for one, other in zip(computed, gradients(), strict=True):
    np.testing.assert_allclose(one, other, rtol=1e-9, atol=1e-9)
