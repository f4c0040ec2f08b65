# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Speed of PixelCNN++ beside `tfp.distributions.PixelCNN`, in one run.

  python benchmarks/pixel_cnn.py

The same architecture: 28 x 28 x 1, 2 resolutions of 5 residual blocks, 32 filters, one
logistic, batches of 64. TFP computes larger windows of which masks leave what ours are; the
table counts the weights that are not masked. Each measurement is a process of its own; a
table of the ratios ends the run (about eight minutes on two cores). Random images: only the
time matters. With `--divide`, each side is also measured with batches divided between the
cores, and quoted at its best. Samples are drawn by our model row after row, and naively, with a pass over
whole images for every pixel; `sample_in_passes` is the time of a sample in passes of
`log_prob` over as many images, by turns.

TensorFlow decides by the processor whether convolutions are those of oneDNN;
`TF_ENABLE_ONEDNN_OPTS=1` before the command makes it so for both sides. bfloat16 is left
out unless `--bfloat16` is given: a processor without instructions for it takes minutes for a
step. alibi-detect's copy of TFP's, which is not divided, is left out unless `--alibi_python` is
given; see alibi_detect_pixel_cnn.py.
"""

import argparse
import json
import math
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import time

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')

_SHAPE = [28, 28, 1]
_BATCH_SIZE = 64
_NUM_BLOCKS = 5
_SIDES = ('tfp', 'ours', 'ours bfloat16')
_BETTER = {
  'first_gradient_seconds': min,
  'training_images_per_second': max,
  'log_prob_images_per_second': max,
}


def measure(side, repeats, num_parts):
  """Returns seconds to the first gradient, images/s, weights and memory."""
  import passes
  import peers
  import tensorflow as tf

  import tfp_ood

  if num_parts > 1:
    tfp_ood.training.divide_batches(num_parts)
  images = peers.random_images(_BATCH_SIZE, _SHAPE)
  seed = tf.constant([0, 0])
  # The clock includes building the model, not importing TensorFlow.
  start = time.perf_counter()
  model = peers.make_pixel_cnn(
    side.split()[0],
    _NUM_BLOCKS,
    'bfloat16' if 'bfloat16' in side else 'float32',
    num_components=1,
  )
  step, _ = peers.make_training_step(
    model, tfp_ood.training.adam(1e-3), num_parts=num_parts
  )
  step(images, seed)
  first_gradient = time.perf_counter() - start
  log_prob = peers.make_log_prob(model, num_parts=num_parts)
  results = {
    'first_gradient_seconds': first_gradient,
    'training_images_per_second': passes.images_per_second(
      lambda: step(images, seed), repeats, _BATCH_SIZE
    ),
    'log_prob_images_per_second': passes.images_per_second(
      lambda: log_prob(images), repeats, _BATCH_SIZE
    ),
    'num_weights': _num_weights(model.trainable_variables),
    'peak_gibibytes': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    / 2**20,
  }
  if side != 'tfp' and num_parts == 1:
    results |= _sampling(model.distribution, repeats)
  return results


def _num_weights(variables):
  """The number of weights that masks do not keep at zero."""
  import tensorflow as tf

  return sum(
    int(tf.math.count_nonzero(v.constraint(tf.ones_like(v))))
    if v.constraint
    else v.shape.num_elements()
    for v in variables
  )


def _sampling(model, repeats, number=16):
  """Images/s drawn row after row, and naively, and in passes of `log_prob`."""
  import passes

  seconds = passes.time_by_turns(
    {
      'log_prob': model.log_prob,
      'sample': lambda images: model.sample(number, seed=1),
    },
    [model.sample(number, seed=1)],
    repeats,
  )
  of_pass = statistics.median(seconds['log_prob'])
  of_sample = statistics.median(seconds['sample'])
  return {
    'sampled_images_per_second': number / of_sample,
    'naively_images_per_second': number / (of_pass * _SHAPE[0] * _SHAPE[1]),
    'sample_in_passes': of_sample / of_pass,
  }


def compare(sides, repeats, divide, alibi_python):
  """Measures all sides and prints the table."""
  results = {}
  for side in sides:
    results[side] = _measure_apart(side, repeats)
    if divide:
      # Parts of one size: the cores, or as many of them as divide the batch.
      num_parts = math.gcd(_BATCH_SIZE, len(os.sched_getaffinity(0)))
      divided = _measure_apart(side, repeats, num_parts)
      for key, better in _BETTER.items():
        results[side][key] = better(results[side][key], divided[key])
  if alibi_python:
    results['alibi-detect'] = _measure_alibi_detect(alibi_python, repeats)
  reference = results.pop('tfp')
  for side in results:
    for key, value in results[side].items():
      line = f'{key:30} {side:14} {value:10.2f}'
      if key in reference:
        line += (
          f'  tfp {reference[key]:10.2f}  ratio {value / reference[key]:.3f}'
        )
      print(line)


def _measure_apart(side, repeats, num_parts=1):
  """Measures a side in a process of its own."""
  return _run(
    sys.executable,
    __file__,
    f'--side={side}',
    f'--repeats={repeats}',
    f'--num_parts={num_parts}',
  )


def _measure_alibi_detect(python, repeats):
  """Measures alibi-detect's by the Python of its environment."""
  return _run(
    python,
    str(pathlib.Path(__file__).with_name('alibi_detect_pixel_cnn.py')),
    f'--batch_size={_BATCH_SIZE}',
    f'--num_blocks={_NUM_BLOCKS}',
    f'--repeats={repeats}',
  )


def _run(*command):
  """Runs a script, and returns the result in the last line that it prints."""
  print('measuring', *command[1:], flush=True)
  output = subprocess.run(
    command, check=True, stdout=subprocess.PIPE, text=True
  ).stdout
  result = json.loads(output.splitlines()[-1])
  print('  ', result, flush=True)
  return result


def main():
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--side', choices=_SIDES)
  parser.add_argument('--num_parts', type=int, default=1)
  parser.add_argument('--repeats', type=int, default=5)
  parser.add_argument('--bfloat16', action='store_true')
  parser.add_argument('--divide', action='store_true')
  parser.add_argument(
    '--alibi_python', help='Python of an environment with alibi-detect'
  )
  arguments = parser.parse_args()
  if arguments.side:
    found = measure(arguments.side, arguments.repeats, arguments.num_parts)
    print(json.dumps(found))
  else:
    sides = _SIDES if arguments.bfloat16 else _SIDES[:2]
    compare(sides, arguments.repeats, arguments.divide, arguments.alibi_python)


if __name__ == '__main__':
  main()
