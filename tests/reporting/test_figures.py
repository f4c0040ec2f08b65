# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the figures: what they draw, where, and what they refuse."""

import io
import math

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_hex
from matplotlib.patches import StepPatch
from PIL import Image

from tfp_ood import reporting
from tfp_ood.reporting import _style


def _normal(loc, scale, size=2000, seed=0):
  return np.random.default_rng(seed).normal(loc, scale, size)


def _outlines(axes):
  """Histograms by their label."""
  return {
    patch.get_label(): patch
    for patch in axes.patches
    if isinstance(patch, StepPatch) and patch.get_label()
  }


def _area(outline):
  densities, edges, _ = outline.get_data()
  return np.sum(densities * np.diff(edges))


def _legend(figure):
  return [text.get_text() for text in figure.legends[0].get_texts()]


def _notes(figure):
  return [text.get_text() for text in figure.axes[0].texts][::-1]


def _vertical_lines(axes):
  return [line for line in axes.lines if len(line.get_xdata()) == 2]


def _assert_no_text_leaves_the_figure_or_overlaps(figure):
  canvas = FigureCanvasAgg(figure)
  canvas.draw()
  renderer = canvas.get_renderer()
  texts = [
    text
    for axes in figure.axes
    for text in (
      axes.title,
      axes.xaxis.label,
      axes.yaxis.label,
      *axes.texts,
    )
  ]
  texts += [text for legend in figure.legends for text in legend.get_texts()]
  boxes = [
    text.get_window_extent(renderer) for text in texts if text.get_text()
  ]
  for i, box in enumerate(boxes):
    assert box.x0 >= 0 and box.y0 >= 0
    assert box.x1 <= figure.bbox.x1 and box.y1 <= figure.bbox.y1
    assert not any(box.overlaps(other) for other in boxes[:i])


# --- histograms ---------------------------------------------------------------


def test_histograms_have_common_bins_and_area_one():
  sets = {'CIFAR-10': _normal(3.5, 0.5), 'SVHN': _normal(2.3, 0.3, 700)}
  figure = reporting.histograms(
    sets, 'bits per dimension', title='Title', num_bins=40
  )
  (axes,) = figure.axes
  outlines = _outlines(axes)
  assert list(outlines) == _legend(figure) == list(sets)
  assert _notes(figure) == []
  widths = set()
  for name, outline in outlines.items():
    assert _area(outline) == pytest.approx(1.0)
    _, edges, _ = outline.get_data()
    widths |= {round(width, 12) for width in np.diff(edges)}
    assert edges[0] <= sets[name].min() and edges[-1] >= sets[name].max()
  (width,) = widths
  left, right = axes.get_xlim()
  assert (right - left) / width == pytest.approx(40)
  labels = axes.get_title(), axes.get_xlabel(), axes.get_ylabel()
  assert labels == ('Title', 'bits per dimension', 'density')


def test_histogram_counts_agree_with_numpy():
  values = _normal(0.0, 1.0)
  (axes,) = reporting.histograms({'a': values}, 'x').axes
  densities, edges, _ = _outlines(axes)['a'].get_data()
  expected, _ = np.histogram(values, edges, density=True)
  np.testing.assert_allclose(densities, expected)


@pytest.mark.parametrize('far, side', [(1e24, 'right'), (-1e24, 'left')])
def test_a_far_data_set_does_not_squeeze_the_others(far, side):
  near = {'CIFAR-10': _normal(3.5, 0.5), 'SVHN': _normal(2.3, 0.3)}
  alone = reporting.histograms(near, 'x')
  figure = reporting.histograms({**near, 'noise': [far, 2 * far]}, 'x')
  assert figure.axes[0].get_xlim() == alone.axes[0].get_xlim()
  (note,) = _notes(figure)
  expected = {
    'right': 'noise: all beyond the axis, from 1e+24 to 2e+24 ▶',
    'left': '◀ noise: all beyond the axis, from -2e+24 to -1e+24',
  }
  assert note == expected[side]
  assert _legend(figure) == ['CIFAR-10', 'SVHN']


