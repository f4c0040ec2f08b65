# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Timing of functions of images, alone or several by turns."""

import statistics
import time

import tensorflow as tf

__all__ = ['images_per_second', 'print_table', 'time_by_turns']


def images_per_second(function, repeats, batch_size):
  """Returns the images/s of the fastest of some calls.

  What else a machine does can only make a call slower.
  """
  function()
  seconds = []
  for _ in range(repeats):
    start = time.perf_counter()
    function()
    seconds.append(time.perf_counter() - start)
  return batch_size / min(seconds)


def time_by_turns(functions, batches, repeats):
  """Times passes over images, one of each kind after the other.

  Args:
    functions: `dict` of functions of a batch of images, by kind; the first is
      what the others are compared with.
    batches: list of batches of images.
    repeats: Python `int`, passes of each kind.

  Returns:
    `dict` from kind to the seconds of each pass.
  """
  compiled = {
    kind: tf.function(function, reduce_retracing=True)
    for kind, function in functions.items()
  }
  seconds = {kind: [] for kind in functions}
  for repeat in range(repeats + 1):
    for kind, function in compiled.items():
      start = time.perf_counter()
      for images in batches:
        tf.nest.map_structure(lambda value: value.numpy(), function(images))
      # The first pass traces.
      if repeat:
        seconds[kind].append(time.perf_counter() - start)
  return seconds


def print_table(seconds, num_images):
  """Prints the median of each kind beside that of the first."""
  first = next(iter(seconds))
  baseline = statistics.median(seconds[first])
  print(f'{"":36}{"s":>9}{"images/s":>11}   times {first}')
  for kind, values in seconds.items():
    median = statistics.median(values)
    print(
      f'{kind:36}{median:>9.2f}{num_images / median:>11.1f}'
      f'{median / baseline:>9.2f}'
    )
