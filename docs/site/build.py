# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Builds the documentation site, into site/ unless told otherwise.

python docs/site/build.py

The pages are README.md, CHANGELOG.md and what is in docs/: Markdown as it is,
and notebooks with what their cells print and draw when they run, now. Scripts
that pages link to are shown in full. The API reference comes from the
docstrings. zensical.toml has the navigation; a page that is not there, a dead
link or a cell that fails is an error.
"""

import argparse
import ast
import base64
import concurrent.futures
import os
import pathlib
import posixpath
import re
import shutil
import subprocess
import sys
import tempfile

import nbclient
import nbformat
import tomllib

_HERE = pathlib.Path(__file__).resolve().parent
_ROOT = _HERE.parents[1]
_SCRIPTS = ('benchmarks', 'examples')
# A fenced block, left alone, or the target of a link.
_LINK = re.compile(r'^```.*?^```$|\]\(([^)#\s]+)', re.MULTILINE | re.DOTALL)
_IMAGE = re.compile(r'!\[[^]]*\]\(([^)]+)\)')
# Intervals and deviations, which are not to be broken between lines.
_INTERVAL = re.compile(r'\[([-.\d]+), ([-.\d]+)\]')
_DEVIATION = re.compile(r'(?<=\d) \+- (?=[.\d])')


def main():
  parser = argparse.ArgumentParser(description=__doc__.split('\n')[0])
  parser.add_argument('--output_dir', default=_ROOT / 'site')
  parser.add_argument(
    '--no_outputs',
    action='store_true',
    help='show notebooks without running them, for a quick look at the pages',
  )
  flags = parser.parse_args()
  # What is here, not what may be installed, runs and is described.
  found = [str(_ROOT), os.environ.get('PYTHONPATH')]
  os.environ['PYTHONPATH'] = os.pathsep.join(filter(None, found))
  with tempfile.TemporaryDirectory() as stage:
    stage = pathlib.Path(stage)
    _write_pages(stage / 'pages', run=not flags.no_outputs)
    for name in ('docstrings.py', 'zensical.toml'):
      shutil.copy(_HERE / name, stage)
    shutil.copy(_HERE / 'extra.css', stage / 'pages')
    _check_navigation(stage)
    process = subprocess.run(
      [sys.executable, '-m', 'zensical', 'build', '--strict'], cwd=stage
    )
    if process.returncode:
      raise SystemExit('The site was not built; see the issues above.')
    _check_reference(stage / 'site' / 'api')
    shutil.rmtree(flags.output_dir, ignore_errors=True)
    shutil.move(stage / 'site', flags.output_dir)
  print(f'Wrote {pathlib.Path(flags.output_dir) / "index.html"}')


def _write_pages(folder, run):
  """Writes the pages and all that they show to a folder."""
  sources = _sources()
  notebooks = []
  for source, target in sources.items():
    path, page = _ROOT / source, folder / target
    page.parent.mkdir(parents=True, exist_ok=True)
    if source.endswith('.md'):
      page.write_text(_with_links(path.read_text('utf-8'), source, sources))
    elif source.endswith('.ipynb'):
      notebooks.append(source)
      shutil.copy(path, page.parent)
    elif path.is_dir():
      page.write_text(_page_of_scripts(path))
    elif source == 'LICENSE':
      page.write_text(f'# License\n\n```text\n{path.read_text("utf-8")}```\n')
    else:
      shutil.copy(path, page)
  # Tracing is single-threaded: two kernels fill two cores.
  with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
    read = pool.map(lambda source: _read_notebook(source, run), notebooks)
    for source, notebook in zip(notebooks, read, strict=True):
      _write_notebook(notebook, folder / sources[source], source, sources)
  _write_reference(folder / 'api')


def _sources():
  """Where each file of the repository goes: `dict` of relative paths."""
  sources = {
    'README.md': 'index.md',
    'CHANGELOG.md': 'changelog.md',
    'LICENSE': 'license.md',
  }
  for folder in _SCRIPTS:
    sources[folder] = f'{folder}.md'
  for path in sorted((_ROOT / 'docs').rglob('*')):
    target = path.relative_to(_ROOT / 'docs')
    if path.suffix == '.ipynb':
      target = target.with_suffix('.md')
    if path.suffix in ('.md', '.ipynb', '.png', '.json'):
      sources[path.relative_to(_ROOT).as_posix()] = target.as_posix()
  return sources


def _with_links(text, source, sources):
  """Returns a page whose links go to pages of the site."""
  folder = posixpath.dirname(source)
  here = posixpath.dirname(sources[source])

  def moved(match):
    target = match[1]
    if target is None or re.match(r'[a-z]+:', target):
      return match[0]
    path = posixpath.normpath(posixpath.join(folder, target))
    parent, name = posixpath.split(path)
    if parent in _SCRIPTS:
      anchor = '#' + name.replace('.', '')
      return f']({posixpath.relpath(sources[parent], here or ".")}{anchor}'
    if path not in sources:
      raise SystemExit(f'{source}: no page of the site is {target}.')
    return f']({posixpath.relpath(sources[path], here or ".")}'

  text = _IMAGE.sub(r'[\g<0>](\1)', _LINK.sub(moved, text))  # To look closer.
  text = _INTERVAL.sub('[\\1,\xa0\\2]', text)
  return _DEVIATION.sub('\xa0±\xa0', text)


def _page_of_scripts(folder):
  """Returns a page of all scripts of a folder."""
  parts = [f'# {folder.name.capitalize()}']
  for path in sorted(folder.glob('*.py')):
    code = path.read_text('utf-8').split('\n', 2)[2]  # Without the license.
    parts.append(f'## {path.name}\n\n```python\n{code}```')
  return '\n\n'.join(parts) + '\n'


def _read_notebook(source, run):
  """Returns a notebook, with what its cells print and draw."""
  notebook = nbformat.read(_ROOT / source, as_version=4)
  if run:
    with tempfile.TemporaryDirectory() as folder:
      nbclient.NotebookClient(
        notebook,
        timeout=300,
        kernel_name='python3',
        coalesce_streams=True,
        resources={'metadata': {'path': folder}},
      ).execute(stderr=subprocess.DEVNULL)  # What is wrong is raised here.
  return notebook


def _write_notebook(notebook, page, source, sources):
  """Writes a notebook as a page, and its images as files beside it."""
  parts = []
  for cell in notebook.cells:
    if cell.cell_type == 'markdown':
      parts.append(_with_links(cell.source, source, sources))
    else:
      parts.append(f'```python\n{cell.source}\n```')
      for output in cell.outputs:
        parts += _of_output(output, page.with_suffix(''), len(parts))
  title, text = '\n\n'.join(parts).split('\n', 1)
  link = f'[Download this page as a notebook]({pathlib.Path(source).name})'
  page.write_text(f'{title}\n\n{link}\n{text}\n')


def _of_output(output, folder, number):
  """Yields what a cell put out as Markdown; what it logs is left out."""
  if output.output_type == 'stream':
    if output.name == 'stdout':
      yield f'```{{.text .output}}\n{output.text.rstrip()}\n```'
  elif 'image/png' in output.data:
    folder.mkdir(exist_ok=True)
    image = folder / f'{number}.png'
    image.write_bytes(base64.b64decode(output.data['image/png']))
    width = output.metadata.get('image/png', {}).get('width')
    size = f'{{ width={width} }}' if width else ''
    yield f'![]({folder.name}/{image.name}){size}'
  else:
    yield f'```{{.text .output}}\n{output.data["text/plain"]}\n```'


def _write_reference(folder):
  """Writes a page for each package, whose docstrings the site's tool reads."""
  folder.mkdir()
  rows = []
  for init in sorted((_ROOT / 'tfp_ood').glob('*/__init__.py')):
    name = init.parent.name
    summary = ast.get_docstring(ast.parse(init.read_text('utf-8')))
    rows.append(
      f'| [`tfp_ood.{name}`]({name}.md) | {summary.splitlines()[0]} |'
    )
    (folder / f'{name}.md').write_text(f'::: tfp_ood.{name}\n')
  table = '\n'.join(['| package | |', '|---|---|', *rows])
  (folder / 'index.md').write_text(f'# API reference\n\n{table}\n')


def _check_reference(folder):
  """Raises an error if a public name is not described."""
  for init in (_ROOT / 'tfp_ood').glob('*/__init__.py'):
    name = init.parent.name
    page = (folder / f'{name}.html').read_text('utf-8')
    for node in ast.parse(init.read_text('utf-8')).body:
      if isinstance(node, ast.Assign) and node.targets[0].id == '__all__':
        for public in ast.literal_eval(node.value):
          if f'id="tfp_ood.{name}.{public}"' not in page:
            raise SystemExit(f'The reference lacks tfp_ood.{name}.{public}.')


def _check_navigation(stage):
  """Raises an error if a page cannot be found, but by a link."""
  config = tomllib.loads((stage / 'zensical.toml').read_text('utf-8'))
  found = set(re.findall(r"'([^']+\.md)'", repr(config['project']['nav'])))
  pages = stage / 'pages'
  written = {p.relative_to(pages).as_posix() for p in pages.rglob('*.md')}
  missing = written - found - {'license.md'}
  if missing:
    raise SystemExit(
      f'The navigation in docs/site/zensical.toml lacks {sorted(missing)}.'
    )


if __name__ == '__main__':
  main()
