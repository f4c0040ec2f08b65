# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Keeps out-of-distribution images out of a tf.data pipeline.

A detector that cifar_svhn.py exported is loaded with TensorFlow alone, and
gives every image of a stream a p-value: how often an image like those that the
model knows would look at least as strange.

  python examples/cifar_svhn.py --data=sample
  python examples/score_a_pipeline.py

The stream is a mix of two data sets, to see what happens to each of them. Its
in-distribution images are by default those that cifar_svhn.py calibrated the
detector on, so this is only an illustration: the promised rates hold for fresh
images, neither trained nor calibrated on.
"""

import collections

import tensorflow as tf
from absl import app, flags

import tfp_ood

_DETECTOR = flags.DEFINE_string(
  'detector',
  'outputs/glow_tiny_sample_photographs/detector',
  'Folder of the exported detector.',
)
_IN_DISTRIBUTION = flags.DEFINE_string(
  'in_distribution', 'sample_photographs/test', 'Images that should pass.'
)
_OUT_OF_DISTRIBUTION = flags.DEFINE_string(
  'out_of_distribution', 'sample_digits/test', 'Images that should not.'
)
_DATA_DIR = flags.DEFINE_string(
  'data_dir', None, 'Folder of prepared TFDS data sets. Default: that of TFDS.'
)
_FALSE_ALARM_RATE = flags.DEFINE_float(
  'false_alarm_rate',
  0.05,
  'Of the in-distribution images, at most this share is stopped on average.',
)
_FALSE_DISCOVERY_RATE = flags.DEFINE_float(
  'false_discovery_rate',
  0.1,
  "Of a batch's flags, the largest expected share of false ones.",
)


def main(argv):
  if len(argv) > 1:
    raise app.UsageError(f'Unknown arguments: {argv[1:]}.')
  if not tf.saved_model.contains_saved_model(_DETECTOR.value):
    raise app.UsageError(
      f'There is no detector in {_DETECTOR.value}. The command `python '
      f'examples/cifar_svhn.py --data=sample` writes {_DETECTOR.default}.'
    )
  detector = tf.saved_model.load(_DETECTOR.value)
  names = [_IN_DISTRIBUTION.value, _OUT_OF_DISTRIBUTION.value]
  mixed = tf.data.Dataset.sample_from_datasets(
    [_images_from(name) for name in names], seed=0
  )
  # Any number of images at once: the last batch is smaller.
  scored = (
    mixed.batch(128)
    .map(lambda images, origin: (images, origin, detector.p_value(images)))
    .cache()
  )

  # Image by image: what a training or serving pipeline would go on with.
  clean = scored.unbatch().filter(
    lambda image, origin, p_value: p_value > _FALSE_ALARM_RATE.value
  )
  passed = collections.Counter(
    origin.decode() for _, origin, _ in clean.as_numpy_iterator()
  )

  # Batch by batch: how many flags to believe depends on how many there are.
  total, flagged = collections.Counter(), collections.Counter()
  for _, origins, p_values in scored:
    rate = _FALSE_DISCOVERY_RATE.value
    reject = tfp_ood.stats.benjamini_hochberg(p_values, rate).reject
    total.update(map(bytes.decode, origins.numpy()))
    flagged.update(map(bytes.decode, origins[reject].numpy()))

  print(f'{"data set":28}{"images":>10}{"passed":>10}{"flagged":>10}')
  for name in names:
    print(f'{name:28}{total[name]:>10}{passed[name]:>10}{flagged[name]:>10}')


def _images_from(name):
  """Returns single images, each with the name of its data set."""
  dataset = tfp_ood.datasets.load(name, data_dir=_DATA_DIR.value)
  return dataset.unbatch().map(lambda image, label: (image, name))


if __name__ == '__main__':
  app.run(main)
