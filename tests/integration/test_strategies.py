# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of training on several devices and on several machines.

Devices and clusters are set up before TensorFlow starts: each test looks at
what scripts in their own processes report.
"""

import numpy as np
import processes
import pytest

pytestmark = pytest.mark.slow

_COMMON = (
  processes.TRAINING
  + """
def images(number, seed):
  generator = np.random.default_rng(seed)
  coarse = generator.uniform(0, 256, size=[number, 2, 2, 3])
  fine = coarse.repeat(2, axis=1).repeat(2, axis=2)
  fine += generator.normal(0, 10, size=fine.shape)
  return np.clip(fine, 0, 255).astype(np.uint8)


class FixedNoise(tfp_ood.training.DistributionModel):
  # Each replica would draw its own: fixed noise is the same on any devices.
  def example_losses(self, x, y, seed):
    return super().example_losses(x, y, seed=None)


def build(optimizer, kind=tfp_ood.training.DistributionModel):
  flow = tfp_ood.distributions.glow(
    [4, 4, 3],
    num_levels=1,
    num_steps=2,
    hidden_channels=4,
    seed=[0, 1],
    recompute=False,
  )
  model = kind(flow, seed=3)
  model.compile(optimizer())
  return model


def sgd():
  return tf_keras.optimizers.SGD(0.05)


def adam():
  return tfp_ood.training.adam(
    1e-2, warmup_steps=2, global_clipnorm=1.0, ema_momentum=0.5
  )


def weights(model):
  return values(model.distribution.variables)


class Network(tf.Module):
  # Normals around what a network makes, of other statistics in training.
  def __init__(self):
    super().__init__(name='network')
    tf_keras.utils.set_random_seed(0)
    regularizer = tf_keras.regularizers.L2(0.3)
    inner = [
      tf_keras.layers.Dense(3, 'tanh', kernel_regularizer=regularizer),
      tf_keras.layers.BatchNormalization(momentum=0.5),
      tf_keras.layers.Dense(3, name='frozen'),
      tf_keras.layers.Dense(3, activity_regularizer='l2'),
    ]
    self.layers = tf_keras.Sequential([tf_keras.layers.Input([3]), *inner])
    self.layers.get_layer('frozen').trainable = False
    self.event_shape = tf.TensorShape([3])
    self.dtype = tf.float32

  def log_prob(self, x, training=False):
    outputs = self.layers(x, training=training)
    return -tf.reduce_sum((x - outputs) ** 2, axis=-1)


class BeforeTraining(tf_keras.callbacks.Callback):
  def on_train_begin(self, logs=None):
    self.weights = weights(self.model)
"""
)

_MIRRORED = """
strategy = two_replicas()
report = {'num_replicas': strategy.num_replicas_in_sync}


def differences(model):
  return [
    float(np.max(np.abs(np.subtract(*[
      np.float64(copy.numpy()) for copy in variable.values
    ]))))
    for variable in model.distribution.variables
  ]


def pair(make):
  with strategy.scope():
    mirrored = make()
  return mirrored, make()


data = images(32, 0)
mirrored, single = pair(lambda: build(sgd, FixedNoise))
report['initialized_before'] = [
  model.distribution.is_initialized for model in (mirrored, single)
]
report['errors_before'] = []
for model in (mirrored, single):
  try:
    model.distribution.log_prob(data)
  except ValueError as error:
    report['errors_before'].append(str(error))
for model in (mirrored, single):
  model.initialize(batches(data))
report['differences_after_initialization'] = differences(mirrored)
report['initialized'] = weights(mirrored), weights(single)


def gradients(model, images, num_images):
  with tf.GradientTape() as tape:
    log_prob = model.distribution.log_prob(images)
    loss = -tf.reduce_sum(log_prob) / num_images
  return tape.gradient(loss, model.distribution.trainable_variables)


@tf.function
def mirrored_gradients():
  per_replica = strategy.experimental_distribute_values_from_function(
    lambda context: tf.constant(
      data[16 * context.replica_id_in_sync_group :][:16]
    )
  )
  by_replica = strategy.run(gradients, (mirrored, per_replica, 32))
  return strategy.reduce('SUM', by_replica, axis=None)


