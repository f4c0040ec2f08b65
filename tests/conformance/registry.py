# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""What the conformance registries share.

A registry is a plain `dict` from a name to an entry with a `make(seed)` that
builds one object; it lives in a module of its own, such as
`bijector_registry.py`, beside the test file that puts every entry through the
same checks. `uncovered` keeps it complete.
"""

import inspect

import tensorflow as tf

__all__ = ['normal', 'perturb', 'uncovered']


def uncovered(package, base, registry, excluded):
  """Lists the public classes of a package that no entry of a registry makes.

  Args:
    package: module with `__all__`.
    base: class; the subclasses of it in `package.__all__` are to be covered.
    registry: `dict` of entries with `make(seed)`.
    excluded: `dict` from a class name to the reason why nobody can make one.

  Returns:
    Sorted list of names.
  """
  public = {
    name
    for name in package.__all__
    if inspect.isclass(getattr(package, name))
    and issubclass(getattr(package, name), base)
  }
  covered = {type(entry.make(1)).__name__ for entry in registry.values()}
  return sorted(public - covered - set(excluded))


def normal(shape, seed):
  """Returns seeded standard normal noise in float64."""
  return tf.random.stateless_normal(
    shape, [seed, 2026], dtype=tf.float64, alg='philox'
  )


def perturb(module, seed, scale=0.2):
  """Moves every trainable variable, so that nothing is at its start."""
  for index, variable in enumerate(module.trainable_variables):
    noise = scale * normal(variable.shape, 1000 * (seed + 1) + index)
    variable.assign_add(tf.cast(noise, variable.dtype))
  return module
