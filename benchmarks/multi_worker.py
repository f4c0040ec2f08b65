# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Images/s of training the small Glow with one worker and with two.

  python benchmarks/multi_worker.py

Workers are processes of this machine, each tied to cores of its own, that meet on
localhost; so one worker with two cores is what two workers with one core each are
to be compared with. All share batches of the same size. Images/s are of the median
step after the first ones, and of the best round. Beside them is the time of
processors, of all workers, for an image: what else the machine does changes it
less. Linux only, for the cores.
"""

import itertools
import json
import os
import socket
import statistics
import subprocess
import sys
import time

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')

from absl import app, flags

_BATCH_SIZE = flags.DEFINE_integer('batch_size', 64, 'Images of a step.')
_NUM_STEPS = flags.DEFINE_integer(
  'num_steps', 8, 'Steps of each scale of Glow.'
)
_HIDDEN_CHANNELS = flags.DEFINE_integer('hidden_channels', 128, 'Width.')
_STEPS = flags.DEFINE_integer('steps', 10, 'Steps that are timed.')
_ROUNDS = flags.DEFINE_integer('rounds', 1, 'Times that each is measured.')
_CORES = flags.DEFINE_list(
  'cores', None, 'For the processes that this one starts: cores of a worker.'
)
_WARMUP_STEPS = 3
# The cores of each worker.
_KINDS = {
  '1 worker, 1 core': [[0]],
  '1 worker, 2 cores': [[0, 1]],
  '2 workers, 1 core each': [[0], [1]],
}


def train(cores):
  """Trains as one worker.

  Returns:
    Images/s of all workers, and this one's seconds of processors for an image.
  """
  os.sched_setaffinity(0, cores)
  import tensorflow as tf
  import tf_keras

  import tfp_ood

  tf.config.threading.set_intra_op_parallelism_threads(len(cores))
  strategy = tfp_ood.training.make_strategy('multi_worker')
  with strategy.scope():
    flow = tfp_ood.distributions.glow(
      [32, 32, 3],
      num_steps=_NUM_STEPS.value,
      hidden_channels=_HIDDEN_CHANNELS.value,
      seed=0,
    )
    model = tfp_ood.training.DistributionModel(flow)
    model.compile(tfp_ood.training.adam(1e-3, warmup_steps=100))
  images = tfp_ood.datasets.load(
    'sample_photographs/train',
    batch_size=_BATCH_SIZE.value,
    shuffle=True,
    repeat=True,
  )
  times = []
  tfp_ood.training.train_or_restore(
    model,
    None,
    {},
    images.take(_WARMUP_STEPS + _STEPS.value),
    epochs=1,
    callbacks=[
      tf_keras.callbacks.LambdaCallback(
        on_batch_end=lambda batch, logs: times.append(
          (time.perf_counter(), time.process_time())
        )
      )
    ],
  )
  wall, processors = zip(*times[_WARMUP_STEPS - 1 :], strict=True)
  seconds = [end - start for start, end in itertools.pairwise(wall)]
  num_images = _STEPS.value * _BATCH_SIZE.value
  return (
    _BATCH_SIZE.value / statistics.median(seconds),
    (processors[-1] - processors[0]) / num_images,
  )


def measure(cores_of_workers):
  """Starts workers; returns images/s, and the seconds of all for an image."""
  sockets = [socket.socket() for _ in cores_of_workers]
  for one in sockets:
    one.bind(('localhost', 0))
  addresses = [f'localhost:{one.getsockname()[1]}' for one in sockets]
  for one in sockets:
    one.close()
  workers = []
  for index, cores in enumerate(cores_of_workers):
    task = {'type': 'worker', 'index': index}
    config = {'cluster': {'worker': addresses}, 'task': task}
    cores = ','.join(map(str, cores))
    workers.append(
      subprocess.Popen(
        [sys.executable, *sys.argv, f'--cores={cores}'],
        env={**os.environ, 'TF_CONFIG': json.dumps(config)},
        stdout=subprocess.PIPE,
        text=True,
      )
    )
  outputs = [worker.communicate()[0] for worker in workers]
  if any(worker.returncode for worker in workers):
    raise RuntimeError('A worker has failed; see above.')
  found = [map(float, text.splitlines()[-1].split()) for text in outputs]
  rates, seconds = zip(*found, strict=True)
  return rates[0], sum(seconds)


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'Unknown arguments: {argv[1:]}.')
  if _CORES.value is not None:
    print(*train([int(core) for core in _CORES.value]))
    return
  found = {kind: [] for kind in _KINDS}
  for _ in range(_ROUNDS.value):
    for kind, cores in _KINDS.items():
      found[kind].append(measure(cores))
      rate, seconds = found[kind][-1]
      print(f'{kind}: {rate:.1f} images/s, {1e3 * seconds:.1f} ms', flush=True)
  print('\n| | images/s | processors, ms an image |\n|---|---|---|')
  for kind, rounds in found.items():
    rate = max(rate for rate, _ in rounds)
    seconds = min(seconds for _, seconds in rounds)
    print(f'| {kind} | {rate:.1f} | {1e3 * seconds:.1f} |')


if __name__ == '__main__':
  app.run(main)
