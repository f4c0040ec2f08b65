# Copyright 2026 The tfp_ood Authors.
# SPDX-License-Identifier: Apache-2.0
"""The experiment with autoencoders: what the flags ask for, and running it.

Beside what all runs have, the folder of a run holds

  weights, training.json                       the model
  saved_model/                                 for programs with only TensorFlow

A run that is complete takes up what new flags of the evaluation need beside what
it has.
"""

import os

import experiment_data
import experiment_flags
import experiment_folder
import vae_evaluation
import vae_features
import vae_training
from absl import app, flags
from vae_report import print_summary, write_report

import tfp_ood

__all__ = [
  'MODELS',
  'configuration',
  'evaluation',
  'print_summary',
  'run',
  'write_report',
]

_PRESETS = {
  'tiny': dict(latent_size=16, width=8, batch_size=64, epochs=10),
  'small': dict(latent_size=100, width=32, batch_size=128, epochs=10),
  'paper': dict(latent_size=100, width=64, batch_size=64, epochs=200),
}
# The decoder of f_vae.
_DECODER_FLOWS = {
  'tiny': dict(num_levels=1, num_steps=2, hidden_channels=8),
  'small': dict(num_levels=2, num_steps=4, hidden_channels=64),
  'paper': dict(num_levels=2, num_steps=8, hidden_channels=256),
}
# The settings of training that each model has, as far as --preset is silent.
_OF_ELBO = {'beta': 1.0, 'kl_warmup_steps': 0, 'free_bits': 0.0}
_DEFAULTS = {
  'autoencoder': {},
  'beta_vae': _OF_ELBO | {'beta': 4.0},
  'f_vae': _OF_ELBO,
  'soft_intro_vae': {
    'beta': 1.0,
    'kl_warmup_steps': 0,
    # That of the authors, whose squared errors are of pixels in [0, 1], at a
    # --decoder_scale of 25.5.
    'beta_reconstruction': 0.02,
    'beta_negative': 256.0,
    'num_vae_steps': 0,
  },
  'vae': _OF_ELBO,
}
MODELS = tuple(_DEFAULTS)
_LEARNING_RATES = {'soft_intro_vae': 2e-4}

_DECODER = flags.DEFINE_enum(
  'decoder',
  'gaussian',
  ['gaussian', 'learned_gaussian', 'categorical', 'discretized_logistic'],
  'Autoencoders but f_vae: the distribution of a pixel. By a Gaussian one the '
  'bound is on a density, and bits per dimension are those of pixel values.',
)
_DECODER_SCALE = flags.DEFINE_float(
  'decoder_scale',
  25.5,
  'Autoencoders: the deviation of --decoder=gaussian, in pixel values.',
  lower_bound=1e-3,
)
_LATENT_SIZE = flags.DEFINE_integer(
  'latent_size',
  None,
  'Autoencoders: how many numbers the latent has. Default: by --preset.',
  lower_bound=1,
)
_VAE_WIDTH = flags.DEFINE_integer(
  'vae_width',
  None,
  'Autoencoders: channels of the largest feature maps. Default: by --preset.',
  lower_bound=1,
)
_BETA = flags.DEFINE_float(
  'beta',
  None,
  'beta_vae, soft_intro_vae: weight of the divergence of the posterior from the '
  'prior. Default: 4, 1.',
  lower_bound=0.0,
)
_KL_WARMUP_STEPS = flags.DEFINE_integer(
  'kl_warmup_steps',
  None,
  'Variational autoencoders: steps in which that weight rises. Default: 0.',
  lower_bound=0,
)
_FREE_BITS = flags.DEFINE_float(
  'free_bits',
  None,
  'vae, beta_vae, f_vae: a divergence of fewer bits, for an image, costs as much '
  'as that many. Default: 0.',
  lower_bound=0.0,
)
_BETA_RECONSTRUCTION = flags.DEFINE_float(
  'beta_reconstruction',
  None,
  'soft_intro_vae: weight of the reconstruction. Default: .02, which is 1 for '
  'squared errors of pixels in [0, 1] at a --decoder_scale of 25.5.',
  lower_bound=0.0,
)
_BETA_NEGATIVE = flags.DEFINE_float(
  'beta_negative',
  None,
  'soft_intro_vae: weight of the divergence of fakes. Default: 256.',
  lower_bound=0.0,
)
_NUM_VAE_STEPS = flags.DEFINE_integer(
  'num_vae_steps',
  None,
  'soft_intro_vae: steps at the start that train a plain variational '
  'autoencoder. Default: 0.',
  lower_bound=0,
)
_NUM_IMPORTANCE_SAMPLES = flags.DEFINE_list(
  'num_importance_samples',
  ['5'],
  'Variational autoencoders: numbers of samples of the importance-weighted '
  'bounds to score by, such as 5,50. Other scores take the first.',
)
_REGRET_STEPS = flags.DEFINE_integer(
  'regret_steps',
  100,
  'Variational autoencoders: steps that fit the posterior to each image, for '
  'likelihood regret.',
  lower_bound=1,
)
_NUM_REGRET = flags.DEFINE_integer(
  'num_regret',
  1_000,
  'Variational autoencoders: at most so many images of each data set are scored '
  'by likelihood regret, which costs far more than the others.',
  lower_bound=2,
)
_FEATURES_DIR = flags.DEFINE_string(
  'features_dir',
  None,
  'Autoencoders: folder of the classifier in whose features Frechet distances '
  'are; trained where there is none. Runs that share it can be compared. '
  'Default: features_IN-DISTRIBUTION beside --output_dir.',
)


