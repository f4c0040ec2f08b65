# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of training variational autoencoders introspectively."""

import math

import keras
import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras
import training_helpers as helpers
from tiers import few

import tfp_ood

tfd = tfp.distributions

_PIXELS = [2, 3, 1]
_SIZE = 6
_LATENT = 2
_DEVIATION = 30.0
_BETAS = dict(
  beta_reconstruction=0.3, beta_kl=0.7, beta_negative=2.0, gamma=0.5
)
_SHAPE = [8, 8, 1]
_METRICS = {
  'loss',
  'elbo',
  'reconstruction',
  'kl',
  'bits_per_dim',
  'encoder_loss',
  'decoder_loss',
  'kl_fake',
  'kl_reconstructed',
  'exp_elbo_fake',
  'exp_elbo_reconstructed',
}


def _images(number, side=8):
  return helpers.smooth_images(number, [side, side, 1])


def _batches(images, batch_size=16):
  return helpers.batches(images, batch_size)


def _vae(image_shape=_SHAPE, **kwargs):
  return tfp_ood.distributions.variational_autoencoder(
    image_shape, latent_size=3, hidden_channels=2, seed=1, **kwargs
  )


def _compiled(distribution, rates=(1e-3, 1e-3), run_eagerly=True, **kwargs):
  model = tfp_ood.training.SoftIntrospectiveModel(distribution, **kwargs)
  optimizers = map(tfp_ood.training.adam, rates)
  model.compile(*optimizers, run_eagerly=run_eagerly)
  return model


# --------------------------------------------- against a linear model in NumPy


class _Encoder(tf.Module):
  def __init__(self):
    super().__init__()
    generator = np.random.default_rng(0)
    self.weights = tf.Variable(generator.normal(0, 1, [_LATENT, _SIZE]))
    self.offset = tf.Variable(generator.normal(0, 0.3, [_LATENT]))
    self.log_scale = tf.Variable(generator.normal(-1, 0.3, [_LATENT]))

  def __call__(self, scaled):
    flat = tf.reshape(scaled, [-1, _SIZE])
    loc = tf.linalg.matvec(self.weights, flat) + self.offset
    return tfd.MultivariateNormalDiag(loc, tf.exp(self.log_scale))


class _Decoder(tf.Module):
  def __init__(self):
    super().__init__()
    generator = np.random.default_rng(1)
    self.weights = tf.Variable(generator.normal(0, 25, [_SIZE, _LATENT]))
    self.offset = tf.Variable(generator.uniform(100, 150, [_SIZE]))

  def __call__(self, codes):
    loc = tf.linalg.matvec(self.weights, codes) + self.offset
    loc = tf.reshape(loc, [-1, *_PIXELS])
    scale = tf.constant(_DEVIATION, loc.dtype)
    return tfd.Independent(tfd.Normal(loc, scale), 3)


def _linear(optimizers, run_eagerly=True, **kwargs):
  distribution = tfp_ood.distributions.VariationalAutoencoder(
    _Encoder(), _Decoder(), _PIXELS, log_prob_dtype=tf.float64
  )
  model = tfp_ood.training.SoftIntrospectiveModel(
    distribution, **{**_BETAS, **kwargs}
  )
  model.compile(*optimizers, run_eagerly=run_eagerly)
  return model


def _sgds(*rates):
  return [tf_keras.optimizers.SGD(rate) for rate in rates]


def _values(model):
  networks = (model.distribution.encoder, model.distribution.decoder)
  return [helpers.values(network.variables) for network in networks]


def _encode(encoder, images, noise):
  """The codes of flat images and their divergences."""
  log_scale, offset, weights = encoder
  loc = (images / 127.5 - 1) @ weights.T + offset
  kl = (loc**2 + np.exp(2 * log_scale) - 1) / 2 - log_scale
  return loc + np.exp(log_scale) * noise, kl.sum(axis=1)


def _decode(decoder, codes):
  offset, weights = decoder
  return codes @ weights.T + offset


def _error(images, means):
  return ((images - means) ** 2).sum(axis=1) / (2 * _DEVIATION**2)


_CONSTANT = _SIZE * math.log(_DEVIATION * math.sqrt(2 * math.pi))


