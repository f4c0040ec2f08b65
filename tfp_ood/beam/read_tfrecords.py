# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""TFRecord files of `tf.train.Example`s as records."""

import struct

import apache_beam as beam
import google_crc32c
import numpy as np
import tensorflow as tf
from google.protobuf.message import DecodeError

from tfp_ood.beam._matched_files import READ_ERRORS, MatchedFiles
from tfp_ood.beam.record import Record

__all__ = ['ReadTFRecords']

_LENGTH = struct.Struct('<QI')  # And its checksum.
_CHECKSUM = struct.Struct('<I')


class ReadTFRecords(beam.PTransform):
  """Reads `tf.train.Example`s of TFRecord files.

  A record is called by its file and its number there, from 0:
  `'images.tfrecord:17'`. One whose checksum is wrong is damaged; where the length of
  one is damaged or the file ends in the middle, so is all that is left of the file,
  which counts as one.

  #### Example

  >>> import apache_beam as beam
  >>> import os, tempfile
  >>> import tensorflow as tf
  >>> values = tf.train.Feature(int64_list=tf.train.Int64List(value=[1, 2]))
  >>> example = tf.train.Example(
  ...     features=tf.train.Features(feature={'bases': values}))
  >>> with tempfile.TemporaryDirectory() as folder:
  ...   path = os.path.join(folder, 'reads.tfrecord')
  ...   with tf.io.TFRecordWriter(path) as file:
  ...     file.write(example.SerializeToString())
  ...   with beam.Pipeline('FnApiRunner') as pipeline:
  ...     records = pipeline | ReadTFRecords(path, feature='bases')
  ...     _ = records | beam.Map(lambda record: print(record.value))
  [1 2]
  """

  def __init__(self, patterns, feature='image'):
    """Instantiates the transform.

    Args:
      patterns: `str`, or a list of such: `'data/train-*.tfrecord'`, on any file
        system that Beam knows. What ends in .gz is decompressed.
      feature: `str`, the feature with the example: an encoded image, as data sets
        of TFDS have it, or numbers.
    """
    super().__init__()
    self._patterns = patterns
    self._feature = feature

  def expand(self, pipeline):
    """Returns a `beam.PCollection` of `Record`s."""
    return (
      pipeline
      | MatchedFiles(self._patterns)
      | beam.FlatMap(_records, self._feature)
      # One file is read by one worker; many score what is in it.
      | beam.Reshuffle()
    )


def _records(file, feature):
  """Yields a `Record` for each `tf.train.Example` of a file."""
  path = file.metadata.path
  number = 0
  try:
    with file.open() as opened:
      for data in _framed(opened):
        name = f'{path}:{number}'
        if data is None:
          yield Record(name, error='its checksum is wrong')
        else:
          yield _record(name, data, feature)
        number += 1
  except (*READ_ERRORS, ValueError) as error:
    yield Record(f'{path}:{number}', error=f'{error}, and so are all after it')


def _framed(file):
  """Yields the content of each record, `None` where its checksum is wrong."""
  while header := file.read(_LENGTH.size):
    if len(header) < _LENGTH.size:
      raise ValueError('it is cut short')
    length, checksum = _LENGTH.unpack(header)
    if _masked_checksum(header[:8]) != checksum:
      raise ValueError('its length is damaged')
    data = file.read(length + _CHECKSUM.size)
    if len(data) < length + _CHECKSUM.size:
      raise ValueError('it is cut short')
    (checksum,) = _CHECKSUM.unpack(data[length:])
    data = data[:length]
    yield data if _masked_checksum(data) == checksum else None


def _masked_checksum(data):
  """The checksum as TFRecord files have it: turned by 15 bits, plus a constant."""
  checksum = google_crc32c.value(data)
  turned = checksum >> 15 | checksum << 17
  return (turned + 0xA282EAD8) & 0xFFFFFFFF


def _record(name, data, feature):
  try:
    features = tf.train.Example.FromString(data).features.feature
  except DecodeError as error:
    return Record(name, error=f'it is no tf.train.Example: {error}')
  kind = features[feature].WhichOneof('kind') if feature in features else None
  if kind is None:
    return Record(
      name, error=f'it has no feature {feature!r}, but {sorted(features)}'
    )
  values = getattr(features[feature], kind).value
  if kind != 'bytes_list':
    return Record(name, np.array(values))
  if len(values) != 1:
    return Record(name, error=f'{feature!r} has {len(values)} values, not one')
  return Record(name, values[0])
