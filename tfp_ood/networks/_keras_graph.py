# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reading the graph of a Keras classifier, layer by layer.

Both Keras 2 (`tf_keras`) and Keras 3 models are read. Every layer becomes affine
maps, rectifiers and max pools; a layer that is something else is refused by name.
"""

import collections

from tfp_ood.networks import _keras_nodes
from tfp_ood.networks._affine_map import AffineMap
from tfp_ood.networks._keras_layers import Softmax, operations_of

__all__ = ['Step', 'read_keras_graph']

# An operation in the graph: `inputs` and `output` are hashable names of values.
Step = collections.namedtuple('Step', ['operation', 'inputs', 'output'])


def read_keras_graph(model):
  """Lists what a Keras model computes, in an order in which it can be computed.

  A softmax at the very end is left out: the outputs are logits.

  Args:
    model: built `tf_keras` or Keras 3 model, Sequential or functional, with one
      input and one output.

  Returns:
    steps: list of `Step`.
    input_name: the name of the input's value.
    output_name: the name of the output's value.

  Raises:
    ValueError: if the model is not built, has several inputs or outputs, or a
      layer is not piecewise linear.
  """
  steps, input_name, output = _read(model)
  last = steps[-1] if steps else None
  if last and last.output == output and isinstance(last.operation, Softmax):
    steps.pop()
    output = last.inputs[0]
  for step in steps:
    if isinstance(step.operation, Softmax):
      raise ValueError(
        f'The layer {step.operation.name} applies a softmax inside the network: '
        'it is not piecewise linear.'
      )
  return steps, input_name, output


def _read(model, training=None):
  """Reads a model whole, including a softmax at its end.

  Args:
    model: Keras model.
    training: the argument with which the model is called inside another one;
      calls of layers without their own take it.
  """
  inputs, outputs = _keras_nodes.graph_of(model)
  if len(inputs) != 1 or len(outputs) != 1:
    raise ValueError(
      f'The Keras model {model.name} must have one input and one output, it has '
      f'{len(inputs)} and {len(outputs)}.'
    )
  steps = []
  for node in _keras_nodes.nodes_of(model):
    if node.training is None:
      node = node._replace(training=training)
    steps += _steps_of_node(node)
  return steps, inputs[0], outputs[0]


def _steps_of_node(node):
  if _keras_nodes.has_graph(node.layer):
    return _steps_of_nested(node)
  inputs, output = node.inputs, node.outputs[0]
  operations = operations_of(node)
  if not operations:
    operations = [AffineMap(node.layer.name, lambda x: x[0], lambda x: x[0])]
  steps = []
  for number, operation in enumerate(operations):
    is_last = number == len(operations) - 1
    name = output if is_last else (output, number)
    steps.append(Step(operation, inputs, name))
    inputs = [name]
  return steps


def _steps_of_nested(node):
  """Reads a model that is a layer of another, and makes its names unique."""
  steps, inner_input, inner_output = _read(node.layer, node.training)
  prefix = output = node.outputs[0]

  def rename(name):
    if name == inner_input:
      return node.inputs[0]
    return output if name == inner_output else (prefix, name)

  return [
    Step(step.operation, [rename(n) for n in step.inputs], rename(step.output))
    for step in steps
  ]