def test_values_partly_beyond_the_axis_keep_their_share_of_the_area():
  mixed = np.concatenate([_normal(0.0, 1.0, 900), np.full(100, 500.0)])
  figure = reporting.histograms({'in': _normal(0.0, 1.0), 'mixed': mixed}, 'x')
  assert _notes(figure) == ['mixed: 10 % beyond the axis, at 500 ▶']
  assert _area(_outlines(figure.axes[0])['mixed']) == pytest.approx(0.9)


def test_an_outlier_of_the_first_data_set_does_not_stretch_the_axis():
  values = np.append(_normal(0.0, 1.0, 999), 1e6)
  figure = reporting.histograms({'in': values}, 'x')
  assert figure.axes[0].get_xlim()[1] < 20
  assert _notes(figure) == ['in: 0.1 % beyond the axis, at 1e+06 ▶']


def test_infinite_values_are_beyond_the_axis():
  figure = reporting.histograms(
    {
      'in': _normal(0.0, 1.0),
      'all': [-math.inf, -math.inf],
      'some': np.append(_normal(0.0, 1.0, 999), math.inf),
    },
    'x',
  )
  assert _notes(figure) == [
    '◀ all: all beyond the axis, at -inf',
    'some: 0.1 % beyond the axis, at inf ▶',
  ]


def test_a_constant_data_set_is_a_labelled_line():
  figure = reporting.histograms(
    {'in': _normal(3.0, 1.0), 'constant': np.full(50, 2.5)}, 'x'
  )
  (axes,) = figure.axes
  (line,) = _vertical_lines(axes)
  assert list(line.get_xdata()) == [2.5, 2.5]
  assert _legend(figure) == ['in', 'constant: at 2.5']
  assert list(_outlines(axes)) == ['in']


def test_a_narrow_data_set_is_a_line_with_its_extent():
  figure = reporting.histograms(
    {'in': _normal(3.0, 1.0), 'narrow': [2.5, 2.51, 2.52]}, 'x'
  )
  assert _legend(figure) == ['in', 'narrow: from 2.5 to 2.52']


def test_all_constant_and_equal_data_sets_stay_visible():
  # The volume term of a constant-volume flow, in float32.
  value = np.float32(-5123.25)
  names = ['CIFAR-10', 'SVHN', 'noise']
  rounded = np.array([value, np.nextafter(value, np.float32(0))])
  figure = reporting.histograms(dict.fromkeys(names, rounded), 'log|det|')
  (axes,) = figure.axes
  assert _legend(figure) == [f'{name}: at -5123' for name in names]
  left, right = axes.get_xlim()
  assert left < value < right and right - left > 100
  lines = _vertical_lines(axes)
  assert len({to_hex(line.get_color()) for line in lines}) == 3
  # Dashes as long as a third of the period, one after the other.
  patterns = [line._unscaled_dash_pattern for line in lines]
  assert [tuple(dashes) for _, dashes in patterns] == [(4.0, 8.0)] * 3
  assert sorted(offset % 12.0 for offset, _ in patterns) == [0.0, 4.0, 8.0]


def test_a_constant_first_data_set_leaves_room_for_the_others():
  figure = reporting.histograms(
    {'in': np.zeros(9), 'other': _normal(1.0, 1.0)}, 'x'
  )
  assert _legend(figure) == ['in: at 0', 'other']
  assert _area(_outlines(figure.axes[0])['other']) == pytest.approx(1.0)


def test_a_single_value_can_be_drawn():
  figure = reporting.histograms({'a': [0.0]}, 'x')
  left, right = figure.axes[0].get_xlim()
  assert left < 0.0 < right


@pytest.mark.parametrize('log_scale', [False, True])
def test_a_high_peak_is_cut_off_and_told(log_scale):
  sets = {'in': _normal(0.0, 1.0), 'peak': _normal(2.0, 0.06)}
  figure = reporting.histograms(sets, 'x', log_scale=log_scale)
  outlines = _outlines(figure.axes[0])
  peak_of_in, peak = (
    np.max(outlines[name].get_data().values) for name in ('in', 'peak')
  )
  assert peak > 4 * peak_of_in
  assert 4 * peak_of_in < figure.axes[0].get_ylim()[1] < 6.1 * peak_of_in
  assert _notes(figure) == [f'▲ peak: peak cut off, density up to {peak:.3g}']


