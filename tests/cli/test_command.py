# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of `tfp-ood calibrate`, `score` and `evaluate`, with a model of no size."""

import csv
import html
import json
import re
import shutil

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from cli.pictures import SHAPE, damage, simple_model, write_pictures

from tfp_ood import (
  datasets,
  distributions,
  networks,
  pretrained,
  reporting,
  stats,
)
from tfp_ood.cli import _detector_folder, main, score
from tfp_ood.cli._images import Images, encoded_digests

_NUM_HELD_OUT, _NUM_LEARNED = 80, 20


@pytest.fixture(scope='module', autouse=True)
def _known_model():
  """Makes the model one of those that weights are read for."""
  pretrained.with_weights(simple_model)
  yield
  del pretrained.factories._FACTORIES['simple_model']


@pytest.fixture(scope='module', name='place')
def _place(tmp_path_factory, _known_model):
  """A folder with photos, some of which a model has learned, and a detector."""
  place = tmp_path_factory.mktemp('place')
  number = _NUM_HELD_OUT + _NUM_LEARNED
  write_pictures(place / 'photos', 'sample_photographs/train', 0, number)
  learned = Images(f'folder:{place}/photos', SHAPE).some(_NUM_LEARNED)
  _write_model(
    place / 'model',
    training_images=encoded_digests(learned.digests),
    data=learned.name,
  )
  write_pictures(place / 'new', 'sample_photographs/test', 0, 150)
  write_pictures(place / 'new' / 'digits', 'sample_digits/test', 0, 50)
  damage(place / 'new')
  argv = [
    f'{place}/photos',
    f'--model={place}/model',
    f'--output={place}/detector',
  ]
  assert main(['calibrate', *argv]) == 0
  return place


def _write_model(folder, **information):
  arguments = {'image_shape': list(SHAPE)}
  pretrained.write_weights(
    folder / 'model.npz',
    simple_model(**arguments),
    'simple_model',
    arguments,
    information,
  )


def _score(place, output, *options):
  detector, output = f'--detector={place}/detector', f'--output={output}'
  return main(['score', f'{place}/new', detector, output, *options])


def _rows(folder):
  with open(folder / 'scores.csv', encoding='utf-8', newline='') as file:
    return list(csv.DictReader(file))


def _refusal(argv, capsys):
  """The one line that a refused command ends in."""
  capsys.readouterr()
  assert main(list(map(str, argv))) == 2
  lines = re.split('[\r\n]+', capsys.readouterr().err.strip())
  assert lines[-1].startswith(f'tfp-ood {argv[0]}: ')
  assert not any('Traceback' in line for line in lines)
  return lines[-1]


# --------------------------------------------------------------------- calibrate


def test_a_detector_is_of_the_images_that_the_model_has_not_seen(place):
  images = Images(f'folder:{place}/photos', SHAPE)
  unseen = images.where(~np.isin(images.digests, images.some(20).digests))
  model = simple_model(SHAPE)
  expected = stats.Detector(model).fit(unseen.batches())
  record = json.loads((place / 'detector' / 'detector.json').read_text())
  assert record['num_images'] == len(unseen) == _NUM_HELD_OUT
  assert record['num_calibration'] == _NUM_HELD_OUT // 2
  assert record['image_shape'] == list(SHAPE)
  assert record['score'] == stats.default_score(model).description
  assert record['command'].startswith('tfp-ood calibrate ')
  loaded = tf.saved_model.load(str(place / 'detector'))
  np.testing.assert_allclose(
    loaded.calibration_scores, expected.calibration_scores, rtol=1e-5
  )
  (batch,) = unseen.some(9).batches()
  np.testing.assert_allclose(loaded.score(batch), expected.score(batch), 1e-4)


def test_copies_of_learned_images_are_known_in_any_folder(
  place, tmp_path, capsys
):
  shutil.copytree(place / 'photos', tmp_path / 'copies')
  output = tmp_path / 'detector'
  argv = [f'{tmp_path}/copies', f'--model={place}/model', f'--output={output}']
  assert main(['calibrate', *argv, f'--training={place}/photos']) == 0
  out = capsys.readouterr().out
  assert 'copies: 20 of 100 images are left out' in out
  record = json.loads((output / 'detector.json').read_text())
  assert record['num_images'] == record['num_calibration'] == _NUM_HELD_OUT


