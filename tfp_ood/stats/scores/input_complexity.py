# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Input complexity: the likelihood beside a compressor's opinion."""

import tensorflow as tf

from tfp_ood.stats.scores import _tensors
from tfp_ood.stats.scores.score import Score

__all__ = ['InputComplexity', 'input_complexity']


def input_complexity(bits_per_dim, compressed_bits_per_dim):
  """What the model needs for an image beyond what a compressor needs.

      score = -log2 p(x) / D - L(x) / D

  both in bits per dimension, `L` the size of the image compressed without loss.
  This is the log-likelihood ratio of a universal model, the compressor, and the
  model: simple images, likely under both, no longer stand out.

  Which compressor matters much: [1] takes the smallest of PNG, JPEG 2000 and
  FLIF. `compressed_bits_per_dim` takes that of PNG, JPEG 2000 and WebP.

  An example that the model holds impossible scores +inf.

  Args:
    bits_per_dim: `Tensor` of any shape: of the model's log-probability, by
      `tfp_ood.stats.bits_per_dim`.
    compressed_bits_per_dim: `Tensor` of the same shape: by
      `tfp_ood.stats.png_bits_per_dim` or `compressed_bits_per_dim`.

  Returns:
    `Tensor` of the same shape, in bits per dimension; half precision becomes
    float32.

  Raises:
    ValueError: if the shapes differ.

  #### Example

  >>> input_complexity([3.5, 2.5], [5.0, 3.0]).numpy().tolist()
  [-1.5, -0.5]

  #### References

  [1]: Joan Serra et al. Input complexity and out-of-distribution detection with
       likelihood-based generative models. _International Conference on Learning
       Representations_, 2020. https://arxiv.org/abs/1909.11480
  """
  bits = _tensors.as_float(bits_per_dim, 'bits_per_dim')
  compressed = tf.cast(
    _tensors.as_float(compressed_bits_per_dim, 'compressed_bits_per_dim'),
    bits.dtype,
  )
  _tensors.check_same_shape(
    bits_per_dim=bits, compressed_bits_per_dim=compressed
  )
  return bits - compressed


class InputComplexity(Score):
  """`input_complexity` of `bits_per_dim` and a compressed size.

  #### Example

  >>> score = InputComplexity()
  >>> score.statistics
  ('bits_per_dim', 'png_bits_per_dim')
  >>> score({'bits_per_dim': [3.5, 2.5],
  ...        'png_bits_per_dim': [5.0, 3.0]}).numpy().tolist()
  [-1.5, -0.5]
  """

  def __init__(self, compressed='png_bits_per_dim'):
    """Instantiates the score.

    Args:
      compressed: the statistic of the compressed size, `'png_bits_per_dim'` or
        `'compressed_bits_per_dim'`.
    """
    self.statistics = ('bits_per_dim', compressed)

  def __call__(self, statistics):
    return input_complexity(*(statistics[name] for name in self.statistics))
