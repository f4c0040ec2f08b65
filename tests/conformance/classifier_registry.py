# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tiny piecewise linear classifiers in float64, one for every kind of layer."""

import collections
import contextlib
import functools
import itertools

import keras
import numpy as np
import tensorflow as tf
import tf_keras

from tfp_ood.networks import PiecewiseLinearNetwork

__all__ = [
  'CLASSIFIERS',
  'LIBRARIES',
  'all_switches',
  'classifier',
  'dense_classifier',
  'double_precision',
  'inputs',
  'network_of',
  'nonnegative',
  'perturb_weights',
  'pooled_classifier',
  'random_switches',
  'shared_classifier',
]

LIBRARIES = {'tf_keras': tf_keras, 'keras': keras}

# `is_chain`: no features but those of the layer below reach a layer.
# `num_layers`: how many layers have switches.
Classifier = collections.namedtuple(
  'Classifier', ['input_shape', 'num_layers', 'build', 'is_chain']
)


def _sequential(num_layers, input_shape, make):
  def build(library):
    parts = make(library.layers)
    return library.Sequential([library.layers.Input(input_shape), *parts])

  return Classifier(input_shape, num_layers, build, True)


def _functional(num_layers, input_shape, make):
  def build(library):
    images = library.layers.Input(input_shape)
    return library.Model(images, make(library, images))

  return Classifier(input_shape, num_layers, build, False)


def _conv(k, filters=3, size=3, activation='relu', **kwargs):
  return k.Conv2D(filters, size, activation=activation, **kwargs)


def _head(k):
  return [k.Flatten(), k.Dense(3)]


def _residual(library, images):
  k = library.layers
  first = _conv(k, padding='same')(images)
  branch = _conv(k, padding='same')(first)
  branch = _conv(k, activation=None, padding='same')(branch)
  second = k.ReLU()(k.Add()([first, branch]))
  return k.Dense(3)(k.GlobalAveragePooling2D()(second))


def _concatenation(library, images):
  k = library.layers
  first = _conv(k, 2, padding='same')(images)
  both = k.Concatenate()([images, first])
  second = _conv(k, 2, padding='same')(both)
  everything = k.Concatenate()([both, second])
  return k.Dense(3)(k.Flatten()(k.MaxPooling2D()(everything)))


def _difference(library, images):
  k = library.layers
  left, right = _conv(k)(images), _conv(k)(images)
  return k.Dense(3)(k.Flatten()(k.Subtract()([left, right])))


def _twice(library, images):
  """A layer used twice, and features added to themselves."""
  k = library.layers
  shared = _conv(k, 2, padding='same')
  features = shared(shared(images))
  doubled = k.Add()([features, features])
  return k.Dense(3)(k.Flatten()(doubled))


def _pre_activation(library, images):
  """A skip connection past a rectifier: its pre-activations have two users."""
  k = library.layers
  first = _conv(k, activation=None, padding='same')(images)
  branch = _conv(k, padding='same')(k.ReLU()(first))
  second = k.ReLU()(k.Average()([first, branch]))
  return k.Dense(3)(k.Flatten()(second))


def _operators(library, images):
  """Operations of the functional API that are no layers."""
  k = library.layers
  features = _conv(k, 2, padding='same')(images * 2.0 - 1.0)
  features = (features + images) / 3.0
  relu6 = tf.nn.relu6 if library is tf_keras else keras.ops.relu6
  features = relu6(4.0 - features) - library.activations.relu(features)
  return k.Dense(3)(k.Flatten()(features))


def _nested(library, images):
  k = library.layers
  inner_images = k.Input([6, 6, 2])
  inner = library.Model(
    inner_images,
    k.ReLU()(k.Add()([inner_images, _conv(k, 2, 1)(inner_images)])),
  )
  sequential = library.Sequential(
    [k.Input([6, 6, 2]), _conv(k, 2), k.MaxPooling2D()]
  )
  return k.Dense(3)(k.Flatten()(sequential(inner(inner(images)))))


