# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Every public distribution, and the variants of it worth a test."""

import dataclasses
import functools
from collections.abc import Callable

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras
from conformance import classifier_registry

from tfp_ood import bijectors, distributions, networks

__all__ = [
  'COVERED_ELSEWHERE',
  'EXCLUDED',
  'IMAGE_SHAPE',
  'MODELS',
  'OTHERS',
  'SWITCH_PRIORS',
  'Entry',
  'Model',
  'dense_encoder',
  'images',
  'move',
  'parts',
  'uniform',
]

tfb = tfp.bijectors
tfd = tfp.distributions

IMAGE_SHAPE = (8, 8, 3)
_SIZE = 192
_LATENT = 3
_GLOW = dict(num_levels=2, num_steps=2, hidden_channels=4, seed=1)


def images(number, num_values=256, shape=IMAGE_SHAPE, seed=0):
  """Smooth images, not noise: neighbors are alike, as in photographs."""
  generator = np.random.default_rng(seed)
  coarse = generator.uniform(0, num_values, size=[number, 2, 2, shape[-1]])
  fine = coarse.repeat(shape[0] // 2, axis=1).repeat(shape[1] // 2, axis=2)
  fine += generator.normal(0, num_values / 20, size=fine.shape)
  return np.clip(np.floor(fine), 0, num_values - 1).astype(np.uint8)


def move(module, scale=0.05, seed=7):
  """Moves weights and gathered statistics, so that none is at its start."""
  generator = np.random.default_rng(seed)
  for variable in module.variables:
    if variable.trainable or 'moving' in variable.name:
      noise = generator.normal(0, scale, variable.shape)
      # The masks of an autoregressive network are constraints.
      constraint = variable.constraint or tf.identity
      variable.assign(constraint(variable + tf.constant(noise, variable.dtype)))
  return module


def parts(distribution):
  """A distribution and those that it is made of."""
  found = [distribution]
  for part in found:
    inner = getattr(part, 'distribution', None)
    if isinstance(inner, tfd.Distribution):
      found.append(inner)
  return found


@dataclasses.dataclass(frozen=True)
class Model:
  """How to make a model of images of `IMAGE_SHAPE`.

  Attributes:
    build: callable without arguments that returns a new one, at its start.
    covers: names of `tfp_ood.distributions` that go into it.
    num_values: its pixels are `0 .. num_values - 1`.
    rtol: how close log-probabilities in different batches are.
    idle: parts of the names of variables whose gradient is zero.
    is_thorough: whether it stands for its class where a test takes long.
  """

  build: Callable
  covers: frozenset
  num_values: int = 256
  rtol: float = 1e-4
  idle: tuple = ()
  is_thorough: bool = False

  def make(self):
    """Returns one that is initialized and moved.

    It is made once for all tests of a process, which must not change it.
    """
    return _make(self)

  def images(self, number, seed=0):
    """Returns images of its range, `uint8`."""
    return images(number, self.num_values, seed=seed)


@functools.cache
def _make(entry):
  model = entry.build()
  if hasattr(model, 'initialize'):
    model.initialize(entry.images(64, seed=9))
  return move(model)


def _flow(build, *covers, **kwargs):
  return Model(build, frozenset({'ImageFlow', *covers}), **kwargs)


def _glow(**kwargs):
  return distributions.glow(IMAGE_SHAPE, **_GLOW, **kwargs)


def _pixel_cnn(num_values=256, is_thorough=False, **kwargs):
  return Model(
    lambda: distributions.pixel_cnn(
      IMAGE_SHAPE,
      num_values=num_values,
      **{
        'num_components': 2,
        'num_filters': 4,
        'num_blocks': 1,
        'num_levels': 2,
        **kwargs,
      },
      seed=1,
    ),
    frozenset({'PixelCnn', 'pixel_cnn'}),
    num_values=num_values,
    is_thorough=is_thorough,
  )


def _of_bijector(bijector, **kwargs):
  return distributions.ImageFlow(bijector, IMAGE_SHAPE, **kwargs)


def _reshape():
  return tfb.Reshape(event_shape_in=[_SIZE], event_shape_out=IMAGE_SHAPE)


def _of_tfp_parts():
  shift = tf.Variable(tf.linspace(-0.1, 0.1, 3), name='shift')
  log_scale = tf.Variable([-1.2, -1.0, -0.8], name='log_scale')
  return _of_bijector(
    tfb.Chain([tfb.Shift(shift), tfb.Scale(log_scale=log_scale), _reshape()])
  )


def _of_image_latent():
  """A flow whose latent has the shape of an image."""
  return _of_bijector(
    tfb.Chain(
      [
        bijectors.ActivationNormalization(3),
        bijectors.InvertibleConv1x1(3, seed=2),
      ]
    )
  )


def uniform(num_values=256):
  """A model that knows nothing: all images are alike."""
  half = np.full(_SIZE, 0.5, np.float32)
  base = tfd.Independent(tfd.Uniform(-half, half), 1)
  return _of_bijector(_reshape(), base=base, num_values=num_values)


def _autoencoder(factory, *covers, num_values=256, is_thorough=False, **kwargs):
  def build():
    return getattr(distributions, factory)(
      IMAGE_SHAPE,
      _LATENT,
      hidden_channels=2,
      num_values=num_values,
      seed=1,
      **kwargs,
    )

  # Before a normalization, a bias has no effect.
  is_plain = kwargs.get('batch_normalization') is False
  return Model(
    build,
    frozenset({factory, *covers}),
    num_values,
    idle=() if is_plain else ('bias',),
    is_thorough=is_thorough,
  )


def _vae(*covers, **kwargs):
  return _autoencoder(
    'variational_autoencoder',
    'VariationalAutoencoder',
    'pixel_likelihood',
    'posterior_layer',
    *covers,
    num_posterior_steps=2,
    **kwargs,
  )


def _rendering_model(normalize_renderings):
  layers = tf_keras.layers
  classifier = tf_keras.Sequential(
    [
      layers.Input(IMAGE_SHAPE),
      layers.Conv2D(4, 3, strides=2, activation='relu'),
      layers.Flatten(),
      # A bias of the classes decides on the label alone.
      layers.Dense(3, use_bias=False),
    ]
  )
  return distributions.NeuralRenderingModel.from_keras(
    classifier, normalize_renderings, variance=0.5
  )


MODELS = {
  'glow': _flow(_glow, 'glow', 'LogProbTerms', is_thorough=True),
  'constant_volume_glow': _flow(
    lambda: distributions.constant_volume_glow(IMAGE_SHAPE, **_GLOW),
    'constant_volume_glow',
  ),
  'glow_of_learned_base': _flow(
    lambda: _of_bijector(
      bijectors.Glow(IMAGE_SHAPE, **_GLOW),
      base=distributions.learned_normal([_SIZE]),
    ),
    'learned_normal',
  ),
  'glow_in_float64': _flow(
    lambda: _glow(dtype=tf.float64, recompute=False), rtol=1e-10
  ),
  # A last place may tip the rounding of its convolutions.
  'glow_in_bfloat16': _flow(
    lambda: _glow(compute_dtype=tf.bfloat16), rtol=1e-3
  ),
  'glow_of_five_bits': _flow(
    lambda: _of_bijector(bijectors.Glow(IMAGE_SHAPE, **_GLOW), num_values=32),
    num_values=32,
  ),
  'flow_of_image_latent': _flow(_of_image_latent),
  'flow_of_tfp_parts': _flow(_of_tfp_parts),
  'uniform': _flow(uniform),
  # Each likelihood, posterior and prior once.
  'vae': _vae('ElboTerms', is_thorough=True),
  'vae_plain': _vae(batch_normalization=False),
  'vae_learned_gaussian_full_mixture': _vae(
    'normal_mixture_prior',
    likelihood='learned_gaussian',
    posterior='full',
    prior='mixture',
  ),
  'vae_categorical_autoregressive_vamp': _vae(
    'Categorical',
    'InverseAutoregressiveNormal',
    'VampPrior',
    likelihood='categorical',
    posterior='inverse_autoregressive',
    prior='vamp',
    num_values=16,
    is_thorough=True,
  ),
  'vae_logistic_coupling_flow': _vae(
    'DiscretizedLogistic',
    'ConditionalCouplingNormal',
    'autoregressive_flow_prior',
    likelihood='discretized_logistic',
    posterior='conditional_coupling',
    prior='flow',
  ),
  'vae_importance_weighted': _vae(num_importance_samples=4, samples_per_pass=2),
  'flow_vae': _autoencoder(
    'flow_variational_autoencoder',
    'FlowVariationalAutoencoder',
    'FlowDecoderLayer',
    posterior='diagonal',
    num_levels=1,
    num_steps=1,
    coupling_hidden_channels=4,
    num_posterior_steps=2,
    is_thorough=True,
  ),
  'autoencoder': _autoencoder('autoencoder', 'Autoencoder', is_thorough=True),
  'pixel_cnn': _pixel_cnn(is_thorough=True),
  'pixel_cnn_categorical': _pixel_cnn(
    num_values=8, likelihood='categorical', num_levels=1
  ),
  'rendering_model': Model(
    lambda: _rendering_model(False),
    frozenset({'NeuralRenderingModel'}),
    is_thorough=True,
  ),
  'rendering_model_normalized': Model(
    lambda: _rendering_model(True), frozenset({'NeuralRenderingModel'})
  ),
}


@dataclasses.dataclass(frozen=True)
class Entry:
  """How to make a distribution over something else.

  Attributes:
    build: callable without arguments that returns a new one.
    covers: names of `tfp_ood.distributions` that go into it.
    is_trained: whether it has variables that a gradient trains.
  """

  build: Callable
  covers: frozenset
  is_trained: bool = True

  def make(self):
    """Returns one that is moved; all tests of a process share it."""
    return _make_entry(self)


@functools.cache
def _make_entry(entry):
  return move(entry.build())


def dense_encoder(layer, num_inputs):
  """A network from images of `[4, 4, 1]` to the distributions of a layer."""
  initializer = tf_keras.initializers.RandomNormal(seed=1)
  return tf_keras.Sequential(
    [
      tf_keras.layers.Input([4, 4, 1]),
      tf_keras.layers.Flatten(),
      tf_keras.layers.Dense(num_inputs, kernel_initializer=initializer),
      layer,
    ]
  )


def _vamp_prior():
  layer = distributions.ConditionalCouplingNormal(
    _LATENT, context_size=2, num_steps=1, hidden_units=[4]
  )
  return distributions.VampPrior(
    dense_encoder(layer, layer.num_inputs),
    [4, 4, 1],
    num_pseudo_inputs=6,
    seed=2,
  )


def _markov_mixture():
  reads = np.random.default_rng(0).integers(0, 3, [40, 5])
  model = distributions.MarkovMixture(5, 1, 2, num_values=3)
  return model.fit((reads, np.arange(40) % 2))


def _pixels(distribution):
  return tfd.Independent(distribution, reinterpreted_batch_ndims=3)


def _logits(shape):
  logits = np.random.default_rng(0).normal(size=shape)
  return tf.Variable(logits.astype(np.float32), name='logits')


OTHERS = {
  'vamp_prior': Entry(
    _vamp_prior, frozenset({'VampPrior', 'ConditionalCouplingNormal'})
  ),
  'normal_mixture_prior': Entry(
    lambda: distributions.normal_mixture_prior(_LATENT, 4, seed=1),
    frozenset({'normal_mixture_prior'}),
  ),
  'autoregressive_flow_prior': Entry(
    lambda: distributions.autoregressive_flow_prior(_LATENT, [4], seed=1),
    frozenset({'autoregressive_flow_prior'}),
  ),
  'learned_normal': Entry(
    lambda: distributions.learned_normal([_LATENT]),
    frozenset({'learned_normal'}),
  ),
  'discretized_logistic': Entry(
    lambda: _pixels(
      distributions.DiscretizedLogistic(
        tf.Variable(tf.fill([4, 4, 1], 7.0), name='loc'),
        tfp.util.TransformedVariable(tf.fill([4, 4, 1], 2.0), tfb.Softplus()),
        num_values=16,
      )
    ),
    frozenset({'DiscretizedLogistic'}),
  ),
  'pixel_categorical': Entry(
    lambda: _pixels(distributions.Categorical(_logits([4, 4, 1, 16]))),
    frozenset({'Categorical'}),
  ),
  'sequence_model': Entry(
    lambda: distributions.sequence_model(
      5, num_values=3, num_units=4, num_context=2, seed=1
    ),
    frozenset({'SequenceModel', 'sequence_model'}),
  ),
  'markov_mixture': Entry(
    _markov_mixture, frozenset({'MarkovMixture'}), is_trained=False
  ),
}


def _network():
  return networks.PiecewiseLinearNetwork(
    classifier_registry.dense_classifier([4, 3], seed=2)
  )


def _structured_prior():
  network = _network()
  labels = [0, 1, 2]
  prior = distributions.StructuredSwitchPrior(network, labels)
  return distributions.StructuredSwitchPrior(
    network, labels, log_normalizer=prior.log_normalizer().estimate
  )


# Of batch shape `[3]`, one for each class.
SWITCH_PRIORS = {
  'structured_switch_prior': Entry(
    _structured_prior, frozenset({'StructuredSwitchPrior', 'LogNormalizer'})
  ),
  'layerwise_switch_prior': Entry(
    lambda: distributions.LayerwiseSwitchPrior(_network(), [0, 1, 2]),
    frozenset({'LayerwiseSwitchPrior'}),
  ),
}

EXCLUDED = {
  'RawPixelDistribution': 'abstract: a subclass says what log_prob is'
}

# Public names that make no distribution, and the file that tests each.
COVERED_ELSEWHERE = {
  'JointMap': 'distributions/rendering/test_neural_rendering_model.py',
  'RenderingInference': (
    'distributions/rendering/test_neural_rendering_model.py'
  ),
  'RenderingTerms': 'distributions/rendering/test_neural_rendering_model.py',
}
