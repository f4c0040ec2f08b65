# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""An independent Glow in plain NumPy agrees with ours.

It shares nothing with the library but the weights: convolutions are explicit
loops over the kernel, the 1x1 convolution multiplies out `P L U`, and each
direction is written by itself.
"""

import numpy as np
import pytest
import tensorflow as tf

from tfp_ood import bijectors


def _convolution(images, kernel, bias):
  """A convolution with zero padding, one tap of the kernel at a time."""
  batch, height, width, _ = images.shape
  size = kernel.shape[0]
  edge = size // 2
  padded = np.pad(images, [(0, 0), (edge, edge), (edge, edge), (0, 0)])
  result = np.zeros([batch, height, width, kernel.shape[-1]]) + bias
  for i in range(size):
    for j in range(size):
      window = padded[:, i : i + height, j : j + width]
      result += np.einsum('nhwi,io->nhwo', window, kernel[i, j])
  return result


def _coupling_network(images, weights):
  for layer in '123':
    kernel = weights[f'kernel_{layer}']
    if layer == '3':
      kernel = weights['output_gain'] * kernel
    images = _convolution(images, kernel, weights[f'bias_{layer}'])
    if layer != '3':
      images = np.maximum(images, 0.0)
  return images


def _squeeze(images):
  corners = [images[:, i::2, j::2] for i in range(2) for j in range(2)]
  return np.concatenate(corners, axis=-1)


def _unsqueeze(images):
  batch, height, width, channels = images.shape
  result = np.zeros([batch, 2 * height, 2 * width, channels // 4])
  for corner, part in enumerate(np.split(images, 4, axis=-1)):
    result[:, corner // 2 :: 2, corner % 2 :: 2] = part
  return result


def _matrix(weights):
  """`P L U`, with every factor written out."""
  channels = len(weights['sign'])
  lower = np.eye(channels) + np.tril(weights['lower'], -1)
  upper = np.triu(weights['upper'], 1) + np.diag(
    weights['sign'] * np.exp(weights['log_diagonal'])
  )
  permutation = np.zeros([channels, channels])
  for row, column in enumerate(weights['permutation']):
    permutation[row, column] = 1.0
  return permutation @ lower @ upper


def _shift_and_log_scale(outputs, affine):
  if not affine:
    return outputs, np.zeros_like(outputs)
  shift, raw = np.split(outputs, 2, axis=-1)
  return shift, 2.0 * np.tanh(raw / 2.0)


def _coupling(images, network, affine, undo):
  """Returns the coupled images and the log-determinant of undoing it."""
  half = images.shape[-1] // 2
  first, rest = images[..., :half], images[..., half:]
  shift, log_scale = _shift_and_log_scale(network(rest), affine)
  if undo:
    first = (first - shift) / np.exp(log_scale)
  else:
    first = first * np.exp(log_scale) + shift
  log_det = -log_scale.sum(axis=(1, 2, 3))
  return np.concatenate([first, rest], axis=-1), log_det


def _step_to_latent(images, weights, affine):
  normalization = weights['activation_normalization']
  images = (images - normalization['shift']) / np.exp(
    normalization['log_scale']
  )
  matrix = _matrix(weights['invertible_conv_1x1'])
  images = np.einsum('nhwc,cd->nhwd', images, matrix)
  num_pixels = images.shape[1] * images.shape[2]
  log_det = num_pixels * (
    np.log(np.abs(np.linalg.det(matrix))) - normalization['log_scale'].sum()
  )
  images, coupling_log_det = _coupling(
    images,
    lambda x: _coupling_network(x, weights['coupling_network']),
    affine,
    undo=True,
  )
  return images, log_det + coupling_log_det


def _step_to_image(images, weights, affine):
  images, _ = _coupling(
    images,
    lambda x: _coupling_network(x, weights['coupling_network']),
    affine,
    undo=False,
  )
  matrix = _matrix(weights['invertible_conv_1x1'])
  images = np.einsum('nhwc,cd->nhwd', images, np.linalg.inv(matrix))
  normalization = weights['activation_normalization']
  return images * np.exp(normalization['log_scale']) + normalization['shift']


def _to_latent(images, levels, affine):
  """Image to latent: the latent, deepest level first, and the log-det."""
  leaving, total = [], 0.0
  for index, (steps, prior) in enumerate(levels):
    images = _squeeze(images)
    for weights in steps:
      images, log_det = _step_to_latent(images, weights, affine)
      total = total + log_det
    if index < len(levels) - 1:
      images, log_det = _coupling(
        images, lambda x, p=prior: _convolution(x, *p), affine, undo=True
      )
      total = total + log_det
      half = images.shape[-1] // 2
      leaving.append(images[..., :half])
      images = images[..., half:]
  leaving.append(images)
  flat = [x.reshape(len(x), -1) for x in reversed(leaving)]
  return np.concatenate(flat, axis=-1), total


def _to_image(latent, levels, level_shapes, affine):
  """Latent to image; `level_shapes` are deepest first."""
  images = None
  for (steps, prior), shape in zip(reversed(levels), level_shapes, strict=True):
    size = np.prod(shape)
    part, latent = latent[:, :size], latent[:, size:]
    part = part.reshape(-1, *shape)
    if images is None:
      images = part
    else:
      images, _ = _coupling(
        np.concatenate([part, images], axis=-1),
        lambda x, p=prior: _convolution(x, *p),
        affine,
        undo=False,
      )
    for weights in reversed(steps):
      images = _step_to_image(images, weights, affine)
    images = _unsqueeze(images)
  return images


def _numpy_weights(glow):
  """Lists `(weights of the steps, weights of the prior)` of each level."""
  levels, flow = [], glow.flow
  while True:
    _, scan, rest = flow.bijectors
    steps = [
      tf.nest.map_structure(
        lambda x, i=i: x.numpy()[i], scan.stacked_parameters
      )
      for i in range(scan.num_steps)
    ]
    if not isinstance(rest, bijectors.FactorOut):
      return [*levels, (steps, None)]
    network = rest.prior.network
    by_rank = {len(v.shape): v.numpy() for v in network.variables}
    levels.append((steps, (by_rank[4], by_rank[1])))
    flow = rest.bijector


@pytest.mark.parametrize('coupling', ['affine', 'additive'])
@pytest.mark.parametrize('recompute', [True, False])
def test_glow_agrees(coupling, recompute):
  random = np.random.default_rng(0)
  glow = bijectors.Glow(
    [8, 16, 3],
    num_levels=3,
    num_steps=2,
    hidden_channels=5,
    coupling=coupling,
    seed=1,
    recompute=recompute,
    dtype=tf.float64,
  )
  images = random.uniform(-0.5, 0.5, [6, 8, 16, 3])
  bijectors.initialize(glow, images)
  for variable in glow.trainable_variables:
    variable.assign_add(0.1 * random.normal(size=variable.shape))
  levels = _numpy_weights(glow)
  affine = coupling == 'affine'
  expected_latents, expected_log_det = _to_latent(images, levels, affine)
  latents, log_det = glow.inverse_and_log_det(images)
  np.testing.assert_allclose(latents, expected_latents, rtol=1e-9, atol=1e-9)
  np.testing.assert_allclose(log_det, expected_log_det, rtol=1e-9)

  latents = random.normal(size=latents.shape)
  expected_images = _to_image(latents, levels, glow.level_shapes, affine)
  sampled, log_det = glow.forward_and_log_det(latents)
  np.testing.assert_allclose(sampled, expected_images, rtol=1e-9, atol=1e-9)
  _, expected_log_det = _to_latent(expected_images, levels, affine)
  np.testing.assert_allclose(log_det, -expected_log_det, rtol=1e-9)
