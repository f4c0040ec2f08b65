# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The switches of one layer, given those of all others: a block."""

import collections

import tensorflow as tf

from tfp_ood.distributions.rendering._reductions import sum_of_squares

__all__ = ['SwitchAscent', 'ascend', 'block_scores', 'loop_over_switches']

SwitchAscent = collections.namedtuple(
  'SwitchAscent', ['switches', 'objective', 'num_sweeps', 'has_converged']
)


def block_scores(network, images, labels, switches, index):
  """What each unit of a layer adds to the logit, in each of its states.

      score(state; l, p) = h(l, p) * value(state; l, p)

  With the switches of all other layers given the logit is linear in the features
  of the layer, the renderings from above are its coefficients, and the
  pre-activations from below do not depend on the layer's own switches. So the
  logit is the sum of the units' scores, plus a term that does not depend on the
  layer.

  Args:
    network: `PiecewiseLinearNetwork`.
    images: `Tensor` of shape `[batch, *input_shape]`.
    labels: integer `Tensor` of shape `[batch]`.
    switches: list of the layers' switches, `[batch, ...]`.
    index: Python `int`, the number of the layer, from 0.

  Returns:
    `Tensor` of shape `[batch, *feature_shape, num_states]`.
  """
  _, propagated, rendered = network.propagate_and_render(
    images, lambda logits: labels, switches, normalize=False
  )
  h = rendered.features[index]
  values = network.layers[index].state_values(propagated.pre_activations[index])
  return h[..., tf.newaxis] * values


def ascend(network, images, labels, switches, num_sweeps, renders_images=False):
  """Increases the logit of a class, one layer of switches after another.

  Each unit of a layer moves to the state of the largest score, and stays where it
  is if that is one: the logit of the frozen switches never falls. At the end no
  change of a single layer increases it; changes of several together may.

  Args:
    network: `PiecewiseLinearNetwork`.
    images: `Tensor` of shape `[batch, *input_shape]`.
    labels: integer `Tensor` of shape `[batch]`.
    switches: list of the layers' switches, `[batch, ...]`, where to start.
    num_sweeps: Python `int`, the largest number of sweeps over all layers.
    renders_images: Python `bool`, whether each sweep starts from the rendered
      image instead; the objective, `eta + |h(0)|^2 / 2`, never falls either.

  Returns:
    `SwitchAscent`: the `switches`; the `objective`, `[batch]`, the logit less
    the class bias; how many sweeps there were; and whether the last one left
    all switches of an image as they were, `[batch]`.
  """

  def evaluate(switches):
    if renders_images:
      rendered = network.render(labels, switches)
      squares = sum_of_squares(rendered.image)
      return rendered.image, rendered.class_score + squares / 2
    rendered = network.render(labels, switches, images)
    return images, rendered.class_score

  def sweep(step, switches, _):
    switches = list(switches)
    x = evaluate(switches)[0] if renders_images else images
    has_changed = tf.zeros_like(labels, tf.bool)
    for index, layer in enumerate(network.layers):
      scores = block_scores(network, x, labels, switches, index)
      states = layer.states(switches[index])
      own = tf.gather(scores, states, batch_dims=states.shape.rank)
      is_better = tf.reduce_max(scores, axis=-1) > own
      best = tf.argmax(scores, axis=-1, output_type=tf.int32)
      switches[index] = layer.switches_of_states(
        tf.where(is_better, best, states)
      )
      has_changed |= tf.reduce_any(
        is_better, axis=range(1, is_better.shape.rank)
      )
    return step + 1, switches, has_changed

  num_done, switches, has_changed = loop_over_switches(
    lambda step, switches, has_changed: (
      (step < num_sweeps) & tf.reduce_any(has_changed)
    ),
    sweep,
    switches,
    tf.ones_like(labels, tf.bool),
  )
  _, objective = evaluate(switches)
  return SwitchAscent(switches, objective, num_done, ~has_changed)


def loop_over_switches(condition, body, switches, state):
  """Runs a loop over switches; a graph traces its body once.

  Args:
    condition: function of the step, the switches and the state to a boolean.
    body: function of the same, that returns the next of each.
    switches: list of the layers' switches, `[batch, ...]`.
    state: `Tensor` of shape `[batch]`.

  Returns:
    The last step, switches and state.
  """

  def any_batch(values):
    return tf.TensorShape([None]).concatenate(values.shape[1:])

  return tf.while_loop(
    condition,
    body,
    [tf.constant(0), list(switches), state],
    [
      tf.TensorShape([]),
      tf.nest.map_structure(any_batch, list(switches)),
      any_batch(state),
    ],
  )
