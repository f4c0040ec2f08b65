# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the optimizer and its learning rates."""

import math

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
import training_helpers as helpers

import tfp_ood

tfd = tfp.distributions


def _model(optimizer):
  """Fits the mean of two normals with unit variance, from zero."""
  loc = tf.Variable([0.0, 0.0], name='loc')
  normal = tfd.Independent(tfd.Normal(loc, 1.0), 1)
  return helpers.compiled(normal, optimizer), loc


def _dataset(num_batches, value=10.0):
  batch = tf.fill([4, 2], value)
  return tf.data.Dataset.from_tensors(batch).repeat(num_batches)


def _record(variable):
  return helpers.Record(lambda logs: variable.numpy())


def test_warm_up_rises_linearly_and_stays():
  optimizer = tfp_ood.training.adam(1e-3, warmup_steps=100)
  rates = {
    step: float(optimizer._learning_rate(step))
    for step in (0, 1, 50, 99, 100, 101, 10_000)
  }
  assert 0 < rates[0] <= 1.1e-5
  np.testing.assert_allclose(rates[50], 0.5e-3, rtol=0.02)
  np.testing.assert_allclose(rates[100], 1e-3, rtol=1e-6)
  assert rates[101] == rates[10_000] == rates[100]
  ordered = [rates[step] for step in sorted(rates)]
  assert ordered == sorted(ordered)
  np.testing.assert_allclose(
    rates[1] - rates[0], rates[100] - rates[99], rtol=1e-3
  )


def test_without_warm_up_the_rate_is_constant():
  optimizer = tfp_ood.training.adam(3e-4)
  for _ in range(2):
    optimizer.iterations.assign_add(1000)
    np.testing.assert_allclose(float(optimizer.learning_rate), 3e-4, rtol=1e-6)


def test_warm_up_scales_the_steps():
  paths = []
  for warmup_steps in (0, 4):
    optimizer = tfp_ood.training.adam(0.1, warmup_steps=warmup_steps)
    model, loc = _model(optimizer)
    record = _record(loc)
    model.fit(_dataset(3), verbose=0, callbacks=[record])
    paths.append(np.diff(record.values, axis=0, prepend=0.0))
  plain, warm = paths
  # Adam's first steps are the rate long, whatever the gradient.
  np.testing.assert_allclose(plain[0], 0.1, rtol=1e-3)
  np.testing.assert_allclose(warm[0] / plain[0], 1 / 4, rtol=1e-3)
  assert (np.diff(warm, axis=0) > 0).all()


def test_clipping_bounds_the_norm_over_all_variables():
  optimizer = tfp_ood.training.adam(0.1, global_clipnorm=0.5)
  variables = [tf.Variable([0.0, 0.0]), tf.Variable(0.0)]
  gradients = [tf.constant([30.0, 0.0]), tf.constant(40.0)]
  optimizer.apply_gradients(zip(gradients, variables, strict=True))
  # Adam's first moment is a tenth of the gradient after one step.
  clipped = [10 * moment.numpy() for moment in optimizer._momentums]
  of_scalar, of_vector = sorted(clipped, key=np.size)
  np.testing.assert_allclose(of_vector, [0.3, 0.0], rtol=1e-5)
  np.testing.assert_allclose(of_scalar, 0.4, rtol=1e-5)
  assert tfp_ood.training.adam().global_clipnorm is None


def test_after_fit_the_weights_are_the_moving_average():
  momentum = 0.8
  model, loc = _model(tfp_ood.training.adam(0.5, ema_momentum=momentum))
  record = _record(loc)
  model.fit(_dataset(6), epochs=2, verbose=0, callbacks=[record])
  assert len(record.values) == 12
  average = np.zeros(2)
  for value in record.values:
    average = momentum * average + (1 - momentum) * value
  np.testing.assert_allclose(loc, average, rtol=1e-5)
  assert abs(average[0] - record.values[-1][0]) > 0.1


def test_without_momentum_the_weights_are_the_last():
  model, loc = _model(tfp_ood.training.adam(0.5))
  record = _record(loc)
  model.fit(_dataset(6), verbose=0, callbacks=[record])
  np.testing.assert_array_equal(loc, record.values[-1])


def _apply_zero_gradients(optimizer, variables, steps=1):
  gradients = [tf.zeros_like(variable) for variable in variables]
  for _ in range(steps):
    optimizer.apply_gradients(zip(gradients, variables, strict=True))


