# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""A Keras classifier as a model that stands beside others."""

import tensorflow as tf

from tfp_ood import _pixels
from tfp_ood.networks._keras_classifier import KerasClassifier

__all__ = ['ImageClassifier']


class ImageClassifier(KerasClassifier):
  """A Keras classifier of images, with its logits and features as statistics.

  A generative model and a classifier are wrong in different places. This is how a
  trained classifier goes into `tfp_ood.stats.Detector(model, classifier=...)`: it
  takes raw pixels, checks them, scales them as the classifier wants them, and has
  the statistics

  | name | shape | what it is |
  |---|---|---|
  | `logits` | `[batch, classes]` | what the network returns |
  | `features` | `[batch, columns]` | the output of a layer within it |
  | `perturbed_logits` | `[batch, classes]` | those of an image made surer |

  The last are those of [1], whose score is `tfp_ood.stats.MaxSoftmax` of them: with
  `z` the scaled image,

      z + perturbation * sign(d log max_c softmax(logits(z) / temperature)_c / dz)

  is what the network sees. They take three times as long as `logits`.

  #### Example

  >>> import tensorflow as tf
  >>> import tfp_ood
  >>> network = tfp_ood.networks.small_resnet(weights='cifar10')
  >>> classifier = ImageClassifier(network)
  >>> values = classifier.statistics(
  ...     tf.zeros([5, 32, 32, 3], tf.uint8), ['logits', 'features'])
  >>> values['logits'].shape, values['features'].shape
  (TensorShape([5, 10]), TensorShape([5, 64]))

  #### References

  [1]: Shiyu Liang, Yixuan Li, R. Srikant. Enhancing The Reliability of
       Out-of-distribution Image Detection in Neural Networks. _International
       Conference on Learning Representations_, 2018.
       https://arxiv.org/abs/1706.02690
  """

  def __init__(
    self,
    network,
    features=None,
    pixel_scale=1 / 127.5,
    pixel_shift=-1.0,
    perturbation=0.0,
    temperature=1.0,
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
      perturbation: nonnegative Python `float`, the step of `perturbed_logits`, in
        units of the scaled image.
      temperature: positive Python `float`, what the logits are divided by for the
        direction of that step.

    Raises:
      TypeError: if `network` is no `tf_keras.Model`.
      ValueError: if it does not take images, or has no such layer, or
        `perturbation` or `temperature` is out of range.
    """
    super().__init__(
      network, features, perturbation, temperature, name='image_classifier'
    )
    self._image_shape = _pixels.check_image_shape(
      network.input_shape[1:], self.name
    )
    self._pixel_scale, self._pixel_shift = pixel_scale, pixel_shift

  @property
  def event_shape(self):
    """`tf.TensorShape` of an image, `[height, width, channels]`."""
    return self._image_shape

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

  def _inputs(self, images):
    pixels = tf.cast(images, self._network.compute_dtype)
    return pixels * self._pixel_scale + self._pixel_shift
