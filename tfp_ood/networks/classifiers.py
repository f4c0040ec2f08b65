# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Classifiers of images, to be read backwards as neural rendering models."""

import tf_keras

from tfp_ood.networks.template_gain import TemplateGain
from tfp_ood.pretrained.factories import with_weights

__all__ = ['alexnet_like', 'all_cnn_c', 'all_conv13', 'small_resnet']

layers = tf_keras.layers


@with_weights
def all_cnn_c(
  input_shape=(32, 32, 3),
  num_classes=10,
  width=1.0,
  dropout=0.5,
  initial_gain=1.0,
  seed=0,
):
  """All-CNN-C: nine convolutions, two of them strided, and an average.

  Args:
    input_shape: `(height, width, channels)`, sides of at least 16.
    num_classes: Python `int`.
    width: Python `float`, multiplies the 96 and 192 channels.
    dropout: Python `float`, after the two strided convolutions, in training.
    initial_gain: positive Python `float`, of the logits; see `TemplateGain`.
    seed: Python `int`, of the weights.
    weights: the path of a file of `tfp_ood.pretrained.write_weights`, for a
      trained network. The other arguments are then to be left out.

  Returns:
    `tf_keras.Sequential`, from images scaled to `[-1, 1]` to logits.

  #### Examples

  >>> model = all_cnn_c()
  >>> model.count_params() - 1  # The gain.
  1369738

  #### References

  [1]: Jost Tobias Springenberg, Alexey Dosovitskiy, Thomas Brox, Martin
       Riedmiller. Striving for Simplicity: The All Convolutional Net. 2014.
       https://arxiv.org/abs/1412.6806
  """
  make = _Maker(width, seed)
  return tf_keras.Sequential(
    [
      layers.Input(input_shape),
      make.convolution(96),
      make.convolution(96),
      make.convolution(96, strides=2),
      layers.Dropout(dropout, seed=seed),
      make.convolution(192),
      make.convolution(192),
      make.convolution(192, strides=2),
      layers.Dropout(dropout, seed=seed + 1),
      make.convolution(192, padding='valid'),
      make.convolution(192, size=1),
      make.convolution(num_classes, size=1, scaled=False),
      layers.GlobalAveragePooling2D(),
      TemplateGain(initial_gain),
    ],
    name='all_cnn_c',
  )


@with_weights
def all_conv13(
  input_shape=(32, 32, 3),
  num_classes=10,
  width=1.0,
  dropout=0.5,
  batch_normalization=False,
  slope=0.1,
  initial_gain=1.0,
  seed=0,
):
  """Nine convolutions with max pools: the network of the model's authors.

  Args:
    input_shape: `(height, width, channels)`, sides of at least 20.
    num_classes: Python `int`.
    width: Python `float`, multiplies the 128, 256 and 512 channels.
    dropout: Python `float`, after the two max pools, in training.
    batch_normalization: Python `bool`, after each convolution.
    slope: Python `float`, of the leaky rectifiers.
    initial_gain: positive Python `float`, of the logits; see `TemplateGain`.
    seed: Python `int`, of the weights.
    weights: the path of a file of `tfp_ood.pretrained.write_weights`, for a
      trained network. The other arguments are then to be left out.

  Returns:
    `tf_keras.Sequential`, from images scaled to `[-1, 1]` to logits.

  #### Examples

  >>> all_conv13(width=0.25).output_shape
  (None, 10)

  #### References

  [1]: Nhat Ho et al. A Bayesian Perspective of Convolutional Neural Networks
       through a Deconvolutional Generative Model. 2018.
       https://arxiv.org/abs/1811.02657
  """
  make = _Maker(width, seed, slope, batch_normalization)
  parts = [layers.Input(input_shape)]
  for channels in (128, 256):
    parts += make.block([channels] * 3)
    parts += [layers.MaxPooling2D(), layers.Dropout(dropout, seed=seed)]
  parts += make.block([512], padding='valid')
  parts += make.block([256, 128], size=1)
  parts += [
    layers.GlobalAveragePooling2D(),
    layers.Dense(num_classes, kernel_initializer=make.initializer()),
    TemplateGain(initial_gain),
  ]
  return tf_keras.Sequential(parts, name='all_conv13')


