# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a recipe is."""

import collections

__all__ = ['PRESETS', 'Builder', 'Recipe', 'Setting', 'SettingError']

PRESETS = ('tiny', 'small', 'paper')


class Builder(
  collections.namedtuple('Builder', ['factory', 'arguments', 'keras_model'])
):
  """How to make and to train the model of a recipe without the rest of it.

  Attributes:
    factory: `str`, the function that makes it; see `tfp_ood.pretrained.factory`.
    arguments: function of the shape of images and of the recipe's settings of the
      model that returns a `dict`, those arguments of the factory that decide what
      the model is made of; `ValueError` if there is none for such images.
    keras_model: class of the Keras model that trains it, as `DistributionModel`.
  """


class SettingError(ValueError):
  """A recipe does not have a setting, or not that value of it."""


class Setting(
  collections.namedtuple(
    'Setting',
    ['default', 'help', 'choices', 'minimum', 'instead_of'],
    defaults=(None, None, None),
  )
):
  """A setting of a recipe.

  Attributes:
    default: a value, or a tuple of those of the presets.
    help: `str`, what it is.
    choices: the values that there are; of a list, those of its entries.
    minimum: the least value.
    instead_of: `str`, another setting, which becomes 0 when this one is given.
  """

  def of_preset(self, preset):
    """Returns the default of a preset."""
    if isinstance(self.default, tuple):
      return self.default[PRESETS.index(preset)]
    return self.default

  def check(self, name, value):
    """Raises `SettingError` if there is no such value."""
    values = value if isinstance(value, list) else [value]
    if self.choices is not None:
      for unknown in (v for v in values if v not in self.choices):
        raise SettingError(
          f'{name}: {unknown!r} is none of {", ".join(self.choices)}.'
        )
    if self.minimum is not None and value < self.minimum:
      raise SettingError(
        f'{name}: must be at least {self.minimum}, got {value}.'
      )


class Recipe(
  collections.namedtuple(
    'Recipe',
    [
      'title',
      'function',
      'model_settings',
      'evaluation_settings',
      'check',
      'builder',
    ],
    defaults=(None, None),
  )
):
  """How to train a model, what to score it by, and what to look at.

  Attributes:
    title: `str`, what to call the model.
    function: from a `Run` to an `Evaluation` with its analyses and the name of the
      score to export a detector of; to `None` on a worker that writes no files.
    model_settings: `dict` from names to `Setting`s: all that decides the model.
    evaluation_settings: likewise, what decides the results but not the model.
    check: function of the values of all settings as keyword arguments that raises
      `SettingError` if they do not go together; `None` if all do.
    builder: `Builder` of the model, for other programs that train it; `None` if
      another recipe has it.
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
      SettingError: if one is given that is not a setting of the recipe, or has not
        this value, or does not go with another one.
    """
    given = {n: v for n, v in (given or {}).items() if v is not None}
    known = self.model_settings | self.evaluation_settings
    unknown = sorted(given.keys() - known.keys())
    if unknown:
      raise SettingError(
        f'This model has no setting {", ".join(unknown)}; it has '
        f'{", ".join(known)}.'
      )
    replaced = {}
    for name, value in given.items():
      known[name].check(name, value)
      other = known[name].instead_of
      if other in given:
        raise SettingError(f'Give {name} or {other}, not both.')
      if other:
        replaced[other] = 0
    given |= replaced

    def chosen(settings):
      return {
        name: given.get(name, setting.of_preset(preset))
        for name, setting in settings.items()
      }

    model, evaluation = map(
      chosen, (self.model_settings, self.evaluation_settings)
    )
    if self.check is not None:
      self.check(**model, **evaluation)
    return model, evaluation
