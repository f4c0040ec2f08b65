# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""What Keras classifiers that stand beside models share."""

import tensorflow as tf
import tf_keras

__all__ = ['KerasClassifier']

# By the rank of maps, `[batch, ...positions, channels]`.
_POOLING = {
  3: tf_keras.layers.GlobalAveragePooling1D,
  4: tf_keras.layers.GlobalAveragePooling2D,
}


class KerasClassifier(tf.Module):
  """Base class of a Keras network whose logits and features are statistics.

  A subclass defines `event_shape`, `check(examples)`, and `_inputs(examples)`: what
  the network sees of examples that were checked, a floating `Tensor`.
  """

  statistics_names = ('logits', 'features', 'perturbed_logits')

  def __init__(self, network, features, perturbation, temperature, name):
    """Instantiates the classifier.

    Args:
      network: built `tf_keras.Model` to logits.
      features: name of a layer, or `None` for what the last dense layer takes.
      perturbation: Python `float`, the step of `perturbed_logits`.
      temperature: positive Python `float`, what it divides the logits by.
      name: Python `str`.

    Raises:
      TypeError: if `network` is no built `tf_keras.Model`.
      ValueError: if it has no such layer, or a number is out of range.
    """
    super().__init__(name=name)
    kind = type(self).__name__
    if not isinstance(network, tf_keras.Model) or not network.built:
      raise TypeError(
        f'{kind}: `network` must be a built tf_keras.Model, got '
        f'{type(network).__name__}.'
      )
    if not perturbation >= 0:
      raise ValueError(
        f'{kind}: `perturbation` must not be negative, got {perturbation}.'
      )
    if not temperature > 0:
      raise ValueError(
        f'{kind}: `temperature` must be positive, got {temperature}.'
      )
    self._perturbation, self._temperature = perturbation, temperature
    self._network = tf_keras.Model(
      network.inputs, [network.output, _features(network, features, kind)]
    )

  @property
  def variables(self):
    """The variables of the network, a list."""
    return list(self._network.variables)

  def statistics(self, examples, names):
    """Computes logits and features, in one pass of the network.

    `perturbed_logits` need the gradient of that pass, and a second one.

    Args:
      examples: `Tensor`, `[batch, ...event_shape]`.
      names: iterable of names out of `statistics_names`.

    Returns:
      `dict` from each name to a `Tensor`.
    """
    names = tuple(names)
    inputs = self._inputs(self.check(examples))
    if 'perturbed_logits' in names:
      values = self._with_perturbed_logits(inputs)
    else:
      values = self._logits_and_features(inputs)
    return {name: values[name] for name in names}

  def _logits_and_features(self, inputs):
    logits, features = self._network(inputs, training=False)
    return {'logits': logits, 'features': features}

  def _with_perturbed_logits(self, inputs):
    with tf.GradientTape(watch_accessed_variables=False) as tape:
      tape.watch(inputs)
      values = self._logits_and_features(inputs)
      sureness = tf.reduce_max(
        tf.nn.log_softmax(values['logits'] / self._temperature), axis=-1
      )
    step = self._perturbation * tf.sign(tape.gradient(sureness, inputs))
    moved = self._logits_and_features(inputs + step)
    return {**values, 'perturbed_logits': moved['logits']}


def _features(network, name, kind):
  """The tensor of the features within a network."""
  if name is None:
    dense = [
      layer
      for layer in network.layers
      if isinstance(layer, tf_keras.layers.Dense)
    ]
    if not dense:
      raise ValueError(
        f'{kind}: {network.name} has no dense layer; name the layer whose output '
        'are the features in `features`. There are '
        f'{", ".join(layer.name for layer in network.layers)}.'
      )
    tensor = dense[-1].input
  else:
    tensor = network.get_layer(name).output
  if tensor.shape.rank == 2:
    return tensor
  if tensor.shape.rank in _POOLING:
    return _POOLING[tensor.shape.rank]()(tensor)
  raise ValueError(
    f'{kind}: features must be vectors or maps; those of {name!r} have the shape '
    f'{tensor.shape}.'
  )
