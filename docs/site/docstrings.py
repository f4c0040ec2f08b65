# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""How the API reference reads the docstrings of the library."""

import re
import textwrap

import griffe

__all__ = ['Docstrings']

_EXAMPLE = re.compile(r'^>>> .*(?:\n(?!\n|#).+)*', re.MULTILINE)
_HEADING = re.compile(r'^#### (.+)$', re.MULTILINE)
_REFERENCE = re.compile(r'^\[(\d+)\]: (.+(?:\n +.+)*)', re.MULTILINE)
_RETURNS = re.compile(r'^(Returns|Yields):\n((?: +.*\n*)+)', re.MULTILINE)
_NAME = re.compile(r'`(tfp_ood(?:\.\w+){2}|[A-Z]\w+)`')


class Docstrings(griffe.Extension):
  """Makes examples code, and names links to what is said of them."""

  def on_package(self, *, pkg, **kwargs):
    """Changes all docstrings of a package that was read."""
    del kwargs
    exported = {
      (module.path, name): pkg[module.imports[name].split('.', 1)[1]]
      for module in pkg.modules.values()
      for name in module.exports or ()
      if name in module.imports
    }
    places = {}
    for path, name in exported:
      places[name] = places[f'{path}.{name}'] = f'{path}.{name}'
    _change(pkg, places)
    # By name there may be a file, as `evaluate.py`, and not what is in it.
    for (path, name), target in exported.items():
      module = pkg[path.split('.', 1)[1]]
      module.members[name] = griffe.Alias(name, target, parent=module)


def _change(obj, places):
  if obj.is_alias:
    return
  if obj.docstring is not None:
    obj.docstring.value = _changed(obj.docstring.value, places)
  for name, member in list(obj.members.items()):
    documented = member.is_alias or member.docstring is not None
    if obj.is_class and name != '__init__' and not documented:
      del obj.members[name]  # Internal, or told where it is first defined.
    else:
      _change(member, places)


def _changed(text, places):
  def linked(match):
    place = places.get(match[1])
    return f'[{match[0]}][{place}]' if place else match[0]

  text = _NAME.sub(linked, text)
  text = _EXAMPLE.sub(r'```pycon\n\g<0>\n```', text)
  # Not in the table of contents, where each class would have its "Example".
  text = _HEADING.sub(r'**\1**', text)
  text = _REFERENCE.sub(
    lambda match: f'{match[1]}. {" ".join(match[2].split())}', text
  )
  return _RETURNS.sub(_returns, text)


def _returns(match):
  """A value as a paragraph, several with names as a list."""
  values = re.sub(
    r'^(\w+): ', r'- `\1`: ', textwrap.dedent(match[2]), flags=re.MULTILINE
  )
  return f'**{match[1]}:**\n\n{values}'
