# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of `Scan` against the chain of its steps."""

import functools

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from tiers import few

from tfp_ood import bijectors, networks
from tfp_ood.bijectors._pixelwise_affine import PixelwiseAffine

tfb = tfp.bijectors

NUM_STEPS = 3
CHANNELS = 5
PARTS = {
  'normalization': ['shift', 'log_scale'],
  'convolution': ['lower', 'upper', 'log_diagonal', 'sign', 'permutation'],
  'network': [
    'kernel_1',
    'bias_1',
    'kernel_2',
    'bias_2',
    'kernel_3',
    'bias_3',
    'output_gain',
  ],
}

CONSTANTS = (
  *bijectors.InvertibleConv1x1.constant_weights,
  *networks.CouplingNetwork.constant_weights,
)

both_directions = pytest.mark.parametrize('direction', ['forward', 'inverse'])


def _normal(shape, seed, dtype=tf.float64):
  return tf.cast(
    tf.random.stateless_normal(shape, [seed, 7], dtype=tf.float64), dtype
  )


def _weights(dtype=tf.float64, num_steps=NUM_STEPS):
  """Weights of a stack of Glow's steps, away from their start."""
  stack = {'num_steps': num_steps, 'dtype': dtype}
  weights = {
    'normalization': bijectors.ActivationNormalization.initial_weights(
      CHANNELS, **stack
    ),
    'convolution': bijectors.InvertibleConv1x1.initial_weights(
      CHANNELS, seed=1, **stack
    ),
    'network': networks.CouplingNetwork.initial_weights(
      3, 4, 4, seed=2, **stack
    ),
  }
  seed = 0
  variables = {}
  for part, keys in PARTS.items():
    variables[part] = {}
    for key in keys:
      value, seed = tf.convert_to_tensor(weights[part][key]), seed + 1
      fixed = key in CONSTANTS
      if not fixed:
        value += 0.2 * _normal(value.shape, seed, dtype)
      variables[part][key] = tf.Variable(value, trainable=not fixed, name=key)
  return variables


def _glow_step(weights):
  if 'affine' in weights:  # As `_prepare` returns them.
    linear = [PixelwiseAffine(CHANNELS, weights['affine'])]
  else:
    linear = [
      bijectors.ActivationNormalization(
        CHANNELS, weights=weights['normalization']
      ),
      bijectors.InvertibleConv1x1(CHANNELS, weights=weights['convolution']),
    ]
  network = networks.CouplingNetwork(3, 4, weights=weights['network'])
  return tfb.Chain([*linear, bijectors.AffineCoupling(network)])


def _prepare(weights):
  return {
    'affine': PixelwiseAffine.prepare(
      weights['normalization'], weights['convolution']
    ),
    'network': networks.CouplingNetwork.prepare(
      weights['network'], weights['network']['kernel_1'].dtype
    ),
  }


def _chain(bijector_fn, parameters, num_steps=NUM_STEPS):
  """The oracle: the first step is nearest to the image."""
  return tfb.Chain(
    [
      bijector_fn(tf.nest.map_structure(lambda x, i=i: x[i], parameters))
      for i in range(num_steps)
    ]
  )


def _apply(bijector, direction, value, event_ndims):
  return getattr(bijectors, f'{direction}_and_log_det')(
    bijector, tf.identity(value), event_ndims
  )


def _loss(value, log_det):
  weights = tf.sin(tf.cast(1 + tf.range(tf.size(value)), value.dtype))
  log_det_weights = tf.cast(1 + tf.range(tf.size(log_det)), value.dtype)
  return tf.reduce_sum(
    weights * tf.reshape(value + 0.1 * value**2, [-1])
  ) + tf.reduce_sum(log_det_weights * tf.reshape(log_det, [-1]))


