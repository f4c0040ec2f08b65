# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""A classifier as affine maps between switches."""

import collections

import tensorflow as tf

from tfp_ood.networks._keras_graph import read_keras_graph
from tfp_ood.networks._network_pass import NetworkPass
from tfp_ood.networks._rendering_normalizations import (
  make_normalizations,
  normalizer,
)
from tfp_ood.networks._switch_steps import with_switch_layers
from tfp_ood.networks.tracking import trackable_parts

__all__ = ['PiecewiseLinearNetwork', 'Propagated', 'Rendered']

Propagated = collections.namedtuple(
  'Propagated', ['logits', 'features', 'pre_activations']
)
Rendered = collections.namedtuple(
  'Rendered',
  ['image', 'features', 'pre_activations', 'class_score', 'batch_statistics'],
  defaults=[()],
)


class PiecewiseLinearNetwork(tf.Module):
  """A classifier as affine maps between layers of switches.

  Layer `l = 1 .. L` takes an affine map of the layers below, `u(l)`, through its
  switches, a max pool and a rectifier or one of the two, to features `g(l)`; an
  affine map of the features makes the logits:

      u(l) = A_l (g(0), ..., g(l - 1)) + b(l),   g(l) = switch_l(u(l))
      logits = A (g(0), ..., g(L)) + c

  `propagate` computes this, with the switches that the pre-activations set or
  with given ones, for which everything is affine in the image. `render` goes
  back from a class, by the adjoint of the network with its switches frozen.

  A rectifier that is clipped, such as `min(relu(u), 6)`, is two layers with an
  affine map between them, `6 - relu(6 - relu(u))`. A network that computes in
  half precision takes and returns float32.

  With `normalize_renderings` every rendering is batch-normalized on its way back,
  by layers of its own, `rendering_normalizations`, as the authors of the neural
  rendering model do. Classifiers of any scale can then render images, but the
  renderings are no longer the adjoint: identities between logits and renderings
  hold only without it.

  #### Examples

  >>> import tensorflow as tf
  >>> import tf_keras
  >>> model = tf_keras.Sequential([
  ...     tf_keras.layers.Input([8, 8, 3]),
  ...     tf_keras.layers.Conv2D(4, 3, activation='relu'),
  ...     tf_keras.layers.MaxPooling2D(),
  ...     tf_keras.layers.Flatten(),
  ...     tf_keras.layers.Dense(10)])
  >>> network = PiecewiseLinearNetwork(model)
  >>> network.num_layers, network.layers[0].feature_shape
  (1, TensorShape([3, 3, 4]))
  >>> images = tf.random.stateless_normal([2, 8, 8, 3], [1, 2])
  >>> result = network.propagate(images)
  >>> bool(tf.reduce_all(abs(result.logits - model(images)) < 1e-5))
  True
  """

  def __init__(
    self, model, normalize_renderings=False, name='piecewise_linear_network'
  ):
    """Reads a Keras model; its weights are shared, not copied.

    Args:
      model: built `tf_keras` or Keras 3 classifier, Sequential or functional. A
        softmax at its end is left out.
      normalize_renderings: Python `bool`, whether renderings are
        batch-normalized, all but that of the last layer.
      name: Python `str`, the name of the module.

    Raises:
      ValueError: if the model is not built, a layer is not piecewise linear, or
        the output is not `[batch, num_classes]`.
    """
    super().__init__(name=name)
    self.model = model
    self._parts = trackable_parts(model)
    self._dtype = _floating_dtype(model)
    steps, self.input_name, self.output_name = read_keras_graph(model)
    self._steps, self._layers = with_switch_layers(steps)
    self.rendering_normalizations = []
    self.input_shape = tf.TensorShape(model.inputs[0].shape[1:])
    if not self.input_shape.is_fully_defined():
      raise ValueError(
        f'The Keras model {model.name} must take inputs of one shape; it takes '
        f'{self.input_shape}.'
      )
    logits = self._set_shapes()
    if logits.shape.rank != 2 or logits.shape[-1] < 2:
      raise ValueError(
        f'The Keras model {model.name} must end in one logit per class, '
        f'[batch, num_classes]; its output has shape {logits.shape}.'
      )
    self.num_classes = int(logits.shape[-1])
    if not self._layers:
      raise ValueError(
        f'The Keras model {model.name} has no rectifier and no max pool, and so '
        'no switches.'
      )
    if normalize_renderings:
      features = [layer.feature_shape for layer in self._layers]
      self.rendering_normalizations = make_normalizations(
        [self.input_shape, *features[:-1]], self.dtype
      )

  @property
  def steps(self):
    """What the network does, in the order of computation.

    A list of tuples `operation, inputs, output`. The operation is a `SwitchLayer`
    or an affine map, which is called with a list of `Tensor`s; `inputs` is a list
    of the names of values, and `output` a name. Those of the network's own input
    and output are `input_name` and `output_name`.
    """
    return self._steps

  @property
  def layers(self):
    """List of `SwitchLayer`, from the image to the logits."""
    return self._layers

  @property
  def num_layers(self):
    """Python `int`, the number of layers that have switches."""
    return len(self._layers)

  def propagate(self, images, switches=None, training=False):
    """Computes logits, features and pre-activations.

    Args:
      images: `Tensor` of shape `[batch, *input_shape]`.
      switches: list of the layers' switches, `[batch, ...]`;
        `None` for those that the pre-activations set.
      training: Python `bool`, whether dropout and batch normalization do what they
        do in training.

    Returns:
      `Propagated`: `logits`, `[batch, num_classes]`, and lists of `features` and
      `pre_activations`, a `Tensor` for each layer.
    """
    return self._propagated(self._pass(images, _switch_by(switches), training))

  def render(self, labels, switches=None, images=None):
    """Goes back from a class to the image, through given switches.

    The rendering of every layer is the exact adjoint of the network with its
    switches frozen: the gradient of the class's logit with respect to the
    features. It depends only on the switches above.

    Args:
      labels: integer `Tensor` of shape `[batch]`.
      switches: list of the layers' switches, `[batch, ...]`; `None` for those that
        `images` set.
      images: `Tensor` of shape `[batch, *input_shape]`, to propagate first.
        Default: zeros.

    Returns:
      `Rendered`:
      image: `h(0)`, of the shape of the images.
      features: list of `h(l)`, of the shapes of the features.
      pre_activations: list of the renderings after the switches of their own
        layer, `s(l) * h(l)` at the chosen positions.
      class_score: `[batch]`, the logit of the label less its bias, at `images`.
      batch_statistics: empty; see `propagate_and_render`.
    """
    if images is None:
      images = self.zero_images(tf.shape(labels)[0])
    _, _, rendered = self.propagate_and_render(
      images, lambda logits: labels, switches
    )
    return rendered

  def propagate_and_render(
    self,
    images,
    choose_labels,
    switches=None,
    training=False,
    normalize=True,
  ):
    """Goes up to the logits and back from one of them, once each way.

    In training, renderings take the statistics of the batch and the masks of
    dropout for constants. The gradient of a loss of the renderings still accounts
    for how the statistics depend on the weights.

    Args:
      images: `Tensor` of shape `[batch, *input_shape]`.
      choose_labels: function from the logits, `[batch, num_classes]`, to the
        classes from which to go back, integers of shape `[batch]`.
      switches: list of the layers' switches, `[batch, ...]`; `None` for those that
        `images` set.
      training: Python `bool`; see `propagate`.
      normalize: Python `bool`, whether renderings go through
        `rendering_normalizations`, if there are any. Without, they are exact.

    Returns:
      labels: what `choose_labels` returned.
      propagated: `Propagated`.
      rendered: `Rendered`; see `render`. In training `batch_statistics` says how
        the batch was normalized, for `biases` and `render_zero_image`.
    """
    up = self._pass(images, _switch_by(switches), training, can_go_back=True)
    propagated = self._propagated(up)
    labels = choose_labels(propagated.logits)
    templates = tf.one_hot(labels, self.num_classes, dtype=up.logits.dtype)
    statistics = list(up.coefficients)
    layers = self.rendering_normalizations if normalize else []
    gradients = self._in_dtype(
      up.back(templates, normalizer(layers, training, statistics))
    )
    statistics = tuple(statistics) if training else ()
    _, class_bias = self.biases(statistics)
    scores = tf.gather(propagated.logits - class_bias, labels, batch_dims=1)
    return labels, propagated, Rendered(*gradients, scores, statistics)

  def render_zero_image(self, batch_statistics=()):
    """Goes up from the zero image and back from all logits together.

    Args:
      batch_statistics: those of `Rendered`, by which to normalize as the images
        were in training. By default everything is as in evaluation.

    Returns:
      `Rendered`, of a batch of one.
    """
    given = iter(batch_statistics) if batch_statistics else None
    up = self._pass(
      self.zero_images(),
      _switch_by(None),
      can_go_back=True,
      coefficients=given,
    )
    normalize = normalizer(self.rendering_normalizations, given=given)
    gradients = self._in_dtype(up.back(tf.ones_like(up.logits), normalize))
    _, class_bias = self.biases(batch_statistics)
    scores = self._in_dtype(up.logits) - class_bias
    return Rendered(*gradients, tf.reduce_sum(scores, axis=-1))

  def zero_images(self, count=1):
    """Returns `Tensor` of zeros, `[count, *input_shape]`."""
    return tf.zeros([count, *self.input_shape], self.dtype)

  def switches(self, pre_activations):
    """Returns the switches that pre-activations set.

    Args:
      pre_activations: list of `Tensor`s, as `propagate` returns it.

    Returns:
      List of the layers' switches.
    """
    return [
      layer.switches(u)
      for layer, u in zip(self._layers, pre_activations, strict=True)
    ]

  def biases(self, batch_statistics=()):
    """Returns the biases of the affine maps.

    Args:
      batch_statistics: those of `Rendered`, for the biases that the maps had in
        training.

    Returns:
      biases: list of `Tensor`s of shape `[1, ...]`, `b(l)` for each layer.
      class_bias: `Tensor` of shape `[1, num_classes]`, `c`.
    """
    up = self._pass(
      self.zero_images(),
      lambda layer, u, index: tf.zeros([1, *layer.feature_shape], u.dtype),
      coefficients=iter(batch_statistics) if batch_statistics else None,
    )
    result = self._propagated(up)
    return result.pre_activations, result.logits

  @property
  def dtype(self):
    """The dtype of images and logits: that of the weights, at least float32."""
    return self._dtype

  def _set_shapes(self):
    def apply(layer, u, index):
      layer.set_shape(u.shape[1:])
      return layer.apply(u)

    return self._pass(self.zero_images(), apply).logits

  def _pass(self, images, switch, training=False, **kwargs):
    return NetworkPass(
      self._steps,
      self.input_name,
      self.output_name,
      images,
      switch,
      training,
      **kwargs,
    )

  def _propagated(self, up):
    return Propagated(
      *self._in_dtype((up.logits, up.features, up.pre_activations))
    )

  def _in_dtype(self, values):
    """Casts what layers of half precision return."""
    return tf.nest.map_structure(lambda x: tf.cast(x, self.dtype), values)


def _switch_by(switches):
  """Returns the function that switches as given, or as pre-activations say."""
  if switches is None:
    return lambda layer, u, index: layer.apply(u)
  return lambda layer, u, index: layer.apply_frozen(u, switches[index])


def _floating_dtype(model):
  # A dropout layer of Keras 3 has a seed among its variables.
  dtypes = [tf.as_dtype(weight.dtype) for weight in model.weights]
  dtypes = [dtype for dtype in dtypes if dtype.is_floating]
  return tf.float64 if tf.float64 in dtypes[:1] else tf.float32
