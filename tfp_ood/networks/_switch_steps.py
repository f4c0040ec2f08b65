# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Gathering the rectifiers and max pools of a graph into layers of switches."""

import collections

from tfp_ood.networks._keras_graph import Step
from tfp_ood.networks.switch_layer import MaxPool, Rectifier, SwitchLayer

__all__ = ['with_switch_layers']


def with_switch_layers(steps):
  """Makes layers of rectifiers and max pools.

  A rectifier and a max pool that follow each other, with nothing else in
  between, are one layer: both are monotone, so their order does not matter.

  Args:
    steps: list of `Step`.

  Returns:
    The steps with `SwitchLayer`s for operations, and the list of these.
  """
  num_consumers = collections.Counter(n for step in steps for n in step.inputs)
  follower = {step.inputs[0]: step for step in steps if len(step.inputs) == 1}
  result, layers, taken_in = [], [], set()
  for step in steps:
    if not isinstance(step.operation, Rectifier | MaxPool):
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
    result.append(Step(layers[-1], step.inputs, output))
  return result, layers


def _are_one_layer(first, second):
  return {type(first), type(second)} == {Rectifier, MaxPool}
