# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests that the documentation is there and tells the truth."""

import ast
import doctest
import importlib
import inspect
import json
import pathlib
import pkgutil
import re
import runpy
import shlex
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import tfp_ood
from tfp_ood.cli._arguments import parse

_ROOT = pathlib.Path(__file__).resolve().parents[2]
_PACKAGES = (
  'beam',
  'bijectors',
  'cli',
  'datasets',
  'distributions',
  'evaluation',
  'networks',
  'pretrained',
  'recipes',
  'reporting',
  'stats',
  'testing',
  'training',
)
_MODULES = sorted(
  module.name for module in pkgutil.walk_packages(tfp_ood.__path__, 'tfp_ood.')
)


def _trains(module):
  """Whether the examples of a module train or evaluate models."""
  return module.startswith(
    tuple(
      f'tfp_ood.{package}'
      for package in ('evaluation', 'recipes', 'testing', 'training')
    )
  )


@pytest.mark.parametrize(
  'name',
  [
    pytest.param(name, marks=[pytest.mark.slow] if _trains(name) else [])
    for name in ['tfp_ood', *_MODULES]
  ],
)
def test_examples_in_docstrings(name):
  module = importlib.import_module(name)
  results = doctest.testmod(
    module,
    optionflags=doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE,
  )
  assert results.failed == 0


def test_every_module_is_found():
  files = {
    '.'.join(path.relative_to(_ROOT).with_suffix('').parts)
    for path in (_ROOT / 'tfp_ood').rglob('*.py')
    if path.name != '__init__.py'
  }
  assert files <= set(_MODULES)
  assert {f'tfp_ood.{package}' for package in _PACKAGES} <= set(_MODULES)


@pytest.mark.parametrize('package', _PACKAGES)
def test_public_names_exist_and_are_documented(package):
  module = importlib.import_module(f'tfp_ood.{package}')
  assert module.__doc__
  assert len(set(module.__all__)) == len(module.__all__)
  for name in module.__all__:
    member = getattr(module, name)
    if not (inspect.isclass(member) or inspect.isroutine(member)):
      continue  # A constant.
    if _is_namedtuple(member):
      continue  # Its fields say it; where it is returned, so does the function.
    assert member.__doc__, f'{package}.{name} has no docstring'
    for method_name, method in vars(member).items():
      if method_name.startswith('_') or not inspect.isclass(member):
        continue
      if isinstance(method, property):
        method = method.fget
      if inspect.isfunction(method):
        assert method.__doc__, f'{package}.{name}.{method_name}'


@pytest.mark.parametrize('package', _PACKAGES)
def test_every_public_class_and_function_has_an_example(package):
  module = importlib.import_module(f'tfp_ood.{package}')
  without = [
    name
    for name in module.__all__
    if inspect.isclass(member := getattr(module, name))
    or inspect.isfunction(member)
    if not _is_namedtuple(member) and '>>>' not in (member.__doc__ or '')
  ]
  # Base classes and exceptions, what works on files (an example beside it shows
  # both ways), and a callback that needs a run.
  allowed = {
    'Bijector',
    'Coupling',
    'OtherSettingsError',
    'SettingError',
    'TimeLimit',
    'export_saved_model',
    'load_weights',
    'read_arrays',
    'read_results',
    'read_tree',
    'save_weights',
    'trackable_parts',
  }
  assert set(without) <= allowed


def _is_namedtuple(member):
  return inspect.isclass(member) and hasattr(member, '_fields')


def _code_blocks(path, language='python'):
  text = path.read_text(encoding='utf-8')
  return re.findall(
    rf'^```{language}\n(.*?)^```', text, re.MULTILINE | re.DOTALL
  )


_COMMAND_LINE = _ROOT / 'docs' / 'command_line.md'
_PAGES = [
  path
  for path in [_ROOT / 'README.md', *sorted((_ROOT / 'docs').rglob('*.md'))]
  # test_own_model.py runs that one.
  if path.name != 'add_a_model.md' and _code_blocks(path)
]


