# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Where the time of a model goes, by kinds of TensorFlow's operations.

  python benchmarks/operation_shares.py
  python benchmarks/operation_shares.py --precision=float32 --num_parts=1
  python benchmarks/operation_shares.py --model=pixel_cnn

Shares of the time of all operations, on all cores, in training steps and in `log_prob`
of the small Glow (3 levels x 8 steps, 128 hidden channels) or the PixelCNN++ of
pixel_cnn.py, in batches of 64, as TensorFlow's profiler has them. Random images: only the time matters.
"""

import argparse
import collections
import glob
import os
import tempfile

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')

import peers
import tensorflow as tf
from tensorflow.tsl.profiler.protobuf import xplane_pb2

import tfp_ood

_BATCH_SIZE = 64
_REPEATS = 4
# Operations whose time is that of others, which they start.
_CALLS = ('Call', 'While', 'Run', 'Process', '__inference')


def shares(function):
  """Returns the shares of kinds of operations in some calls of a function."""
  function()
  with tempfile.TemporaryDirectory() as folder:
    with tf.profiler.experimental.Profile(folder):
      for _ in range(_REPEATS):
        function()
    (path,) = glob.glob(f'{folder}/plugins/profile/*/*.xplane.pb')
    with open(path, 'rb') as file:
      space = xplane_pb2.XSpace.FromString(file.read())
  times = collections.Counter()
  for plane in space.planes:
    for event in (e for line in plane.lines for e in line.events):
      # Such as "gradients/Conv2D_1:Conv2D".
      name = plane.event_metadata[event.metadata_id].name.split('#')[0]
      kind = name.rpartition(':')[2]
      if ':' in name and not any(call in kind for call in _CALLS):
        times[kind] += event.duration_ps
  return {kind: time / times.total() for kind, time in times.most_common()}


def main():
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--model', choices=['glow', 'pixel_cnn'], default='glow')
  parser.add_argument('--precision', default='bfloat16')
  parser.add_argument('--num_parts', type=int, default=2)
  arguments = parser.parse_args()
  if arguments.num_parts > 1:
    tfp_ood.training.divide_batches(arguments.num_parts)
  if arguments.model == 'glow':
    shape = [32, 32, 3]
    model = peers.make_model(
      'ours', 8, 128, arguments.precision, recompute=False
    )
  else:
    shape = [28, 28, 1]
    model = peers.make_pixel_cnn('ours', 5, arguments.precision, 1)
  images = peers.random_images(_BATCH_SIZE, shape)
  model.initialize(images)
  step, _ = peers.make_training_step(
    model, tfp_ood.training.adam(1e-3), num_parts=arguments.num_parts
  )
  log_prob = peers.make_log_prob(model, num_parts=arguments.num_parts)
  for title, function in (
    ('training', lambda: step(images, tf.constant([0, 0]))),
    ('log_prob', lambda: log_prob(images)),
  ):
    found = shares(function)
    convolutions = sum(v for kind, v in found.items() if 'Conv2D' in kind)
    print(f'{title}: convolutions {convolutions:.3f}')
    for kind, share in found.items():
      if share >= 0.005:
        print(f'  {kind:32} {share:.3f}')


if __name__ == '__main__':
  main()