# Moved from the start, where half of the gradients are zero.
for index, (one, other) in enumerate(
  zip(
    mirrored.distribution.trainable_variables,
    single.distribution.trainable_variables,
  )
):
  noise = np.random.default_rng(index).normal(0, 0.05, one.shape)
  one.assign_add(noise.astype(np.float32))
  other.assign_add(noise.astype(np.float32))
report['gradients'] = [
  [gradient.numpy().tolist() for gradient in result]
  for result in (mirrored_gradients(), gradients(single, data, 32))
]

for name, dataset in (
  ('even', batches(data)),
  # The last batch has 3 images, 2 for one replica and 1 for the other; or one,
  # and the other replica has none.
  ('uneven', batches(data[:27])),
  ('single', batches(data[:25])),
):
  report[name] = {
    'losses': [
      model.fit(dataset, epochs=2, verbose=0).history['bits_per_dim']
      for model in (mirrored, single)
    ],
    'weights': [weights(model) for model in (mirrored, single)],
    'differences': differences(mirrored),
    'evaluate': [
      model.evaluate(dataset, verbose=0) for model in (mirrored, single)
    ],
    'predict': [
      model.predict(dataset, verbose=0).tolist() for model in (mirrored, single)
    ],
  }

mirrored, single = pair(lambda: build(adam))
before_training = BeforeTraining(), BeforeTraining()
report['adam'] = {
  'losses': [
    model.fit(
      batches(data), epochs=4, verbose=0, callbacks=[callback]
    ).history['bits_per_dim']
    for model, callback in zip((mirrored, single), before_training)
  ],
  'initialized': [callback.weights for callback in before_training],
  'differences': differences(mirrored),
}


def regularized():
  model = tfp_ood.training.DistributionModel(Network())
  model.compile(tf_keras.optimizers.SGD(0.05))
  return model


pairs = pair(regularized)
examples = np.random.default_rng(0).normal(size=[16, 3]).astype(np.float32)
report['regularized'] = []
for model in pairs:
  before = weights(model)
  losses = model.fit(batches(examples), epochs=2, verbose=0).history
  report['regularized'].append({
    'losses': losses['bits_per_dim'],
    'weights': weights(model),
    'moved': [
      old != new for old, new in zip(before, weights(model), strict=True)
    ],
    'trained': [
      any(v is t for t in model.trainable_variables)
      for v in model.distribution.variables
    ],
  })


class Overflowing(tf.Module):
  # A normal, scored as impossible in any place beyond 50.
  def __init__(self):
    super().__init__(name='overflowing')
    self.loc = tf.Variable([0.0, 0.0])
    self.event_shape = tf.TensorShape([2])

  def log_prob(self, x):
    scale = tf.where(x[..., 0] > 50, np.inf, 1.0)
    return -tf.reduce_sum((x - self.loc) ** 2, axis=-1) * scale


examples = np.ones([40, 4, 2], np.float32)
# One replica of two gets it.
examples[10:13, 0] = 100.0
with strategy.scope():
  model = tfp_ood.training.DistributionModel(
    Overflowing(), max_skipped_steps=5
  )
  model.compile(tfp_ood.training.adam(0.1))
losses = model.fit(
  batches(examples.reshape([160, 2]), 4),
  verbose=0,
  callbacks=[tfp_ood.training.StopOnNaN()],
).history
report['overflowing'] = {
  'skipped': int(model.skipped_steps.numpy()),
  'loss': losses['bits_per_dim'],
  'differences': differences(model),
  'loc': model.distribution.loc.numpy().tolist(),
}


def train():
  with strategy.scope():
    model = tfp_ood.training.DistributionModel(
      tfp_ood.distributions.learned_normal([3])
    )
    model.compile(tfp_ood.training.adam(0.1))
  data = batches(np.ones([24, 3], np.float32))
  watch = tfp_ood.training.Watch(
    model.distribution,
    {'likelihood': tfp_ood.stats.NegativeLogLikelihood()},
    data,
    {'zeros': batches(np.zeros([11, 3], np.float32))},
  )
  record = tfp_ood.training.train_or_restore(
    model, sys.argv[2], {}, data, minutes=2e-3, callbacks=[watch]
  )
  return {
    'record': record,
    'steps': int(model.optimizer.iterations.numpy()),
    'weights': weights(model),
  }


