# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of the HTML report."""

import base64
import html.parser
import io
import os
import re
import subprocess
import sys

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from tfp_ood import reporting

_NASTY = '<script>alert("x")</script> & {title} \'quoted\' größer'
_VOID = {'meta', 'img', 'br', 'hr', 'link'}


class _Parser(html.parser.HTMLParser):
  """Collects elements and text, and checks that tags are balanced."""

  def __init__(self, page):
    super().__init__()
    self.elements, self.texts, self._open = [], {}, []
    self.feed(page)
    self.close()
    assert self._open == []

  def handle_starttag(self, tag, attrs):
    self.elements.append((tag, dict(attrs)))
    if tag not in _VOID:
      self._open.append(tag)

  def handle_endtag(self, tag):
    assert self._open.pop() == tag

  def handle_data(self, data):
    if self._open:
      self.texts.setdefault(self._open[-1], []).append(data)

  def all(self, tag):
    return [attributes for name, attributes in self.elements if name == tag]


def _figure():
  figure = Figure(figsize=(3.0, 2.0))
  figure.subplots().plot([0, 1], [1, 0])
  return figure


def _full_report(text):
  report = reporting.Report(text)
  report.add_heading(text)
  report.add_heading(text, level=3)
  report.add_text(text)
  report.add_table([text, text], [[text, 1], [text, 2.0]], caption=text)
  report.add_figure(_figure(), text, alt=text)
  report.add_command(text)
  return report


def test_everything_is_escaped_and_kept():
  page = _Parser(_full_report(_NASTY).to_html())
  assert page.all('script') == []
  for tag, count in [
    ('title', 1),
    ('h1', 1),
    ('h2', 1),
    ('h3', 1),
    ('a', 2),
    ('p', 1),
    ('caption', 1),
    ('th', 2),
    ('figcaption', 1),
    ('code', 1),
  ]:
    assert page.texts[tag] == [_NASTY] * count, tag
  assert page.texts['td'] == [_NASTY, '1', _NASTY, '2']
  assert [image['alt'] for image in page.all('img')] == [_NASTY]


def test_page_needs_nothing_else():
  text = _full_report('Title').to_html()
  page = _Parser(text)
  assert page.all('link') == page.all('script') == []
  for _, attributes in page.elements:
    for name in ('src', 'href', 'srcset', 'data', 'poster'):
      assert attributes.get(name, '#').startswith(('#', 'data:'))
  assert 'url(' not in text and '@import' not in text


def test_page_suits_phones_and_the_dark():
  text = _full_report('Title').to_html()
  page = _Parser(text)
  assert {'charset': 'utf-8'} in page.all('meta')
  assert {
    'name': 'viewport',
    'content': 'width=device-width, initial-scale=1',
  } in page.all('meta')
  assert text.startswith('<!DOCTYPE html>')
  assert '@media (prefers-color-scheme: dark)' in text
  # Figures have a white card in the dark too, and never exceed the screen.
  (card,) = re.findall(r'figure img \{(.*?)\}', text, re.DOTALL)
  assert 'background: #ffffff' in card and 'max-width: 100%' in card


def test_contents_link_to_headings_in_order():
  report = reporting.Report('Title')
  report.add_heading('Same')
  report.add_heading('Part', level=3)
  report.add_heading('Same')
  page = _Parser(report.to_html())
  links = [attributes['href'] for attributes in page.all('a')]
  anchors = [
    '#' + attributes['id']
    for tag, attributes in page.elements
    if tag in ('h2', 'h3')
  ]
  assert links == anchors
  assert len(set(links)) == 3
  assert page.texts['a'] == ['Same', 'Part', 'Same']


def test_no_headings_no_contents():
  report = reporting.Report('Title')
  report.add_text('text')
  assert _Parser(report.to_html()).all('nav') == []


def test_parts_keep_their_order():
  report = reporting.Report('Title')
  report.add_text('first\n\nsecond')
  report.add_command('line 1\n  line 2')
  report.add_heading('third')
  page = _Parser(report.to_html())
  tags = [tag for tag, _ in page.elements]
  assert tags[-5:] == ['p', 'p', 'pre', 'code', 'h2']
  assert page.texts['p'] == ['first', 'second']
  assert page.texts['code'] == ['line 1\n  line 2']


