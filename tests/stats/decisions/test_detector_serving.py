# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests that an exported detector answers what TensorFlow Serving asks it.

The server is not here. What it does with a request is: `_answer` makes tensors of JSON
and JSON of tensors by the rules of its REST API (tensorflow_serving/util/json_tensor.cc).
"""

import functools
import json
import tempfile

import numpy as np
import pytest
import tensorflow as tf
import tensorflow_probability as tfp
from stats.decisions import detectors

from tfp_ood import stats

prediction_log_pb2 = pytest.importorskip(
  'tensorflow_serving.apis.prediction_log_pb2'
)

_FOLDERS = []
_WARM_UP = 'assets.extra/tf_serving_warmup_requests'


@functools.cache
def _detector():
  score = stats.NegativeLogLikelihood()
  detector = stats.Detector(detectors.background(120.0), score)
  return detector.fit(detectors.images(30, 2))


@functools.cache
def _loaded(detector=_detector):
  folder = tempfile.TemporaryDirectory()
  _FOLDERS.append(folder)  # It is there until the end.
  detector().export_saved_model(folder.name)
  return tf.saved_model.load(folder.name)


def _answer(loaded, request):
  """What TensorFlow Serving answers to the body of a predict request."""
  request = json.loads(request)
  name = request.get('signature_name', 'serving_default')
  signature = loaded.signatures[name]
  specs = signature.structured_input_signature[1]
  is_rows = 'instances' in request
  columns = _columns(request['instances']) if is_rows else request['inputs']
  if not isinstance(columns, dict):
    (only,) = specs
    columns = {only: columns}
  assert columns.keys() == specs.keys()
  outputs = signature(
    **{key: _tensor(values, specs[key]) for key, values in columns.items()}
  )
  columns = {key: value.numpy().tolist() for key, value in outputs.items()}
  if len(columns) == 1:
    (columns,) = columns.values()
  if not is_rows:
    return json.dumps({'outputs': columns})
  if isinstance(columns, dict):
    rows = zip(*columns.values(), strict=True)
    columns = [dict(zip(columns, row, strict=True)) for row in rows]
  assert len(columns) == len(request['instances'])
  return json.dumps({'predictions': columns})


def _columns(instances):
  if not isinstance(instances[0], dict):
    return instances
  assert all(row.keys() == instances[0].keys() for row in instances)
  return {key: [row[key] for row in instances] for key in instances[0]}


def _tensor(values, spec):
  if spec.dtype.is_integer:  # The server takes no 1.0 for an integer.
    assert all(type(v) is int for v in np.ravel(np.array(values, object)))
  return tf.constant(np.array(values).astype(spec.dtype.as_numpy_dtype))


def _images(count=3):
  images = detectors.images(count, 4)
  images[-1] = 255
  return images


def test_rows_of_images_as_lists_and_as_objects():
  images = _images()
  expected = _detector().score(images).numpy()
  rows = images.tolist()
  for instances in (rows, [{'images': row} for row in rows]):
    request = {'signature_name': 'score', 'instances': instances}
    answer = json.loads(_answer(_loaded(), json.dumps(request)))
    np.testing.assert_allclose(answer['predictions'], expected, rtol=1e-6)


def test_columns():
  images = _images()
  for inputs in (images.tolist(), {'images': images.tolist()}):
    request = {'signature_name': 'p_value', 'inputs': inputs}
    answer = json.loads(_answer(_loaded(), json.dumps(request)))
    np.testing.assert_array_equal(
      answer['outputs'], _detector().p_value(images)
    )


def test_a_request_that_names_no_signature():
  images = _images()
  request = json.dumps({'instances': images.tolist()})
  answer = json.loads(_answer(_loaded(), request))['predictions']
  assert all(row.keys() == {'score', 'p_value'} for row in answer)
  np.testing.assert_allclose(
    [row['score'] for row in answer], _detector().score(images), rtol=1e-6
  )
  np.testing.assert_array_equal(
    [row['p_value'] for row in answer], _detector().p_value(images)
  )


def test_predict_with_a_rate_for_all_or_for_each_row():
  images = _images()
  p_values = _detector().p_value(images).numpy()
  rates = [float(p) for p in p_values]  # One that flags, one that does not.
  rates[0] -= 0.01
  rows = [
    {'images': image.tolist(), 'false_alarm_rate': rate}
    for image, rate in zip(images, rates, strict=True)
  ]
  request = {'signature_name': 'predict', 'instances': rows}
  answer = json.loads(_answer(_loaded(), json.dumps(request)))
  assert answer['predictions'] == [False, True, True]
  inputs = {'images': images.tolist(), 'false_alarm_rate': 0.05}
  request = {'signature_name': 'predict', 'inputs': inputs}
  answer = json.loads(_answer(_loaded(), json.dumps(request)))
  assert answer['outputs'] == (p_values <= 0.05).tolist()


def test_rates_of_a_detector_may_differ_by_example():
  images = _images()
  p_values = _detector().p_value(images)
  flagged = _detector().predict(images, p_values - [0.01, 0.0, 0.0])
  assert flagged.numpy().tolist() == [False, True, True]
  with pytest.raises(ValueError, match=r'false_alarm_rate.*1\.5'):
    _detector().predict(images, [0.5, 1.5, 0.5])


def test_rates_out_of_range_are_refused_in_any_row():
  rows = [
    {'images': image.tolist(), 'false_alarm_rate': rate}
    for image, rate in zip(_images(2), (0.5, 0.0), strict=True)
  ]
  request = json.dumps({'signature_name': 'predict', 'instances': rows})
  with pytest.raises(tf.errors.InvalidArgumentError, match='false_alarm_rate'):
    _answer(_loaded(), request)


def test_examples_that_are_no_images():
  sequences = detectors.sequences(5, 3)
  loaded = _loaded(detectors.of_sequences)
  request = {'instances': [{'examples': row} for row in sequences.tolist()]}
  answer = json.loads(_answer(loaded, json.dumps(request)))['predictions']
  np.testing.assert_array_equal(
    [row['p_value'] for row in answer],
    detectors.of_sequences().p_value(sequences),
  )


def test_vectors_of_fractions():
  vectors = np.random.default_rng(0).normal(size=[6, 3]).astype(np.float32)
  normal = tfp.distributions.Sample(
    tfp.distributions.Normal(tf.Variable(0.0), 1.0), [3]
  )
  detector = stats.Detector(normal, stats.NegativeLogLikelihood())
  detector.fit(vectors)
  request = {'signature_name': 'score', 'instances': vectors.tolist()}
  answer = json.loads(_answer(_loaded(lambda: detector), json.dumps(request)))
  np.testing.assert_allclose(
    answer['predictions'], detector.score(vectors), rtol=1e-6
  )


# ----------------------------------------------------------------------- warm-up


def test_the_server_finds_requests_that_the_model_answers(tmp_path):
  images = _images()
  _detector().export_saved_model(tmp_path, warm_up=images)
  loaded = tf.saved_model.load(str(tmp_path))
  records = tf.data.TFRecordDataset(str(tmp_path / _WARM_UP))
  asked = []
  for record in records.as_numpy_iterator():
    log = prediction_log_pb2.PredictionLog.FromString(record)
    request = log.predict_log.request
    name = request.model_spec.signature_name
    inputs = {k: tf.make_ndarray(v) for k, v in request.inputs.items()}
    np.testing.assert_array_equal(inputs['images'], images)
    loaded.signatures[name](**{k: tf.constant(v) for k, v in inputs.items()})
    # Nothing else was written.
    expected = prediction_log_pb2.PredictionLog()
    expected.predict_log.request.model_spec.signature_name = name
    for key, value in inputs.items():
      expected.predict_log.request.inputs[key].CopyFrom(
        tf.make_tensor_proto(value)
      )
    assert log == expected and len(record) == expected.ByteSize()
    asked.append(name)
  assert sorted(asked) == sorted(loaded.signatures)


def test_without_examples_there_is_no_warm_up(tmp_path):
  _detector().export_saved_model(tmp_path / 'detector')
  assert not (tmp_path / 'detector' / _WARM_UP).exists()


@pytest.mark.parametrize(
  'warm_up, message',
  [
    (np.zeros([1, 8, 8, 1], np.uint8), 'shape'),
    (np.zeros([1, 8, 8, 3], np.float32), 'must be uint8'),
  ],
)
def test_other_examples_do_not_warm_up(tmp_path, warm_up, message):
  with pytest.raises(ValueError, match=message):
    _detector().export_saved_model(tmp_path / 'detector', warm_up=warm_up)
  assert not list(tmp_path.iterdir())