def test_log_scale_shows_every_bin_with_a_value():
  (axes,) = reporting.histograms(
    {'in': _normal(0.0, 1.0)}, 'x', log_scale=True
  ).axes
  assert axes.get_yscale() == 'log'
  densities = _outlines(axes)['in'].get_data().values
  assert 0 < axes.get_ylim()[0] < densities[densities > 0].min()


def test_in_distribution_is_drawn_distinctly():
  figure = reporting.histograms(
    {'in': _normal(0.0, 1.0), 'out': _normal(1.0, 1.0)}, 'x'
  )
  fills = [p for p in figure.axes[0].patches if p.get_fill()]
  assert fills[0].get_alpha() > 2 * fills[1].get_alpha()
  outlines = _outlines(figure.axes[0])
  assert outlines['in'].get_linewidth() > outlines['out'].get_linewidth()


@pytest.mark.parametrize(
  'sets, message',
  [
    ({}, '`values_by_name` is empty'),
    ({'a': []}, r"`values_by_name\['a'\]` has shape \(0,\)"),
    ({'a': [[1.0]]}, r"`values_by_name\['a'\]` has shape \(1, 1\)"),
    ({'a': [1.0, math.nan]}, r"`values_by_name\['a'\]` holds 1 NaN among 2"),
    ({'a': [math.inf]}, '`values_by_name` holds no finite value'),
  ],
)
def test_histograms_refuse(sets, message):
  with pytest.raises(ValueError, match=message):
    reporting.histograms(sets, 'x')


def test_histograms_need_bins():
  with pytest.raises(ValueError, match='`num_bins` must be positive, got 0'):
    reporting.histograms({'a': [1.0, 2.0]}, 'x', num_bins=0)


def test_panels_are_histograms_side_by_side():
  near, far = _normal(0.0, 1.0, 100), _normal(3.0, 1.0, 80)
  figure = reporting.histogram_panels(
    {'first': {'a': near, 'b': far}, 'second': {'a': far, 'b': near}}
  )
  assert [axes.get_xlabel() for axes in figure.axes] == ['first', 'second']
  alone = reporting.histograms({'a': near, 'b': far}, 'first', num_bins=40)
  for panel, single in zip(
    figure.axes[0].patches, alone.axes[0].patches, strict=True
  ):
    np.testing.assert_array_equal(
      panel.get_data().values, single.get_data().values
    )
  (legend,) = figure.legends
  assert [text.get_text() for text in legend.get_texts()] == ['a', 'b']


@pytest.mark.parametrize('panels', [{}, {'x': {'a': [1.0]}, 'y': {'b': [1.0]}}])
def test_panels_need_the_same_data_sets(panels):
  with pytest.raises(ValueError, match='the same data sets'):
    reporting.histogram_panels(panels)


# --- image grid ---------------------------------------------------------------


@pytest.mark.parametrize('channels', [1, 3])
def test_image_grid_shows_the_pixels_in_rows(channels):
  images = np.random.default_rng(0).integers(
    0, 256, (5, 4, 4, channels), dtype=np.uint8
  )
  figure = reporting.image_grid(images, 3)
  drawn = figure.axes[0].images
  for image, expected in zip(drawn, images, strict=True):
    np.testing.assert_array_equal(
      image.get_array(), np.broadcast_to(expected, (4, 4, 3))
    )
    assert image.get_interpolation() == 'nearest'
  left = [round(image.get_extent()[0], 6) for image in drawn]
  top = [round(image.get_extent()[3], 6) for image in drawn]
  assert left[0] < left[1] < left[2] and left[3:] == left[:2]
  assert top[0] == top[1] == top[2] < top[3] == top[4]  # y runs downwards.


