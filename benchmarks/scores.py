# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""What scoring images with every score of one Glow costs beside `log_prob`.

Scores share statistics, and a model runs once for all of them. This times, in
one run and by turns, a plain `log_prob` pass over images, the same with the score
norm, which needs a gradient, with all scores that need none, and with all; and each
compressor by itself, and all of them:

  python benchmarks/scores.py
  python benchmarks/scores.py --data_dir=PATH --num_images=10000
"""

import os

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')

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
_NUM_IMAGES = flags.DEFINE_integer('num_images', 640, 'Images in a pass.')
_BATCH_SIZE = flags.DEFINE_integer('batch_size', 64, 'Images in a batch.')
_REPEATS = flags.DEFINE_integer('repeats', 5, 'Passes of each kind.')
_PRECISION = flags.DEFINE_enum(
  'precision', 'float32', ['float32', 'bfloat16'], 'Of the convolutions.'
)


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'Unknown arguments: {argv[1:]}.')
  name = 'cifar10/test' if _DATA_DIR.value else 'sample_photographs/train'
  dataset = tfp_ood.datasets.load(
    name,
    data_dir=_DATA_DIR.value,
    batch_size=_BATCH_SIZE.value,
    limit=_NUM_IMAGES.value,
  )
  batches = [images for images, _ in dataset]
  flow = tfp_ood.distributions.glow(
    batches[0].shape[1:],
    num_levels=3,
    num_steps=8,
    hidden_channels=128,
    seed=0,
    recompute=False,
    compute_dtype=tf.as_dtype(_PRECISION.value),
  )
  flow.initialize(batches[0])
  model = tfp_ood.training.DistributionModel(flow)
  model.compile(tfp_ood.training.adam(1e-3, warmup_steps=100))
  # A few steps, so that the volume differs between images.
  model.fit(dataset.take(5), verbose=0)
  seconds = passes.time_by_turns(_functions(flow), batches, _REPEATS.value)
  passes.print_table(seconds, sum(len(batch) for batch in batches))


def _functions(flow):
  """Returns what is timed: functions of a batch of images."""
  stats = tfp_ood.stats
  all_statistics = stats.Statistics(flow)
  without_gradient = [
    stats.NegativeLogLikelihood(),
    stats.Typicality(),
    stats.InputComplexity(),
    stats.DensityOfStates(('density', 'volume')),
  ]
  with_gradient = [
    *without_gradient,
    stats.ScoreNorm(),
    stats.DensityOfStates(('density', 'volume', 'score_norm')),
  ]
  return {
    'log_prob': flow.log_prob,
    'log_prob and the score norm': lambda images: all_statistics(
      images, ['log_prob', 'score_norm']
    ),
    'all scores but the score norm': _scored(all_statistics, without_gradient),
    'all scores': _scored(all_statistics, with_gradient),
    'PNG, in graph': stats.png_bits_per_dim,
    **{
      f'{compressor}, by Pillow': (
        lambda images, compressor=compressor: stats.compressed_bits_per_dim(
          images, [compressor]
        )
      )
      for compressor in stats.COMPRESSORS
    },
    'all three, by Pillow': stats.compressed_bits_per_dim,
  }


def _scored(all_statistics, scores):
  """Returns a function that computes scores of images, each model run once."""
  names = list(dict.fromkeys(n for score in scores for n in score.statistics))
  generator = tf.random.Generator.from_seed(0)
  # The cost of a score does not depend on what it has learned.
  learned_from = {name: generator.normal([5_000]) for name in names}
  for score in scores:
    score.fit(learned_from)

  def score_all(images):
    values = all_statistics(images, names)
    return [score(values) for score in scores]

  return score_all


if __name__ == '__main__':
  app.run(main)
