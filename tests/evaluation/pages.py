# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Reading the pages that reports are."""

import html.parser

__all__ = ['Page']


class Page(html.parser.HTMLParser):
  """Collects all that a page asks a browser to load, its headings and tables."""

  def __init__(self, page):
    super().__init__()
    self.images, self.others, self.headings, self.tables = [], [], [], []
    self._in_cell = self._in_heading = False
    self.feed(page)

  def handle_starttag(self, tag, attrs):
    attrs = dict(attrs)
    if tag == 'img':
      self.images.append(attrs['src'])
    elif tag in ('script', 'link', 'iframe', 'object', 'embed', 'source'):
      self.others.append((tag, attrs))
    elif tag in ('h2', 'h3'):
      self.headings.append('')
      self._in_heading = True
    elif tag == 'table':
      self.tables.append([])
    elif tag == 'tr':
      self.tables[-1].append([])
    elif tag in ('td', 'th'):
      self.tables[-1][-1].append('')
      self._in_cell = True

  def handle_endtag(self, tag):
    if tag in ('td', 'th'):
      self._in_cell = False
    elif tag in ('h2', 'h3'):
      self._in_heading = False

  def handle_data(self, data):
    if self._in_cell:
      self.tables[-1][-1][-1] += data
    elif self._in_heading:
      self.headings[-1] += data