def _run(make, direction, value, variables, event_ndims=3):
  """Value, log-det and the gradients for the input and each parameter.

  Args:
    make: callable that returns the bijector; it runs on the tape, for the
      chain slices the variables when it is made.
    direction: `'forward'` or `'inverse'`.
    value: `Tensor`, the input.
    variables: nest of variables.
    event_ndims: Python `int`.
  """
  variables = [v for v in tf.nest.flatten(variables) if v.trainable]
  with tf.GradientTape() as tape:
    tape.watch(value)
    output, log_det = _apply(make(), direction, value, event_ndims)
    loss = _loss(output, log_det)
  return (
    output,
    log_det,
    *tape.gradient(loss, [value, *variables], unconnected_gradients='none'),
  )


def _assert_all_close(got, want, **tolerances):
  assert len(got) == len(want)
  for a, b in zip(got, want, strict=True):
    assert a.shape == b.shape
    scale = max(1.0, float(np.max(np.abs(b))))
    np.testing.assert_allclose(a / scale, b / scale, **tolerances)


_IMAGES = _normal([4, 2, 3, CHANNELS], 99)


@functools.cache
def _run_of_chain(direction):
  """What a scan of Glow's steps must give, computed once a direction."""
  weights = _weights()
  return _run(lambda: _chain(_glow_step, weights), direction, _IMAGES, weights)


@both_directions
@pytest.mark.parametrize(
  'how',
  [
    {},
    {'recompute': False},
    {'prepare_fn': _prepare},
    pytest.param(
      {'recompute': False, 'prepare_fn': _prepare}, marks=pytest.mark.exhaustive
    ),
    {'recompute': False, 'prepare_fn': _prepare, 'unroll': True},
  ],
  ids=['recomputed', 'stored', 'prepared', 'stored-prepared', 'unrolled'],
)
@pytest.mark.parametrize('in_graph', [False, True])
def test_equals_the_chain_of_its_steps(direction, how, in_graph):
  weights = _weights()
  scan = bijectors.Scan(_glow_step, weights, **how)

  def run(images):
    return _run(lambda: scan, direction, images, weights)

  if in_graph:
    run = tf.function(
      run,
      input_signature=[tf.TensorSpec([None, 2, 3, CHANNELS], tf.float64)],
      autograph=False,
    )
  expected = _run_of_chain(direction)
  # Input, two of the normalization, three of the convolution, six of the net.
  assert len(expected) == 2 + 1 + 2 + 3 + 6
  assert all(np.any(x != 0.0) for x in expected)
  _assert_all_close(run(_IMAGES), expected, rtol=0.0, atol=1e-11)


@both_directions
def test_float32_gradients_agree_to_single_precision(direction):
  # Recovered inputs cost digits: of the seven, about two here. The loss grows
  # with the condition number of the flow, here on the large side.
  single = tf.nest.map_structure(
    lambda x: tf.Variable(
      tf.cast(x, tf.float32) if x.dtype.is_floating else x,
      trainable=x.trainable,
    ),
    _weights(),
  )
  scan = bijectors.Scan(_glow_step, single)
  got = _run(lambda: scan, direction, tf.cast(_IMAGES, tf.float32), single)
  assert all(x.dtype == tf.float32 for x in got)
  _assert_all_close(got, _run_of_chain(direction), rtol=0.0, atol=2e-4)


@both_directions
def test_first_step_is_nearest_to_the_image(direction):
  # Doubling and then adding 1, or the other way round, are told apart.
  parameters = {
    'scale': tf.constant([2.0, 1.0]),
    'shift': tf.constant([0.0, 1]),
  }
  scan = bijectors.Scan(
    lambda p: tfb.Chain([tfb.Scale(p['scale']), tfb.Shift(p['shift'])]),
    parameters,
  )
  value, log_det = _apply(scan, direction, tf.constant(6.0), 0)
  # y = 2 (x + 1), and x = y / 2 - 1.
  assert float(value) == {'forward': 14.0, 'inverse': 2.0}[direction]
  sign = 1.0 if direction == 'forward' else -1.0
  assert float(log_det) == pytest.approx(sign * np.log(2.0))
  assert float(scan.step(0).forward(6.0)) == 12.0
  assert float(scan.step(1).forward(6.0)) == 7.0


