# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Out-of-distribution detection with deep generative models."""

import importlib
import typing

if typing.TYPE_CHECKING:  # What `__getattr__` imports, for editors.
  from tfp_ood import (
    bijectors,
    cli,
    datasets,
    distributions,
    evaluation,
    networks,
    pretrained,
    recipes,
    reporting,
    stats,
    testing,
    training,
  )

__version__ = '0.2.0'

__all__ = [
  '__version__',
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
]


def __getattr__(name):
  """Imports a package when it is first used: TensorFlow takes seconds to load."""
  if name in __all__:
    return importlib.import_module(f'{__name__}.{name}')
  raise AttributeError(f'module {__name__!r} has no attribute {name!r}')


def __dir__():
  return sorted({*globals(), *__all__})