def _encoder_loss(encoder, decoder, images, fakes, noise, has_fakes):
  codes, kl = _encode(encoder, images, noise[0])
  error = _error(images, _decode(decoder, codes)) + _CONSTANT
  loss = (0.3 * error + 0.7 * kl) / _SIZE
  for index, some in zip((2, 3), fakes, strict=True):
    codes, kl = _encode(encoder, some, noise[index])
    error = _error(some, _decode(decoder, codes))
    loss += has_fakes * 0.25 * np.exp(-2 / _SIZE * (0.3 * error + 2.0 * kl))
  return loss.mean()


def _decoder_loss(decoder, encoder, images, codes, constants, noise, has_fakes):
  """Of the decoder that is given first; `constants` has the old one's."""
  loss = 0.3 * (_error(images, _decode(decoder, codes[0])) + _CONSTANT)
  for index in (0, 1):
    fakes = _decode(decoder, codes[index])
    _, kl = _encode(encoder, fakes, noise[4 + index])
    targets, again = constants[index]
    error = _error(targets, _decode(decoder, again)) + _CONSTANT
    loss += has_fakes * (0.7 / 2 * kl + 0.5 * 0.3 / 2 * error)
  return loss.mean() / _SIZE


def _numeric_gradients(function, parameters):
  gradients = []
  for position, parameter in enumerate(parameters):
    gradient = np.zeros_like(parameter)
    for index in np.ndindex(parameter.shape):
      values = []
      for sign in (1, -1):
        moved = [p.copy() for p in parameters]
        moved[position][index] += sign * 1e-5
        values.append(function(moved))
      gradient[index] = (values[0] - values[1]) / 2e-5
    gradients.append(gradient)
  return gradients


@pytest.mark.parametrize('has_fakes', few([True, False], 1))
@pytest.mark.parametrize(
  'rates', few([(0.5, 20.0), (0.5, 0.0), (0.0, 20.0)], 1)
)
def test_a_step_descends_each_loss_in_its_own_variables(rates, has_fakes):
  model = _linear(
    _sgds(*rates),
    # One of them as a graph.
    run_eagerly=not (all(rates) and has_fakes),
    num_vae_steps=0 if has_fakes else 1,
  )
  generator = np.random.default_rng(2)
  pixels = generator.integers(60, 200, [5, *_PIXELS]).astype(np.uint8)
  images = pixels.reshape([5, _SIZE]).astype(np.float64)
  seeds = tfp.random.split_seed(model.fresh_seed(), n=6)
  noise = [
    tf.random.stateless_normal([5, _LATENT], s, dtype=tf.float64, alg='philox')
    for s in seeds
  ]
  noise = [n.numpy() for n in noise]
  prior_codes = model.distribution.prior.sample(5, seed=seeds[1]).numpy()
  encoder, decoder = _values(model)
  codes = _encode(encoder, images, noise[0])[0], prior_codes
  fakes = [_decode(decoder, some) for some in codes]

  history = model.fit(tf.data.Dataset.from_tensors(pixels), verbose=0).history
  moved_encoder, moved_decoder = _values(model)

  def encoder_loss(parameters):
    return _encoder_loss(parameters, decoder, images, fakes, noise, has_fakes)

  np.testing.assert_allclose(
    history['encoder_loss'], encoder_loss(encoder), rtol=1e-5
  )
  for old, new, gradient in zip(
    encoder,
    moved_encoder,
    _numeric_gradients(encoder_loss, encoder),
    strict=True,
  ):
    np.testing.assert_allclose(
      old - new, rates[0] * gradient, rtol=1e-5, atol=1e-9
    )

  # The decoder meets the encoder that has moved, with the codes of before.
  constants = [
    (some, _encode(moved_encoder, some, noise[4 + index])[0])
    for index, some in enumerate(fakes)
  ]

  def decoder_loss(parameters):
    return _decoder_loss(
      parameters, moved_encoder, images, codes, constants, noise, has_fakes
    )

  np.testing.assert_allclose(
    history['decoder_loss'], decoder_loss(decoder), rtol=1e-5
  )
  for old, new, gradient in zip(
    decoder,
    moved_decoder,
    _numeric_gradients(decoder_loss, decoder),
    strict=True,
  ):
    np.testing.assert_allclose(
      old - new, rates[1] * gradient, rtol=1e-5, atol=1e-9
    )
  for name, index in (('kl_reconstructed', 0), ('kl_fake', 1)):
    _, kl = _encode(moved_encoder, fakes[index], noise[0])
    np.testing.assert_allclose(history[name], has_fakes * kl.mean(), rtol=1e-5)