CLASSIFIERS = {
  'dense': _sequential(
    2,
    [5],
    lambda k: [
      k.Dense(4, activation='relu'),
      k.Dense(4, activation='relu'),
      k.Dense(3),
    ],
  ),
  'without biases': _sequential(
    1,
    [5],
    lambda k: [
      k.Dense(4, activation='relu', use_bias=False),
      k.Dense(3, use_bias=False),
    ],
  ),
  'convolution, same': _sequential(
    2,
    [6, 6, 2],
    lambda k: [_conv(k, padding='same'), _conv(k, 2), *_head(k)],
  ),
  'convolution, valid': _sequential(
    1, [6, 5, 2], lambda k: [_conv(k, 3, (3, 2)), *_head(k)]
  ),
  'convolution, dilated': _sequential(
    1, [7, 7, 2], lambda k: [_conv(k, dilation_rate=2), *_head(k)]
  ),
  'stride 2, even': _sequential(
    2,
    [6, 6, 2],
    lambda k: [
      _conv(k, strides=2, padding='same'),
      _conv(k, 2, 2, strides=(2, 1), padding='same'),
      *_head(k),
    ],
  ),
  'stride 2, odd': _sequential(
    2,
    [7, 5, 2],
    lambda k: [
      _conv(k, strides=2, padding='same'),
      _conv(k, 2, 2, strides=2),
      *_head(k),
    ],
  ),
  'depthwise, dilated': _sequential(
    1,
    [6, 6, 2],
    lambda k: [
      k.DepthwiseConv2D(2, dilation_rate=2, activation='relu'),
      *_head(k),
    ],
  ),
  'depthwise': _sequential(
    2,
    [6, 6, 2],
    lambda k: [
      k.DepthwiseConv2D(3, depth_multiplier=2, activation='relu'),
      k.DepthwiseConv2D(2, strides=2, padding='same'),
      k.ReLU(),
      *_head(k),
    ],
  ),
  'max pool': _sequential(
    2,
    [6, 6, 2],
    lambda k: [
      _conv(k, padding='same'),
      k.MaxPooling2D(),
      _conv(k, 2, 2),
      *_head(k),
    ],
  ),
  'max pool before the rectifier': _sequential(
    1,
    [6, 6, 2],
    lambda k: [
      _conv(k, activation=None),
      k.MaxPooling2D(),
      k.Activation('relu'),
      *_head(k),
    ],
  ),
  'overlapping max pool': _sequential(
    2,
    [6, 7, 2],
    lambda k: [
      _conv(k, padding='same'),
      k.MaxPooling2D(3, 2, padding='same'),
      _conv(k, 2, 2),
      k.MaxPooling2D(2, 1),
      *_head(k),
    ],
  ),
  'max pools alone': _sequential(
    2,
    [6, 6, 2],
    lambda k: [
      _conv(k, activation=None, padding='same'),
      k.MaxPooling2D(3, 2, padding='same'),
      k.MaxPooling2D((2, 1)),
      *_head(k),
    ],
  ),
  'global max pool': _sequential(
    2,
    [5, 6, 2],
    lambda k: [
      _conv(k),
      _conv(k, activation=None, padding='same'),
      k.GlobalMaxPooling2D(),
      k.Dense(3),
    ],
  ),
  'global max pool, dimensions kept': _sequential(
    1,
    [5, 5, 2],
    lambda k: [_conv(k), k.GlobalMaxPooling2D(keepdims=True), *_head(k)],
  ),
  'average pool': _sequential(
    2,
    [7, 6, 2],
    lambda k: [
      _conv(k, padding='same'),
      k.AveragePooling2D(2, padding='same'),
      _conv(k, 2),
      *_head(k),
    ],
  ),
  'global average pool': _sequential(
    1, [6, 6, 2], lambda k: [_conv(k), k.GlobalAveragePooling2D(), k.Dense(3)]
  ),
  'rectifier before the logits': _sequential(
    1, [6, 6, 2], lambda k: [_conv(k), k.GlobalAveragePooling2D()]
  ),
  'batch normalization': _sequential(
    2,
    [6, 6, 2],
    lambda k: [
      k.BatchNormalization(),
      _conv(k, activation=None, use_bias=False),
      k.BatchNormalization(),
      k.ReLU(),
      k.MaxPooling2D(),
      k.Flatten(),
      k.Dense(4),
      k.BatchNormalization(scale=False),
      k.ReLU(),
      k.Dense(3),
    ],
  ),
  'batch normalization, other axes': _sequential(
    2,
    [6, 5, 2],
    lambda k: [
      k.BatchNormalization(axis=1),
      _conv(k),
      k.BatchNormalization(axis=-2),
      _conv(k, 2, 2),
      *_head(k),
    ],
  ),
  'dropout': _sequential(
    2,
    [6, 6, 2],
    lambda k: [
      k.Dropout(0.2),
      _conv(k),
      k.SpatialDropout2D(0.5),
      _conv(k, 2),
      k.GaussianNoise(1.0),
      *_head(k),
    ],
  ),
  'zero padding': _sequential(
    2,
    [5, 5, 2],
    lambda k: [
      k.ZeroPadding2D(((1, 2), (0, 1))),
      _conv(k, strides=2),
      k.Cropping2D(((1, 0), (0, 0))),
      _conv(k, 2, 2),
      *_head(k),
    ],
  ),
  'upsampling': _sequential(
    2,
    [5, 5, 2],
    lambda k: [_conv(k), k.UpSampling2D(), _conv(k, 2), *_head(k)],
  ),
  'leaky rectifier': _sequential(
    3,
    [6, 6, 2],
    lambda k: [
      _conv(k, activation=None),
      k.LeakyReLU(0.1),
      k.MaxPooling2D(),
      k.Conv2D(2, 1, activation='leaky_relu'),
      k.ReLU(negative_slope=0.3),
      *_head(k),
    ],
  ),
  'reshape': _sequential(
    2,
    [4, 6, 2],
    lambda k: [
      k.Rescaling(0.5, offset=-0.3),
      k.Permute((2, 1, 3)),
      _conv(k),
      k.Reshape([2, 4, 3]),
      k.Dense(2, activation='relu'),
      *_head(k),
    ],
  ),
  'clipped rectifier': _sequential(
    7,
    [6, 6, 2],
    lambda k: [
      _conv(k, activation=None),
      k.ReLU(max_value=0.75),
      k.MaxPooling2D(),
      _conv(k, 2, 1, activation='relu6'),
      k.Flatten(),
      k.Dense(4),
      k.ReLU(max_value=0.5, negative_slope=0.25),
      k.Dense(3),
    ],
  ),
  'rectifier with a threshold': _sequential(
    2,
    [6, 6, 2],
    lambda k: [
      _conv(k, activation=None),
      k.ReLU(threshold=0.5),
      k.MaxPooling2D(),
      k.Flatten(),
      k.Dense(4),
      k.ReLU(threshold=0.25),
      k.Dense(3),
    ],
  ),
  'activations that are layers': _sequential(
    2,
    [6, 6, 2],
    lambda k: [
      _conv(k, activation=k.LeakyReLU(0.3)),
      k.Activation('linear'),
      _conv(k, 2, activation=k.ReLU()),
      *_head(k),
    ],
  ),
  'separable': _sequential(
    2,
    [6, 6, 2],
    lambda k: [
      k.SeparableConv2D(
        3, 3, strides=2, padding='same', depth_multiplier=2, activation='relu'
      ),
      k.SeparableConv2D(2, 2, dilation_rate=2, use_bias=False),
      k.ReLU(),
      *_head(k),
    ],
  ),
  'grouped': _sequential(
    2,
    [5, 5, 4],
    lambda k: [
      _conv(k, 6, groups=2, strides=2, padding='same'),
      _conv(k, 3, 2, groups=3, use_bias=False),
      *_head(k),
    ],
  ),
  'transposed': _sequential(
    3,
    [3, 3, 2],
    lambda k: [
      k.Conv2DTranspose(3, 3, strides=2, padding='same', activation='relu'),
      k.Conv2DTranspose(2, (2, 3), strides=(1, 2), activation='relu'),
      k.Conv2DTranspose(1, 2, strides=3, output_padding=1, use_bias=False),
      k.ReLU(),
      *_head(k),
    ],
  ),
  'constants': _sequential(
    1,
    [5, 5, 2],
    lambda k: [
      k.Normalization(mean=[0.2, -0.3], variance=[0.5, 2.0]),
      k.Rescaling([0.5, 2.0]),
      _conv(k),
      k.Identity(),
      k.GaussianDropout(0.2),
      *_head(k),
    ],
  ),
  'pre-activation': _functional(3, [4, 4, 2], _pre_activation),
  'operators': _functional(4, [4, 4, 2], _operators),
  'residual': _functional(3, [5, 5, 2], _residual),
  'concatenation': _functional(3, [4, 4, 2], _concatenation),
  'difference': _functional(2, [5, 5, 2], _difference),
  'used twice': _functional(2, [4, 4, 2], _twice),
  'nested': _functional(5, [6, 6, 2], _nested),
}


