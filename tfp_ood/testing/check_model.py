# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Puts a model to the test that every model of the library passes."""

import tempfile

import numpy as np
import tensorflow as tf

from tfp_ood import _protocol
from tfp_ood.stats.decisions.detector import Detector
from tfp_ood.stats.scores.negative_log_likelihood import (
  NegativeLogLikelihood,
)
from tfp_ood.stats.statistics import Statistics
from tfp_ood.training.distribution_model import DistributionModel

__all__ = ['check_model']


_CHECKS = ('batches', 'empty', 'refusal', 'training', 'detector')


def check_model(model, examples, skip=(), rtol=1e-4):
  """Raises `AssertionError` unless a model works with everything downstream.

  The log-probability and the model's own statistics of an example must be the same
  on every call, in a batch of any size, alone or beside others, eagerly and in a
  graph that does not know the size of the batch. The model must refuse what it does
  not take, have gradients for all that it trains, learn by `DistributionModel`,
  calibrate a `Detector`, and be exported to a SavedModel that says the same. The
  weights are left as they were, also when a check fails.

  Args:
    model: distribution, or another object with `log_prob`.
    examples: array of at least 7 examples that differ.
    skip: names of checks to leave out, of `'batches'`, `'empty'`, `'refusal'`,
      `'training'`, `'detector'`. (TensorFlow's convolutions on a CPU fail on empty
      batches, and so do models of others that are made of them.)
    rtol: relative tolerance.

  Raises:
    AssertionError: if the model fails a check, also where it fails by an exception
      of its own, which is then the cause.
    ValueError: if there are fewer than 7 examples, or `skip` names no check.

  #### Example

  >>> import tensorflow_probability as tfp
  >>> normal = tfp.distributions.Independent(
  ...     tfp.distributions.Normal(tf.Variable(tf.zeros([4])), 1.), 1)
  >>> check_model(normal, np.random.default_rng(0).normal(size=[8, 4]))
  """
  examples = np.asarray(examples)
  if len(examples) < 7:
    raise ValueError(
      f'check_model: needs at least 7 examples, got {len(examples)}.'
    )
  unknown = set(skip) - set(_CHECKS)
  if unknown:
    raise ValueError(
      f'check_model: there is no check {", ".join(sorted(unknown))}; there are '
      f'{", ".join(_CHECKS)}.'
    )
  statistics = Statistics(model)
  names = ('log_prob', *_protocol.statistics_names(model))
  names = tuple(dict.fromkeys(names))
  checks = {
    'batches': lambda: _check_batches(statistics, names, examples, rtol),
    'empty': lambda: _check_empty(statistics, names, examples),
    'refusal': lambda: _check_refusal(statistics, examples),
    'training': lambda: _check_training(model, examples),
    'detector': lambda: _check_detector(model, examples, rtol),
  }
  variables = list(getattr(model, 'variables', ()))
  before = [variable.numpy() for variable in variables]
  for name in _CHECKS:
    if name in skip:
      continue
    try:
      checks[name]()
    except Exception as error:
      kind = '' if isinstance(error, AssertionError) else type(error).__name__
      raise AssertionError(
        f'The model fails in the check {name!r}: {kind} {error}'
      ) from error
    finally:
      for variable, value in zip(variables, before, strict=True):
        variable.assign(value)