def test_the_exponential_stays_finite():
  model = _linear(_sgds(0.0, 0.0), beta_negative=1e30)
  pixels = np.full([3, *_PIXELS], 200, np.uint8)
  history = model.fit(tf.data.Dataset.from_tensors(pixels), verbose=0).history
  assert history['exp_elbo_fake'] == [0]
  assert np.isfinite([*history.values()]).all()


# -------------------------------------------------------------- with networks


_OPTIONS = dict(beta_negative=16.0, num_vae_steps=2, max_skipped_steps=1)


@pytest.fixture(scope='module', name='trained')
def _trained():
  """A model that was trained as a graph, under a strategy of one device."""
  with tf.distribute.MirroredStrategy(['CPU:0']).scope():
    model = _compiled(_vae(), (1e-2, 1e-2), run_eagerly=False, **_OPTIONS)
  before = helpers.values(model.distribution.variables)
  # The last batch of an epoch is smaller.
  dataset = _batches(_images(52), 32)
  history = model.fit(
    dataset, epochs=16, verbose=0, validation_data=dataset
  ).history
  return model, before, history


@pytest.mark.slow
def test_fit_lowers_the_loss_and_moves_every_variable(trained):
  model, before, history = trained
  measured = {name for name in history if not name.startswith('val_')}
  assert measured == _METRICS
  assert {name[4:] for name in set(history) - measured} == {
    'loss',
    'elbo',
    'reconstruction',
    'kl',
    'bits_per_dim',
  }
  assert history['loss'][-1] < history['loss'][0] - 0.1
  assert history['kl_fake'][0] == history['exp_elbo_fake'][0] == 0
  for name in ('exp_elbo_fake', 'exp_elbo_reconstructed'):
    assert 0 < history[name][-1] < 1
  # The statistics of batch normalization too.
  for variable, old in zip(model.distribution.variables, before, strict=True):
    assert np.abs(variable.numpy() - old).max() > 1e-6, variable.name


@pytest.mark.slow
def test_a_strategy_changes_nothing(trained):
  _, _, history = trained
  single = _compiled(_vae(), (1e-2, 1e-2), **_OPTIONS)
  dataset = _batches(_images(52), 32)
  expected = single.fit(dataset, epochs=2, verbose=0).history
  for name, values in expected.items():
    np.testing.assert_allclose(
      history[name][:2], values, rtol=1e-3, err_msg=name
    )


@pytest.mark.exhaustive
@pytest.mark.parametrize(
  'options',
  [
    dict(likelihood='categorical', num_values=8),
    dict(posterior='inverse_autoregressive', batch_normalization=False),
  ],
)
def test_other_decoders_and_posteriors(options):
  vae = _vae(**options)
  model = _compiled(vae, beta_negative=16.0)
  images = _images(16) // (256 // vae.num_values)
  decoder = vae.decoder.trainable_variables[0]
  before = decoder.numpy()
  history = model.fit(_batches(images, 8), verbose=0).history
  assert np.isfinite([*history.values()]).all()
  assert 0 < history['exp_elbo_fake'][0] <= 1
  assert np.abs(decoder.numpy() - before).max() > 0


def test_statistics_of_the_encoder_are_those_of_real_images():
  # Sides of eight are halved once, with no normalization in the encoder.
  images = _images(16, side=16)
  model = _compiled(_vae([16, 16, 1]), (0.0, 0.0))
  model.fit(tf.data.Dataset.from_tensors(images), verbose=0)
  twin = _vae([16, 16, 1])
  twin.elbo_terms(images, training=True)
  for variable, other in zip(
    model.distribution.encoder.variables, twin.encoder.variables, strict=True
  ):
    np.testing.assert_allclose(variable, other, rtol=1e-4, atol=1e-6)
  # Those of the decoder are also of codes from the prior.
  pairs = zip(
    model.distribution.decoder.non_trainable_variables,
    twin.decoder.non_trainable_variables,
    strict=True,
  )
  assert all(np.abs(one - other).max() > 1e-4 for one, other in pairs)


