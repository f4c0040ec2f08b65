# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""A Keras classifier as a model that stands beside others."""

import tensorflow as tf
import tf_keras

from tfp_ood import _pixels

__all__ = ['ImageClassifier']


class ImageClassifier(tf.Module):
  """A Keras classifier of images, with its logits and features as statistics.

  A generative model and a classifier are wrong in different places. This is how a
  trained classifier goes into `tfp_ood.stats.Detector(model, classifier=...)`: it
  takes raw pixels, checks them, scales them as the classifier wants them, and has
  the statistics

  | name | shape | what it is |
  |---|---|---|
  | `logits` | `[batch, classes]` | what the network returns |
  | `features` | `[batch, columns]` | the output of a layer within it |

  #### Example

  >>> import tensorflow as tf
  >>> import tfp_ood
  >>> network = tfp_ood.networks.small_resnet(weights='cifar10')
  >>> classifier = ImageClassifier(network)
  >>> values = classifier.statistics(
  ...     tf.zeros([5, 32, 32, 3], tf.uint8), ['logits', 'features'])
  >>> values['logits'].shape, values['features'].shape
  (TensorShape([5, 10]), TensorShape([5, 64]))
  """

  statistics_names = ('logits', 'features')

  def __init__(
    self, network, features=None, pixel_scale=1 / 127.5, pixel_shift=-1.0
  ):
    """Instantiates the classifier.

    Args:
      network: built `tf_keras.Model` from images to logits. A last layer that is a
        softmax would hide how sure it is: leave it out.
      features: name of the layer whose output the features are; maps of features
        are averaged over their positions. Default: what the last dense layer takes.
      pixel_scale: Python `float`; the network sees `pixel_scale * pixels +
        pixel_shift`, by default in `[-1, 1]`.
      pixel_shift: Python `float`.

    Raises:
      TypeError: if `network` is no `tf_keras.Model`.
      ValueError: if it does not take images, or has no such layer.
    """
    super().__init__(name='image_classifier')
    if not isinstance(network, tf_keras.Model) or not network.built:
      raise TypeError(
        'ImageClassifier: `network` must be a built tf_keras.Model, got '
        f'{type(network).__name__}.'
      )
    self._image_shape = _pixels.check_image_shape(
      network.input_shape[1:], self.name
    )
    self._pixel_scale, self._pixel_shift = pixel_scale, pixel_shift
    self._network = tf_keras.Model(
      network.inputs, [network.output, _features(network, features)]
    )

  @property
  def event_shape(self):
    """`tf.TensorShape` of an image, `[height, width, channels]`."""
    return self._image_shape

  @property
  def variables(self):
    """The variables of the network, a list."""
    return list(self._network.variables)

  def check(self, images):
    """Returns images as a `Tensor` of raw pixels, or raises.

    Args:
      images: array-like of raw pixels, `[batch, height, width, channels]`.

    Returns:
      `Tensor`, to be used in the place of `images`.

    Raises:
      ValueError: if they are not; a graph raises
        `tf.errors.InvalidArgumentError` for what it learns when it runs.
    """
    images = _pixels.as_pixels(images, self._image_shape, self.name)
    return _pixels.check_pixels(images, self.name)

  def statistics(self, images, names):
    """Computes logits and features, in one pass of the network.

    Args:
      images: `Tensor` of raw pixels, `[batch, height, width, channels]`.
      names: iterable of names out of `statistics_names`.

    Returns:
      `dict` from each name to a `Tensor`.
    """
    pixels = tf.cast(self.check(images), self._network.compute_dtype)
    outputs = self._network(
      pixels * self._pixel_scale + self._pixel_shift, training=False
    )
    values = dict(zip(self.statistics_names, outputs, strict=True))
    return {name: values[name] for name in names}


def _features(network, name):
  """The tensor of the features within a network."""
  if name is None:
    dense = [
      layer
      for layer in network.layers
      if isinstance(layer, tf_keras.layers.Dense)
    ]
    if not dense:
      raise ValueError(
        f'ImageClassifier: {network.name} has no dense layer; name the layer whose '
        'output are the features in `features`. There are '
        f'{", ".join(layer.name for layer in network.layers)}.'
      )
    tensor = dense[-1].input
  else:
    tensor = network.get_layer(name).output
  if tensor.shape.rank == 2:
    return tensor
  if tensor.shape.rank == 4:
    return tf_keras.layers.GlobalAveragePooling2D()(tensor)
  raise ValueError(
    f'ImageClassifier: features must be vectors or maps; those of {name!r} have '
    f'the shape {tensor.shape}.'
  )
