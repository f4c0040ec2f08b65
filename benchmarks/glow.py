# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Speed and memory of Glow beside `tfp.bijectors.Glow`, in one run.

  python benchmarks/glow.py

Each measurement is a process of its own, ours and TFP's in turn; a table of the
ratios ends the run (about ten minutes on two cores). Random images: only the
time matters. XLA on or off is a setting, and so is whether TensorFlow divides operations
among the cores or we divide batches; each side is quoted at its best.

The limit is what the convolutions of the couplings' networks take alone, in the same
precision and run: the table has our speed as a share of theirs.
"""

import argparse
import functools
import json
import math
import os
import resource
import subprocess
import sys
import time

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')

_BATCH_SIZE = 16
_NUM_STEPS = 32
_HIDDEN_CHANNELS = 128
_SHAPE = [32, 32, 3]


def measure_speed(arguments):
  """Seconds to the first gradient, images/s of training and of log_prob."""
  import passes
  import peers
  import tensorflow as tf

  import tfp_ood

  if arguments.num_parts > 1:
    tfp_ood.training.divide_batches(arguments.num_parts)
  images = peers.random_images(arguments.batch_size, _SHAPE)
  # The clock includes building the model, not importing TensorFlow.
  start = time.perf_counter()
  model = _make_model(peers, arguments, arguments.num_steps, _HIDDEN_CHANNELS)
  model.initialize(images)
  initialized = time.perf_counter()
  step, gradients = peers.make_training_step(
    model,
    tfp_ood.training.adam(1e-3),
    jit_compile=arguments.xla,
    num_parts=arguments.num_parts,
  )
  gradients(images, tf.constant([0, 0]))
  first_gradient = time.perf_counter()
  train = passes.images_per_second(
    lambda: step(images, tf.constant([0, 0])),
    arguments.repeats,
    arguments.batch_size,
  )
  log_prob_fn = peers.make_log_prob(
    model, jit_compile=arguments.xla, num_parts=arguments.num_parts
  )
  log_prob = passes.images_per_second(
    lambda: log_prob_fn(images),
    4 * arguments.repeats,
    arguments.batch_size,
  )
  return {
    'initialization_seconds': initialized - start,
    'first_gradient_seconds': first_gradient - start,
    'training_images_per_second': train,
    'log_prob_images_per_second': log_prob,
  }


def measure_memory(arguments):
  """Peak memory of one training step, and what of it is not parameters."""
  import peers
  import tensorflow as tf

  import tfp_ood

  images = peers.random_images(64, _SHAPE)
  model = _make_model(peers, arguments, arguments.num_steps, 512)
  model.initialize(images[:2])
  step, gradients = peers.make_training_step(model, tfp_ood.training.adam(1e-3))
  parameter_bytes = sum(
    variable.dtype.size * variable.shape.num_elements()
    for variable in model.trainable_variables
  )
  before = _peak_bytes()
  gradients(images, tf.constant([0, 0]))
  gradient_peak = _peak_bytes()
  step(images, tf.constant([0, 1]))
  return {
    'before_bytes': before,
    'gradient_peak_bytes': gradient_peak,
    'peak_bytes': _peak_bytes(),
    'parameter_bytes': parameter_bytes,
  }


def _make_model(peers, arguments, num_steps, hidden_channels):
  return peers.make_model(
    arguments.side,
    num_steps,
    hidden_channels,
    arguments.precision,
    arguments.recompute,
  )


def _peak_bytes():
  return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def run(what, side, timeout=None, **settings):
  """Runs one measurement in a process of its own.

  Returns:
    Its numbers, or `None` if it failed or took longer than `timeout` seconds.
  """
  command = [sys.executable, __file__, f'--measure={what}', f'--side={side}']
  command += [
    f'--{key}' if value is True else f'--{key}={value}'
    for key, value in settings.items()
    if value is not False
  ]
  print('measuring', ' '.join(command[2:]), flush=True)
  try:
    output = subprocess.run(
      command, check=True, stdout=subprocess.PIPE, text=True, timeout=timeout
    ).stdout
  except subprocess.TimeoutExpired:
    print(f'   stopped after {timeout} s', flush=True)
    return None
  except subprocess.CalledProcessError as error:
    print(f'   failed: {error}', flush=True)
    return None
  result = json.loads(output.splitlines()[-1])
  print('  ', result, flush=True)
  return result


def compare_speed(xla_timeout, **settings):
  """Prints the table of speed, each side at its best setting."""
  measure = functools.partial(run, 'speed', **settings)
  low = {'precision': 'bfloat16'}
  # Parts of one size: the cores, or as many of them as divide the batch.
  num_parts = math.gcd(settings['batch_size'], len(os.sched_getaffinity(0)))
  divided = {'num_parts': num_parts}
  results = {
    'tfp': [
      measure('tfp'),
      # To compile 96 networks takes XLA minutes before the first step.
      measure('tfp', xla=True, timeout=xla_timeout),
      measure('tfp', **divided),
    ],
    'ours': [
      measure('ours', recompute=True),
      measure('ours'),
      measure('ours', **divided),
    ],
    'ours bfloat16': [
      measure('ours', recompute=True, **low),
      measure('ours', **low),
      measure('ours', **low, **divided),
    ],
  }
  limits = {
    'ours': [measure('convolutions'), measure('convolutions', **divided)],
    'ours bfloat16': [
      measure('convolutions', **low),
      measure('convolutions', **low, **divided),
    ],
  }

  def best(found, key, better):
    return better(result[key] for result in found if result is not None)

  for key, better in (
    ('first_gradient_seconds', min),
    ('training_images_per_second', max),
    ('log_prob_images_per_second', max),
  ):
    reference = best(results['tfp'], key, better)
    for side in ('ours', 'ours bfloat16'):
      value = best(results[side], key, better)
      line = (
        f'{key:30} {side:14} {value:8.2f}  tfp {reference:8.2f}  '
        f'ratio {value / reference:.3f}'
      )
      if better is max:
        limit = best(limits[side], key, max)
        line += f'  of the limit {value / limit:.3f}'
      print(line)


def compare_memory():
  """Prints the table of memory."""
  tfp = run('memory', 'tfp', num_steps=32)
  deep = run('memory', 'ours', num_steps=32, recompute=True)
  shallow = run('memory', 'ours', num_steps=8, recompute=True)
  stored = run('memory', 'ours', num_steps=32)
  print(f'peak, tfp      {tfp["peak_bytes"] / 2**30:.2f} GiB')
  print(f'peak, ours     {deep["peak_bytes"] / 2**30:.2f} GiB')
  print(f'peak, stored   {stored["peak_bytes"] / 2**30:.2f} GiB')
  print(f'ratio ours/tfp {deep["peak_bytes"] / tfp["peak_bytes"]:.3f}')
  # What the process held before, and the gradients, are not the working memory.
  above = [
    result['gradient_peak_bytes']
    - result['before_bytes']
    - result['parameter_bytes']
    for result in (deep, shallow)
  ]
  print(
    f'above parameters and gradients: {above[0] / 2**30:.3f} GiB at 32 steps, '
    f'{above[1] / 2**30:.3f} GiB at 8, ratio {above[0] / above[1]:.3f}'
  )


def main():
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--measure', choices=['speed', 'memory'])
  parser.add_argument('--side', choices=['ours', 'tfp', 'convolutions'])
  parser.add_argument('--xla', action='store_true')
  parser.add_argument('--recompute', action='store_true')
  parser.add_argument('--num_parts', type=int, default=1)
  parser.add_argument('--precision', default='float32')
  parser.add_argument('--num_steps', type=int, default=_NUM_STEPS)
  parser.add_argument('--batch_size', type=int, default=_BATCH_SIZE)
  parser.add_argument('--repeats', type=int, default=10)
  parser.add_argument('--xla_timeout', type=float, default=300.0)
  parser.add_argument('--only', choices=['speed', 'memory'])
  arguments = parser.parse_args()
  if arguments.measure:
    measure = {'speed': measure_speed, 'memory': measure_memory}
    print(json.dumps(measure[arguments.measure](arguments)))
    return
  if arguments.only != 'memory':
    compare_speed(
      arguments.xla_timeout,
      repeats=arguments.repeats,
      num_steps=arguments.num_steps,
      batch_size=arguments.batch_size,
    )
  if arguments.only != 'speed':
    compare_memory()


if __name__ == '__main__':
  main()
