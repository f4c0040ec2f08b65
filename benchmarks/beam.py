# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Images/s of `tfp_ood.beam`, in one process and in two, beside a plain loop.

  python benchmarks/beam.py

20,000 images of 32 x 32 x 3 as PNG in eight TFRecord files, and five damaged records in
a ninth, scored by a flow (`--model=small`, or `--model=glow_cifar10` that comes with the
package). The plain loop is `tf.data` with `detector.score` over the eight files. Beam's
time includes starting the workers, loading the model and writing Parquet files; what it
wrote is compared with the plain loop's scores, and its calibration with `Detector.fit`.
Images are noise and patches: only the time matters.
"""

import argparse
import glob
import io
import os
import tempfile
import time

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')

import apache_beam as beam
import numpy as np
import tensorflow as tf
from apache_beam.options.pipeline_options import PipelineOptions
from PIL import Image
from pyarrow import parquet

import tfp_ood
import tfp_ood.beam

_SHAPE = (32, 32, 3)
_NUM_FILES = 8
_BATCH_SIZE = 64
_PROCESSES = ('--direct_running_mode=multi_processing', '--direct_num_workers')


def main():
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--images', type=int, default=20_000)
  parser.add_argument(
    '--model', choices=('small', 'glow_cifar10'), default='small'
  )
  flags = parser.parse_args()
  with tempfile.TemporaryDirectory() as folder:
    images = _images(flags.images)
    _write_records(folder, images)
    detector = tfp_ood.stats.Detector(
      _model(flags.model, images), tfp_ood.stats.NegativeLogLikelihood()
    ).fit(images[:1_000])
    detector.export_saved_model(f'{folder}/detector')
    print('| | seconds | images/s |\n|---|---|---|')
    scores = _timed(
      'plain loop', flags.images, lambda: _plain_loop(folder, detector)
    )
    for number in (1, 2):
      processes = [] if number == 1 else [*_PROCESSES[:1], f'{_PROCESSES[1]}=2']
      counts = _timed(
        f'Beam, {number} process{"es" * (number > 1)}',
        flags.images,
        lambda number=number, processes=processes: _run_beam(
          folder, str(number), processes
        ),
      )
      _compare(folder, str(number), scores, counts, detector, images)


def _timed(name, num_images, function):
  start = time.perf_counter()
  result = function()
  seconds = time.perf_counter() - start
  print(f'| {name} | {seconds:.1f} | {num_images / seconds:,.0f} |', flush=True)
  return result


def _images(number):
  random = np.random.default_rng(0)
  coarse = random.integers(0, 226, [number, 4, 4, 3], np.uint8)
  fine = coarse.repeat(8, axis=1).repeat(8, axis=2)
  return fine + random.integers(0, 30, fine.shape, np.uint8)


def _model(name, images):
  if name != 'small':
    return tfp_ood.distributions.glow(weights='cifar10')
  flow = tfp_ood.distributions.glow(
    _SHAPE, num_levels=2, num_steps=2, hidden_channels=16, seed=0
  )
  flow.initialize(images[:256])
  return flow


# ---------------------------------------------------------------------- records


def _write_records(folder, images):
  for number in range(_NUM_FILES):
    with tf.io.TFRecordWriter(f'{folder}/{number}.tfrecord') as file:
      for image in images[number::_NUM_FILES]:
        file.write(_example(image=_png(image)))
  path = f'{folder}/damaged.tfrecord'
  png = _png(images[0])
  with tf.io.TFRecordWriter(path) as file:
    file.write(_example(image=png[: len(png) // 2]))
    file.write(_example(image=b'no image'))
    file.write(_example(other=png))
    file.write(b'no example')
    file.write(_example(image=png))
  with open(path, 'r+b') as file:
    file.seek(-100, os.SEEK_END)  # In the middle of the last record.
    file.write(b'damage')


def _png(image):
  file = io.BytesIO()
  Image.fromarray(image).save(file, 'png')
  return file.getvalue()


def _example(**values):
  feature = {
    name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
    for name, value in values.items()
  }
  features = tf.train.Features(feature=feature)
  return tf.train.Example(features=features).SerializeToString()


# --------------------------------------------------------------------- both ways


def _plain_loop(folder, detector):
  """Returns scores by the names that the records have with Beam."""
  spec = {'image': tf.io.FixedLenFeature([], tf.string)}

  def decode(record):
    image = tf.io.decode_png(tf.io.parse_single_example(record, spec)['image'])
    return tf.ensure_shape(image, _SHAPE)

  scores = {}
  for number in range(_NUM_FILES):
    path = f'{folder}/{number}.tfrecord'
    dataset = tf.data.TFRecordDataset(path).map(decode, tf.data.AUTOTUNE)
    dataset = dataset.batch(_BATCH_SIZE).prefetch(tf.data.AUTOTUNE)
    found = np.concatenate([detector.score(batch) for batch in dataset])
    scores |= {f'{path}:{index}': score for index, score in enumerate(found)}
  return scores


def _run_beam(folder, name, options):
  """Scores, writes and calibrates; returns what Beam counted."""
  options = PipelineOptions(['--runner=FnApiRunner', *options])
  detector = f'{folder}/detector'
  with beam.Pipeline(options=options) as pipeline:
    outputs = (
      pipeline
      | tfp_ood.beam.ReadTFRecords(f'{folder}/*.tfrecord')
      | tfp_ood.beam.Score(detector, _BATCH_SIZE)
    )
    _ = outputs | tfp_ood.beam.Write(f'{folder}/{name}')
    _ = outputs | tfp_ood.beam.Calibrate(detector, f'{folder}/{name}-detector')
  counters = pipeline.result.metrics().query()['counters']
  return {counter.key.metric.name: counter.result for counter in counters}


def _compare(folder, name, scores, counts, detector, images):
  """Raises an error unless Beam wrote what the plain loop found."""
  rows = _read(f'{folder}/{name}-scores-*')
  assert {row['record'] for row in rows} == set(scores)
  differences = [
    abs(row['score'] - scores[row['record']]) / abs(scores[row['record']])
    for row in rows
  ]
  damaged = _read(f'{folder}/{name}-damaged-*')
  assert counts['scores'] == len(rows) == len(scores), counts
  assert counts['damaged'] == len(damaged) == 5, damaged
  by_beam = tf.saved_model.load(f'{folder}/{name}-detector')
  detector.fit(images)
  calibration = detector.calibration_scores
  np.testing.assert_allclose(
    by_beam.calibration_scores.numpy(), calibration, rtol=1e-6
  )
  print(f'largest relative difference of scores: {max(differences):.1e}')
  for row in sorted(damaged, key=lambda row: row['record']):
    print(f'{os.path.basename(row["record"])}: {row["reason"]}')


def _read(pattern):
  return [
    row
    for path in glob.glob(pattern)
    for row in parquet.read_table(path).to_pylist()
  ]


if __name__ == '__main__':
  main()
