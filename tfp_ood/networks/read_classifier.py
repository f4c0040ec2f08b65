# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""A classifier of reads of genomes."""

import tf_keras

from tfp_ood.pretrained.factories import with_weights

__all__ = ['read_classifier']

layers = tf_keras.layers


@with_weights
def read_classifier(
  length,
  num_classes,
  num_values=4,
  num_filters=128,
  num_units=128,
  window=20,
  dropout=0.1,
  seed=0,
):
  """One wide convolution, the strongest answer of each filter, a dense layer.

  The filters look for motifs anywhere in a read, as in [1].

  Args:
    length: Python `int`, the number of bases in a read, at least `window`.
    num_classes: Python `int`.
    num_values: Python `int`, how many different bases there are.
    num_filters: Python `int`, of the convolution.
    num_units: Python `int`, of the dense layer: the features of a read.
    window: Python `int`, how many bases a filter sees.
    dropout: Python `float`, before the logits, in training.
    seed: Python `int`, of the weights.
    weights: the path of a file of `tfp_ood.pretrained.write_weights`, for a
      trained network. The other arguments are then to be left out.

  Returns:
    `tf_keras.Sequential`, from one-hot reads `[batch, length, num_values]` to
    logits; `SequenceClassifier` makes it one of whole numbers.

  Raises:
    ValueError: if a read is shorter than `window`.

  #### Example

  >>> read_classifier(250, num_classes=10).output_shape
  (None, 10)

  #### References

  [1]: Jie Ren et al. Likelihood Ratios for Out-of-Distribution Detection. _Neural
       Information Processing Systems_, 2019. https://arxiv.org/abs/1906.02845
  """
  if length < window:
    raise ValueError(
      f'read_classifier: `length` must be at least `window`, {window}; got '
      f'{length}.'
    )

  def initializer(number):
    return tf_keras.initializers.HeNormal(seed=seed + number)

  return tf_keras.Sequential(
    [
      layers.Input([length, num_values]),
      layers.Conv1D(
        num_filters,
        window,
        activation='relu',
        kernel_initializer=initializer(1),
      ),
      layers.GlobalMaxPooling1D(),
      layers.Dense(
        num_units, activation='relu', kernel_initializer=initializer(2)
      ),
      layers.Dropout(dropout, seed=seed),
      layers.Dense(num_classes, kernel_initializer=initializer(3)),
    ],
    name='read_classifier',
  )