@pytest.mark.slow
@pytest.mark.parametrize(
  'page', _PAGES, ids=[str(page.relative_to(_ROOT)) for page in _PAGES]
)
def test_code_in_pages(page, tmp_path, monkeypatch):
  """The blocks of a page run one after the other, as a reader would."""
  script = tmp_path / 'page.py'
  script.write_text('\n'.join(_code_blocks(page)), encoding='utf-8')
  _make_reader_files(tmp_path)
  monkeypatch.chdir(tmp_path)
  runpy.run_path(str(script))


@pytest.mark.parametrize('page', [_ROOT / 'README.md', _COMMAND_LINE])
def test_command_lines_in_pages(page, tmp_path, monkeypatch):
  """What a reader shall type is understood."""
  _make_reader_files(tmp_path)
  monkeypatch.chdir(tmp_path)
  blocks = _code_blocks(page, 'shell')
  for line in '\n'.join(blocks).splitlines():
    if line.startswith('tfp-ood '):
      assert parse(shlex.split(line)[1:]).command


def _make_reader_files(folder):
  """Makes what the pages suppose that a reader has."""
  generator = np.random.default_rng(0)
  for name in ('photos', 'new_photos', 'drawings'):
    (folder / name).mkdir()
    for number in range(40 if name == 'photos' else 2):
      pixels = generator.integers(0, 256, [32, 40, 3], np.uint8)
      Image.fromarray(pixels).save(folder / name / f'{number}.png')
  (folder / 'new_photos' / 'damaged.png').write_text('no image')
  for name in ('genomes', 'other_genomes', 'validation_genomes'):
    (folder / name).mkdir()
    for genome in ('one', 'two'):
      bases = ''.join(generator.choice(list('ACGT'), 5000))
      (folder / name / f'{genome}.fasta').write_text(f'>{genome}\n{bases}\n')
  for name, file in (('model', 'model.npz'), ('detector', 'saved_model.pb')):
    (folder / name).mkdir()
    (folder / name / file).touch()


def _text(page):
  """The Markdown of a page, or of a notebook."""
  text = page.read_text(encoding='utf-8')
  if page.suffix != '.ipynb':
    return text
  cells = json.loads(text)['cells']
  return '\n\n'.join(
    ''.join(cell['source']) for cell in cells if cell['cell_type'] == 'markdown'
  )


def test_links_between_pages():
  docs = _ROOT / 'docs'
  pages = [*_ROOT.glob('*.md'), *docs.rglob('*.md'), *docs.rglob('*.ipynb')]
  for page in pages:
    for target in re.findall(r'\]\(([^)#\s]+)', _text(page)):
      if not re.match(r'[a-z]+:', target):
        path = (page.parent / target).resolve()
        # The site has pages for files, and for the folders of scripts.
        shown = path.is_file() or path in (
          _ROOT / 'examples',
          _ROOT / 'benchmarks',
        )
        assert shown, f'{page.name}: {target}'


def test_every_page_is_in_the_navigation_of_the_site():
  docs = _ROOT / 'docs'
  config = (docs / 'site' / 'zensical.toml').read_text(encoding='utf-8')
  pages = [*docs.rglob('*.md'), *docs.rglob('*.ipynb')]
  names = [
    page.relative_to(docs).with_suffix('.md').as_posix() for page in pages
  ]
  names += [f'api/{package}.md' for package in _PACKAGES]
  # Building the site finds out too, but takes a minute.
  assert [name for name in names if f'"{name}"' not in config] == []


@pytest.mark.parametrize('name', tfp_ood.pretrained.available())
def test_every_pretrained_model_has_a_card_that_agrees(name):
  file = tfp_ood.pretrained.read_weights(name)
  models = (_ROOT / 'docs' / 'models.md').read_text(encoding='utf-8')
  heading = f"## `{file.kind}(weights='{file.information['dataset']}')`"
  assert models.count(heading) == 1
  card = models.split(heading)[1].split('\n## ')[0]
  if 'test_accuracy' in file.information:
    assert f'accuracy {file.information["test_accuracy"]:.1%}' in card
  else:
    assert f'{file.information["test_bits_per_dim"]:.3f} bits/dim' in card
  assert f'{file.information["steps"]:,} steps' in card
  results = _ROOT / 'docs' / 'results' / 'pretrained' / f'{name}.json'
  recorded = json.loads(results.read_text(encoding='utf-8'))
  assert recorded['training'] == file.information
  for score, by_name in recorded['auroc'].items():
    numbers = [f'{found["auroc"]:.3f}' for found in by_name.values()]
    assert f'| `{score}` | {" | ".join(numbers)} |' in card


