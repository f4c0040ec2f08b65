# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""How several workers share a data set, and that they begin alike."""

import json
import os
import zlib

import tensorflow as tf

from tfp_ood._results import plain_results
from tfp_ood.training._gathering import gather_across_workers

__all__ = ['check_same_start', 'shared_by_example', 'shared_by_file']

# Workers compare numbers as float32, which has all whole ones below this.
_NUM_DIGESTS = 2**24


def check_same_start(strategy, settings, done, backup):
  """Raises on all workers unless they have the same settings and files.

  A worker that does not see the backup would start over while the others go on.

  Args:
    strategy: `tf.distribute.Strategy`.
    settings: `dict`, all that decides what is trained.
    done: `str`, path of a file that is there once the training has ended.
    backup: `str`, folder of the backups.

  Raises:
    ValueError: if the workers differ.
  """
  latest = tf.train.latest_checkpoint(os.path.join(backup, 'chief'))
  start = [
    plain_results(settings),
    os.path.exists(done),
    latest and os.path.basename(latest),
  ]
  digest = zlib.crc32(json.dumps(start, sort_keys=True).encode())
  digests = gather_across_workers(
    tf.constant([digest % _NUM_DIGESTS]), strategy
  ).numpy()
  if (digests != digests[0]).any():
    raise ValueError(
      'train_or_restore: the workers do not begin alike. Start the same command '
      f'on each, and let all see {os.path.dirname(done)} under this path, on a '
      f'disk that they share. This one finds {_told(*start[1:])} there.'
    )


def _told(is_done, backup):
  if is_done:
    return 'a training that has ended'
  return 'no backup' if backup is None else f'the backup {backup}'


def shared_by_example(dataset):
  """Lets several workers share each batch; a data set may be a single file.

  Args:
    dataset: `tf.data.Dataset` of batches, or `None`.

  Returns:
    `tf.data.Dataset`, or `None`.
  """
  if dataset is None:
    return None
  return _with_policy(dataset, tf.data.experimental.AutoShardPolicy.DATA)


def shared_by_file(dataset, strategy):
  """Lets each worker read files of its own, over and over.

  Args:
    dataset: `tf.data.Dataset` of batches, read from files.
    strategy: `tf.distribute.Strategy` of several workers.

  Returns:
    `tf.data.Dataset` without an end: workers whose files are few or small would
    otherwise run out of data before the others.

  Raises:
    ValueError: if there are fewer files than workers, or no files.
  """
  dataset = _with_policy(
    dataset.repeat(), tf.data.experimental.AutoShardPolicy.FILE
  )
  try:
    strategy.experimental_distribute_dataset(dataset)
  except tf.errors.OpError as error:
    raise ValueError(
      'train_or_restore: `shard_files` needs a data set that is read from record '
      'files, such as one of TFDS or tf.data.TFRecordDataset, and of those at '
      'least one for each worker. Leave it out, and all workers read all files.'
    ) from error
  return dataset


def _with_policy(dataset, policy):
  options = tf.data.Options()
  options.experimental_distribute.auto_shard_policy = policy
  return dataset.with_options(options)