@pytest.mark.parametrize('steps', [1, 3])
def test_weight_decay_shrinks_kernels_and_nothing_else(steps):
  flow = tfp_ood.distributions.glow(
    [8, 8, 1], num_levels=2, num_steps=2, hidden_channels=2, seed=1
  )
  random = np.random.default_rng(0)
  for variable in flow.trainable_variables:
    variable.assign(random.normal(size=variable.shape).astype(np.float32))
  before = [variable.numpy() for variable in flow.trainable_variables]
  rate, decay = 0.1, 0.5
  optimizer = tfp_ood.training.adam(rate, weight_decay=decay)
  # Where the gradient is zero, so is Adam's own step.
  _apply_zero_gradients(optimizer, flow.trainable_variables, steps)
  is_kernel = ['kernel' in v.name for v in flow.trainable_variables]
  # Three of each network, in a scan for each level, and the split's.
  assert sum(is_kernel) >= 6 and not all(is_kernel)
  for variable, value, decays in zip(
    flow.trainable_variables, before, is_kernel, strict=True
  ):
    if decays:
      np.testing.assert_allclose(
        variable, value * (1 - decay * rate) ** steps, rtol=1e-6
      )
    else:
      np.testing.assert_array_equal(variable, value, variable.name)


def test_weight_decay_follows_the_warm_up():
  kernel = tf.Variable([1.0, -2.0], name='kernel')
  optimizer = tfp_ood.training.adam(0.1, warmup_steps=2, weight_decay=0.5)
  _apply_zero_gradients(optimizer, [kernel], steps=3)
  # The rates are .05, .075 and .1, and none of the decay is the gradient's.
  factor = (1 - 0.5 * 0.05) * (1 - 0.5 * 0.075) * (1 - 0.5 * 0.1)
  np.testing.assert_allclose(kernel, [factor, -2 * factor], rtol=1e-6)


def test_without_weight_decay_kernels_stay():
  kernel = tf.Variable([1.0, -2.0], name='kernel')
  _apply_zero_gradients(tfp_ood.training.adam(0.1), [kernel], steps=2)
  np.testing.assert_array_equal(kernel, [1.0, -2.0])


@pytest.mark.parametrize('warmup_steps', [0, 10])
def test_the_configuration_makes_the_same_optimizer(warmup_steps):
  optimizer = tfp_ood.training.adam(
    2e-3, warmup_steps=warmup_steps, global_clipnorm=1.0, ema_momentum=0.9
  )
  config = optimizer.get_config()
  assert config['global_clipnorm'] == 1.0
  assert config['ema_momentum'] == 0.9
  schedule = config['learning_rate']
  if warmup_steps:
    assert schedule['config'] == {'learning_rate': 2e-3, 'num_steps': 10}
  else:
    np.testing.assert_allclose(schedule, 2e-3, rtol=1e-6)


# ------------------------------------------------------------------- one cycle


def test_one_cycle_rises_for_a_quarter_and_falls_as_a_cosine():
  schedule = tfp_ood.training.one_cycle(0.5, num_steps=400)
  rates = [float(schedule(step)) for step in range(0, 401, 25)]
  rise = [0.02 + 0.48 * share for share in (0, 0.25, 0.5, 0.75)]
  fall = [
    0.0005 + 0.4995 * (1 + math.cos(math.pi * index / 12)) / 2
    for index in range(13)
  ]
  np.testing.assert_allclose(rates, rise + fall, rtol=1e-5)
  assert max(rates) == 0.5
  # It stays where it has ended: at a thousandth.
  np.testing.assert_allclose(float(schedule(10_000)), 0.0005, rtol=1e-5)


@pytest.mark.parametrize('num_steps', [1, 2, 3, 5])
def test_one_cycle_of_a_few_steps_goes_up_and_down(num_steps):
  schedule = tfp_ood.training.one_cycle(1e-2, num_steps)
  rates = [float(schedule(step)) for step in range(num_steps + 1)]
  assert all(0 < rate <= 1.0001e-2 for rate in rates)
  np.testing.assert_allclose(rates[1], 1e-2, rtol=1e-6)
  if num_steps > 1:
    np.testing.assert_allclose(rates[-1], 1e-5, rtol=1e-3)


def test_one_cycle_sets_the_lengths_of_steps():
  schedule = tfp_ood.training.one_cycle(0.1, num_steps=8)
  model, loc = _model(tfp_ood.training.adam(schedule))
  record = _record(loc)
  model.fit(_dataset(4), verbose=0, callbacks=[record])
  steps = np.diff(record.values, axis=0, prepend=0.0)[:, 0]
  # Adam's first steps are the rate long, whatever the gradient.
  expected = [float(schedule(step)) for step in range(4)]
  np.testing.assert_allclose(steps, expected, rtol=0.02)
