# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The neural rendering model: a classifier read backwards."""

import collections
import math

import tensorflow as tf
import tensorflow_probability as tfp

from tfp_ood.distributions.layerwise_switch_prior import LayerwiseSwitchPrior
from tfp_ood.distributions.structured_switch_prior import (
  StructuredSwitchPrior,
)
from tfp_ood.networks.piecewise_linear import PiecewiseLinearNetwork

__all__ = [
  'LATENT_MODES',
  'NeuralRenderingModel',
  'RenderingInference',
  'RenderingTerms',
]

tfd = tfp.distributions

RenderingInference = collections.namedtuple(
  'RenderingInference', ['label', 'switches', 'features', 'logits']
)
RenderingTerms = collections.namedtuple(
  'RenderingTerms', ['reconstruction', 'latent', 'label']
)
LATENT_MODES = ('eta', 'mode_normalised', 'rpn', 'layerwise')


class NeuralRenderingModel(tfd.JointDistributionNamed):
  """A joint distribution over a class, switches and an image.

  A piecewise linear classifier, read from the class to the image. With `s(l)`
  the switches of layer `l`, the renderings are the adjoint of the network with
  its switches frozen,

      h(l) = d logit_y / d g(l),   h(0) = d logit_y / d image

  and the joint distribution is

      label    ~ Categorical(class prior)
      switches ~ softmax over all of them of eta(label, switches) / variance
      image    ~ Normal(h(0), variance)
      eta(y, z) = sum_l <b(l), s(l) * h(y, z; l)>

  in the units of the network's input; images are raw pixels, here as everywhere.
  What a classifier computes for an image, its switches and its logit, is
  inference in this model, and for every image `x` and its own switches

      logit_y(x) = class_bias_y + <x, h(0)> + eta(y, z)

  `log_prob` needs the normalizer of the switches, which tiny networks alone
  have; the scores of images (`log_prob_terms`) do without.

  #### Examples

  >>> import tensorflow as tf
  >>> import tf_keras
  >>> import tfp_ood
  >>> classifier = tf_keras.Sequential([
  ...     tf_keras.layers.Input([8, 8, 3]),
  ...     tf_keras.layers.Conv2D(4, 3, strides=2, activation='relu'),
  ...     tf_keras.layers.Flatten(),
  ...     tf_keras.layers.Dense(10)])
  >>> nrm = NeuralRenderingModel.from_keras(classifier)
  >>> images = tf.zeros([5, 8, 8, 3], tf.uint8)
  >>> nrm.infer(images).label.shape
  TensorShape([5])
  >>> nrm.log_prob_terms(images).latent.shape
  TensorShape([5])

  #### References

  [1]: Nhat Ho, Tan Nguyen, Ankit Patel, Anima Anandkumar, Michael Jordan,
       Richard Baraniuk. A Bayesian Perspective of Convolutional Neural Networks
       through a Deconvolutional Generative Model. 2018.
       https://arxiv.org/abs/1811.02657
  [2]: Yujia Huang, Sihui Dai, Tan Nguyen, Richard Baraniuk, Anima Anandkumar.
       Out-of-Distribution Detection Using Neural Rendering Generative Models.
       2019. https://arxiv.org/abs/1907.04572
  """

  def __init__(
    self,
    network,
    variance=1.0,
    class_probs=None,
    log_normalizer=None,
    pixel_scale=1 / 127.5,
    pixel_shift=-1.0,
    validate_args=False,
    name='neural_rendering_model',
  ):
    """Instantiates the model.

    Args:
      network: `PiecewiseLinearNetwork` over images.
      variance: positive scalar, `sigma^2`, in the units of the network's input.
      class_probs: `[num_classes]`, the class prior. Default: uniform.
      log_normalizer: `[num_classes]`, of the switches; see
        `StructuredSwitchPrior`. `None` where it is unknown.
      pixel_scale: Python `float`; the network sees `pixel_scale * pixels +
        pixel_shift`, by default in `[-1, 1]`.
      pixel_shift: Python `float`.
      validate_args: Python `bool`, as in TFP.
      name: Python `str` given to the operations.

    Raises:
      ValueError: if `network` does not take images, or `variance` is not
        positive.
    """
    if network.input_shape.rank != 3:
      raise ValueError(
        f'{name}: the network must take images, [height, width, channels]; its '
        f'input has shape {network.input_shape}.'
      )
    if not variance > 0:
      raise ValueError(f'{name}: `variance` must be positive, got {variance}.')
    self._network = network
    self._pixel_variance = tf.constant(variance, network.dtype)
    self._pixel_scale, self._pixel_shift = pixel_scale, pixel_shift
    if class_probs is None:
      class_probs = [1 / network.num_classes] * network.num_classes
    self._class_log_probs = tf.math.log(tf.constant(class_probs, network.dtype))
    scale = math.sqrt(variance) / pixel_scale

    def image(label, switches):
      flat, labels, shape = prior(label)._flatten_batch(switches)
      rendered = network.render(labels, flat).image
      loc = (rendered - pixel_shift) / pixel_scale
      loc = tf.reshape(loc, tf.concat([shape, network.input_shape], axis=0))
      return tfd.Independent(tfd.Normal(loc, tf.constant(scale, loc.dtype)), 3)

    def prior(label):
      return StructuredSwitchPrior(
        network, label, variance, log_normalizer=log_normalizer
      )

    super().__init__(
      {
        'label': tfd.Categorical(logits=self._class_log_probs),
        'switches': prior,
        'image': image,
      },
      validate_args=validate_args,
      name=name,
    )

  @classmethod
  def from_keras(cls, model, normalize_renderings=False, **kwargs):
    """Makes a model of a Keras classifier, with the same weights.

    Args:
      model: built `tf_keras` or Keras 3 classifier, Sequential or functional, of
        piecewise linear layers; a softmax at its end is left out.
      normalize_renderings: Python `bool`; see `PiecewiseLinearNetwork`.
      **kwargs: passed to the constructor. Images are scaled to `[-1, 1]` unless
        `pixel_scale` and `pixel_shift` say what the classifier was trained on.

    Returns:
      `NeuralRenderingModel`.

    Raises:
      ValueError: if a layer is not piecewise linear, by its name.
    """
    return cls(PiecewiseLinearNetwork(model, normalize_renderings), **kwargs)

  @property
  def network(self):
    """The `PiecewiseLinearNetwork`."""
    return self._network

  def infer(self, images):
    """Runs the classifier: what of the latents an image decides.

    Args:
      images: `Tensor` of raw pixels, `[batch, height, width, channels]`.

    Returns:
      `RenderingInference`: `label`, int32 `[batch]`, the largest logit;
      `switches` and `features`, lists with an entry for each layer; `logits`,
      `[batch, num_classes]`.
    """
    result = self.network.propagate(self.scaled(images))
    return RenderingInference(
      tf.argmax(result.logits, axis=-1, output_type=tf.int32),
      self.network.switches(result.pre_activations),
      result.features,
      result.logits,
    )

  def render(self, labels, switches):
    """Renders all layers; see `PiecewiseLinearNetwork.render`.

    Args:
      labels: integer `Tensor` of shape `[batch]`.
      switches: list of the layers' switches, `[batch, ...]`.

    Returns:
      `Rendered`; the image is in the units of the network's input.
    """
    return self.network.render(labels, switches)

  def log_prob_terms(self, images, latent='mode_normalised'):
    """Splits a lower bound on an image's log-probability into terms.

    At the label and the switches `(y, z)` that the classifier infers,

        reconstruction = -|x - h(0)|^2 / (2 variance)
        label = log p(y)

    and `latent` is, by mode, in nats (`rpn`: as the authors' loss):

    - `eta`: `eta(y, z) / variance`, the exponent of the structured prior. Its
      normalizer, the same for all images of a class, is left out.
    - `mode_normalised`: `(eta(y, z) - eta(y, z(0))) / variance` with the switches
      `z(0)` of the zero image, the mode of the prior where all renderings are
      nonnegative; then it is at most zero, and the limit of the normalized
      log-probability for small variances.
    - `rpn`: minus the rendering path normalization,
      `D sum_l mean |b(l) s(l) h(l) - b(l) s0(l) h0(l)|` with `D` the dimension of
      an image and `s0`, `h0` of the zero image and all classes together.
    - `layerwise`: the log-probability of the switches under
      `LayerwiseSwitchPrior`, which is normalized.

    Args:
      images: `Tensor` of raw pixels, `[batch, height, width, channels]`.
      latent: one of `LATENT_MODES`.

    Returns:
      `RenderingTerms`, each `[batch]`.

    Raises:
      ValueError: if `latent` is unknown.
    """
    x, label, rendered, inference = self.infer_and_render(images)
    reconstruction = -_sum_of_squares(x - rendered.image) / 2
    return RenderingTerms(
      reconstruction / self._pixel_variance,
      self._latent(latent, x, label, rendered, inference),
      tf.gather(self._class_log_probs, label),
    )

  def latent_log_prob(self, images, mode='mode_normalised'):
    """The latent term of `log_prob_terms`.

    Args:
      images: `Tensor` of raw pixels, `[batch, height, width, channels]`.
      mode: one of `LATENT_MODES`.

    Returns:
      `Tensor` of shape `[batch]`.
    """
    return self._latent(mode, *self.infer_and_render(images))

  def layer_terms(self, images):
    """The share of each layer in `eta`, and how well each is rendered.

    Args:
      images: `Tensor` of raw pixels, `[batch, height, width, channels]`.

    Returns:
      eta: `[batch, num_layers]`, `<b(l), s(l) * h(l)>`; the sum over layers is
        `eta(y, z)`.
      reconstruction: `[batch, num_layers + 1]`, `-|g(l) - h(l)|^2` of the image
        and of the features of each layer.
    """
    x, _, rendered, inference = self.infer_and_render(images)
    biases, _ = self.network.biases()
    eta = [
      _sum_event(bias * gradient)
      for bias, gradient in zip(biases, rendered.pre_activations, strict=True)
    ]
    reconstruction = [
      -_sum_of_squares(g - h)
      for g, h in zip(
        [x, *inference.features],
        [rendered.image, *rendered.features],
        strict=True,
      )
    ]
    return tf.stack(eta, axis=-1), tf.stack(reconstruction, axis=-1)

  def _latent(self, mode, x, label, rendered, inference):
    if mode not in LATENT_MODES:
      raise ValueError(
        f'{self.name}: the latent mode must be one of '
        f'{", ".join(LATENT_MODES)}; got {mode!r}.'
      )
    if mode == 'layerwise':
      prior = LayerwiseSwitchPrior(self.network, label, self._pixel_variance)
      return prior.log_prob(self.network.switches(inference.pre_activations))
    if mode == 'rpn':
      path = self.rendering_path_normalization(rendered)
      return -self.network.input_shape.num_elements() * path
    eta = rendered.class_score - _sum_event(x * rendered.image)
    if mode == 'mode_normalised':
      eta -= tf.gather(self._zero_image_scores(), label)
    return eta / self._pixel_variance

  def _zero_image_scores(self):
    """`eta` of the zero image's own switches, `[num_classes]`."""
    zero = tf.zeros([1, *self.network.input_shape], self.network.dtype)
    _, class_bias = self.network.biases()
    return (self.network.propagate(zero).logits - class_bias)[0]

  def rendering_path_normalization(self, rendered):
    """How far renderings are from those of the zero image and all classes.

        sum_l mean |b(l) s(l) h(l) - b(l) s0(l) h0(l)|

    As a loss it presses the prior's probability of the switches up; the biases
    are constants to its gradient.

    Args:
      rendered: `Rendered`, as `infer_and_render` returns it.

    Returns:
      `Tensor` of shape `[batch]`.
    """
    biases, _ = self.network.biases()
    biases = [tf.stop_gradient(bias) for bias in biases]
    zero = tf.zeros([1, *self.network.input_shape], self.network.dtype)
    with tf.GradientTape(watch_accessed_variables=False) as tape:
      tape.watch(zero)
      result = self.network.propagate(zero)
      all_classes = tf.reduce_sum(result.logits)
    paths = tape.gradient(all_classes, result.pre_activations)
    return tf.add_n(
      [
        tf.reduce_mean(
          tf.abs(bias * (gradient - path)), axis=range(1, bias.shape.rank)
        )
        for bias, gradient, path in zip(
          biases, rendered.pre_activations, paths, strict=True
        )
      ]
    )

  def infer_and_render(self, images, labels=None, training=False):
    """Goes up to the logits and back from one of them, once each way.

    Args:
      images: `Tensor` of raw pixels, `[batch, height, width, channels]`.
      labels: integer `Tensor` of shape `[batch]`, where to turn round; one of -1
        stands for the largest logit, as does `None` for all.
      training: Python `bool`; see `PiecewiseLinearNetwork.propagate`.

    Returns:
      x: the images as the network sees them.
      labels: int32 `[batch]`, where it turned round.
      rendered: `Rendered` at the images' own switches.
      propagated: `Propagated`.
    """

    def choose_labels(logits):
      inferred = tf.argmax(logits, axis=-1, output_type=tf.int32)
      if labels is None:
        return inferred
      given = tf.cast(labels, tf.int32)
      return tf.where(given < 0, inferred, given)

    x = self.scaled(images)
    labels_used, propagated, rendered = self.network.propagate_and_render(
      x, choose_labels, training=training
    )
    return x, labels_used, rendered, propagated

  def scaled(self, images):
    """Returns raw pixels as the network sees them, in its dtype."""
    images = tf.convert_to_tensor(images, name='images')
    shape = tf.TensorShape([None]).concatenate(self.network.input_shape)
    if not images.shape.is_compatible_with(shape):
      raise ValueError(
        f'{self.name}: `images` must be a batch of raw pixels, {shape}; got '
        f'shape {images.shape}.'
      )
    images = tf.cast(images, self.network.dtype)
    return self._pixel_scale * images + self._pixel_shift


def _sum_event(values):
  return tf.reduce_sum(values, axis=range(1, values.shape.rank))


def _sum_of_squares(values):
  return _sum_event(values**2)
