# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Puts every bijector of the library through the same checks, in float64.

The rank of an event is that of the image or the latent, even for a scan of
TFP's elementwise bijectors, whose own events are scalars.
"""

import functools

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from conformance import registry
from conformance.bijector_registry import BIJECTORS, EXCLUDED

from tfp_ood import bijectors

tfb = tfp.bijectors
tfd = tfp.distributions

FORWARD = 'forward'
INVERSE = 'inverse'

every_bijector = pytest.mark.parametrize('name', sorted(BIJECTORS))
both_directions = pytest.mark.parametrize('direction', [FORWARD, INVERSE])


def _shared(name):
  return BIJECTORS[name].make(seed=1)


def _event_shape(name, direction):
  """The shape of what goes in."""
  image_shape = tf.TensorShape(BIJECTORS[name].image_shape)
  if direction == INVERSE:
    return image_shape
  return _shared(name).inverse_event_shape(image_shape)


def _inputs(name, direction, batch_shape=(7,)):
  return registry.normal((*batch_shape, *_event_shape(name, direction)), 3)


def _fused(bijector, direction, value, event_ndims):
  """Value and log-determinant; never answered from TFP's cache."""
  function = {
    FORWARD: bijectors.forward_and_log_det,
    INVERSE: bijectors.inverse_and_log_det,
  }[direction]
  return function(bijector, tf.identity(value), event_ndims)


def _loss(value, log_det):
  """Weighs every number differently, so that no gradient cancels out."""
  weights = tf.sin(tf.cast(1 + tf.range(tf.size(value)), value.dtype))
  return tf.reduce_sum(
    weights * tf.reshape(value + 0.1 * value**2, [-1])
  ) + tf.reduce_sum(log_det)


def _value_and_gradients(bijector, direction, value, event_ndims):
  with tf.GradientTape() as tape:
    tape.watch(value)
    output, log_det = _fused(bijector, direction, value, event_ndims)
    loss = _loss(output, log_det)
  # What the tape saw is what the optimizer will be given: no more, no less.
  watched = {id(v) for v in tape.watched_variables()}
  assert watched == {id(v) for v in bijector.trainable_variables}
  gradients = tape.gradient(loss, [value, *bijector.trainable_variables])
  return output, log_det, gradients


@functools.cache
def _eager_run(name, direction):
  """Value, log-determinant and gradients of a batch of seven, made once."""
  return _value_and_gradients(
    _shared(name),
    direction,
    _inputs(name, direction),
    _event_shape(name, direction).rank,
  )


@functools.cache
def _traced(name, direction):
  """The same as a graph, for any batch size, and a list with what is static.

  Tracing is what takes time: every test gets the same graph.
  """
  event_shape = _event_shape(name, direction)
  static_shapes = []

  @tf.function(
    input_signature=[tf.TensorSpec([None, *event_shape], tf.float64)],
    autograph=False,
  )
  def function(value):
    output, log_det, gradients = _value_and_gradients(
      _shared(name), direction, value, event_shape.rank
    )
    static_shapes.append((output.shape, log_det.shape))
    return output, log_det, gradients

  return function, static_shapes


def test_every_public_bijector_is_registered():
  assert not registry.uncovered(
    bijectors, tfb.Bijector, BIJECTORS, excluded=EXCLUDED
  )
  for name in EXCLUDED:
    with pytest.raises((TypeError, NotImplementedError)):
      getattr(bijectors, name)()


def test_uncovered_reports_a_class_without_an_entry():
  fewer = {k: v for k, v in BIJECTORS.items() if not k.startswith('squeeze')}
  assert registry.uncovered(
    bijectors, tfb.Bijector, fewer, excluded=EXCLUDED
  ) == ['Squeeze']


@every_bijector
def test_inverse_undoes_forward_and_forward_inverse(name):
  bijector = _shared(name)
  for there, back in ((FORWARD, INVERSE), (INVERSE, FORWARD)):
    inputs = _inputs(name, there).numpy()
    between = getattr(bijector, there)(inputs).numpy()
    again = getattr(bijector, back)(between).numpy()
    assert not np.allclose(between.ravel(), inputs.ravel())
    np.testing.assert_allclose(again, inputs, rtol=1e-9, atol=1e-9)


