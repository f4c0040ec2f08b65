# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""A classifier as affine maps between switches."""

import collections
import contextlib

import tensorflow as tf
import tf_keras

from tfp_ood.networks import _keras_graph
from tfp_ood.networks.switch_layer import SwitchLayer
from tfp_ood.networks.tracking import trackable_parts

__all__ = ['PiecewiseLinearNetwork', 'Propagated', 'Rendered']

Propagated = collections.namedtuple(
  'Propagated', ['logits', 'features', 'pre_activations']
)
Rendered = collections.namedtuple(
  'Rendered', ['image', 'features', 'pre_activations', 'class_score']
)


class PiecewiseLinearNetwork(tf.Module):
  """A classifier of affine maps, rectifiers and max pools, laid open.

  Layer `l = 1 .. L` takes an affine map of the layers below, `u(l)`, through its
  switches, a max pool and a rectifier or one of the two, to features `g(l)`; an
  affine map of the features makes the logits:

      u(l) = A_l (g(0), ..., g(l - 1)) + b(l),   g(l) = switch_l(u(l))
      logits = A (g(0), ..., g(L)) + c

  `propagate` computes this, with the switches that the pre-activations set or
  with given ones, for which everything is affine in the image. `render` goes
  back from a class, by the adjoint of the network with its switches frozen.

  With `normalize_renderings` every rendering is batch-normalized on its way back,
  by layers of its own, `rendering_normalizations`, as the authors of the neural
  rendering model do. That lets classifiers of any scale render images, but what
  is rendered is the adjoint no more: identities between logits and renderings
  hold without it only.

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
    steps, self._input, self._output = _keras_graph.read_keras_graph(model)
    self._steps, self._layers = _with_switch_layers(steps)
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
      self.rendering_normalizations = self._make_normalizations()

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
    return self._run(images, _switch_by(switches), training)

  def render(self, labels, switches=None, images=None):
    """Goes back from a class to the image, through given switches.

    The rendering of every layer is the exact adjoint of the network with its
    switches frozen: the gradient of the class's logit with respect to the
    features. It depends on the switches above alone.

    Args:
      labels: integer `Tensor` of shape `[batch]`.
      switches: list of the layers' switches, `[batch, ...]`; `None` for those that
        `images` set.
      images: `Tensor` of shape `[batch, *input_shape]`, what to propagate before;
        needed without `switches`. Default: zeros.

    Returns:
      `Rendered`:
      image: `h(0)`, of the shape of the images.
      features: list of `h(l)`, of the shapes of the features.
      pre_activations: list of the renderings after the switches of their own
        layer, `s(l) * h(l)` at the chosen positions.
      class_score: `[batch]`, the logit of the label less its bias, at `images`.
    """
    if images is None:
      images = self.zero_images(tf.shape(labels)[0])
    _, _, rendered = self.propagate_and_render(
      images, lambda logits: labels, switches
    )
    return rendered

  def propagate_and_render(
    self, images, choose_labels, switches=None, training=False
  ):
    """Goes up to the logits and back from one of them, once each way.

    Args:
      images: `Tensor` of shape `[batch, *input_shape]`.
      choose_labels: function from the logits, `[batch, num_classes]`, to the
        classes where to turn round, integers of shape `[batch]`.
      switches: list of the layers' switches, `[batch, ...]`; `None` for those that
        `images` set.
      training: Python `bool`; see `propagate`.

    Returns:
      labels: what `choose_labels` returned.
      propagated: `Propagated`.
      rendered: `Rendered`; see `render`.
    """
    with tf.GradientTape(watch_accessed_variables=False) as tape:
      tape.watch(images)
      way_back = _WayBack(tape)
      propagated = self._run(images, _switch_by(switches), training, way_back)
      labels = choose_labels(propagated.logits)
      _, class_bias = self.biases()
      scores = tf.gather(propagated.logits - class_bias, labels, batch_dims=1)
    gradients = way_back.render(
      scores, [images, propagated.features, propagated.pre_activations]
    )
    return labels, propagated, Rendered(*gradients, scores)

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

  def biases(self):
    """Returns what the affine maps add by themselves.

    Returns:
      biases: list of `Tensor`s of shape `[1, ...]`, `b(l)` for each layer.
      class_bias: `Tensor` of shape `[1, num_classes]`, `c`.
    """
    result = self._run(
      self.zero_images(),
      lambda layer, u, index: tf.zeros([1, *layer.feature_shape], self.dtype),
    )
    return result.pre_activations, result.logits

  @property
  def dtype(self):
    """The dtype of the weights."""
    # A dropout layer of Keras 3 has a seed among its variables.
    dtypes = [tf.as_dtype(weight.dtype) for weight in self.model.weights]
    return next((d for d in dtypes if d.is_floating), tf.float32)

  def _set_shapes(self):
    def apply(layer, u, index):
      layer.set_shape(u.shape[1:])
      return layer.apply(u)

    return self._run(self.zero_images(), apply).logits

  def _make_normalizations(self):
    shapes = [self.input_shape, *(x.feature_shape for x in self._layers[:-1])]
    normalizations = []
    for index, shape in enumerate(shapes):
      layer = tf_keras.layers.BatchNormalization(
        name=f'rendering_normalization_{index}', dtype=self.dtype
      )
      layer.build([None, *shape])
      normalizations.append(layer)
    return normalizations

  def _run(self, images, switch, training=False, way_back=None):
    """Computes all steps.

    Args:
      images: `Tensor` of shape `[batch, *input_shape]`.
      switch: function from a layer, its pre-activations and its number to its
        features.
      training: Python `bool`.
      way_back: `_WayBack`, where there will be a rendering.

    Returns:
      `Propagated`.
    """

    def mark(values, index):
      if way_back and index < len(self.rendering_normalizations):
        normalization = self.rendering_normalizations[index]
        return way_back.through(normalization, values, training)
      return values

    pause = way_back.pause if way_back else contextlib.nullcontext
    values = {self._input: mark(images, 0)}
    features, pre_activations = [], []
    for operation, inputs, output in self._steps:
      arguments = [values[name] for name in inputs]
      if isinstance(operation, SwitchLayer):
        pre_activations.append(arguments[0])
        features.append(switch(operation, arguments[0], len(features)))
        values[output] = mark(features[-1], len(features))
      elif training and operation.train:
        values[output] = operation.train(arguments, pause)
      else:
        values[output] = operation.function(arguments)
    return Propagated(values[self._output], features, pre_activations)


def _switch_by(switches):
  """Returns the function that switches as given, or as pre-activations say."""
  if switches is None:
    return lambda layer, u, index: layer.apply(u)
  return lambda layer, u, index: layer.apply_frozen(u, switches[index])


class _WayBack:
  """A rendering to come, which goes back through what a tape records."""

  def __init__(self, tape):
    self._tape = tape
    self._is_rendering = False

  def pause(self):
    """Returns a context manager; what it sees are constants to the rendering."""
    return self._tape.stop_recording()

  def render(self, scores, values):
    """Returns the gradients of scores, by way of the normalizations."""
    self._is_rendering = True
    gradients = self._tape.gradient(
      scores,
      values,
      unconnected_gradients=tf.UnconnectedGradients.ZERO,
    )
    self._is_rendering = False
    return gradients

  def through(self, normalization, values, training):
    """Returns the values; their renderings will be normalized.

    The gradients of losses, which come back the same way, are not.
    """

    @tf.custom_gradient
    def identity(values):
      def back(h):
        return normalization(h, training=training) if self._is_rendering else h

      return tf.identity(values), back

    return identity(values)


def _with_switch_layers(steps):
  """Makes layers of rectifiers and max pools.

  A rectifier and a max pool that follow each other, with nothing else in
  between, are one layer: both are monotone, so their order does not matter.

  Args:
    steps: list of `_keras_graph.Step`.

  Returns:
    The steps with `SwitchLayer`s for operations, and the list of these.
  """
  num_consumers = collections.Counter(n for step in steps for n in step.inputs)
  follower = {step.inputs[0]: step for step in steps if len(step.inputs) == 1}
  result, layers, taken_in = [], [], set()
  for step in steps:
    if isinstance(step.operation, _keras_graph.Affine):
      result.append(step)
      continue
    if step.output in taken_in:
      continue
    operations, output = [step.operation], step.output
    following = follower.get(output) if num_consumers[output] == 1 else None
    if following and _are_one_layer(step.operation, following.operation):
      operations.append(following.operation)
      output = following.output
      taken_in.add(output)
    layers.append(SwitchLayer(operations))
    result.append(_keras_graph.Step(layers[-1], step.inputs, output))
  return result, layers


def _are_one_layer(first, second):
  kinds = {type(first), type(second)}
  return kinds == {_keras_graph.Rectifier, _keras_graph.MaxPool}
