# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""What a recipe is."""

import collections
import math

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
    [
      'default',
      'help',
      'choices',
      'minimum',
      'maximum',
      'instead_of',
      'entries',
    ],
    defaults=(None, None, None, None, str),
  )
):
  """A setting of a recipe.

  Attributes:
    default: a value, or a tuple of those of the presets. A list of numbers may be
      empty if the default is.
    help: `str`, what it is.
    choices: the values that there are; of a list, those of its entries.
    minimum: the least value; of a list, that of its entries.
    maximum: the largest value, likewise.
    instead_of: `str`, another setting, which becomes 0 when this one is given.
    entries: type of the entries of a list, which may be given as `str`.
  """

  def of_preset(self, preset):
    """Returns the default of a preset."""
    if isinstance(self.default, tuple):
      return self.default[PRESETS.index(preset)]
    return self.default

  def checked(self, name, value):
    """Returns a value, its entries converted, or raises `SettingError`."""
    if not isinstance(value, list):
      self._check(name, value)
      return value
    if self.entries is not str and self.default and not value:
      raise SettingError(f'{name}: give at least one.')
    entries = [self._entry(name, entry) for entry in value]
    for entry in entries:
      self._check(name, entry)
    return entries

  def _entry(self, name, entry):
    try:
      return self.entries(entry)
    except ValueError as error:
      kind = 'whole number' if self.entries is int else 'number'
      raise SettingError(f'{name}: {entry!r} is no {kind}.') from error

  def _check(self, name, value):
    if self.choices is not None and value not in self.choices:
      raise SettingError(
        f'{name}: {value!r} is none of {", ".join(self.choices)}.'
      )
    if isinstance(value, float) and not math.isfinite(value):
      raise SettingError(f'{name}: must be finite, got {value}.')
    if self.minimum is not None and value < self.minimum:
      raise SettingError(
        f'{name}: must be at least {self.minimum}, got {value}.'
      )
    if self.maximum is not None and value > self.maximum:
      raise SettingError(
        f'{name}: must be at most {self.maximum}, got {value}.'
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
      given[name] = known[name].checked(name, value)
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