@every_bijector
@both_directions
def test_log_det_is_that_of_the_autodiff_jacobian(name, direction):
  bijector = _shared(name)
  event_shape = _event_shape(name, direction)
  size = event_shape.num_elements()
  point = _inputs(name, direction, batch_shape=[1])
  # Output i is differentiated at copy i of the point: one backward pass makes
  # the whole Jacobian, because examples do not see one another.
  copies = tf.repeat(point, size, axis=0)
  with tf.GradientTape() as tape:
    tape.watch(copies)
    output, log_det = _fused(bijector, direction, copies, event_shape.rank)
    diagonal = tf.linalg.diag_part(tf.reshape(output, [size, size]))
  jacobian = tf.reshape(tape.gradient(diagonal, copies), [size, size])
  expected = np.linalg.slogdet(jacobian.numpy()).logabsdet
  np.testing.assert_allclose(
    log_det.numpy(), np.full([size], expected), rtol=1e-9, atol=1e-9
  )


@every_bijector
@both_directions
@pytest.mark.parametrize('batch_shape', [(), (2,), (2, 3)], ids=str)
def test_fused_and_separate_methods_agree(name, direction, batch_shape):
  bijector = _shared(name)
  inputs = _inputs(name, direction, batch_shape)
  event_shape = _event_shape(name, direction)
  event_ndims = event_shape.rank
  value, log_det = _fused(bijector, direction, inputs, event_ndims)
  separate_value = getattr(bijector, direction)(tf.identity(inputs))
  separate_log_det = getattr(bijector, f'{direction}_log_det_jacobian')(
    tf.identity(inputs), event_ndims=event_ndims
  )
  output_shape = getattr(bijector, f'{direction}_event_shape')(event_shape)
  output_shape_tensor = getattr(bijector, f'{direction}_event_shape_tensor')(
    event_shape.as_list()
  )
  assert value.shape == (*batch_shape, *output_shape)
  assert output_shape_tensor.numpy().tolist() == output_shape.as_list()
  assert log_det.shape == batch_shape
  assert separate_value.shape == value.shape
  assert value.dtype == log_det.dtype == tf.float64
  np.testing.assert_allclose(value, separate_value, rtol=1e-12)
  np.testing.assert_allclose(
    log_det, np.broadcast_to(separate_log_det, batch_shape), rtol=1e-12
  )


@every_bijector
@both_directions
def test_cached_log_dets_are_those_of_a_fresh_run(name, direction):
  bijector = _shared(name)
  inputs = _inputs(name, direction)
  event_ndims = inputs.shape.rank - 1
  outputs = getattr(bijector, direction)(inputs)
  _, expected = _fused(bijector, direction, inputs, event_ndims)
  # The very tensors that went in and came out: TFP answers from its cache.
  cached = getattr(bijector, f'{direction}_log_det_jacobian')(
    inputs, event_ndims=event_ndims
  )
  back = INVERSE if direction == FORWARD else FORWARD
  cached_back = getattr(bijector, f'{back}_log_det_jacobian')(
    outputs, event_ndims=outputs.shape.rank - 1
  )
  for log_det in (cached, -cached_back):
    np.testing.assert_allclose(
      np.broadcast_to(log_det, [7]), expected, rtol=1e-12
    )


@every_bijector
def test_forward_and_inverse_log_dets_are_opposite(name):
  bijector = _shared(name)
  latents = _inputs(name, FORWARD)
  images, forward = _fused(bijector, FORWARD, latents, latents.shape.rank - 1)
  _, inverse = _fused(bijector, INVERSE, images, images.shape.rank - 1)
  np.testing.assert_allclose(forward, -inverse, rtol=1e-9, atol=1e-9)


@every_bijector
def test_does_not_depend_on_the_rest_of_the_batch(name):
  bijector = _shared(name)
  for direction in (FORWARD, INVERSE):
    inputs = _inputs(name, direction, batch_shape=(3,))
    event_ndims = inputs.shape.rank - 1
    value, log_det = _fused(bijector, direction, inputs, event_ndims)
    extreme = tf.concat([inputs[2:], 100.0 * inputs[:2]], axis=0)
    in_company, its_log_det = _fused(bijector, direction, extreme, event_ndims)
    alone, alone_log_det = _fused(bijector, direction, inputs[2:], event_ndims)
    for other in (in_company[0], alone[0]):
      np.testing.assert_allclose(value[2], other, rtol=1e-11, atol=1e-11)
    for other in (its_log_det[0], alone_log_det[0]):
      np.testing.assert_allclose(log_det[2], other, rtol=1e-11, atol=1e-11)


