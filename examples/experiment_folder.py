# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The folder of a run: whether it is this run's, and whether it is complete."""

import importlib.metadata
import os
import platform

from absl import app

import tfp_ood

__all__ = [
  'OtherSettingsError',
  'check_configuration',
  'is_chief',
  'is_complete',
  'versions',
]


class OtherSettingsError(app.UsageError):
  """A folder holds a run of other settings."""


def check_configuration(path, config):
  """Raises OtherSettingsError where a folder holds a run of other settings.

  Args:
    path: the file configuration.json of the folder; it need not exist.
    config: `dict`, all that decides what the run will compute.
  """
  if not os.path.exists(path):
    return
  earlier = tfp_ood.reporting.read_results(path)
  changed = sorted(
    key
    for key in config.keys() | earlier.keys()
    if config.get(key) != earlier.get(key)
  )
  if changed:
    raise OtherSettingsError(
      f'{os.path.dirname(path)} holds a run with other settings ('
      + ', '.join(
        f'{key}: {earlier.get(key)} there, {config.get(key)} now'
        for key in changed
      )
      + '). Give another --output_dir, or the same flags to resume.'
    )


def is_complete(output_dir, config, evaluation):
  """Whether a run of the same flags has ended; refuses one of other flags.

  Args:
    output_dir: folder of the run.
    config: `dict`, all that decides what the model is.
    evaluation: `dict`, all else that decides the results.

  Returns:
    Python `bool`.
  """
  results_path = os.path.join(output_dir, 'results.json')
  if not os.path.exists(results_path):
    return False
  check_configuration(os.path.join(output_dir, 'configuration.json'), config)
  results = tfp_ood.reporting.read_results(results_path)
  return results['evaluation'] == evaluation


def is_chief(strategy):
  """Whether this process is the one of several workers that writes files."""
  return strategy.extended.should_checkpoint


def versions():
  """Returns the versions of Python and of the packages behind the results."""
  packages = ('tensorflow', 'tensorflow-probability', 'tf-keras', 'numpy')
  return {
    'tfp_ood': tfp_ood.__version__,
    'python': platform.python_version(),
    **{package: importlib.metadata.version(package) for package in packages},
  }