def _check_batches(statistics, names, examples, rtol):
  together = _eagerly(statistics, examples, names)
  for name, values in together.items():
    shape = values.shape
    assert shape.rank and shape[0] == len(examples), (
      f'{name}: must have one row for each example, got shape {shape}.'
    )
    assert values.dtype.is_floating and np.isfinite(values).all(), (
      f'{name}: must be finite floats, got {values}.'
    )
  assert together['log_prob'].shape.rank == 1, (
    f'log_prob: must have shape [batch], got {together["log_prob"].shape}.'
  )
  spec = tf.TensorSpec(
    [None, *examples.shape[1:]], tf.convert_to_tensor(examples).dtype
  )
  # Without AutoGraph, as in `Detector`.
  graph = tf.function(
    lambda x: statistics(x, names), input_signature=[spec], autograph=False
  )
  parts = {
    'again': _eagerly(statistics, examples, names),
    'in a graph': graph(examples),
    'backwards': {k: v[::-1] for k, v in graph(examples[::-1]).items()},
    'in ragged batches': _joined([graph(examples[:4]), graph(examples[4:])]),
    'one by one': _joined([graph(x[np.newaxis]) for x in examples]),
    'in tf.data': _joined(
      tf.data.Dataset.from_tensor_slices(examples).batch(3).map(graph)
    ),
  }
  for how, values in parts.items():
    for name in names:
      np.testing.assert_allclose(
        values[name],
        together[name],
        rtol=rtol,
        atol=rtol * float(np.max(np.abs(together[name]))),
        err_msg=f'{name} is not the same {how}.',
      )


def _check_empty(statistics, names, examples):
  for name, values in statistics(examples[:0], names).items():
    assert values.shape[0] == 0, f'{name}: no examples, but {values.shape}.'


def _eagerly(statistics, x, names):
  """Computes statistics operation by operation, where a call would take a graph."""
  return statistics.of_checked(statistics.check(x, names), names)


def _joined(parts):
  parts = list(parts)
  return {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}


def _check_refusal(statistics, examples):
  x = tf.convert_to_tensor(examples)
  graph = tf.function(lambda x: statistics(x, ['log_prob']), autograph=False)
  floats = np.asarray(examples, np.float32)
  wrong = {}
  if statistics.event_shape.rank is not None:
    wrong['another shape'] = x[:, :-1]
  if x.dtype.is_floating or statistics.event_shape.rank == 3:
    wrong |= {'NaN': floats * np.nan, 'infinity': floats + np.inf}
  if x.dtype == tf.uint8:
    wrong |= {
      'scaled images': floats / 255.0,
      'fractions': floats + 0.5,
      'values out of range': floats - 256.0,
    }
  for what, values in wrong.items():
    for how, function in (
      ('eagerly', lambda x: _eagerly(statistics, x, ['log_prob'])),
      ('in a graph', graph),
    ):
      try:
        function(tf.convert_to_tensor(values))
      except (ValueError, tf.errors.InvalidArgumentError):
        continue
      raise AssertionError(f'The model takes {what} {how}.')


def _check_training(model, examples):
  if not getattr(model, 'trainable_variables', ()):
    return
  trained = DistributionModel(model)
  trained.compile('sgd')
  with tf.GradientTape() as tape:
    losses = _protocol.training_loss(
      model, tf.convert_to_tensor(examples), [1, 2]
    )
    loss = tf.reduce_mean(losses)
  assert losses.shape == [len(examples)], (
    f'The training loss must have shape [batch], got {losses.shape}.'
  )
  weights = trained.trainable_weights
  for weight, gradient in zip(
    weights, tape.gradient(loss, weights), strict=True
  ):
    assert gradient is not None, f'The loss does not depend on {weight.name}.'
    assert np.isfinite(tf.convert_to_tensor(gradient)).all(), (
      f'The gradient of the loss by {weight.name} is not finite.'
    )
  trained.fit(examples, epochs=1, batch_size=4, verbose=0)


def _check_detector(model, examples, rtol):
  detector = Detector(model, NegativeLogLikelihood()).fit(examples)
  scores = detector.score(examples)
  if not hasattr(model, 'variables'):
    return
  with tempfile.TemporaryDirectory() as folder:
    detector.export_saved_model(f'{folder}/detector')
    loaded = tf.saved_model.load(f'{folder}/detector')
    for spec in _protocol.input_specs(model):
      if spec.dtype == tf.uint8 and examples.dtype != np.uint8:
        continue  # Fractions would be cut off.
      np.testing.assert_allclose(
        loaded.score(tf.cast(examples, spec.dtype)),
        scores,
        rtol=rtol,
        atol=rtol * float(np.max(np.abs(scores))),
        err_msg=f'The SavedModel differs for {spec.dtype.name}.',
      )
