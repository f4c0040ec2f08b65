# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of sections, and of how they are kept."""

import re

import numpy as np
import pytest

from tfp_ood import reporting


def _full_section():
  section = reporting.Section('Scores', {'svhn': {'auroc': 0.75}})
  section.add_heading('By data set')
  section.add_text('One paragraph.\n\nAnother one.')
  section.add_table(('data set', 'AUROC'), [('SVHN', 0.75)], caption='AUROC')
  section.add_command('python cifar_svhn.py')
  section.add_figure(
    'curve',
    reporting.curve,
    'A curve.',
    x=np.arange(3),
    series_by_name={'loss': np.array([3.0, 2.0, 1.0])},
    xlabel='epoch',
    ylabel='loss',
  )
  section.add_figure(
    'points', reporting.scatter, 'Points.', points_by_name={'a': np.eye(2)}
  )
  return section


def _page(*sections):
  report = reporting.Report('A report')
  for section in sections:
    section.add_to(report)
  return report.to_html()


def test_the_parts_are_on_the_page_in_order():
  page = _page(_full_section())
  places = [
    page.index(text)
    for text in (
      '<h2 id="section-1">Scores</h2>',
      '<h3 id="section-2">By data set</h3>',
      '<p>One paragraph.</p>\n<p>Another one.</p>',
      '<caption>AUROC</caption>',
      '<code>python cifar_svhn.py</code>',
      '<figcaption>A curve.</figcaption>',
      '<figcaption>Points.</figcaption>',
    )
  ]
  assert places == sorted(places)
  assert len(re.findall('<img ', page)) == 2


def test_a_section_in_a_file_draws_the_same_page(tmp_path):
  section = _full_section()
  path = tmp_path / 'section.npz'
  reporting.write_tree(path, section.tree())
  restored = reporting.Section.from_tree(reporting.read_tree(path))
  assert restored.title == 'Scores'
  assert restored.results == {'svhn': {'auroc': 0.75}}
  assert _page(restored) == _page(section)
  # It is as good as the first one: parts can be added to it.
  restored.add_text('Later.')
  assert _page(restored) != _page(section)


def test_rows_may_be_an_iterator_that_is_read_once():
  section = reporting.Section('Rows')
  section.add_table(['n'], ([n] for n in range(2)))
  assert _page(section) == _page(section)
  assert '<td class="number">1</td>' in _page(section)


def test_a_section_has_results_of_its_own():
  first, second = reporting.Section('1'), reporting.Section('2')
  first.results['a'] = 1
  assert second.results == {}


def test_refuses_what_it_could_not_draw_again():
  def curve(x):
    return x

  section = reporting.Section('Figures')
  for other in (curve, np.sum):
    with pytest.raises(
      ValueError, match='must be one of curve, heat_maps, histogram'
    ):
      section.add_figure('name', other, 'caption', x=[1])


def test_every_figure_of_the_package_can_stand_in_a_section():
  section = reporting.Section('Figures')
  for name in reporting.__all__:
    if name in ('curve', 'histograms', 'image_grid', 'roc_curves', 'scatter'):
      section.add_figure(name, getattr(reporting, name), 'caption')
  names = [part['name'] for _, part in section.tree()['parts']]
  assert names == ['curve', 'histograms', 'image_grid', 'roc_curves', 'scatter']
