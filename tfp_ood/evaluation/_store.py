# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Statistics of data sets, computed once and kept in a folder."""

import hashlib
import os
import re
import time

import numpy as np

from tfp_ood._arrays import read_arrays, write_arrays
from tfp_ood._batches import images_of
from tfp_ood._one_trace import OneTrace

__all__ = ['StatisticsStore']

_MADE_BY = 'made_by/'
_SECONDS_BETWEEN_LINES = 10.0


class StatisticsStore:
  """Computes statistics of data sets, but for those that its files have already.

  A file is trusted as long as the weights of the models behind a statistic, and the
  examples, are those that it was computed from. Nothing tells whether a user's
  function is still the same: its statistic is computed anew each time.
  """

  def __init__(self, statistics, folder=None, limits=None, verbose=True):
    """Instantiates the store.

    Args:
      statistics: `tfp_ood.stats.Statistics`.
      folder: where to keep the files; `None` for nowhere.
      limits: `dict` from names of statistics to how many examples of a data set to
        compute them for at most.
      verbose: whether to print a line of progress now and then.
    """
    self._statistics = statistics
    self._folder = folder
    self._limits = limits or {}
    self._verbose = verbose
    self._functions = {}
    self._of_models = {}

  def compute(self, dataset_name, dataset, names):
    """Returns statistics of a data set.

    Args:
      dataset_name: `str`.
      dataset: `tf.data.Dataset` of batches of examples.
      names: names of statistics.

    Returns:
      `dict` from each name to an array, its first axis the examples.
    """
    if self._folder is None:
      return self._compute(dataset_name, dataset, names)
    count, digest = _count_and_digest(dataset, dataset_name)
    made_by = {name: self._fingerprint(name, digest) for name in names}
    path = self._path(dataset_name)
    known = {}
    if os.path.exists(path):
      known = self._known(read_arrays(path), made_by, count)
    missing = [name for name in names if name not in known]
    if missing:
      known |= self._compute(dataset_name, dataset, missing)
      self._keep(path, known, made_by)
    return {name: known[name] for name in names}

  def _path(self, dataset_name):
    file_name = re.sub(r'[^\w.-]+', '_', dataset_name)
    return os.path.join(self._folder, f'{file_name}.npz')

  def _known(self, arrays, made_by, count):
    return {
      name: arrays[name]
      for name, mark in made_by.items()
      if mark is not None
      and str(arrays.get(_MADE_BY + name)) == mark
      and len(arrays[name]) == min(count, self._limits.get(name) or count)
    }

  def _keep(self, path, known, made_by):
    kept = {name: v for name, v in known.items() if made_by[name] is not None}
    if kept:
      marks = {_MADE_BY + name: np.array(made_by[name]) for name in kept}
      write_arrays(path, kept | marks)

  def _fingerprint(self, name, digest):
    """Returns what tells a statistic of these examples from others, or `None`."""
    models = self._statistics.models_of(name)
    if models is None:
      return None
    marks = [self._mark_of_model(model) for model in models]
    return None if None in marks else ':'.join([digest, *marks])

  def _mark_of_model(self, model):
    if id(model) not in self._of_models:
      self._of_models[id(model)] = _digest_of_model(model)
    return self._of_models[id(model)]

  def _compute(self, dataset_name, dataset, names):
    """Computes statistics in one pass, of each as many examples as it may have."""
    by_limit = {}
    for name in names:
      by_limit.setdefault(self._limits.get(name), []).append(name)
    start = last_line = time.monotonic()
    parts, count = {name: [] for name in names}, 0
    for batch in dataset:
      x = images_of(batch)
      for limit, some in by_limit.items():
        allowed = x if limit is None else x[: max(limit - count, 0)]
        if len(allowed):
          values = self._function(tuple(some))(allowed)
          for name in some:
            parts[name].append(values[name])
      count += len(x)
      if by_limit and None not in by_limit and count >= max(by_limit):
        break
      if time.monotonic() - last_line >= _SECONDS_BETWEEN_LINES:
        last_line = time.monotonic()
        self._print(f'scoring {dataset_name}: {count} examples')
    _check_not_empty(dataset_name, count)
    seconds = time.monotonic() - start
    self._print(f'scored {count} examples of {dataset_name} in {seconds:.0f} s')
    return {name: np.concatenate(values) for name, values in parts.items()}

  def _function(self, names):
    """Returns the function of examples that computes some statistics."""
    if names not in self._functions:
      self._functions[names] = OneTrace(lambda x: self._statistics(x, names))
    return self._functions[names]

  def _print(self, line):
    if self._verbose:
      print(line, flush=True)


def _count_and_digest(dataset, name):
  count, digest = 0, hashlib.sha256()
  for batch in dataset:
    x = images_of(batch)
    count += len(x)
    digest.update(np.ascontiguousarray(x).tobytes())
  _check_not_empty(name, count)
  return count, digest.hexdigest()


def _check_not_empty(name, count):
  if not count:
    raise ValueError(f'The data set {name!r} has no examples.')


def _digest_of_model(model):
  """Returns a digest of a model's weights and settings, `None` without weights."""
  variables = list(getattr(model, 'variables', ()))
  if not variables:
    return None
  settings = {
    key: value
    for key, value in getattr(model, 'parameters', {}).items()
    if isinstance(value, bool | int | float | str)
  }
  digest = hashlib.sha256(f'{type(model).__name__}{settings}'.encode())
  for variable in variables:
    digest.update(np.ascontiguousarray(variable).tobytes())
  return digest.hexdigest()
