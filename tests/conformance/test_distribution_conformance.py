# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Puts every distribution of the library through the same checks."""

import inspect
import pathlib

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from conformance.distribution_registry import (
  COVERED_ELSEWHERE,
  EXCLUDED,
  IMAGE_SHAPE,
  MODELS,
  OTHERS,
  SWITCH_PRIORS,
  parts,
)

import tfp_ood
from tfp_ood import _protocol, distributions

tfd = tfp.distributions

_ALL = {**MODELS, **OTHERS, **SWITCH_PRIORS}
_THOROUGH = [name for name in MODELS if MODELS[name].is_thorough]
# Tracing these takes long.
_LONG = (
  'autoregressive_flow_prior',
  'flow_vae',
  'vae_categorical_autoregressive_vamp',
  'vae_learned_gaussian_full_mixture',
  'vae_logistic_coupling_flow',
  'vamp_prior',
)
_HALVES = ('batches', 'empty', 'refusal'), ('training', 'detector')

every_model = pytest.mark.parametrize('name', list(MODELS))
every_raw_pixel_distribution = pytest.mark.parametrize(
  'name', [name for name in MODELS if not name.startswith('rendering')]
)
every_other = pytest.mark.parametrize('name', list(OTHERS))
every_switch_prior = pytest.mark.parametrize('name', list(SWITCH_PRIORS))


@pytest.fixture(scope='module', autouse=True)
def _without_graph_optimizer():
  """Saves a third of the time where what counts is the trace."""
  optimizer = tf.config.optimizer
  optimizer.set_experimental_options({'disable_meta_optimizer': True})
  yield
  optimizer.set_experimental_options({'disable_meta_optimizer': False})


def _uncovered(entries):
  covered = set().union(*(entry.covers for entry in entries.values()))
  return sorted(
    set(distributions.__all__)
    - covered
    - set(EXCLUDED)
    - set(COVERED_ELSEWHERE)
  )


def _classes(names):
  """Those of some public names that are classes of distributions."""
  return {
    name
    for name in names
    if inspect.isclass(member := getattr(distributions, name))
    and issubclass(member, tfd.Distribution)
  }


def test_every_public_name_is_registered():
  assert not _uncovered(_ALL)
  tests = pathlib.Path(__file__).resolve().parents[1]
  for name, file in COVERED_ELSEWHERE.items():
    assert name in (tests / file).read_text(encoding='utf-8')
    assert not _classes([name])


def test_every_public_class_is_made_by_an_entry():
  made = {
    type(part).__name__
    for entry in _ALL.values()
    for part in parts(entry.make())
  }
  assert _classes(distributions.__all__) - set(EXCLUDED) <= made
  for name in EXCLUDED:
    with pytest.raises(NotImplementedError):
      getattr(distributions, name)(IMAGE_SHAPE).log_prob(
        np.zeros(IMAGE_SHAPE, np.uint8)
      )


def test_uncovered_reports_a_class_without_an_entry():
  fewer = {
    name: entry
    for name, entry in _ALL.items()
    if 'VampPrior' not in entry.covers
  }
  assert 'VampPrior' in _uncovered(fewer)


@pytest.mark.parametrize('name', sorted(_classes(distributions.__all__)))
def test_tfp_does_not_warn_about_parameters(name, caplog):
  kind = getattr(distributions, name)
  # TFP's joint distributions do not implement it.
  if not issubclass(kind, tfd.JointDistribution):
    kind.parameter_properties()
  assert 'parameter_properties' not in caplog.text


def test_a_class_may_say_what_its_parameters_are():
  class Uniform(distributions.RawPixelDistribution):
    def __init__(self, levels):
      del levels

    @classmethod
    def _parameter_properties(cls, dtype, num_classes=None):
      return {'levels': tfp.util.ParameterProperties()}

  class Special(Uniform):
    pass

  assert list(Uniform.parameter_properties()) == ['levels']
  assert list(Special.parameter_properties()) == ['levels']


# ----------------------------------------------------------- models of images


@pytest.mark.usefixtures('graphs_are_freed')
@pytest.mark.parametrize(
  'name',
  [
    pytest.param(
      name,
      marks=[pytest.mark.exhaustive]
      if name in _LONG
      else [pytest.mark.slow] * (name not in _THOROUGH),
    )
    for name in MODELS
  ],
)
def test_check_model_accepts_its_batches_and_what_it_refuses(name):
  entry = MODELS[name]
  tfp_ood.testing.check_model(
    entry.make(), entry.images(8), skip=_HALVES[1], rtol=entry.rtol
  )


@pytest.mark.usefixtures('graphs_are_freed')
@pytest.mark.slow
@pytest.mark.parametrize('name', _THOROUGH)
def test_trains_calibrates_a_detector_and_is_exported(name):
  entry = MODELS[name]
  tfp_ood.testing.check_model(
    entry.make(), entry.images(8), skip=_HALVES[0], rtol=entry.rtol
  )


