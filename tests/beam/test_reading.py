# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests that records are read from files, and damaged ones set apart."""

import gzip
import io

import numpy as np
import pyarrow
import pytest
import tensorflow as tf
from beam import pipelines
from PIL import Image
from pyarrow import parquet
from stats.decisions import detectors

import tfp_ood.beam
from tfp_ood import datasets


def _png(pixels):
  file = io.BytesIO()
  Image.fromarray(pixels).save(file, 'png')
  return file.getvalue()


def _example(**features):
  return tf.train.Example(
    features=tf.train.Features(feature=features)
  ).SerializeToString()


def _bytes(*values):
  return tf.train.Feature(bytes_list=tf.train.BytesList(value=values))


def _numbers(values):
  values = np.ravel(values)
  return tf.train.Feature(int64_list=tf.train.Int64List(value=values))


def _write_tfrecords(path, records):
  with tf.io.TFRecordWriter(str(path)) as file:
    for record in records:
      file.write(record)


# ------------------------------------------------------------------ image files


def test_image_files_of_any_size_in_any_folder(tmp_path):
  (tmp_path / 'in' / 'deep').mkdir(parents=True)
  random = np.random.default_rng(0)
  for name, size in (('a.png', (8, 8)), ('deep/b.jpg', (40, 30))):
    pixels = random.integers(0, 256, [*size, 3], np.uint8)
    Image.fromarray(pixels).save(tmp_path / 'in' / name)
  whole = (tmp_path / 'in' / 'a.png').read_bytes()
  damaged = {'text.png': b'text', 'empty.png': b'', 'half.png': whole[:150]}
  for name, data in damaged.items():
    (tmp_path / 'in' / name).write_bytes(data)
  found = pipelines.scored_by(
    pipelines.exported(),
    tfp_ood.beam.ReadImageFiles(f'{tmp_path}/in/**'),
    tmp_path,
  )
  files = [tmp_path / 'in' / name for name in ('a.png', 'deep/b.jpg')]
  images = {str(file): datasets.read_image(file, (8, 8, 3)) for file in files}
  pipelines.check_scores(found, pipelines.detector(), images)
  reasons = {
    name: found.reasons.pop(f'{tmp_path}/in/{name}') for name in damaged
  }
  assert not found.reasons
  assert (
    'no image' in reasons['text.png'] and 'no image' in reasons['empty.png']
  )
  assert 'truncated' in reasons['half.png']


def test_a_file_that_cannot_be_opened_is_damaged(tmp_path):
  (tmp_path / 'a.png').write_bytes(_png(detectors.images(1)[0]))
  (tmp_path / 'b.png.gz').write_bytes(b'not compressed')
  found = pipelines.scored_by(
    pipelines.exported(),
    tfp_ood.beam.ReadImageFiles([f'{tmp_path}/*.png', f'{tmp_path}/*.gz']),
    tmp_path,
  )
  assert list(found.scores) == [f'{tmp_path}/a.png']
  assert list(found.reasons) == [f'{tmp_path}/b.png.gz']


def test_a_pattern_without_files_fails(tmp_path):
  with pytest.raises(Exception, match='nothing-here'):
    pipelines.run(
      lambda pipeline: (
        pipeline | tfp_ood.beam.ReadImageFiles(str(tmp_path / 'nothing-here-*'))
      )
    )


# --------------------------------------------------------------------- TFRecord


def _check_tfrecords(tmp_path, examples, reasons):
  """Reads all files; expects examples and parts of reasons by names of records."""
  found = pipelines.scored_by(
    pipelines.exported(),
    tfp_ood.beam.ReadTFRecords(f'{tmp_path}/*.tfrecord*'),
    tmp_path,
  )
  pipelines.check_scores(
    found,
    pipelines.detector(),
    {f'{tmp_path}/{name}': image for name, image in examples.items()},
  )
  assert len(found.reasons) == len(reasons)
  for name, reason in reasons.items():
    assert reason in found.reasons[f'{tmp_path}/{name}']


def test_tfrecords_of_images_or_numbers(tmp_path):
  images = detectors.images(5, 1)
  _write_tfrecords(
    tmp_path / 'a.tfrecord',
    [
      _example(image=_bytes(_png(images[0]))),
      _example(image=_bytes(b'text')),
      _example(image=_numbers(images[1]), label=_numbers([3])),
      _example(image=_numbers(images[1][:-1])),
      _example(image=_numbers(np.full([8, 8, 3], 256))),
      _example(other=_bytes(_png(images[0]))),
      _example(image=_bytes()),
      b'no example',
      _example(image=_bytes(_png(images[2]))),
    ],
  )
  _write_tfrecords(tmp_path / 'b', [_example(image=_bytes(_png(images[3])))])
  with gzip.open(tmp_path / 'c.tfrecord.gz', 'wb') as file:
    file.write((tmp_path / 'b').read_bytes())
  _check_tfrecords(
    tmp_path,
    {
      'a.tfrecord:0': images[0],
      'a.tfrecord:2': images[1],
      'a.tfrecord:8': images[2],
      'c.tfrecord.gz:0': images[3],
    },
    {
      'a.tfrecord:1': 'no image',
      'a.tfrecord:3': '168 numbers',
      'a.tfrecord:4': 'no uint8',
      'a.tfrecord:5': "no feature 'image', but ['other']",
      'a.tfrecord:6': '0 values',
      'a.tfrecord:7': 'no tf.train.Example',
    },
  )