@pytest.mark.parametrize(
  'value, text',
  [
    (0.93125, '0.9313'),
    (np.float32(2.0), '2'),
    (-1e-7, '-1e-07'),
    (28123.44, '28123.4'),
    (10000, '10000'),
    (np.int64(26032), '26032'),
    (float('inf'), 'inf'),
    (None, '–'),
    (True, 'True'),
    ('0.50', '0.50'),
  ],
)
def test_table_cells(value, text):
  report = reporting.Report('Title')
  report.add_table(['name'], [[value]])
  assert _Parser(report.to_html()).texts['td'] == [text]


def test_columns_of_numbers_are_set_to_the_right():
  report = reporting.Report('Title')
  report.add_table(['set', 'AUROC'], [['SVHN', None], ['CelebA', 0.5]])
  page = _Parser(report.to_html())
  right = {'class': 'number'}
  assert page.all('th') == [{}, right]
  assert page.all('td') == [{}, right, {}, right]


def test_row_must_fit_the_header():
  with pytest.raises(
    ValueError, match=r'`rows\[1\]` has 1 cells, but `header` names 2 columns'
  ):
    reporting.Report('Title').add_table(['a', 'b'], [[1, 2], [3]])


@pytest.mark.parametrize('level', [1, 4, '2'])
def test_level_of_a_heading(level):
  with pytest.raises(ValueError, match='`level` must be 2 or 3'):
    reporting.Report('Title').add_heading('text', level=level)


def test_figure_is_a_png_shown_at_its_own_size():
  report = reporting.Report('Title')
  report.add_figure(_figure(), 'Caption')
  (image,) = _Parser(report.to_html()).all('img')
  kind, data = image['src'].split(',')
  assert kind == 'data:image/png;base64'
  with Image.open(io.BytesIO(base64.b64decode(data))) as picture:
    assert picture.size == (600, 400)  # 3 x 2 inches at 200 to the inch.
  assert image['width'] == '288'  # 3 inches at 96 to the inch.
  assert image['alt'] == 'Caption'


def test_the_same_report_has_the_same_bytes():
  assert _full_report('a').to_html() == _full_report('a').to_html()


def test_closes_a_figure_of_pyplots():
  from matplotlib import pyplot

  before = pyplot.get_fignums()
  with pyplot.rc_context({'backend': 'agg'}):
    figure, _ = pyplot.subplots()
    assert pyplot.get_fignums() != before
    reporting.Report('Title').add_figure(figure, 'Caption')
  assert pyplot.get_fignums() == before


def test_writes_the_page_whole(tmp_path):
  report = _full_report('größer')
  report.write(tmp_path / 'report.html')
  assert os.listdir(tmp_path) == ['report.html']
  written = (tmp_path / 'report.html').read_text(encoding='utf-8')
  assert written == report.to_html()


def test_named_figures_have_files_of_their_own(tmp_path):
  report = reporting.Report('title')
  report.add_figure(_figure(), 'caption', name='loss of/run 1')
  report.add_figure(_figure(), 'caption')
  report.write(tmp_path / 'without.html')
  assert [path.name for path in tmp_path.iterdir()] == ['without.html']
  report.write(tmp_path / 'report.html', figures_dir=tmp_path / 'figures')
  (path,) = (tmp_path / 'figures').iterdir()
  assert path.name == 'loss_of_run_1.png'
  inside = base64.b64encode(path.read_bytes()).decode()
  assert inside in (tmp_path / 'report.html').read_text()
  assert Image.open(path).size == (600, 400)


def test_reporting_alone_loads_neither_models_nor_pyplot():
  modules = 'tensorflow', 'tfp_ood.stats', 'matplotlib.pyplot'
  program = (
    'import sys, types\n'
    # The top package may load everything; this is about reporting alone.
    f'package = types.ModuleType("tfp_ood"); package.__path__ = [{_root()!r}]\n'
    'sys.modules["tfp_ood"] = package\n'
    'import tfp_ood.reporting\n'
    f'print([name for name in {modules} if name in sys.modules])'
  )
  result = subprocess.run(
    [sys.executable, '-c', program], capture_output=True, text=True, check=True
  )
  assert result.stdout == '[]\n'


def _root():
  return os.path.dirname(os.path.dirname(reporting.__file__))