@every_bijector
@both_directions
def test_gradient_reaches_every_trainable_variable(name, direction):
  _, _, (_, *gradients) = _eager_run(name, direction)
  for variable, gradient in zip(
    _shared(name).trainable_variables, gradients, strict=True
  ):
    assert gradient is not None, variable.name
    assert np.all(np.isfinite(gradient)), variable.name
    assert np.any(gradient != 0.0), variable.name


@every_bijector
def test_variables_are_listed_once(name):
  variables = _shared(name).variables
  assert len({id(v) for v in variables}) == len(variables)


@pytest.fixture
def _without_graph_optimizer():
  """Saves a third of the time where what counts is the trace."""
  optimizer = tf.config.optimizer
  optimizer.set_experimental_options({'disable_meta_optimizer': True})
  yield
  optimizer.set_experimental_options({'disable_meta_optimizer': False})


@every_bijector
@both_directions
@pytest.mark.usefixtures('_without_graph_optimizer')
def test_unknown_batch_size_is_traced_once(name, direction):
  function, static_shapes = _traced(name, direction)
  assert_close = functools.partial(
    np.testing.assert_allclose, rtol=1e-9, atol=1e-9
  )
  inputs = _inputs(name, direction, (7,))
  eager = _eager_run(name, direction)
  for batch_size in (1, 3):
    output, log_det, _ = function(inputs[:batch_size])
    assert_close(output, eager[0][:batch_size])
    assert_close(log_det, eager[1][:batch_size])
  tf.nest.map_structure(assert_close, function(inputs), eager)
  assert len(static_shapes) == 1
  # All but the batch size is known while tracing.
  value_shape, log_det_shape = static_shapes[0]
  assert value_shape[1:].is_fully_defined()
  assert log_det_shape.as_list() == [None]


@pytest.mark.exhaustive
@every_bijector
def test_maps_over_a_data_set_with_a_ragged_last_batch(name):
  function, _ = _traced(name, INVERSE)
  dataset = (
    tf.data.Dataset.from_tensor_slices(_inputs(name, INVERSE, (7,)))
    .batch(4)
    .map(lambda images: function(images)[:2])
  )
  batches = list(dataset)
  assert [len(log_det) for _, log_det in batches] == [4, 3]
  expected = _eager_run(name, INVERSE)[:2]
  for got, want in zip(zip(*batches, strict=True), expected, strict=True):
    np.testing.assert_allclose(
      tf.concat(got, axis=0), want, rtol=1e-10, atol=1e-10
    )


# Compiling takes long: one of each class, and the two layouts of 1x1 weights.
@pytest.mark.slow
@pytest.mark.parametrize(
  'name',
  [
    'activation_normalization',
    'affine_coupling_keras_3',
    'factor_out_affine',
    'glow_additive',
    'invertible_conv_1x1_dense',
    'invertible_conv_1x1_lu',
    'scan_affine',
    'scan_tfp_chain',
    'squeeze',
  ],
)
def test_xla_gives_the_same_numbers(name):
  bijector = _shared(name)
  images = _inputs(name, INVERSE, (3,))
  latents = _inputs(name, FORWARD, (3,))

  def function(images, latents):
    return (
      _value_and_gradients(bijector, INVERSE, images, 3),
      _fused(bijector, FORWARD, latents, latents.shape.rank - 1),
    )

  compiled = tf.function(function, jit_compile=True, autograph=False)
  tf.nest.map_structure(
    functools.partial(np.testing.assert_allclose, rtol=1e-8, atol=1e-8),
    compiled(images, latents),
    function(images, latents),
  )


