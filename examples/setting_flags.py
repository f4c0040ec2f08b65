# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Flags of the settings of recipes, and what the examples say of their versions."""

import importlib.metadata
import platform

from absl import flags

import tfp_ood

__all__ = ['define', 'versions']


def define(settings_by_model):
  """Makes a flag of every setting.

  Args:
    settings_by_model: `dict` of `dict`s of `tfp_ood.recipes.Setting`s, by model and
      by name.

  Returns:
    Names of the flags, a list.
  """
  define_flag = {
    bool: flags.DEFINE_bool,
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    str: flags.DEFINE_string,
    list: flags.DEFINE_list,
  }
  helps, kinds = {}, {}
  for model, settings in settings_by_model.items():
    for name, setting in settings.items():
      default = setting.default
      kinds[name] = type(default[0] if isinstance(default, tuple) else default)
      helps.setdefault(name, {}).setdefault(_help(setting), []).append(model)
  for name, texts in helps.items():
    help_text = ' '.join(f'{", ".join(of)}: {t}' for t, of in texts.items())
    define_flag[kinds[name]](name, None, help_text)
  return list(helps)


def _help(setting):
  default, parts = setting.default, [setting.help]
  if setting.choices:
    parts.append(f'{" | ".join(setting.choices)}.')
  if isinstance(default, tuple):
    parts.append(f'Default by preset: {", ".join(map(str, default))}.')
  elif default not in ('', []):
    text = ','.join(map(str, default)) if isinstance(default, list) else default
    parts.append(f'Default: {text}.')
  return ' '.join(parts)


def versions():
  """Returns the versions of Python and of the packages behind results, a `dict`."""
  packages = ('tensorflow', 'tensorflow-probability', 'tf-keras', 'numpy')
  return {
    'python': platform.python_version(),
    'tfp_ood': tfp_ood.__version__,
    **{name: importlib.metadata.version(name) for name in packages},
  }