def test_damage_to_the_file_costs_what_it_hits(tmp_path):
  images = detectors.images(3, 1)
  records = [_example(image=_bytes(_png(image))) for image in images]
  starts = np.cumsum([0] + [len(record) + 16 for record in records])
  for name, place in (('content', starts[1] + 40), ('length', starts[1] + 1)):
    path = tmp_path / f'{name}.tfrecord'
    _write_tfrecords(path, records)
    data = bytearray(path.read_bytes())
    data[place] ^= 255
    path.write_bytes(data)
  _write_tfrecords(tmp_path / 'whole', records)
  whole = (tmp_path / 'whole').read_bytes()
  for name, size in (('cut', starts[2] - 3), ('cut_at_length', starts[1] + 5)):
    (tmp_path / f'{name}.tfrecord').write_bytes(whole[:size])
  zipped = gzip.compress(whole)
  (tmp_path / 'zipped.tfrecord.gz').write_bytes(b'no' + zipped[2:])
  found = pipelines.scored_by(
    pipelines.exported(),
    tfp_ood.beam.ReadTFRecords(f'{tmp_path}/*.tfrecord*'),
    tmp_path,
  )
  expected = {
    f'{tmp_path}/{name}.tfrecord:{number}': images[number]
    for name, number in (
      ('content', 0),
      ('content', 2),
      ('length', 0),
      ('cut', 0),
      ('cut_at_length', 0),
    )
  }
  pipelines.check_scores(found, pipelines.detector(), expected)
  reasons = {
    name.removeprefix(f'{tmp_path}/'): reason
    for name, reason in found.reasons.items()
  }
  assert 'all after it' in reasons.pop('zipped.tfrecord.gz:0')
  assert reasons == {
    'content.tfrecord:1': 'its checksum is wrong',
    'length.tfrecord:1': 'its length is damaged, and so are all after it',
    'cut.tfrecord:1': 'it is cut short, and so are all after it',
    'cut_at_length.tfrecord:1': 'it is cut short, and so are all after it',
  }


# ---------------------------------------------------------------------- Parquet


def test_parquet_with_groups_of_rows(tmp_path):
  images = detectors.images(5, 1)
  cells = [_png(image) for image in images]
  cells[2] = None
  cells[3] = b'text'
  table = pyarrow.table({'image': cells, 'label': [0] * 5})
  parquet.write_table(table, tmp_path / 'a.parquet', row_group_size=2)
  found = pipelines.scored_by(
    pipelines.exported(),
    tfp_ood.beam.ReadParquet(f'{tmp_path}/a.parquet'),
    tmp_path,
  )
  pipelines.check_scores(
    found,
    pipelines.detector(),
    {f'{tmp_path}/a.parquet:{i}': images[i] for i in (0, 1, 4)},
  )
  assert found.reasons == {
    f'{tmp_path}/a.parquet:2': 'it has no value',
    f'{tmp_path}/a.parquet:3': 'it is no image of a known format',
  }


def test_parquet_with_fields_or_numbers_and_damaged_files(tmp_path):
  images = detectors.images(2, 1)
  structs = [{'bytes': _png(images[0]), 'path': 'a.png'}]
  tables = {
    'fields': {'image': structs},
    'numbers': {'image.bytes': [images[1].tolist()]},
    'other': {'picture': [b'']},
  }
  for name, columns in tables.items():
    parquet.write_table(pyarrow.table(columns), tmp_path / f'{name}.parquet')
  (tmp_path / 'damaged.parquet').write_bytes(b'PAR1' * 20)
  found = pipelines.scored_by(
    pipelines.exported(),
    tfp_ood.beam.ReadParquet(f'{tmp_path}/*.parquet', 'image.bytes'),
    tmp_path,
  )
  pipelines.check_scores(
    found,
    pipelines.detector(),
    {
      f'{tmp_path}/fields.parquet:0': images[0],
      f'{tmp_path}/numbers.parquet:0': images[1],
    },
  )
  assert found.reasons.keys() == {
    f'{tmp_path}/damaged.parquet:0',
    f'{tmp_path}/other.parquet:0',
  }
  reason = found.reasons[f'{tmp_path}/other.parquet:0']
  assert "no column 'image.bytes'" in reason