def test_images_that_the_model_was_trained_on_are_refused(
  place, tmp_path, capsys
):
  images = Images(f'folder:{place}/photos', SHAPE)
  files = datasets.image_files(place / 'photos')
  (tmp_path / 'learned').mkdir()
  for path, digest in zip(files, images.digests, strict=True):
    if digest in images.some(_NUM_LEARNED).digests:
      shutil.copy(path, tmp_path / 'learned')
  options = (f'--model={place}/model', f'--output={tmp_path}/detector')
  line = _refusal(['calibrate', tmp_path / 'learned', *options], capsys)
  assert 'trained on all images' in line and 'has not seen' in line
  (tmp_path / 'few').mkdir()
  for path in files[:45]:
    shutil.copy(path, tmp_path / 'few')
  line = _refusal(['calibrate', tmp_path / 'few', *options], capsys)
  assert 'takes 40 images' in line
  # Read otherwise than they were: no image can be told from those learned.
  model = tmp_path / 'model'
  digests = encoded_digests(images.some(_NUM_LEARNED).digests + 1)
  _write_model(model, data=images.name, training_images=digests)
  line = _refusal(
    ['calibrate', images.name, f'--model={model}', options[1]], capsys
  )
  assert 'cannot be told' in line
  # What bundled weights were trained on is known by name.
  _write_model(model, dataset='sample_photographs')
  name = 'sample_photographs/train[:100]'
  line = _refusal(['calibrate', name, f'--model={model}', options[1]], capsys)
  assert 'was trained on sample_photographs/train' in line
  assert not (tmp_path / 'detector').exists()


def test_nothing_but_a_detector_is_replaced(place, tmp_path, capsys):
  precious = tmp_path / 'precious' / 'file'
  precious.parent.mkdir()
  precious.write_text('mine')
  argv = ['calibrate', place / 'photos', f'--model={place}/model']
  for output in (precious.parent, precious):
    line = _refusal([*argv, f'--output={output}'], capsys)
    assert 'by `tfp-ood calibrate`: give --output another name' in line
  assert precious.read_text() == 'mine'


def test_models_that_are_none_are_told(place, tmp_path, capsys):
  network = networks.small_resnet(SHAPE, width=0.1)
  path = tmp_path / 'network.npz'
  arguments = {'input_shape': list(SHAPE), 'width': 0.1}
  pretrained.write_weights(path, network, 'small_resnet', arguments)
  argv = ['calibrate', place / 'photos', f'--output={tmp_path}/detector']
  assert 'is a classifier' in _refusal([*argv, f'--model={path}'], capsys)
  model = f'--model={place}/model'
  line = _refusal([*argv, model, f'--classifier={place}/model'], capsys)
  assert 'is no classifier' in line
  arguments |= {'input_shape': [16, 16, 3]}
  network = networks.small_resnet(**arguments)
  pretrained.write_weights(path, network, 'small_resnet', arguments)
  line = _refusal([*argv, model, f'--classifier={path}'], capsys)
  assert 'images of 16 x 16 x 3, the model those of 8 x 8 x 3' in line
  path.write_bytes(path.read_bytes()[:-9])
  assert 'not a whole file' in _refusal([*argv, f'--model={path}'], capsys)


@pytest.mark.slow
def test_a_classifier_beside_the_model(place, tmp_path, capsys):
  arguments = {'input_shape': list(SHAPE), 'width': 0.1}
  network = networks.small_resnet(**arguments)
  path = tmp_path / 'network.npz'
  pretrained.write_weights(path, network, 'small_resnet', arguments)
  output = tmp_path / 'detector'
  options = (f'--classifier={path}', f'--output={output}')
  argv = ['calibrate', f'{place}/photos', f'--model={place}/model', *options]
  assert 'takes 200 images' in _refusal(argv, capsys)
  assert main([*argv, '--training=sample_photographs/train[100:300]']) == 0
  record = json.loads((output / 'detector.json').read_text())
  assert 'Combination' in record['score'] and 'Neighbors' in record['score']


# ------------------------------------------------------------------------- score


