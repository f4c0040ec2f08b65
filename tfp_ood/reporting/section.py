# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""A section of a report, as data."""

from tfp_ood.reporting.curve_figure import curve
from tfp_ood.reporting.heat_map_figure import heat_maps
from tfp_ood.reporting.histogram_figure import histogram_panels, histograms
from tfp_ood.reporting.image_grid_figure import image_grid
from tfp_ood.reporting.roc_figure import roc_curves
from tfp_ood.reporting.scatter_figure import scatter

__all__ = ['Section']

_FIGURES = {
  figure.__name__: figure
  for figure in (
    curve,
    heat_maps,
    histogram_panels,
    histograms,
    image_grid,
    roc_curves,
    scatter,
  )
}


class Section:
  """Text, tables and figures under one title, and the numbers behind them.

  Figures are kept as what they are drawn from, so that a section can be kept in a
  file (`tree`) and drawn again.

  #### Example

  >>> from tfp_ood import reporting
  >>> section = Section('Training')
  >>> section.add_text('Two epochs.')
  >>> section.add_figure('loss', reporting.curve, 'The loss.', x=[1, 2],
  ...     series_by_name={'loss': [8.0, 5.0]}, xlabel='epoch', ylabel='bits')
  >>> report = reporting.Report('A flow')
  >>> section.add_to(report)
  >>> '<h2 id="section-1">Training</h2>' in report.to_html()
  True
  """

  def __init__(self, title, results=None):
    """Starts a section.

    Args:
      title: `str`.
      results: `dict` of the numbers that the section is about, to be kept beside
        it; as `write_results` takes them.
    """
    self.title = title
    self.results = {} if results is None else results
    self._parts = []

  def add_heading(self, text):
    """Adds the heading of a part of the section."""
    self._parts.append(['heading', {'text': text, 'level': 3}])

  def add_text(self, text):
    """Adds paragraphs; an empty line ends one."""
    self._parts.append(['text', {'text': text}])

  def add_table(self, header, rows, caption=None):
    """Adds a table; see `Report.add_table`."""
    rows = [list(row) for row in rows]
    self._parts.append(
      ['table', {'header': list(header), 'rows': rows, 'caption': caption}]
    )

  def add_command(self, command):
    """Adds a command or other code, kept line by line."""
    self._parts.append(['command', {'command': command}])

  def add_figure(self, name, figure, caption, **arguments):
    """Adds a figure, to be drawn when the report is.

    Args:
      name: `str`, of the figure's own file.
      figure: the function that draws it: `curve`, `heat_maps`, `histogram_panels`,
        `histograms`, `image_grid`, `roc_curves` or `scatter` of `tfp_ood.reporting`.
      caption: `str`.
      **arguments: what the function takes.

    Raises:
      ValueError: if `figure` is another function.
    """
    if _FIGURES.get(figure.__name__) is not figure:
      raise ValueError(
        f'Section.add_figure: `figure` must be one of {", ".join(_FIGURES)} of '
        f'tfp_ood.reporting, got {figure!r}.'
      )
    self._parts.append(
      [
        'figure',
        {
          'name': name,
          'figure': figure.__name__,
          'caption': caption,
          'arguments': arguments,
        },
      ]
    )

  def add_to(self, report):
    """Adds the section to a report, and draws its figures."""
    report.add_heading(self.title)
    for kind, part in self._parts:
      if kind == 'figure':
        figure = _FIGURES[part['figure']](**part['arguments'])
        report.add_figure(figure, part['caption'], name=part['name'])
      else:
        getattr(report, f'add_{kind}')(**part)

  def tree(self):
    """Returns all there is, as `write_tree` takes it."""
    return {'title': self.title, 'results': self.results, 'parts': self._parts}

  @classmethod
  def from_tree(cls, tree):
    """Undoes `tree`."""
    section = cls(tree['title'], tree['results'])
    section._parts = tree['parts']
    return section