def configuration(model, data):
  """Returns everything that decides what the model will be, from the flags.

  Args:
    model: the value of --model.
    data: names of data sets: see `experiment.main`.

  Returns:
    `dict` of settings.
  """
  preset = experiment_flags.preset()
  config = {
    'in_distribution': experiment_flags.IN_DISTRIBUTION.value or data[0],
    'train_split': experiment_flags.TRAIN_SPLIT.value,
    'test_split': experiment_flags.TEST_SPLIT.value,
    'watched': (experiment_flags.OUT_OF_DISTRIBUTION.value or data[1])[:1],
    'model': model,
    'preset': preset,
    **_decoder(model, preset),
    'learning_rate': _learning_rate(model),
    **_training_settings(model),
    'strategy': experiment_flags.STRATEGY.value,
    'seed': experiment_flags.SEED.value,
  }
  given = {
    'latent_size': _LATENT_SIZE.value,
    'width': _VAE_WIDTH.value,
    'epochs': experiment_flags.EPOCHS.value,
  }
  config |= {
    key: default if given.get(key) is None else given[key]
    for key, default in _PRESETS[preset].items()
  }
  return config


def evaluation(data, config):
  """Returns everything else that decides the results, from the flags.

  Args:
    data: names of data sets: see `experiment.main`.
    config: `dict`, as `configuration` returns it.

  Returns:
    `dict` of settings.
  """
  _, others, further = data
  settings = {
    'out_of_distribution': (
      experiment_flags.OUT_OF_DISTRIBUTION.value or [*others, *further]
    ),
    'num_evaluated': experiment_flags.NUM_EVALUATED.value,
  }
  if vae_training.has_prior(config):
    settings |= {
      'num_importance_samples': _numbers_of_samples(),
      'regret_steps': _REGRET_STEPS.value,
      'num_regret': _NUM_REGRET.value,
    }
  return settings


def run(config, evaluation, output_dir, strategy):
  """Trains what is not trained yet, and scores what is not scored yet.

  Args:
    config: `dict`, as `configuration` returns it.
    evaluation: `dict`, as `evaluation` returns it.
    output_dir: folder of the run.
    strategy: `tf.distribute.Strategy`.

  Returns:
    The results and the arrays of the run; of a worker that writes no files,
    empty ones.
  """
  data_dir = experiment_flags.DATA_DIR.value
  # Before hours of training: are all the data sets there?
  datasets = vae_evaluation.datasets(evaluation, config, data_dir)
  features_dir = _FEATURES_DIR.value or os.path.join(
    os.path.dirname(os.path.abspath(output_dir)),
    f'features_{config["in_distribution"]}',
  )
  vae_features.check_folder(config, features_dir)
  image_shape = experiment_data.image_shape(
    experiment_data.train_name(config), data_dir
  )
  model, record = vae_training.train(
    config,
    output_dir,
    image_shape,
    strategy,
    data_dir,
    tensorboard=experiment_flags.TENSORBOARD.value,
  )
  if not experiment_folder.is_chief(strategy):
    return {}, {}
  tfp_ood.training.export_saved_model(
    model, os.path.join(output_dir, 'saved_model')
  )
  found, arrays = vae_evaluation.evaluate(
    model, datasets, evaluation, config, output_dir, features_dir, data_dir
  )
  return {'training': record, **found}, arrays


def _decoder(model, preset):
  if model != 'f_vae':
    return {
      'decoder': _DECODER.value,
      'decoder_scale': _DECODER_SCALE.value,
    }
  if _DECODER.present or _DECODER_SCALE.present:
    raise app.UsageError(
      '--model=f_vae has no --decoder and no --decoder_scale: its decoder is a '
      'flow.'
    )
  return {'decoder': 'flow', 'decoder_flow': _DECODER_FLOWS[preset]}


def _training_settings(model):
  """Returns the settings that a model has, and refuses those it has not."""
  given = {
    'beta': _BETA.value,
    'kl_warmup_steps': _KL_WARMUP_STEPS.value,
    'free_bits': _FREE_BITS.value,
    'beta_reconstruction': _BETA_RECONSTRUCTION.value,
    'beta_negative': _BETA_NEGATIVE.value,
    'num_vae_steps': _NUM_VAE_STEPS.value,
  }
  given = {key: value for key, value in given.items() if value is not None}
  for key in given:
    # That of a bound is 1.
    if key not in _DEFAULTS[model] or (
      key == 'beta' and model in ('vae', 'f_vae')
    ):
      raise app.UsageError(f'--model={model} has no --{key}; see --help.')
  return _DEFAULTS[model] | given


def _learning_rate(model):
  if experiment_flags.LEARNING_RATE.present:
    return experiment_flags.LEARNING_RATE.value
  default = experiment_flags.LEARNING_RATE.default
  return _LEARNING_RATES.get(model, default)


def _numbers_of_samples():
  numbers = _NUM_IMPORTANCE_SAMPLES.value
  if not numbers or not all(n.isdecimal() and int(n) >= 2 for n in numbers):
    raise app.UsageError(
      '--num_importance_samples must be whole numbers above 1, such as 5,50; got '
      f'{",".join(numbers)!r}. The bound of one sample is always scored.'
    )
  return list(dict.fromkeys(map(int, numbers)))