@pytest.mark.parametrize('name', _THOROUGH)
def test_is_evaluated(name):
  entry = MODELS[name]
  model, inside, outside = entry.make(), entry.images(8), entry.images(5)
  outside = outside[..., ::-1]
  evaluation = tfp_ood.evaluation.evaluate(
    model,
    [tfp_ood.stats.NegativeLogLikelihood()],
    in_distribution=inside,
    out_of_distribution={'other colors': outside},
    verbose=False,
  )
  found = evaluation.aurocs()['negative_log_likelihood']['other colors'].auroc
  # How often an image outside has the smaller log-probability.
  outside, inside = (
    np.array(_protocol.log_prob(model, images)) for images in (outside, inside)
  )
  assert found == pytest.approx(np.mean(outside[:, None] < inside))


@every_model
def test_a_gradient_reaches_every_variable_of_a_model(name):
  entry = MODELS[name]
  model, images = entry.make(), tf.constant(entry.images(6))
  before = [variable.numpy() for variable in model.variables]
  with tf.GradientTape() as tape:
    loss = tf.reduce_sum(_protocol.training_loss(model, images, [1, 2]))
  # In training mode, normalization moves what it gathers.
  for variable, value in zip(model.variables, before, strict=True):
    variable.assign(value)
  _assert_gradients(tape, loss, model.trainable_variables, entry.idle)


def _assert_gradients(tape, loss, variables, idle=()):
  # What the tape saw is what the optimizer will be given: no more, no less.
  assert {id(v) for v in tape.watched_variables()} == {id(v) for v in variables}
  for variable, gradient in zip(
    variables, tape.gradient(loss, variables), strict=True
  ):
    assert gradient is not None, variable.name
    gradient = tf.convert_to_tensor(gradient)
    assert np.isfinite(gradient).all(), variable.name
    is_idle = any(part in variable.name for part in idle)
    assert is_idle or np.any(gradient != 0), variable.name


@pytest.mark.parametrize('name', _THOROUGH)
def test_one_bad_pixel_in_a_graph_is_refused(name):
  entry = MODELS[name]
  model, images = entry.make(), entry.images(7)
  log_prob = tf.function(
    lambda x: _protocol.log_prob(model, x),
    input_signature=[tf.TensorSpec([None, *IMAGE_SHAPE])],
    autograph=False,
  )
  expected = np.array(_protocol.log_prob(model, images))
  for count in (0, 1, 7):
    np.testing.assert_allclose(
      log_prob(images[:count].astype(np.float32)),
      expected[:count],
      rtol=entry.rtol,
    )
  for bad in (entry.num_values, -1, 0.5, np.nan, np.inf):
    wrong = images.astype(np.float32)
    wrong[5, 2, 3, 1] = bad
    with pytest.raises(tf.errors.InvalidArgumentError, match='raw pixels'):
      log_prob(wrong)
    with pytest.raises(ValueError, match='raw pixels'):
      _protocol.log_prob(model, wrong)
  assert log_prob.experimental_get_tracing_count() == 1


@every_raw_pixel_distribution
def test_batch_and_event_shapes(name):
  entry = MODELS[name]
  model, images = entry.make(), entry.images(6)
  assert model.event_shape == IMAGE_SHAPE
  assert model.batch_shape == []
  assert model.event_shape_tensor().numpy().tolist() == list(IMAGE_SHAPE)
  assert model.batch_shape_tensor().numpy().tolist() == []
  assert 'event_shape=[8, 8, 3]' in repr(model)
  flat = model.log_prob(images).numpy()
  in_two = model.log_prob(images.reshape([2, 3, *IMAGE_SHAPE]))
  np.testing.assert_allclose(in_two, flat.reshape([2, 3]), rtol=entry.rtol)
  alone = model.log_prob(images[0])
  assert alone.shape == []
  np.testing.assert_allclose(alone, flat[0], rtol=entry.rtol)


@every_raw_pixel_distribution
def test_samples_are_images(name):
  entry = MODELS[name]
  model = entry.make()
  if isinstance(model, distributions.Autoencoder):
    with pytest.raises(NotImplementedError, match='no prior to sample latents'):
      model.sample(2)
    return
  samples = model.sample(3, seed=[1, 2])
  assert model.dtype == samples.dtype == tf.uint8
  assert samples.shape == [3, *IMAGE_SHAPE]
  assert int(tf.reduce_max(samples)) < model.num_values
  np.testing.assert_array_equal(model.sample(3, seed=[1, 2]), samples)
  other = model.sample(3, seed=[1, 3])
  assert (other.numpy() != samples.numpy()).any()
  np.testing.assert_array_equal(
    model.sample(2, seed=4), model.sample(2, seed=4)
  )
  nothing = model.sample(0, seed=[1, 2])
  assert nothing.shape == [0, *IMAGE_SHAPE] and nothing.dtype == tf.uint8
  assert np.isfinite(model.log_prob(samples)).all()


