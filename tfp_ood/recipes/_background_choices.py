# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The background models that a recipe chooses from."""

import itertools

__all__ = ['background_choices', 'background_folder']


def background_choices(mutation_rates, weight_decays):
  """Returns all pairs of a rate of mutation and a weight decay.

  Args:
    mutation_rates: list of Python `float`s.
    weight_decays: likewise.

  Returns:
    `dict` from what a reader calls them to the pairs.
  """
  return {
    f'mutation rate {rate:g}, weight decay {decay:g}': (rate, decay)
    for rate, decay in itertools.product(mutation_rates, weight_decays)
  }


def background_folder(mutation_rate, weight_decay):
  """Returns the name of the folder of a background model."""
  return f'background_{mutation_rate:g}_{weight_decay:g}'
