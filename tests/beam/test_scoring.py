# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests that Beam scores as a Detector does, and of what is written."""

import csv
import glob
import importlib
import sys

import apache_beam as beam
import numpy as np
import pytest
import tensorflow as tf
from beam import pipelines
from PIL import Image
from stats.decisions import detectors

import tfp_ood
import tfp_ood.beam
import tfp_ood.beam.__main__
from tfp_ood import stats


def test_what_the_model_does_not_take_is_damaged_alone(tmp_path):
  sequences = detectors.sequences(20, 1)
  chains = tfp_ood.distributions.MarkovMixture(
    length=12, order=1, num_components=1
  ).fit(tf.data.Dataset.from_tensors((sequences, np.zeros(20, np.int64))))
  detector = stats.Detector(chains, stats.NegativeLogLikelihood())
  detector.fit(sequences)
  detector.export_saved_model(tmp_path / 'detector')
  values = {str(number): x for number, x in enumerate(sequences)}
  records = [tfp_ood.beam.Record(*named) for named in values.items()]
  records.insert(3, tfp_ood.beam.Record('no letter', np.full([12], 4)))
  records += [
    tfp_ood.beam.Record('between letters', np.full([12], 0.5)),
    tfp_ood.beam.Record('no numbers', ['A'] * 12),
    tfp_ood.beam.Record('not read', error='of\nsome  reason'),
  ]
  found = pipelines.scored_by(
    tmp_path / 'detector', beam.Create(records), tmp_path
  )
  pipelines.check_scores(found, detector, values)
  assert found.reasons.keys() == {
    'no letter',
    'between letters',
    'no numbers',
    'not read',
  }
  assert found.reasons['not read'] == 'of some reason'
  assert found.reasons['between letters'] == 'it has numbers that are no int32'
  reason = found.reasons['no letter']
  assert reason.startswith('assertion failed: [markov_mixture: `x` must hold')
  assert '[4 4 4]' in reason and '{{node' not in reason


def test_csv_keeps_names_and_numbers(tmp_path):
  names = ['plain', 'with, comma', 'with "quotes"']
  images = detectors.images(3, 1)
  records = [
    tfp_ood.beam.Record(*named) for named in zip(names, images, strict=True)
  ]
  pipelines.run(
    lambda pipeline: (
      pipeline
      | beam.Create([*records, tfp_ood.beam.Record('text', b'text')])
      | tfp_ood.beam.Score(pipelines.exported())
      | tfp_ood.beam.Write(tmp_path / 'found', 'csv')
    )
  )
  scores = _csv_rows(tmp_path / 'found-scores-*.csv')
  by_name = {row['record']: float(row['score']) for row in scores}
  assert by_name.keys() == set(names)
  np.testing.assert_allclose(
    [by_name[name] for name in names],
    pipelines.detector().score(images),
    rtol=1e-6,
  )
  assert _csv_rows(tmp_path / 'found-damaged-*.csv') == [
    {'record': 'text', 'reason': 'it is no image of a known format'}
  ]


def _csv_rows(pattern):
  rows = []
  for path in glob.glob(str(pattern)):
    with open(path, newline='', encoding='utf-8') as file:
      rows += csv.DictReader(file)
  return rows


def test_other_formats_are_refused():
  with pytest.raises(ValueError, match="one of .*csv.*, got 'xlsx'"):
    tfp_ood.beam.Write('found', 'xlsx')


def test_what_is_no_exported_detector_is_refused(tmp_path):
  score = tfp_ood.beam.Score(tmp_path / 'nothing')
  with pytest.raises(ValueError, match='no SavedModel in'):
    pipelines.run(lambda pipeline: pipeline | beam.Create([]) | score)
  tf.saved_model.save(tf.Module(), str(tmp_path / 'other'))
  score = tfp_ood.beam.Score(tmp_path / 'other')
  with pytest.raises(ValueError, match='export the detector again'):
    pipelines.run(lambda pipeline: pipeline | beam.Create([]) | score)


def test_the_command(tmp_path, capsys):
  images = detectors.images(4, 1)
  for number, image in enumerate(images):
    Image.fromarray(image).save(tmp_path / f'{number}.png')
  (tmp_path / 'text.png').write_text('text')
  tfp_ood.beam.__main__.main(
    [
      f'--images={tmp_path}/*.png',
      f'--detector={pipelines.exported()}',
      f'--output={tmp_path}/found',
      '--format=csv',
      f'--calibrate={tmp_path}/calibrated',
      '--runner=FnApiRunner',
    ]
  )
  assert capsys.readouterr().out.endswith('4 scored, 1 damaged\n')
  assert len(_csv_rows(tmp_path / 'found-scores-*.csv')) == 4
  loaded = tf.saved_model.load(str(tmp_path / 'calibrated'))
  assert loaded.calibration_scores.shape == [None]
  assert len(loaded.calibration_scores.numpy()) == 4


def test_without_beam_the_error_says_what_to_install(monkeypatch):
  for name in list(sys.modules):
    if name.startswith('tfp_ood.beam'):
      monkeypatch.delitem(sys.modules, name)
  monkeypatch.setitem(sys.modules, 'apache_beam', None)
  with pytest.raises(ImportError, match=r"pip install 'tfp_ood\[beam\]'"):
    importlib.import_module('tfp_ood.beam')


@pytest.mark.slow
def test_thousands_of_images_in_two_processes(tmp_path):
  detector = stats.Detector(detectors.flow(0), stats.NegativeLogLikelihood())
  detector.fit(detectors.images(60, 2))
  detector.export_saved_model(tmp_path / 'detector')
  images = detectors.images(2_000, 1)
  values = {str(number): image for number, image in enumerate(images)}
  records = [tfp_ood.beam.Record(*named) for named in values.items()]
  damaged = [tfp_ood.beam.Record(f'{n} damaged', b'text') for n in range(5)]
  found = pipelines.scored_by(
    tmp_path / 'detector',
    beam.Create([*damaged, *records]),
    tmp_path,
    ['--direct_running_mode=multi_processing', '--direct_num_workers=2'],
  )
  pipelines.check_scores(found, detector, values)
  assert found.reasons.keys() == {record.name for record in damaged}
