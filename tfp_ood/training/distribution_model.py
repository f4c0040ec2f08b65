# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""A distribution as a Keras model."""

import tensorflow as tf
import tf_keras

from tfp_ood._batches import images_of, with_one_more_if_empty
from tfp_ood._seeds import stateless_seed
from tfp_ood.stats.metrics.bits_per_dim import bits_per_dim
from tfp_ood.training._checkpoints import check_backups
from tfp_ood.training._gathering import (
  gather_across_workers,
  global_batch_size,
)

__all__ = ['DistributionModel']


class DistributionModel(tf_keras.Model):
  """A `tf_keras.Model` that fits a distribution by maximum likelihood.

  The loss is the mean negative log-likelihood in bits per dimension. What Keras
  does, Keras does: `compile`, `fit`, `evaluate`, callbacks, and, made inside
  `strategy.scope()`, training on several devices. Data sets give batches of
  images, or tuples that start with them. `predict` returns log-probabilities.

  A flow that starts from data (activation normalization) is initialized by
  `fit` before the first step, from the first batches of all workers, to the
  same values everywhere.

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

  def __init__(self, distribution, seed=0, max_skipped_steps=0, name=None):
    """Instantiates the model.

    Args:
      distribution: `tfp.distributions.Distribution` with a fully defined event
        shape and trainable variables.
      seed: Python `int`, or a pair of them; training calls `log_prob(images,
        seed=...)` with a seed derived from it that differs for every step and
        replica. `None` for a distribution whose `log_prob` takes no seed.
      max_skipped_steps: Python `int`: up to so many steps in a row whose gradient
        is not finite count as steps of gradient zero, and their loss is left
        out; `skipped_steps` counts them all. A single image whose latent
        overflows need not end a deep flow's training. After more the loss is
        reported as it is, which `StopOnNaN` takes up.
      name: Python `str`, the name of the model.

    Raises:
      ValueError: if the distribution has nothing to train.
    """
    super().__init__(name=name or distribution.name)
    if not distribution.trainable_variables:
      raise ValueError(
        f'DistributionModel: {distribution.name} has no trainable variables.'
      )
    self.distribution = distribution
    # Keras finds layers and variables in attributes, but not all modules.
    self._distribution_variables = list(distribution.variables)
    self._event_size = distribution.event_shape.num_elements()
    self._seed = None if seed is None else stateless_seed(seed)
    self._bits_per_dim = tf_keras.metrics.Mean(name='bits_per_dim')
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
  def metrics(self):
    """The metrics that `fit` resets at the start of each epoch."""
    return [self._bits_per_dim]

  def call(self, images, training=False):
    """Returns `log_prob` of raw-pixel images, `[batch]`, in nats."""
    del training
    return self._log_prob(images)

  def initialize(self, dataset, num_batches=4):
    """Initializes a flow from the first batches of a data set.

    Args:
      dataset: `tf.data.Dataset` of batches, as `fit` takes them.
      num_batches: Python `int`, how many batches to use.

    Raises:
      ValueError: if `dataset` is empty or not a `tf.data.Dataset`.
    """
    if not isinstance(dataset, tf.data.Dataset):
      raise ValueError(
        'DistributionModel.initialize: `dataset` must be a tf.data.Dataset of '
        f'batches, got {type(dataset).__name__}.'
      )
    batches = [images_of(batch) for batch in dataset.take(num_batches)]
    if not batches:
      raise ValueError('DistributionModel.initialize: the data set is empty.')
    images = gather_across_workers(
      tf.concat(batches, axis=0), self.distribute_strategy
    )
    self.distribution.initialize(images)

  def fit(self, x=None, **kwargs):
    """Trains as `tf_keras.Model.fit` does, after initialization if due.

    Args:
      x: `tf.data.Dataset` of batches of images, or of tuples starting with them.
      **kwargs: passed to `tf_keras.Model.fit`.

    Returns:
      `tf_keras.callbacks.History`.

    Raises:
      ValueError: if the backup of an interrupted run cannot be read.
    """
    check_backups(kwargs.get('callbacks'))
    if not getattr(self.distribution, 'is_initialized', True):
      self.initialize(x)
    return super().fit(x, **kwargs)

  def train_step(self, data):
    """One step of maximum likelihood."""
    images = images_of(data)
    with tf.GradientTape() as tape:
      loss, measures = self._training_loss(images)
      # The optimizer adds the gradients of the replicas.
      mean_loss = tf.reduce_sum(loss) / global_batch_size(loss)
    variables = self.trainable_variables
    gradients = tape.gradient(mean_loss, variables)
    weight = None
    if self._max_skipped_steps:
      gradients, weight = self._skip_unless_finite(gradients)
      measures = {
        name: tf.where(weight > 0, values, tf.zeros_like(values))
        for name, values in measures.items()
      }
    self.optimizer.apply_gradients(zip(gradients, variables, strict=True))
    return self._record(measures, weight)

  def _training_loss(self, images):
    """Returns the loss of each image, and what the metrics record, by name."""
    log_prob = self._log_prob(images, **self._fresh_seed())
    loss = bits_per_dim(log_prob, self._event_size)
    return loss, {'bits_per_dim': loss}

  def _record(self, measures, weight=None):
    """Updates the metrics and returns their results."""
    for metric in self.metrics:
      metric.update_state(measures[metric.name], sample_weight=weight)
    return {metric.name: metric.result() for metric in self.metrics}

  def _skip_unless_finite(self, gradients):
    """Returns gradients, zero in a step to be skipped, and the loss's weight."""
    # Replicas must agree; a sum over them is finite if all are.
    norm = tf.linalg.global_norm(gradients)
    replica = tf.distribute.get_replica_context()
    if replica.num_replicas_in_sync > 1:
      norm = replica.all_reduce(tf.distribute.ReduceOp.SUM, norm)
    is_finite = tf.math.is_finite(norm)
    limit = self._max_skipped_steps
    is_skipped = ~is_finite & (self._skipped_in_a_row < limit)
    count = tf.cast(is_skipped, tf.int64)
    self.skipped_steps.assign_add(count)
    self._skipped_in_a_row.assign((self._skipped_in_a_row + count) * count)
    gradients = [
      None if g is None else tf.where(is_skipped, tf.zeros_like(g), g)
      for g in gradients
    ]
    return gradients, tf.cast(~is_skipped, tf.float32)

  def test_step(self, data):
    """Evaluates one batch."""
    log_prob = self._log_prob(images_of(data))
    return self._record(
      {'bits_per_dim': bits_per_dim(log_prob, self._event_size)}
    )

  def predict_step(self, data):
    """Returns the log-probabilities of one batch."""
    return self(images_of(data))

  def _log_prob(self, images, **kwargs):
    """Scores a replica's share of a batch, which may be empty."""
    if self.distribute_strategy.num_replicas_in_sync == 1:
      return self.distribution.log_prob(images, **kwargs)
    return with_one_more_if_empty(
      lambda images: self.distribution.log_prob(images, **kwargs), images
    )

  def _fresh_seed(self):
    """Returns the argument `seed` of `log_prob`, another one each time."""
    if self._seed is None:
      return {}
    replica = tf.distribute.get_replica_context().replica_id_in_sync_group
    seed = self._seed
    for number in (self.optimizer.iterations, replica):
      seed = tf.random.experimental.stateless_fold_in(
        seed, tf.cast(number, tf.int32)
      )
    return {'seed': seed}


def _counter(name):
  # The replicas count alike.
  return tf.Variable(
    0,
    trainable=False,
    dtype=tf.int64,
    aggregation=tf.VariableAggregation.ONLY_FIRST_REPLICA,
    name=name,
  )
