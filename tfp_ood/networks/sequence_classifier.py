# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""A Keras classifier of sequences as a model that stands beside others."""

import tensorflow as tf

from tfp_ood._checks import check_whole_numbers
from tfp_ood.networks._keras_classifier import KerasClassifier

__all__ = ['SequenceClassifier']


class SequenceClassifier(KerasClassifier):
  """A Keras classifier of sequences, with its logits and features as statistics.

  The counterpart of `ImageClassifier` for sequences of small whole numbers, such as
  the bases of a genome. `tfp_ood.stats.Detector(model, classifier=...)` takes it. It
  checks the sequences, hands them to the network one-hot, and has the statistics

  | name | shape | what it is |
  |---|---|---|
  | `logits` | `[batch, classes]` | what the network returns |
  | `features` | `[batch, columns]` | the output of a layer within it |
  | `perturbed_logits` | `[batch, classes]` | those of a sequence made surer |

  The last are those of [1], whose score is `tfp_ood.stats.MaxSoftmax` of them: with
  `z` the one-hot sequence,

      z + perturbation * sign(d log max_c softmax(logits(z) / temperature)_c / dz)

  is what the network sees; it is one-hot no more. They take three times as long as
  `logits`.

  #### Example

  >>> import tensorflow as tf
  >>> import tfp_ood
  >>> network = tfp_ood.networks.read_classifier(
  ...     250, num_classes=10, num_filters=8, num_units=16)
  >>> classifier = SequenceClassifier(network, num_values=4)
  >>> values = classifier.statistics(
  ...     tf.zeros([5, 250], tf.int32), ['logits', 'features'])
  >>> values['logits'].shape, values['features'].shape
  (TensorShape([5, 10]), TensorShape([5, 16]))

  #### References

  [1]: Shiyu Liang, Yixuan Li, R. Srikant. Enhancing The Reliability of
       Out-of-distribution Image Detection in Neural Networks. _International
       Conference on Learning Representations_, 2018.
       https://arxiv.org/abs/1706.02690
  """

  def __init__(
    self,
    network,
    num_values,
    features=None,
    perturbation=0.0,
    temperature=1.0,
  ):
    """Instantiates the classifier.

    Args:
      network: built `tf_keras.Model` from one-hot sequences, `[batch, length,
        num_values]`, to logits. A last layer that is a softmax would hide how sure
        it is: leave it out.
      num_values: Python `int`: elements are `0 .. num_values - 1`.
      features: name of the layer whose output the features are; those of every
        position are averaged. Default: what the last dense layer takes.
      perturbation: nonnegative Python `float`, the step of `perturbed_logits`.
      temperature: positive Python `float`, what the logits are divided by for the
        direction of that step.

    Raises:
      TypeError: if `network` is no `tf_keras.Model`.
      ValueError: if it does not take such sequences, or has no such layer, or
        `perturbation` or `temperature` is out of range.
    """
    super().__init__(
      network, features, perturbation, temperature, name='sequence_classifier'
    )
    shape = tf.TensorShape(network.input_shape[1:])
    if (
      shape.rank != 2 or not shape.is_fully_defined() or shape[-1] != num_values
    ):
      raise ValueError(
        'SequenceClassifier: `network` must take one-hot sequences, [batch, '
        f'length, {num_values}] with a length that is known; it takes '
        f'{network.input_shape}.'
      )
    self._length, self._num_values = shape[0], num_values

  @property
  def event_shape(self):
    """`tf.TensorShape` of a sequence, `[length]`."""
    return tf.TensorShape([self._length])

  def check(self, sequences):
    """Returns sequences as an int32 `Tensor`, or raises.

    Args:
      sequences: array-like of whole numbers `0 .. num_values - 1`, integers or
        floats, `[batch, length]`.

    Returns:
      int32 `Tensor`, to be used in the place of `sequences`.

    Raises:
      ValueError: if they are not; a graph raises
        `tf.errors.InvalidArgumentError` for what it learns when it runs.
    """
    sequences = tf.convert_to_tensor(sequences, name='sequences')
    shape = tf.TensorShape([None, self._length])
    if not sequences.shape.is_compatible_with(shape):
      raise ValueError(
        f'SequenceClassifier: `sequences` must have shape [batch, '
        f'{self._length}], got {sequences.shape}.'
      )
    sequences = tf.ensure_shape(sequences, shape)
    return check_whole_numbers(
      sequences, self._num_values, 'SequenceClassifier: `sequences`'
    )

  def _inputs(self, sequences):
    return tf.one_hot(
      sequences, self._num_values, dtype=self._network.compute_dtype
    )
