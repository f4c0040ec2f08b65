# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The bundled sample: real images, in distribution and out, no download."""

import functools

import numpy as np

__all__ = ['SAMPLES', 'sample_arrays']

SAMPLES = ('sample_digits', 'sample_photographs')

_SIZE = 32

# The grid of blocks that a photograph of 427 x 640 pixels is cut into.
_BLOCK = 106
_BLOCK_ROWS = 4
_BLOCK_COLUMNS = 6
# Pairs of a scale (original pixels a side for one pixel of a patch) and the
# stride of the patches within a block, in original pixels.
_SCALES_AND_STRIDES = ((1, 14), (2, 7), (3, 5))
# Patches whose pixels vary less than this show nothing; see `_deviations`. No patch
# is so near to it that decoders of JPEG, which differ by a level here and there,
# could decide.
_MIN_DEVIATION = 21.4
# Ranges of the light on a patch, and of how much of each color there is in it.
_LIGHT, _TINT = (0.5, 1.5), (0.65, 1.0)

_NUM_DIGITS_TRAIN = 1297


@functools.cache
def sample_arrays(name):
  """Builds one data set of the bundled sample.

  `'sample_photographs'` is 32 x 32 color patches of scikit-learn's two
  photographs (label 0: china, 1: flower) at three scales, the larger ones
  thumbnails of parts of the scenes: 2,810 to train (half of them mirror images)
  and 774 to test. Patches of plain sky or blurred background are left out: those
  whose pixels vary by less than 21.4 gray levels (standard deviation), as one or
  two in a hundred of CIFAR-10's images do. Two photographs have few colors, so
  each patch is seen in a light of its own, half to one and a half times as bright
  and tinted; what is too bright is white. The photographs are cut into a grid of
  blocks; every third block is for testing and no patch crosses the border of a
  block, so that train and test share no pixel at any scale. Patches of one block
  do overlap one another.

  `'sample_digits'` is scikit-learn's 1,797 handwritten digits (the label is the
  digit), enlarged to 32 x 32 and painted on a plate of the color of some patch of
  the photographs, under an even gradient of light, as house numbers are: lighter
  on a dark plate, darker on a bright one. There are 1,297 to train and 500 to
  test. Within an image, their pixels vary less than the photographs' (a standard
  deviation of 21 gray levels against 33), and smoothly: neighbors differ by 4
  gray levels on average, those of photographs by 13.

  Args:
    name: `'sample_photographs'` or `'sample_digits'`.

  Returns:
    A dict from `'train'` and `'test'` to `(images, labels)`: NumPy arrays,
    `uint8` of `[num_examples, 32, 32, 3]` and `int64` of `[num_examples]`,
    always the same and in the same mixed order. They are read-only.

  Raises:
    ValueError: if `name` is no part of the sample.

  #### Examples

  >>> images, labels = sample_arrays('sample_digits')['test']
  >>> images.shape, labels[:5].tolist()
  ((500, 32, 32, 3), [8, 0, 2, 1, 9])
  """
  if name == 'sample_photographs':
    splits = _photographs()
  elif name == 'sample_digits':
    splits = _digits()
  else:
    raise ValueError(
      f'`name` must be one of {", ".join(SAMPLES)}, got {name!r}.'
    )
  # The cache hands the same arrays to every caller.
  for images, labels in splits.values():
    images.flags.writeable = False
    labels.flags.writeable = False
  return splits


def _photographs():
  # Imported here because scikit-learn takes a second to load.
  from sklearn import datasets

  patches = {'train': [], 'test': []}
  labels = {'train': [], 'test': []}
  for label, photograph in enumerate(datasets.load_sample_images().images):
    for split, block in _blocks(photograph, label):
      found = _patches(block)
      found = found[_deviations(found) >= _MIN_DEVIATION]
      if split == 'train':
        found = np.concatenate([found, found[:, :, ::-1]])
      patches[split].append(found)
      labels[split].append(np.full(len(found), label, np.int64))
  return {
    split: _mixed(
      _lit(np.concatenate(patches[split]), _generator(4 + seed)),
      np.concatenate(labels[split]),
      seed,
    )
    for seed, split in enumerate(patches)
  }


