# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of traverse."""

import numpy as np
import pytest
import tensorflow as tf

from tfp_ood import distributions, stats

_DIRECTION, _OFFSET = np.array([3.0, 0.0, -4.0]), 2.5


class _Decoder:
  """One whose images show the latent: a pixel for each of its numbers."""

  def decode_images(self, latents):
    tf.debugging.assert_positive(tf.shape(latents)[0])
    return tf.reshape(latents, [-1, 1, latents.shape[1:].num_elements(), 1])


def _latents(count=4):
  return np.random.default_rng(0).normal(size=[count, 3]).astype(np.float32)


def _traversed(num_steps=5, count=4):
  images = stats.traverse(
    _Decoder(), _latents(count), _DIRECTION, _OFFSET, num_steps
  )
  assert images.shape == [count, num_steps, 1, 3, 1]
  return images.numpy()[:, :, 0, :, 0]


@pytest.mark.parametrize('num_steps', [3, 5, 9])
def test_the_way_crosses_the_hyperplane_in_the_middle(num_steps):
  codes, latents = _traversed(num_steps), _latents()
  distances = (codes @ _DIRECTION + _OFFSET) / 5
  start = (latents @ _DIRECTION + _OFFSET) / 5
  np.testing.assert_allclose(codes[:, 0], latents)
  np.testing.assert_allclose(distances[:, num_steps // 2], 0, atol=1e-6)
  shares = np.linspace(1, -1, num_steps)
  np.testing.assert_allclose(
    distances, start[:, np.newaxis] * shares, atol=1e-6
  )
  # It leads nowhere but along the normal, and is 2 |d| long.
  ways = codes[:, -1] - codes[:, 0]
  np.testing.assert_allclose(
    np.linalg.norm(ways, axis=1), 2 * np.abs(start), rtol=1e-5
  )
  np.testing.assert_allclose(
    ways, -2 * start[:, np.newaxis] * _DIRECTION / 5, atol=1e-6
  )


def test_the_length_of_the_direction_does_not_matter():
  images = stats.traverse(
    _Decoder(), _latents(), _DIRECTION * 10, _OFFSET * 10, 5
  )
  np.testing.assert_allclose(images[:, :, 0, :, 0], _traversed(), rtol=1e-5)


def test_no_latents_and_latents_of_several_axes():
  assert _traversed(count=0).shape == (0, 5, 3)
  latents = tf.constant(np.random.default_rng(1).normal(size=[2, 3, 2]))
  direction = np.arange(6.0)
  images = stats.traverse(_Decoder(), latents, direction, 1.0, 3)
  assert images.dtype == tf.float64
  flat = stats.traverse(
    _Decoder(), tf.reshape(latents, [2, 6]), direction, 1.0, 3
  )
  np.testing.assert_array_equal(images, flat)


def test_of_a_variational_autoencoder():
  vae = distributions.variational_autoencoder(
    [8, 8, 1], latent_size=3, hidden_channels=2, seed=1
  )
  random = np.random.default_rng(0)
  images = random.integers(0, 256, [40, 8, 8, 1]).astype(np.uint8)
  latents = stats.Statistics(vae)(images, ['latent'])['latent']
  separation = stats.latent_separation(latents[:20], latents[20:])
  traversed = stats.traverse(
    vae, latents[:2], separation.direction, separation.offset
  )
  assert traversed.shape == [2, 7, 8, 8, 1]
  np.testing.assert_allclose(
    traversed[:, 0], vae.reconstruct(images[:2]), rtol=1e-5
  )
  assert np.ptp(traversed, axis=1).max() > 0


def test_refuses():
  def traverse(direction=_DIRECTION, offset=_OFFSET, num_steps=3):
    return stats.traverse(_Decoder(), _latents(), direction, offset, num_steps)

  for num_steps in (1, 4, -3):
    with pytest.raises(
      ValueError, match=f'odd and at least 3.*got {num_steps}'
    ):
      traverse(num_steps=num_steps)
  with pytest.raises(ValueError, match=r'has 2 numbers; latents of shape \(3,'):
    traverse(direction=[1.0, 2.0])
  for direction in (np.zeros(3), [1.0, np.nan, 0.0], [np.inf, 0.0, 0.0]):
    with pytest.raises(ValueError, match='must be finite, and `direction` not'):
      traverse(direction=direction)
  with pytest.raises(ValueError, match='must be finite.*offset nan'):
    traverse(offset=np.nan)
