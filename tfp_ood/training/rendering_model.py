# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""A neural rendering model as a Keras model."""

import collections

import tensorflow as tf
import tf_keras

from tfp_ood._batches import with_one_more_if_empty
from tfp_ood.training._checkpoints import check_backups
from tfp_ood.training._gathering import global_batch_size

__all__ = ['RenderingLossWeights', 'RenderingModel']

RenderingLossWeights = collections.namedtuple(
  'RenderingLossWeights',
  [
    'cross_entropy',
    'reconstruction',
    'rendering_path',
    'label_entropy',
    'negativity',
  ],
  # Those of the model's authors.
  defaults=(1.0, 0.5, 1.0, 0.5, 0.5),
)
_RENDERING_PARTS = ('reconstruction', 'rendering_path', 'negativity')


class RenderingModel(tf_keras.Model):
  """Trains the classifier of a `NeuralRenderingModel` to classify and to render.

  The loss of an image `x` with label `y` is a weighted sum of

      cross_entropy    -log softmax(logits / class_variance)_y
      reconstruction   1/2 mean (x - h(0))^2
      rendering_path   sum_l mean |b(l) s(l) h(l) - b(l) s0(l) h0(l)|
      label_entropy    entropy of softmax(logits / class_variance)
      negativity       sum_l mean max(-h(l), 0)^2

  where the path with `0` is that of the zero image and of all classes together.
  An image without a label, of label -1, takes the one inferred, and has no
  cross-entropy. Switches are constants to the gradient. Where the weights of
  `reconstruction`, `rendering_path` and `negativity` are all zero, nothing is
  rendered: that is how to train a plain classifier, in a third of the time.

  #### Examples

  >>> import tensorflow as tf
  >>> import tfp_ood
  >>> classifier = tfp_ood.networks.all_cnn_c(width=0.05, dropout=0.0)
  >>> nrm = tfp_ood.distributions.NeuralRenderingModel.from_keras(classifier)
  >>> model = tfp_ood.training.RenderingModel(nrm)
  >>> model.compile(tf_keras.optimizers.Adam(1e-3))
  >>> images = tfp_ood.datasets.load('sample_digits/train[:64]', batch_size=32)
  >>> history = model.fit(images, epochs=1, verbose=0)
  >>> sorted(history.history)[:2]
  ['accuracy', 'cross_entropy']
  """

  def __init__(
    self,
    distribution,
    loss_weights=None,
    class_variance=1.0,
    name=None,
  ):
    """Instantiates the model.

    Args:
      distribution: `NeuralRenderingModel` of a `tf_keras` classifier.
      loss_weights: `RenderingLossWeights`. Default: those of the model's authors.
      class_variance: positive Python `float`, the temperature of the softmax.
      name: Python `str`, the name of the model.

    Raises:
      ValueError: if `class_variance` is not positive.
    """
    super().__init__(name=name or distribution.name)
    if not class_variance > 0:
      raise ValueError(
        'RenderingModel: `class_variance` must be positive, got '
        f'{class_variance}.'
      )
    self.distribution = distribution
    # Keras finds variables in layers.
    self._classifier = distribution.network.model
    self._normalizations = distribution.network.rendering_normalizations
    self._loss_weights = loss_weights or RenderingLossWeights()
    self._renders = any(
      getattr(self._loss_weights, part) for part in _RENDERING_PARTS
    )
    self._class_variance = class_variance
    self._means = {
      part: tf_keras.metrics.Mean(name=part)
      for part in ('loss', *RenderingLossWeights._fields)
    }
    self._accuracy = tf_keras.metrics.SparseCategoricalAccuracy('accuracy')
    self.built = True

  @property
  def metrics(self):
    """The metrics that `fit` resets at the start of each epoch."""
    return [*self._means.values(), self._accuracy]

  def call(self, images, training=False):
    """Returns the logits of raw-pixel images."""
    del training
    return self.distribution.infer(images).logits

  def fit(self, x=None, y=None, **kwargs):
    """Trains as `tf_keras.Model.fit` does.

    Args:
      x: `tf.data.Dataset` of batches of images and labels, or images.
      y: labels, where `x` are images.
      **kwargs: passed to `tf_keras.Model.fit`.

    Returns:
      `tf_keras.callbacks.History`.

    Raises:
      ValueError: if the backup of an interrupted run cannot be read.
    """
    check_backups(kwargs.get('callbacks'))
    return super().fit(x, y, **kwargs)

  def train_step(self, data):
    """One step on a batch of images and labels."""
    with tf.GradientTape() as tape:
      loss = self._measure(data, training=True)
    variables = self.trainable_variables
    self.optimizer.apply_gradients(
      zip(tape.gradient(loss, variables), variables, strict=True)
    )
    return {metric.name: metric.result() for metric in self.metrics}

  def test_step(self, data):
    """Measures a batch."""
    self._measure(data, training=False)
    return {metric.name: metric.result() for metric in self.metrics}

  def _measure(self, data, training):
    """Returns a replica's part of the mean loss, and updates the metrics."""
    images, labels = data
    labels = tf.cast(labels, tf.int32)
    # One of several replicas may have none.
    losses, logits = with_one_more_if_empty(
      lambda *batch: self._loss_parts(*batch, training), images, labels
    )
    total = tf.add_n(
      [
        weight * loss
        for weight, loss in zip(self._loss_weights, losses, strict=True)
      ]
    )
    for part, values in losses._asdict().items():
      self._means[part].update_state(values)
    self._means['loss'].update_state(total)
    is_labelled = tf.cast(labels >= 0, tf.float32)
    self._accuracy.update_state(tf.maximum(labels, 0), logits, is_labelled)
    # The optimizer adds the gradients of the replicas.
    return tf.reduce_sum(total) / global_batch_size(total)

  def _loss_parts(self, images, labels, training):
    """Returns the parts of the loss of each image, and the logits."""
    nrm = self.distribution
    if self._renders:
      x, _, rendered, propagated = nrm.infer_and_render(
        images, labels, training
      )
      rendering_losses = self._rendering_losses(x, rendered)
      logits = propagated.logits
    else:
      logits = nrm.network.propagate(
        nrm.scaled(images), training=training
      ).logits
      rendering_losses = dict.fromkeys(
        _RENDERING_PARTS, tf.zeros_like(logits[:, 0])
      )
    logits /= self._class_variance
    log_probs = tf.nn.log_softmax(logits)
    true_log_prob = tf.gather(log_probs, tf.maximum(labels, 0), batch_dims=1)
    losses = RenderingLossWeights(
      cross_entropy=tf.where(labels < 0, 0.0, -true_log_prob),
      label_entropy=-tf.reduce_sum(tf.exp(log_probs) * log_probs, axis=-1),
      **rendering_losses,
    )
    return losses, logits

  def _rendering_losses(self, x, rendered):
    negativity = [_mean_event(tf.nn.relu(-h) ** 2) for h in rendered.features]
    return {
      'reconstruction': _mean_event((x - rendered.image) ** 2) / 2,
      'rendering_path': self.distribution.rendering_path_normalization(
        rendered
      ),
      'negativity': tf.add_n(negativity),
    }


def _mean_event(values):
  return tf.reduce_mean(values, axis=range(1, values.shape.rank))
