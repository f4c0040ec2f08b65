# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Speed of PixelCNN++ beside `tfp.distributions.PixelCNN`, in one run.

  python benchmarks/pixel_cnn.py

The same architecture: 28 x 28 x 1, 2 resolutions of 5 residual blocks, 32 filters, one
logistic, batches of 64. TFP computes larger windows of which masks leave what ours are; the
table counts the weights that are not masked. Each measurement is a process of its own; a
table of the ratios ends the run (about eight minutes on two cores). Random images: only the
time matters. Samples are drawn by our model row after row, and naively, with a pass over
whole images for every pixel; `sample_in_passes` is the time of a sample in passes of
`log_prob` over as many images, by turns.

TensorFlow decides by the processor whether convolutions are those of oneDNN;
`TF_ENABLE_ONEDNN_OPTS=1` before the command makes it so for both sides. bfloat16 is left
out unless `--bfloat16` is given: a processor without instructions for it takes minutes for a
step.
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')

_SHAPE = [28, 28, 1]
_BATCH_SIZE = 64
_SIDES = ('tfp', 'ours', 'ours bfloat16')


def measure(side, repeats):
  """Returns seconds to the first gradient, images/s, weights and memory."""
  import tensorflow as tf
  import tf_keras

  images = tf.random.stateless_uniform(
    [_BATCH_SIZE, *_SHAPE], [1, 2], maxval=256, dtype=tf.int32
  )
  images = tf.cast(images, tf.float32)
  # The clock includes building the model, not importing TensorFlow.
  start = time.perf_counter()
  model = _make_model(side)
  variables = list(model.trainable_variables)
  optimizer = tf_keras.optimizers.Adam(1e-3)
  optimizer.build(variables)

  @tf.function
  def step():
    with tf.GradientTape() as tape:
      loss = -tf.reduce_mean(model.log_prob(images))
    gradients = tape.gradient(loss, variables)
    optimizer.apply_gradients(zip(gradients, variables, strict=True))
    return loss

  step()
  first_gradient = time.perf_counter() - start
  results = {
    'first_gradient_seconds': first_gradient,
    'training_images_per_second': _images_per_second(step, repeats),
    'log_prob_images_per_second': _images_per_second(
      tf.function(lambda: model.log_prob(images)), repeats
    ),
    'num_weights': _num_weights(variables),
    'peak_gibibytes': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    / 2**20,
  }
  if side != 'tfp':
    results |= _sampling(model, repeats)
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


def _make_model(side):
  if side == 'tfp':
    import tensorflow_probability as tfp

    return tfp.distributions.PixelCNN(
      _SHAPE,
      num_resnet=5,
      num_hierarchies=2,
      num_filters=32,
      num_logistic_mix=1,
      dropout_p=0.0,
    )
  import tfp_ood

  return tfp_ood.distributions.pixel_cnn(
    _SHAPE,
    num_blocks=5,
    num_levels=2,
    num_filters=32,
    num_components=1,
    seed=0,
    compute_dtype='bfloat16' if 'bfloat16' in side else 'float32',
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


def _images_per_second(function, repeats, number=_BATCH_SIZE):
  function()
  start = time.perf_counter()
  for _ in range(repeats):
    function()
  return repeats * number / (time.perf_counter() - start)


def compare(sides, repeats):
  """Measures all sides and prints the table."""
  results = {}
  for side in sides:
    command = [sys.executable, __file__, f'--side={side}']
    print('measuring', side, flush=True)
    output = subprocess.run(
      [*command, f'--repeats={repeats}'],
      check=True,
      stdout=subprocess.PIPE,
      text=True,
    ).stdout
    results[side] = json.loads(output.splitlines()[-1])
    print('  ', results[side], flush=True)
  theirs = results['tfp']
  for side in sides[1:]:
    for key, value in results[side].items():
      line = f'{key:30} {side:14} {value:10.2f}'
      if key in theirs:
        line += f'  tfp {theirs[key]:10.2f}  ratio {value / theirs[key]:.3f}'
      print(line)


def main():
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--side', choices=_SIDES)
  parser.add_argument('--repeats', type=int, default=5)
  parser.add_argument('--bfloat16', action='store_true')
  arguments = parser.parse_args()
  if arguments.side:
    print(json.dumps(measure(arguments.side, arguments.repeats)))
  else:
    sides = _SIDES if arguments.bfloat16 else _SIDES[:2]
    compare(sides, arguments.repeats)


if __name__ == '__main__':
  main()
