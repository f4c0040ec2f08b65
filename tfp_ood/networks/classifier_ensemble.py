# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Several classifiers as one."""

import math

import tensorflow as tf

from tfp_ood import _protocol

__all__ = ['ClassifierEnsemble']


class ClassifierEnsemble(tf.Module):
  """The mean of several classifiers' probabilities, as one classifier.

  Networks that were trained from different starts agree on what they know and
  disagree on what they do not [1]. The only statistic is

  | name | shape | what it is |
  |---|---|---|
  | `logits` | `[batch, classes]` | `log mean_m softmax(logits_m)` |

  with `logits_m` those of member `m`. They are log-probabilities: `MaxSoftmax` and
  `PredictiveEntropy` read them as any logits, but their `Energy` is zero.

  #### Example

  >>> import tensorflow as tf
  >>> import tfp_ood
  >>> members = [
  ...     tfp_ood.networks.ImageClassifier(
  ...         tfp_ood.networks.small_resnet([8, 8, 3], width=0.1, seed=seed))
  ...     for seed in range(3)]
  >>> ensemble = ClassifierEnsemble(members)
  >>> images = tf.zeros([5, 8, 8, 3], tf.uint8)
  >>> ensemble.statistics(images, ['logits'])['logits'].shape
  TensorShape([5, 10])

  #### References

  [1]: Balaji Lakshminarayanan, Alexander Pritzel, Charles Blundell. Simple and
       Scalable Predictive Uncertainty Estimation using Deep Ensembles. _Neural
       Information Processing Systems_, 2017. https://arxiv.org/abs/1612.01474
  """

  statistics_names = ('logits',)

  def __init__(self, classifiers):
    """Instantiates the ensemble.

    Args:
      classifiers: iterable of at least one classifier with a statistic `logits`,
        such as `ImageClassifier` or `SequenceClassifier`, of the same examples and
        classes.

    Raises:
      TypeError: if one has no such statistic.
      ValueError: if there is none, or their examples differ in shape.
    """
    super().__init__(name='classifier_ensemble')
    self._classifiers = tuple(classifiers)
    if not self._classifiers:
      raise ValueError(
        'ClassifierEnsemble: `classifiers` must hold at least one.'
      )
    for classifier in self._classifiers:
      if 'logits' not in _protocol.statistics_names(classifier):
        raise TypeError(
          'ClassifierEnsemble: each of `classifiers` must have a statistic '
          f"'logits', as ImageClassifier has; {type(classifier).__name__} has "
          'none.'
        )
    shapes = [_protocol.event_shape(member) for member in self._classifiers]
    if not all(shape.is_compatible_with(shapes[0]) for shape in shapes):
      raise ValueError(
        'ClassifierEnsemble: `classifiers` must take examples of one shape, got '
        f'{", ".join(map(str, shapes))}.'
      )

  @property
  def event_shape(self):
    """`tf.TensorShape` of an example."""
    return _protocol.event_shape(self._classifiers[0])

  @property
  def variables(self):
    """The variables of all members, each once, a list."""
    variables = [v for member in self._classifiers for v in member.variables]
    return list({id(variable): variable for variable in variables}.values())

  def check(self, examples):
    """Returns examples as the members take them, or raises.

    Args:
      examples: array-like, `[batch, ...event_shape]`.

    Returns:
      `Tensor`, to be used in the place of `examples`.

    Raises:
      ValueError: if a member does not take them; a graph raises
        `tf.errors.InvalidArgumentError` for what it learns when it runs.
    """
    for member in self._classifiers:
      examples = _protocol.check(member, examples)
    return examples

  def statistics(self, examples, names):
    """Computes the logits of the ensemble, in one pass of each member.

    Args:
      examples: `Tensor`, `[batch, ...event_shape]`.
      names: iterable of names out of `statistics_names`.

    Returns:
      `dict` from each name to a `Tensor`.

    Raises:
      ValueError: if the members have different numbers of classes.
    """
    logits = [
      member.statistics(examples, ['logits'])['logits']
      for member in self._classifiers
    ]
    shapes = [member.shape for member in logits]
    if not all(shape.is_compatible_with(shapes[0]) for shape in shapes):
      raise ValueError(
        'ClassifierEnsemble: the logits of all members must be of the same '
        f'classes, got the shapes {", ".join(map(str, shapes))}.'
      )
    log_probs = tf.nn.log_softmax(tf.stack(logits), axis=-1)
    mean = tf.reduce_logsumexp(log_probs, axis=0) - math.log(len(logits))
    values = {'logits': mean}
    return {name: values[name] for name in names}