@pytest.mark.slow
def test_second_derivatives_agree_with_stored_activations():
  weights = _weights(num_steps=2)
  images = _normal([2, 2, 2, CHANNELS], 99)

  def gradient_of_gradient_norm(recompute, images, **kwargs):
    scan = bijectors.Scan(_glow_step, weights, recompute=recompute, **kwargs)
    with tf.GradientTape() as outer:
      outer.watch(images)
      with tf.GradientTape() as inner:
        inner.watch(images)
        loss = _loss(*scan.inverse_and_log_det(images))
      gradient = inner.gradient(loss, images)
      norm = tf.reduce_sum(gradient**2)
    variables = [v for v in tf.nest.flatten(weights) if v.trainable]
    return outer.gradient(norm, [images, *variables])

  expected = gradient_of_gradient_norm(False, images)
  assert np.max(np.abs(expected[0])) > 1e-3
  _assert_all_close(
    gradient_of_gradient_norm(True, images), expected, rtol=0.0, atol=1e-9
  )
  for kwargs in (
    {'recompute': True},
    {'recompute': True, 'prepare_fn': _prepare},
    {'recompute': False, 'prepare_fn': _prepare, 'unroll': True},
  ):
    in_graph = tf.function(gradient_of_gradient_norm, autograph=False)
    got = in_graph(images=images, **kwargs)
    _assert_all_close(got, expected, rtol=0.0, atol=1e-9)


def _scale(parameters):
  return tfb.Scale(parameters)


def _shift(parameters):
  return tfb.Shift(parameters)


def _scale_and_shift(parameters):
  return tfb.Chain([tfb.Scale(1.5 + parameters**2), tfb.Shift(parameters)])


def _nested_chains(parameters):
  return tfb.Chain(
    [
      tfb.Chain([tfb.Scale(parameters), tfb.SinhArcsinh(0.1 * parameters)]),
      tfb.Invert(tfb.Shift(parameters)),
    ]
  )


@both_directions
@pytest.mark.parametrize('event_ndims', [0, 1, 3])
@pytest.mark.parametrize('parameter_shape', [[], [2], [1]], ids=str)
@pytest.mark.parametrize(
  'step', few([_nested_chains, _scale, _shift, _scale_and_shift], 1)
)
def test_steps_may_be_tfp_bijectors(
  direction, event_ndims, parameter_shape, step
):
  parameters = tf.Variable(1.5 + 0.2 * _normal([2, *parameter_shape], 5))
  value = _normal([4, 2, 3, 2], 6)
  chain = _run(
    lambda: _chain(step, parameters, 2),
    direction,
    value,
    parameters,
    event_ndims,
  )
  for recompute in (True, False):
    scan = bijectors.Scan(step, parameters, recompute=recompute)
    got = _run(lambda s=scan: s, direction, value, parameters, event_ndims)
    assert got[1].shape == value.shape[: 4 - event_ndims]
    _assert_all_close(got, chain, rtol=0.0, atol=1e-11)


@both_directions
def test_steps_may_change_shape_inside(direction):
  def step(weights):
    return tfb.Chain(
      [
        tfb.Invert(bijectors.Squeeze()),
        bijectors.ActivationNormalization(1, weights=weights),
        tfb.Reshape(event_shape_in=[32], event_shape_out=[4, 8, 1]),
        tfb.Scale(weights['log_scale'][0] + 2.0),
        tfb.Reshape(event_shape_in=[4, 8, 1], event_shape_out=[32]),
        bijectors.Squeeze(),
      ]
    )

  weights = {
    key: tf.Variable(_normal([3, 1], seed))
    for seed, key in enumerate(['shift', 'log_scale'])
  }
  value = _normal([5, 2, 4, 4], 6)
  expected = _run(lambda: _chain(step, weights), direction, value, weights)
  for recompute in (True, False):
    scan = bijectors.Scan(step, weights, recompute=recompute)
    got = _run(lambda s=scan: s, direction, value, weights)
    _assert_all_close(got, expected, rtol=0.0, atol=1e-11)