report['trained'] = [train(), train()]
write(report)
"""

_WORKER = """
index = json.loads(os.environ['TF_CONFIG'])['task']['index']
strategy = tfp_ood.training.make_strategy('multi_worker')
with strategy.scope():
  model = build(adam)
# Other images on each worker, until the strategy deals out the batches.
own = images(16, index)
options = tf.data.Options()
options.experimental_distribute.auto_shard_policy = (
  tf.data.experimental.AutoShardPolicy.OFF
)
dataset = batches(own).with_options(options)
before_training = BeforeTraining()
history = model.fit(dataset, epochs=3, verbose=0, callbacks=[before_training])
report = {
  'num_replicas': strategy.num_replicas_in_sync,
  'initialized': before_training.weights,
  'losses': history.history['bits_per_dim'],
}
report['weights'] = weights(model)
report['evaluate'] = model.evaluate(
  batches(images(16, 5)), verbose=0, return_dict=True
)
report['log_prob'] = model.distribution.log_prob(images(4, 5)).numpy().tolist()

alone = tfp_ood.distributions.glow(
  [4, 4, 3], num_levels=1, num_steps=2, hidden_channels=4, seed=[0, 1]
)
alone.initialize(np.concatenate([images(16, 0), images(16, 1)]))
report['expected'] = values(alone.variables)


class Batchwise(Network):
  def training_loss(self, x, seed):
    return -self.log_prob(x, training=True)


class Interrupt(tf_keras.callbacks.Callback):
  def on_train_batch_end(self, batch, logs=None):
    if int(self.model.optimizer.iterations.numpy()) == 5:
      raise KeyboardInterrupt


def train(folder, callbacks=()):
  with strategy.scope():
    model = tfp_ood.training.DistributionModel(Batchwise())
    model.compile(tfp_ood.training.adam(1e-2))
  batch = np.random.default_rng(0).normal(size=[8, 3]).astype(np.float32)
  dataset = tf.data.Dataset.from_tensors(batch).repeat(4)
  record = tfp_ood.training.train_or_restore(
    model, folder, {'rate': 1e-2}, dataset, epochs=3, callbacks=callbacks
  )
  steps = int(model.optimizer.iterations.numpy())
  return {'record': record, 'steps': steps, 'weights': weights(model)}


sys.modules['tfp_ood.training.train_or_restore']._BACKUP_STEPS = 4
# Folders of their own: one of them stays empty.
own = f'{sys.argv[2]}_{index}'
report['whole'] = train(own)
report['files'] = sorted(os.listdir(own)) if os.path.exists(own) else []
try:
  train(sys.argv[2], [Interrupt()])
except KeyboardInterrupt:
  report['files_of_interrupted'] = sorted(os.listdir(sys.argv[2]))
