# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Draws images pixel after pixel, without beginning anew for each."""

import tensorflow as tf

from tfp_ood.networks.raster_steps import RowAfterRow

__all__ = ['draw_images']


def draw_images(network, head, scale, given, is_given, seed):
  """Draws what is not given of images.

  A row takes one pass of its own through the part of the network that looks up; a
  pixel takes one through the part that looks left, of its row alone. What they need
  of the rows above is kept.

  Args:
    network: `PixelCnnNetwork`.
    head: `LogisticMixtureHead` or `CategoricalHead`.
    scale: function from pixels to what the network takes.
    given: floating `Tensor` of pixels, `[batch, height, width, channels]`.
    is_given: boolean `Tensor`, `[height, width]`, which pixels to leave as they are.
    seed: stateless PRNG seed.

  Returns:
    `Tensor` like `given`.
  """
  _, height, width, _ = given.shape
  at_once = network.num_rows_at_once
  layers = network.layers(given.dtype)

  def draw_row(number, phase, before):
    row = given[:, number][:, tf.newaxis]
    above = layers.above(scale(row), RowAfterRow(before, phase))

    def draw_pixel(column, row):
      features = layers.left(scale(row), above, RowAfterRow(before, phase))
      drawn = head.sample(
        features[:, 0, column],
        tf.random.experimental.stateless_fold_in(seed, number * width + column),
      )
      here = tf.range(width) == column
      is_new = (here & ~is_given[number])[:, tf.newaxis]
      return column + 1, tf.where(is_new, drawn[:, tf.newaxis, tf.newaxis], row)

    _, row = tf.while_loop(
      lambda column, _: column < width, draw_pixel, [0, row]
    )
    return row, _kept(layers, scale(row), before, phase)

  def draw_rows(number, rows, before):
    for phase in range(at_once):
      row, before = draw_row(number + phase, phase, before)
      rows = rows.write(number + phase, row[:, 0])
    return number + at_once, rows, before

  nothing = tf.nest.map_structure(
    tf.zeros_like, _kept(layers, tf.zeros_like(given[:, :1]), {}, 0)
  )
  rows = tf.TensorArray(given.dtype, height, element_shape=given[:, 0].shape)
  _, rows, _ = tf.while_loop(
    lambda number, *_: number < height, draw_rows, [0, rows, nothing]
  )
  return tf.transpose(rows.stack(), [1, 0, 2, 3])


def _kept(layers, row, before, phase):
  """What the next row has to know of this one and those above."""
  steps = RowAfterRow(before, phase)
  layers.left(row, layers.above(row, steps), steps)
  return steps.kept
