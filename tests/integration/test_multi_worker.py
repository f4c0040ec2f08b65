# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of a training on two machines that loses one of them."""

import collections
import signal

import numpy as np
import processes
import pytest
import tensorflow as tf
import tensorflow_datasets as tfds

pytestmark = [
  pytest.mark.slow,
  pytest.mark.skipif(
    not hasattr(signal, 'SIGKILL'), reason='No SIGKILL on this system.'
  ),
]

# Of the files; each is a class. In turns, a worker gets the first and the third.
_SIZES = 5, 40, 11, 24
_BATCH_SIZE = 8
_STEPS_PER_EPOCH = 10
_EPOCHS = 4
_STOPPED_AFTER = 25
_LAST_BACKUP = 20

# The variables KILL and INTERRUPT make a worker end after so many steps, as `kill -9`
# or the user would end it. `files` is a training in which each worker has files of
# its own, in `examples` they share each batch.
_WORKER = (
  processes.TRAINING
  + f"""
import signal

# What is started in the background may have been told to ignore it.
signal.signal(signal.SIGINT, signal.default_int_handler)
strategy = tfp_ood.training.make_strategy('multi_worker')
index = json.loads(os.environ['TF_CONFIG'])['task']['index']
sys.modules['tfp_ood.training.train_or_restore']._BACKUP_STEPS = 10
records, folder = sys.argv[2:]


class Labels(tfp_ood.training.DistributionModel):
  # Keeps the labels of the examples that its worker trains on.
  def __init__(self, distribution):
    super().__init__(distribution)
    self.labels = set()

  def example_losses(self, x, y, seed):
    tf.py_function(lambda y: self.labels.update(y.numpy().tolist()), [y], [])
    return super().example_losses(x, y, seed)


class Steps(tf_keras.callbacks.Callback):
  def __init__(self, signal_at_end):
    super().__init__()
    self.steps, self._signal_at_end = [], signal_at_end

  def on_train_batch_end(self, batch, logs=None):
    self.steps.append(int(self.model.optimizer.iterations.numpy()))
    if self.steps[-1] == {_STOPPED_AFTER} and self._signal_at_end:
      os.kill(os.getpid(), self._signal_at_end)


def train(name, signal_at_end=None, settings=None, dataset=None, **kwargs):
  with strategy.scope():
    normal = tfp_ood.distributions.learned_normal([4, 4, 3])
    model = Labels(normal)
    model.compile(tfp_ood.training.adam(0.1, ema_momentum=0.9))
  steps = Steps(signal_at_end)
  dataset = dataset or tfp_ood.datasets.load(
    'blocks/train', data_dir=records, batch_size={_BATCH_SIZE}
  )
  record = tfp_ood.training.train_or_restore(
    model,
    os.path.join(folder, name),
    settings or {{}},
    dataset.map(lambda x, y: (tf.cast(x, tf.float32) / 128 - 1, y)),
    epochs={_EPOCHS},
    callbacks=[steps],
    **kwargs,
  )
  return {{
    'record': record,
    'steps': steps.steps,
    'weights': values(normal.variables),
    'labels': sorted(model.labels),
  }}


def error_of(*args, **kwargs):
  try:
    train(*args, **kwargs)
  except ValueError as error:
    return str(error)


report = {{}}
try:
  interrupt = signal.SIGINT if 'INTERRUPT' in os.environ else None
  report['files'] = train('files', interrupt, shard_files=True)
except KeyboardInterrupt:
  print('interrupted', flush=True)
is_killed = os.environ.get('KILL') == str(index)
report['examples'] = train('examples', signal.SIGKILL if is_killed else None)
report['whole'] = train('whole')
report['errors'] = {{
  'settings': error_of('settings', settings={{'rate': index}}),
  'folder': error_of('elsewhere' if index else 'examples'),
  'memory': error_of(
    'memory', dataset=batches((np.zeros([8, 4, 4, 3]), [0] * 8)), shard_files=True
  ),
}}
write(report)
"""
)

_Runs = collections.namedtuple('_Runs', ['log', 'files', 'reports'])


