# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of `Direction`, by a bijector whose two directions differ in all."""

import pytest
import tensorflow as tf
import tensorflow_probability as tfp

from tfp_ood.bijectors import Squeeze
from tfp_ood.bijectors._direction import Direction

tfb = tfp.bijectors

_RESHAPE = tfb.Reshape(event_shape_in=[4], event_shape_out=[2, 2])


def test_opposites():
  assert Direction.FORWARD.opposite is Direction.INVERSE
  assert Direction.INVERSE.opposite is Direction.FORWARD


@pytest.mark.parametrize(
  'direction, shape', [('forward', [2, 2, 1]), ('inverse', [1, 1, 4])]
)
def test_applies_a_bijector_of_the_library(direction, shape):
  value = tf.zeros({'forward': [1, 1, 4], 'inverse': [2, 2, 1]}[direction])
  result, log_det = Direction(direction).apply(Squeeze(), value)
  assert result.shape == shape
  assert log_det.shape == []


@pytest.mark.parametrize('direction, sign', [('forward', 1), ('inverse', -1)])
def test_applies_a_bijector_of_tfp(direction, sign):
  result, log_det = Direction(direction).apply_separately(
    tfb.Exp(), tf.constant([1.0, 1.0]), event_ndims=1
  )
  assert float(result[0]) == pytest.approx(2.71828 if sign > 0 else 0.0)
  # y = exp(x): log dy/dx = x; log dx/dy = -log(y), here 0.
  assert float(log_det) == pytest.approx(2.0 if sign > 0 else 0.0)


def test_ranks_of_events():
  assert Direction.FORWARD.min_event_ndims(_RESHAPE) == 1
  assert Direction.INVERSE.min_event_ndims(_RESHAPE) == 2
  assert Direction.FORWARD.event_ndims_after(_RESHAPE, 1) == 2
  assert Direction.INVERSE.event_ndims_after(_RESHAPE, 3) == 2


def test_image_to_latent_runs_a_chain_from_its_first_part():
  assert Direction.INVERSE.in_order(('a', 'b', 'c')) == ['a', 'b', 'c']
  assert Direction.FORWARD.in_order(('a', 'b', 'c')) == ['c', 'b', 'a']
  assert [Direction.INVERSE.index_of(i, 3) for i in range(3)] == [0, 1, 2]
  assert [Direction.FORWARD.index_of(i, 3) for i in range(3)] == [2, 1, 0]
