# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Requests that TensorFlow Serving warms a SavedModel up with."""

import os

import tensorflow as tf

__all__ = ['WARM_UP_FILE', 'write_warm_up']

WARM_UP_FILE = os.path.join('assets.extra', 'tf_serving_warmup_requests')


def write_warm_up(folder, requests):
  """Writes requests where TensorFlow Serving looks for them.

  It is a TFRecord file of `tensorflow.serving.PredictionLog` messages. Those are in
  tensorflow-serving-api, which is not needed for so few fields:

  ```none
  PredictionLog   { PredictLog predict_log = 6 }
  PredictLog      { PredictRequest request = 1 }
  PredictRequest  { ModelSpec model_spec = 1; map<string, TensorProto> inputs = 2 }
  ModelSpec       { string signature_name = 3 }
  ```

  Args:
    folder: that of the SavedModel.
    requests: list of pairs of the name of a signature and a `dict` of its inputs by
      their names, tensors.
  """
  path = os.path.join(folder, WARM_UP_FILE)
  os.makedirs(os.path.dirname(path), exist_ok=True)
  with tf.io.TFRecordWriter(path) as file:
    for signature, inputs in requests:
      file.write(_prediction_log(signature, inputs))


def _prediction_log(signature, inputs):
  request = _field(1, _field(3, signature.encode()))
  for name, value in inputs.items():
    tensor = tf.make_tensor_proto(value.numpy()).SerializeToString()
    # The entry of a map is a message of a key and a value.
    request += _field(2, _field(1, name.encode()) + _field(2, tensor))
  return _field(6, _field(1, request))


def _field(number, value):
  """Encodes a field of a message: its number and kind, the length, the bytes."""
  return bytes([number << 3 | 2]) + _varint(len(value)) + value


def _varint(value):
  encoded = bytearray()
  while value > 127:
    encoded.append(value & 127 | 128)
    value >>= 7
  return bytes([*encoded, value])
