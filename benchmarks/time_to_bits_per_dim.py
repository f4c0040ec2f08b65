# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""How fast models learn, beside the same of TFP.

  python benchmarks/time_to_bits_per_dim.py --side=tfp --data_dir=PATH
  python benchmarks/time_to_bits_per_dim.py --side=ours --data_dir=PATH \\
      --warmup_steps=100 --precision=bfloat16

Glow learns CIFAR-10, both sides with the same networks (3 levels x 8 steps, 128 hidden
channels). With `--model=pixel_cnn`, PixelCNN++ learns Fashion-MNIST, with as many
residual blocks a resolution as `--num_blocks` says (2 resolutions, 32 filters, 5
logistics). `--num_parts=2` divides batches between two cores. Adam, with a rate that falls to zero with the minutes if `--decay` is given.
Prints the bits per dimension of the test images at the minutes asked for; the
clock stops while testing. Start each side alone on the machine.
"""

import argparse
import functools
import math
import os
import time

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')

import numpy as np
import peers
import tensorflow as tf

import tfp_ood

_DATASETS = {'glow': 'cifar10', 'pixel_cnn': 'fashion_mnist'}
_EMA_MOMENTUM = 0.99


def test_bits_per_dim(model, batches):
  log_prob = tf.function(model.log_prob)
  values = np.concatenate([log_prob(images) for images in batches])
  size = math.prod(batches[0].shape[1:])
  bits = tfp_ood.stats.bits_per_dim(values, size)
  return float(np.mean(bits)), float(np.std(bits) / np.sqrt(len(bits)))


class MovingAverage:
  """The moving average of some weights, as Keras keeps it."""

  def __init__(self, variables):
    self._variables = list(variables)
    self._averages = [tf.Variable(variable) for variable in self._variables]

  @tf.function
  def update(self):
    for average, variable in zip(self._averages, self._variables, strict=True):
      average.assign_sub((1 - _EMA_MOMENTUM) * (average - variable))

  def swap(self):
    for average, variable in zip(self._averages, self._variables, strict=True):
      value = variable.numpy()
      variable.assign(average)
      average.assign(value)


def make_model(arguments):
  if arguments.model == 'glow':
    return peers.make_model(
      arguments.side, 8, 128, arguments.precision, recompute=False
    )
  return peers.make_pixel_cnn(
    arguments.side, arguments.num_blocks, arguments.precision
  )


def rate(arguments, elapsed, num_steps):
  """The learning rate after a share of the time and a number of steps."""
  value = arguments.learning_rate
  if arguments.decay:
    value *= (1 + math.cos(math.pi * min(elapsed, 1.0))) / 2
  return value * min(1.0, (num_steps + 1) / (arguments.warmup_steps + 1))


def main():
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--side', choices=['ours', 'tfp'], required=True)
  parser.add_argument('--model', choices=list(_DATASETS), default='glow')
  parser.add_argument('--data_dir')
  parser.add_argument('--precision', default='float32')
  parser.add_argument('--num_blocks', type=int, default=5)
  parser.add_argument('--batch_size', type=int, default=64)
  parser.add_argument('--num_parts', type=int, default=1)
  parser.add_argument('--minutes', default='4,10')
  parser.add_argument('--learning_rate', type=float, default=1e-3)
  parser.add_argument('--warmup_steps', type=int, default=0)
  parser.add_argument('--decay', action='store_true')
  parser.add_argument('--num_test', type=int, default=2000)
  parser.add_argument('--seed', type=int, default=0)
  arguments = parser.parse_args()
  if arguments.num_parts > 1:
    tfp_ood.training.divide_batches(arguments.num_parts)
  tf.random.set_seed(arguments.seed)
  load = functools.partial(
    tfp_ood.datasets.load,
    data_dir=arguments.data_dir,
    batch_size=arguments.batch_size,
  )
  name = _DATASETS[arguments.model]
  train = iter(
    load(f'{name}/train', shuffle=True, repeat=True, seed=arguments.seed)
  )
  test = [images for images, _ in load(f'{name}/test[:{arguments.num_test}]')]

  start = time.monotonic()
  model = make_model(arguments)
  model.initialize(tf.concat([next(train)[0] for _ in range(4)], axis=0))
  optimizer = tfp_ood.training.adam(
    arguments.learning_rate, global_clipnorm=1.0
  )
  step, _ = peers.make_training_step(
    model, optimizer, num_parts=arguments.num_parts
  )

  def train_step(elapsed, number):
    optimizer.learning_rate = rate(arguments, elapsed, number)
    seed = tf.constant([arguments.seed, number])
    return step(next(train)[0], seed)

  train_step(0.0, 0)
  average = MovingAverage(model.trainable_variables)
  average.update()
  print(f'ready in {time.monotonic() - start:.1f} s', flush=True)

  seconds = 0.0
  num_steps = 1
  all_minutes = [float(minutes) for minutes in arguments.minutes.split(',')]
  start = time.monotonic()
  for minutes in all_minutes:
    while seconds < minutes * 60:
      loss = train_step(seconds / (all_minutes[-1] * 60), num_steps)
      if not math.isfinite(loss):
        raise SystemExit(f'{arguments.side}: {float(loss)} at step {num_steps}')
      average.update()
      num_steps += 1
      seconds = time.monotonic() - start
    weights = test_bits_per_dim(model, test)
    average.swap()
    averaged = test_bits_per_dim(model, test)
    average.swap()
    print(
      f'{arguments.side} {minutes:g} minutes, {num_steps} steps: '
      f'{weights[0]:.3f} bits/dim, of the averaged weights {averaged[0]:.3f} '
      f'(+- {averaged[1]:.3f})',
      flush=True,
    )
    start = time.monotonic() - seconds


if __name__ == '__main__':
  main()