# ------------------------------------------------------------------ imports

# What a package may import of the others.
_ALLOWED = {
  'networks': {'pretrained'},
  'pretrained': set(),
  'reporting': set(),
  'datasets': set(),
  'stats': set(),
  'bijectors': {'networks'},
  'distributions': {'bijectors', 'networks', 'pretrained'},
  'training': {'distributions', 'networks', 'stats'},
  'testing': {'stats', 'training'},
  'evaluation': set(_PACKAGES)
  - {'beam', 'cli', 'evaluation', 'recipes', 'testing'},
  'recipes': set(_PACKAGES) - {'beam', 'cli', 'recipes', 'testing'},
  'beam': {'datasets', 'stats'},
  'cli': set(_PACKAGES),
}
_NOT_IN_REPORTING = {
  'tensorflow',
  'tensorflow_probability',
  'tensorflow_datasets',
  'tf_keras',
  'keras',
}


def _imports(path):
  """Full names of all that a file imports, inside functions too."""
  tree = ast.parse(path.read_text(encoding='utf-8'))
  for node in ast.walk(tree):
    if isinstance(node, ast.Import):
      yield from (alias.name for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
      assert node.level == 0, f'{path} has a relative import'
      yield from (f'{node.module}.{alias.name}' for alias in node.names)


@pytest.mark.parametrize('package', _PACKAGES)
def test_imports_point_one_way(package):
  files = sorted((_ROOT / 'tfp_ood' / package).rglob('*.py'))
  assert files
  others = set(_PACKAGES) - {package} - _ALLOWED[package]
  for path in files:
    for name in _imports(path):
      parts = name.split('.')
      assert parts[0] not in ('examples', 'tests', 'benchmarks'), path
      if package == 'reporting':
        assert parts[0] not in _NOT_IN_REPORTING, path
      if parts[0] == 'tfp_ood':
        assert len(parts) > 1, f'{path} imports the whole library'
        assert parts[1] not in others, f'{path}: {name}'


def test_the_library_and_reporting_need_no_tensorflow():
  script = (
    'import sys\n'
    'import tfp_ood\n'
    'import tfp_ood.reporting\n'
    'assert set(tfp_ood.__all__) <= set(dir(tfp_ood))\n'
    'assert "tensorflow" not in sys.modules\n'
    'tfp_ood.datasets\n'
    'assert "tensorflow" in sys.modules\n'
  )
  result = subprocess.run(
    [sys.executable, '-c', script],
    capture_output=True,
    text=True,
    timeout=60,
  )
  assert result.returncode == 0, result.stderr


# -------------------------------------------------------------------- style


@pytest.mark.parametrize('command', [['format', '--check'], ['check']])
def test_formatted_and_linted(command):
  pytest.importorskip('ruff')
  result = subprocess.run(
    [sys.executable, '-m', 'ruff', *command, '--no-cache', '.'],
    cwd=_ROOT,
    capture_output=True,
    text=True,
    timeout=60,
  )
  assert result.returncode == 0, result.stdout + result.stderr


def test_every_file_has_its_header():
  for folder in ('tfp_ood', 'docs', 'examples', 'tests', 'benchmarks'):
    for path in (_ROOT / folder).rglob('*.py'):
      lines = path.read_text(encoding='utf-8').splitlines()
      assert lines[:2] == [
        '# Copyright 2026 The tfp_ood Authors.',
        '# SPDX-License-Identifier: Apache-2.0',
      ], path
      assert ast.get_docstring(ast.parse('\n'.join(lines))), path


def test_names_of_test_files_are_unique():
  # They have no packages: pytest imports them by their names alone.
  names = [path.name for path in (_ROOT / 'tests').rglob('test_*.py')]
  assert len(names) == len(set(names))
  assert not list((_ROOT / 'tests').rglob('__init__.py'))