def test_image_grid_is_upright_on_paper():
  image = np.full((1, 2, 2, 3), 255, np.uint8)
  image[0, 0, 0] = [255, 0, 0]  # Red in the upper left corner.
  figure = reporting.image_grid(image, 1)
  buffer = io.BytesIO()
  figure.savefig(buffer, format='rgba', dpi=100)
  width, height = (figure.get_size_inches() * 100).round().astype(int)
  pixels = np.frombuffer(buffer.getvalue(), np.uint8).reshape(height, width, 4)
  assert pixels[height // 3, width // 3, :3].tolist() == [255, 0, 0]
  assert pixels[-height // 3, width // 3, :3].tolist() == [255, 255, 255]
  assert pixels[height // 3, -width // 3, :3].tolist() == [255, 255, 255]


@pytest.mark.parametrize(
  'caption, num_columns',
  [
    ('3.14', 1),
    ('3.14', 4),
    ('3.14', 20),
    ('3.14 bits/dim\nlabel 7', 4),
    ('3.14 bits/dim\nlabel 7', 10),
  ],
)
def test_captions_touch_neither_images_nor_each_other(num_columns, caption):
  images = np.zeros((21, 8, 8, 3), np.uint8)
  figure = reporting.image_grid(
    images, num_columns, title='A title', captions=[caption] * 21
  )
  canvas = FigureCanvasAgg(figure)
  canvas.draw()
  renderer = canvas.get_renderer()
  (axes,) = figure.axes
  boxes = [text.get_window_extent(renderer) for text in axes.texts]
  assert [text.get_text() for text in axes.texts][1:] == [caption] * 21
  boxes += [image.get_window_extent(renderer) for image in axes.images]
  for i, box in enumerate(boxes):
    assert box.x0 >= 0 and box.x1 <= figure.bbox.x1
    assert box.y0 >= 0 and box.y1 <= figure.bbox.y1
    for other in boxes[:i]:
      overlap_x = min(box.x1, other.x1) - max(box.x0, other.x0)
      overlap_y = min(box.y1, other.y1) - max(box.y0, other.y0)
      assert min(overlap_x, overlap_y) < 1.0  # Pixel.


@pytest.mark.parametrize(
  'images, error, message',
  [
    (np.zeros((1, 4, 4, 3)), TypeError, 'be uint8.*got float64'),
    (np.zeros((4, 4, 3), np.uint8), ValueError, r'got \[4, 4, 3\]'),
    (np.zeros((1, 4, 4, 2), np.uint8), ValueError, r'got \[1, 4, 4, 2\]'),
    (np.zeros((0, 4, 4, 3), np.uint8), ValueError, r'got \[0, 4, 4, 3\]'),
  ],
)
def test_image_grid_refuses_other_images(images, error, message):
  with pytest.raises(error, match='`images` must.*' + message):
    reporting.image_grid(images, 1)


def test_image_grid_refuses_other_numbers():
  images = np.zeros((2, 4, 4, 3), np.uint8)
  with pytest.raises(ValueError, match='`num_columns` must be positive, got 0'):
    reporting.image_grid(images, 0)
  with pytest.raises(ValueError, match='`captions` has 1 entries for 2 images'):
    reporting.image_grid(images, 2, captions=['a'])


# --- heat maps ----------------------------------------------------------------


def test_heat_maps_are_below_their_images():
  generator = np.random.default_rng(0)
  images = generator.integers(0, 256, (3, 4, 6, 1), dtype=np.uint8)
  maps = {name: generator.normal(size=[3, 4, 6]) for name in ('one', 'other')}
  maps['other'][1, 2, 3] = 1e6  # Alone, it does not set the scale.
  figure = reporting.heat_maps(images, maps, captions=['1', '2', '3'])
  # Maps have a scale of colors at the end of each row.
  grid = [figure.axes[:3], figure.axes[3:6], figure.axes[7:10]]
  assert [axis.get_title() for axis in grid[0]] == ['1', '2', '3']
  for axis, image in zip(grid[0], images, strict=True):
    drawn = axis.images[0].get_array()
    np.testing.assert_array_equal(drawn, np.broadcast_to(image, (4, 6, 3)))
  for row, (name, values) in zip(grid[1:], maps.items(), strict=True):
    assert row[0].get_title(loc='left') == name
    limits = {axis.images[0].get_clim() for axis in row}
    assert limits == {tuple(np.percentile(values, [1, 99]))}
    for axis, expected in zip(row, values, strict=True):
      np.testing.assert_array_equal(axis.images[0].get_array(), expected)


def test_heat_maps_refuse_other_shapes():
  images = np.zeros((2, 4, 4, 3), np.uint8)
  with pytest.raises(ValueError, match=r"\['x'\]` must have shape \[2, 4, 4\]"):
    reporting.heat_maps(images, {'x': np.zeros([2, 4])})
  with pytest.raises(TypeError, match='must be uint8'):
    reporting.heat_maps(images / 255, {})


# --- curves -------------------------------------------------------------------


def test_curve_draws_series_and_intervals():
  x, series = [0, 1, 2], {'a': [3.0, 2.0, 1.0], 'b': [1.0, 1.5, 2.0]}
  figure = reporting.curve(
    x, series, 'step', 'nats', 'Title', {'b': ([0, 1, 1], [2, 2, 3])}
  )
  (axes,) = figure.axes
  for line, expected in zip(axes.lines, series.values(), strict=True):
    np.testing.assert_array_equal(line.get_xdata(), x)
    np.testing.assert_array_equal(line.get_ydata(), expected)
  (band,) = axes.collections
  corners = {tuple(vertex) for vertex in band.get_paths()[0].vertices}
  assert {(0, 0), (1, 1), (2, 1), (0, 2), (1, 2), (2, 3)} <= corners
  assert to_hex(band.get_facecolor()[0]) == to_hex(axes.lines[1].get_color())
  assert _legend(figure) == ['a', 'b']
  labels = axes.get_title(), axes.get_xlabel(), axes.get_ylabel()
  assert labels == ('Title', 'step', 'nats')


def test_a_single_curve_needs_no_legend():
  assert reporting.curve([0, 1], {'a': [1, 2]}, 'x', 'y').legends == []


@pytest.mark.parametrize(
  'x, series, intervals, message',
  [
    ([0], {}, None, '`series_by_name` is empty'),
    ([], {'a': []}, None, r'`x` has shape \(0,\)'),
    ([[0]], {'a': [[0]]}, None, r'`x` has shape \(1, 1\)'),
    ([0, 1], {'a': [0]}, None, r"`series_by_name\['a'\]` has shape \(1,\)"),
    (
      [0, 1],
      {'a': [0, math.nan]},
      None,
      r"`series_by_name\['a'\]` holds 1 NaN or infinite values among 2",
    ),
    (
      [0, 1],
      {'a': [0, 1]},
      {'b': ([0, 0], [1, 1])},
      r"`intervals_by_name` has \['b'\], not among the series \['a'\]",
    ),
    (
      [0, 1],
      {'a': [0, 1]},
      {'a': ([0, 0], [1])},
      r"`intervals_by_name\['a'\]` has shape \(1,\)",
    ),
  ],
)
def test_curve_refuses(x, series, intervals, message):
  with pytest.raises(ValueError, match=message):
    reporting.curve(x, series, 'x', 'y', intervals_by_name=intervals)


def test_roc_curves_draw_the_rates_and_name_the_auroc():
  rates = [0.0, 0.25, 1.0], [0.0, 0.5, 1.0]
  figure = reporting.roc_curves({'SVHN': (*rates, 0.625)}, title='Title')
  (axes,) = figure.axes
  np.testing.assert_array_equal(axes.lines[0].get_data(), rates)
  assert _legend(figure) == ['SVHN (AUROC 0.625)', 'chance']
  assert axes.get_xlabel().startswith('false positive rate')
  assert axes.get_ylabel().startswith('true positive rate')


@pytest.mark.parametrize(
  'curves, message',
  [
    ({}, '`curves_by_name` is empty'),
    ({'a': ([0, 1], [0, 0.5, 1], 0.5)}, r'rates of shapes \(2,\) and \(3,\)'),
    ({'a': ([0, 1], [0, 100], 0.5)}, r'rates outside \[0, 1\]'),
    ({'a': ([0, math.nan], [0, 1], 0.5)}, r'rates outside \[0, 1\]'),
  ],
)
def test_roc_curves_refuse(curves, message):
  with pytest.raises(ValueError, match=message):
    reporting.roc_curves(curves)


# --- all ----------------------------------------------------------------------


def _crowded_figures():
  names = [f'a data set with a long name, {i}' for i in range(6)]
  sets = {name: _normal(i, 1.0, 200) for i, name in enumerate(names)}
  far = {'very far away': [1e9, 2e9], 'far on the left': [-1e9]}
  x = np.linspace(0.0, 1.0, 50)
  return {
    'histograms': lambda: reporting.histograms(
      {**sets, **far}, 'bits per dimension', title='Title'
    ),
    'curve': lambda: reporting.curve(
      x, {name: x + i for i, name in enumerate(names)}, 'x', 'y', title='Title'
    ),
    'histogram_panels': lambda: reporting.histogram_panels(
      dict.fromkeys(
        ['bits per dimension', 'another score'],
        {'sample_photographs test': x, 'sample_digits test': 2.5 * x},
      )
    ),
    'roc_curves': lambda: reporting.roc_curves(
      {name: (x, x, 0.5) for name in names}, title='Title'
    ),
  }


@pytest.mark.parametrize(
  'name', ['histograms', 'histogram_panels', 'curve', 'roc_curves']
)
def test_no_text_overlaps_in_a_crowded_figure(name):
  _assert_no_text_leaves_the_figure_or_overlaps(_crowded_figures()[name]())


def test_many_series_are_told_apart():
  styles = [tuple(_style.line_style(i).values()) for i in range(28)]
  assert len(set(styles)) == 28


# ------------------------------------------------------------------- scatter


def test_scatter_draws_every_point_in_the_color_of_its_data_set():
  generator = np.random.default_rng(0)
  sets = {
    name: generator.normal(size=[n, 2]) for name, n in (('a', 30), ('b', 9))
  }
  figure = reporting.scatter(sets)
  (axes,) = figure.axes
  assert _legend(figure) == ['a', 'b']
  colors = []
  for points, collection in zip(sets.values(), axes.collections, strict=True):
    np.testing.assert_array_equal(collection.get_offsets(), points)
    colors.append(to_hex(collection.get_facecolor()[0]))
  assert len(set(colors)) == 2
  # The units of an embedding mean nothing.
  assert not axes.get_xticks().size and not axes.get_yticks().size
  _assert_no_text_leaves_the_figure_or_overlaps(figure)


def test_scatter_of_quantities_has_their_units():
  figure = reporting.scatter({'a': np.eye(2)}, 'length (m)', 'time (s)')
  (axes,) = figure.axes
  assert (axes.get_xlabel(), axes.get_ylabel()) == ('length (m)', 'time (s)')
  assert axes.get_xticks().size and axes.get_yticks().size
  _assert_no_text_leaves_the_figure_or_overlaps(figure)


@pytest.mark.parametrize(
  ('sets', 'message'),
  [
    ({}, 'is empty'),
    ({'a': np.zeros([4, 3])}, "'a'.*shape \\(4, 3\\)"),
    ({'a': np.zeros([4])}, "'a'.*shape"),
    ({'a': np.zeros([4, 2]), 'b': [[0.0, np.nan]]}, "'b'.*finite"),
  ],
)
def test_scatter_refuses(sets, message):
  with pytest.raises(ValueError, match=message):
    reporting.scatter(sets)


# ------------------------------------------------------------------- notebooks


@pytest.mark.parametrize(
  'figure',
  [
    reporting.curve([0, 1], {'loss': [2.0, 1.0]}, 'step', 'nats'),
    reporting.image_grid(np.zeros([3, 8, 8, 3], np.uint8), num_columns=2),
  ],
  ids=['curve', 'image_grid'],
)
def test_a_notebook_shows_figures_at_half_their_dots(figure):
  data, size = figure._repr_png_()
  image = Image.open(io.BytesIO(data))
  assert image.size == (2 * size['width'], 2 * size['height'])
  assert len(image.convert('L').getcolors()) > 1
