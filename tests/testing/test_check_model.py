# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests that the public check of models catches what is broken."""

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from conformance.distribution_registry import images
from tiers import few

import tfp_ood

tfd = tfp.distributions

_SHAPE = (4, 4, 1)
_IMAGES = images(8, shape=_SHAPE)


class _Model(tfp_ood.distributions.RawPixelDistribution):
  """Independent normal pixels: a model that keeps what is asked of one."""

  def __init__(self, name='model'):
    super().__init__(_SHAPE, parameters=dict(locals()), name=name)
    self.loc = tf.Variable(tf.fill(_SHAPE, 100.0), name='loc')
    self.log_scale = tf.Variable(tf.fill(_SHAPE, 4.0), name='log_scale')

  def _normal(self):
    return tfd.Independent(tfd.Normal(self.loc, tf.exp(self.log_scale)), 3)

  def _log_prob(self, pixels):
    return self._normal().log_prob(tf.cast(pixels, tf.float32))

  @property
  def statistics_names(self):
    return ('log_prob', 'mean', 'rows')

  def statistics(self, pixels, names):
    values = {
      'log_prob': self.log_prob(pixels),
      'mean': tf.reduce_mean(tf.cast(pixels, tf.float32), axis=[1, 2, 3]),
      'rows': tf.reduce_sum(tf.cast(pixels, tf.float32), axis=[2, 3]),
    }
    return {name: values[name] for name in names}


class _OfBatch(_Model):
  """Centers an image by the mean of its batch."""

  def _log_prob(self, pixels):
    pixels = tf.cast(pixels, tf.float32)
    return super()._log_prob(pixels - tf.reduce_mean(pixels))


class _DrawsAnew(_Model):
  """Dequantizes with other noise on each call."""

  def _log_prob(self, pixels):
    noise = tf.random.uniform(tf.shape(pixels), maxval=20.0)
    return super()._log_prob(tf.cast(pixels, tf.float32) + noise)


class _DrawsAnewEagerly(_Model):
  """Has noise of its own for each call, but not in a graph."""

  def __init__(self):
    super().__init__()
    self.count = 0

  def _log_prob(self, pixels):
    self.count += tf.executing_eagerly()
    return super()._log_prob(pixels) + max(self.count - 1, 0)


class _TakesScaled(_Model):
  """Does not say what it takes."""

  def check(self, pixels):
    return tf.cast(tf.convert_to_tensor(pixels), tf.float32)


class _TakesScaledInGraphs(_Model):
  """Looks at pixels only when it runs eagerly."""

  def check(self, pixels):
    if tf.executing_eagerly():
      return super().check(pixels)
    return tf.cast(tf.convert_to_tensor(pixels), tf.float32)


class _ShortStatistic(_Model):
  def statistics(self, pixels, names):
    values = super().statistics(pixels, names)
    return values | {'mean': values['mean'][1:]}


class _ScalarStatistic(_Model):
  def statistics(self, pixels, names):
    values = super().statistics(pixels, names)
    return values | {'mean': tf.reduce_mean(values['mean'])}


class _WholeStatistic(_Model):
  def statistics(self, pixels, names):
    values = super().statistics(pixels, names)
    return values | {'mean': tf.cast(values['mean'], tf.int32)}


class _ColumnLogProb(_Model):
  def statistics(self, pixels, names):
    values = super().statistics(pixels, names)
    return values | {'log_prob': values['log_prob'][:, tf.newaxis]}


class _NotFinite(_Model):
  def _log_prob(self, pixels):
    return tf.math.log(super()._log_prob(pixels))


class _NoGradient(_Model):
  """Trains a variable that the loss does not see."""

  def __init__(self):
    super().__init__()
    self.forgotten = tf.Variable(1.0, name='forgotten')


class _StoppedGradient(_Model):
  """Has a gradient for its location, but none for its scale."""

  def _normal(self):
    scale = tf.stop_gradient(tf.exp(self.log_scale))
    return tfd.Independent(tfd.Normal(self.loc, scale), 3)


class _InfiniteGradient(_Model):
  """The derivative of a root, at zero."""

  def __init__(self):
    super().__init__()
    self.zero = tf.Variable(0.0, name='zero')

  def _log_prob(self, pixels):
    return super()._log_prob(pixels) + tf.sqrt(self.zero)


class _ScalarLoss(_Model):
  def training_loss(self, images, seed=None):
    del seed
    return -tf.reduce_mean(self.log_prob(images))


class _KnownBatch(_Model):
  """Needs the size of the batch when it is traced."""

  def _log_prob(self, pixels):
    flat = tf.reshape(tf.cast(pixels, tf.float32), [pixels.shape[0], 16])
    loc = tf.reshape(self.loc, [16])
    return tfd.Independent(
      tfd.Normal(loc, tf.exp(tf.reshape(self.log_scale, [16]))), 1
    ).log_prob(flat)


class _NoEmptyBatch(_Model):
  def _log_prob(self, pixels):
    tf.debugging.assert_positive(tf.shape(pixels)[0])
    return super()._log_prob(pixels)


class _FailsOnceTrained(_Model):
  """Takes one step, and fails at the next."""

  def training_loss(self, images, seed=None):
    tf.debugging.assert_equal(self.loc, tf.fill(_SHAPE, 100.0))
    return super().training_loss(images, seed)


