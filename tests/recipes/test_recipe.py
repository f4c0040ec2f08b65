# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""Tests of recipes and their settings."""

import pytest

from tfp_ood import recipes

Setting, SettingError = recipes.Setting, recipes.SettingError

_RECIPE = recipes.Recipe(
  'A model',
  None,
  {
    'width': Setting((8, 32, 64), 'Channels.', minimum=1),
    'kind': Setting('plain', 'What kind.', choices=('plain', 'striped')),
    'epochs': Setting((0, 0, 9), 'Epochs.', instead_of='minutes'),
    'minutes': Setting((1.0, 30.0, 0.0), 'Minutes.', instead_of='epochs'),
  },
  {'scores': Setting(['a', 'b'], 'Scores.', choices=('a', 'b', 'c'))},
)


def test_defaults_are_those_of_the_preset():
  for preset, width, epochs, minutes in (
    ('tiny', 8, 0, 1.0),
    ('small', 32, 0, 30.0),
    ('paper', 64, 9, 0.0),
  ):
    assert _RECIPE.settings(preset) == (
      {'width': width, 'kind': 'plain', 'epochs': epochs, 'minutes': minutes},
      {'scores': ['a', 'b']},
    )


def test_values_that_are_given_count():
  given = {'width': 5, 'kind': None, 'scores': ['c']}
  model, evaluation = _RECIPE.settings('small', given)
  assert model['width'] == 5
  assert model['kind'] == 'plain'
  assert evaluation == {'scores': ['c']}


@pytest.mark.parametrize(
  'preset, given, epochs, minutes',
  [
    ('small', {'epochs': 3}, 3, 0),
    ('paper', {'minutes': 2.0}, 0, 2.0),
  ],
)
def test_one_setting_takes_the_place_of_another(preset, given, epochs, minutes):
  model, _ = _RECIPE.settings(preset, given)
  assert (model['epochs'], model['minutes']) == (epochs, minutes)


@pytest.mark.parametrize(
  'given, message',
  [
    ({'depth': 2}, 'no setting depth; it has width, kind'),
    ({'width': 0}, 'width: must be at least 1, got 0'),
    ({'kind': 'dotted'}, "'dotted' is none of plain, striped"),
    ({'scores': ['a', 'd']}, "scores: 'd' is none of a, b, c"),
    (
      {'epochs': 1, 'minutes': 1.0},
      'epochs or minutes, not both|minutes or ep',
    ),
  ],
)
def test_other_settings_are_refused(given, message):
  with pytest.raises(SettingError, match=message):
    _RECIPE.settings('tiny', given)


def test_settings_that_do_not_go_together_are_refused():
  def check(width, kind, **_):
    if kind == 'striped' and width < 10:
      raise SettingError('Stripes need a width of 10.')

  recipe = _RECIPE._replace(check=check)
  assert recipe.settings('small', {'kind': 'striped'})[0]['width'] == 32
  with pytest.raises(SettingError, match='Stripes'):
    recipe.settings('tiny', {'kind': 'striped'})


@pytest.mark.parametrize('name', recipes.RECIPES)
@pytest.mark.parametrize('preset', recipes.PRESETS)
def test_defaults_of_every_recipe_are_values_that_it_takes(name, preset):
  recipe = recipes.RECIPES[name]
  settings = recipe.model_settings | recipe.evaluation_settings
  model, evaluation = recipe.settings(preset)
  assert model.keys() | evaluation.keys() == settings.keys()
  for key, value in (model | evaluation).items():
    if value != '':  # None chosen.
      settings[key].checked(key, value)
    assert settings[key].help.endswith('.')


def test_a_list_of_scores_may_be_empty():
  assert (
    recipes.RECIPES['glow'].settings('tiny', {'scores': []})[1]['scores'] == []
  )


@pytest.mark.parametrize(
  'model, given, message',
  [
    ('vae', {'beta': 2.0}, 'no setting beta'),
    ('f_vae', {'decoder': 'categorical'}, 'no setting decoder'),
    ('autoencoder', {'kl_warmup_steps': 2}, 'no setting kl_warmup_steps'),
    ('autoencoder', {'regret_steps': 2}, 'no setting regret_steps'),
    ('soft_intro_vae', {'free_bits': 2.0}, 'no setting free_bits'),
    ('vae', {'num_importance_samples': ['1']}, 'at least 2, got 1'),
    ('vae', {'num_importance_samples': ['5', 'many']}, "'many' is no whole"),
    ('vae', {'num_importance_samples': []}, 'at least one'),
    ('pixel_cnn', {'mutation_rates': ['a tenth']}, "'a tenth' is no number"),
    ('pixel_cnn', {'mutation_rates': ['0', '1.5']}, 'at most 1.0, got 1.5'),
    ('pixel_cnn', {'mutation_rate': 1.5}, 'mutation_rate: must be at most'),
    ('glow', {'weight_decays': ['nan']}, 'must be finite, got nan'),
    ('glow', {'scores': ['typicality', 'telepathy']}, "'telepathy' is none"),
    ('glow', {'epochs': 1, 'train_minutes': 1.0}, 'not both'),
    ('glow', {'ensemble_size': 1}, 'at least 2'),
    (
      'nrm',
      {'network': 'all_cnn_c', 'normalization': 'folded'},
      'all_cnn_c takes none or untied',
    ),
    (
      'nrm',
      {'network': 'small_resnet', 'normalization': 'none'},
      'small_resnet takes folded or untied',
    ),
  ],
)
def test_settings_that_a_recipe_does_not_have_are_refused(
  model, given, message
):
  with pytest.raises(SettingError, match=message):
    recipes.RECIPES[model].settings('tiny', given)