def test_scores_are_those_of_the_detector(place, tmp_path, capsys):
  assert _score(place, tmp_path, '--false_alarm_rate=0.1') == 0
  rows = _rows(tmp_path)
  files = datasets.image_files(place / 'new')
  names = [path.relative_to(place / 'new').as_posix() for path in files]
  assert [row['path'] for row in rows] == names and len(names) == 203
  detector = tf.saved_model.load(str(place / 'detector'))
  images = dict(zip(names, datasets.read_images(files, SHAPE), strict=True))
  read = [name for name in names if images[name][0] is not None]
  pixels = np.stack([images[name][0] for name in read])
  known = {row['path']: row for row in rows}
  np.testing.assert_allclose(
    [float(known[name]['score']) for name in read],
    detector.score(pixels),
    rtol=1e-4,
  )
  p_values = detector.p_value(pixels).numpy()
  # A score that rounds otherwise may pass one calibration score.
  np.testing.assert_allclose(
    [float(known[name]['p_value']) for name in read],
    p_values,
    atol=1.01 / (_NUM_HELD_OUT // 2 + 1),
  )
  flagged = [known[name]['flagged'] == 'True' for name in read]
  assert flagged == [float(known[name]['p_value']) <= 0.1 for name in read]
  captured = capsys.readouterr()
  assert f'{sum(flagged)} of 200 images' in captured.out
  assert 'report.html' in captured.out
  assert 'scoring: 100%' in captured.err
  for name in ('cut_short.png', 'empty.jpg', 'text.png'):
    row = known[name]
    assert row['error'] and not row['score'] + row['p_value'] + row['flagged']
    assert name in captured.err
  assert 'warning: 3 of 203 files cannot be read' in captured.err


def test_the_page_shows_the_extremes(place, tmp_path):
  assert _score(place, tmp_path) == 0
  page = (tmp_path / 'report.html').read_text('utf-8')
  rows = [row for row in _rows(tmp_path) if not row['error']]
  rows.sort(key=lambda row: float(row['score']))
  strangest, ordinary = page.split('The most ordinary images</h2>')
  for part, some in ((strangest, rows[-18:]), (ordinary, rows[:18])):
    assert all(row['path'] in part for row in some)
  assert rows[100]['path'] not in page
  assert page.count('<img ') == 3
  flagged = sum(row['flagged'] == 'True' for row in rows)
  assert f'{flagged} of 200 images' in page and '3 files cannot be' in page
  assert 'image file is truncated' in page and 'tfp-ood score' in page


def test_an_interrupted_run_goes_on(place, tmp_path, monkeypatch, capsys):
  whole, part = tmp_path / 'whole', tmp_path / 'part'
  assert _score(place, whole) == 0
  scored, images_of_batches = [], _detector_folder.DetectorFolder.score

  def counting(detector, images):
    if len(scored) == 1:
      raise KeyboardInterrupt
    scored.append(len(images))
    return images_of_batches(detector, images)

  with monkeypatch.context() as patch:
    patch.setattr(_detector_folder.DetectorFolder, 'score', counting)
    capsys.readouterr()
    assert _score(place, part) == 130
  assert 'interrupted. The same command goes on' in capsys.readouterr().err
  assert not (part / 'scores.csv').exists()
  partial = part / 'scores.csv.partial'
  assert partial.read_text().count('\n') == score._BATCH_SIZE
  with open(partial, 'a') as file:
    file.write('a line that was cut sho')
  with monkeypatch.context() as patch:
    scored.append(0)  # Now it counts to the end.
    patch.setattr(_detector_folder.DetectorFolder, 'score', counting)
    assert _score(place, part) == 0
  assert sum(scored) == 200
  assert _without_rounding(part) == _without_rounding(whole)
  assert not partial.exists()


def _without_rounding(folder):
  return [
    (row['path'], row['flagged'], row['score'][:6], bool(row['error']))
    for row in _rows(folder)
  ]


def test_a_complete_run_is_not_scored_again(place, tmp_path, monkeypatch):
  assert _score(place, tmp_path, '--false_alarm_rate=0.3') == 0
  before = _rows(tmp_path)
  monkeypatch.setattr(
    _detector_folder.DetectorFolder, 'score', lambda *_: pytest.fail('scored')
  )
  assert _score(place, tmp_path, '--false_alarm_rate=0.01') == 0
  after = _rows(tmp_path)
  assert [row['score'] for row in after] == [row['score'] for row in before]
  assert any(row['flagged'] == 'True' for row in before)
  # 40 calibration scores are too few for such a rate.
  assert not any(row['flagged'] == 'True' for row in after)
  assert 'too few for such a rate' in (tmp_path / 'report.html').read_text()


def _export_detector(place, path):
  """Writes a detector as Python does, and returns it."""
  images = Images(f'folder:{place}/photos', SHAPE).batches()
  detector = stats.Detector(simple_model(SHAPE), stats.NegativeLogLikelihood())
  detector.fit(images).export_saved_model(path)
  return detector


def _calibrate_anew(detector, other):
  """Writes a detector as Beam does, with the graph of another one."""
  exported = tf.saved_model.load(str(detector))
  scores = exported.calibration_scores
  scores.assign(scores + 1)
  tf.saved_model.save(exported, str(other), exported.signatures)
  shutil.copy(detector / 'saved_model.pb', other)


def test_any_exported_detector_scores(place, tmp_path):
  detector = _export_detector(place, tmp_path / 'exported')
  options = (f'--detector={tmp_path}/exported', f'--output={tmp_path}/scores')
  assert main(['score', str(place / 'new' / 'digits'), *options]) == 0
  (images,) = Images(f'folder:{place}/new/digits', SHAPE).batches()
  rows = _rows(tmp_path / 'scores')
  np.testing.assert_allclose(
    [float(row['score']) for row in rows], detector.score(images), rtol=1e-4
  )
  # A score that is rounded may pass one of the calibration.
  number = len(detector.calibration_scores)
  np.testing.assert_allclose(
    [float(row['p_value']) for row in rows],
    detector.p_value(images),
    atol=1.01 / (number + 1),
  )


def test_another_folder_or_detector_is_refused(place, tmp_path, capsys):
  new = tmp_path / 'new'
  shutil.copytree(place / 'new', new)
  detector = tmp_path / 'detector'
  shutil.copytree(place / 'detector', detector)
  options = (f'--detector={detector}', f'--output={tmp_path}/scores')
  assert main(['score', str(new), *options]) == 0
  line = _refusal(['score', place / 'new', *options], capsys)
  assert 'scores of another folder' in line and 'another --output' in line
  other = tmp_path / 'other'
  _calibrate_anew(detector, other)
  of_other = (f'--detector={other}', options[1])
  line = _refusal(['score', new, *of_other], capsys)
  assert 'scores of another detector' in line
  of_other = (f'--detector={other}', f'--output={tmp_path}/scores_of_other')
  assert main(['score', str(new), *of_other]) == 0
  (new / 'one_more.png').write_bytes((new / 'cut_short.png').read_bytes())
  line = _refusal(['score', new, *options], capsys)
  assert 'scores of another list of files' in line


def test_names_of_files_may_be_anything(place, tmp_path):
  folder = tmp_path / 'new'
  folder.mkdir()
  whole = min((place / 'new').glob('sample*.png')).read_bytes()
  names = [
    b'$x^$.png',
    b'a,"b".png',
    b'<b>.png',
    b'\xff.png',
    b'two\nlines.png',
  ]
  for name in names:
    with open(bytes(folder) + b'/' + name, 'wb') as file:
      file.write(whole)
  (folder / 'z_gone.png').symlink_to('nowhere')
  options = (f'--detector={place}/detector', f'--output={tmp_path}/scores')
  assert main(['score', str(folder), *options]) == 0
  rows = _rows(tmp_path / 'scores')
  errors = {row['path']: row['error'] for row in rows if row['error']}
  assert list(errors) == ['z_gone.png'] and 'No such' in errors['z_gone.png']
  assert [row['path'] for row in rows if not row['error']] == [
    '$x^$.png',
    '<b>.png',
    'a,"b".png',
    r'two\nlines.png',
    r'\xff.png',
  ]
  page = (tmp_path / 'scores' / 'report.html').read_text('utf-8')
  assert '&lt;b&gt;.png' in page and '<b>.png' not in page


def test_detectors_and_folders_that_are_none_are_told(place, tmp_path, capsys):
  (tmp_path / 'empty').mkdir()
  options = (f'--detector={place}/detector', f'--output={tmp_path}/scores')
  line = _refusal(['score', tmp_path / 'empty', *options], capsys)
  assert 'no images in the folder' in line
  (tmp_path / 'empty' / 'text.png').write_text('no image')
  line = _refusal(['score', tmp_path / 'empty', *options], capsys)
  assert 'No image could be scored' in line
  (row,) = _rows(tmp_path / 'scores')
  assert 'cannot identify' in row['error']
  detector = tmp_path / 'detector'
  shutil.copytree(place / 'detector', detector)
  argv = ['score', place / 'new', f'--detector={detector}']
  (detector / 'saved_model.pb').write_bytes(b'no model')
  line = _refusal([*argv, f'--output={tmp_path}/a'], capsys)
  assert 'is damaged' in line
  shutil.rmtree(detector / 'variables')
  shutil.copy(place / 'detector' / 'saved_model.pb', detector)
  line = _refusal([*argv, f'--output={tmp_path}/a'], capsys)
  assert 'cannot be loaded; write it again' in line
  shutil.rmtree(detector)
  tf.saved_model.save(tf.Module(), str(detector))
  line = _refusal([*argv, f'--output={tmp_path}/b'], capsys)
  assert 'was not written by `Detector.export_saved_model`' in line
  numbers = tfp.distributions.Sample(tfp.distributions.Normal(0.0, 1.0), [3])
  stats.Detector(numbers).fit(numbers.sample(9)).export_saved_model(detector)
  line = _refusal([*argv, f'--output={tmp_path}/b'], capsys)
  assert 'scores no images, but float32 examples of shape (3,)' in line
  shape = [4, 4, 2]
  pairs = tfp.distributions.Sample(tfp.distributions.Normal(128.0, 9.0), shape)
  images = np.round(pairs.sample(9, seed=1))
  stats.Detector(pairs).fit(images).export_saved_model(detector)
  line = _refusal([*argv, f'--output={tmp_path}/b'], capsys)
  assert 'takes images of shape (4, 4, 2)' in line and 'or three' in line


def test_images_of_values_that_the_model_does_not_have(place, tmp_path, capsys):
  model = distributions.PixelCnn(
    SHAPE, num_values=16, num_filters=2, num_blocks=1, num_levels=1, seed=1
  )
  detector = stats.Detector(model, stats.NegativeLogLikelihood())
  detector.fit(model.sample(9, seed=1)).export_saved_model(
    tmp_path / 'detector'
  )
  options = (f'--detector={tmp_path}/detector', f'--output={tmp_path}/scores')
  line = _refusal(['score', place / 'new', *options], capsys)
  assert 'does not take these images' in line and '15' in line


def test_a_folder_that_cannot_be_written_to_is_told(place, tmp_path, capsys):
  (tmp_path / 'file').write_text('no folder')
  options = (f'--detector={place}/detector', f'--output={tmp_path}/file/scores')
  line = _refusal(['score', place / 'new', *options], capsys)
  assert f'{tmp_path}/file' in line


# ---------------------------------------------------------------------- evaluate


@pytest.mark.slow
def test_evaluate(place, tmp_path, capsys):
  model, output = f'--model={place}/model', f'--output={tmp_path}/report'
  inside = f'--in_distribution={place}/photos'
  outside = '--out_of_distribution=sample_digits/test[:60],constant'
  argv = ['evaluate', model, inside, outside, output]
  assert main([*argv, '--num_evaluated=50']) == 0
  out = capsys.readouterr().out
  assert 'photos: 20 of 100 images are left out' in out
  results = reporting.read_results(tmp_path / 'report' / 'results.json')
  assert results['datasets'] == {
    'in_distribution': 'photos',
    'training': 'photos, learned',
    'out_of_distribution': ['sample_digits/test[:60]', 'constant'],
  }
  counts = {n: v['num_examples'] for n, v in results['bits_per_dim'].items()}
  assert list(counts.values()) == [50, 20, 50, 50]
  assert list(results['auroc']) == [
    'likelihood',
    'typicality',
    'input_complexity',
    'default',
  ]
  page = (tmp_path / 'report' / 'report.html').read_text('utf-8')
  assert results['command'] in html.unescape(page)
  assert 'AUROC' in out and out.strip().endswith('report.html')


def test_what_cannot_be_evaluated_is_told(place, tmp_path, capsys):
  argv = ['evaluate', f'--output={tmp_path}/report']
  inside = f'--in_distribution={place}/photos'
  outside = '--out_of_distribution=constant'
  model = tmp_path / 'model'
  _write_model(model)
  line = _refusal([*argv, f'--model={model}', inside, outside], capsys)
  assert 'give --training' in line
  _write_model(
    model, data='folder:/gone', training_images=encoded_digests(np.arange(3))
  )
  line = _refusal([*argv, f'--model={model}', inside, outside], capsys)
  assert 'folder:/gone, cannot be read; give others of the kind' in line
  argv.append(f'--model={place}/model')
  line = _refusal([*argv, inside, f'{outside},constant'], capsys)
  assert 'given twice' in line
  line = _refusal(
    [*argv, inside, '--out_of_distribution=sample_digits/test[:3]'], capsys
  )
  assert '3 images are too few' in line