@pytest.mark.slow
@pytest.mark.parametrize(
  'name',
  [
    'glow',
    'constant_volume_glow',
    'glow_of_learned_base',
    'vae',
    'vae_importance_weighted',
    'autoencoder',
  ],
)
def test_xla_gives_the_same_log_prob(name):
  entry = MODELS[name]
  model, images = entry.make(), entry.images(3)
  compiled = tf.function(model.log_prob, jit_compile=True, autograph=False)
  np.testing.assert_allclose(
    compiled(images), model.log_prob(images), rtol=1e-5
  )


# ----------------------------------------- distributions over something else


@pytest.mark.usefixtures('graphs_are_freed')
@pytest.mark.parametrize(
  'name',
  [
    pytest.param(name, marks=[pytest.mark.exhaustive] if name in _LONG else [])
    for name in OTHERS
  ],
)
def test_check_model_accepts_other_distributions(name):
  distribution = OTHERS[name].make()
  x = distribution.sample(8, seed=[1, 2])
  tfp_ood.testing.check_model(distribution, x, skip=['detector'])


@pytest.mark.usefixtures('graphs_are_freed')
@pytest.mark.slow
@pytest.mark.parametrize('name', ['vamp_prior', 'pixel_categorical'])
def test_other_distributions_calibrate_a_detector_and_are_exported(name):
  distribution = OTHERS[name].make()
  x = distribution.sample(8, seed=[1, 2])
  tfp_ood.testing.check_model(distribution, x, skip=[*_HALVES[0], 'training'])


@every_other
def test_a_gradient_reaches_every_variable_of_other_distributions(name):
  distribution = OTHERS[name].make()
  x = distribution.sample(5, seed=[1, 2])
  with tf.GradientTape() as tape:
    loss = tf.reduce_sum(distribution.log_prob(x))
  assert bool(distribution.trainable_variables) == OTHERS[name].is_trained
  _assert_gradients(tape, loss, distribution.trainable_variables)


@every_other
def test_samples_of_other_distributions_are_those_of_the_seed(name):
  distribution = OTHERS[name].make()
  event_shape = distribution.event_shape.as_list()
  assert distribution.batch_shape == []
  x = distribution.sample([2, 3], seed=[1, 2])
  assert x.shape == [2, 3, *event_shape] and x.dtype == distribution.dtype
  np.testing.assert_array_equal(distribution.sample([2, 3], seed=[1, 2]), x)
  other = distribution.sample([2, 3], seed=[1, 3])
  assert (other.numpy() != x.numpy()).any()
  assert distribution.sample(seed=[1, 2]).shape == event_shape
  assert distribution.sample(0, seed=[1, 2]).shape == [0, *event_shape]
  log_prob = distribution.log_prob(x)
  assert log_prob.shape == [2, 3]
  np.testing.assert_allclose(distribution.prob(x), np.exp(log_prob), rtol=1e-5)


@every_switch_prior
def test_switch_priors_are_distributions_too(name):
  prior = SWITCH_PRIORS[name].make()
  assert prior.batch_shape == [3]

  def draw(number, seed=(1, 2)):
    return prior.sample(number, seed=tf.constant(seed))

  def same(one, other):
    tf.nest.map_structure(np.testing.assert_array_equal, one, other)

  def part(switches, index):
    return tf.nest.map_structure(lambda t: t[index], switches)

  switches = draw(5)
  same(draw(5), switches)
  with pytest.raises(AssertionError):
    same(draw(5, (1, 3)), switches)
  log_prob = prior.log_prob(switches)
  assert log_prob.shape == [5, 3]
  assert np.isfinite(log_prob).all()
  np.testing.assert_allclose(
    prior.log_prob(part(switches, slice(2, 3))), log_prob[2:3], rtol=1e-10
  )
  np.testing.assert_allclose(
    prior.log_prob(part(switches, slice(None, None, -1))),
    log_prob[::-1],
    rtol=1e-10,
  )

  @tf.function(input_signature=[tf.TensorSpec([], tf.int32)], autograph=False)
  def in_graph(number):
    switches = draw(number)
    return switches, prior.log_prob(switches)

  for number in (1, 5):
    drawn, values = in_graph(number)
    same(drawn, draw(number))
    np.testing.assert_allclose(values, prior.log_prob(drawn), rtol=1e-10)
  assert in_graph.experimental_get_tracing_count() == 1

  # What renders the image, and the biases of the classes, are no part of it.
  _, *variables, _ = prior.network.model.trainable_variables
  with tf.GradientTape() as tape:
    loss = tf.reduce_sum(prior.log_prob(switches))
  for variable, gradient in zip(
    variables, tape.gradient(loss, variables), strict=True
  ):
    assert gradient is not None and np.any(gradient != 0), variable.name
