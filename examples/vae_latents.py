# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Where data sets lie in the latent space of an autoencoder."""

import experiment_data
import numpy as np
from sklearn import manifold

import tfp_ood

__all__ = ['analyse']

stats = tfp_ood.stats

_NUM_SEPARATED = 2_000
_NUM_EMBEDDED = 500
_PERPLEXITY = 30
_NUM_TRAVERSED = 6
_NUM_STEPS = 9


def analyse(model, datasets, statistics, seed):
  """Separates data sets by planes, and looks at their latents.

  Args:
    model: the distribution, as trained.
    datasets: `dict` of `tf.data.Dataset`s: the in-distribution test set, the
      training set, then the others.
    statistics: `dict` by data set of `dict`s of arrays, with `latent` and
      `latent_adapted`, `[num_examples, latent_size]`.
    seed: Python `int`, of what is drawn.

  Returns:
    A part of the contents of results.json, and arrays for scores.npz.
  """
  names = list(datasets)
  latents = {name: values['latent'] for name, values in statistics.items()}
  adapted = {
    name: values['latent_adapted'] for name, values in statistics.items()
  }
  size = latents[names[0]].shape[1]
  separations = {
    'latent': _separations(latents, names),
    'latent_adapted': _separations(adapted, names),
    'projected_pixels': _separations(_projected(datasets, size, seed), names),
  }
  plane = separations['latent'][names[2]]
  arrays = _embedded(latents, names[:3], seed)
  arrays |= {
    f'{name}/distance': latents[name] @ plane.direction + plane.offset
    for name in names[:3]
  }
  for name in (names[0], names[2]):
    arrays[f'{name}/traversal'] = _traversal(
      model,
      experiment_data.first_images(datasets[name], _NUM_TRAVERSED),
      latents[name][:_NUM_TRAVERSED],
      plane,
    )
  return {
    'separation': {
      space: {
        name: {
          'accuracy_in': found.accuracy_in._asdict(),
          'accuracy_out': found.accuracy_out._asdict(),
          'auroc': found.auroc._asdict(),
        }
        for name, found in by_dataset.items()
      }
      for space, by_dataset in separations.items()
    }
  }, arrays


def _separations(points, names):
  """Separates the test set from each other one by a plane."""
  first = points[names[0]][:_NUM_SEPARATED]
  return {
    name: stats.latent_separation(first, points[name][:_NUM_SEPARATED])
    for name in names[1:]
  }


def _projected(datasets, size, seed):
  """Projects the pixels of images at random, for comparison with latents."""
  first = next(iter(datasets.values()))
  num_pixels = first.element_spec[0].shape[1:].num_elements()
  projection = np.random.default_rng(seed).normal(size=[num_pixels, size])
  return {
    name: np.concatenate(
      [
        np.reshape(images, [-1, num_pixels]) / 255.0 @ projection
        for images, _ in dataset
      ]
    )
    for name, dataset in datasets.items()
  }


def _embedded(latents, names, seed):
  """Lays latents of a few data sets out in a plane by t-SNE."""
  parts = [latents[name][:_NUM_EMBEDDED] for name in names]
  together = np.concatenate(parts)
  embedding = manifold.TSNE(
    perplexity=min(_PERPLEXITY, (len(together) - 1) / 3), random_state=seed
  ).fit_transform(together)
  ends = np.cumsum([len(part) for part in parts])
  return {
    f'{name}/embedded': points
    for name, points in zip(names, np.split(embedding, ends[:-1]), strict=True)
  }


def _traversal(model, images, latents, plane):
  """Images, and what is decoded on the way from one side of a plane to the other.

  Returns:
    `uint8` array, `[num_images, 1 + num_steps, height, width, channels]`.
  """
  decoded = stats.traverse(
    model, latents, plane.direction, plane.offset, _NUM_STEPS
  )
  decoded = np.clip(np.round(decoded), 0, 255).astype(np.uint8)
  return np.concatenate([images[:, np.newaxis], decoded], axis=1)
