# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""A distribution as a Keras model."""

import numpy as np
import tensorflow as tf
import tf_keras

from tfp_ood import _protocol
from tfp_ood._batches import images_of, with_one_more_if_empty
from tfp_ood._parts import in_parts, num_parts
from tfp_ood._seeds import stateless_seed
from tfp_ood.stats.metrics.bits_per_dim import bits_per_dim
from tfp_ood.training import _gradients, _keras
from tfp_ood.training._checkpoints import check_backups
from tfp_ood.training._gathering import (
  gather_across_workers,
  global_batch_size,
)

__all__ = ['DistributionModel']

_NUM_INITIAL_EXAMPLES = 256


class DistributionModel(tf_keras.Model):
  """A `tf_keras.Model` that fits a distribution.

  The loss is what the distribution says it is: the mean of its `training_loss(x,
  seed)` if it has such a method, such as minus the evidence lower bound, else of
  `-log_prob(x)`; both in nats, and here in bits per dimension. To it come the
  losses that Keras layers inside the distribution add, such as regularizers.

  What Keras does, Keras does: `compile`, `fit`, `evaluate`, callbacks, and, made
  inside `strategy.scope()`, training on several devices. Layers with `trainable =
  False` stay as they are. Data are batches of examples, or tuples that start with
  them; a third entry weights the examples' losses. `predict` returns
  log-probabilities.

  A flow that starts from data (activation normalization) is initialized by
  `fit` before the first step, from the first batches of all workers, to the
  same values everywhere.

  A subclass that minimizes something else overrides `example_losses` and lists in
  `measure_names` what it measures.

  #### Examples

  >>> import tensorflow as tf
  >>> import tfp_ood
  >>> images = tfp_ood.datasets.load('sample_digits/train[:64]', batch_size=32)
  >>> flow = tfp_ood.distributions.glow(
  ...     [32, 32, 3], num_levels=2, num_steps=2, hidden_channels=8, seed=1)
  >>> model = tfp_ood.training.DistributionModel(flow)
  >>> model.compile(tfp_ood.training.adam(1e-3))
  >>> history = model.fit(images, epochs=2, verbose=0)
  >>> losses = history.history['bits_per_dim']
  >>> losses[1] < losses[0]
  True
  """

  measure_names = ('bits_per_dim',)

  def __init__(self, distribution, seed=0, max_skipped_steps=0, name=None):
    """Instantiates the model.

    Args:
      distribution: `tfp.distributions.Distribution`, or another `tf.Module` with
        `log_prob`, with a fully defined event shape and trainable variables.
      seed: Python `int`, or a pair of them; `training_loss` gets a seed derived
        from it that differs for every step and replica.
      max_skipped_steps: Python `int`: up to so many steps in a row whose gradient
        is not finite count as steps of gradient zero, and their loss is left
        out; `skipped_steps` counts them all. A single image whose latent
        overflows need not end a deep flow's training. After more the loss is
        reported as it is, which `StopOnNaN` takes up.
      name: Python `str`, the name of the model.

    Raises:
      ValueError: if the distribution has nothing to train, no event shape, or a
        Keras 3 layer with a constraint.
    """
    super().__init__(name=name or distribution.name)
    kind = type(self).__name__
    if not _keras.trainable_variables(distribution):
      raise ValueError(
        f'{kind}: {distribution.name} has no trainable variables.'
      )
    _keras.check_constraints(distribution, kind)
    event_shape = _protocol.event_shape(distribution)
    if not event_shape.is_fully_defined():
      raise ValueError(
        f'{kind}: {distribution.name} must have a fully defined event shape, got '
        f'{event_shape}.'
      )
    self.distribution = distribution
    self._event_size = event_shape.num_elements()
    self._seed = stateless_seed(seed)
    self._measures = {
      name: tf_keras.metrics.Mean(name=name) for name in self.measure_names
    }
    # Survives an interruption with the checkpoint; see `TimeLimit`.
    self.training_seconds = tf.Variable(
      0.0, trainable=False, dtype=tf.float64, name='training_seconds'
    )
    self._max_skipped_steps = max_skipped_steps
    self.skipped_steps = _counter('skipped_steps')
    self._skipped_in_a_row = _counter('skipped_in_a_row')
    # All variables exist: Keras need not call the model to know them.
    self.built = True

  @property
  def trainable_weights(self):
    """The variables that `fit` trains."""
    if not self.trainable:
      return []
    return _keras.trainable_variables(self.distribution)

  @property
  def non_trainable_weights(self):
    """All other variables."""
    trained = {id(variable) for variable in self.trainable_weights}
    others = [*self.distribution.variables, *super().non_trainable_weights]
    by_id = {id(v): v for v in others if id(v) not in trained}
    return list(by_id.values())

  @property
  def metrics(self):
    """The metrics that `fit` resets at the start of each epoch."""
    return list(self._measures.values())

  def compile(self, optimizer='rmsprop', **kwargs):
    """Prepares training, as `tf_keras.Model.compile` does.

    Args:
      optimizer: `tf_keras` optimizer, such as `tfp_ood.training.adam()`.
      **kwargs: passed to `tf_keras.Model.compile`; there is no `loss` to give.

    Raises:
      TypeError: if the optimizer is one of Keras 3.
    """
    _keras.check_optimizer(optimizer, f'{type(self).__name__}.compile')
    super().compile(optimizer=optimizer, **kwargs)

  def call(self, x, training=False):
    """Returns `log_prob` of a batch of examples, `[batch]`, in nats."""
    del training
    return self._of_any_number(
      lambda x: _protocol.log_prob(self.distribution, x), x
    )

  def initialize(self, data, num_batches=4):
    """Initializes a flow from the first examples of some data.

    Args:
      data: `tf.data.Dataset` of batches, or an array, as `fit` takes them.
      num_batches: Python `int`, how many batches to use; of an array, the first
        256 examples are used.

    Raises:
      ValueError: if there are no examples, or the data are of another kind.
    """
    batches = _first_batches(data, num_batches)
    if not sum(map(len, batches)):
      raise ValueError(
        'DistributionModel.initialize: there are no examples in `data`.'
      )
    examples = gather_across_workers(
      tf.concat(batches, axis=0), self.distribute_strategy
    )
    self.distribution.initialize(examples)

  def fit(self, x=None, y=None, validation_data=None, **kwargs):
    """Trains as `tf_keras.Model.fit` does, after initialization if due.

    Args:
      x: `tf.data.Dataset` of batches of examples, or of tuples that start with
        them, or an array.
      y: labels, where `x` is an array and the loss takes them.
      validation_data: like `x`, or a tuple `(x, y)`.
      **kwargs: passed to `tf_keras.Model.fit`.

    Returns:
      `tf_keras.callbacks.History`.

    Raises:
      ValueError: if the backup of an interrupted run cannot be read, or there is a
        `sample_weight` without labels, which Keras would leave out.
    """
    check_backups(kwargs.get('callbacks'))
    if self._is_divided():
      _keras.check_no_batch_normalization(
        self.distribution, f'{type(self).__name__}.fit'
      )
    if y is None and kwargs.get('sample_weight') is not None:
      raise ValueError(
        f'{type(self).__name__}.fit: Keras leaves `sample_weight` out where there '
        'are no labels. Take a tf.data.Dataset of tuples (x, None, weights).'
      )
    if not getattr(self.distribution, 'is_initialized', True):
      self.initialize(x)
    if isinstance(validation_data, np.ndarray | tf.Tensor):
      # Keras asks it for its truth value.
      validation_data = (validation_data,)
    return super().fit(x, y, validation_data=validation_data, **kwargs)

  def save_weights(self, filepath, overwrite=True, save_format=None, **kwargs):
    """Writes a checkpoint, as `tf_keras.Model.save_weights` does.

    Args:
      filepath: prefix of the files to write.
      overwrite: Python `bool`.
      save_format: `'tf'`, the default.
      **kwargs: passed to `tf_keras.Model.save_weights`.

    Raises:
      ValueError: if the file would be an HDF5 file, which holds layers alone.
    """
    owner = f'{type(self).__name__}.save_weights'
    _keras.check_weights_format(filepath, save_format, owner)
    super().save_weights(filepath, overwrite, save_format, **kwargs)

  def load_weights(self, filepath, **kwargs):
    """Restores what `save_weights` wrote.

    Args:
      filepath: prefix of the files.
      **kwargs: passed to `tf_keras.Model.load_weights`.

    Returns:
      What `tf_keras.Model.load_weights` does, the status of the restoration.

    Raises:
      ValueError: if it is an HDF5 file.
    """
    owner = f'{type(self).__name__}.load_weights'
    _keras.check_weights_format(filepath, None, owner)
    return super().load_weights(filepath, **kwargs)

  def save(self, *args, **kwargs):
    """Refuses: the file would have the Keras model without its distribution."""
    raise NotImplementedError(
      f'{type(self).__name__}: Keras cannot save a distribution. Keep its weights '
      'with `tfp_ood.training.save_weights(model.distribution, path)`, or write '
      'what needs TensorFlow alone with `tfp_ood.training.export_saved_model`; '
      'callbacks.ModelCheckpoint takes `save_weights_only=True`.'
    )

  def example_losses(self, x, y, seed):
    """Returns what is minimized, for each example, and what is measured.

    Args:
      x: `Tensor` of examples, `[batch, ...event]`.
      y: labels, as the data have them; `None` without.
      seed: stateless seed of this step and share of its batch, in `fit`; `None`
        where nothing is trained.

    Returns:
      loss: `Tensor` of shape `[batch]`, in bits per dimension or whatever the
        model minimizes.
      measures: `dict` from `measure_names` to `Tensor`s of shape `[batch]`, or to
        pairs of one and of its weights; or from some of the names.
    """
    del y
    if seed is None:
      loss = -self.call(x)
    else:
      loss = _protocol.training_loss(self.distribution, x, seed)
    bits = bits_per_dim(-loss, self._event_size)
    return bits, {'bits_per_dim': bits}

  def fresh_seed(self):
    """Returns a stateless seed, another one for each step and replica."""
    replica = tf.distribute.get_replica_context().replica_id_in_sync_group
    seed = self._seed
    for number in (self.optimizer.iterations, replica):
      seed = tf.random.experimental.stateless_fold_in(
        seed, tf.cast(number, tf.int32)
      )
    return seed

  def train_step(self, data):
    """One step down the gradient of the mean loss."""
    variables = self.trainable_variables
    seed, size = self.fresh_seed(), tf.shape(images_of(data))[0]

    def gradients_and_measures(number, x, y, weights):
      with tf.GradientTape() as tape:
        losses, measures = self._measure(x, y, self._seed_of_part(seed, number))
        loss = self._objective(losses, weights, self.distribution)
        loss *= self._share(x, size, loss.dtype)
      return tape.gradient(loss, variables), measures

    gradients, measures = zip(
      *self._of_parts(gradients_and_measures, data), strict=True
    )
    gradients = _gradients.sum_of_parts(gradients)
    weight = None
    if self._max_skipped_steps:
      gradients, weight = self._skip_unless_finite(gradients)
    self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
    return self._record(_joined(measures), weight)

  def test_step(self, data):
    """Measures one batch."""

    def measures(number, x, y, weights):
      del number, weights
      return self._measure(x, y, seed=None)[1]

    return self._record(_joined(self._of_parts(measures, data)))

  def predict_step(self, data):
    """Returns what `call` does for one batch."""
    return _joined(self._of_parts(lambda number, x, *_: self(x), data))

  def _of_parts(self, function, data):
    """Returns what a function returns of each part of a batch, a list.

    Args:
      function: callable of the number of the part, its examples, their labels and
        their weights.
      data: the batch, as Keras has it.
    """
    x, y, weights = tf_keras.utils.unpack_x_y_sample_weight(data)
    if not self._is_divided():
      return [function(0, x, y, weights)]
    given = {'x': x, 'y': y, 'weights': weights}
    return in_parts(
      lambda number, part: function(
        number, part['x'], part.get('y'), part.get('weights')
      ),
      num_parts(),
      {key: value for key, value in given.items() if value is not None},
    )

  def _is_divided(self):
    is_one_replica = self.distribute_strategy.num_replicas_in_sync == 1
    return num_parts() > 1 and is_one_replica and not self.run_eagerly

  def _seed_of_part(self, seed, number):
    if not self._is_divided():
      return seed
    return tf.random.experimental.stateless_fold_in(seed, number)

  def _share(self, x, size, dtype):
    """Returns the share of a part in the mean over a replica's examples."""
    if not self._is_divided():
      return tf.ones([], dtype)
    return tf.math.divide_no_nan(
      tf.cast(tf.shape(x)[0], dtype), tf.cast(size, dtype)
    )

  def _measure(self, x, y, seed):
    """Returns the losses of examples, which may be none, and measures."""
    if y is None:
      return self._of_any_number(
        lambda x: self.example_losses(x, None, seed), x
      )
    return self._of_any_number(
      lambda x, y: self.example_losses(x, y, seed), x, y
    )

  def _objective(self, losses, weights, module):
    """Returns a replica's part of what is minimized.

    The optimizer adds up the gradients of the replicas.

    Args:
      losses: `Tensor` of shape `[batch]`, of this replica's examples.
      weights: those of the examples, or `None`.
      module: `tf.Module` whose layers may add losses of their own.

    Returns:
      Scalar `Tensor`.
    """
    if weights is not None:
      losses *= tf.cast(weights, losses.dtype)
    replicas = tf.distribute.get_replica_context().num_replicas_in_sync
    regularization = _keras.regularization_loss(module, losses.dtype)
    # A part of a batch may be empty.
    mean = tf.math.divide_no_nan(
      tf.reduce_sum(losses), global_batch_size(losses)
    )
    return mean + regularization / replicas

  def _of_any_number(self, function, *batches):
    """Calls a function of a share of a batch, which may be empty."""
    is_whole = self.distribute_strategy.num_replicas_in_sync == 1
    if is_whole and not self._is_divided():
      return function(*batches)
    return with_one_more_if_empty(function, *batches)

  def _record(self, measures, weight=None):
    """Updates those metrics that were measured, and returns their results."""
    for name, values in measures.items():
      weights = None
      if isinstance(values, tuple):
        values, weights = values
      if weight is not None:
        # A product with NaN would be NaN.
        values = tf.where(weight > 0, values, tf.zeros_like(values))
        weights = weight if weights is None else weight * weights
      self._measures[name].update_state(values, sample_weight=weights)
    return {name: self._measures[name].result() for name in measures}

  def _skip_unless_finite(self, gradients):
    """Returns gradients, zero in a step to be skipped, and the loss's weight."""
    norm = _gradients.norm_over_replicas(gradients)
    is_skipped = self._is_skipped(norm)
    count = tf.cast(is_skipped, tf.int64)
    self.skipped_steps.assign_add(count)
    self._skipped_in_a_row.assign((self._skipped_in_a_row + count) * count)
    weight = tf.cast(~is_skipped, tf.float32)
    return _gradients.zero_if(is_skipped, gradients), weight

  def _is_skipped(self, norm):
    may_skip = self._skipped_in_a_row < self._max_skipped_steps
    return ~tf.math.is_finite(norm) & may_skip


def _joined(parts):
  """Puts what is known of the examples of parts of a batch together."""
  if len(parts) == 1:
    return parts[0]
  return tf.nest.map_structure(lambda *x: tf.concat(x, axis=0), *parts)


def _first_batches(data, num_batches):
  if isinstance(data, tf.data.Dataset):
    return [images_of(batch) for batch in data.take(num_batches)]
  if isinstance(data, np.ndarray | tf.Tensor):
    return [tf.convert_to_tensor(data[:_NUM_INITIAL_EXAMPLES])]
  raise ValueError(
    'DistributionModel.initialize: `data` must be a tf.data.Dataset of batches or '
    f'an array, got {type(data).__name__}. To fit to data of another kind, call '
    '`initialize` with some of them first.'
  )


def _counter(name):
  # The replicas count alike.
  return tf.Variable(
    0,
    trainable=False,
    dtype=tf.int64,
    aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
    name=name,
  )
