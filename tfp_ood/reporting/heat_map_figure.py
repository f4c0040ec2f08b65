# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Figure of images with maps of numbers below them."""

import numpy as np

from tfp_ood.reporting import _style

__all__ = ['heat_maps']

_WIDTH = 7.2  # In inches, as all lengths here.
_ROW_GAP = 0.25
_BAR_WIDTH = 0.015  # In widths of the row.
_COLOR_MAP = 'viridis'
# Single pixels would leave no colors for the others.
_PERCENTILES = (1, 99)


def heat_maps(images, maps_by_name, captions=None):
  """Draws images in a row, and a row of maps below for each kind of map.

  The maps of a row share their colors, from the 1st to the 99th percentile of all
  their values.

  Args:
    images: `uint8` array `[n, height, width, channels]`, 1 or 3 channels.
    maps_by_name: `dict` from names to arrays `[n, height, width]`.
    captions: `n` `str`, each drawn above its image, or `None`.

  Returns:
    `matplotlib.figure.Figure`.

  Raises:
    TypeError: if `images` is not `uint8`.
    ValueError: if images or maps have another shape.

  #### Example

  >>> import numpy as np
  >>> images = np.zeros([4, 8, 8, 1], np.uint8)
  >>> figure = heat_maps(images, {'log-probability': np.zeros([4, 8, 8])})
  >>> len(figure.axes)  # A row of images, one of maps, and the scale of the latter.
  9
  """
  images = _style.checked_images(images)
  count, height, width, _ = images.shape
  for name, maps in maps_by_name.items():
    if np.shape(maps) != (count, height, width):
      raise ValueError(
        f'`maps_by_name[{name!r}]` must have shape [{count}, {height}, {width}], '
        f'as the images have; got {list(np.shape(maps))}.'
      )
  rows = 1 + len(maps_by_name)
  bar_width = _BAR_WIDTH * count
  cell = _WIDTH / (count + 4 * bar_width) * height / width
  figure = _style.new_figure(_WIDTH, rows * (cell + _ROW_GAP) + _ROW_GAP)
  # The last column is for the scales of colors, so that columns stay in line.
  axes = figure.subplots(
    rows, count + 1, squeeze=False, width_ratios=[1] * count + [bar_width]
  )
  axes[0, -1].remove()
  for axis in axes[:, :-1].flat:
    axis.set(xticks=[], yticks=[])
    axis.spines[:].set_color('#aaaaaa')
  for axis, image in zip(axes[0, :-1], images, strict=True):
    axis.imshow(np.broadcast_to(image, (height, width, 3)))
  for axis, caption in zip(axes[0, :-1], captions or [], strict=bool(captions)):
    axis.set_title(caption, fontsize=8, color=_style.INK)
  for row, (name, maps) in zip(axes[1:], maps_by_name.items(), strict=True):
    low, high = np.percentile(maps, _PERCENTILES)
    for axis, values in zip(row[:-1], maps, strict=True):
      drawn = axis.imshow(values, vmin=low, vmax=high, cmap=_COLOR_MAP)
    row[0].set_title(name, fontsize=8, color=_style.INK, loc='left')
    bar = figure.colorbar(drawn, cax=row[-1])
    bar.ax.tick_params(labelsize=7, colors=_style.INK)
    bar.outline.set_edgecolor('#aaaaaa')
  return figure
