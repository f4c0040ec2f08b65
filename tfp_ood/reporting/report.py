# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""A report as one HTML page."""

import base64
import html
import io
import numbers
import os
import re

from tfp_ood._files import atomic_write

__all__ = [
  'Report',
]

_PAGE = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title>
<style>
{style}</style>
</head>
<body>
<h1>{title}</h1>
{contents}{body}
</body>
</html>
"""

_CSS = """\
:root {
  color-scheme: light dark;
  --page: #ffffff; --ink: #1d2329; --faint: #5b6670; --line: #d7dce1;
  --panel: #f3f5f7; --link: #0b62a8;
}
@media (prefers-color-scheme: dark) {
  :root {
    --page: #15191e; --ink: #e3e7eb; --faint: #a3adb7; --line: #39424b;
    --panel: #20262d; --link: #7cbcf2;
  }
}
* { box-sizing: border-box; }
body {
  max-width: 68rem; margin: 0 auto; padding: 1.5rem 1rem 4rem;
  background: var(--page); color: var(--ink);
  font: 1rem/1.55 system-ui, sans-serif; overflow-wrap: break-word;
}
h1 { font-size: 1.8rem; line-height: 1.2; margin: 0.5rem 0 1rem; }
h2 {
  font-size: 1.35rem; line-height: 1.25; margin: 2.5rem 0 0.75rem;
  padding-bottom: 0.25rem; border-bottom: 1px solid var(--line);
}
h3 { font-size: 1.1rem; margin: 1.75rem 0 0.5rem; }
a { color: var(--link); }
nav {
  background: var(--panel); border-radius: 8px; padding: 0.75rem 1rem;
}
nav ul { list-style: none; margin: 0; padding: 0; }
nav .level-3 { padding-left: 1.25rem; }
figure { margin: 1.5rem 0; }
figure img {
  display: block; max-width: 100%; height: auto; margin: 0 auto;
  padding: 0.5rem; background: #ffffff; border: 1px solid var(--line);
  border-radius: 8px;
}
figcaption, caption { color: var(--faint); font-size: 0.92rem; }
figcaption { margin-top: 0.5rem; }
.table { overflow-x: auto; margin: 1.5rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
caption { text-align: left; padding-bottom: 0.5rem; }
th, td {
  padding: 0.35rem 0.6rem; text-align: left; vertical-align: top;
  border-bottom: 1px solid var(--line);
}
thead th { border-bottom-width: 2px; }
.number { text-align: right; }
pre {
  background: var(--panel); border-radius: 8px; padding: 0.75rem 1rem;
  overflow-x: auto; font-size: 0.88rem; line-height: 1.45;
}
"""

_DOTS_PER_INCH = 200  # Sharp on a phone; shown at 96 to the inch.


class Report:
  """A report as one HTML page that needs nothing else.

  Parts appear in the order added, after the title and a table of contents.
  Figures and styles are inside the page, which fits a phone as well as a
  screen, light or dark. All text is escaped: none of it is taken as HTML.

  #### Example

  >>> report = Report('CIFAR-10 against SVHN')
  >>> report.add_heading('Results')
  >>> report.add_text('AUROC by data set, with n < 100 each.')
  >>> report.add_table(['data set', 'AUROC'], [['SVHN', 0.93125]])
  >>> page = report.to_html()
  >>> '<td class="number">0.9313</td>' in page, 'n &lt; 100' in page
  (True, True)
  """

  def __init__(self, title):
    """Starts a report.

    Args:
      title: `str`, the heading of the page and the title of its window.
    """
    self._title = title
    self._headings = []  # Pairs (level, text).
    self._parts = []
    self._figures = {}  # Their files, by name.

  def add_heading(self, text, level=2):
    """Adds a heading, and a line in the table of contents.

    Args:
      text: `str`.
      level: 2 for a section, 3 for a part of one.

    Raises:
      ValueError: If `level` is neither 2 nor 3.
    """
    if level not in (2, 3):
      raise ValueError(
        f'`level` must be 2 or 3 (the title of the report is 1); got {level!r}.'
      )
    self._headings.append((level, text))
    anchor = f'section-{len(self._headings)}'
    self._parts.append(
      f'<h{level} id="{anchor}">{html.escape(text)}</h{level}>'
    )

  def add_text(self, text):
    """Adds paragraphs.

    Args:
      text: `str`. An empty line ends a paragraph.
    """
    for paragraph in text.split('\n\n'):
      self._parts.append(f'<p>{html.escape(paragraph.strip())}</p>')

  def add_table(self, header, rows, caption=None):
    """Adds a table.

    Integers are shown in full, floats with four significant digits (or one
    decimal from 1000 on), `None` as a dash; a column with a number in it is
    set to the right. To choose otherwise, format a number into a `str`.

    Args:
      header: Sequence of `str`, the names of the columns.
      rows: Sequence of rows, each a sequence of `str`, numbers and `None` as
        long as `header`.
      caption: `str` or `None`.

    Raises:
      ValueError: If a row is not as long as `header`.
    """
    rows = [list(row) for row in rows]
    for i, row in enumerate(rows):
      if len(row) != len(header):
        raise ValueError(
          f'`rows[{i}]` has {len(row)} cells, but `header` names '
          f'{len(header)} columns; use None for an empty cell.'
        )
    lines = ['<div class="table"><table>']
    if caption is not None:
      lines.append(f'<caption>{html.escape(caption)}</caption>')
    numeric = [
      any(_is_number(row[i]) for row in rows) for i in range(len(header))
    ]
    lines.append(f'<thead>{_table_row("th", header, numeric)}</thead>')
    lines.append('<tbody>')
    lines.extend(_table_row('td', row, numeric) for row in rows)
    lines.append('</tbody></table></div>')
    self._parts.append('\n'.join(lines))

  def add_figure(self, figure, caption, alt=None, name=None):
    """Adds a figure, drawn now.

    A figure of pyplot's is closed. The figure itself stays usable.

    Args:
      figure: `matplotlib.figure.Figure`.
      caption: `str`, shown below.
      alt: `str`, what to read to those who cannot see the figure. The caption
        by default.
      name: `str`, of the figure's own file, if `write` is to make one.
    """
    buffer = io.BytesIO()
    # Without the version of matplotlib, the same figure has the same bytes.
    figure.savefig(
      buffer, format='png', dpi=_DOTS_PER_INCH, metadata={'Software': None}
    )
    if figure.canvas.manager is not None:
      from matplotlib import pyplot  # It made the figure: nothing new loads.

      pyplot.close(figure)
    if name is not None:
      self._figures[re.sub(r'[^\w.-]+', '_', name)] = buffer.getvalue()
    data = base64.b64encode(buffer.getvalue()).decode('ascii')
    width = round(96 * figure.get_size_inches()[0])
    alt = caption if alt is None else alt
    self._parts.append(
      f'<figure><img width="{width}" alt="{html.escape(alt)}" '
      f'src="data:image/png;base64,{data}">\n'
      f'<figcaption>{html.escape(caption)}</figcaption></figure>'
    )

  def add_command(self, command):
    """Adds a command or other code, kept line by line.

    Args:
      command: `str`.
    """
    self._parts.append(f'<pre><code>{html.escape(command)}</code></pre>')

  def to_html(self):
    """The page.

    Returns:
      `str`.
    """
    return _PAGE.format(
      title=html.escape(self._title),
      style=_CSS,
      contents=self._contents(),
      body='\n'.join(self._parts),
    )

  def write(self, path, figures_dir=None):
    """Writes the page, whole or not at all.

    Args:
      path: `str` or `os.PathLike`.
      figures_dir: folder for the figures that have names, as files of their own;
        `None` for none.
    """
    if figures_dir is not None:
      for name, data in self._figures.items():
        atomic_write(os.path.join(figures_dir, f'{name}.png'), data)
    atomic_write(path, self.to_html())

  def _contents(self):
    if not self._headings:
      return ''
    lines = [
      f'<li class="level-{level}"><a href="#section-{i}">{html.escape(text)}'
      '</a></li>'
      for i, (level, text) in enumerate(self._headings, start=1)
    ]
    return '<nav aria-label="Contents"><ul>\n{}\n</ul></nav>\n'.format(
      '\n'.join(lines)
    )


def _is_number(value):
  return isinstance(value, numbers.Real) and not isinstance(value, bool)


def _table_row(tag, values, numeric):
  cells = []
  for value, to_the_right in zip(values, numeric, strict=True):
    attribute = ' class="number"' if to_the_right else ''
    cells.append(f'<{tag}{attribute}>{html.escape(_cell_text(value))}</{tag}>')
  return f'<tr>{"".join(cells)}</tr>'


def _cell_text(value):
  if value is None:
    return '–'
  if not _is_number(value) or isinstance(value, numbers.Integral):
    return str(value)
  return f'{value:.1f}' if abs(value) >= 1000 else f'{value:.4g}'
