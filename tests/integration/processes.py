# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Scripts in processes of their own, and what they report.

Devices and clusters are set up before TensorFlow starts. A script gets the path
of the report to write, a JSON file, as its first argument.
"""

import json
import os
import socket
import subprocess
import sys

_TIMEOUT = 240

# What scripts that train begin with.
TRAINING = """
import json
import os
import sys

import numpy as np
import tensorflow as tf
import tf_keras

import tfp_ood


def two_replicas():
  tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices('CPU')[0],
    [tf.config.LogicalDeviceConfiguration()] * 2,
  )
  return tfp_ood.training.make_strategy('mirrored')


def batches(examples, batch_size=8):
  dataset = tf.data.Dataset.from_tensor_slices(examples).batch(batch_size)
  options = tf.data.Options()
  options.experimental_distribute.auto_shard_policy = (
    tf.data.experimental.AutoShardPolicy.DATA
  )
  return dataset.with_options(options)


def values(variables):
  return [variable.numpy().tolist() for variable in variables]


def write(report):
  with open(sys.argv[1], 'w') as file:
    json.dump(report, file)

"""


def start(folder, name, script, *arguments, **environment):
  """Starts a script.

  Args:
    folder: `pathlib.Path`, where the script, its log and its report go.
    name: `str`.
    script: `str`, Python code.
    *arguments: further arguments of the script.
    **environment: further variables of its environment.

  Returns:
    `subprocess.Popen`.
  """
  path = folder / f'{name}.py'
  path.write_text(script)
  inherited = {k: v for k, v in os.environ.items() if k != 'TF_CONFIG'}
  with open(folder / f'{name}.log', 'wb') as log:
    return subprocess.Popen(
      [sys.executable, path, folder / f'{name}.json', *map(str, arguments)],
      env={
        **inherited,
        'TF_CPP_MIN_LOG_LEVEL': '2',
        'CUDA_VISIBLE_DEVICES': '-1',
        **environment,
      },
      cwd=folder,
      stdout=log,
      stderr=subprocess.STDOUT,
    )


def start_workers(folder, script, *arguments, **environment):
  """Starts a script as the two workers of a cluster; see `start`.

  Returns:
    `dict` of `subprocess.Popen` by name, `worker_0` and `worker_1`.
  """
  sockets = [socket.socket() for _ in range(2)]
  for one in sockets:
    one.bind(('localhost', 0))
  addresses = [f'localhost:{one.getsockname()[1]}' for one in sockets]
  for one in sockets:
    one.close()
  workers = {}
  for index in range(2):
    task = {'type': 'worker', 'index': index}
    cluster = {'cluster': {'worker': addresses}, 'task': task}
    name = f'worker_{index}'
    workers[name] = start(
      folder,
      name,
      script,
      *arguments,
      TF_CONFIG=json.dumps(cluster),
      **environment,
    )
  return workers


def reports(folder, processes, returncode=0):
  """Waits for scripts and returns their reports.

  Args:
    folder: the folder of all of them.
    processes: `dict` of what `start` returned, by name.
    returncode: Python `int`, how they are to end.

  Returns:
    List of what they wrote, `None` where they wrote nothing.
  """
  try:
    for name, process in processes.items():
      ended = process.wait(timeout=_TIMEOUT)
      log = (folder / f'{name}.log').read_text()
      assert ended == returncode, log[-4000:]
  finally:
    for process in processes.values():
      process.kill()
      process.wait()
  paths = [folder / f'{name}.json' for name in processes]
  return [
    json.loads(path.read_text()) if path.exists() else None for path in paths
  ]


def report(folder, name, script, *arguments, returncode=0, **environment):
  """Runs one script to its end and returns its report."""
  process = start(folder, name, script, *arguments, **environment)
  return reports(folder, {name: process}, returncode)[0]
