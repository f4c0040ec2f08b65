# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""What likelihood regret costs in batches, and image by image.

Likelihood regret fits a posterior to every image by itself. The library does so
for a whole batch at once. This times both ways with the same steps, in one run,
and prints how far their scores lie apart:

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
  per_image = {}
  for kind, parts in (('in batches', batches), ('one by one', single)):
    (seconds,) = passes.time_by_turns(
      {kind: regrets}, [tf.constant(part) for part in parts], _REPEATS.value
    ).values()
    per_image[kind] = statistics.median(seconds) / sum(map(len, parts))
    print(f'{kind}: {1e3 * per_image[kind]:.1f} ms an image')
  ratio = per_image['in batches'] / per_image['one by one']
  print(f'in batches, times one by one: {ratio:.3f}')
  together = regrets(batches[0]).numpy()[: len(single)]
  apart = np.concatenate([regrets(image) for image in single])
  together, apart = together[: len(apart)], apart[: len(together)]
  print(
    f'largest difference of scores: {np.abs(together - apart).max():.2g} nats'
  )
  print(f'deviation of scores: {together.std():.3g} nats')


if __name__ == '__main__':
  app.run(main)
