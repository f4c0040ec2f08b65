# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The candidates for `tfp_ood.stats.default_score`, on many kinds of data.

  python benchmarks/default_score.py --data_dir=PATH --model=glow_cifar10 \\
      --classifier=small_resnet_cifar10

A candidate is chosen by the data sets for development; those to report are scored
beside them and choose nothing. Writes results.json and a page to --output_dir, and
prints the AUROCs.
"""

import argparse
import os

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')

import numpy as np
import tensorflow as tf
import tf_keras

import tfp_ood
from tfp_ood import datasets, stats

_NUM_CONTROLS = 1_000
_REPORTED = {
  'cifar10': ('svhn_cropped', 'fashion_mnist'),
  'fashion_mnist': ('mnist', 'svhn_cropped'),
}
_DEVELOPMENT = {
  'cifar10': ('mnist', 'sample_digits', 'sample_photographs'),
  'fashion_mnist': ('cifar10', 'sample_digits', 'sample_photographs'),
}


def shuffled_blocks(images, side=4):
  """Images whose blocks are in another order, the same for all."""
  _, height, width, channels = images.shape
  rows, columns = height // side, width // side
  blocks = tf.reshape(images, [-1, rows, side, columns, side, channels])
  blocks = tf.transpose(blocks, [0, 1, 3, 2, 4, 5])
  blocks = tf.reshape(blocks, [-1, rows * columns, side, side, channels])
  order = np.random.default_rng(0).permutation(rows * columns)
  blocks = tf.gather(blocks, order, axis=1)
  blocks = tf.reshape(blocks, [-1, rows, columns, side, side, channels])
  return tf.reshape(
    tf.transpose(blocks, [0, 1, 3, 2, 4, 5]), [-1, height, width, channels]
  )


def blurred(images):
  """Means of 3 x 3 pixels."""
  return tf.nn.avg_pool2d(tf.cast(images, tf.float32), 3, 1, 'SAME')


_CHANGES = {
  'upside down': tf.image.flip_up_down,
  'half the contrast': lambda x: datasets.adjust_contrast(x, 0.5),
  'inverted': lambda x: 255 - x,
  'a tenth of the pixels at random': lambda x: datasets.mutate(x, 0.1, seed=1),
  'shuffled blocks': shuffled_blocks,
  'blurred': blurred,
}


def candidates(model, has_classifier, own):
  """Returns the scores to compare, by name; `own` are statistics of the model."""
  names = stats.Statistics(model).names
  shared = [n for n in ('png_bits_per_dim', 'score_norm') if n in names]

  def density(*statistics, method='kde'):
    return stats.DensityOfStates(statistics, method, drop_constant=True)

  found = {
    'likelihood': stats.NegativeLogLikelihood(),
    'typicality': stats.Typicality(),
    'input complexity': stats.InputComplexity(),
    'PNG size, two-sided': density('png_bits_per_dim'),
    'own': density(*own),
    'own + PNG': density(*own, 'png_bits_per_dim'),
    **{
      f'own + {", ".join(shared)}, {method}': density(
        *own, *shared, method=method
      )
      for method in ('kde', 'gaussian', 'one_class_svm')
    },
  }
  if 'score_norm' in names:
    found['score norm'] = stats.ScoreNorm()
    found['own + score norm'] = density(*own, 'score_norm')
  if has_classifier:
    energy = stats.Energy(statistic='classifier_logits')
    views = [stats.default_score(model), energy]
    found['energy'] = energy
    found['default + energy'] = stats.Combination(views)
    for count in (5, 50):
      near = stats.FeatureNeighbors('classifier_features', count)
      found[f'neighbor {count}'] = near
      found[f'default + neighbor {count}'] = stats.Combination([views[0], near])
      for method in ('fisher', 'smallest', 'density'):
        found[f'default + energy + neighbor {count}, {method}'] = (
          stats.Combination([*views, near], method)
        )
  return found


def data(model, dataset, load):
  """Returns data sets for development and those to report, by name."""
  shape = model.image_shape if hasattr(model, 'image_shape') else None
  shape = shape or model.event_shape

  def test(name, change=lambda images: images):
    return load(
      f'{name}/test',
      transformation=lambda x: change(datasets.fit_to_shape(x, shape)),
    )

  development = {name: test(name) for name in _DEVELOPMENT[dataset]}
  development |= {n: test(dataset, change) for n, change in _CHANGES.items()}
  reported = {name: test(name) for name in _REPORTED[dataset]}
  reported |= {
    name: datasets.load(
      name, image_shape=shape, num_examples=_NUM_CONTROLS, batch_size=128
    )
    for name in ('constant', 'uniform_noise')
  }
  return development, reported


def main():
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--model', required=True)
  parser.add_argument('--classifier')
  parser.add_argument('--statistics', help='Instead of the default ones.')
  parser.add_argument('--data_dir')
  parser.add_argument('--num_evaluated', type=int, default=2_000)
  parser.add_argument('--output_dir', default='outputs/default_score')
  arguments = parser.parse_args()
  file = tfp_ood.pretrained.read_weights(arguments.model)
  model = tfp_ood.pretrained.load_model(arguments.model)
  if isinstance(model, tf_keras.Model):
    model = tfp_ood.distributions.NeuralRenderingModel.from_keras(model)
  classifier = None
  if arguments.classifier:
    classifier = tfp_ood.networks.ImageClassifier(
      tfp_ood.pretrained.load_model(arguments.classifier)
    )
  dataset = file.information['dataset']

  def load(name, **options):
    return datasets.load(
      name,
      data_dir=arguments.data_dir,
      batch_size=128,
      limit=arguments.num_evaluated,
      **options,
    )

  own = getattr(model, 'default_statistics', ('log_prob',))
  if arguments.statistics:
    own = arguments.statistics.split(',')
  development, reported = data(model, dataset, load)
  evaluation = tfp_ood.evaluation.evaluate(
    model,
    candidates(model, classifier is not None, own),
    {'test': load(f'{dataset}/test')},
    development | reported,
    {'train': load(f'{dataset}/train')},
    classifier=classifier,
    folder=arguments.output_dir,
  )
  aurocs = evaluation.aurocs()
  rows = [
    [
      score,
      *(
        f'{np.mean(values):.3f}'
        for values in (chosen_by, sorted(chosen_by)[:3])
      ),
      f'{min(chosen_by):.3f}',
      *(f'{by_dataset[name].auroc:.3f}' for name in evaluation.others),
    ]
    for score, by_dataset in aurocs.items()
    for chosen_by in [[by_dataset[name].auroc for name in development]]
  ]
  header = ['score', 'mean', 'worst three', 'worst', *evaluation.others]
  section = tfp_ood.reporting.Section(
    'Candidates', {row[0]: row[1:] for row in rows}
  )
  section.add_text(
    'AUROCs. The first three columns are over the data sets for development: '
    f'{", ".join(development)}.'
  )
  section.add_table(header, rows)
  evaluation.add(section).save(arguments.output_dir)
  evaluation.write_report(arguments.output_dir)
  print('| ' + ' | '.join(header) + ' |')
  print('|' + '---|' * len(header))
  for row in rows:
    print('| ' + ' | '.join(row) + ' |')


if __name__ == '__main__':
  main()