@both_directions
def test_scans_nest(direction):
  parameters = tf.Variable(1.5 + 0.2 * _normal([2, 3], 5))
  value = _normal([4], 6)

  def inner(parameters):
    return bijectors.Scan(_scale_and_shift, parameters)

  expected = _run(
    lambda: _chain(lambda p: _chain(_scale_and_shift, p), parameters, 2),
    direction,
    value,
    parameters,
    event_ndims=0,
  )
  scan = bijectors.Scan(inner, parameters)
  got = _run(lambda: scan, direction, value, parameters, event_ndims=0)
  _assert_all_close(got, expected, rtol=0.0, atol=1e-11)


def _num_nodes(function):
  """Nodes of a graph and of the loop bodies in it."""
  graph = function.graph.as_graph_def()
  return len(graph.node) + sum(
    len(body.node_def) for body in graph.library.function
  )


@pytest.mark.parametrize('recompute', [True, False])
def test_graph_does_not_grow_with_the_number_of_steps(recompute):
  def num_nodes(num_steps):
    weights = _weights(num_steps=num_steps)
    scan = bijectors.Scan(_glow_step, weights, recompute=recompute)

    @tf.function(autograph=False)
    def gradients(images):
      return _run(lambda: scan, 'inverse', images, weights)

    return _num_nodes(
      gradients.get_concrete_function(
        tf.TensorSpec([None, 2, 2, CHANNELS], tf.float64)
      )
    )

  # Not from 2: TensorFlow writes out zeros of fewer than 1000 elements.
  few = num_nodes(12)
  assert few > 50
  assert num_nodes(36) == few


def test_recompute_stores_no_activations_for_the_gradient():
  def stored_lists(recompute):
    weights = _weights(num_steps=2)
    scan = bijectors.Scan(_glow_step, weights, recompute=recompute)

    @tf.function(autograph=False)
    def gradients(images):
      return _run(lambda: scan, 'inverse', images, weights)

    graph = gradients.get_concrete_function(
      tf.TensorSpec([None, 2, 2, CHANNELS], tf.float64)
    ).graph.as_graph_def()
    # A loop keeps what its gradient needs in tensor lists, pushed by the body.
    return sum(
      node.op == 'TensorListPushBack'
      for body in graph.library.function
      for node in body.node_def
    )

  assert stored_lists(recompute=True) == 0
  assert stored_lists(recompute=False) > 0


@pytest.mark.parametrize('in_graph', [False, True])
def test_batch_shape_is_that_of_a_step(in_graph):
  scan = bijectors.Scan(tfb.Scale, tf.ones([NUM_STEPS, 2]))

  def shapes():
    return [
      scan.experimental_batch_shape_tensor(event_ndims)
      for event_ndims in (0, 1)
    ]

  of_scalars, of_vectors = tf.function(shapes)() if in_graph else shapes()
  assert of_scalars.numpy().tolist() == [2]
  assert of_vectors.numpy().tolist() == []
  assert scan.experimental_batch_shape() == [2]
  distribution = tfp.distributions.TransformedDistribution(
    tfp.distributions.Normal(0.0, 1.0), scan
  )
  assert distribution.batch_shape == [2]
  assert distribution.sample(5, seed=[1, 2]).shape == [5, 2]


def test_tracks_its_parameters_only():
  weights = _weights()
  scan = bijectors.Scan(_glow_step, weights)
  expected = [v for v in tf.nest.flatten(weights) if v.trainable]
  assert len(scan.trainable_variables) == len(expected) == 11
  assert {id(v) for v in scan.trainable_variables} == {id(v) for v in expected}
  assert len(scan.variables) == 14
  assert scan.num_steps == NUM_STEPS
  assert scan.stacked_parameters is not None
  assert scan.bijector_fn is _glow_step


def test_parameters_may_be_tensors_on_a_tape():
  raw = tf.Variable([0.1, 0.2], dtype=tf.float64)
  with tf.GradientTape() as tape:
    scan = bijectors.Scan(tfb.Scale, tf.exp(raw))
    y, log_det = scan.forward_and_log_det(tf.constant(3.0, tf.float64))
    loss = y + log_det
  # y + log_det = 3 exp(a + b) + a + b.
  np.testing.assert_allclose(
    tape.gradient(loss, raw), [3.0 * np.exp(0.3) + 1.0] * 2, rtol=1e-12
  )


