# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The background models that a recipe chooses from."""

import itertools

from tfp_ood.recipes.recipe import SettingError

__all__ = ['background_choices', 'background_folder']


def background_choices(mutation_rates, weight_decays):
  """Returns all pairs of a rate of mutation and a weight decay.

  Args:
    mutation_rates: list of numbers, or of `str` for them.
    weight_decays: likewise.

  Returns:
    `dict` from what a reader calls them to pairs of Python `float`s.

  Raises:
    SettingError: if one is no number, or out of range.
  """
  rates = _numbers('mutation_rates', mutation_rates, 1.0)
  decays = _numbers('weight_decays', weight_decays, float('inf'))
  return {
    f'mutation rate {rate:g}, weight decay {decay:g}': (rate, decay)
    for rate, decay in itertools.product(rates, decays)
  }


def background_folder(mutation_rate, weight_decay):
  """Returns the name of the folder of a background model."""
  return f'background_{mutation_rate:g}_{weight_decay:g}'


def _numbers(setting, values, largest):
  try:
    numbers = [float(value) for value in values]
  except ValueError as error:
    raise SettingError(f'{setting}: {error}.') from error
  for number in numbers:
    if not 0 <= number <= largest:
      raise SettingError(
        f'{setting}: {number:g} is not between 0 and {largest:g}.'
      )
  return numbers