def test_evaluation_is_that_of_the_variational_model():
  vae = _vae()
  images = _images(23)
  model = _compiled(vae, beta_kl=3.0)
  scores = model.evaluate(_batches(images, 7), verbose=0, return_dict=True)
  other = tfp_ood.training.VariationalModel(vae, beta=3.0)
  other.compile(run_eagerly=True)
  expected = other.evaluate(_batches(images, 7), verbose=0, return_dict=True)
  assert scores == pytest.approx(expected)
  np.testing.assert_allclose(
    model.predict(_batches(images, 7), verbose=0), vae.log_prob(images), 1e-4
  )


def test_a_step_that_is_not_finite_is_skipped_once():
  bad = np.full([4, *_PIXELS], np.nan)
  good = np.full([4, *_PIXELS], 100.0)
  model = _linear(_sgds(0.1, 0.1), max_skipped_steps=1)
  before = _values(model)
  dataset = tf.data.Dataset.from_tensor_slices([bad])
  history = model.fit(dataset, verbose=0).history
  assert np.isfinite([*history.values()]).all()
  for old, new in zip(sum(before, []), sum(_values(model), []), strict=True):
    np.testing.assert_array_equal(old, new)
  assert int(model.skipped_steps) == 1
  dataset = tf.data.Dataset.from_tensor_slices([good, bad])
  assert np.isfinite(model.fit(dataset, verbose=0).history['loss'])
  assert int(model.skipped_steps) == 2
  # Another one in a row is reported.
  dataset = tf.data.Dataset.from_tensor_slices([bad])
  assert np.isnan(model.fit(dataset, verbose=0).history['encoder_loss'])


@pytest.mark.exhaustive
@pytest.mark.parametrize('ema_momentum', few([None, 0.8], 1))
def test_resuming_gives_the_weights_of_an_uninterrupted_run(
  tmp_path, ema_momentum
):
  # Keras starts a data set anew: its batches are all alike.
  pixels = np.random.default_rng(0).integers(0, 256, [4, *_PIXELS])
  dataset = tf.data.Dataset.from_tensors(pixels.astype(np.uint8)).repeat(4)

  def fit(*callbacks):
    # Fakes come after the interruption: their count goes on too.
    adams = [
      tfp_ood.training.adam(1e-2, ema_momentum=ema_momentum) for _ in range(2)
    ]
    model = _linear(adams, num_vae_steps=4, warmup_steps=6)
    model.fit(dataset, epochs=2, verbose=0, callbacks=list(callbacks))
    return model

  def backup():
    return tf_keras.callbacks.BackupAndRestore(tmp_path, save_freq=1)

  whole = fit()
  with pytest.raises(KeyboardInterrupt):
    fit(backup(), helpers.InterruptAt(3))
  resumed = fit(backup())
  for part in ('encoder', 'decoder'):
    optimizer = getattr(resumed.optimizer, part)
    assert int(optimizer.iterations) == 8
    expected = getattr(whole.optimizer, part)
    helpers.assert_all_close(optimizer.variables, expected.variables, rtol=1e-9)
  helpers.assert_all_close(
    resumed.distribution.variables, whole.distribution.variables, rtol=1e-9
  )


def test_both_networks_end_with_averages_of_their_weights():
  momenta = {'encoder': 0.7, 'decoder': 0.9}
  model = _linear(
    [tfp_ood.training.adam(0.1, ema_momentum=m) for m in momenta.values()]
  )
  parts = {part: getattr(model.distribution, part) for part in momenta}
  averages = {part: parts[part].offset.numpy() for part in parts}
  record = helpers.Record(
    lambda logs: {part: parts[part].offset.numpy() for part in parts}
  )
  pixels = np.random.default_rng(0).integers(0, 256, [16, *_PIXELS])
  model.fit(
    pixels.astype(np.uint8), batch_size=4, verbose=0, callbacks=[record]
  )
  assert len(record.values) == 4
  for part, momentum in momenta.items():
    for value in record.values:
      averages[part] = momentum * averages[part] + (1 - momentum) * value[part]
    np.testing.assert_allclose(parts[part].offset, averages[part], rtol=1e-9)
    distance = np.abs(averages[part] - record.values[-1][part])
    assert distance.max() > 0.05


