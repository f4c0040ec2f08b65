# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests for kernels whose lengths are variables of their own."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from tfp_ood import training
from tfp_ood.networks.normalized_kernels import KernelGroup, NormalizedKernels


@pytest.mark.parametrize('output_axis', [2, 3])
def test_lengths_are_as_asked_for(output_axis):
  groups = {
    'asked for': KernelGroup(3, (2, 3, 4, 5), output_axis, gain=0.5),
    'other': KernelGroup(1, (1, 2, 4, 4), gain=2.0),
  }
  kernels = NormalizedKernels(groups, seed=1, dtype=tf.float64)
  pairs = kernels(tf.float64)['asked for']
  for kernel, bias in pairs:
    lengths = np.linalg.norm(
      np.moveaxis(kernel, output_axis, 0).reshape([bias.shape[0], -1]), axis=1
    )
    np.testing.assert_allclose(lengths, 0.5, rtol=1e-12)
    assert kernel.shape == [2, 3, 4, 5]
    assert not tf.reduce_any(bias != 0)
  # Not three times the same.
  assert len({float(tf.reduce_sum(k)) for k, _ in pairs}) == 3


def test_weight_decay_is_of_lengths_alone():
  kernels = NormalizedKernels({'one': KernelGroup(2, (1, 1, 3, 3))}, seed=1)
  before = [tf.identity(v) for v in kernels.trainable_variables]
  optimizer = training.adam(0.1, weight_decay=0.5)
  optimizer.build(kernels.trainable_variables)
  zeros = [tf.zeros_like(v) for v in before]
  optimizer.apply_gradients(
    zip(zeros, kernels.trainable_variables, strict=True)
  )
  for old, variable in zip(before, kernels.trainable_variables, strict=True):
    factor = 0.95 if 'length' in variable.name else 1.0
    np.testing.assert_allclose(variable, factor * old, rtol=1e-5)


def test_a_step_turns_kernels_as_far_as_ordinary_ones():
  kernels = NormalizedKernels({'one': KernelGroup(1, (3, 3, 16, 8))}, seed=1)
  optimizer = tf_keras.optimizers.Adam(1e-3)
  before = tf.reshape(kernels(tf.float32)['one'][0][0], [-1, 8])
  target = tf.random.stateless_normal(before.shape, [3, 4])
  with tf.GradientTape() as tape:
    kernel, bias = kernels(tf.float32)['one'][0]
    loss = tf.reduce_sum(bias) - tf.reduce_sum(
      tf.reshape(kernel, [-1, 8]) * target
    )
  variables = kernels.trainable_variables
  optimizer.apply_gradients(
    zip(tape.gradient(loss, variables), variables, strict=True)
  )
  after = tf.reshape(kernels(tf.float32)['one'][0][0], [-1, 8])
  # Of unit vectors, but for the step of their lengths.
  turned = tf.norm(
    tf.linalg.normalize(after, axis=0)[0] - before, axis=0
  ).numpy()
  # About 1e-3 / .05. Directions of N(0, 1) would turn by .001.
  assert ((turned > 0.015) & (turned < 0.025)).all()
