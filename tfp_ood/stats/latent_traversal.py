# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Images along a direction in latent space."""

import numpy as np
import tensorflow as tf

from tfp_ood._batches import with_one_more_if_empty

__all__ = ['traverse']


def traverse(model, latents, direction, offset, num_steps=7):
  """Decodes latents on their way across a hyperplane.

  From each latent `z`, at the signed distance `d` from the hyperplane, the way
  leads along its normal to the mirror image on the other side [1]:

      d = (direction . z + offset) / |direction|
      z(t) = z - t 2 d direction / |direction|,   t = 0, ..., 1

  The way is of length `2 |d|`: the first image is the latent's own, the one in
  the middle lies on the hyperplane, and the last is as far beyond it. With the
  hyperplane of `latent_separation` it shows what tells two data sets apart.

  Args:
    model: a model with a method `decode_images`, from latents to images, such
      as `tfp_ood.distributions.VariationalAutoencoder`.
    latents: `Tensor` of shape `[batch, ...latent]`, as the method takes them; an
      array becomes float32.
    direction: array-like of as many numbers as a latent has, not all zero; of
      any length.
    offset: Python `float`.
    num_steps: Python `int`, the number of images on a way: odd, for one in the
      middle, and at least 3.

  Returns:
    Floating `Tensor` of shape `[batch, num_steps, height, width, channels]`: what
    `decode_images` returns, raw pixels, not rounded.

  Raises:
    ValueError: if the direction does not fit the latents or is zero, a number is
      not finite, or `num_steps` is even or below 3.

  #### Example

  >>> import tfp_ood
  >>> vae = tfp_ood.distributions.variational_autoencoder(
  ...     [8, 8, 1], latent_size=2, hidden_channels=2, seed=1)
  >>> traverse(vae, [[1., 2.], [0., 3.]], [1., 0.], 0.5, num_steps=3).shape
  TensorShape([2, 3, 8, 8, 1])

  #### References

  [1]: Yujun Shen, Jinjin Gu, Xiaoou Tang, Bolei Zhou. Interpreting the Latent
       Space of GANs for Semantic Face Editing. _Computer Vision and Pattern
       Recognition_, 2020. https://arxiv.org/abs/1907.10786
  """
  if num_steps < 3 or num_steps % 2 == 0:
    raise ValueError(
      'traverse: `num_steps` must be odd and at least 3, for the middle image to '
      f'lie on the hyperplane; got {num_steps}.'
    )
  latents = tf.convert_to_tensor(latents, dtype_hint=tf.float32)
  direction, offset = _unit_hyperplane(direction, offset, latents.shape[1:])
  direction = tf.constant(direction, latents.dtype)
  all_but_batch = list(range(1, latents.shape.rank))
  distances = (
    tf.reduce_sum(latents * direction, all_but_batch, keepdims=True) + offset
  )
  shares = tf.linspace(tf.zeros([], latents.dtype), 1.0, num_steps)
  shares = tf.reshape(shares, [-1, *[1] * len(latents.shape[1:])])
  ways = -2.0 * distances * direction
  on_the_way = latents[:, tf.newaxis] + shares * ways[:, tf.newaxis]

  def decoded(latents):
    flat = tf.reshape(latents, [-1, *latents.shape[2:]])
    images = tf.convert_to_tensor(model.decode_images(flat))
    return tf.reshape(images, [-1, num_steps, *images.shape[1:]])

  return with_one_more_if_empty(decoded, on_the_way)


def _unit_hyperplane(direction, offset, shape):
  """Returns the direction, of length 1 and a latent's shape, and its offset."""
  direction = np.asarray(direction, np.float64)
  if direction.size != shape.num_elements():
    raise ValueError(
      f'traverse: `direction` has {direction.size} numbers; latents of shape '
      f'{shape} need as many as they have.'
    )
  length = np.linalg.norm(direction)
  if not (np.isfinite(length) and np.isfinite(offset) and length > 0):
    raise ValueError(
      'traverse: `direction` and `offset` must be finite, and `direction` not '
      f'zero; got length {length} and offset {offset}.'
    )
  return np.reshape(direction / length, shape), offset / length