def _blocks(photograph, label):
  for row in range(_BLOCK_ROWS):
    for column in range(_BLOCK_COLUMNS):
      top, left = row * _BLOCK, column * _BLOCK
      # A third of the blocks, on diagonals, so that both splits see roofs, trees,
      # petals and leaves alike. Of all such choices this is the one whose splits
      # are most alike in brightness, colors, contrast and detail.
      split = 'test' if (row + column + label) % 3 == 1 else 'train'
      yield split, photograph[top : top + _BLOCK, left : left + _BLOCK]


def _patches(block):
  patches = []
  for scale, stride in _SCALES_AND_STRIDES:
    side = scale * _SIZE
    offsets = range(0, _BLOCK - side + 1, stride)
    patches.extend(
      _shrunk(block[top : top + side, left : left + side], scale)
      for top in offsets
      for left in offsets
    )
  return np.stack(patches)


def _deviations(patches):
  """Standard deviations within patches, means over the channels, `[n]`."""
  return patches.std(axis=(1, 2)).mean(axis=-1)


def _lit(patches, generator):
  """Casts light on patches: `[n, 32, 32, 3]`, floats to `uint8`."""
  number = len(patches)
  light = _uniform(generator, *_LIGHT, (number, 1, 1, 1))
  tint = _uniform(generator, *_TINT, (number, 1, 1, 3))
  lit = np.clip(patches * (light * tint).astype(np.float32), 0, 255)
  return np.rint(lit).astype(np.uint8)


def _shrunk(pixels, scale):
  # Means of whole cells: exact, so no image library's resampling can alter it.
  cells = pixels.reshape(_SIZE, scale, _SIZE, scale, -1)
  return cells.mean(axis=(1, 3), dtype=np.float32)


def _digits():
  # Imported here because scikit-learn takes a second to load.
  from sklearn import datasets

  digits = datasets.load_digits()
  intensity = _enlarged(digits.images / 16.0)
  images, labels = _mixed(
    _painted(intensity, _generator(2)), digits.target.astype(np.int64), seed=3
  )
  first_test = _NUM_DIGITS_TRAIN
  return {
    'train': (images[:first_test].copy(), labels[:first_test].copy()),
    'test': (images[first_test:].copy(), labels[first_test:].copy()),
  }


def _enlarged(digits):
  """Enlarges `[n, 8, 8]` to `[n, 32, 32]` with bilinear interpolation."""
  small = digits.shape[-1]
  centres = (np.arange(_SIZE) + 0.5) * small / _SIZE - 0.5
  centres = np.clip(centres, 0, small - 1)
  # A hat function about each small pixel. The weights are multiples of 1/8
  # and the digits of 1/16, so the sums are exact on every machine.
  weights = np.maximum(0, 1 - np.abs(centres[:, np.newaxis] - np.arange(small)))
  return weights @ digits @ weights.T


def _painted(intensity, generator):
  number = len(intensity)
  # One of each image.
  one = (number, 1, 1, 1)
  # The mean color of some patch of a photograph, so that not the palette sets
  # the two data sets apart, and a lighter or darker one for the digit.
  photographs, _ = sample_arrays('sample_photographs')['train']
  colors = photographs.mean(axis=(1, 2), keepdims=True)
  plate = colors[generator.integers(len(colors), size=number)]
  # Lighter on a dark plate, darker on a bright one, either between the two.
  brightness = plate.mean(axis=-1, keepdims=True)
  is_dark = brightness + _uniform(generator, -48, 48, one) < 128
  contrast = np.where(is_dark, 1, -1) * _uniform(generator, 30, 90, one)
  position = np.linspace(-1, 1, _SIZE)
  light = (
    _uniform(generator, -16, 16, one) * position[:, np.newaxis, np.newaxis]
    + _uniform(generator, -16, 16, one) * position[:, np.newaxis]
  )
  painted = plate + contrast * intensity[..., np.newaxis] + light
  return np.rint(np.clip(painted, 0, 255)).astype(np.uint8)


def _mixed(images, labels, seed):
  # Mixed once, so that a slice such as 'train[:10%]' is representative.
  order = np.argsort(_generator(seed).random(len(labels)), kind='stable')
  return images[order], labels[order]


def _uniform(generator, low, high, shape):
  return low + (high - low) * generator.random(shape)


def _generator(seed):
  return np.random.Generator(np.random.PCG64(seed))