report['resumed'] = train(sys.argv[2])
report['restored'] = train(sys.argv[2])
write(report)
"""


def _assert_close(actual, expected, rtol, atol=0.0):
  assert len(actual) == len(expected)
  for one, other in zip(actual, expected, strict=True):
    np.testing.assert_allclose(one, other, rtol=rtol, atol=atol)


@pytest.fixture(scope='module', name='mirrored')
def _mirrored(tmp_path_factory):
  folder = tmp_path_factory.mktemp('mirrored')
  script = _COMMON + _MIRRORED
  return processes.report(folder, 'mirrored', script, folder / 'trained')


def test_mirrored_initialization_is_that_of_one_device(mirrored):
  assert mirrored['num_replicas'] == 2
  assert max(mirrored['differences_after_initialization']) == 0
  _assert_close(*mirrored['initialized'], rtol=1e-6)


def test_mirrored_flows_know_whether_they_are_initialized(mirrored):
  assert mirrored['initialized_before'] == [False, False]
  of_two, of_one = mirrored['errors_before']
  assert of_two == of_one
  assert 'not initialized' in of_two


def test_mirrored_gradients_are_those_of_one_device(mirrored):
  of_two, of_one = mirrored['gradients']
  assert all(np.abs(gradient).max() > 0 for gradient in of_one)
  _assert_close(of_two, of_one, rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize('batches', ['even', 'uneven', 'single'])
def test_mirrored_training_is_that_of_one_device(mirrored, batches):
  report = mirrored[batches]
  assert max(report['differences']) == 0
  _assert_close(*report['losses'], rtol=1e-4)
  _assert_close(*report['weights'], rtol=1e-3, atol=1e-5)
  _assert_close(*report['predict'], rtol=1e-4)
  np.testing.assert_allclose(*report['evaluate'], rtol=1e-5)


def test_fit_initializes_replicas_and_keeps_them_equal(mirrored):
  report = mirrored['adam']
  assert max(report['differences']) == 0
  _assert_close(*report['initialized'], rtol=1e-6)
  of_two, of_one = report['losses']
  assert of_two[-1] < of_two[0]
  # Each replica draws its own noise: near, and not the same.
  np.testing.assert_allclose(of_two, of_one, atol=0.2)
  assert of_two != of_one


def test_layers_of_keras_train_on_replicas_as_on_one_device(mirrored):
  of_two, of_one = mirrored['regularized']
  # Regularizers count once, whatever the number of replicas.
  _assert_close(of_two['weights'], of_one['weights'], rtol=1e-4, atol=1e-6)
  np.testing.assert_allclose(of_two['losses'], of_one['losses'], rtol=1e-4)
  # What is frozen stays.
  assert of_two['moved'] == of_two['trained'] == of_one['trained']
  assert any(of_one['trained']) and not all(of_one['trained'])


def test_replicas_skip_a_step_together(mirrored):
  report = mirrored['overflowing']
  assert report['skipped'] == 3
  assert max(report['differences']) == 0
  assert 0 < report['loss'][0] < 10
  np.testing.assert_allclose(report['loc'], 1.0, atol=0.2)


def test_replicas_train_by_the_clock_and_are_restored(mirrored):
  first, second = mirrored['trained']
  assert first['steps'] == first['record']['steps'] > 0
  assert 0.12 <= first['record']['seconds'] < 10
  assert first['record']['epochs'][-1]['auroc_likelihood_zeros'] in (0.0, 1.0)
  assert second == {**first, 'steps': 0}


@pytest.fixture(scope='module', name='workers')
def _workers(tmp_path_factory):
  folder = tmp_path_factory.mktemp('workers')
  workers = processes.start_workers(
    folder, _COMMON + _WORKER, folder / 'trained'
  )
  return processes.reports(folder, workers)


@pytest.mark.exhaustive
def test_fit_initializes_workers_alike_from_all_data(workers):
  for report in workers:
    assert report['num_replicas'] == 2
    _assert_close(report['initialized'], report['expected'], 1e-5, 1e-6)
  assert workers[0]['initialized'] == workers[1]['initialized']


@pytest.mark.exhaustive
def test_workers_end_with_the_same_weights(workers):
  first, second = workers
  assert first['weights'] == second['weights']
  assert first['weights'] != first['initialized']
  assert first['losses'] == second['losses']
  assert first['losses'][-1] < first['losses'][0]
  assert first['log_prob'] == second['log_prob']


@pytest.mark.exhaustive
def test_workers_evaluate_together(workers):
  first, second = (report['evaluate'] for report in workers)
  assert first == second
  assert np.isfinite(first['bits_per_dim'])


@pytest.mark.exhaustive
def test_only_the_chief_writes_what_was_trained(workers):
  chief, other = workers
  assert chief['files'] == [
    'configuration.json',
    'epochs.csv',
    'training.json',
    'weights.data-00000-of-00001',
    'weights.index',
  ]
  assert set(other['files']) <= {'backup'}
  assert 'backup' in chief['files_of_interrupted']


@pytest.mark.exhaustive
def test_workers_resume_and_restore_together(workers):
  first, second = workers
  for run in ('whole', 'resumed', 'restored'):
    assert first[run]['weights'] == second[run]['weights']
  assert first['whole']['steps'] == first['resumed']['steps'] == 12
  # Statistics of batch normalization too, which each worker gathers by itself.
  _assert_close(first['resumed']['weights'], first['whole']['weights'], 1e-5)
  assert first['restored']['steps'] == second['restored']['steps'] == 0
  assert first['restored']['weights'] == first['resumed']['weights']
  assert first['restored']['record'] == second['restored']['record']
  epochs = [epoch['epoch'] for epoch in second['resumed']['record']['epochs']]
  assert epochs == [1, 2, 3]
