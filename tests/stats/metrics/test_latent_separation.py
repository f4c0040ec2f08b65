# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of latent_separation."""

import numpy as np
import pytest
from scipy import stats as scipy_stats

from tfp_ood import stats


def _latents(count_in=150, count_out=150, shift=(2.0, 0.0, 0.0), seed=0):
  random = np.random.default_rng(seed)
  shift = np.asarray(shift)
  return (
    random.normal(size=[count_in, shift.size]),
    random.normal(size=[count_out, shift.size]) + shift,
  )


def test_of_normals_is_as_good_as_the_best():
  latents_in, latents_out = _latents(1500, 1500)
  result = stats.latent_separation(latents_in, latents_out)
  # Of two normals at the distance 2 the best separation is known.
  accuracy = scipy_stats.norm.cdf(1.0)
  for interval in (result.accuracy_in, result.accuracy_out):
    assert interval.estimate == pytest.approx(accuracy, abs=0.02)
    assert interval.lower < interval.estimate < interval.upper
    assert interval.standard_error == pytest.approx(
      np.sqrt(accuracy * (1 - accuracy) / 1500), rel=0.15
    )
  auroc = scipy_stats.norm.cdf(np.sqrt(2))
  assert result.auroc.lower < auroc < result.auroc.upper
  np.testing.assert_allclose(result.direction, [1, 0, 0], atol=0.1)
  assert result.offset == pytest.approx(-1.0, abs=0.1)
  assert np.linalg.norm(result.direction) == pytest.approx(1.0)


def test_of_apart_latents():
  latents_in, latents_out = _latents(shift=(20.0, -20.0))
  result = stats.latent_separation(latents_in, latents_out)
  assert result.accuracy_in.estimate == result.accuracy_out.estimate == 1
  assert result.auroc.auroc == 1 and 0.9 < result.auroc.lower < 1
  distances_in = latents_in @ result.direction + result.offset
  distances_out = latents_out @ result.direction + result.offset
  assert distances_in.max() < 0 < distances_out.min()


def test_of_the_other_way_round_is_mirrored():
  latents_in, latents_out = _latents()
  there = stats.latent_separation(latents_in, latents_out)
  back = stats.latent_separation(latents_out, latents_in)
  np.testing.assert_allclose(back.direction, -there.direction, atol=1e-3)
  assert back.offset == pytest.approx(-there.offset, abs=1e-3)
  assert back.auroc.auroc == pytest.approx(there.auroc.auroc, abs=0.02)


def test_predictions_are_out_of_fold():
  # So few examples of so many numbers are separated by any machine that saw them.
  latents_in, latents_out = _latents(40, 40, np.zeros(100))
  result = stats.latent_separation(latents_in, latents_out)
  distances_in = latents_in @ result.direction + result.offset
  distances_out = latents_out @ result.direction + result.offset
  assert distances_in.max() < distances_out.min()
  assert result.auroc.auroc < 0.6


def test_the_larger_data_set_is_not_favoured():
  latents_in, latents_out = _latents(2000, 100, (1.0, 0.0))
  result = stats.latent_separation(latents_in, latents_out)
  accuracy = scipy_stats.norm.cdf(0.5)
  assert result.accuracy_in.estimate == pytest.approx(accuracy, abs=0.06)
  assert result.accuracy_out.lower < accuracy < result.accuracy_out.upper


def test_the_hyperplane_is_in_the_units_of_the_latents():
  latents_in, latents_out = _latents()
  scale, shift = np.array([1e-3, 1.0, 50.0]), np.array([3.0, -8.0, 0.0])
  result = stats.latent_separation(latents_in, latents_out)
  other = stats.latent_separation(
    latents_in * scale + shift, latents_out * scale + shift
  )
  assert other.auroc == pytest.approx(result.auroc)
  direction = result.direction / scale
  direction /= np.linalg.norm(direction)
  np.testing.assert_allclose(other.direction, direction, rtol=1e-3)
  # The same latents lie on both hyperplanes.
  on_it = -result.offset * result.direction * scale + shift
  assert on_it @ other.direction + other.offset == pytest.approx(0, abs=1e-5)


def test_is_the_same_for_the_same_seed():
  latents_in, latents_out = _latents()
  first, again, other = (
    stats.latent_separation(latents_in, latents_out, seed=seed)
    for seed in (1, 1, 2)
  )
  assert first[:3] == again[:3] and first[:3] != other[:3]
  narrow = stats.latent_separation(
    latents_in, latents_out, seed=1, confidence_level=0.5
  )
  assert narrow.auroc.lower > first.auroc.lower
  assert narrow.accuracy_in.lower > first.accuracy_in.lower


def test_numbers_that_never_change_have_no_part():
  latents_in, latents_out = _latents()
  result = stats.latent_separation(
    np.pad(latents_in, [[0, 0], [0, 1]], constant_values=7.0),
    np.pad(latents_out, [[0, 0], [0, 1]], constant_values=7.0),
  )
  assert result.direction[3] == 0
  assert result.auroc.auroc > 0.9


def test_refuses():
  latents_in, latents_out = _latents(10, 10)
  separate = stats.latent_separation
  with pytest.raises(
    ValueError, match='`latents_out` needs at least 5 .* got 4'
  ):
    separate(latents_in, latents_out[:4])
  with pytest.raises(ValueError, match='`num_folds` must be at least 2'):
    separate(latents_in, latents_out, num_folds=1)
  with pytest.raises(ValueError, match=r'`latents_in` must have the shape \['):
    separate(latents_in[0], latents_out)
  with pytest.raises(ValueError, match='vectors of the same size.*3 and 2'):
    separate(latents_in, latents_out[:, :2])
  with pytest.raises(ValueError, match='all latents are alike'):
    separate(np.ones([9, 2]), np.ones([9, 2]))
  with pytest.raises(ValueError, match='`confidence_level` must'):
    separate(latents_in, latents_out, confidence_level=1.0)
  latents_in[2, 1] = np.nan
  with pytest.raises(ValueError, match='`latents_in` must be finite; 1 of 10'):
    separate(latents_in, latents_out)
