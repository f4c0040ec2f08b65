# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The neural rendering model: a classifier read backwards."""

import collections
import math

import tensorflow as tf
import tensorflow_probability as tfp

from tfp_ood._batches import with_one_more_if_empty
from tfp_ood._pixels import as_pixels, check_pixels
from tfp_ood.distributions.categorical import Categorical
from tfp_ood.distributions.rendering import _checks, _switch_states
from tfp_ood.distributions.rendering._image_terms import (
  ImageTerms,
  most_likely,
  rendering_path_normalization,
)
from tfp_ood.distributions.rendering._joint_map import JointMap, joint_map
from tfp_ood.distributions.rendering.structured_switch_prior import (
  StructuredSwitchPrior,
)
from tfp_ood.networks.piecewise_linear import PiecewiseLinearNetwork

__all__ = [
  'JointMap',
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
_LATENT_MODES = ('eta', 'mode_normalized', 'rpn', 'layerwise')


def _flatten_as_module(module, *args, **kwargs):
  """Finds the variables of a joint distribution among its attributes.

  TFP would run the whole model first, block Gibbs sampling and all, for those of
  distributions that are made on the way.
  """
  return tf.Module._flatten(module, *args, **kwargs)


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

  `log_prob`, of label, switches and image together, needs the normalizer of the
  switches, which is tractable only for tiny networks. Statistics of images alone
  do without it: they take the latents that the classifier infers.

  With `normalization='joint'` there is one constant for all classes and switches,

      p(y, z) = p0(y) exp(eta(y, z) / variance) / Z

  with `p0` the given class prior, so that a class has the probability
  `p0(y) Z_y / Z`. With `compensated=True` the prior has `eta + |h(0)|^2 / 2` in
  place of `eta` (`StructuredSwitchPrior`), and given an image

      p(y, z | x) ~ p0(y) exp((logit_y(x; z) - class_bias_y) / variance)

  under the joint normalization, with the logit of the network with its switches
  frozen at `z`. Where all renderings are nonnegative the classifier's switches
  are then the most probable, and with the class prior
  `softmax(class_bias / variance)` the probabilities of the classes come close to
  `softmax(logits / variance)` as the variance falls.

  #### Statistics of images

  `statistics(images, names)` computes any of these, with one pass up and one
  back:

  | name | shape | meaning |
  |---|---|---|
  | `log_prob` | `[batch]` | bound on the log-probability of an image |
  | `logits` | `[batch, num_classes]` | those of the classifier |
  | `latent_eta` | `[batch]` | latent term, not normalized |
  | `latent_mode_normalized` | `[batch]` | relative to the mode of the prior |
  | `latent_rpn` | `[batch]` | as the loss of the model's authors |
  | `latent_layerwise` | `[batch]` | normalized layer by layer |
  | `layer_etas` | `[batch, num_layers]` | shares of the layers in `eta` |
  | `layer_reconstructions` | `[batch, num_layers + 1]` | minus squared errors |

  With `(y, z)` the label and the switches that the classifier infers, and in nats
  where the shape is `[batch]`:

  - `log_prob` is the sum of the terms of `image_log_prob_terms`, up to constants a
    lower bound.
  - `latent_eta` is `eta(y, z) / variance`, the exponent of the structured prior.
    Its normalizer, the same for all images of a class, is left out.
  - `latent_mode_normalized` is `(eta(y, z) - eta(y, z(0))) / variance` with the
    switches `z(0)` of the zero image, the mode of the prior where all renderings
    are nonnegative. There it is at most zero, and the limit of the normalized
    log-probability for small variances.
  - `latent_rpn` is minus the `rendering_path_normalization`, times the dimension
    of an image.
  - `latent_layerwise` is the log-probability of the switches under
    `LayerwiseSwitchPrior`, which is normalized.
  - `layer_reconstructions` are those of `layer_reconstruction`.

  Whether the model is compensated, or normalized jointly, makes no difference to
  them. If the network normalizes its renderings, `eta` is the same sum with the
  normalized ones.

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
  >>> values = nrm.statistics(images, ['log_prob', 'layer_etas'])
  >>> values['log_prob'].shape, values['layer_etas'].shape
  (TensorShape([5]), TensorShape([5, 1]))

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
    normalization='per_class',
    compensated=False,
    num_sweeps=20,
    validate_args=False,
    name='neural_rendering_model',
  ):
    """Instantiates the model.

    Args:
      network: `PiecewiseLinearNetwork` over images.
      variance: positive scalar, `sigma^2`, in the units of the network's input.
      class_probs: `[num_classes]`, positive, the class prior, whose values must
        be known. Default: uniform.
      log_normalizer: `[num_classes]`, of the switches; see
        `StructuredSwitchPrior`. `None` if it is unknown.
      pixel_scale: Python `float`; the network sees `pixel_scale * pixels +
        pixel_shift`, by default in `[-1, 1]`.
      pixel_shift: Python `float`.
      normalization: `'per_class'` or `'joint'`, whether the switches are
        normalized for each class or together with the classes. The latter needs
        `log_normalizer` for `sample` and `log_prob`.
      compensated: Python `bool`; see `StructuredSwitchPrior`, which then needs
        another `log_normalizer`.
      num_sweeps: Python `int`, the length of the chains that sample switches.
      validate_args: Python `bool`, as in TFP.
      name: Python `str` given to the operations.

    Raises:
      ValueError: if `network` does not take images, or normalizes its renderings
        and is to be compensated; `variance` is not positive; `class_probs` are
        not the probabilities of the classes; or `normalization` is unknown.
    """
    if network.input_shape.rank != 3:
      raise ValueError(
        f'{name}: the network must take images, [height, width, channels]; its '
        f'input has shape {network.input_shape}.'
      )
    if not variance > 0:
      raise ValueError(f'{name}: `variance` must be positive, got {variance}.')
    if compensated and network.rendering_normalizations:
      raise ValueError(
        f'{name}: a network that normalizes its renderings cannot be '
        'compensated. Make it with `normalize_renderings=False`.'
      )
    if normalization not in ('per_class', 'joint'):
      raise ValueError(
        f"{name}: `normalization` must be 'per_class' or 'joint'; got "
        f'{normalization!r}.'
      )
    self._network = network
    self._pixel_variance = tf.constant(variance, network.dtype)
    self._pixel_scale, self._pixel_shift = pixel_scale, pixel_shift
    self._class_log_probs = tf.math.log(
      _checks.check_class_probs(name, class_probs, network)
    )
    scale = math.sqrt(variance) / pixel_scale

    def label():
      logits = self._class_log_probs
      if normalization == 'per_class':
        return Categorical(logits=logits)
      if log_normalizer is None:
        raise NotImplementedError(
          f'{name}: under the joint normalization the probability of a class '
          'needs the normalizers of the switches. Give `log_normalizer` at '
          'construction (`StructuredSwitchPrior.log_normalizer` computes or '
          "estimates it), or `normalization='per_class'`."
        )
      by_class = tf.convert_to_tensor(log_normalizer, logits.dtype)
      return Categorical(logits=logits + by_class)

    def prior(label):
      return StructuredSwitchPrior(
        network,
        label,
        variance,
        log_normalizer,
        num_sweeps,
        compensated,
        validate_args,
      )

    def image(label, switches):
      labels = tf.convert_to_tensor(label, dtype_hint=tf.int32)
      flat, labels, shape = _switch_states.flatten_batch(
        name, network, labels, switches
      )
      rendered = network.render(labels, flat).image
      loc = (rendered - pixel_shift) / pixel_scale
      loc = tf.reshape(loc, tf.concat([shape, network.input_shape], axis=0))
      return tfd.Independent(tfd.Normal(loc, tf.constant(scale, loc.dtype)), 3)

    super().__init__(
      {'label': label, 'switches': prior, 'image': image},
      validate_args=validate_args,
      name=name,
    )

  _flatten = _flatten_as_module

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

  @property
  def image_shape(self):
    """`tf.TensorShape` of an image, `[height, width, channels]`."""
    return self.network.input_shape

  @property
  def statistics_names(self):
    """Tuple of the names of all statistics; see the class."""
    return (
      'log_prob',
      'logits',
      *(f'latent_{mode}' for mode in _LATENT_MODES),
      'layer_etas',
      'layer_reconstructions',
    )

  @property
  def default_statistics(self):
    """Names of the statistics that together tell images of the model's kind."""
    return ('layer_etas', 'layer_reconstructions')

  def check(self, images):
    """Checks that images are a batch of raw pixels, eagerly and in graphs.

    Args:
      images: array-like of raw pixels, whole numbers from 0 to 255, of shape
        `[batch, *image_shape]`.

    Returns:
      The images, a `Tensor` of dtype `uint8` or floating, to be used in their
      place, so that a graph checks before it goes on.

    Raises:
      ValueError: if they are not; a graph raises
        `tf.errors.InvalidArgumentError` for what it learns when it runs.
    """
    images = as_pixels(images, self.image_shape, self.name, self.network.dtype)
    if images.shape.rank != 4:
      raise ValueError(
        f'{self.name}: `images` must be a batch, of shape [batch, '
        f'{", ".join(map(str, self.image_shape))}], got {images.shape}.'
      )
    return check_pixels(images, self.name)

  def scaled(self, images):
    """Checks raw pixels, and returns them as the network sees them."""
    images = tf.cast(self.check(images), self.network.dtype)
    return self._pixel_scale * images + self._pixel_shift

  def infer(self, images):
    """Runs the classifier, which decides on the latents of an image.

    Args:
      images: `Tensor` of raw pixels, `[batch, height, width, channels]`.

    Returns:
      `RenderingInference`: `label`, int32 `[batch]`, the largest logit;
      `switches` and `features`, lists with an entry for each layer; `logits`,
      `[batch, num_classes]`.
    """
    return with_one_more_if_empty(self._infer, self.scaled(images))

  def _infer(self, x):
    result = self.network.propagate(x)
    return RenderingInference(
      most_likely(result.logits),
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

    Raises:
      ValueError: if the labels are not classes, or the switches are not those of
        the network.
    """
    labels = self._checked_labels(labels)
    switches = _checks.check_switches(self.name, self.network, switches)
    return self.network.render(labels, switches)

  def joint_map(self, images, labels=None, num_sweeps=20):
    """Looks for the switches, and the label, that fit an image best.

        objective(y, z) = <x, h(y, z; 0)> + eta(y, z) = logit_y(x; z) - class_bias_y

    The ascent starts from the switches of the classifier. Each layer's are set to
    the best given those of all others: a unit moves to the state with the largest
    `h(l, p) value(state; l, p)`, so the sign of the rendering decides. The
    objective starts from the logit, never falls, and ends where no single layer
    can improve it, which need not be its maximum. Where all renderings are
    nonnegative it is, and the switches are those of the classifier. Only with
    `compensated=True` is it the log-density of label and switches given the image,
    times `variance` and up to a constant.

    Args:
      images: `Tensor` of raw pixels, `[batch, height, width, channels]`.
      labels: integer `Tensor` of shape `[batch]`. `None` tries all classes, and
        takes the one with the largest objective plus class bias.
      num_sweeps: Python `int`, the largest number of sweeps over all layers.

    Returns:
      `JointMap`: `label`, int32 `[batch]`; `switches`; `objective`, `[batch]`;
      `num_sweeps`, a scalar, the number of sweeps made; `has_converged`,
      `[batch]`, whether the last sweep changed nothing.

    Raises:
      ValueError: if the network normalizes its renderings, or the labels are not
        classes.
    """
    if self.network.rendering_normalizations:
      raise ValueError(
        f'{self.name}: the network normalizes its renderings, which then are not '
        'gradients of the logits. Make it with `normalize_renderings=False`.'
      )
    x = self.scaled(images)
    if labels is not None:
      labels = self._checked_labels(labels)
    return joint_map(self.network, x, labels, num_sweeps)

  def statistics(self, images, names):
    """Computes what the model says of images, with one pass up and one back.

    Args:
      images: `Tensor` of raw pixels, `[batch, height, width, channels]`.
      names: iterable of names, some of `statistics_names`.

    Returns:
      `dict` from each name to a `Tensor`; see the class.

    Raises:
      ValueError: if a name is unknown.
    """
    names = tuple(names)
    unknown = sorted(set(names) - set(self.statistics_names))
    if unknown:
      raise ValueError(
        f'{self.name}: unknown statistics {", ".join(map(repr, unknown))}; there '
        f'are {", ".join(self.statistics_names)}.'
      )
    if set(names) <= {'logits'}:
      logits = self.infer(images).logits  # Nothing to render.
      return dict.fromkeys(names, logits)
    return self._of_terms(
      images, lambda terms: {name: getattr(terms, name) for name in names}
    )

  def image_log_prob_terms(self, images, latent='mode_normalized'):
    """Splits a lower bound on an image's log-probability into terms.

    At the label and the switches `(y, z)` that the classifier infers,

        reconstruction = -|x - h(0)|^2 / (2 variance)
        label = log p0(y)

    with `p0` the class prior that was given. The latent term is the statistic of
    its mode, `latent_eta` to `latent_layerwise`; see the class. Constants that all
    images of a class share are left out.

    Args:
      images: `Tensor` of raw pixels, `[batch, height, width, channels]`.
      latent: `'eta'`, `'mode_normalized'`, `'rpn'` or `'layerwise'`.

    Returns:
      `RenderingTerms`, each `[batch]`, in nats.

    Raises:
      ValueError: if `latent` is unknown.
    """
    name = self._latent_name(latent)
    return self._of_terms(
      images,
      lambda terms: RenderingTerms(
        terms.reconstruction, getattr(terms, name), terms.label_log_prob
      ),
    )

  def latent_log_prob(self, images, mode='mode_normalized'):
    """The latent term of `image_log_prob_terms`.

    Args:
      images: `Tensor` of raw pixels, `[batch, height, width, channels]`.
      mode: `'eta'`, `'mode_normalized'`, `'rpn'` or `'layerwise'`.

    Returns:
      `Tensor` of shape `[batch]`.

    Raises:
      ValueError: if `mode` is unknown.
    """
    name = self._latent_name(mode)
    return self._of_terms(images, lambda terms: getattr(terms, name))

  def layer_terms(self, images, masked=False):
    """The share of each layer in `eta`, and how well each is rendered.

    Args:
      images: `Tensor` of raw pixels, `[batch, height, width, channels]`.
      masked: Python `bool`; see `layer_reconstruction`.

    Returns:
      eta: `[batch, num_layers]`, `<b(l), s(l) * h(l)>`; the sum over layers is
        `eta(y, z)`.
      reconstruction: `[batch, num_layers + 1]`; see `layer_reconstruction`.
    """
    return self._of_terms(
      images,
      lambda terms: (terms.layer_etas, terms.layer_reconstruction(masked)),
    )

  def layer_reconstruction(self, images, masked=False):
    """How well the image and the features of each layer are rendered.

    Args:
      images: `Tensor` of raw pixels, `[batch, height, width, channels]`.
      masked: Python `bool`, whether features are compared to the renderings after
        the rectifier of their own layer: those of units that are off are
        multiplied by its slope.

    Returns:
      `Tensor` of shape `[batch, num_layers + 1]`: `-|g(l) - h(l)|^2` of the image,
      `l = 0`, in the units of the network's input, and of each layer; `masked`
      `-|g(l) - s(l) * h(l)|^2` of the layers.
    """
    return self._of_terms(
      images, lambda terms: terms.layer_reconstruction(masked)
    )

  def rendering_path_normalization(self, rendered):
    """How far renderings are from those of the zero image and all classes.

        sum_l mean |b(l) s(l) h(l) - b(l) s0(l) h0(l)|

    As a loss it raises the prior's probability of the switches; the biases are
    constants to its gradient.

    The zero image goes the way of the images: through the same affine maps, up
    and back. In evaluation these normalize by the statistics that training
    gathered; in training by those of the batch of images, for the classifier's
    layers and for `rendering_normalizations` alike, and nothing is gathered a
    second time. Its switches and positions of pools are its own, and dropout
    leaves it alone. The authors' code instead normalizes the zero image by
    itself, and takes the positions of the image.

    Args:
      rendered: `Rendered`, as `infer_and_render` returns it.

    Returns:
      `Tensor` of shape `[batch]`.
    """
    return rendering_path_normalization(self.network, rendered)

  def infer_and_render(self, images, labels=None, training=False):
    """Goes up to the logits and back from one of them, once each way.

    Args:
      images: `Tensor` of raw pixels, `[batch, height, width, channels]`.
      labels: integer `Tensor` of shape `[batch]`, the classes from which to go
        back; -1 stands for the largest logit, as does `None` for all.
      training: Python `bool`; see `PiecewiseLinearNetwork.propagate`.

    Returns:
      x: the images as the network sees them.
      labels: int32 `[batch]`, the classes from which it went back.
      rendered: `Rendered` at the images' own switches.
      propagated: `Propagated`.
    """
    if labels is not None:
      labels = self._checked_labels(labels, minimum=-1)

    def choose_labels(logits):
      inferred = most_likely(logits)
      return (
        inferred if labels is None else tf.where(labels < 0, inferred, labels)
      )

    x = self.scaled(images)
    labels_used, propagated, rendered = self.network.propagate_and_render(
      x, choose_labels, training=training
    )
    return x, labels_used, rendered, propagated

  def _of_terms(self, images, function):
    """Calls a function of the `ImageTerms` of images."""

    def evaluate(x):
      return function(
        ImageTerms(self.network, self._pixel_variance, self._class_log_probs, x)
      )

    return with_one_more_if_empty(evaluate, self.scaled(images))

  def _latent_name(self, mode):
    if mode not in _LATENT_MODES:
      raise ValueError(
        f'{self.name}: the latent mode must be one of '
        f'{", ".join(_LATENT_MODES)}; got {mode!r}.'
      )
    return f'latent_{mode}'

  def _checked_labels(self, labels, minimum=0):
    labels = tf.convert_to_tensor(labels, dtype_hint=tf.int32)
    num_classes = self.network.num_classes
    _checks.check_labels(self.name, labels, num_classes, minimum)
    labels = tf.cast(labels, tf.int32)
    if not self.validate_args:
      return labels
    assertions = _checks.assert_labels(self.name, labels, num_classes, minimum)
    with tf.control_dependencies(assertions):
      return tf.identity(labels)
