# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The look that all figures share."""

import io

import matplotlib.figure
import numpy as np

__all__ = [
  'COLORS',
  'INK',
  'LINE_STYLES',
  'Figure',
  'add_legend',
  'checked_images',
  'line_style',
  'new_figure',
  'style_axes',
]

# Okabe and Ito's palette, which the color-blind can tell apart, without its
# yellow (too pale on white). The first, blue, is for in-distribution data.
COLORS = (
  '#0072B2',
  '#D55E00',
  '#009E73',
  '#CC79A7',
  '#E69F00',
  '#56B4E9',
  '#000000',
)
LINE_STYLES = ('-', '--', '-.', ':')
INK = '#333333'

_LEGEND_CHARACTERS = 84  # That fit in a line under a figure 7.2 inches wide.
_LEGEND_HANDLE_CHARACTERS = 7


class Figure(matplotlib.figure.Figure):
  """Outside pyplot's registry, so nothing has to be closed; notebooks show it."""

  def _repr_png_(self):
    """Returns a sharp image, and the size to show it in."""
    buffer = io.BytesIO()
    self.savefig(buffer, format='png', dpi=2 * self.dpi)
    width, height = self.get_size_inches() * self.dpi
    return buffer.getvalue(), {'width': round(width), 'height': round(height)}


def new_figure(width=7.2, height=4.2):
  """A white figure whose parts make room for one another."""
  figure = Figure(
    figsize=(width, height), layout='constrained', facecolor='white'
  )
  figure.get_layout_engine().set(w_pad=0.1, h_pad=0.1)  # In inches.
  return figure


def style_axes(axes, xlabel, ylabel):
  """Labels, a light grid, and no box."""
  axes.set_xlabel(xlabel, color=INK)
  axes.set_ylabel(ylabel, color=INK)
  axes.grid(color='#e4e4e4', linewidth=0.8)
  axes.set_axisbelow(True)
  axes.spines[['top', 'right']].set_visible(False)
  axes.spines[['left', 'bottom']].set_color('#888888')
  axes.tick_params(color='#888888', labelcolor=INK)


def line_style(index):
  """Color and line style of the series number `index`.

  Seven colors and four styles, stepped together, make 28 pairs.
  """
  return {
    'color': COLORS[index % len(COLORS)],
    'linestyle': LINE_STYLES[index % len(LINE_STYLES)],
  }


def add_legend(figure, axes, characters=_LEGEND_CHARACTERS):
  """Legend below the axes, where it covers no data, in columns that fit."""
  handles, labels = axes.get_legend_handles_labels()
  longest = max(len(label) for label in labels) + _LEGEND_HANDLE_CHARACTERS
  figure.legend(
    handles,
    labels,
    loc='outside lower center',
    ncols=max(1, min(len(labels), characters // longest)),
    frameon=False,
    labelcolor=INK,
  )


def checked_images(images):
  """Returns images as an array of pixels, or raises."""
  images = np.asarray(images)
  if images.dtype != np.uint8:
    raise TypeError(
      f'`images` must be uint8, the pixel values 0..255; got {images.dtype}. '
      'Round, clip and cast them first.'
    )
  if images.ndim != 4 or images.shape[-1] not in (1, 3) or 0 in images.shape:
    raise ValueError(
      '`images` must have shape [n, height, width, channels] with 1 or 3 '
      f'channels and no empty dimension; got {list(images.shape)}.'
    )
  return images
