# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""What the scores of a neural rendering model cost beside its classifier.

A score takes the classifier's pass up and one pass back. This times, in one run
and by turns, the Keras classifier's own forward pass, one latent score, and all
metrics together; and prints how much memory a pass over the images took:

  python benchmarks/nrm.py
  python benchmarks/nrm.py --network=all_conv13 --width=1
"""

import os
import resource

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')

import passes
from absl import app, flags

import tfp_ood

_NETWORK = flags.DEFINE_enum(
  'network',
  'all_cnn_c',
  ['all_cnn_c', 'all_conv13', 'small_resnet', 'alexnet_like'],
  'The classifier.',
)
_WIDTH = flags.DEFINE_float('width', 0.5, 'Multiplies its channels.')
_NUM_IMAGES = flags.DEFINE_integer('num_images', 640, 'Images in a pass.')
_BATCH_SIZE = flags.DEFINE_integer('batch_size', 64, 'Images in a batch.')
_REPEATS = flags.DEFINE_integer('repeats', 7, 'Passes of each kind.')

_METRICS = (
  'logits',
  'latent_eta',
  'latent_mode_normalized',
  'latent_rpn',
  'log_prob',
  'layer_etas',
  'layer_reconstructions',
)


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'Unknown arguments: {argv[1:]}.')
  classifier = getattr(tfp_ood.networks, _NETWORK.value)(width=_WIDTH.value)
  nrm = tfp_ood.distributions.NeuralRenderingModel.from_keras(classifier)
  dataset = tfp_ood.datasets.load(
    'uniform_noise',
    batch_size=_BATCH_SIZE.value,
    num_examples=_NUM_IMAGES.value,
    image_shape=nrm.network.input_shape,
  )
  batches = [images for images, _ in dataset]
  statistics = tfp_ood.stats.Statistics(nrm)
  seconds = passes.time_by_turns(
    {
      'forward pass': lambda images: classifier(nrm.scaled(images)),
      'one latent score': nrm.latent_log_prob,
      'all metrics': lambda images: statistics(images, _METRICS),
      'all metrics, layerwise prior too': lambda images: statistics(
        images, [*_METRICS, 'latent_layerwise']
      ),
    },
    batches,
    _REPEATS.value,
  )
  passes.print_table(seconds, sum(len(batch) for batch in batches))
  peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
  print(f'peak memory: {peak:.2f} GiB')


if __name__ == '__main__':
  app.run(main)