@contextlib.contextmanager
def double_precision():
  """Both Keras versions make layers of float64."""
  tf_keras_floatx = tf_keras.backend.floatx()
  keras_floatx = keras.config.floatx()
  keras_policy = keras.config.dtype_policy()
  tf_keras.backend.set_floatx('float64')
  keras.config.set_floatx('float64')
  keras.config.set_dtype_policy('float64')
  try:
    yield
  finally:
    tf_keras.backend.set_floatx(tf_keras_floatx)
    keras.config.set_floatx(keras_floatx)
    keras.config.set_dtype_policy(keras_policy)


def perturb_weights(model, seed=0, scale=0.6):
  """Draws all weights anew, biases too; variances stay positive."""
  generator = np.random.default_rng(seed)
  weights = []
  for weight in model.weights:
    value = generator.normal(0, scale, weight.shape)
    if 'variance' in weight.name:
      value = 0.5 + value**2
    weights.append(value)
  model.set_weights(weights)
  return model


def classifier(name, library, seed=0):
  """Builds a classifier with random signed weights, a Keras model."""
  with double_precision():
    model = CLASSIFIERS[name].build(LIBRARIES[library])
  return perturb_weights(model, seed)


@functools.cache
def shared_classifier(name, library):
  """The same, built once for all tests that leave it as it is."""
  return classifier(name, library)