def _write_records(folder):
  """Writes files of other sizes each, as TFDS reads them without a builder."""
  folder = folder / 'blocks' / '1.0.0'
  folder.mkdir(parents=True)
  features = tfds.features.FeaturesDict(
    {
      'image': tfds.features.Image(shape=(4, 4, 3), encoding_format='png'),
      'label': tfds.features.ClassLabel(num_classes=len(_SIZES)),
    }
  )
  files = tfds.core.ShardedFileTemplate(
    data_dir=folder,
    dataset_name='blocks',
    split='train',
    filetype_suffix='tfrecord',
  )
  generator = np.random.default_rng(0)
  for index, size in enumerate(_SIZES):
    path = files.sharded_filepath(shard_index=index, num_shards=len(_SIZES))
    with tf.io.TFRecordWriter(str(path)) as file:
      for image in generator.integers(0, 256, [size, 4, 4, 3], np.uint8):
        example = {'image': image, 'label': index}
        encoded = features.encode_example(example)
        file.write(features.serialize_example(encoded))
  split = tfds.core.SplitInfo(
    name='train', shard_lengths=_SIZES, num_bytes=0, filename_template=files
  )
  tfds.folder_dataset.write_metadata(
    data_dir=folder, features=features, split_infos=[split]
  )


# The chief, worker 0, is where the others meet: to lose it is another case.
@pytest.fixture(
  scope='module',
  name='runs',
  params=[1, pytest.param(0, marks=pytest.mark.exhaustive)],
)
def _runs(request, tmp_path_factory):
  """A training that loses a worker, and the same commands again."""
  folder = tmp_path_factory.mktemp('multi_worker')
  records, outputs = folder / 'records', folder / 'outputs'
  _write_records(records)
  killed, survivor = request.param, 1 - request.param
  workers = processes.start_workers(
    folder, _WORKER, records, outputs, INTERRUPT='1', KILL=str(killed)
  )
  for name, returncode in ((killed, -signal.SIGKILL), (survivor, 1)):
    name = f'worker_{name}'
    processes.reports(folder, {name: workers[name]}, returncode)
  log = (folder / f'worker_{survivor}.log').read_text()
  files = sorted(path.name for path in (outputs / 'examples').iterdir())
  workers = processes.start_workers(folder, _WORKER, records, outputs)
  return _Runs(log, files, processes.reports(folder, workers))


def test_the_others_end_and_say_what_to_do(runs):
  assert 'interrupted' in runs.log
  last_line = runs.log.strip().splitlines()[-1]
  assert 'LostWorkerError' in last_line
  assert 'start the same command again on every worker' in last_line
  assert 'examples' in last_line


def test_there_is_a_backup_and_no_result(runs):
  assert 'backup' in runs.files
  assert 'training.json' not in runs.files


def test_the_same_commands_again_go_on_from_the_last_backup(runs):
  num_steps = _EPOCHS * _STEPS_PER_EPOCH
  for report in runs.reports:
    for name in ('examples', 'files'):
      steps = list(range(_LAST_BACKUP + 1, num_steps + 1))
      assert report[name]['steps'] == steps
      record = report[name]['record']
      assert record['steps'] == num_steps
      assert record['examples'] == num_steps * _BATCH_SIZE
      assert [epoch['epoch'] for epoch in record['epochs']] == [1, 2, 3, 4]


def test_workers_end_with_equal_weights(runs):
  first, second = runs.reports
  for name in ('examples', 'files', 'whole'):
    assert first[name]['weights'] == second[name]['weights']
  assert first['files']['weights'] != first['examples']['weights']


def test_a_killed_training_ends_as_one_that_was_not(runs):
  # The last backup is of the end of an epoch, and the order is that of the files.
  report = runs.reports[0]
  assert report['whole']['steps'] == list(
    range(1, _EPOCHS * _STEPS_PER_EPOCH + 1)
  )
  for one, other in zip(
    report['examples']['weights'], report['whole']['weights'], strict=True
  ):
    np.testing.assert_allclose(one, other, rtol=1e-5, atol=1e-6)


def test_workers_share_examples_or_files(runs):
  first, second = runs.reports
  assert first['whole']['labels'] == second['whole']['labels'] == [0, 1, 2, 3]
  assert first['files']['labels'] == [0, 2]
  assert second['files']['labels'] == [1, 3]


def test_workers_that_do_not_begin_alike_are_refused(runs):
  for report in runs.reports:
    for name in ('settings', 'folder'):
      assert 'do not begin alike' in report['errors'][name]
  first, second = (report['errors']['folder'] for report in runs.reports)
  assert 'a training that has ended' in first
  assert 'no backup' in second


def test_files_of_their_own_need_files(runs):
  for report in runs.reports:
    assert 'record files' in report['errors']['memory']