@pytest.mark.parametrize(
  'optimizers',
  [
    ('adam', 'adam'),
    [tf_keras.optimizers.legacy.SGD(0.1) for _ in range(2)],
    (tf_keras.optimizers.legacy.Adam(0.1), 'sgd'),
  ],
)
def test_any_optimizers_of_tf_keras_do(optimizers):
  model = _linear(optimizers)
  before = _values(model)
  history = model.fit(np.full([4, *_PIXELS], 100, np.uint8), verbose=0).history
  assert np.isfinite([*history.values()]).all()
  for old, new in zip(before, _values(model), strict=True):
    assert any((a != b).any() for a, b in zip(old, new, strict=True))


def test_weights_of_examples_weigh_their_losses():
  generator = np.random.default_rng(0)
  pixels = generator.integers(0, 256, [4, *_PIXELS]).astype(np.uint8)
  after = []
  # Examples of no weight may be any.
  for others in (pixels[2:], pixels[2:] // 2):
    images = np.concatenate([pixels[:2], others])
    dataset = tf.data.Dataset.from_tensors((images, np.float32([2, 1, 0, 0])))
    model = _linear(_sgds(0.1, 0.1))
    model.fit(dataset.map(lambda x, w: (x, None, w)), verbose=0)
    after.append(sum(_values(model), []))
  helpers.assert_all_close(*after, rtol=1e-9)


def test_errors():
  make = tfp_ood.training.SoftIntrospectiveModel
  vae = _vae()
  for name in ('beta_reconstruction', 'beta_negative', 'gamma'):
    with pytest.raises(ValueError, match=f'`{name}` must not be negative'):
      make(vae, **{name: -1.0})
  with pytest.raises(ValueError, match='must be a VariationalAutoencoder'):
    make(
      tfp_ood.distributions.autoencoder(
        _SHAPE, latent_size=3, hidden_channels=2
      )
    )
  with pytest.raises(ValueError, match='the prior must be fixed'):
    make(_vae(prior='mixture'))
  shared = tf.Variable(1.0)
  with pytest.raises(ValueError, match='must not share variables'):
    make(
      tfp_ood.distributions.VariationalAutoencoder(
        tfp_ood.networks.FunctionNetwork(
          lambda x: tfd.MultivariateNormalDiag(
            x[:, 0, :2, 0] * shared, [1.0, 1]
          ),
          [shared],
        ),
        tfp_ood.networks.FunctionNetwork(
          lambda z: tfd.Independent(
            tfd.Normal(tf.zeros([1, *_PIXELS]) + shared * z[:1, 0], 1.0), 3
          ),
          [shared],
        ),
        _PIXELS,
      )
    )
  model = make(vae)
  adam = tfp_ood.training.adam
  one = adam(1e-3)
  with pytest.raises(ValueError, match='got the same one twice'):
    model.compile(one, one)
  for optimizers in (
    (keras.optimizers.Adam(), one),
    (one, keras.optimizers.SGD()),
  ):
    with pytest.raises(TypeError, match='compile: the optimizer .* of Keras 3'):
      model.compile(*optimizers)
  for role in ('encoder', 'decoder'):
    frozen = _vae()
    getattr(frozen, role).trainable = False
    with pytest.raises(ValueError, match=f'the {role} has nothing to train'):
      make(frozen)


def test_activity_regularizers_are_refused():
  layers = tf_keras.layers
  encoder = [
    layers.Input(_PIXELS),
    layers.Flatten(),
    layers.Dense(4, name='lazy', activity_regularizer='l2'),
    tfp.layers.IndependentNormal(2),
  ]
  decoder = [
    layers.Input([2]),
    layers.Dense(2 * _SIZE),
    tfp.layers.IndependentNormal(_PIXELS),
  ]
  vae = tfp_ood.distributions.VariationalAutoencoder(
    tf_keras.Sequential(encoder), tf_keras.Sequential(decoder), _PIXELS
  )
  with pytest.raises(ValueError, match='lazy has an activity regularizer'):
    tfp_ood.training.SoftIntrospectiveModel(vae)
