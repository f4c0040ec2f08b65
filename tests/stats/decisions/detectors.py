# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Models and calibrated detectors that the tests of `Detector` share."""

import functools

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp
import tf_keras

import tfp_ood
from tfp_ood import stats

__all__ = [
  'AUTOENCODER_SCORES',
  'LATENT_METHODS',
  'LAYERS',
  'RENDERING_SCORES',
  'SHAPE',
  'autoencoder',
  'background',
  'flow',
  'flow_score',
  'images',
  'of_autoencoder',
  'of_classifier',
  'of_flows',
  'of_pixel_cnn',
  'of_sequences',
  'pixel_cnn',
  'rendering_model',
  'sequence_model',
  'sequences',
  'shared_autoencoder',
  'shared_rendering_model',
]

tfd = tfp.distributions

SHAPE = [8, 8, 3]


def images(count, seed=0):
  """Returns images of four patches and a little noise, `uint8`."""
  random = np.random.default_rng(seed)
  coarse = random.integers(0, 226, [count, 2, 2, 3])
  fine = coarse.repeat(4, axis=1).repeat(4, axis=2)
  return (fine + random.integers(0, 30, fine.shape)).astype(np.uint8)


# ---------------------------------------------------------------------- flows


def flow(seed, initialized=True):
  """Returns a flow; one that is initialized is also moved from its start."""
  glow = tfp_ood.distributions.glow(
    SHAPE, num_levels=1, num_steps=1, hidden_channels=4, seed=seed
  )
  if initialized:
    glow.initialize(images(32, seed))
    random = np.random.default_rng(seed)
    for variable in glow.trainable_variables:
      variable.assign_add(random.normal(0, 0.05, variable.shape))
  return glow


def background(level):
  return tfd.Sample(tfd.Normal(tf.Variable(level), 60.0), SHAPE)


def flow_score():
  return stats.DensityOfStates(('density', 'volume', 'background_log_prob'))


@functools.cache
def of_flows():
  """A calibrated detector with a flow and a background."""
  return stats.Detector(
    flow(0), flow_score(), background=background(110.0)
  ).fit(images(60, 2))


# ---------------------------------------------------------------- classifiers


def rendering_model(seed=0, variance=0.5):
  k = tf_keras.layers
  classifier = tf_keras.Sequential(
    [
      k.Input(SHAPE),
      k.Conv2D(4, 3, strides=2, padding='same', activation='relu'),
      k.Conv2D(5, 3, activation='relu'),
      k.Flatten(),
      k.Dense(3),
    ]
  )
  random = np.random.default_rng(seed)
  classifier.set_weights(
    [random.normal(0, 0.3, weight.shape) for weight in classifier.weights]
  )
  return tfp_ood.distributions.NeuralRenderingModel.from_keras(
    classifier, variance=variance
  )


LAYERS = ('layer_etas', 'layer_reconstructions')
RENDERING_SCORES = {
  'latent': stats.RenderingLatent,
  'log_prob': stats.NegativeLogLikelihood,
  'reconstruction': lambda: stats.RenderingReconstruction(2),
  'softmax': lambda: stats.MaxSoftmax(2.0),
  'energy': lambda: stats.Energy(2.0),
  'layers': lambda: stats.DensityOfStates(LAYERS, 'gaussian'),
}


@functools.cache
def of_classifier(name):
  """A calibrated detector of a classifier's score."""
  detector = stats.Detector(shared_rendering_model(), RENDERING_SCORES[name]())
  return detector.fit(images(40, 2), training=images(60, 3))


@functools.cache
def shared_rendering_model():
  """The model of `of_classifier`; not to be changed."""
  return rendering_model()


# --------------------------------------------------------------- autoencoders


def autoencoder(seed=0):
  """Returns a variational autoencoder that optimizes in a few steps."""
  model = tfp_ood.distributions.variational_autoencoder(
    SHAPE, latent_size=3, hidden_channels=2, seed=seed
  )
  return model.copy(num_posterior_steps=3)


LATENT_METHODS = ('kde', 'one_class_svm', 'gaussian', 'mahalanobis')
AUTOENCODER_SCORES = {
  'likelihood': stats.NegativeLogLikelihood,
  'typicality': stats.Typicality,
  'complexity': stats.InputComplexity,
  'regret': stats.LikelihoodRegret,
  **{
    f'component {name}': functools.partial(stats.ElboComponent, name)
    for name in ('reconstruction', 'log_prior', 'posterior_entropy', 'kl')
  },
  **{
    f'latent {method}': functools.partial(
      stats.DensityOfStates, ('latent',), method
    )
    for method in LATENT_METHODS
  },
}


@functools.cache
def of_autoencoder(name):
  """A calibrated detector of an autoencoder's score."""
  detector = stats.Detector(shared_autoencoder(), AUTOENCODER_SCORES[name]())
  return detector.fit(images(40, 2), training=images(60, 3))


@functools.cache
def shared_autoencoder():
  """The model of `of_autoencoder`; not to be changed."""
  return autoencoder()


# ------------------------------------------------- models of TFP's own, by class


def sequence_model(seed=0):
  """Returns a model of 12 letters out of 4, independent of one another."""
  logits = np.random.default_rng(seed).normal(size=[12, 4])
  return tfd.Independent(
    tfd.Categorical(tf.Variable(logits, dtype=tf.float32)), 1
  )


def sequences(count, seed=0):
  random = np.random.default_rng(seed)
  return random.integers(0, 4, [count, 12], np.int32)


@functools.cache
def of_sequences():
  """A calibrated detector of sequences of whole numbers."""
  detector = stats.Detector(sequence_model(), stats.Typicality())
  return detector.fit(sequences(60, 1))


def pixel_cnn(seed=0):
  model = tfd.PixelCNN(
    image_shape=[8, 8, 1],
    num_resnet=1,
    num_hierarchies=1,
    num_filters=4,
    num_logistic_mix=2,
    dropout_p=0.0,
    use_data_init=False,
  )
  random = np.random.default_rng(seed)
  for variable in model.trainable_variables:
    variable.assign(random.normal(0.1, 0.3, variable.shape))
  return model


@functools.cache
def of_pixel_cnn():
  """A calibrated detector of a model that knows nothing of this library."""
  detector = stats.Detector(pixel_cnn(), stats.Typicality())
  return detector.fit(images(40, 1)[..., :1])