@pytest.mark.parametrize('parameters', [[], {}, ()], ids=repr)
def test_refuses_no_parameters(parameters):
  with pytest.raises(ValueError, match='`parameters` must hold at least one'):
    bijectors.Scan(tfb.Scale, parameters)


@pytest.mark.parametrize(
  'parameters',
  [
    {'a': tf.ones([3]), 'b': tf.ones([2])},
    {'a': tf.ones([3]), 'b': tf.ones([])},
    {'a': tf.ones([0])},
  ],
)
def test_refuses_parameters_without_a_common_first_dimension(parameters):
  with pytest.raises(ValueError, match='must have the same first dimension'):
    bijectors.Scan(lambda p: tfb.Scale(p['a']), parameters)


def test_refuses_steps_that_change_the_rank():
  with pytest.raises(ValueError, match='must keep the shape of its input'):
    bijectors.Scan(
      lambda p: tfb.Reshape(event_shape_in=[4], event_shape_out=[2, 2]),
      tf.ones([3]),
    )


@both_directions
def test_refuses_steps_that_change_the_shape(direction):
  scan = bijectors.Scan(lambda p: bijectors.Squeeze(), tf.ones([3]))
  with pytest.raises(ValueError, match='must keep the shape of its input'):
    _apply(scan, direction, tf.ones([5, 4, 4, 4]), 3)


@pytest.mark.parametrize('recompute', [True, False])
@pytest.mark.parametrize('own', ['closed over', 'made anew'])
def test_refuses_steps_with_variables_of_their_own(recompute, own):
  outside = tf.Variable(2.0, name='outside')

  def step(shift):
    scale = outside if own == 'closed over' else tf.Variable(2.0)
    return tfb.Chain([tfb.Shift(shift), tfb.Scale(scale)])

  with pytest.raises(ValueError, match='`parameters`'):
    bijectors.Scan(step, tf.ones([3]), recompute=recompute)


@pytest.mark.parametrize('in_graph', [False, True])
def test_refuses_hidden_variables(in_graph):
  hidden = tf.Variable(2.0, name='hidden')

  def step(shift):
    # The constructor cannot see the variable in the product.
    return tfb.Chain([tfb.Shift(shift * hidden)])

  scan = bijectors.Scan(step, tf.Variable(tf.ones([3])))

  def run(x):
    with tf.GradientTape() as tape:
      y = scan.forward(x)
    return tape.gradient(y, scan.trainable_variables)

  if in_graph:
    run = tf.function(run, autograph=False)
  with pytest.raises(ValueError, match='`parameters`.*hidden'):
    run(tf.constant(1.0))


def test_constants_may_be_closed_over():
  constant = tf.Variable(2.0, trainable=False)
  scan = bijectors.Scan(
    lambda shift: tfb.Chain(
      [tfb.Shift(shift * constant / 2.0), tfb.Scale(constant)]
    ),
    tf.Variable(tf.ones([3])),
  )

  def value_and_gradient():
    with tf.GradientTape() as tape:
      y = scan.forward(1.0)
    return y, tape.gradient(y, scan.trainable_variables)[0]

  for run in (value_and_gradient, tf.function(value_and_gradient)):
    y, gradient = run()
    # y = 2 (2 (2 x + c) + b) + a.
    assert float(y) == 15.0
    assert gradient.numpy().tolist() == [1.0, 2.0, 4.0]


def test_refuses_to_unroll_what_is_recomputed():
  with pytest.raises(ValueError, match='requires `recompute=False`'):
    bijectors.Scan(tfb.Scale, tf.ones([3]), unroll=True)


def test_refuses_prepared_parameters_of_another_number_of_steps():
  scan = bijectors.Scan(
    tfb.Scale, tf.ones([3]), prepare_fn=lambda scales: scales[:2]
  )
  with pytest.raises(ValueError, match='must have the first dimension 3'):
    scan.forward(1.0)
