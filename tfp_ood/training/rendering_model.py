# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""A neural rendering model as a Keras model."""

import collections

import tensorflow as tf

from tfp_ood.training import _keras
from tfp_ood.training.distribution_model import DistributionModel

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


class RenderingModel(DistributionModel):
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

  >>> import tf_keras
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

  measure_names = ('loss', *RenderingLossWeights._fields, 'accuracy')

  def __init__(
    self,
    distribution,
    loss_weights=None,
    class_variance=1.0,
    seed=0,
    max_skipped_steps=0,
    name=None,
  ):
    """Instantiates the model.

    Args:
      distribution: `NeuralRenderingModel`.
      loss_weights: `RenderingLossWeights`. Default: those of the model's authors.
      class_variance: positive Python `float`, the temperature of the softmax.
      seed: Python `int`, or a pair of them; see `DistributionModel`.
      max_skipped_steps: Python `int`; see `DistributionModel`.
      name: Python `str`, the name of the model.

    Raises:
      ValueError: if `class_variance` is not positive, or a layer of the classifier
        has an activity regularizer.
    """
    super().__init__(distribution, seed, max_skipped_steps, name)
    # Layers are not called: what they compute is read from them.
    _keras.check_no_activity_regularizers(distribution, 'RenderingModel')
    if not class_variance > 0:
      raise ValueError(
        'RenderingModel: `class_variance` must be positive, got '
        f'{class_variance}.'
      )
    self._loss_weights = loss_weights or RenderingLossWeights()
    self._renders = any(
      getattr(self._loss_weights, part) for part in _RENDERING_PARTS
    )
    self._class_variance = class_variance

  def call(self, x, training=False):
    """Returns the logits of raw-pixel images, `[batch, num_classes]`."""
    del training
    return self.distribution.infer(x).logits

  def example_losses(self, x, y, seed):
    """Returns the weighted losses of images with labels, -1 where unknown.

    Args:
      x: `Tensor` of raw pixels, `[batch, height, width, channels]`.
      y: integer `Tensor` of shape `[batch]`.
      seed: `None` where nothing is trained; see `DistributionModel`.

    Returns:
      loss: `Tensor` of shape `[batch]`.
      measures: `dict` from `measure_names`.
    """
    if y is None:
      raise ValueError(
        'RenderingModel: the data must be tuples of images and labels; -1 is the '
        'label of an image whose class is unknown.'
      )
    labels = tf.cast(y, tf.int32)
    losses, logits = self._loss_parts(x, labels, seed is not None)
    total = tf.add_n(
      [
        weight * loss
        for weight, loss in zip(self._loss_weights, losses, strict=True)
      ]
    )
    is_right = tf.argmax(logits, axis=-1, output_type=tf.int32) == labels
    is_labelled = tf.cast(labels >= 0, tf.float32)
    return total, {
      'loss': total,
      **losses._asdict(),
      'accuracy': (tf.cast(is_right, tf.float32), is_labelled),
    }

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
