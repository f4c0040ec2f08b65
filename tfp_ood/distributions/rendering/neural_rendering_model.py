# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The neural rendering model: a classifier read backwards."""

import collections
import math

import numpy as np
import tensorflow as tf
import tensorflow_probability as tfp

from tfp_ood._batches import with_one_more_if_empty
from tfp_ood.distributions.rendering import _checks, _switch_blocks
from tfp_ood.distributions.rendering.layerwise_switch_prior import (
  LayerwiseSwitchPrior,
)
from tfp_ood.distributions.rendering.structured_switch_prior import (
  StructuredSwitchPrior,
)
from tfp_ood.networks.piecewise_linear import PiecewiseLinearNetwork

__all__ = [
  'LATENT_MODES',
  'JointMap',
  'NeuralRenderingModel',
  'RenderingInference',
  'RenderingStatistics',
  'RenderingTerms',
]

tfd = tfp.distributions

RenderingInference = collections.namedtuple(
  'RenderingInference', ['label', 'switches', 'features', 'logits']
)
RenderingTerms = collections.namedtuple(
  'RenderingTerms', ['reconstruction', 'latent', 'label']
)
RenderingStatistics = collections.namedtuple(
  'RenderingStatistics',
  ['logits', 'latent', 'log_prob', 'layer_etas', 'layer_reconstructions'],
)
JointMap = collections.namedtuple(
  'JointMap', ['label', 'switches', 'objective', 'num_sweeps', 'has_converged']
)
# What one pass up and one back find out about a batch.
_Inferred = collections.namedtuple(
  '_Inferred', ['x', 'label', 'propagated', 'rendered', 'layer_etas']
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

  With `normalisation='joint'` there is one constant for all classes and switches,

      p(y, z) = p0(y) exp(eta(y, z) / variance) / Z

  with `p0` the given class prior, so that a class has the probability
  `p0(y) Z_y / Z`. With `compensated=True` the prior has `eta + |h(0)|^2 / 2` in
  place of `eta` (`StructuredSwitchPrior`), and given an image

      p(y, z | x) ~ p0(y) exp((logit_y(x; z) - class_bias_y) / variance)

  under the joint normalisation, with the logit of the network with its switches
  frozen at `z`. Where all renderings are nonnegative the classifier's switches
  are then the most probable, and with the class prior
  `softmax(class_bias / variance)` the probabilities of the classes come close to
  `softmax(logits / variance)` as the variance falls.

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
    normalisation='per_class',
    compensated=False,
    num_sweeps=20,
    validate_args=False,
    name='neural_rendering_model',
  ):
    """Instantiates the model.

    Args:
      network: `PiecewiseLinearNetwork` over images.
      variance: positive scalar, `sigma^2`, in the units of the network's input.
      class_probs: `[num_classes]`, positive, the class prior, known when the model
        is made. Default: uniform.
      log_normalizer: `[num_classes]`, of the switches; see
        `StructuredSwitchPrior`. `None` where it is unknown.
      pixel_scale: Python `float`; the network sees `pixel_scale * pixels +
        pixel_shift`, by default in `[-1, 1]`.
      pixel_shift: Python `float`.
      normalisation: `'per_class'` or `'joint'`, whether the switches are
        normalized for each class or together with the classes. The latter needs
        `log_normalizer` for `sample` and `log_prob`.
      compensated: Python `bool`; see `StructuredSwitchPrior`, whose
        `log_normalizer` is another then.
      num_sweeps: Python `int`, the length of the chains that sample switches.
      validate_args: Python `bool`, as in TFP.
      name: Python `str` given to the operations.

    Raises:
      ValueError: if `network` does not take images, or normalizes its renderings
        and is to be compensated; `variance` is not positive; `class_probs` are
        not the probabilities of the classes; or `normalisation` is unknown.
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
    if normalisation not in ('per_class', 'joint'):
      raise ValueError(
        f"{name}: `normalisation` must be 'per_class' or 'joint'; got "
        f'{normalisation!r}.'
      )
    self._network = network
    self._pixel_variance = tf.constant(variance, network.dtype)
    self._pixel_scale, self._pixel_shift = pixel_scale, pixel_shift
    self._class_log_probs = tf.math.log(
      _checked_class_probs(name, class_probs, network)
    )
    scale = math.sqrt(variance) / pixel_scale

    def label():
      logits = self._class_log_probs
      if normalisation == 'per_class':
        return tfd.Categorical(logits=logits)
      if log_normalizer is None:
        raise NotImplementedError(
          f'{name}: under the joint normalisation the probability of a class '
          'needs the normalizers of the switches. Give `log_normalizer` at '
          'construction (`StructuredSwitchPrior.log_normalizer` computes or '
          "estimates it), or `normalisation='per_class'`."
        )
      by_class = tf.convert_to_tensor(log_normalizer, logits.dtype)
      return tfd.Categorical(logits=logits + by_class)

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
      flat, labels, shape = prior(label)._flatten_batch(switches)
      rendered = network.render(labels, flat).image
      loc = (rendered - pixel_shift) / pixel_scale
      loc = tf.reshape(loc, tf.concat([shape, network.input_shape], axis=0))
      return tfd.Independent(tfd.Normal(loc, tf.constant(scale, loc.dtype)), 3)

    super().__init__(
      {'label': label, 'switches': prior, 'image': image},
      validate_args=validate_args,
      name=name,
    )

  def _flatten(self, *args, **kwargs):
    """Finds variables; all are in the network.

    TFP would run the whole model first, block Gibbs sampling and all, for those
    of distributions made on the way.
    """
    return tf.Module._flatten(self, *args, **kwargs)

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
    return with_one_more_if_empty(self._infer, self.scaled(images))

  def _infer(self, x):
    result = self.network.propagate(x)
    return RenderingInference(
      _most_likely(result.logits),
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
      ValueError: if the labels are no classes, or the switches not those of the
        network.
    """
    labels = self._checked_labels(labels)
    switches = _checks.check_switches(self.name, self.network, switches)
    return self.network.render(labels, switches)

  def joint_map(self, images, labels=None, num_sweeps=20):
    """Looks for the switches, and the label, that fit an image best.

        objective(y, z) = <x, h(y, z; 0)> + eta(y, z) = logit_y(x; z) - class_bias_y

    From the switches that the classifier sets, each layer's are set to the best
    given those of all others, where the sign of the rendering decides: a unit
    goes to the state with the largest `h(l, p) value(state; l, p)`. The objective
    never falls, starts from the logit, and ends where no single layer can do
    better; that need not be the largest there is. Where all renderings are
    nonnegative it is, and the switches are those of the classifier. With
    `compensated=True`, and then alone, it is the log-density of label and
    switches given the image, times `variance` and up to a constant.

    Args:
      images: `Tensor` of raw pixels, `[batch, height, width, channels]`.
      labels: integer `Tensor` of shape `[batch]`. `None` goes through all classes,
        at the cost of each, and takes the one of the largest objective plus class
        bias.
      num_sweeps: Python `int`, how often to go through all layers at most.

    Returns:
      `JointMap`: `label`, int32 `[batch]`; `switches`; `objective`, `[batch]`;
      `num_sweeps`, scalar, how many there were; `has_converged`, `[batch]`, whether
      the last one changed nothing.

    Raises:
      ValueError: if the network normalizes its renderings, or the labels are no
        classes.
    """
    if self.network.rendering_normalizations:
      raise ValueError(
        f'{self.name}: the network normalizes its renderings, which do not say '
        'then what switches do to the logits. Make it with '
        '`normalize_renderings=False`.'
      )
    x = self.scaled(images)
    if labels is not None:
      return self._ascend(x, self._checked_labels(labels), num_sweeps)
    count, num_classes = tf.shape(x)[0], self.network.num_classes
    found = self._ascend(
      tf.repeat(x, num_classes, axis=0),
      tf.tile(tf.range(num_classes), [count]),
      num_sweeps,
    )
    _, class_bias = self.network.biases()
    scores = tf.reshape(found.objective, [count, num_classes]) + class_bias
    best = num_classes * tf.range(count) + _most_likely(scores)
    label, switches, objective, has_converged = tf.nest.map_structure(
      lambda values: tf.gather(values, best),
      (found.label, found.switches, found.objective, found.has_converged),
    )
    return JointMap(label, switches, objective, found.num_sweeps, has_converged)

  def _ascend(self, x, labels, num_sweeps):
    start = self.network.switches(self.network.propagate(x).pre_activations)
    return JointMap(
      labels,
      *_switch_blocks.ascend(self.network, x, labels, start, num_sweeps),
    )

  def rendering_statistics(self, images, latent_modes=('mode_normalised',)):
    """All there is to say about images, from one pass up and one back.

    Args:
      images: `Tensor` of raw pixels, `[batch, height, width, channels]`.
      latent_modes: sequence of `LATENT_MODES`; see `log_prob_terms`.

    Returns:
      `RenderingStatistics`:
      logits: `[batch, num_classes]`.
      latent: `dict` of the latent terms by mode, `[batch]`, in nats.
      log_prob: `[batch]`, the sum of the terms of `log_prob_terms` with
        `'mode_normalised'`, in nats.
      layer_etas: `[batch, num_layers]`; see `layer_terms`.
      layer_reconstructions: `[batch, num_layers + 1]`; see `layer_terms`.

    Raises:
      ValueError: if a latent mode is unknown.
    """
    self._check_modes(latent_modes)

    def evaluate(x):
      inferred = self._inferred(x)
      latent = {
        mode: self._latent(mode, inferred)
        for mode in {'mode_normalised', *latent_modes}
      }
      reconstruction, label = self._pixel_and_label_terms(inferred)
      return RenderingStatistics(
        inferred.propagated.logits,
        {mode: latent[mode] for mode in latent_modes},
        reconstruction + latent['mode_normalised'] + label,
        inferred.layer_etas,
        self._layer_reconstructions(inferred, masked=False),
      )

    return with_one_more_if_empty(evaluate, self.scaled(images))

  def log_prob_terms(self, images, latent='mode_normalised'):
    """Splits a lower bound on an image's log-probability into terms.

    At the label and the switches `(y, z)` that the classifier infers,

        reconstruction = -|x - h(0)|^2 / (2 variance)
        label = log p0(y)

    with `p0` the class prior that was given, and `latent` is, by mode, in nats (`rpn`: as the authors' loss):

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

    Whether the model is compensated, or normalized jointly, makes no difference
    here. Of a network that normalizes its renderings, `eta` is the same sum with
    the normalized ones.

    Args:
      images: `Tensor` of raw pixels, `[batch, height, width, channels]`.
      latent: one of `LATENT_MODES`.

    Returns:
      `RenderingTerms`, each `[batch]`.

    Raises:
      ValueError: if `latent` is unknown.
    """
    self._check_modes([latent])

    def evaluate(x):
      inferred = self._inferred(x)
      reconstruction, label = self._pixel_and_label_terms(inferred)
      return RenderingTerms(
        reconstruction, self._latent(latent, inferred), label
      )

    return with_one_more_if_empty(evaluate, self.scaled(images))

  def latent_log_prob(self, images, mode='mode_normalised'):
    """The latent term of `log_prob_terms`.

    Args:
      images: `Tensor` of raw pixels, `[batch, height, width, channels]`.
      mode: one of `LATENT_MODES`.

    Returns:
      `Tensor` of shape `[batch]`.
    """
    self._check_modes([mode])
    return with_one_more_if_empty(
      lambda x: self._latent(mode, self._inferred(x)), self.scaled(images)
    )

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

    def evaluate(x):
      inferred = self._inferred(x)
      return (
        inferred.layer_etas,
        self._layer_reconstructions(inferred, masked),
      )

    return with_one_more_if_empty(evaluate, self.scaled(images))

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
    return with_one_more_if_empty(
      lambda x: self._layer_reconstructions(self._inferred(x), masked),
      self.scaled(images),
    )

  def _inferred(self, x):
    label, propagated, rendered = self.network.propagate_and_render(
      x, _most_likely
    )
    return _Inferred(x, label, propagated, rendered, self._layer_etas(rendered))

  def _layer_etas(self, rendered):
    biases, _ = self.network.biases()
    etas = [
      _sum_event(bias * gradient)
      for bias, gradient in zip(biases, rendered.pre_activations, strict=True)
    ]
    return tf.stack(etas, axis=-1)

  def _layer_reconstructions(self, inferred, masked):
    x, rendered = inferred.x, inferred.rendered
    reconstructions = [_sum_of_squares(x - rendered.image)]
    for layer, g, h in zip(
      self.network.layers,
      inferred.propagated.features,
      rendered.features,
      strict=True,
    ):
      if masked:
        slope = tf.constant(layer.slope, h.dtype)
        h *= tf.where(g > 0, tf.ones([], h.dtype), slope)
      reconstructions.append(_sum_of_squares(g - h))
    return -tf.stack(reconstructions, axis=-1)

  def _pixel_and_label_terms(self, inferred):
    squares = _sum_of_squares(inferred.x - inferred.rendered.image)
    label = tf.gather(self._class_log_probs, inferred.label)
    return -squares / (2 * self._pixel_variance), label

  def _latent(self, mode, inferred):
    if mode == 'layerwise':
      prior = LayerwiseSwitchPrior(
        self.network, inferred.label, self._pixel_variance
      )
      log_prob, _ = prior._terms_of_renderings(
        inferred.rendered.features,
        self.network.switches(inferred.propagated.pre_activations),
      )
      return log_prob
    if mode == 'rpn':
      path = self.rendering_path_normalization(inferred.rendered)
      return -self.network.input_shape.num_elements() * path
    eta = tf.reduce_sum(inferred.layer_etas, axis=-1)
    if mode == 'mode_normalised':
      eta -= tf.gather(self._zero_image_etas(), inferred.label)
    return eta / self._pixel_variance

  def _zero_image_etas(self):
    """`eta` of the zero image's own switches, `[num_classes]`."""
    network = self.network
    if network.rendering_normalizations:
      # They are no gradients of the logits: every class is rendered.
      labels = tf.range(network.num_classes)
      zeros = network.zero_images(network.num_classes)
      rendered = network.render(labels, images=zeros)
      return tf.reduce_sum(self._layer_etas(rendered), axis=-1)
    _, class_bias = network.biases()
    return (network.propagate(network.zero_images()).logits - class_bias)[0]

  def _check_modes(self, modes):
    for mode in modes:
      if mode not in LATENT_MODES:
        raise ValueError(
          f'{self.name}: the latent mode must be one of '
          f'{", ".join(LATENT_MODES)}; got {mode!r}.'
        )

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
    zero = self.network.zero_images()
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

    if labels is not None:
      labels = self._checked_labels(labels, minimum=-1)

    def choose_labels(logits):
      inferred = _most_likely(logits)
      return (
        inferred if labels is None else tf.where(labels < 0, inferred, labels)
      )

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


def _checked_class_probs(name, class_probs, network):
  num_classes = network.num_classes
  if class_probs is None:
    class_probs = [1 / num_classes] * num_classes
  probs = np.asarray(class_probs, np.float64)
  if probs.shape != (num_classes,):
    raise ValueError(
      f'{name}: `class_probs` must be the probabilities of the {num_classes} '
      f'classes; got shape {probs.shape}.'
    )
  # Of float32 probabilities, the sum is one so far.
  if not (probs > 0).all() or abs(probs.sum() - 1) > 1e-5:
    raise ValueError(
      f'{name}: `class_probs` must be positive and add up to one; got {probs}, '
      f'which add up to {probs.sum()}.'
    )
  return tf.constant(probs, network.dtype)


def _most_likely(logits):
  return tf.argmax(logits, axis=-1, output_type=tf.int32)


def _sum_event(values):
  return tf.reduce_sum(values, axis=range(1, values.shape.rank))


def _sum_of_squares(values):
  return _sum_event(values**2)