@with_weights
def small_resnet(
  input_shape=(32, 32, 3),
  num_classes=10,
  width=1.0,
  blocks=(2, 2, 2),
  initial_gain=1.0,
  seed=0,
):
  """A residual network with batch normalization, for small images.

  Args:
    input_shape: `(height, width, channels)`.
    num_classes: Python `int`.
    width: Python `float`, multiplies the 32, 64 and 128 channels.
    blocks: Python `int`s, the residual blocks of each resolution.
    initial_gain: positive Python `float`, of the logits; see `TemplateGain`.
    seed: Python `int`, of the weights.
    weights: the name of bundled weights, such as `'cifar10'`, for a trained
      network, or the path of a file of `tfp_ood.pretrained.write_weights`. The
      other arguments are then to be left out.

  Returns:
    `tf_keras.Model`, from images scaled to `[-1, 1]` to logits.

  #### Examples

  >>> small_resnet(width=0.25).output_shape
  (None, 10)

  #### References

  [1]: Kaiming He, Xiangyu Zhang, Shaoqing Ren, Jian Sun. Deep Residual Learning
       for Image Recognition. In _Computer Vision and Pattern Recognition_, 2016.
       https://arxiv.org/abs/1512.03385
  """
  make = _Maker(width, seed, batch_normalization=True)
  images = layers.Input(input_shape)
  features = _apply(make.block([32]), images)
  for stage, count in enumerate(blocks):
    channels = 32 * 2**stage
    for number in range(count):
      strides = 2 if stage and not number else 1
      branch = _apply(make.block([channels], strides=strides), features)
      branch = _apply(make.block([channels])[:-1], branch)
      if strides == 2 or features.shape[-1] != branch.shape[-1]:
        features = make.convolution(
          channels, size=1, strides=strides, rectified=False
        )(features)
      features = layers.ReLU()(layers.Add()([features, branch]))
  features = layers.GlobalAveragePooling2D()(features)
  logits = layers.Dense(num_classes, kernel_initializer=make.initializer())
  outputs = TemplateGain(initial_gain)(logits(features))
  return tf_keras.Model(images, outputs, name='small_resnet')


@with_weights
def alexnet_like(
  input_shape=(32, 32, 3),
  num_classes=10,
  width=1.0,
  dropout=0.5,
  initial_gain=1.0,
  seed=0,
):
  """Convolutions, overlapping max pools and dense layers, after AlexNet.

  Args:
    input_shape: `(height, width, channels)`.
    num_classes: Python `int`.
    width: Python `float`, multiplies the channels and the 256 dense units.
    dropout: Python `float`, before each dense layer, in training.
    initial_gain: positive Python `float`, of the logits; see `TemplateGain`.
    seed: Python `int`, of the weights.
    weights: the path of a file of `tfp_ood.pretrained.write_weights`, for a
      trained network. The other arguments are then to be left out.

  Returns:
    `tf_keras.Sequential`, from images scaled to `[-1, 1]` to logits.

  #### Examples

  >>> alexnet_like(width=0.25).output_shape
  (None, 10)

  #### References

  [1]: Alex Krizhevsky, Ilya Sutskever, Geoffrey Hinton. ImageNet Classification
       with Deep Convolutional Neural Networks. In _Neural Information Processing
       Systems_, 2012.
  """
  make = _Maker(width, seed)
  return tf_keras.Sequential(
    [
      layers.Input(input_shape),
      make.convolution(64, size=5),
      layers.MaxPooling2D(3, 2, padding='same'),
      make.convolution(128),
      layers.MaxPooling2D(3, 2, padding='same'),
      make.convolution(128),
      make.convolution(128),
      layers.MaxPooling2D(3, 2, padding='same'),
      layers.Flatten(),
      layers.Dropout(dropout, seed=seed),
      make.dense(256),
      layers.Dropout(dropout, seed=seed + 1),
      make.dense(256),
      layers.Dense(num_classes, kernel_initializer=make.initializer()),
      TemplateGain(initial_gain),
    ],
    name='alexnet_like',
  )


def _apply(parts, features):
  for part in parts:
    features = part(features)
  return features


class _Maker:
  """Makes layers, each with a seed of its own."""

  def __init__(self, width, seed, slope=0.0, batch_normalization=False):
    if not width > 0:
      raise ValueError(f'`width` must be positive, got {width}.')
    self._width = width
    self._seed = seed
    self._slope = slope
    self._batch_normalization = batch_normalization

  def initializer(self):
    self._seed += 1
    return tf_keras.initializers.HeNormal(seed=self._seed)

  def channels(self, count):
    return max(1, round(self._width * count))

  def convolution(
    self,
    channels,
    size=3,
    strides=1,
    padding='same',
    scaled=True,
    rectified=True,
    use_bias=True,
  ):
    return layers.Conv2D(
      self.channels(channels) if scaled else channels,
      size,
      strides=strides,
      padding=padding,
      activation='relu' if rectified else None,
      use_bias=use_bias,
      kernel_initializer=self.initializer(),
    )

  def block(self, all_channels, size=3, strides=1, padding='same'):
    """Convolutions, each with its normalization, if any, and its rectifier."""
    parts = []
    for channels in all_channels:
      parts.append(
        self.convolution(
          channels,
          size,
          strides,
          padding,
          rectified=False,
          use_bias=not self._batch_normalization,
        )
      )
      if self._batch_normalization:
        parts.append(layers.BatchNormalization())
      parts.append(
        layers.LeakyReLU(self._slope) if self._slope else layers.ReLU()
      )
    return parts

  def dense(self, units):
    return layers.Dense(
      self.channels(units),
      activation='relu',
      kernel_initializer=self.initializer(),
    )
