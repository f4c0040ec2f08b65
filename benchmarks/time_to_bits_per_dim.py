# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""How fast Glow learns CIFAR-10, beside `tfp.bijectors.Glow`.

  python benchmarks/time_to_bits_per_dim.py --side=tfp --data_dir=PATH
  python benchmarks/time_to_bits_per_dim.py --side=ours --data_dir=PATH \\
      --warmup_steps=100 --precision=bfloat16

The same networks (3 levels x 8 steps, 128 hidden channels), batch 64 and Adam.
Prints the bits per dimension of the test images at the minutes asked for; the
clock stops while testing. Start each side alone on the machine.
"""

import argparse
import functools
import os
import time

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')

import numpy as np
import peers
import tensorflow as tf

import tfp_ood

_BATCH_SIZE = 64
_EMA_MOMENTUM = 0.99


def test_bits_per_dim(model, batches):
  log_prob = tf.function(model.log_prob)
  values = np.concatenate([log_prob(images) for images in batches])
  bits = tfp_ood.stats.bits_per_dim(values, 3072)
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


def main():
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--side', choices=['ours', 'tfp'], required=True)
  parser.add_argument('--data_dir')
  parser.add_argument('--precision', default='float32')
  parser.add_argument('--minutes', default='4,10')
  parser.add_argument('--warmup_steps', type=int, default=0)
  parser.add_argument('--num_test', type=int, default=2000)
  arguments = parser.parse_args()
  tf.random.set_seed(0)
  load = functools.partial(
    tfp_ood.datasets.load,
    data_dir=arguments.data_dir,
    batch_size=_BATCH_SIZE,
  )
  train = iter(load('cifar10/train', shuffle=True, repeat=True))
  test = [images for images, _ in load(f'cifar10/test[:{arguments.num_test}]')]

  start = time.monotonic()
  model = peers.make_model(
    arguments.side, 8, 128, arguments.precision, recompute=False
  )
  model.initialize(tf.concat([next(train)[0] for _ in range(4)], axis=0))
  optimizer = tfp_ood.training.adam(
    1e-3, warmup_steps=arguments.warmup_steps, global_clipnorm=1.0
  )
  step, _ = peers.make_training_step(model, optimizer)
  step(next(train)[0], tf.constant([0, 0]))
  average = MovingAverage(model.trainable_variables)
  average.update()
  print(f'ready in {time.monotonic() - start:.1f} s', flush=True)

  seconds = 0.0
  num_steps = 1
  start = time.monotonic()
  for minutes in map(float, arguments.minutes.split(',')):
    while seconds < minutes * 60:
      step(next(train)[0], tf.constant([0, num_steps]))
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
