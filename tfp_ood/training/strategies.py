# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The strategies of `tf.distribute` by name."""

import tensorflow as tf

__all__ = ['STRATEGIES', 'make_strategy']

STRATEGIES = ('default', 'mirrored', 'multi_worker')


def make_strategy(name):
  """Returns a distribution strategy.

  Args:
    name: `'default'` (one device), `'mirrored'` (all devices of this machine) or
      `'multi_worker'` (several machines, described by the environment variable
      `TF_CONFIG`).

  Returns:
    `tf.distribute.Strategy`; build the model inside its `scope()`.

  Raises:
    ValueError: if the name is unknown.

  #### Examples

  >>> import tfp_ood
  >>> tfp_ood.training.make_strategy('default').num_replicas_in_sync
  1
  """
  if name == 'default':
    return tf.distribute.get_strategy()
  if name == 'mirrored':
    # All devices that TensorFlow was told to use; the strategy by itself would
    # take a single CPU out of several logical ones.
    devices = tf.config.list_logical_devices('GPU') or (
      tf.config.list_logical_devices('CPU')
    )
    return tf.distribute.MirroredStrategy([device.name for device in devices])
  if name == 'multi_worker':
    return tf.distribute.MultiWorkerMirroredStrategy()
  raise ValueError(
    f'Unknown strategy {name!r}; the strategies are {", ".join(STRATEGIES)}.'
  )
