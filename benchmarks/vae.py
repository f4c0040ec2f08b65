# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""What likelihood regret costs in passes of its model, and image by image.

Likelihood regret fits a posterior to every image by itself. The library does so
for a whole batch at once. This times it beside a plain `log_prob` of the same
batches, by turns; then image by image with the same steps; and prints how far the
scores of both ways lie apart:

  python benchmarks/vae.py
  python benchmarks/vae.py --data_dir=PATH --num_images=1000 --repeats=1

Training makes no difference to the time, but it does to the scores: name the
folder of a finished run of `examples/cifar_svhn.py --model=vae` to score by it.
"""

import os
import statistics

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')

import numpy as np
import passes
import tensorflow as tf
from absl import app, flags

import tfp_ood

_DATA_DIR = flags.DEFINE_string(
  'data_dir',
  None,
  "Folder of prepared TFDS data sets, for CIFAR-10's test images. Default: "
  'the bundled photographs.',
)
_NUM_IMAGES = flags.DEFINE_integer('num_images', 200, 'Images in batches.')
_NUM_SINGLE = flags.DEFINE_integer(
  'num_single', 10, 'How many of them are scored one by one, too.'
)
_BATCH_SIZE = flags.DEFINE_integer('batch_size', 100, 'Images in a batch.')
_NUM_STEPS = flags.DEFINE_integer('num_steps', 100, 'Steps for each image.')
_WIDTH = flags.DEFINE_integer('width', 32, 'Channels of the largest maps.')
_DECODER = flags.DEFINE_string('decoder', 'gaussian', 'Of the pixels.')
_WEIGHTS = flags.DEFINE_string(
  'weights', None, 'Weights file of a trained model of these settings.'
)
_REPEATS = flags.DEFINE_integer('repeats', 3, 'Passes of each kind.')


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'Unknown arguments: {argv[1:]}.')
  name = 'cifar10/test' if _DATA_DIR.value else 'sample_photographs/train'
  images = np.concatenate(
    [
      batch
      for batch, _ in tfp_ood.datasets.load(
        name,
        data_dir=_DATA_DIR.value,
        batch_size=_BATCH_SIZE.value,
        limit=_NUM_IMAGES.value,
      )
    ]
  )
  vae = tfp_ood.distributions.variational_autoencoder(
    images.shape[1:],
    latent_size=100,
    likelihood=_DECODER.value,
    hidden_channels=_WIDTH.value,
    seed=0,
  )
  if _WEIGHTS.value:
    tfp_ood.training.load_weights(vae, _WEIGHTS.value)

  def regrets(images):
    optimized = vae.optimized_log_prob(images, num_steps=_NUM_STEPS.value)
    return tfp_ood.stats.likelihood_regret(vae.log_prob(images), optimized)

  batches = np.split(
    images, range(_BATCH_SIZE.value, len(images), _BATCH_SIZE.value)
  )
  single = np.split(images[: _NUM_SINGLE.value], _NUM_SINGLE.value)
  regret = f'likelihood regret, {_NUM_STEPS.value} steps'
  seconds = passes.time_by_turns(
    {'log_prob': vae.log_prob, regret: regrets},
    [tf.constant(batch) for batch in batches],
    _REPEATS.value,
  )
  passes.print_table(seconds, len(images))
  (apart,) = passes.time_by_turns(
    {regret: regrets}, [tf.constant(image) for image in single], _REPEATS.value
  ).values()
  in_batches = statistics.median(seconds[regret]) / len(images)
  one_by_one = statistics.median(apart) / len(single)
  print(f'in batches: {1e3 * in_batches:.1f} ms an image')
  print(f'one by one: {1e3 * one_by_one:.1f} ms an image')
  print(f'in batches, times one by one: {in_batches / one_by_one:.3f}')
  together = regrets(batches[0]).numpy()[: len(single)]
  apart = np.concatenate([regrets(image) for image in single])
  together, apart = together[: len(apart)], apart[: len(together)]
  print(
    f'largest difference of scores: {np.abs(together - apart).max():.2g} nats'
  )
  print(f'deviation of scores: {together.std():.3g} nats')


if __name__ == '__main__':
  app.run(main)
