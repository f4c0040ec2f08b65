# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a recipe is."""

import collections

__all__ = ['PRESETS', 'Recipe', 'Setting', 'UnknownSettingError']

PRESETS = ('tiny', 'small', 'paper')

# `default` is a value, or a tuple of those of the presets.
Setting = collections.namedtuple('Setting', ['default', 'help'])


class UnknownSettingError(ValueError):
  """A recipe does not have a setting."""


class Recipe(
  collections.namedtuple(
    'Recipe', ['title', 'function', 'model_settings', 'evaluation_settings']
  )
):
  """How to train a model, what to score it by, and what to look at.

  Attributes:
    title: `str`, what to call the model.
    function: from a `Run` to an `Evaluation` with its analyses and the name of the
      score to export a detector of; to `None` on a worker that writes no files.
    model_settings: `dict` from names to `Setting`s: all that decides the model.
    evaluation_settings: likewise, what decides the results but not the model.
  """

  def settings(self, preset, given=None):
    """Returns the values of all settings.

    Args:
      preset: one of `PRESETS`.
      given: `dict` of values in the place of defaults; `None` counts as not given.

    Returns:
      model: `dict` of the values of `model_settings`.
      evaluation: `dict` of the values of `evaluation_settings`.

    Raises:
      UnknownSettingError: if a name is given that is not a setting of the recipe.
    """
    given = {n: v for n, v in (given or {}).items() if v is not None}
    known = self.model_settings | self.evaluation_settings
    unknown = sorted(given.keys() - known.keys())
    if unknown:
      raise UnknownSettingError(
        f'This model has no setting {", ".join(unknown)}; it has '
        f'{", ".join(known)}.'
      )

    def chosen(settings):
      return {
        name: given.get(name, _of_preset(setting.default, preset))
        for name, setting in settings.items()
      }

    return chosen(self.model_settings), chosen(self.evaluation_settings)


def _of_preset(default, preset):
  if isinstance(default, tuple):
    return default[PRESETS.index(preset)]
  return default
