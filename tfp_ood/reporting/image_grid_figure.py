# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Figure of many small images."""

import numpy as np
from matplotlib.patches import Rectangle

from tfp_ood.reporting import _style

__all__ = [
  'image_grid',
]

# All lengths in inches, unless their name says points.
_WIDTH = 7.2
_MARGIN = 0.08
_GAP = 0.08
_LARGEST_CELL = 1.1
_TITLE_HEIGHT = 0.36
_TITLE_CHARACTER_WIDTH = 0.11
_POINTS_PER_INCH = 72
# Of the font, as fractions of its size.
_CHARACTER_WIDTH = 0.62
_LINE_HEIGHT = 1.25


def image_grid(images, num_columns, title=None, captions=None):
  """Draws images in rows, enlarged without smoothing.

  Args:
    images: `uint8` array `[n, height, width, channels]`, 1 or 3 channels.
    num_columns: `int`, images in a row. The last row may be shorter.
    title: `str` or `None`.
    captions: `n` `str`, each drawn under its image, or `None`. The font shrinks
      to fit the longest (to 4 points at least), so keep them short.

  Returns:
    `matplotlib.figure.Figure`.

  Raises:
    TypeError: If `images` is not `uint8`.
    ValueError: If `images` has another shape or is empty, `num_columns` is not
      positive, or there are not `n` captions.

  #### Example

  >>> images = np.zeros([5, 32, 32, 3], np.uint8)
  >>> figure = image_grid(images, num_columns=3, captions=['0.01'] * 5)
  >>> len(figure.axes[0].images)
  5
  """
  images = _style.checked_images(images)
  if num_columns < 1:
    raise ValueError(f'`num_columns` must be positive, got {num_columns}.')
  if captions is not None and len(captions) != len(images):
    raise ValueError(
      f'`captions` has {len(captions)} entries for {len(images)} images; give '
      'one for each, or None.'
    )
  cell_width = (_WIDTH - 2 * _MARGIN + _GAP) / num_columns - _GAP
  cell_width = min(cell_width, _LARGEST_CELL)
  cell_height = cell_width * images.shape[1] / images.shape[2]
  font_points, caption_height = _caption_size(captions, cell_width)
  pitch_x = cell_width + _GAP
  pitch_y = cell_height + caption_height + _GAP
  top = _MARGIN + (0.0 if title is None else _TITLE_HEIGHT)

  # One row only takes the columns that it fills.
  grid_width = min(num_columns, len(images)) * pitch_x - _GAP
  width = grid_width + 2 * _MARGIN
  if title is not None:
    width = max(width, _TITLE_CHARACTER_WIDTH * len(title))
  left = (width - grid_width) / 2
  num_rows = -(-len(images) // num_columns)
  height = top + num_rows * pitch_y - _GAP + _MARGIN
  figure, axes = _axes_in_inches(width, height)
  if title is not None:
    axes.text(width / 2, _MARGIN, title, ha='center', va='top', fontsize=12)
  for i, image in enumerate(images):
    row, column = divmod(i, num_columns)
    x, y = left + column * pitch_x, top + row * pitch_y
    _draw_image(axes, image, x, y, cell_width, cell_height)
    if captions is not None:
      axes.text(
        x + cell_width / 2,
        y + cell_height + 0.2 * font_points / _POINTS_PER_INCH,
        captions[i],
        ha='center',
        va='top',
        fontsize=font_points,
        color=_style.INK,
      )
  return figure


def _caption_size(captions, cell_width):
  """Font size in points, and the height of the captions."""
  if captions is None:
    return 0.0, 0.0
  lines = [caption.split('\n') for caption in captions]
  longest = max(len(line) for caption in lines for line in caption)
  available = (cell_width + _GAP / 2) * _POINTS_PER_INCH
  font_points = available / (_CHARACTER_WIDTH * max(1, longest))
  font_points = min(max(font_points, 4.0), 8.5)
  num_lines = max(len(caption) for caption in lines)
  line_height = _LINE_HEIGHT * font_points / _POINTS_PER_INCH
  return font_points, line_height * num_lines + 0.03


def _axes_in_inches(width, height):
  """Figure, and axes over all of it in inches from the upper left corner."""
  figure = _style.Figure(figsize=(width, height), facecolor='white')
  axes = figure.add_axes((0, 0, 1, 1))
  axes.set(xlim=(0, width), ylim=(height, 0), autoscale_on=False)
  axes.set_axis_off()
  return figure, axes


def _draw_image(axes, image, x, y, width, height):
  axes.imshow(
    np.broadcast_to(image, image.shape[:2] + (3,)),
    extent=(x, x + width, y + height, y),
    interpolation='nearest',
    aspect='auto',
  )
  # An outline, or white images would vanish.
  axes.add_patch(
    Rectangle((x, y), width, height, fill=False, ec='#aaaaaa', linewidth=0.5)
  )