@every_bijector
def test_checkpoint_round_trip(name, tmp_path):
  saved = _shared(name)
  restored = BIJECTORS[name].build(seed=2)
  images = _inputs(name, INVERSE, (3,))
  path = tf.train.Checkpoint(bijector=saved).write(str(tmp_path / 'weights'))
  status = tf.train.Checkpoint(bijector=restored).read(path)
  # An uninitialized bijector may now be used: the flag is in the checkpoint.
  status.assert_consumed()
  status.assert_existing_objects_matched()
  assert bijectors.is_initialized(restored)
  assert [v.shape for v in restored.variables] == [
    v.shape for v in saved.variables
  ]
  for got, want in zip(
    _fused(restored, INVERSE, images, 3),
    _fused(saved, INVERSE, images, 3),
    strict=True,
  ):
    np.testing.assert_array_equal(got, want)


@every_bijector
def test_another_seed_gives_another_bijector(name):
  # Without this the test of checkpoints could compare like with like.
  images = _inputs(name, INVERSE, (1,))
  if not _shared(name).variables:
    pytest.skip('has no variables')
  other, _ = _fused(BIJECTORS[name].make(seed=2), INVERSE, images, 3)
  assert not np.allclose(other, _fused(_shared(name), INVERSE, images, 3)[0])


@every_bijector
def test_batch_shape_is_that_of_a_single_transformation(name):
  bijector = _shared(name)
  event_ndims = _event_shape(name, FORWARD).rank
  assert bijector.experimental_batch_shape(event_ndims) == []
  assert bijector.experimental_batch_shape(y_event_ndims=3) == []
  shape = bijector.experimental_batch_shape_tensor(event_ndims)
  assert shape.dtype == tf.int32
  assert shape.shape == [0]
  base = tfd.Sample(
    tfd.Normal(tf.zeros([], tf.float64), 1.0), _event_shape(name, FORWARD)
  )
  assert tfd.TransformedDistribution(base, bijector).batch_shape == []


@every_bijector
def test_representations_name_the_class_and_the_batch_shape(name):
  bijector = _shared(name)
  assert type(bijector).__name__ in repr(bijector)
  assert type(bijector).__name__ in str(bijector)
  for chain in (bijector, tfb.Chain([bijector]), tfb.Invert(bijector)):
    assert 'batch_shape=[' in repr(chain)
    assert 'batch_shape=?' not in repr(chain)
    assert 'batch_shape=[' in str(chain)


def _transformed_distribution(bijector, name):
  """A chain with TFP's bijectors on both sides, over a standard normal."""
  chain = tfb.Chain(
    [tfb.Shift(tf.constant(0.1, tf.float64)), bijector]
    + [tfb.Scale(tf.constant(1.5, tf.float64))]
  )
  base = tfd.Sample(
    tfd.Normal(tf.zeros([], tf.float64), 1.0), _event_shape(name, FORWARD)
  )
  return tfd.TransformedDistribution(base, chain)


@every_bijector
def test_composes_with_the_bijectors_of_tfp(name):
  distribution = _transformed_distribution(_shared(name), name)
  images = _inputs(name, INVERSE)
  latents, log_det = _fused(distribution.bijector, INVERSE, images, 3)
  fused = distribution.distribution.log_prob(latents) + log_det
  assert fused.shape == [7]
  np.testing.assert_allclose(
    distribution.log_prob(images), fused, rtol=1e-10, atol=1e-10
  )
  in_graph = tf.function(distribution.log_prob)
  np.testing.assert_allclose(in_graph(images), fused, rtol=1e-10, atol=1e-10)
  samples = distribution.sample(tf.constant(2), seed=[1, 2])
  assert samples.shape == (2, *BIJECTORS[name].image_shape)
  # The sampled pair is cached; a copy is not.
  np.testing.assert_allclose(
    distribution.log_prob(samples),
    distribution.log_prob(tf.identity(samples)),
    rtol=1e-8,
  )


@every_bijector
def test_eager_log_prob_runs_each_network_once(name, monkeypatch):
  calls = []
  run_network = bijectors.Coupling._network_outputs

  def counted(self, *args):
    calls.append(self)
    return run_network(self, *args)

  monkeypatch.setattr(bijectors.Coupling, '_network_outputs', counted)
  distribution = _transformed_distribution(_shared(name), name)
  distribution.log_prob(_inputs(name, INVERSE))
  assert len(calls) == BIJECTORS[name].network_calls
  calls.clear()
  _fused(_shared(name), INVERSE, _inputs(name, INVERSE), 3)
  assert len(calls) == BIJECTORS[name].network_calls
