# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Folders of pictures, and a model that takes no time, for tests of the command."""

import tensorflow as tf
import tensorflow_probability as tfp
from PIL import Image

from tfp_ood import datasets

__all__ = ['SHAPE', 'damage', 'simple_model', 'write_pictures']

SHAPE = (8, 8, 3)


def write_pictures(folder, name, first, number):
  """Writes images of the bundled sample as PNG files, and returns their paths."""
  folder.mkdir(parents=True, exist_ok=True)
  dataset = datasets.load(name, batch_size=number).unbatch()
  paths = []
  for index, (image, _) in dataset.skip(first).take(number).enumerate(first):
    paths.append(folder / f'{name.split("/")[0]}_{int(index):03}.png')
    Image.fromarray(image.numpy()).save(paths[-1])
  return paths


def damage(folder):
  """Adds three files that are no whole images; returns their names in order."""
  whole = min(folder.glob('*.png')).read_bytes()
  (folder / 'cut_short.png').write_bytes(whole[: len(whole) // 2])
  (folder / 'empty.jpg').write_bytes(b'')
  (folder / 'text.png').write_text('no image')
  return ['cut_short.png', 'empty.jpg', 'text.png']


class _Normal(tfp.distributions.Sample):
  """One normal for all pixels."""

  def __init__(self, image_shape, name='simple_model'):
    self.mean = tf.Variable(110.0)
    deviation = tf.Variable(55.0)
    super().__init__(
      tfp.distributions.Normal(self.mean, deviation), image_shape, name=name
    )


def simple_model(image_shape, **kwargs):
  """The function that makes it, to be registered by `with_weights`."""
  return _Normal(image_shape, **kwargs)