def inputs(network, number, seed=0):
  """Random inputs of a network or of a Keras model."""
  shape = network.input_shape
  shape = tuple(shape)[1:] if shape[0] is None else tuple(shape)
  generator = np.random.default_rng(seed)
  return tf.constant(generator.normal(size=[number, *shape]))


def random_switches(network, number, seed=0):
  """Switches that no image need set, each state as likely."""
  generator = np.random.default_rng(seed)
  return [
    layer.switches_of_states(
      tf.constant(
        generator.integers(
          0, layer.num_states, [number, *layer.feature_shape], np.int32
        )
      )
    )
    for layer in network.layers
  ]


def all_switches(network):
  """All configurations: for each layer all, times all of the others.

  Written apart from the library's own enumeration.
  """
  units = [layer.feature_shape.num_elements() for layer in network.layers]
  ranges = [
    range(layer.num_states)
    for layer, number in zip(network.layers, units, strict=True)
    for _ in range(number)
  ]
  states = np.array(list(itertools.product(*ranges)), np.int32)
  ends = np.cumsum(units)
  return [
    layer.switches_of_states(
      tf.constant(
        states[:, end - number : end].reshape(-1, *layer.feature_shape)
      )
    )
    for layer, end, number in zip(network.layers, ends, units, strict=True)
  ]


def dense_classifier(
  widths, input_shape=(4,), slope=0.0, seed=0, library='tf_keras'
):
  """Dense layers of these widths, rectified, and three logits."""
  library = LIBRARIES[library]
  k = library.layers
  with double_precision():
    parts = [k.Input(input_shape), k.Flatten()]
    for width in widths:
      parts += [k.Dense(width), k.LeakyReLU(slope) if slope else k.ReLU()]
    model = library.Sequential([*parts, k.Dense(3)])
  return perturb_weights(model, seed, scale=0.8)


def pooled_classifier(widths=(2,), seed=0):
  """A convolution, a max pool to 2 x 1 units, dense layers, three logits."""
  k = tf_keras.layers
  with double_precision():
    model = tf_keras.Sequential(
      [
        k.Input([4, 2, 1]),
        k.Conv2D(1, 3, padding='same', activation='relu'),
        k.MaxPooling2D(),
        k.Flatten(),
        *(k.Dense(width, activation='relu') for width in widths),
        k.Dense(3),
      ]
    )
  return perturb_weights(model, seed, scale=0.8)


def nonnegative(model):
  """Makes all kernels but the first nonnegative, and so every rendering."""
  is_first = True
  for layer in model.layers:
    if hasattr(layer, 'kernel'):
      if not is_first:
        layer.kernel.assign(tf.abs(tf.convert_to_tensor(layer.kernel)))
      is_first = False
  return model


def network_of(model):
  """Reads a model."""
  return PiecewiseLinearNetwork(model)