class _HidesAVariable(_Model):
  """Uses a variable that nobody finds among its attributes."""

  def __init__(self):
    super().__init__()
    hidden = tf.Variable(0.0, trainable=False)
    self._shift = lambda: hidden

  def _log_prob(self, pixels):
    return super()._log_prob(tf.cast(pixels, tf.float32) + self._shift())


# What is said of each.
_BROKEN = {
  _OfBatch: 'log_prob is not the same',
  _DrawsAnew: 'log_prob is not the same again',
  _DrawsAnewEagerly: 'log_prob is not the same again',
  _TakesScaled: 'The model takes NaN eagerly',
  _TakesScaledInGraphs: 'The model takes NaN in a graph',
  _ShortStatistic: r'mean: must have one row .* got shape \(7,\)',
  _ScalarStatistic: r'mean: must have one row .* got shape \(\)',
  _WholeStatistic: 'mean: must be finite floats',
  _ColumnLogProb: r'log_prob: must have shape \[batch\]',
  _NotFinite: 'log_prob: must be finite floats',
  _NoGradient: 'The loss does not depend on forgotten',
  _StoppedGradient: 'The loss does not depend on log_scale',
  _InfiniteGradient: 'gradient of the loss by zero:0 is not finite',
  _ScalarLoss: r'training loss must have shape \[batch\], got \(\)',
  _KnownBatch: "fails in the check 'batches': (Type|Value)Error ",
  _NoEmptyBatch: "fails in the check 'empty': InvalidArgument",
  _FailsOnceTrained: "fails in the check 'training'",
}


@pytest.mark.slow
def test_a_sound_model_passes():
  tfp_ood.testing.check_model(_Model(), _IMAGES)


@pytest.mark.parametrize('broken', list(_BROKEN), ids=lambda c: c.__name__)
def test_a_broken_model_is_caught(broken):
  _assert_caught(broken(), _BROKEN[broken], skip=['detector'])


@pytest.mark.slow
def test_a_model_that_cannot_be_exported_is_caught():
  message = "fails in the check 'detector': .*untracked"
  _assert_caught(_HidesAVariable(), message)


def _assert_caught(model, message, **kwargs):
  before = [variable.numpy() for variable in model.variables]
  with pytest.raises(AssertionError, match=f'(?s){message}'):
    tfp_ood.testing.check_model(model, _IMAGES, **kwargs)
  for variable, value in zip(model.variables, before, strict=True):
    np.testing.assert_array_equal(variable, value)


def test_checks_that_are_left_out_do_not_fail():
  no_training = ['training', 'detector']
  tfp_ood.testing.check_model(_NoGradient(), _IMAGES, skip=no_training)
  rest = ['batches', 'refusal', *no_training]
  tfp_ood.testing.check_model(_OfBatch(), _IMAGES, skip=rest)


def test_weights_are_as_before_and_training_was_tried():
  model = _Model()
  seen = []

  def training_loss(images, seed=None):
    seen.append(images.shape)
    return -model.log_prob(images)

  model.training_loss = training_loss
  before = [variable.numpy() for variable in model.variables]
  rest = ['batches', 'empty', 'refusal', 'detector']
  tfp_ood.testing.check_model(model, _IMAGES, skip=rest)
  assert len(seen) >= 2
  for variable, value in zip(model.variables, before, strict=True):
    np.testing.assert_array_equal(variable, value)


class _Function:
  """A model that is no distribution, and does not say what it is over."""

  def log_prob(self, x):
    return -tf.reduce_sum(x**2, axis=-1)


@pytest.mark.parametrize('dtype', [np.float32, np.float64])
def test_any_object_with_log_prob_is_checked(dtype):
  x = np.random.default_rng(0).normal(size=[9, 5]).astype(dtype)
  tfp_ood.testing.check_model(_Function(), x, skip=['refusal'])
  with pytest.raises(AssertionError, match='takes NaN'):
    model = _Function()
    model.check = tf.convert_to_tensor
    tfp_ood.testing.check_model(model, x)


@pytest.mark.parametrize('dtype', few([np.float32, np.float64], 1))
def test_distributions_of_tfp_are_checked(dtype):
  normal = tfd.Independent(
    tfd.Normal(tf.Variable(np.zeros(4, dtype)), np.ones(4, dtype)), 1
  )
  x = np.random.default_rng(0).normal(size=[8, 4]).astype(dtype)
  skip = [] if dtype == np.float32 else ['training']
  tfp_ood.testing.check_model(normal, x, skip=skip)


def test_sequences_of_whole_numbers_are_checked():
  logits = tf.Variable(np.random.default_rng(0).normal(size=[6, 4]))
  letters = tfd.Independent(tfd.Categorical(logits=logits), 1)
  x = np.random.default_rng(0).integers(0, 4, [8, 6]).astype(np.int32)
  tfp_ood.testing.check_model(letters, x, skip=['training'])


def test_errors():
  with pytest.raises(ValueError, match='at least 7 examples, got 6'):
    tfp_ood.testing.check_model(_Model(), _IMAGES[:6])
  with pytest.raises(
    ValueError, match='no check export; there are batches, em'
  ):
    tfp_ood.testing.check_model(_Model(), _IMAGES, skip=['export'])
