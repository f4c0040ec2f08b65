# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The batch normalization of renderings on their way back."""

import tf_keras

from tfp_ood.networks._batch_normalization import NormalizationMap

__all__ = ['make_normalizations', 'normalizer']


def make_normalizations(shapes, dtype):
  """Makes a layer of batch normalization for renderings of each shape.

  Args:
    shapes: list of shapes, without the batch.
    dtype: floating dtype.

  Returns:
    List of built `tf_keras.layers.BatchNormalization`.
  """
  layers = []
  for index, shape in enumerate(shapes):
    layer = tf_keras.layers.BatchNormalization(
      name=f'rendering_normalization_{index}', dtype=dtype
    )
    layer.build([None, *shape])
    layers.append(layer)
  return layers


def normalizer(layers, training=False, found=None, given=None):
  """Returns the function that renderings go through on their way back.

  Args:
    layers: list of layers of batch normalization; renderings above the last are
      left as they are.
    training: Python `bool`.
    found: list to which coefficients are added in the order of use.
    given: iterator over coefficients to use again.

  Returns:
    Callable from a rendering and the number of its layer, 0 for the image.
  """

  def normalize(h, index):
    if index >= len(layers):
      return h
    output, _, coefficients = NormalizationMap(
      layers[index]
    ).call_and_transpose([h], training, None if given is None else next(given))
    if found is not None:
      found.append(coefficients)
    return output

  return normalize
